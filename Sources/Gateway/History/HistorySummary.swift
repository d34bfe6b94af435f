/// Many samples as one point of a chart: count, least, most and sum of each quantity.
public struct HistorySummary: Equatable, Sendable {
  /// One quantity's share.
  public struct Part: Equatable, Sendable {
    /// Samples that were known.
    public var count: Int64 = 0
    /// The least of them.
    public var least: Int64 = 0
    /// The greatest of them.
    public var most: Int64 = 0
    /// Their sum.
    public var sum: Int64 = 0

    /// Their mean; `nil` of none.
    public var mean: Double? { count > 0 ? Double(sum) / Double(count) : nil }

    mutating func add(_ value: Int32) {
      least = count == 0 ? Int64(value) : min(least, Int64(value))
      most = count == 0 ? Int64(value) : max(most, Int64(value))
      count += 1
      sum &+= Int64(value)
    }
    mutating func add(_ other: Part) {
      guard other.count > 0 else { return }
      least = count == 0 ? other.least : min(least, other.least)
      most = count == 0 ? other.most : max(most, other.most)
      count &+= other.count
      sum &+= other.sum
    }
  }

  /// Beginning of the span, seconds since 1970.
  public var time: Int64
  /// By the quantity's raw value.
  public var parts: [Part]

  /// Nothing at `time`.
  public init(time: Int64) {
    self.time = time
    parts = HistoryQuantity.allCases.map { _ in Part() }
  }

  /// Spans that are kept: a chart of a day, of a week and of a month has a few hundred points each.
  public static let levels: [Int64] = [60, 900, 7200]

  /// A quantity's share.
  public subscript(quantity: HistoryQuantity) -> Part { parts[quantity.rawValue] }

  /// Puts another span into this one.
  public mutating func add(_ other: HistorySummary) {
    for index in parts.indices where index < other.parts.count { parts[index].add(other.parts[index]) }
  }

  /// The samples of a record in spans of `length` seconds.
  static func of(_ record: MinuteRecord, length: Int64) -> [HistorySummary] {
    var spans: [HistorySummary] = []
    for (index, time) in record.times.enumerated() {
      let start = time - time % length
      if spans.last?.time != start { spans.append(HistorySummary(time: start)) }
      for quantity in HistoryQuantity.allCases {
        if let value = record.series[quantity.rawValue][index] { spans[spans.count - 1].parts[quantity.rawValue].add(value) }
      }
    }
    return spans
  }

  /// The same with at most `count` points: neighbours are put together, so that no extreme is lost.
  static func thinned(_ spans: [HistorySummary], to count: Int) -> [HistorySummary] {
    guard count > 0, spans.count > count else { return spans }
    let group = (spans.count + count - 1) / count
    return stride(from: 0, to: spans.count, by: group).map { first in
      var sum = spans[first]
      for span in spans[first..<min(first + group, spans.count)].dropFirst() { sum.add(span) }
      return sum
    }
  }

  // MARK: Bytes

  /// For the store, without the time.
  var bytes: [UInt8] {
    var writer = VarintWriter()
    for part in parts {
      writer.put(UInt64(max(0, part.count)))
      guard part.count > 0 else { continue }
      writer.put(signed: part.least)
      writer.put(signed: part.most &- part.least)
      writer.put(signed: part.sum)
    }
    return writer.bytes
  }

  /// What a store kept; quantities that came later are empty.
  init?(time: Int64, bytes: [UInt8]) {
    self.init(time: time)
    var reader = VarintReader(bytes)
    var index = 0
    while !reader.isAtEnd {
      guard let count = reader.next().flatMap({ Int64(exactly: $0) }) else { return nil }
      var part = Part()
      if count > 0 {
        guard let least = reader.nextSigned(), let width = reader.nextSigned(), let sum = reader.nextSigned() else { return nil }
        part = Part(count: count, least: least, most: least &+ width, sum: sum)
      }
      if index < parts.count { parts[index] = part }
      index += 1
    }
  }
}
