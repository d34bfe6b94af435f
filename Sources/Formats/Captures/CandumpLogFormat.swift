import Bus

/// candump's compact log, any shape of line the grammar allows (conventions.md §1): what the fast tier leaves, and what is wrong with
/// a bad line.
///
/// `(time) bus id#data`, `id#R8_9` remote, `id#1122334455667788_9` raw DLC, `id##5112233` FD with flags, error frames, ` R`/` T`.
public struct CandumpLogFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = line.cursor
    cursor.skipBlanks()
    if cursor.isAtEnd || cursor.peek() == 0x23 {
      ignoredLines &+= 1
      return
    }
    if cursor.hasPrefix("DROPCOUNT") { return sink.report(CandumpLogFormat.dropCount(line)) }
    guard cursor.take(0x28) else { return sink.report(line.problem(expected: "(seconds.fraction) bus id#data")) }
    guard let time = cursor.seconds(), cursor.take(0x29), cursor.skipBlanks() > 0 else {
      return sink.report(line.problem(expected: "a time as (seconds.fraction) and a blank"))
    }
    let name = cursor.word()
    guard !name.isEmpty, cursor.skipBlanks() > 0 else {
      return sink.report(line.problem(expected: "a bus name and a frame behind the time"))
    }
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: time.nanoseconds)
    record.precision = TimePrecision(fractionDigits: time.digits)
    do throws(Mistake) {
      record.frame = try CandumpLogFormat.frame(&cursor)
      record.direction = try CandumpLogFormat.direction(&cursor)
    } catch {
      return sink.report(line.problem(error.kind, found: quoted(line.bytes, limit: 80), expected: error.expected))
    }
    record.bus = buses.id(of: name, announcingTo: &sink)
    if CandumpLogFormat.isSideBus(name) {
      sink.receive(CandumpLogFormat.sideRecord(record, name))
    } else {
      sink.receive(record)
    }
  }

  /// What is wrong with a frame.
  struct Mistake: Error {
    var expected: String
    var kind = CaptureProblem.Kind.damaged
  }

  /// The buses that carry chain frames and PDU records (linkslave-chain.md §13.4).
  static func isSideBus(_ name: UnsafeRawBufferPointer) -> Bool {
    switch name.count {
    case 3: name.elementsEqual("pdu".utf8)
    case 6: name.elementsEqual("chain1".utf8) || name.elementsEqual("chain2".utf8)
    default: false
    }
  }

  /// `DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 3)`.
  static func dropCount(_ line: Line) -> CaptureProblem {
    var cursor = line.cursor
    while !cursor.isAtEnd, cursor.peek() &- 0x30 >= 10 { cursor.skip() }
    let count = cursor.decimal() ?? 1
    return CaptureProblem(
      .framesLost, at: line.position, found: quoted(line.bytes, limit: 80), expected: "no frames dropped by the recorder",
      count: max(1, count))
  }

  /// `id#…`, up to the blank behind it.
  static func frame(_ cursor: inout ByteCursor) throws(Mistake) -> CANFrame {
    guard let id = cursor.hexadecimal(most: 8) else { throw Mistake(expected: "an arbitration ID of 3 or 8 hexadecimal digits") }
    if id.digits == 5, cursor.peek() == 0x23 {
      throw Mistake(expected: "a classic or FD frame: CAN XL is not supported", kind: .incomplete)
    }
    guard id.digits == 3 || id.digits == 8 else { throw Mistake(expected: "an arbitration ID of 3 or 8 digits, not \(id.digits)") }
    guard cursor.take(0x23) else { throw Mistake(expected: "# behind the arbitration ID") }
    var frame = CANFrame()
    let number = UInt32(truncatingIfNeeded: id.value)
    if id.digits == 3 {
      guard number <= 0x7FF else { throw Mistake(expected: "an 11-bit ID, at most 7FF") }
      frame.id = .standard(number)
    } else if number & 0x2000_0000 != 0 {
      frame.flags = .error
      frame.id = ArbitrationID(rawValue: number & 0x1FFF_FFFF)
    } else {
      guard number <= 0x1FFF_FFFF else { throw Mistake(expected: "a 29-bit ID, at most 1FFFFFFF") }
      frame.id = .extended(number)
    }
    if cursor.take(0x23) {
      try fdPayload(&cursor, &frame)
    } else if cursor.take(0x52) || cursor.take(0x72) {
      try remote(&cursor, &frame)
    } else {
      try payload(&cursor, &frame, most: 8)
      try rawDLC(&cursor, &frame)
    }
    guard cursor.isAtEnd || cursor.peek() == 0x20 || cursor.peek() == 0x09 else {
      throw Mistake(expected: "pairs of hexadecimal digits, at most \(frame.flags.contains(.fd) ? 64 : 8), and nothing behind them")
    }
    return frame
  }

  /// `##<flags><data>`: one hexadecimal digit of flags, 1 BRS, 2 ESI, 4 FDF.
  private static func fdPayload(_ cursor: inout ByteCursor, _ frame: inout CANFrame) throws(Mistake) {
    let flags = hexDigitValue(cursor.peek())
    guard flags < 16, !cursor.isAtEnd else { throw Mistake(expected: "one digit of FD flags behind ##") }
    cursor.skip()
    frame.flags.insert(.fd)
    if flags & 1 != 0 { frame.flags.insert(.bitRateSwitch) }
    if flags & 2 != 0 { frame.flags.insert(.errorStateIndicator) }
    try payload(&cursor, &frame, most: 64)
    guard CANFrame.isFDLength(frame.length) else {
      throw Mistake(expected: "a length that an FD frame can have (0…8, 12, 16, 20, 24, 32, 48, 64), not \(frame.length)")
    }
  }

  /// `R`, `R8`, `R8_9`.
  private static func remote(_ cursor: inout ByteCursor, _ frame: inout CANFrame) throws(Mistake) {
    frame.flags.insert(.remote)
    let digit = hexDigitValue(cursor.peek())
    guard !cursor.isAtEnd, digit < 16 else { return }
    guard digit <= 8 else { throw Mistake(expected: "a remote length 0…8") }
    frame.length = digit
    cursor.skip()
    try rawDLC(&cursor, &frame)
  }

  /// `_9` … `_F` behind a frame of eight bytes.
  private static func rawDLC(_ cursor: inout ByteCursor, _ frame: inout CANFrame) throws(Mistake) {
    guard cursor.take(0x5F) else { return }
    let value = hexDigitValue(cursor.peek())
    guard !cursor.isAtEnd, (9...15).contains(value), frame.length == 8 else {
      throw Mistake(expected: "a raw DLC _9 … _F behind eight bytes")
    }
    cursor.skip()
    frame.rawDLC = value
  }

  private static func payload(_ cursor: inout ByteCursor, _ frame: inout CANFrame, most: UInt8) throws(Mistake) {
    while true {
      // Points between bytes are legal.
      if frame.length > 0, cursor.peek() == 0x2E { cursor.skip() }
      let high = hexDigitValue(cursor.peek())
      guard !cursor.isAtEnd, high < 16 else { return }
      let low = hexDigitValue(cursor.peek(1))
      guard cursor.remaining >= 2, low < 16 else { throw Mistake(expected: "an even number of hexadecimal digits") }
      guard frame.length < most else { throw Mistake(expected: "at most \(most) data bytes") }
      frame.setByte(Int(frame.length), high << 4 | low)
      frame.length += 1
      cursor.skip(2)
    }
  }

  private static func direction(_ cursor: inout ByteCursor) throws(Mistake) -> Direction {
    cursor.skipBlanks()
    if cursor.isAtEnd { return .unknown }
    let letter = cursor.peek()
    cursor.skip()
    cursor.skipBlanks()
    if cursor.isAtEnd, letter == 0x52 { return .received }
    if cursor.isAtEnd, letter == 0x54 { return .transmitted }
    throw Mistake(expected: "R or T behind the frame, or nothing")
  }

  /// A chain line's pseudo-ID is the kind of frame; the header of §13.3 is put before its bytes.
  private static func sideRecord(_ record: CANRecord, _ name: UnsafeRawBufferPointer) -> SideRecord {
    let isPDU = name.count == 3
    let chain = name.last.map { $0 &- 0x30 } ?? 0
    let frame = record.frame
    let data = (0..<frame.payloadLength).map { frame.byte($0) }
    // A PDU line's pseudo-ID says what it holds; 0 is a record of the controller as it stands (Dissectors/TAP.md).
    var bytes: [UInt8] = frame.id.number == 0 ? data : [PDULine.mark | UInt8(frame.id.number & 0xF)] + data
    if !isPDU {
      let kinds: [UInt32: UInt8] = [0: 3, 1: 0, 2: 1, 3: 2]
      let generation: UInt8 = data.count == 5 ? 1 : data.count == 6 ? 2 : 0
      bytes = [1, chain, (kinds[frame.id.number] ?? 0) | generation << 2, UInt8(clamping: data.count * 8), 0, 0, 0, 0] + data
    }
    return SideRecord(
      kind: isPDU ? .pdu : .chain, time: record.time, precision: record.precision, bus: record.bus, direction: record.direction,
      bytes: bytes)
  }
}
