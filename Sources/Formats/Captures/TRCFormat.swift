import Bus

/// PEAK TRC 1.0, 1.1, 1.3, 2.0 and 2.1. The width of an ID is the number of its digits; bus N is `canN`.
///
/// Times are milliseconds since `$STARTTIME`, days since 1899-12-30. Source: conventions.md §3.
public struct TRCFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var version = 10
  private var start: Int64 = 0
  /// Columns of version 2: `N,O,T,B,I,d,R,L,D`.
  private var columns: [UInt8] = []

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = line.cursor
    cursor.skipBlanks()
    if cursor.isAtEnd || cursor.peek() == 0x3B {
      header(cursor)
      ignoredLines &+= 1
      return
    }
    var record = CANRecord()
    do throws(CandumpLogFormat.Mistake) {
      let isFrame = version >= 20 ? try second(&cursor, &record, &buses, &sink) : try first(&cursor, &record, &buses, &sink)
      if isFrame { sink.receive(record) } else { ignoredLines &+= 1 }
    } catch {
      sink.report(line.problem(error.kind, expected: error.expected))
    }
  }

  private mutating func header(_ cursor: ByteCursor) {
    var cursor = cursor
    cursor.skip()
    if cursor.take("$FILEVERSION=") {
      if let major = cursor.decimal(), major < 10 {
        version = Int(major) * 10
        if cursor.take(0x2E), let minor = cursor.decimal() { version += Int(min(9, minor)) }
      }
      if version >= 20, columns.isEmpty { columns = Array("NOTIdLD".utf8) }
    } else if cursor.take("$STARTTIME=") {
      start = TRCFormat.days(&cursor) ?? 0
    } else if cursor.take("$COLUMNS=") {
      columns = cursor.rest.filter { $0 != 0x2C && $0 > 0x20 }
    }
  }

  /// Days with a fraction since 1899-12-30 as nanoseconds since 1970, right to some ten nanoseconds; `nil` if it is no number.
  private static func days(_ cursor: inout ByteCursor) -> Int64? {
    guard let days = cursor.decimal(), days < 200_000 else { return nil }
    var fraction = 0.0
    var scale = 0.1
    if cursor.take(0x2E) {
      while case let digit = cursor.peek() &- 0x30, digit < 10 {
        fraction += Double(digit) * scale
        scale /= 10
        cursor.skip()
      }
    }
    // 25 569 days lie before 1970.
    return (Int64(days) - 25_569) * 86_400_000_000_000 + Int64((fraction * 86_400_000_000_000).rounded())
  }

  /// Milliseconds since the start.
  private mutating func time(_ cursor: inout ByteCursor, _ record: inout CANRecord) throws(CandumpLogFormat.Mistake) {
    cursor.skipBlanks()
    guard let milliseconds = cursor.seconds(), milliseconds.nanoseconds >= 0 else {
      throw .init(expected: "a time in milliseconds")
    }
    record.time = Timestamp(nanoseconds: start &+ milliseconds.nanoseconds / 1000)
    record.precision = TimePrecision(fractionDigits: min(9, 3 + milliseconds.digits))
    cursor.skipBlanks()
  }

  // MARK: Versions 1.x

  /// `1)  17535.4 Tx 00000100 8 00 …`; 1.0 has no type; 1.3 has a bus.
  private mutating func first(
    _ cursor: inout ByteCursor, _ record: inout CANRecord, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> Bool {
    guard cursor.decimal() != nil, cursor.take(0x29) else { throw .init(expected: "a message number and )") }
    try time(&cursor, &record)
    var channel: UInt64 = 1
    if version >= 12, cursor.peek() &- 0x30 < 10, cursor.peek(1) == 0x20 || cursor.peek(2) == 0x20 {
      channel = cursor.decimal() ?? 1
      cursor.skipBlanks()
    }
    if version > 10 {
      let type = cursor.word()
      cursor.skipBlanks()
      switch String(decoding: type.prefix(8), as: UTF8.self) {
      case "Rx": record.direction = .received
      case "Tx": record.direction = .transmitted
      case "Warng": return try warning(&cursor, &record, channel, &buses, &sink)
      case "Error": return try errorFrame(&cursor, &record, channel, &buses, &sink)
      default: throw .init(expected: "Rx, Tx, Warng or Error")
      }
    }
    record.frame.id = try identifier(&cursor)
    if version >= 13, cursor.take(0x2D) { cursor.skipBlanks() }
    guard let length = cursor.decimal(), length <= 15 else { throw .init(expected: "a length 0…8") }
    cursor.skipBlanks()
    if length > 8 { record.frame.rawDLC = UInt8(length) }
    try payload(&cursor, &record.frame, count: Int(min(8, length)))
    record.bus = buses.id(of: "can\(channel)", announcingTo: &sink)
    return true
  }

  /// `Warng FFFFFFFF 4 00 00 00 08 BUSHEAVY`: the controller's state as an error frame.
  private func warning(
    _ cursor: inout ByteCursor, _ record: inout CANRecord, _ channel: UInt64, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> Bool {
    record.frame.flags = .error
    record.frame.length = 8
    let text = cursor.rest
    if ByteCursor(text).contains(ignoringCase: "busoff") {
      record.frame.id = ArbitrationID(rawValue: 0x40)
    } else {
      record.frame.id = ArbitrationID(rawValue: 0x4)
      // Passive (BUSHEAVY) or warning (BUSLIGHT), on receiving and sending alike.
      record.frame.setByte(1, ByteCursor(text).contains(ignoringCase: "heavy") ? 0x30 : 0x0C)
    }
    record.bus = buses.id(of: "can\(channel)", announcingTo: &sink)
    return true
  }

  private func errorFrame(
    _ cursor: inout ByteCursor, _ record: inout CANRecord, _ channel: UInt64, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> Bool {
    record.frame.flags = .error
    record.frame.id = ArbitrationID(rawValue: 0x80)
    record.frame.length = 8
    record.bus = buses.id(of: "can\(channel)", announcingTo: &sink)
    return true
  }

  // MARK: Versions 2.x

  private mutating func second(
    _ cursor: inout ByteCursor, _ record: inout CANRecord, _ buses: inout BusTable, _ sink: inout some RecordSink
  ) throws(CandumpLogFormat.Mistake) -> Bool {
    var channel: UInt64 = 1
    var type: [UInt8] = Array("DT".utf8)
    var hasLength = false
    for column in columns {
      cursor.skipBlanks()
      switch column {
      case 0x4E: _ = cursor.word()
      case 0x4F: try time(&cursor, &record)
      case 0x54: type = Array(cursor.word().prefix(2))
      case 0x42: channel = cursor.decimal() ?? 1
      case 0x49:
        if cursor.take(0x2D) || TRCFormat.isStatus(type) { cursor.skip(0) } else { record.frame.id = try identifier(&cursor) }
        if TRCFormat.isStatus(type), hexDigitValue(cursor.peek()) < 16 { _ = cursor.word() }
      case 0x64:
        let word = cursor.word()
        record.direction = ByteCursor(word).hasPrefix("Tx") ? .transmitted : ByteCursor(word).hasPrefix("Rx") ? .received : .unknown
      case 0x4C, 0x6C:
        guard let value = cursor.decimal(), value <= 64 else { throw .init(expected: "a length") }
        hasLength = true
        length(value, isDLC: column == 0x4C, type, &record.frame)
      case 0x44:
        if type.elementsEqual("RR".utf8) || TRCFormat.isStatus(type) { break }
        try payload(&cursor, &record.frame, count: Int(record.frame.length))
      default: _ = cursor.word()
      }
    }
    guard hasLength else { throw .init(expected: "a line with a length (column L or l)") }
    guard try classify(type, &record.frame, cursor) else { return false }
    record.bus = buses.id(of: "can\(channel)", announcingTo: &sink)
    return true
  }

  private static func isStatus(_ type: [UInt8]) -> Bool {
    type.elementsEqual("ST".utf8) || type.elementsEqual("ER".utf8) || type.elementsEqual("EC".utf8) || type.elementsEqual("EV".utf8)
  }

  /// L is the DLC, l the number of bytes.
  private func length(_ value: UInt64, isDLC: Bool, _ type: [UInt8], _ frame: inout CANFrame) {
    let isFD = type.first == 0x46 || type.elementsEqual("BI".utf8)
    if isDLC, isFD {
      frame.length = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64][Int(min(15, value))]
    } else {
      if isDLC, value > 8 { frame.rawDLC = UInt8(min(15, value)) }
      frame.length = UInt8(isFD ? value : min(8, value))
    }
  }

  private func classify(_ type: [UInt8], _ frame: inout CANFrame, _ cursor: ByteCursor) throws(CandumpLogFormat.Mistake) -> Bool {
    switch String(decoding: type, as: UTF8.self) {
    case "DT": break
    case "RR": frame.flags = .remote
    case "FD": frame.flags = .fd
    case "FB": frame.flags = [.fd, .bitRateSwitch]
    case "FE": frame.flags = [.fd, .errorStateIndicator]
    case "BI": frame.flags = [.fd, .bitRateSwitch, .errorStateIndicator]
    case "ER":
      frame.flags = .error
      frame.id = ArbitrationID(rawValue: 0x80)
      frame.length = 8
    case "ST":
      // Four bytes of controller state: 1 bus-off in the last of them, 2 passive, 4 warning (light).
      frame.flags = .error
      frame.length = 8
      var copy = cursor
      let bytes = copy.bytes(most: 4, pairsOnly: true)
      let state = bytes.last ?? 0
      frame.id = ArbitrationID(rawValue: state & 0x10 != 0 ? 0x40 : 0x4)
      if state & 0x10 == 0 { frame.setByte(1, state & 0x8 != 0 ? 0x30 : state & 0x4 != 0 ? 0x0C : 0x40) }
    case "EC", "EV": return false
    default: throw .init(expected: "a type DT, RR, FD, FB, FE, BI, ST, ER or EC")
    }
    return true
  }

  // MARK: Pieces

  private func identifier(_ cursor: inout ByteCursor) throws(CandumpLogFormat.Mistake) -> ArbitrationID {
    guard let id = cursor.hexadecimal(most: 8), id.value <= 0x1FFF_FFFF else { throw .init(expected: "an arbitration ID") }
    cursor.skipBlanks()
    guard id.digits > 4 || id.value <= 0x7FF else { throw .init(expected: "an 11-bit ID of at most 07FF") }
    return id.digits > 4 ? .extended(UInt32(id.value)) : .standard(UInt32(id.value))
  }

  private func payload(_ cursor: inout ByteCursor, _ frame: inout CANFrame, count: Int) throws(CandumpLogFormat.Mistake) {
    if cursor.hasPrefix("RTR") {
      frame.flags = .remote
      frame.length = UInt8(clamping: count)
      return
    }
    for index in 0..<count {
      guard let value = cursor.hexadecimal(most: 2) else {
        throw .init(expected: "\(count) data bytes as the length says, found \(index)")
      }
      frame.setByte(index, UInt8(value.value))
      cursor.skipBlanks()
    }
    frame.length = UInt8(clamping: count)
  }
}
