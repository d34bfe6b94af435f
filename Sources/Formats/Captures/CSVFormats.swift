import Bus

/// SavvyCAN and GVRET CSV: `Time Stamp,ID,Extended,Dir,Bus,LEN,D1,…,D8`, µs, IDs in hexadecimal; older files have no `Dir`.
///
/// Source: conventions.md §3.
public struct SavvyCANFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var hasDirection = true
  private var hasHeader = false

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    let fields = DelimitedLine.fields(line.bytes, separator: 0x2C)
    if line.bytes.isEmpty || ByteCursor(line.bytes).hasPrefix(ignoringCase: "time stamp") {
      if !line.bytes.isEmpty { hasDirection = line.cursor.contains(ignoringCase: ",dir,") }
      hasHeader = true
      ignoredLines &+= 1
      return
    }
    do throws(CandumpLogFormat.Mistake) {
      var record = try record(fields)
      let bus = fields[hasDirection ? 4 : 3]
      record.bus = buses.id(of: "can" + String(decoding: bus.prefix(8), as: UTF8.self), announcingTo: &sink)
      sink.receive(record)
    } catch {
      sink.report(line.problem(error.kind, expected: error.expected))
    }
  }

  private func record(_ fields: [UnsafeRawBufferPointer]) throws(CandumpLogFormat.Mistake) -> CANRecord {
    let first = hasDirection ? 6 : 5
    guard fields.count >= first else {
      throw .init(expected: "at least \(first) fields: time, ID, extended, \(hasDirection ? "direction, " : "")bus, length")
    }
    var time = ByteCursor(fields[0])
    time.skipBlanks()
    guard let microseconds = time.decimal(), microseconds < 9_000_000_000_000_000 else {
      throw .init(expected: "a time in microseconds first")
    }
    var idCursor = ByteCursor(fields[1])
    _ = idCursor.take("0x")
    guard let id = idCursor.hexadecimal(most: 8), id.value <= 0x1FFF_FFFF else { throw .init(expected: "an arbitration ID second") }
    let isExtended = ByteCursor(fields[2]).hasPrefix(ignoringCase: "true") || ByteCursor(fields[2]).peek() == 0x31
    guard isExtended || id.value <= 0x7FF else { throw .init(expected: "an 11-bit ID where Extended is false") }
    var lengthCursor = ByteCursor(fields[first - 1])
    guard let length = lengthCursor.decimal(), length <= 64 else { throw .init(expected: "a length 0…64") }
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: Int64(microseconds) * 1000)
    record.precision = .microseconds
    if hasDirection {
      record.direction =
        ByteCursor(fields[3]).hasPrefix("Tx") ? .transmitted : ByteCursor(fields[3]).hasPrefix("Rx") ? .received : .unknown
    }
    record.frame.id = isExtended ? .extended(UInt32(id.value)) : .standard(UInt32(id.value))
    if length > 8 { record.frame.flags.insert(.fd) }
    record.frame.length = UInt8(length)
    for index in 0..<Int(length) {
      guard first + index < fields.count, case var cursor = ByteCursor(fields[first + index]),
        let value = cursor.hexadecimal(most: 2)
      else {
        throw .init(expected: "\(length) data bytes as the length says, found \(index)")
      }
      record.frame.setByte(index, UInt8(value.value))
    }
    return record
  }
}

/// python-can CSV: `timestamp,arbitration_id,extended,remote,error,dlc,data` with data in base64.
///
/// Source: conventions.md §3.
public struct PythonCANFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0

  /// Nothing read or written yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    if line.bytes.isEmpty || line.cursor.hasPrefix("timestamp,") {
      ignoredLines &+= 1
      return
    }
    do throws(CandumpLogFormat.Mistake) {
      var record = try PythonCANFormat.record(DelimitedLine.fields(line.bytes, separator: 0x2C))
      record.bus = buses.id(of: "can0", announcingTo: &sink)
      sink.receive(record)
    } catch {
      sink.report(line.problem(error.kind, expected: error.expected))
    }
  }

  private static func record(_ fields: [UnsafeRawBufferPointer]) throws(CandumpLogFormat.Mistake) -> CANRecord {
    guard fields.count >= 7 else { throw .init(expected: "seven fields: timestamp, ID, extended, remote, error, dlc, data") }
    var timeCursor = ByteCursor(fields[0])
    guard let time = timeCursor.seconds(), timeCursor.isAtEnd else { throw .init(expected: "a time in seconds first") }
    var idCursor = ByteCursor(fields[1])
    guard idCursor.take("0x"), let id = idCursor.hexadecimal(most: 8) else {
      throw .init(expected: "an arbitration ID as 0x… second")
    }
    func isSet(_ field: Int) -> Bool { fields[field].first == 0x31 }
    guard id.value <= (isSet(2) ? 0x1FFF_FFFF : 0x7FF) || isSet(4) else { throw .init(expected: "an ID that fits its width") }
    var lengthCursor = ByteCursor(fields[5])
    guard let length = lengthCursor.decimal(), length <= 64 else { throw .init(expected: "a dlc 0…64") }
    var record = CANRecord()
    record.time = Timestamp(nanoseconds: time.nanoseconds)
    record.precision = TimePrecision(fractionDigits: time.digits)
    if isSet(4) {
      record.frame.flags = .error
      record.frame.id = ArbitrationID(rawValue: UInt32(truncatingIfNeeded: id.value) & 0x1FFF_FFFF)
    } else {
      record.frame.id = isSet(2) ? .extended(UInt32(id.value)) : .standard(UInt32(id.value))
    }
    record.frame.length = UInt8(length)
    if isSet(3) {
      record.frame.flags.insert(.remote)
      return record
    }
    guard let data = Base64.decode(fields[6]) else { throw .init(expected: "data in base64") }
    guard data.count == length else { throw .init(expected: "\(length) data bytes as the dlc says, found \(data.count)") }
    if length > 8 { record.frame.flags.insert(.fd) }
    for (index, byte) in data.enumerated() { record.frame.setByte(index, byte) }
    return record
  }
}

/// RFC 4648 base64, without Foundation.
enum Base64 {
  static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let values: [UInt8] = {
    var table = [UInt8](repeating: 255, count: 256)
    for (index, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(index) }
    return table
  }()

  /// `nil` if the text is no base64.
  static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    guard text.count % 4 == 0, text.count <= 128 else { return nil }
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for (place, byte) in text.enumerated() {
      if byte == 0x3D {
        guard place >= text.count - 2 else { return nil }
        continue
      }
      guard values[Int(byte)] < 64, place == 0 || text[place - 1] != 0x3D else { return nil }
      bits = bits << 6 | UInt32(values[Int(byte)])
      count += 6
      if count >= 8 {
        count -= 8
        result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return result
  }

  static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        result.append(alphabet[Int(bits >> UInt32(count) & 63)])
      }
    }
    if count > 0 { result.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
    while result.count % 4 != 0 { result.append(0x3D) }
    return result
  }
}
