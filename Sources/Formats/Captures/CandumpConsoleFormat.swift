import Bus

/// candump's console output in any of its forms (`-t a/A/d/z`, `-N`, `-x`, `-a`, `-i`, `-S`, `-e`, `-8`, `-c`).
///
/// `(time)  can0  RX B -  00004210  [8]  A5 09 …  '....'`: what stands behind the bytes is an explanation and is not read.
/// Source: conventions.md §1.
public struct CandumpConsoleFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  /// Sum of the time differences so far, if the capture was made with `-t d`.
  private var clock = CandumpClock()

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    // Colours are escape sequences between the words.
    if line.bytes.contains(0x1B) {
      var plain = ANSIText.stripped(line.bytes)
      return plain.withUnsafeMutableBytes { bytes in
        read(
          Line(
            bytes: UnsafeRawBufferPointer(bytes), number: line.number, byteOffset: line.byteOffset, isTerminated: line.isTerminated),
          cursor: ByteCursor(UnsafeRawBufferPointer(bytes)), buses: &buses, into: &sink)
      }
    }
    read(line, cursor: line.cursor, buses: &buses, into: &sink)
  }

  private mutating func read(_ line: Line, cursor start: ByteCursor, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = start
    // The explanation that `-e` puts below an error frame begins with a tab.
    if cursor.peek() == 0x09 {
      ignoredLines &+= 1
      return
    }
    cursor.skipBlanks()
    if cursor.isAtEnd || cursor.peek() == 0x23 {
      ignoredLines &+= 1
      return
    }
    if cursor.hasPrefix("DROPCOUNT") { return sink.report(CandumpLogFormat.dropCount(line)) }
    do throws(CandumpLogFormat.Mistake) {
      var record = CANRecord()
      try clock.read(&cursor, into: &record)
      let name = cursor.word()
      guard !name.isEmpty else { throw .init(expected: "a bus name") }
      cursor.skipBlanks()
      CandumpConsoleFormat.columns(&cursor, &record)
      try CandumpConsoleFormat.frame(&cursor, &record)
      record.bus = buses.id(of: name, announcingTo: &sink)
      sink.receive(record)
    } catch {
      sink.report(line.problem(error.kind, found: quoted(line.bytes, limit: 80), expected: error.expected))
    }
  }

  /// `RX B -`: direction, bit-rate switch and error state indicator, where `-x` was given.
  private static func columns(_ cursor: inout ByteCursor, _ record: inout CANRecord) {
    let before = cursor.offset
    if cursor.take("RX") {
      record.direction = .received
    } else if cursor.take("TX") {
      record.direction = .transmitted
    }
    guard cursor.offset != before, cursor.peek() == 0x20 else {
      record.direction = .unknown
      cursor.offset = before
      return
    }
    cursor.skipBlanks()
    for (letter, flag) in [(UInt8(0x42), CANFrame.Flags.bitRateSwitch), (UInt8(0x45), .errorStateIndicator)] {
      guard cursor.peek(1) == 0x20, cursor.peek() == letter || cursor.peek() == 0x2D else { continue }
      if cursor.peek() == letter { record.frame.flags.insert(flag) }
      cursor.skip()
      cursor.skipBlanks()
    }
  }

  private static func frame(_ cursor: inout ByteCursor, _ record: inout CANRecord) throws(CandumpLogFormat.Mistake) {
    guard let id = cursor.hexadecimal(most: 8), id.digits == 3 || id.digits == 8 else {
      throw .init(expected: "an arbitration ID of 3 or 8 hexadecimal digits")
    }
    let number = UInt32(truncatingIfNeeded: id.value)
    if id.digits == 8, number & 0x2000_0000 != 0 {
      record.frame.flags.insert(.error)
      record.frame.id = ArbitrationID(rawValue: number & 0x1FFF_FFFF)
    } else {
      record.frame.id = id.digits == 3 ? .standard(number) : .extended(number)
    }
    cursor.skipBlanks()
    let isRaw = cursor.peek() == 0x7B
    guard cursor.take(0x5B) || cursor.take(0x7B) else { throw .init(expected: "[length] behind the arbitration ID") }
    let digitsBefore = cursor.offset
    guard let length = isRaw ? cursor.hexadecimal(most: 2)?.value : cursor.decimal(), length <= 64 else {
      if cursor.remaining >= 4 { throw .init(expected: "a length 0…64: CAN XL is not supported", kind: .incomplete) }
      throw .init(expected: "a length 0…64")
    }
    // FD frames have two digits even below ten.
    let isFD = !isRaw && cursor.offset - digitsBefore == 2
    guard cursor.take(0x5D) || cursor.take(0x7D) else { throw .init(expected: "] behind the length") }
    if isFD { record.frame.flags.insert(.fd) } else { record.frame.flags.subtract([.bitRateSwitch, .errorStateIndicator]) }
    if isRaw, length > 8 { record.frame.rawDLC = UInt8(clamping: length) }
    cursor.skipBlanks()
    if cursor.hasPrefix("remote request") {
      record.frame.flags.insert(.remote)
      record.frame.length = UInt8(clamping: min(8, length))
      return
    }
    try payload(&cursor, &record.frame, count: Int(isRaw ? min(8, length) : length))
  }

  /// Bytes with blanks between them; with `` ` `` between them in reverse order (`-S`); as binary digits (`-i`).
  private static func payload(_ cursor: inout ByteCursor, _ frame: inout CANFrame, count: Int) throws(CandumpLogFormat.Mistake) {
    var bytes: [UInt8] = []
    var isSwapped = false
    while bytes.count < count {
      cursor.skipBlanks()
      let start = cursor.offset
      guard let value = byte(&cursor) else {
        throw .init(expected: "\(count) data bytes as the length says, found \(bytes.count)")
      }
      bytes.append(value)
      if cursor.take(0x60) { isSwapped = true }
      guard cursor.offset > start else { break }
    }
    if isSwapped { bytes.reverse() }
    for (index, value) in bytes.enumerated() { frame.setByte(index, value) }
    frame.length = UInt8(clamping: count)
  }

  private static func byte(_ cursor: inout ByteCursor) -> UInt8? {
    // Eight binary digits, else two hexadecimal ones.
    if (0..<8).allSatisfy({ cursor.peek($0) & 0xFE == 0x30 }), cursor.remaining >= 8,
      cursor.remaining == 8 || hexDigitValue(cursor.peek(8)) > 15
    {
      var value: UInt8 = 0
      for _ in 0..<8 {
        value = value << 1 | (cursor.peek() & 1)
        cursor.skip()
      }
      return value
    }
    guard let value = cursor.hexadecimal(most: 2), value.digits == 2 else { return nil }
    return UInt8(truncatingIfNeeded: value.value)
  }
}

/// The time in front of a console line, in any form; differences are added up.
struct CandumpClock {
  private var sum: Int64 = 0
  private var last: Int64?
  private var isDelta = false
  private var seen = 0

  /// Reads `(…)` if it stands there and sets the record's time.
  mutating func read(_ cursor: inout ByteCursor, into record: inout CANRecord) throws(CandumpLogFormat.Mistake) {
    guard cursor.take(0x28) else { return }
    if let date = CandumpClock.date(&cursor) {
      record.time = Timestamp(nanoseconds: date.nanoseconds)
      record.precision = TimePrecision(fractionDigits: date.digits)
    } else if let time = cursor.seconds() {
      record.time = Timestamp(nanoseconds: settle(time.nanoseconds))
      record.precision = TimePrecision(fractionDigits: time.digits)
    } else {
      throw .init(expected: "a time in brackets: seconds or a date")
    }
    guard cursor.take(0x29) else { throw .init(expected: ") behind the time") }
    cursor.skipBlanks()
  }

  /// Small times that fall within the first frames are differences (`-t d`): they are added up from the first fall on. A capture
  /// whose differences never fall reads as zero-based, which puts its frames too close together but loses none.
  private mutating func settle(_ time: Int64) -> Int64 {
    seen += 1
    if let last, time < last, seen <= 32, last < 60_000_000_000 { isDelta = true }
    last = time
    sum = isDelta ? sum &+ time : time
    return sum
  }

  /// `2023-11-14 22:13:20.000001`, taken as UTC: the zone is not in the text.
  static func date(_ cursor: inout ByteCursor) -> (nanoseconds: Int64, digits: Int)? {
    var copy = cursor
    guard let year = copy.decimal(), copy.take(0x2D), let month = copy.decimal(), copy.take(0x2D), let day = copy.decimal(),
      year >= 1970, year < 2200, (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    copy.skipBlanks()
    guard let hour = copy.decimal(), copy.take(0x3A), let minute = copy.decimal(), copy.take(0x3A), let second = copy.seconds(),
      hour < 24, minute < 60, second.nanoseconds < 61_000_000_000
    else { return nil }
    cursor = copy
    let days = CivilDate.days(year: Int64(year), month: Int64(month), day: Int64(day))
    return ((days * 86_400 + Int64(hour) * 3600 + Int64(minute) * 60) * 1_000_000_000 + second.nanoseconds, second.digits)
  }
}

/// Dates of the proleptic Gregorian calendar.
enum CivilDate {
  /// Days since 1970-01-01.
  static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

/// Text with terminal colours.
enum ANSIText {
  /// The bytes without escape sequences.
  static func stripped(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      guard bytes[index] == 0x1B else {
        result.append(bytes[index])
        index += 1
        continue
      }
      index += 1
      if index < bytes.count, bytes[index] == 0x5B { index += 1 }
      while index < bytes.count, !(0x40...0x7E).contains(bytes[index]) { index += 1 }
      index += 1
    }
    return result
  }
}
