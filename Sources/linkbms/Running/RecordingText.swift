import Analysis
import Bus
import Controller
import Formats

/// A run as bytes: pcapng with everything that went into the engine and came out, and beside it candump lines with remarks for people.
/// Whoever owns it takes the bytes and writes them where they belong.
final class RecordingText {
  /// Of the pcapng file, since they were taken last.
  private(set) var capture: [UInt8] = []
  /// Of the file with lines.
  private(set) var log: [UInt8] = []
  private var writer = PcapngWriter()
  private var lines = CandumpWriter()
  private var buffer = ByteBuffer()
  private let names: [String]
  /// Whether chains are marked as simulated.
  private let isSimulated: Bool

  static let pdu = BusID(0)
  static let chain1 = BusID(1)
  static let chain2 = BusID(2)
  /// The first CAN port.
  static func port(_ place: Int) -> BusID { BusID(UInt16(clamping: 3 + place)) }

  init(ports: [String], isSimulated: Bool) {
    self.isSimulated = isSimulated
    names = ["pdu", "chain1", "chain2"] + ports
    for (index, name) in names.enumerated() { lines.addBus(BusID(UInt16(index)), named: name, into: &buffer) }
    buffer.removeAll()
    begin()
  }

  /// What a file begins with: section and buses.
  private func begin() {
    writer = PcapngWriter()
    writer.begin(into: &buffer)
    for (index, name) in names.enumerated() { writer.addBus(BusID(UInt16(index)), named: name, into: &buffer) }
    capture += taken()
  }

  /// What comes now goes into another file, the `number`th of this recording. It can be read alone, but for the controller: what its
  /// engine knows by now is the outcome of everything since its start, which is in the first file.
  func goOn(number: Int, first: String, _ time_ns: Int64, stamp: String) {
    begin()
    let whole = "replay --through-engine needs all of its files up to here, joined with cat"
    event("file \(number) of the recording that begins with \(first); \(whole)", time_ns, stamp: stamp)
  }

  /// What a later file is to whoever looks for the controller's start in it.
  static func laterFile(steps: UInt64) -> String {
    "found \(steps) steps of the controller without its start, as in a later file of a recording; expected all of its files from the "
      + "first on, joined with cat"
  }

  private func taken() -> [UInt8] {
    defer { buffer.removeAll() }
    return buffer.withBytes { Array($0) }
  }

  /// Takes what has gathered.
  func take() -> (capture: [UInt8], log: [UInt8]) {
    defer {
      capture.removeAll(keepingCapacity: true)
      log.removeAll(keepingCapacity: true)
    }
    return (capture, log)
  }

  func engine(_ record: EngineRecord, _ time_ns: Int64) {
    writer.write(
      SideRecord(
        kind: .pdu, time: Timestamp(nanoseconds: time_ns), precision: .nanoseconds, bus: RecordingText.pdu, bytes: record.bytes),
      into: &buffer)
    capture += taken()
  }

  /// A line of the PDU, for people: the engine's own records hold the same.
  func logLine(_ line: PDULine, _ time_ns: Int64) {
    lines.write(sideRecord(.pdu(line), time_ns), into: &buffer)
    log += taken()
  }

  /// A line of a chain: in both files. One of the PDU: only for people.
  func line(_ line: TapLine, _ time_ns: Int64) {
    if case .pdu(let content) = line { return logLine(content, time_ns) }
    let record = sideRecord(line, time_ns)
    writer.write(record, into: &buffer)
    capture += taken()
    lines.write(record, into: &buffer)
    log += taken()
  }

  private func sideRecord(_ line: TapLine, _ time_ns: Int64) -> SideRecord {
    line.record(
      time: Timestamp(nanoseconds: time_ns), buses: (RecordingText.pdu, RecordingText.chain1, RecordingText.chain2),
      isSimulated: isSimulated)
  }

  func frame(_ record: CANRecord) {
    writer.write(record, into: &buffer)
    capture += taken()
    lines.write(record, into: &buffer)
    log += taken()
  }

  /// An event: a packet and a remark.
  func event(_ text: String, _ time_ns: Int64, stamp: String) {
    engine(.event(text), time_ns)
    log += Array("# \(stamp)  \(text)\n".utf8)
  }
}
