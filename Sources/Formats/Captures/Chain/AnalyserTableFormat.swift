import Bus

/// SPI tables of logic analysers: Saleae Logic 2 (`name,type,start_time,…,mosi,miso`), Logic 1.x (`Time [s],Packet ID,MOSI,MISO`),
/// sigrok's annotations (`spi-1: 00 01 01 01 7A`), and tables of raw levels (Saleae's digital export, PulseView's CSV). Source: linkslave-chain.md §13.2.
public struct AnalyserTableFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var columns: [String: Int] = [:]
  private var isLogic1 = false
  private var assembler = ChainAssembler()
  private var mosi: [UInt8] = []
  private var miso: [UInt8] = []
  private var start: Int64?
  private var isOpen = false
  private var packet = ""
  private var levels = LevelTable()

  /// Nothing read yet.
  public init() {}

  /// What the header's words are, if it is one.
  static func columns(_ line: UnsafeRawBufferPointer) -> [String: Int]? {
    let words = DelimitedLine.fields(line, separator: 0x2C).map {
      String(decoding: $0, as: UTF8.self).lowercased().filter { $0 != "\"" }
    }
    let places = Dictionary(words.enumerated().map { ($1.filter { $0 != " " }, $0) }) { first, _ in first }
    if places["type"] != nil, places["start_time"] != nil, places["mosi"] != nil || places["miso"] != nil { return places }
    if places["packetid"] != nil, places["mosi"] != nil || places["miso"] != nil { return places }
    return nil
  }

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    if let header = AnalyserTableFormat.columns(line.bytes) {
      columns = header
      isLogic1 = header["packetid"] != nil
      ignoredLines &+= 1
      return
    }
    let text = String(decoding: line.bytes, as: UTF8.self)
    if columns.isEmpty, !text.hasPrefix("spi") {
      if levels.isOpen, !text.hasPrefix(";"), text.first?.isNumber ?? false || text.hasPrefix("-") {
        if !levels.row(text, buses: &buses, into: &sink) {
          sink.report(line.problem(expected: "a time and a level, 0 or 1, for each channel of the header"))
        }
        return
      }
      if levels.header(text) {
        ignoredLines &+= 1
        return
      }
    }
    if text.hasPrefix("spi") { return annotation(text, line, &buses, &sink) }
    guard !columns.isEmpty, !text.isEmpty else {
      ignoredLines &+= 1
      return
    }
    let fields = DelimitedLine.fields(line.bytes, separator: 0x2C).map { String(decoding: $0, as: UTF8.self) }
    if isLogic1 { logic1(fields, line, &buses, &sink) } else { logic2(fields, line, &buses, &sink) }
  }

  /// The last period ends with the file.
  public mutating func finish(buses: inout BusTable, into sink: inout some RecordSink) {
    close(nil, &buses, &sink)
    levels.finish(buses: &buses, into: &sink)
  }

  /// Whether a line begins a table of levels.
  static func isLevelHeader(_ line: UnsafeRawBufferPointer) -> Bool {
    guard line.count < 4096 else { return false }
    var table = LevelTable()
    return table.header(String(decoding: line, as: UTF8.self)) && table.isOpen
  }

  private func field(_ name: String, _ fields: [String]) -> String? {
    guard let place = columns[name], place < fields.count else { return nil }
    return fields[place].filter { $0 != "\"" && $0 != " " }
  }

  private func byte(_ text: String?) -> UInt8? {
    guard let text, !text.isEmpty else { return nil }
    if text.hasPrefix("0x") || text.hasPrefix("0X") { return UInt8(text.dropFirst(2), radix: 16) }
    if text.hasPrefix("0b") { return UInt8(text.dropFirst(2), radix: 2) }
    return UInt8(text)
  }

  private func time(_ text: String?) -> Int64? {
    guard var text else { return nil }
    return text.withUTF8 { bytes in
      var cursor = ByteCursor(UnsafeRawBufferPointer(bytes))
      guard let time = cursor.seconds(), cursor.isAtEnd else { return nil }
      return time.nanoseconds
    }
  }

  private mutating func take(_ fields: [String]) -> Bool {
    let out = byte(field("mosi", fields))
    let back = byte(field("miso", fields))
    if let out { mosi.append(out) }
    if let back { miso.append(back) }
    return out != nil || back != nil
  }

  private mutating func logic2(_ fields: [String], _ line: Line, _ buses: inout BusTable, _ sink: inout some RecordSink) {
    let now = time(field("start_time", fields))
    switch field("type", fields) {
    case "enable":
      close(nil, &buses, &sink)
      start = now
      isOpen = true
    case "disable": close(now, &buses, &sink)
    case "result":
      if !isOpen { (start, isOpen) = (now, true) }
      if !take(fields) { sink.report(line.problem(expected: "a byte such as 0x3F under mosi or miso")) }
    case "error": sink.report(line.problem(expected: "a byte; the analyser met an error here"))
    default: sink.report(line.problem(expected: "enable, result, disable or error under type"))
    }
  }

  private mutating func logic1(_ fields: [String], _ line: Line, _ buses: inout BusTable, _ sink: inout some RecordSink) {
    let now = time(field("time[s]", fields))
    let id = field("packetid", fields) ?? ""
    if id != packet {
      close(nil, &buses, &sink)
      packet = id
    }
    if !isOpen { (start, isOpen) = (now, true) }
    if !take(fields) { sink.report(line.problem(expected: "a byte such as 0x3F or 63 under MOSI or MISO")) }
  }

  /// `spi-1: 00 01 01 01 7A`: a whole transfer; single bytes are gathered until a frame's CRC fits.
  private mutating func annotation(_ text: String, _ line: Line, _ buses: inout BusTable, _ sink: inout some RecordSink) {
    let words = text.split(separator: ":", maxSplits: 1).last.map { $0.split(separator: " ") } ?? []
    let bytes = words.compactMap { UInt8($0, radix: 16) }
    guard !bytes.isEmpty, bytes.count == words.count else {
      ignoredLines &+= 1
      return
    }
    if bytes.count > 1 { return assembler.emit(bytes, bits: bytes.count * 8, at: nil, buses: &buses, into: &sink) }
    mosi += bytes
    for count in [5, 6] where mosi.count >= count {
      let frame = Array(mosi.suffix(count))
      guard ChainSum.fits(frame) else { continue }
      let lost = mosi.count - count
      if lost > 0 { assembler.emit(Array(mosi.prefix(lost)), bits: lost * 8, at: nil, buses: &buses, into: &sink) }
      assembler.emit(frame, bits: count * 8, at: nil, buses: &buses, into: &sink)
      mosi = []
      return
    }
  }

  /// One chip-select period has ended.
  private mutating func close(_ end: Int64?, _ buses: inout BusTable, _ sink: inout some RecordSink) {
    defer {
      mosi = []
      miso = []
      isOpen = false
    }
    let duration = end.flatMap { end in start.map { end - $0 } } ?? 0
    let isSilent = { (bytes: [UInt8]) in bytes.allSatisfy { $0 == 0 } || bytes.allSatisfy { $0 == 0xFF } }
    if mosi.isEmpty, miso.isEmpty {
      if isOpen { assembler.emit([], bits: 0, at: start, duration: duration, buses: &buses, into: &sink) }
      return
    }
    for bytes in [mosi, miso] where !bytes.isEmpty && !isSilent(bytes) {
      assembler.emit(bytes, bits: bytes.count * 8, at: start, duration: duration, buses: &buses, into: &sink)
    }
  }
}

/// The chain's CRC over a whole frame: 0 where it fits (linkslave-chain.md §3.4).
enum ChainSum {
  static func fits(_ bytes: [UInt8]) -> Bool {
    var register: UInt8 = 0x42
    for byte in bytes {
      register ^= byte
      for _ in 0..<8 { register = register & 0x80 != 0 ? register << 1 ^ 0x2F : register << 1 }
    }
    return register == 0
  }
}
