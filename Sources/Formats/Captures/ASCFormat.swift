import Bus

/// Vector ASC: classic and FD, absolute and relative times, hexadecimal and decimal base.
///
/// `   0.010001 1  351             Rx   d 8 45 02 …`; extended IDs end in `x`; `ErrorFrame`; `CANFD` lines. Channel N is bus `canN`.
/// Source: conventions.md §3; field order of `CANFD` as python-can's tests have it.
public struct ASCFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var isDecimal = false
  private var isRelative = false
  private var start: Int64 = 0
  private var clock: Int64 = 0

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = line.cursor
    cursor.skipBlanks()
    guard cursor.peek() &- 0x30 < 10 else {
      header(cursor)
      ignoredLines &+= 1
      return
    }
    guard let time = cursor.seconds(), cursor.skipBlanks() > 0 else {
      return sink.report(line.problem(expected: "a time in seconds and a channel"))
    }
    clock = isRelative ? clock &+ time.nanoseconds : time.nanoseconds
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: start &+ clock)
    record.precision = TimePrecision(fractionDigits: time.digits)
    do throws(CandumpLogFormat.Mistake) {
      let isFD = cursor.take("CANFD")
      if isFD { cursor.skipBlanks() }
      let channelWord = cursor.word()
      var channelCursor = ByteCursor(channelWord)
      guard let channel = channelCursor.decimal(), channelCursor.isAtEnd, cursor.skipBlanks() > 0 else {
        // "Start of measurement", statistics, LIN and the like.
        ignoredLines &+= 1
        return
      }
      guard try isFD ? fd(&cursor, &record) : classic(&cursor, &record) else {
        ignoredLines &+= 1
        return
      }
      record.bus = buses.id(of: "can\(channel)", announcingTo: &sink)
      sink.receive(record)
    } catch {
      sink.report(line.problem(error.kind, expected: error.expected))
    }
  }

  // MARK: Header

  private mutating func header(_ cursor: ByteCursor) {
    var cursor = cursor
    if cursor.take("date") {
      if let date = ASCDate.parse(cursor.rest) { start = date }
    } else if cursor.hasPrefix("base") {
      isDecimal = cursor.contains(ignoringCase: "dec")
      isRelative = cursor.contains(ignoringCase: "relative")
    }
  }

  // MARK: Frames

  /// `351x Rx d 8 45 …`, `351 Tx r 8`, `ErrorFrame`. `false` for an event that is no frame.
  private func classic(_ cursor: inout ByteCursor, _ record: inout CANRecord) throws(CandumpLogFormat.Mistake) -> Bool {
    let word = cursor.word()
    cursor.skipBlanks()
    if ByteCursor(word).hasPrefix("ErrorFrame") {
      record.frame.flags = .error
      // ASC keeps no detail: the class for "bus error" stands for it.
      record.frame.id = ArbitrationID(rawValue: 0x80)
      record.frame.length = 8
      return true
    }
    guard let id = identifier(word) else { return false }
    record.frame.id = id
    try direction(&cursor, &record)
    let kind = cursor.word()
    cursor.skipBlanks()
    guard kind.count == 1, let letter = kind.first, letter | 0x20 == 0x64 || letter | 0x20 == 0x72 else {
      throw .init(expected: "d (data) or r (remote) behind the direction")
    }
    if letter | 0x20 == 0x72 {
      record.frame.flags = .remote
      // The length may be missing; what follows may be `Length = …`.
      record.frame.length = UInt8(clamping: min(8, number(&cursor) ?? 0))
      return true
    }
    guard let length = number(&cursor), length <= 15 else { throw .init(expected: "a length 0…15") }
    if length > 8 { record.frame.rawDLC = UInt8(length) }
    try payload(&cursor, &record.frame, count: Int(min(8, length)))
    return true
  }

  /// `Rx id [name] BRS ESI dlc length data duration bits flags …`.
  private func fd(_ cursor: inout ByteCursor, _ record: inout CANRecord) throws(CandumpLogFormat.Mistake) -> Bool {
    try direction(&cursor, &record)
    let word = cursor.word()
    cursor.skipBlanks()
    if ByteCursor(word).hasPrefix("ErrorFrame") {
      record.frame.flags = .error
      record.frame.id = ArbitrationID(rawValue: 0x80)
      record.frame.length = 8
      return true
    }
    guard let id = identifier(word) else { throw .init(expected: "an arbitration ID behind the direction") }
    record.frame.id = id
    // A symbolic name may stand before the two flags of one digit.
    if !(cursor.peek() & 0xFE == 0x30 && (cursor.peek(1) == 0x20 || cursor.peek(1) == 0x09)) {
      _ = cursor.word()
      cursor.skipBlanks()
    }
    guard let brs = cursor.decimal(), brs <= 1, cursor.skipBlanks() > 0, let esi = cursor.decimal(), esi <= 1,
      cursor.skipBlanks() > 0,
      let dlc = cursor.hexadecimal(most: 2), dlc.value <= 15, cursor.skipBlanks() > 0, let length = cursor.decimal(), length <= 64
    else { throw .init(expected: "BRS, ESI, DLC and length") }
    cursor.skipBlanks()
    try payload(&cursor, &record.frame, count: Int(length))
    cursor.skipBlanks()
    _ = cursor.word()
    cursor.skipBlanks()
    _ = cursor.word()
    cursor.skipBlanks()
    // Without the flags word everything on a CANFD line is an FD frame.
    let flags = cursor.hexadecimal(most: 8)?.value ?? 0x1000
    if flags & 0x1000 != 0 || length > 8 { record.frame.flags.insert(.fd) }
    if record.frame.flags.contains(.fd) {
      if brs == 1 { record.frame.flags.insert(.bitRateSwitch) }
      if esi == 1 { record.frame.flags.insert(.errorStateIndicator) }
    } else if dlc.value > 8 {
      record.frame.rawDLC = UInt8(dlc.value)
    }
    if flags & 0x10 != 0, !record.frame.flags.contains(.fd) {
      record.frame.flags.insert(.remote)
      record.frame.length = UInt8(min(8, dlc.value))
    }
    return true
  }

  private func identifier(_ word: UnsafeRawBufferPointer) -> ArbitrationID? {
    var cursor = ByteCursor(word)
    guard let value = isDecimal ? cursor.decimal() : cursor.hexadecimal(most: 8)?.value, value <= 0x1FFF_FFFF else { return nil }
    let isExtended = cursor.take(0x78) || cursor.take(0x58)
    guard cursor.isAtEnd, isExtended || value <= 0x7FF else { return nil }
    return isExtended ? .extended(UInt32(value)) : .standard(UInt32(value))
  }

  private func direction(_ cursor: inout ByteCursor, _ record: inout CANRecord) throws(CandumpLogFormat.Mistake) {
    if cursor.hasPrefix(ignoringCase: "rx") {
      record.direction = .received
    } else if cursor.hasPrefix(ignoringCase: "tx") {
      record.direction = .transmitted
    } else {
      throw .init(expected: "Rx or Tx")
    }
    // `TxRq` is a request to send, not a frame on the bus, but it is all that some logs have of it.
    _ = cursor.word()
    cursor.skipBlanks()
  }

  private func number(_ cursor: inout ByteCursor) -> UInt64? {
    let value = isDecimal ? cursor.decimal() : cursor.hexadecimal(most: 2)?.value
    cursor.skipBlanks()
    return value
  }

  private func payload(_ cursor: inout ByteCursor, _ frame: inout CANFrame, count: Int) throws(CandumpLogFormat.Mistake) {
    for index in 0..<count {
      guard let value = isDecimal ? cursor.decimal() : cursor.hexadecimal(most: 2)?.value, value <= 255 else {
        throw .init(expected: "\(count) data bytes as the length says, found \(index)")
      }
      frame.setByte(index, UInt8(value))
      cursor.skipBlanks()
    }
    frame.length = UInt8(clamping: count)
  }
}

/// The date in an ASC header: `Tue Nov 14 10:13:20.123 PM 2023`, with English or German names.
enum ASCDate {
  private static let months: [String: Int64] = [
    "jan": 1, "feb": 2, "mar": 3, "mär": 3, "mrz": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "oct": 10,
    "okt": 10, "nov": 11, "dec": 12, "dez": 12,
  ]

  /// Nanoseconds since 1970, the text taken as UTC; `nil` if it is no date.
  static func parse(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ").map(String.init)
    guard words.count >= 4, let monthIndex = words.firstIndex(where: { months[String($0.lowercased().prefix(3))] != nil }),
      monthIndex + 2 < words.count, let month = months[String(words[monthIndex].lowercased().prefix(3))],
      let day = Int64(words[monthIndex + 1].filter { $0 != "." }), (1...31).contains(day)
    else { return nil }
    var year: Int64?
    var time: Int64?
    var isAfternoon: Bool?
    for word in words[(monthIndex + 2)...] {
      if word.contains(":") {
        time = clock(word)
      } else if word.lowercased() == "pm" || word.lowercased() == "am" {
        isAfternoon = word.lowercased() == "pm"
      } else if let value = Int64(word), (1970...2200).contains(value) {
        year = value
      }
    }
    guard let year, var time else { return nil }
    let halfDay: Int64 = 12 * 3600 * 1_000_000_000
    if isAfternoon == true, time < halfDay { time += halfDay }
    if isAfternoon == false, time >= halfDay { time -= halfDay }
    return CivilDate.days(year: year, month: month, day: day) * 86_400 * 1_000_000_000 + time
  }

  private static func clock(_ word: String) -> Int64? {
    let parts = word.split(separator: ":").map(String.init)
    guard parts.count == 3, let hour = Int64(parts[0]), let minute = Int64(parts[1]), hour < 24, minute < 60, hour >= 0, minute >= 0
    else {
      return nil
    }
    var second = parts[2]
    let nanoseconds = second.withUTF8 { bytes -> Int64? in
      var cursor = ByteCursor(UnsafeRawBufferPointer(bytes))
      return cursor.seconds()?.nanoseconds
    }
    guard let nanoseconds, nanoseconds < 61_000_000_000 else { return nil }
    return (hour * 3600 + minute * 60) * 1_000_000_000 + nanoseconds
  }
}
