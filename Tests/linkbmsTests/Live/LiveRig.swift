import Bus
import Foundation
import Formats
import HostIO

@testable import linkbms

/// Buses inside this process under `mem://NAME`, for one test.
final class MemoryBuses {
  private var buses: [String: InProcessBus] = [:]

  func bus(_ name: String) -> InProcessBus {
    if let bus = buses[name] { return bus }
    let bus = InProcessBus()
    buses[name] = bus
    return bus
  }

  /// What a hub opens addresses with.
  func open(_ address: String, listenOnly: Bool = false) throws -> any BusPort {
    guard address.hasPrefix("mem://") else { throw PortError.absent(address) }
    let name = String(address.dropFirst(6))
    return try bus(name).port(named: name)
  }
}

/// A port that nobody may send on.
final class SilentPort: BusPort {
  let name = "silent"
  let descriptor: Int32 = -1
  var counters = PortCounters()
  var arrived: [PortEvent] = []
  /// Frames that are lost before the one of this number, from 1.
  var losses: [UInt64: UInt64] = [:]
  private(set) var sends = 0
  private(set) var isClosed = false
  /// Whether it tells what was acknowledged, and whether it has room.
  var tells = false
  var isFull = false
  var carriesFD = true
  var advice = PortAdvice()
  var usesSystemClock = true

  func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    let events = arrived
    arrived = []
    for event in events {
      if case .frame = event {
        counters.received += 1
        counters.dropped += losses[counters.received] ?? 0
      }
      take(event)
    }
  }
  func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard !isFull else { return .full }
    if frame.flags.contains(.fd), !carriesFD { throw .unsendable(name, what: "send CAN FD frames") }
    sends += 1
    counters.sent += 1
    return .sent
  }
  func confirmSending() throws(PortError) -> Bool { tells }
  func close() { isClosed = true }

  func put(_ frame: CANFrame, at time: LiveTime) {
    arrived.append(
      .frame(CANRecord(time: Timestamp(nanoseconds: time.wall_ns), precision: .nanoseconds, direction: .received, frame: frame)))
  }
}

/// A world in memory.
struct MemoryWorld: World {
  var bytes: [UInt8] = []
  var notes: [String] = []
  var terminal = Terminal()
  var inputIsTerminal = false
  var defaultFormat = OutputFormat.text
  var openCapture: String?
  var isInterrupted = false
  let live: LiveHub
  let inputHoldsCommands = true
  private var definitions = LoadedDefinitions()

  init(_ buses: MemoryBuses, needsArm: Bool = false) {
    live = LiveHub(needsArm: needsArm)
    live.open = buses.open
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }
  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(WorldError) { self.bytes += bytes }
  mutating func note(_ line: String) { notes.append(line) }
  mutating func showProgress(_ line: String?) {}
  mutating func ask(_ prompt: String, above: () -> String) throws(WorldError) -> String? { nil }
  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary { try definitions.library(options) }

  /// Parses and runs a command.
  mutating func run(_ words: [String]) -> Int32 { CommandRunner.run(words, of: LinkBMS.self, in: &self) }

  /// The job that a live command would be.
  mutating func job(_ words: [String]) throws -> any LiveJob {
    guard let command = try CommandRunner.parse(words, of: LinkBMS.self) as? any LiveCommand, let job = try command.job(in: &self)
    else {
      throw WorldError(message: "no live command")
    }
    return job
  }
}

extension LiveTime {
  /// A time for tests: seconds on both clocks.
  static func at(_ seconds: Double) -> LiveTime {
    LiveTime(monotonic_ns: Int64(seconds * 1e9), wall_ns: 1_790_000_000_000_000_000 + Int64(seconds * 1e9))
  }
}

/// The frames of a capture that comes with the project.
func capturedRecords(_ name: String) throws -> [CANRecord] {
  let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
  return try records(inFile: root + "/Captures/\(name)/capture.log")
}

/// The frames of any capture.
func records(inFile path: String) throws -> [CANRecord] {
  struct Sink: RecordSink {
    var records: [CANRecord] = []
    mutating func busAppeared(_ bus: BusID, named name: String) {}
    mutating func receive(_ record: borrowing CANRecord) { records.append(copy record) }
    mutating func receive(_ record: SideRecord) {}
    mutating func report(_ problem: CaptureProblem) {}
  }
  var input = try CaptureInput(path: path)
  var sink = Sink()
  while try input.readWindow(into: &sink) {}
  return sink.records
}

/// A folder of its own, gone with the test.
final class TestFolder {
  let path = NSTemporaryDirectory() + "linkbms-live-" + UUID().uuidString
  init() throws { try FileNames.makeFolder(path) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  func file(_ name: String) -> String { path + "/" + name }
}
