/// Tells an adapter that refuses everything from one that has no room for a moment.
///
/// slcan does not say which line a bell belongs to, and many adapters say nothing to a frame that they take: so bells are counted beside the
/// frames that went out since anything else was heard. A burst that finds no room brings many of them in a moment: they have to go on for
/// a while.
struct RefusalWatch {
  private var sent = 0
  private var refusals = 0
  /// Orders that are no frames and wait for their answers.
  private var waiting = 0
  /// When the first refusal came since anything else was heard, monotonic ns.
  private var first_ns: Int64?
  private let patience_ns: Int64
  /// So many refusals, at least half as many as frames, are no moment any more.
  static let most = 16

  /// - Parameter patience_ns: how long refusals have to go on, with nothing else heard.
  init(patience_ns: Int64 = 2_000_000_000) { self.patience_ns = patience_ns }

  mutating func frameWent() { sent += 1 }
  mutating func asked() { waiting += 1 }

  /// The answer to an order that is no frame. It says nothing about frames.
  mutating func answered() { waiting = max(0, waiting - 1) }

  /// Anything that only comes while the adapter works: an answer that is no bell, a frame from the bus.
  mutating func heardSomething() {
    sent = 0
    refusals = 0
    first_ns = nil
  }

  /// A bell, at a time in monotonic ns. Returns whether it refused a frame.
  mutating func bell(_ now_ns: Int64) -> Bool {
    guard waiting == 0 else {
      waiting -= 1
      return false
    }
    refusals += 1
    first_ns = first_ns ?? now_ns
    return true
  }

  /// Whether nothing can be expected of the adapter as it is.
  mutating func refusesEverything(_ now_ns: Int64) -> Bool {
    if sent >= 8 * RefusalWatch.most, refusals * 2 < sent { heardSomething() }
    guard let first_ns, now_ns &- first_ns >= patience_ns else { return false }
    return refusals >= RefusalWatch.most && refusals * 2 >= sent
  }
}
