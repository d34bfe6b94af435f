import Bus

/// Battery-Emulator's logs: `(7.556) TX1 54A [8] 10 0 70 2 …` (new), `7556  54A  8  10 0 70 …` (old serial form).
///
/// The digit behind TX/RX is twice the interface, plus one for TX; lower case is classic, upper case with more than eight bytes FD. The
/// clock starts at 0 with the emulator and wraps at 100 000 s. Source: conventions.md §1.
public struct BatteryEmulatorFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var offset: Int64 = 0
  private var last: Int64 = 0

  /// The clock's range.
  private static let wrap_ns: Int64 = 100_000 * 1_000_000_000

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = line.cursor
    cursor.skipBlanks()
    let isNew = cursor.peek() == 0x28
    guard isNew || cursor.peek() &- 0x30 < 10 else {
      ignoredLines &+= 1
      return
    }
    do throws(CandumpLogFormat.Mistake) {
      var record = isNew ? try newForm(&cursor, &buses, &sink) : try oldForm(&cursor, &buses, &sink)
      let time = record.time.nanoseconds
      if last - time > BatteryEmulatorFormat.wrap_ns / 2 {
        offset &+= BatteryEmulatorFormat.wrap_ns
        sink.report(
          line.problem(.wrap, found: quoted(line.bytes, limit: 40), expected: "a clock that runs on; it wraps at 100 000 s"))
      }
      last = time
      record.time.nanoseconds = time &+ offset
      sink.receive(record)
    } catch {
      sink.report(line.problem(error.kind, expected: error.expected))
    }
  }

  private func newForm(
    _ cursor: inout ByteCursor, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> CANRecord {
    cursor.skip()
    // Below one second some versions write milliseconds without a point.
    let before = cursor.offset
    guard var time = cursor.seconds() else { throw .init(expected: "a time as (seconds.milliseconds)") }
    if time.digits == 0, cursor.offset - before <= 3 { time = (time.nanoseconds / 1000, 3) }
    guard cursor.take(0x29) else { throw .init(expected: ") behind the time") }
    cursor.skipBlanks()
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: time.nanoseconds)
    record.precision = TimePrecision(fractionDigits: time.digits)
    if cursor.hasPrefix(ignoringCase: "rx") {
      record.direction = .received
    } else if cursor.hasPrefix(ignoringCase: "tx") {
      record.direction = .transmitted
    } else {
      throw .init(expected: "RX or TX with the interface's digit")
    }
    cursor.skip(2)
    guard let digit = cursor.decimal(), digit < 64 else { throw .init(expected: "the interface's digit behind RX or TX") }
    record.bus = buses.id(of: "can\(digit / 2)", announcingTo: &sink)
    cursor.skipBlanks()
    record.frame = try frame(&cursor)
    return record
  }

  private func oldForm(
    _ cursor: inout ByteCursor, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> CANRecord {
    guard let milliseconds = cursor.decimal(), milliseconds < 9_000_000_000_000, cursor.skipBlanks() > 0 else {
      throw .init(expected: "milliseconds and a blank")
    }
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: Int64(milliseconds) * 1_000_000)
    record.precision = .milliseconds
    record.frame = try frame(&cursor)
    record.bus = buses.id(of: "can0", announcingTo: &sink)
    return record
  }

  /// `54A [8] 10 0 70 2`, `54A  8  10 0 70`.
  private func frame(_ cursor: inout ByteCursor) throws(CandumpLogFormat.Mistake) -> CANFrame {
    guard let id = cursor.hexadecimal(most: 8), id.value <= 0x1FFF_FFFF else { throw .init(expected: "an arbitration ID") }
    var frame = CANFrame()
    frame.id = id.digits > 4 || id.value > 0x7FF ? .extended(UInt32(id.value)) : .standard(UInt32(id.value))
    cursor.skipBlanks()
    let isBracketed = cursor.take(0x5B)
    guard let length = cursor.decimal(), length <= 64, CANFrame.isFDLength(UInt8(length)), !isBracketed || cursor.take(0x5D) else {
      throw .init(expected: "[length] 0…64")
    }
    let bytes = cursor.bytes(most: Int(length) + 1)
    guard bytes.count == length else { throw .init(expected: "\(length) data bytes as the length says, found \(bytes.count)") }
    frame.length = UInt8(length)
    // Old logs are upper case throughout: only a longer payload proves an FD frame there.
    if length > 8 { frame.flags.insert(.fd) }
    for (index, byte) in bytes.enumerated() { frame.setByte(index, byte) }
    return frame
  }
}
