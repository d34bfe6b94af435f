public import Bus

/// Writes PEAK TRC 2.1 with columns N, O, T, B, I, d, R, L, D.
public struct TRCWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var channels = ChannelTable(first: 1)
  private var origin: Int64?
  private var number: UInt64 = 0

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {}
  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) { channels.add(name) }
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) { if origin == nil { header(0, &output) } }

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    let own = record.time.nanoseconds
    let time = record.precision == .none ? (origin ?? 0) : own
    // A whole day's fraction in `$STARTTIME` has to come out exact: the start is the full second.
    let start = origin ?? time / 1_000_000_000 * 1_000_000_000
    if origin == nil { header(start, &output) }
    origin = start
    losses.note(record, without: [.errorDetail, .timeDigits])
    if record.direction == .unknown { losses.note(.direction) }
    let frame = record.frame
    if frame.flags.contains(.error), frame.rawDLC > 0 { losses.note(.rawDLC) }
    number &+= 1
    let channel = channels.number(record.bus)
    if channels.foreignName(record.bus) != nil { losses.note(.busName) }
    let offset = ByteText.decimal((time &- start) / 1000, decimals: 3)
    var line = "\(String(number).leftPadded(7)) \(offset.leftPadded(13)) \(type(frame)) \(channel) "
    if frame.flags.contains(.error) {
      // The type of error and its place are unknown: 1 bit error, position 0, counters 0.
      line += "       - \(record.direction == .transmitted ? "Tx" : "Rx") -  5    01 00 00 00 00\n"
      return output.append(string: line.replacing("\n", with: "\r\n"))
    }
    let digits = String(frame.id.number, radix: 16, uppercase: true)
    let id = String(repeating: "0", count: max(0, (frame.id.isExtended ? 8 : 4) - digits.utf8.count)) + digits
    line += "\(id.leftPadded(8)) \(record.direction == .transmitted ? "Tx" : "Rx") - \(String(dlc(frame)).leftPadded(2))    "
    output.append(string: line)
    output.append(payload: frame, separator: 0x20)
    output.append("\r\n")
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { losses.note(.sideRecord) }

  private func type(_ frame: CANFrame) -> String {
    if frame.flags.contains(.error) { return "ER" }
    if frame.flags.contains(.remote) { return "RR" }
    guard frame.flags.contains(.fd) else { return "DT" }
    switch (frame.flags.contains(.bitRateSwitch), frame.flags.contains(.errorStateIndicator)) {
    case (true, true): return "BI"
    case (true, false): return "FB"
    case (false, true): return "FE"
    case (false, false): return "FD"
    }
  }

  private func dlc(_ frame: CANFrame) -> Int {
    guard frame.flags.contains(.fd) else { return Int(frame.rawDLC > 8 ? frame.rawDLC : frame.length) }
    return [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64].firstIndex(of: Int(frame.length)) ?? 15
  }

  private func header(_ start: Int64, _ output: inout ByteBuffer) {
    let days = start / 86_400_000_000_000 + 25_569
    let rest = start % 86_400_000_000_000
    // Days with thirteen digits after the point: some ten nanoseconds.
    let fraction = Double(rest) / 86_400_000_000_000
    let digits = Int64((fraction * 1e13).rounded())
    let text = "\(days).\(String(repeating: "0", count: max(0, 13 - String(digits).utf8.count)))\(digits)"
    output.append(
      string: ";$FILEVERSION=2.1\r\n;$STARTTIME=\(text)\r\n;$COLUMNS=N,O,T,B,I,d,R,L,D\r\n;\r\n;   Written by linkbms\r\n")
    output.append(";---+-- ------+------ +- + --+----- +- +- +--- -- -+ -- --\r\n")
  }
}

/// Decimal numbers from integers.
enum ByteText {
  static func decimal(_ mantissa: Int64, decimals: Int) -> String {
    var digits = String(mantissa.magnitude)
    if digits.utf8.count <= decimals { digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits }
    digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -decimals))
    return mantissa < 0 ? "-" + digits : digits
  }
}

extension String {
  func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - utf8.count)) + self }
}
