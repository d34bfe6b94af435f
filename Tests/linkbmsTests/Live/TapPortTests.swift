import Analysis
import Bus
import Foundation
import Formats
import HostIO
import Testing

@testable import linkbms

/// Taps as buses that are listened to.
@Suite struct TapPortTests {
  private let arrived = Timestamp(nanoseconds: 1_790_000_000_000_000_000)

  @Test func linesAreRecords() throws {
    var reader = TapReader()
    func read(_ line: String) -> TapContent? { reader.read(Array(line.utf8), arrived: arrived) }
    #expect(read("000E331DF7 T") == nil, "the end of a line")
    guard case .record(let request) = read("(1789999999.500000) chain2 001#000E331DF7 T") else {
      Issue.record("no record")
      return
    }
    #expect(request.kind == .chain && request.bus == BusID(1) && request.direction == .transmitted)
    #expect(request.time.nanoseconds == 1_789_999_999_500_000_000, "its own time is that of this machine")
    #expect(try #require(ChainPacket(request)).kind == .request)
    // Without time and direction: those of its arrival, and of what it is.
    guard case .record(let measured) = read("pdu 001#F4010000E02E0000") else {
      Issue.record("no record")
      return
    }
    #expect(measured.kind == .pdu && measured.bus == BusID(2) && measured.direction == .received && measured.time == arrived)
    guard case .record(let order) = read("pdu 004#0102030405060708") else {
      Issue.record("what is damaged is recorded as it came")
      return
    }
    #expect(order.direction == .transmitted)
    #expect(read("# dropped 17") == .dropped(17))
    #expect(read("# 12.3 s  status RUNNING") == .remark("12.3 s status RUNNING"))
    for strange in ["hello", "(1.0) can0 123#11 R", "(1.0) chain3 001#00", "(1.0) chain1 001#0"] {
      guard case .strange = read(strange) else {
        Issue.record("\(strange)")
        continue
      }
    }
  }

  @Test func aTapWithoutACalendarCountsFromTheArrivalOfItsFirstLine() {
    var clock = TapClock()
    let now: Int64 = 1_790_000_000_000_000_000
    #expect(clock.time(5_000_000_000, arrived_ns: now) == now)
    #expect(clock.time(5_250_000_000, arrived_ns: now + 400_000_000) == now + 250_000_000, "what was held up keeps its own time")
    #expect(clock.time(nil, arrived_ns: now + 1) == now + 1)
    // It began anew.
    #expect(clock.time(1_000_000_000, arrived_ns: now + 60_000_000_000) == now + 60_000_000_000)
    #expect(clock.time(2_000_000_000, arrived_ns: now + 61_000_000_000) == now + 61_000_000_000)
    for (own, arrived) in [(.max, .min), (.min, .max), (0, .min)] as [(Int64, Int64)] { _ = clock.time(own, arrived_ns: arrived) }
  }

  /// A tap in this process, what it hears, and a job that listens to it.
  private func play(_ lines: [String], to words: (_ address: String) -> [String]) throws -> (job: any LiveJob, heard: Int) {
    let tap = try TapListener(host: "127.0.0.1", port: 0)
    var world = MemoryWorld(MemoryBuses())
    let job = try world.job(words(tap.name))
    var heard = 0
    func turn() {
      tap.receive { if case .line = $0 { heard += 1 } }
      job.pump(.now)
      _ = PortPoller.wait(job.context.ports.map(\.descriptor) + [tap.descriptor], until_ns: PortPoller.now_ns + 20_000_000)
    }
    job.start(.now)
    let end_ns = PortPoller.now_ns + 60_000_000_000
    var isSaid = false
    while job.context.ports[0].counters.received < UInt64(lines.count(where: { !$0.hasPrefix("#") })), PortPoller.now_ns < end_ns {
      if !isSaid { isSaid = tap.write(lines.joined(separator: "\n").utf8) == .sent }
      turn()
    }
    job.pump(.now)
    job.stop(.now)
    tap.close()
    return (job, heard)
  }

  private let lines = [
    "(1.000000) chain1 000# T", "(1.001000) chain1 001#000E331DF7 T", "(1.001100) chain1 002#000E331DF7 R", "# dropped 3",
    "(1.100000) pdu 001#F4010000E02E0000 R",
  ]

  @Test(arguments: ["log", "pcapng"]) func aCaptureHoldsWhatPassesOnChainsAndPDU(suffix: String) throws {
    let folder = try TestFolder()
    let path = folder.file("x." + suffix)
    let (job, heard) = try play(lines) { ["capture", $0, "--write", path, "--decode"] }
    #expect(heard == 0, "nothing is ever said to a tap")
    let text = job.context.output.takeText()
    #expect(text.contains("chain1") && text.contains("wake pulse"), "\(text)")
    #expect(text.contains("3 lines lost (the tap's line is too slow)") && text.contains("4 frames in \(path)"), "\(text)")
    #expect(job.context.status == .findings)
    struct Sink: RecordSink {
      var names: [String] = []
      var records: [SideRecord] = []
      var lost: UInt64 = 0
      mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }
      mutating func receive(_ record: borrowing CANRecord) {}
      mutating func receive(_ record: SideRecord) { records.append(record) }
      mutating func report(_ problem: CaptureProblem) { if problem.kind == .framesLost { lost += problem.count } }
    }
    var input = try CaptureInput(path: path)
    var sink = Sink()
    while try input.readWindow(into: &sink) {}
    #expect(sink.records.map { sink.names[Int($0.bus.index)] } == ["chain1", "chain1", "chain1", "pdu"])
    #expect(sink.records.compactMap { ChainPacket($0)?.kind } == [.wake, .request, .echo])
    #expect(sink.records.map(\.direction) == [.transmitted, .transmitted, .received, .received])
    let times = sink.records.map(\.time.nanoseconds)
    #expect(times[1] - times[0] == 1_000_000 && times[3] - times[0] == 100_000_000, "the tap's own times")
    #expect(sink.lost == 3)
  }

  /// At another rate nothing that comes is a tap's: that must not look like a quiet one.
  @Test(arguments: [false, true]) func linesThatAreTooLongCountAndAreToldWhereNothingElseCame(hasFrames: Bool) throws {
    let tap = try TapListener(host: "127.0.0.1", port: 0)
    defer { tap.close() }
    var world = MemoryWorld(MemoryBuses())
    let job = try world.job(["capture", tap.name])
    let long = "(1.000000) chain1 001#" + String(repeating: "0", count: 2000)
    let said = [long, hasFrames ? lines[1] : "(1.000000) can0 123#11 R", long].joined(separator: "\n")
    let malformed: UInt64 = hasFrames ? 2 : 3
    job.start(.now)
    let end_ns = PortPoller.now_ns + 60_000_000_000
    var isSaid = false
    while job.context.ports[0].counters.malformed < malformed, PortPoller.now_ns < end_ns {
      tap.receive { _ in }
      if !isSaid { isSaid = tap.write(said.utf8) == .sent }
      job.pump(.now)
      _ = PortPoller.wait(job.context.ports.map(\.descriptor) + [tap.descriptor], until_ns: PortPoller.now_ns + 20_000_000)
    }
    job.stop(.now)
    let text = job.context.output.takeText()
    #expect(job.context.ports[0].counters.malformed == malformed, "\(text)")
    #expect(text.contains("\(tap.name): 3 lines were none of a tap's: is the rate right?\n") == !hasFrames, "\(text)")
    #expect(text.contains(" chain1 001#000E331DF7 T\n") == hasFrames && text.contains("were none") == !hasFrames, "\(text)")
  }

  @Test func plainLinesAndOtherCommands() throws {
    let plain = try play(lines) { ["capture", $0] }.job.context.output.takeText()
    #expect(plain.contains(" chain1 001#000E331DF7 T\n") && plain.contains(" pdu 001#F4010000E02E0000 R\n"), "\(plain)")
    let decoded = try play(lines) { ["decode", "--live", $0] }.job.context.output.takeText()
    #expect(decoded.contains("chain1") && decoded.contains("echo: "), "\(decoded)")
    let chain = try play(lines) { ["chain", "--live", $0] }
    #expect(chain.job.context.output.takeText().contains("chain1  ") && chain.heard == 0)
  }

  @Test func whatATapIsNotForIsRefused() throws {
    let tap = "tap+tcp://127.0.0.1:1"
    for words in [
      ["capture", tap, "--trigger", "R05"], ["capture", tap, "--write", "x.asc"], ["monitor", tap], ["diagnose", "--live", tap],
      ["chain", "--live", "can0"],
    ] {
      var world = MemoryWorld(MemoryBuses())
      var isOpened = false
      world.live.openTap = { address in
        isOpened = true
        return try TapPort(LineAddress(address))
      }
      do {
        _ = try world.job(words)
        Issue.record("\(words)")
      } catch {}
      #expect(!isOpened, "\(words)")
    }
  }

  /// A system may have a tap for its chains and another for its PDU; the same chain from two of them is mixed, and that is told.
  @Test(arguments: [["pdu", "chain1"], ["chain1", "chain1"]]) func whatComesFromTwoTapsIsTold(buses: [String]) throws {
    let taps = [try TapListener(host: "127.0.0.1", port: 0), try TapListener(host: "127.0.0.1", port: 0)]
    var world = MemoryWorld(MemoryBuses())
    let job = try world.job(["capture"] + taps.map(\.name))
    job.start(.now)
    let end_ns = PortPoller.now_ns + 60_000_000_000
    var isSaid = [false, false]
    while !job.context.ports.allSatisfy({ $0.counters.received == 2 }), PortPoller.now_ns < end_ns {
      for (place, tap) in taps.enumerated() {
        tap.receive { _ in }
        let line = buses[place] == "pdu" ? "pdu 001#F4010000E02E0000 R" : "chain1 001#000E331DF7 T"
        if !isSaid[place] { isSaid[place] = tap.write("(1.000000) \(line)\n(1.100000) \(line)".utf8) == .sent }
      }
      job.pump(.now)
      _ = PortPoller.wait(
        (job.context.ports.map(\.descriptor) + taps.map(\.descriptor)), until_ns: PortPoller.now_ns + 20_000_000)
    }
    job.stop(.now)
    let text = job.context.output.takeText()
    #expect(job.context.ports.allSatisfy { $0.counters.received == 2 })
    #expect(text.split(separator: "\n").count { $0.contains("chain1 comes from tap") } == (buses[0] == buses[1] ? 1 : 0), "\(text)")
  }
}
