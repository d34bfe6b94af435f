import Controller

/// Up to a minute of history in one piece: main values each second, every cell once. What the store keeps and what MQTT carries.
///
/// As bytes: version 1, then numbers of seven bits a byte, low bits first (LEB128); signed ones zigzag; each series as differences.
/// A minute of 96 cells takes about 1 KB.
public struct MinuteRecord: Equatable, Sendable {
  /// Seconds since 1970 of each sample, rising.
  public var times: [Int64] = []
  /// Samples of each quantity, by its raw value; `nil` = not known.
  public var series: [[Int32?]] = HistoryQuantity.allCases.map { _ in [] }
  /// Modules and cells on each: BMS1, BMS2.
  public var shape: [Int] = [0, 0, 0, 0]
  /// Every cell at the last sample, 0.1 mV, in the order of the page.
  public var cells: [UInt16] = []
  /// Enabled sensors at the last sample, 0.1 °C, by their slot in `Readings`.
  public var temperatures: [(slot: Int, value: Int16)] = []

  /// Nothing yet.
  public init() {}

  /// Alike in everything.
  public static func == (one: MinuteRecord, other: MinuteRecord) -> Bool {
    one.times == other.times && one.series == other.series && one.shape == other.shape && one.cells == other.cells
      && one.temperatures.elementsEqual(other.temperatures) { $0 == $1 }
  }

  /// When it begins, seconds since 1970.
  public var start: Int64 { times.first ?? 0 }

  // MARK: Bytes

  private static let version: UInt8 = 1
  /// Samples that one piece may hold.
  static let room = 120

  /// As bytes.
  public var bytes: [UInt8] {
    var writer = VarintWriter()
    writer.bytes.append(MinuteRecord.version)
    writer.put(UInt64(times.count))
    var before: Int64 = 0
    for time in times {
      writer.put(signed: time &- before)
      before = time
    }
    writer.put(UInt64(series.count))
    for values in series {
      var before: Int64 = 0
      for value in values {
        // 0 = not known; else the difference, one up.
        guard let value else {
          writer.put(0)
          continue
        }
        writer.put(VarintWriter.zigzag(Int64(value) - before) + 1)
        before = Int64(value)
      }
    }
    for number in shape { writer.put(UInt64(max(0, number))) }
    writer.put(UInt64(cells.count))
    var cell: Int64 = 0
    for value in cells {
      writer.put(signed: Int64(value) - cell)
      cell = Int64(value)
    }
    writer.put(UInt64(temperatures.count))
    for (slot, value) in temperatures {
      writer.put(UInt64(max(0, slot)))
      writer.put(signed: Int64(value))
    }
    return writer.bytes
  }

  /// Reads what `bytes` wrote; `nil` if it is damaged, of another version, or holds more than a piece may.
  public init?(_ bytes: [UInt8]) {
    var reader = VarintReader(bytes)
    guard reader.byte() == MinuteRecord.version, let count = reader.next(), count > 0, count <= MinuteRecord.room else {
      return nil
    }
    var time: Int64 = 0
    for index in 0..<count {
      guard let step = reader.nextSigned(), index == 0 || step > 0 else { return nil }
      let (sum, overflow) = time.addingReportingOverflow(step)
      // Up to the year 9999: what is shown as a date.
      guard !overflow, sum >= 0, sum < 253_402_300_800 else { return nil }
      time = sum
      times.append(time)
    }
    guard let quantities = reader.next(), quantities <= 64 else { return nil }
    series = []
    for _ in 0..<quantities {
      var values: [Int32?] = []
      var before: Int64 = 0
      for _ in 0..<count {
        guard let word = reader.next() else { return nil }
        guard word > 0 else {
          values.append(nil)
          continue
        }
        let (sum, overflow) = before.addingReportingOverflow(VarintReader.unzigzag(word - 1))
        guard !overflow, let value = Int32(exactly: sum) else { return nil }
        values.append(value)
        before = sum
      }
      series.append(values)
    }
    while series.count < HistoryQuantity.allCases.count { series.append([Int32?](repeating: nil, count: Int(count))) }
    shape = []
    for _ in 0..<4 {
      guard let number = reader.next(), number <= 15 else { return nil }
      shape.append(Int(number))
    }
    guard let cellCount = reader.next(), cellCount <= 420 else { return nil }
    var cell: Int64 = 0
    for _ in 0..<cellCount {
      guard let step = reader.nextSigned() else { return nil }
      let (sum, overflow) = cell.addingReportingOverflow(step)
      guard !overflow, let value = UInt16(exactly: sum) else { return nil }
      cells.append(value)
      cell = sum
    }
    guard let sensors = reader.next(), sensors <= 150 else { return nil }
    for _ in 0..<sensors {
      guard let slot = reader.next(), slot < 150, let celsius = reader.nextSigned(), let value = Int16(exactly: celsius) else {
        return nil
      }
      temperatures.append((Int(slot), value))
    }
    guard reader.isAtEnd else { return nil }
  }
}

/// Gathers seconds to minutes. Time comes with the snapshots.
public struct MinuteCollector: Sendable {
  private var record = MinuteRecord()

  /// An empty one.
  public init() {}

  /// Takes a snapshot; a second that is there already, or lies before the last, is left out.
  /// - Returns: the minute before, where this begins a new one.
  public mutating func add(_ snapshot: Snapshot) -> MinuteRecord? {
    let second = snapshot.time_ns / 1_000_000_000
    guard second > record.times.last ?? -1 else {
      // A clock that went back begins a piece of its own.
      guard let last = record.times.last, last - second > 2 else { return nil }
      let done = take()
      append(snapshot, second)
      return done
    }
    var done: MinuteRecord?
    if let first = record.times.first, second / 60 != first / 60 || record.times.count >= MinuteRecord.room { done = take() }
    append(snapshot, second)
    return done
  }

  /// What has been gathered of the running minute, for a stop.
  public mutating func take() -> MinuteRecord? {
    defer { record = MinuteRecord() }
    return record.times.isEmpty ? nil : record
  }

  private mutating func append(_ snapshot: Snapshot, _ second: Int64) {
    record.times.append(second)
    for quantity in HistoryQuantity.allCases { record.series[quantity.rawValue].append(quantity.value(snapshot)) }
    let configuration = snapshot.configuration
    record.shape = [
      configuration.slaves(.bms1), configuration.cellsPerModule(.bms1), configuration.slaves(.bms2),
      configuration.cellsPerModule(.bms2),
    ]
    let modules = ModuleView.all(snapshot)
    record.cells = snapshot.values.hasCells ? modules.flatMap { $0.cells.map { UInt16(clamping: $0.value) } } : []
    record.temperatures = modules.flatMap { module in
      module.sensors.filter { !$0.marks.contains(.unused) }.map {
        ((module.chain.index * 15 + module.number - 1) * 5 + $0.number - 1, Int16(clamping: $0.value))
      }
    }
  }
}

/// Writes numbers of seven bits a byte.
struct VarintWriter {
  var bytes: [UInt8] = []

  mutating func put(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
  mutating func put(signed value: Int64) { put(VarintWriter.zigzag(value)) }

  static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1 ^ value >> 63) }
}

/// Reads them; `nil` at the end of the bytes or for a number of more than 64 bits.
struct VarintReader {
  private let bytes: [UInt8]
  private var place = 0
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { place == bytes.count }

  mutating func byte() -> UInt8? {
    guard place < bytes.count else { return nil }
    defer { place += 1 }
    return bytes[place]
  }

  mutating func next() -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      guard let byte = byte() else { return nil }
      if shift == 63, byte > 1 { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
  mutating func nextSigned() -> Int64? { next().map(VarintReader.unzigzag) }

  static func unzigzag(_ word: UInt64) -> Int64 { Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1) }
}
