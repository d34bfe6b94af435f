import Bus
import Foundation
import Protocols
import Simulation
import Testing

@testable import Analysis
@testable import Formats

/// A recorded side against the other one as it lives, in virtual time.
@Suite struct TurnReplayTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  private struct Sink: RecordSink {
    var records: [(record: CANRecord, number: UInt64)] = []
    var census = TrafficCensus()
    mutating func busAppeared(_ bus: BusID, named name: String) { census.busAppeared(bus, named: name) }
    mutating func receive(_ record: borrowing CANRecord) {
      census.receive(record)
      records.append((copy record, UInt64(records.count + 1)))
    }
    mutating func receive(_ record: SideRecord) {}
    mutating func report(_ problem: CaptureProblem) {}
  }

  private static func capture(_ name: String) throws -> (
    link: CompiledLink, records: [(record: CANRecord, number: UInt64)], address: UInt8?
  ) {
    let data = try Data(contentsOf: URL(fileURLWithPath: root + "/Captures/\(name)/capture.log"))
    var sink = Sink()
    var reader = CaptureReader(.candump)
    data.withUnsafeBytes { bytes in _ = reader.read(bytes, isEnd: true, into: &sink) }
    let verdict = try #require(ProtocolIdentifier(Shipped.library).identify(sink.census).first)
    let definition = try #require(verdict.protocolName.flatMap { Shipped.library.definition($0) })
    return (definition.link(variant: verdict.variant, readings: verdict.readings), sink.records, verdict.address)
  }

  /// Plays against a session that answers a little later than a simulated one would.
  private func play(
    _ link: CompiledLink, as side: Side, _ records: [(record: CANRecord, number: UInt64)], address: UInt8?, latency: Int64 = 0,
    lose: (ArbitrationID) -> Bool = { _ in false }
  ) throws -> TurnReplay {
    var replay = TurnReplay(link, as: side, records: records)
    var end = try #require(LinkEnd(link, side == .battery ? .inverter : .battery, address: address, seed: 1))
    var scene = try #require(LinkScene(link, seed: 1))
    for _ in 0..<40 { _ = scene.live(heard: QuantityValues(), isOnline: false) }
    var values = scene.live(heard: QuantityValues(), isOnline: false)
    // The other end is awake before ours is.
    _ = end.next(now_us: 0, values: side == .battery ? values.inverter : values.battery)
    var underway: [(due: Int64, frame: CANFrame)] = []
    var now: Int64 = 0
    var steps = 0
    while steps < 2_000_000, now < 600_000_000 {
      steps += 1
      while let first = underway.first, first.due <= now {
        underway.removeFirst()
        if !lose(first.frame.id) { replay.receive(first.frame, now_us: now) }
      }
      var wake: Int64
      switch replay.next(now_us: now) {
      case .finished: return replay
      case .send(let frame):
        end.receive(frame, now_us: now)
        continue
      case .wait(let until): wake = until
      }
      values = scene.live(heard: end.session.heard, isOnline: end.session.phase == .online, after: 0)
      switch end.next(now_us: now, values: side == .battery ? values.inverter : values.battery) {
      case .send(let frame):
        underway.append((now + 300 + latency, frame))
        continue
      case .wait(let until): wake = min(wake, until)
      }
      now = max(now + 1, min(wake, underway.first?.due ?? .max))
    }
    Issue.record("it did not end")
    return replay
  }

  @Test(
    arguments: ["deye-hv-clean", "pylontech-hv-std-clean", "pylontech-hv-sofar-clean", "goodwe-pylon-clean"],
    [0, 300_000] as [Int64])
  func aCleanInverterGoesToItsEnd(name: String, latency: Int64) throws {
    let (link, records, address) = try Self.capture(name)
    let replay = try play(link, as: .inverter, records, address: address, latency: latency)
    #expect(replay.result.divergence == nil, "\(replay.result)")
    #expect(replay.turnCount > 10 && replay.result.turns == replay.turnCount, "\(replay.result) of \(replay.turnCount)")
  }

  @Test(arguments: ["deye-hv-clean", "pylontech-hv-std-clean"])
  func aCleanBatteryAnswersALiveInverter(name: String) throws {
    let (link, records, address) = try Self.capture(name)
    let replay = try play(link, as: .battery, records, address: address)
    #expect(replay.result.divergence == nil && replay.result.turns == replay.turnCount && replay.turnCount > 10, "\(replay.result)")
  }

  @Test func anAnswerThatDoesNotComeStopsIt() throws {
    let (link, records, address) = try Self.capture("deye-hv-clean")
    var polls = 0
    let replay = try play(link, as: .inverter, records, address: address) { id in
      if id == .extended(0x4230) { polls += 1 }
      return id == .extended(0x4230) && polls > 3
    }
    #expect(replay.result.divergence?.contains("00004230 CellVoltages, the battery does not say it") == true, "\(replay.result)")
    #expect(replay.result.turns > 0 && replay.result.turns < replay.turnCount)
  }

  @Test func anEmptyCaptureIsOverAtOnce() throws {
    let (link, _, _) = try Self.capture("deye-hv-clean")
    var replay = TurnReplay(link, as: .inverter, records: [])
    #expect(replay.next(now_us: 0) == .finished && replay.result.turns == 0)
  }
}
