import Bus
import Formats
import HostIO

/// Something that a tap on chains and PDU said.
enum TapContent: Equatable {
  /// A frame of a chain, or a line of the PDU; `bus` is its place in `TapPort.buses`.
  case record(SideRecord)
  /// A remark, without its `#`.
  case remark(String)
  /// The tap's line was full: so many lines are missing here.
  case dropped(UInt64)
  /// A line that is none of a tap's.
  case strange(String)
}

/// A tap (Dissectors/TAP.md) that is only listened to: nothing is ever said on its line, so that no chain is spoken to and no contactor
/// ordered.
final class TapPort: BusPort {
  /// What a tap carries, in captures.
  static let buses = ["chain1", "chain2", "pdu"]

  /// Its address.
  let name: String
  private(set) var counters = PortCounters()
  /// At another rate of a serial line everything is garbled, or seems to have no end.
  var advice: PortAdvice {
    var advice = PortAdvice(unit: "line", question: "is the rate right?")
    advice.denial = "none of a tap's"
    // The first one is shown by the job: what they are together counts where nothing else came.
    advice.many = UInt64.max
    return advice
  }
  private let line: LinePort
  private var reader = TapReader()
  private var waiting: [TapContent] = []
  /// Lines that were none of a tap's, beside those that were too long to be any.
  private var strange: UInt64 = 0

  /// Opens its line.
  init(_ address: LineAddress) throws(PortError) {
    name = address.description
    line = try LinePort(address)
  }

  var descriptor: Int32 { line.descriptor }
  var wakeTime_ns: Int64? { line.wakeTime_ns }

  /// Takes what came; `take()` hands it out.
  func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    try line.receive { event in
      switch event {
      case .line(let bytes, let time): hear(bytes, time)
      case .lost(let why): take(.lost(why))
      case .returned:
        reader.startAnew()
        take(.returned)
      }
    }
    counters.malformed = strange &+ line.counters.malformed
  }

  private func hear(_ bytes: [UInt8], _ time: Timestamp) {
    guard let content = reader.read(bytes, arrived: time) else { return }
    switch content {
    case .record: counters.received &+= 1
    case .dropped(let count): counters.dropped &+= count
    case .strange: strange &+= 1
    case .remark: break
    }
    waiting.append(content)
  }

  /// What came since the last time, in order.
  func take() -> [TapContent] {
    defer { waiting.removeAll(keepingCapacity: true) }
    return waiting
  }

  /// A tap is only listened to.
  func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    throw .unsupported(name, what: "send: a tap is only listened to")
  }

  func close() { line.close() }
}

/// Makes records of a tap's lines, as reading a candump log of them does. Sans-IO.
struct TapReader {
  private var clock = TapClock()
  /// Whether the next line may be the end of one.
  private var isFirst = true

  /// The line was lost and is there again.
  mutating func startAnew() { isFirst = true }

  /// One line without its end; `nil` for one that says nothing.
  mutating func read(_ line: [UInt8], arrived: Timestamp) -> TapContent? {
    defer { isFirst = false }
    if line.first == 0x23 { return TapReader.remark(line.dropFirst()) }
    let hasTime = line.first == 0x28
    guard var record = TapReader.record(hasTime ? line : Array("(0.000000000) ".utf8) + line) else {
      return isFirst && !hasTime ? nil : .strange(line.withUnsafeBytes { quoted($0, limit: 60) })
    }
    record.time = Timestamp(
      nanoseconds: clock.time(hasTime ? record.time.nanoseconds : nil, arrived_ns: arrived.nanoseconds))
    record.precision = .nanoseconds
    if record.direction == .unknown { record.direction = TapReader.isSaidByController(record) ? .transmitted : .received }
    return .record(record)
  }

  private static func remark(_ bytes: some Sequence<UInt8>) -> TapContent {
    let words = String(decoding: Array(bytes), as: UTF8.self).split(whereSeparator: \.isWhitespace)
    if words.count == 2, words[0] == "dropped", let count = UInt64(words[1]) { return .dropped(count) }
    return .remark(words.joined(separator: " "))
  }

  private static func record(_ line: [UInt8]) -> SideRecord? {
    var format = CandumpLogFormat()
    var names = BusTable()
    var sink = Sink()
    line.withUnsafeBytes { bytes in
      format.read(Line(bytes: bytes, number: 1, byteOffset: 0, isTerminated: true), buses: &names, into: &sink)
    }
    guard var record = sink.record, let name = names.names.first, let place = TapPort.buses.firstIndex(of: name) else { return nil }
    record.bus = BusID(UInt16(place))
    return record
  }

  /// A request or a wake pulse of a chain, what the PDU is to show or to do.
  private static func isSaidByController(_ record: SideRecord) -> Bool {
    switch record.kind {
    case .chain: record.bytes.count > 2 && [0, 3].contains(record.bytes[2] & 3)
    case .pdu: record.bytes.first == 0xC3 || record.bytes.first == 0xC4
    }
  }

  private struct Sink: RecordSink {
    var record: SideRecord?
    mutating func busAppeared(_ bus: BusID, named name: String) {}
    mutating func receive(_ record: borrowing CANRecord) {}
    mutating func receive(_ record: SideRecord) { self.record = record }
    mutating func report(_ problem: CaptureProblem) {}
  }
}

/// A tap's own times on the clock of this machine: as they are where the two agree, else counted from a line's arrival on. A tap without
/// a calendar counts from its start.
struct TapClock {
  private var offset_ns: Int64 = 0
  /// A line that came later than this after its time was given another time.
  static let tolerance_ns: Int64 = 10_000_000_000

  /// - Parameter own_ns: as the tap gives it; `nil` where it gives none.
  mutating func time(_ own_ns: Int64?, arrived_ns: Int64) -> Int64 {
    guard let own_ns else { return arrived_ns }
    let time = own_ns &+ offset_ns
    if (time &- arrived_ns).magnitude <= UInt64(TapClock.tolerance_ns) { return time }
    offset_ns = arrived_ns &- own_ns
    return arrived_ns
  }
}

extension JobContext {
  /// Names of the CAN buses, by number.
  var canBuses: [String] { ports.filter { !($0 is TapPort) }.map(\.name) }

  /// Names of the buses that taps carry, all taps together.
  var tapBuses: [String] { ports.contains { $0 is TapPort } ? TapPort.buses : [] }

  /// Names of all buses as captures number them: those of taps stand behind the CAN buses.
  var allBuses: [String] { canBuses + tapBuses }

  /// What taps said since the last time, under the numbers of `allBuses`.
  func takeFromTaps() -> [TapContent] {
    let first = UInt16(clamping: canBuses.count)
    var contents: [TapContent] = []
    for case let tap as TapPort in ports {
      for content in tap.take() {
        guard case .record(var record) = content else {
          contents.append(content)
          continue
        }
        noteSource(of: record.bus, tap.name)
        record.bus = BusID(record.bus.index &+ first)
        contents.append(.record(record))
      }
    }
    return contents
  }

  /// Tells of a chain that comes from a second tap: what the two say of it cannot be told apart.
  private func noteSource(of bus: BusID, _ tap: String) {
    let place = Int(bus.index)
    guard let first = tapOf[place] else {
      tapOf[place] = tap
      return
    }
    guard first != tap, toldOfTaps.insert(place).inserted else { return }
    output.note(
      "linkbms: \(TapPort.buses[place]) comes from \(first) and from \(tap): one system has one, and what the two say of it is "
        + "mixed; capture each tap by itself")
  }

  /// Tells of the first line that is none of a tap's.
  func noteStrange(_ line: String) {
    guard !hasStrangeLines else { return }
    hasStrangeLines = true
    output.note(
      "linkbms: the tap: found \(line), expected lines of chain1, chain2 or pdu (Dissectors/TAP.md); such lines are left out")
  }
}
