import Bus

@testable import Formats

/// Keeps what a reader gives, in a form that a failing test can show.
struct RecordCollector: RecordSink {
  var records: [CANRecord] = []
  var sideRecords: [SideRecord] = []
  var names: [String] = []
  var problems: [CaptureProblem] = []

  mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }
  mutating func receive(_ record: borrowing CANRecord) { records.append(copy record) }
  mutating func receive(_ record: SideRecord) { sideRecords.append(record) }
  mutating func report(_ problem: CaptureProblem) { problems.append(problem) }

  /// `1.500000 can0 R 351#1122`, with everything that a record holds.
  var lines: [String] { records.map { RecordCollector.text($0, names) } }

  static func text(_ record: CANRecord, _ names: [String]) -> String {
    let frame = record.frame
    let id = String(frame.id.number, radix: 16, uppercase: true)
    let width = frame.id.isExtended ? 8 : 3
    var text = record.precision == .none ? "-" : "\(record.time.nanoseconds)/\(record.precision.rawValue)"
    text += " \(Int(record.bus.index) < names.count ? names[Int(record.bus.index)] : "?")"
    text += " \(["?", "R", "T"][Int(record.direction.rawValue)]) "
    text += String(repeating: "0", count: max(0, width - id.utf8.count)) + id + (frame.flags.contains(.error) ? "!" : "#")
    if frame.flags.contains(.remote) { text += "R" }
    if frame.flags.contains(.fd) {
      text += "FD" + (frame.flags.contains(.bitRateSwitch) ? "b" : "") + (frame.flags.contains(.errorStateIndicator) ? "e" : "")
    }
    text += "[\(frame.length)]"
    if frame.rawDLC > 0 { text += "_\(frame.rawDLC)" }
    for index in 0..<frame.payloadLength {
      let byte = String(frame.byte(index), radix: 16, uppercase: true)
      text += byte.utf8.count == 1 ? "0" + byte : byte
    }
    return text
  }

  /// Reads a whole capture, recognising its format unless told.
  static func read(_ bytes: [UInt8], as format: CaptureFormat? = nil) -> RecordCollector {
    var sink = RecordCollector()
    bytes.withUnsafeBytes { buffer in
      guard let format = format ?? FormatDetector.guesses(buffer).first?.format else { return }
      var reader = CaptureReader(format)
      _ = reader.read(buffer, isEnd: true, into: &sink)
    }
    return sink
  }

  static func read(_ text: String, as format: CaptureFormat? = nil) -> RecordCollector { read(Array(text.utf8), as: format) }
}
