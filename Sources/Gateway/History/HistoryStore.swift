/// A line of a device's log.
public struct HistoryEvent: Equatable, Sendable {
  /// ns since 1970.
  public var time_ns: Int64
  /// For a person.
  public var text: String
  /// An event.
  public init(time_ns: Int64, text: String) {
    self.time_ns = time_ns
    self.text = text
  }
}

/// What is known of a device of the fleet without looking at its history.
public struct DeviceFacts: Equatable, Sendable {
  /// Its name.
  public var name: String
  /// Its last `data.json`.
  public var state: String
  /// When that came, s since 1970.
  public var heard: Int64
  /// Whether the broker says that it is connected.
  public var isOnline: Bool
}

/// A month of history of any number of devices. Any database can stand behind it: what it has to keep is tested against this
/// protocol alone. Calls block; they come from one thread that has nothing else to do.
public protocol HistoryStore: Sendable {
  /// Adds pieces of a device in one transaction. A piece that is there already is left out: what comes twice counts once. Another piece of
  /// the same time, as after a clock that went back, is kept beside the first.
  func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError)
  /// Summaries of spans of `level` seconds (one of `HistorySummary.levels`) that begin in `range`, in order.
  func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary]
  /// Pieces with samples in `range`, in order.
  func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord]
  /// The newest events that are not younger than `end_ns`, newest first.
  func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent]
  /// Forgets what lies before a time, s since 1970.
  func prune(before time: Int64) throws(GatewayError)
  /// Remembers a device's last state.
  func note(_ facts: DeviceFacts) throws(GatewayError)
  /// Every device.
  func devices() throws(GatewayError) -> [DeviceFacts]
}

/// How much is kept.
public enum HistoryStoreLimits {
  /// How long history is kept, s.
  public static let keep: Int64 = 31 * 86_400
}

extension HistoryStore {
  /// Points for a chart of `range`: from seconds, minutes, quarters or two-hour spans, whichever gives a few hundred.
  public func points(device: String, in range: Range<Int64>, most: Int = 400) throws(GatewayError) -> [HistorySummary] {
    let length = range.upperBound - range.lowerBound
    guard length > 2 * 3600 else {
      let records = try records(device: device, in: range)
      // A second that a clock has passed twice is one point.
      var seconds: [HistorySummary] = []
      for second in records.flatMap({ HistorySummary.of($0, length: 1) }).sorted(by: { $0.time < $1.time })
      where range.contains(second.time) {
        if seconds.last?.time == second.time { seconds[seconds.count - 1].add(second) } else { seconds.append(second) }
      }
      return HistorySummary.thinned(seconds, to: most)
    }
    let level = HistorySummary.levels.first { length / $0 <= 1500 } ?? 7200
    return HistorySummary.thinned(try summaries(device: device, level: level, in: range), to: most)
  }
}
