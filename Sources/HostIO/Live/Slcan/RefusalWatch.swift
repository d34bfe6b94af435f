/// Tells an adapter that refuses everything from one that has no room for a moment.
///
/// slcan does not say which line a bell belongs to, and many adapters say nothing to a frame that they take: so bells are counted beside the
/// frames that went out since anything else was heard.
struct RefusalWatch {
  private var sent = 0
  private var refusals = 0
  /// An order that is no frame waits for its answer.
  private var isAsked = false
  /// So many refusals, at least half as many as frames, are no moment any more.
  static let most = 16

  mutating func frameWent() { sent += 1 }
  mutating func asked() { isAsked = true }

  /// Anything that only comes while the adapter works: an answer that is no bell, a frame from the bus.
  mutating func heardSomething() { self = RefusalWatch() }

  /// A bell. Returns whether it refused a frame.
  mutating func bell() -> Bool {
    guard !isAsked else {
      isAsked = false
      return false
    }
    refusals += 1
    return true
  }

  /// Whether nothing can be expected of the adapter as it is.
  mutating func refusesEverything() -> Bool {
    if sent >= 8 * RefusalWatch.most, refusals * 2 < sent { self = RefusalWatch() }
    return refusals >= RefusalWatch.most && refusals * 2 >= sent
  }
}
