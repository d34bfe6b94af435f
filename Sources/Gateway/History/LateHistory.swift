private import Dispatch
private import Synchronization

/// A store that may be opened late: its server may come up after this program, as after a blackout, and a file may be damaged until
/// somebody moves it away. It is opened on a thread of its own, and again and again until that works; meanwhile every call says why there
/// is nothing, and whoever writes keeps what it has, as for a disk that is full. No file is touched for that: a history that SQLite does
/// not understand may still be read by somebody else.
public final class LateHistory: HistoryStore {
  private enum State: Sendable {
    case waiting(GatewayError)
    case ready(any HistoryStore)
  }

  private let opening: @Sendable () throws(GatewayError) -> any HistoryStore
  private let most_s: Double
  private let state: Mutex<State>
  // Not the keeper's: a server that hangs would make holes in the minutes that are gathered there.
  private let queue = DispatchQueue(label: "linkbms.history.open", qos: .utility)

  /// Tries at once; returns when that has worked or failed, or when it takes too long.
  /// - Parameters:
  ///   - patience_s: how long the caller waits for the first try.
  ///   - first_s: from the first try to the second; doubled with each.
  ///   - most_s: from one try to the next, at most.
  ///   - opening: opens the store; it may take its time.
  init(
    patience_s: Double = 3, first_s: Double = 10, most_s: Double = 60,
    opening: @Sendable @escaping () throws(GatewayError) -> any HistoryStore
  ) {
    self.opening = opening
    self.most_s = most_s
    state = Mutex(.waiting(LateHistory.waiting("the store has not answered yet")))
    queue.finish(within: patience_s) { [self] in attempt(first_s) }
  }

  /// Why it is not open; `nil` once it is.
  public var problem: String? {
    do throws(GatewayError) { _ = try opened() } catch { return error.description }
    return nil
  }

  /// Tries now.
  func tryNow() { queue.sync { attempt(most_s) } }

  private static func waiting(_ why: String) -> GatewayError {
    GatewayError("\(why); it is opened as soon as that works, and up to a day of minutes waits for it in memory")
  }

  private func attempt(_ pause_s: Double) {
    guard problem != nil else { return }
    do throws(GatewayError) {
      let store = try opening()
      state.withLock { $0 = .ready(store) }
    } catch {
      let why = LateHistory.waiting(error.description)
      state.withLock { $0 = .waiting(why) }
      let next_s = min(most_s, pause_s * 2)
      queue.asyncAfter(deadline: .now() + pause_s) { [weak self] in self?.attempt(next_s) }
    }
  }

  private func opened() throws(GatewayError) -> any HistoryStore {
    switch state.withLock({ $0 }) {
    case .ready(let store): return store
    case .waiting(let why): throw why
    }
  }

  // MARK: What a store does

  /// Adds pieces.
  public func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError) {
    try opened().append(records, events: events, device: device)
  }

  /// Summaries in order.
  public func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary] {
    try opened().summaries(device: device, level: level, in: range)
  }

  /// Pieces in order.
  public func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord] {
    try opened().records(device: device, in: range)
  }

  /// The newest events first.
  public func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent] {
    try opened().events(device: device, before: end_ns, limit: limit)
  }

  /// Forgets what is old.
  public func prune(before time: Int64) throws(GatewayError) { try opened().prune(before: time) }

  /// Remembers a device's last state.
  public func note(_ facts: DeviceFacts) throws(GatewayError) { try opened().note(facts) }

  /// Every device.
  public func devices() throws(GatewayError) -> [DeviceFacts] { try opened().devices() }
}
