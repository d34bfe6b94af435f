import Bus

/// Frames in text that people paste: forum posts, serial logs of emulators, tables, `struct can_frame` dumps, between any prose.
///
/// A line without a frame is prose: counted, never damage. A line that nearly is a frame (a length that does not fit its bytes) is
/// reported. Source: conventions.md §1, last part.
public struct PastedTextFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var console = CandumpConsoleFormat()
  /// Columns of a logic analyser's table, once its header was seen.
  private var table: DecoderTable?

  /// Nothing read or written yet.
  public init() {}

  /// What a line turned out to be.
  enum Finding {
    case frame(CANFrame, time: (nanoseconds: Int64, digits: Int)? = nil, direction: Direction = .unknown)
    case mistake(String)
    case prose
  }

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    if let header = DecoderTable(header: line.bytes) {
      table = header
      ignoredLines &+= 1
      return
    }
    switch PastedTextFormat.find(line.bytes, table) {
    case .frame(let frame, let time, let direction):
      var record = CANRecord(
        time: time.map { Timestamp(nanoseconds: $0.nanoseconds) }, precision: TimePrecision(fractionDigits: time?.digits ?? 0),
        direction: direction, frame: frame)
      record.bus = buses.id(of: "pasted", announcingTo: &sink)
      sink.receive(record)
    case .mistake(let expected): sink.report(line.problem(found: quoted(line.bytes, limit: 100), expected: expected))
    case .prose: ignoredLines &+= 1
    }
  }

  /// The first form that fits.
  static func find(_ bytes: UnsafeRawBufferPointer, _ table: DecoderTable?) -> Finding {
    guard bytes.count >= 5, bytes.count <= 4096 else { return .prose }
    if let table, let finding = table.read(bytes) { return finding }
    for form in [espHome, structDump, labelled, semicolons, markdownRow, vector, consoleLine, idLengthBytes] {
      switch form(ByteCursor(bytes)) {
      case .prose: continue
      case let finding: return finding
      }
    }
    return .prose
  }

  // MARK: Forms

  /// `send can_id: 0x351 hex: 28 2 0 …`, and ESPHome's own `can_id: 0x351` with `data: [28, 02]`.
  private static func espHome(_ start: ByteCursor) -> Finding {
    var cursor = start
    guard cursor.find(ignoringCase: "can_id") else { return .prose }
    cursor.skip(separators: true)
    guard let id = cursor.number(defaultBase: 16) else { return .prose }
    let isExtended = start.contains(ignoringCase: "extended") || start.contains(ignoringCase: "use_extended_id: true")
    guard cursor.find(ignoringCase: "hex") || cursor.find(ignoringCase: "data") else { return .prose }
    cursor.skip(separators: true)
    return make(id, cursor.bytes(), length: nil, isExtended: isExtended ? true : nil)
  }

  /// `Buffer (HEX): [0x51, 0x03, 0x00, 0x00, 0x08, …]`: Linux's `struct can_frame`, little-endian.
  private static func structDump(_ start: ByteCursor) -> Finding {
    guard start.contains(ignoringCase: "hex"), start.contains(ignoringCase: "0x") else { return .prose }
    var cursor = start
    guard let open = cursor.upTo(0x5B), open.count < 200 else { return .prose }
    let bytes = cursor.bytes(most: 72)
    guard bytes.count == 16 || bytes.count == 72 else { return .prose }
    let word = bytes[0..<4].enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << UInt32($1.offset * 8) }
    let length = Int(bytes[4])
    guard length <= (bytes.count == 16 ? 8 : 64) else { return .mistake("a length of at most 8 in byte 4 of the struct can_frame") }
    var frame = CANFrame()
    if word & 0x2000_0000 != 0 { frame.flags.insert(.error) }
    frame.id = word & 0x2000_0000 == 0 && word & 0x8000_0000 != 0 ? .extended(word) : ArbitrationID(rawValue: word & 0x1FFF_FFFF)
    if word & 0x4000_0000 != 0 { frame.flags.insert(.remote) }
    if bytes.count == 72 { frame.flags.insert(.fd) }
    frame.length = UInt8(length)
    for index in 0..<length { frame.setByte(index, bytes[8 + index]) }
    return .frame(frame)
  }

  /// `Standard ID: 0x351 DLC: 8 Data: 0x44 …`, `CANId=0x351, FrameLength=8, Data=0x28, …`, `ID: 351 Data: 44 02`.
  private static func labelled(_ start: ByteCursor) -> Finding {
    var cursor = start
    guard cursor.find(wordIgnoringCase: "id") || cursor.find(ignoringCase: "canid") else { return .prose }
    guard cursor.skip(separators: true) > 0, let id = cursor.number(defaultBase: 16) else { return .prose }
    var length: Int?
    for label in ["dlc", "framelength", "length", "len"] as [StaticString] {
      var copy = cursor
      guard copy.find(ignoringCase: label), copy.skip(separators: true) > 0, let value = copy.number(defaultBase: 10) else {
        continue
      }
      length = Int(value.value)
      break
    }
    guard cursor.find(ignoringCase: "data") else { return .prose }
    cursor.skip(separators: true)
    let isExtended: Bool? = start.contains(ignoringCase: "extended") ? true : start.contains(ignoringCase: "standard") ? false : nil
    let bytes = cursor.bytes()
    if bytes.isEmpty, length != 0 { return .prose }
    return make(id, bytes, length: length, isExtended: isExtended)
  }

  /// `27033815171;0;190;8;000000150000000f`: time in µs, extended, ID, length, data.
  private static func semicolons(_ start: ByteCursor) -> Finding {
    var cursor = start
    guard let time = cursor.decimal(), cursor.take(0x3B), let extended = cursor.decimal(), extended <= 1, cursor.take(0x3B),
      let id = cursor.hexadecimal(), cursor.take(0x3B), let length = cursor.decimal(), length <= 64, cursor.take(0x3B)
    else { return .prose }
    guard cursor.remaining == Int(length) * 2 else { return .mistake("\(length) bytes behind the last semicolon") }
    var bytes: [UInt8] = []
    while let pair = cursor.pair() { bytes.append(pair) }
    guard case .frame(let frame, _, _) = make(id, bytes, length: Int(length), isExtended: extended == 1) else {
      return .mistake("\(length) hexadecimal bytes behind the last semicolon")
    }
    guard time < 9_000_000_000_000_000 else { return .frame(frame) }
    return .frame(frame, time: (Int64(time) * 1000, 6))
  }

  /// `| 305 | 00 00 00 00 00 00 00 00 | … |`.
  private static func markdownRow(_ start: ByteCursor) -> Finding {
    var cursor = start
    cursor.skipBlanks()
    guard cursor.take(0x7C) else { return .prose }
    cursor.skipBlanks()
    guard let id = cursor.number(defaultBase: 16) else { return .prose }
    cursor.skipBlanks()
    guard cursor.take(0x7C) else { return .prose }
    cursor.skipBlanks()
    let bytes = cursor.bytes(most: 64, pairsOnly: true)
    guard !bytes.isEmpty else { return .prose }
    cursor.skipBlanks()
    guard cursor.isAtEnd || cursor.peek() == 0x7C else { return .prose }
    return make(id, bytes, length: nil, isExtended: nil)
  }

  /// `00000351#C608FA00FA008007`, alone or as the first word that has that shape.
  private static func vector(_ start: ByteCursor) -> Finding {
    var cursor = start
    while !cursor.isAtEnd {
      cursor.skipBlanks()
      let word = cursor.word()
      guard let hash = word.firstIndex(of: 0x23), hash == 3 || hash == 8 else { continue }
      var inner = ByteCursor(word)
      guard let frame = try? CandumpLogFormat.frame(&inner), inner.isAtEnd else { continue }
      return .frame(frame)
    }
    return .prose
  }

  /// `  can0  351   [8]  28 02 …` in the middle of a post.
  private static func consoleLine(_ start: ByteCursor) -> Finding {
    var cursor = start
    guard cursor.contains(0x5B), cursor.contains(0x5D) else { return .prose }
    cursor.skipBlanks()
    // A bus name may stand before the ID; a time may stand before it all.
    for _ in 0..<5 {
      var copy = cursor
      if let id = copy.hexadecimal(most: 8), id.digits == 3 || id.digits == 8, copy.skipBlanks() > 0, copy.take(0x5B),
        let length = copy.decimal(), copy.take(0x5D)
      {
        copy.skipBlanks()
        let bytes = copy.bytes(most: Int(min(64, length)))
        return make(id, bytes, length: Int(length), isExtended: id.digits == 8)
      }
      cursor.skipBlanks()
      if cursor.word().isEmpty { break }
    }
    return .prose
  }

  /// `3010 8 0E DF 14 …`: ID, length, that many bytes, and little else on the line.
  private static func idLengthBytes(_ start: ByteCursor) -> Finding {
    var cursor = start
    cursor.skipBlanks()
    let isPrefixed = cursor.hasPrefix(ignoringCase: "0x")
    guard let id = cursor.number(defaultBase: 16), id.digits >= 3, cursor.skipBlanks() > 0, let length = cursor.decimal(),
      length <= 8,
      cursor.skipBlanks() > 0
    else { return .prose }
    let bytes = cursor.bytes(most: 9, pairsOnly: true)
    // Prose may well begin with a number: only pairs of digits make it a frame.
    guard bytes.count >= 1 else { return .prose }
    cursor.skipBlanks()
    guard bytes.count == length else {
      return cursor.isAtEnd && (isPrefixed || bytes.count >= 3)
        ? .mistake("\(length) data bytes as the length says, found \(bytes.count)") : .prose
    }
    return make(id, bytes, length: Int(length), isExtended: nil)
  }

  // MARK: Frames

  /// - Parameter isExtended: what the text says of the width; by the number of digits and its size if it says nothing.
  static func make(_ id: (value: UInt64, digits: Int), _ bytes: [UInt8], length: Int?, isExtended: Bool?) -> Finding {
    guard id.value <= 0x1FFF_FFFF else { return .mistake("an arbitration ID of at most 29 bits") }
    if isExtended == false, id.value > 0x7FF { return .mistake("a standard ID of at most 7FF") }
    var frame = CANFrame()
    let number = UInt32(id.value)
    frame.id = isExtended ?? (id.digits > 4 || number > 0x7FF) ? .extended(number) : .standard(number)
    if let length, length != bytes.count { return .mistake("\(length) data bytes as the length says, found \(bytes.count)") }
    guard bytes.count <= 8 || CANFrame.isFDLength(UInt8(clamping: bytes.count)), bytes.count <= 64 else {
      return .mistake("at most 8 data bytes, found \(bytes.count)")
    }
    if bytes.count > 8 { frame.flags.insert(.fd) }
    frame.length = UInt8(bytes.count)
    for (index, byte) in bytes.enumerated() { frame.setByte(index, byte) }
    return .frame(frame)
  }
}

/// A table of decoded frames as logic-analyser scripts write it: a header names `can_id`, `data_hex`, `dlc` and a time.
struct DecoderTable: Sendable {
  private var id: Int
  private var data: Int
  private var length: Int?
  private var microseconds: Int?
  private var kind: Int?

  /// Reads a header line; `nil` if it is none.
  init?(header bytes: UnsafeRawBufferPointer) {
    guard bytes.count < 1024, bytes.contains(0x2C) else { return nil }
    let names = String(decoding: bytes, as: UTF8.self).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard let id = names.firstIndex(of: "can_id"), let data = names.firstIndex(where: { $0 == "data_hex" || $0 == "data" }) else {
      return nil
    }
    self.id = id
    self.data = data
    length = names.firstIndex(of: "dlc")
    microseconds = names.firstIndex(of: "start_us")
    kind = names.firstIndex(of: "frame_type")
  }

  /// Reads a row; `nil` if it has not enough columns.
  func read(_ bytes: UnsafeRawBufferPointer) -> PastedTextFormat.Finding? {
    let fields = DelimitedLine.fields(bytes, separator: 0x2C)
    guard fields.count > max(id, data) else { return nil }
    var idCursor = ByteCursor(fields[id])
    guard let number = idCursor.number(defaultBase: 16), idCursor.isAtEnd else {
      return .mistake("an arbitration ID in column \(id + 1)")
    }
    var dataCursor = ByteCursor(fields[data])
    let payload = dataCursor.bytes(most: 64, pairsOnly: true)
    var count: Int?
    if let length, length < fields.count {
      var cursor = ByteCursor(fields[length])
      count = cursor.decimal().map(Int.init)
    }
    var isExtended: Bool?
    if let kind, kind < fields.count { isExtended = !ByteCursor(fields[kind]).hasPrefix("standard") }
    guard case .frame(let frame, _, _) = PastedTextFormat.make(number, payload, length: count, isExtended: isExtended) else {
      return PastedTextFormat.make(number, payload, length: count, isExtended: isExtended)
    }
    guard let microseconds, microseconds < fields.count else { return .frame(frame) }
    var time = ByteCursor(fields[microseconds])
    guard let value = time.seconds(), value.nanoseconds < 9_000_000_000_000_000_000 / 1 else { return .frame(frame) }
    // The column is in µs: its digits after the point are nanoseconds.
    return .frame(frame, time: (value.nanoseconds / 1_000_000, 9))
  }
}

/// Lines of fields with a separator and quotes.
enum DelimitedLine {
  /// The fields, quotes removed where they enclose a whole field.
  static func fields(_ bytes: UnsafeRawBufferPointer, separator: UInt8) -> [UnsafeRawBufferPointer] {
    var result: [UnsafeRawBufferPointer] = []
    var start = 0
    var isQuoted = false
    for index in 0...bytes.count {
      if index < bytes.count, bytes[index] == 0x22 { isQuoted.toggle() }
      guard index == bytes.count || (bytes[index] == separator && !isQuoted) else { continue }
      var field = bytes[start..<index]
      if field.count >= 2, field.first == 0x22, field.last == 0x22 { field = field.dropFirst().dropLast() }
      result.append(UnsafeRawBufferPointer(rebasing: field))
      start = index + 1
      if result.count >= 128 { break }
    }
    return result
  }
}
