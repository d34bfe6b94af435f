import Controller

/// Which doubts stand, and what has been measured since the last one.
struct DoubtBook: Sendable {
  private(set) var standing: [Doubt] = []
  /// Whether the engine is held.
  private(set) var isHeld = false
  /// The contactors are ordered open whatever the engine says.
  private(set) var isForcedOpen = false
  /// When the last doubt came or ended.
  private var last_us: Int64 = 0
  /// Complete scans of each chain and measurements of the PDU since then.
  private var scans: InlineArray<2, Int> = [0, 0]
  private var measurements = 0
  /// The last doubt that was over at once: the same again and again is said once a second.
  private var said: (doubt: Doubt, at_us: Int64)?

  /// Notes a doubt. Returns whether it is news.
  mutating func raise(_ doubt: Doubt, isAtOnce: Bool, now_us: Int64) -> Bool {
    if doubt.isStanding {
      guard !standing.contains(where: { $0.isSame(as: doubt) }) else { return false }
      standing.append(doubt)
      if case .stopping = doubt { stopping_us = now_us }
    }
    let isRepeated = !doubt.isStanding && isHeld && said?.doubt == doubt && now_us - (said?.at_us ?? 0) < 1_000_000
    if !doubt.isStanding, !isRepeated { said = (doubt, now_us) }
    isHeld = true
    if isAtOnce { isForcedOpen = true }
    begin(now_us)
    return !isRepeated
  }

  /// Lets a doubt stand that follows from another and is no news of its own.
  mutating func hold(_ doubt: Doubt, now_us: Int64) {
    guard !standing.contains(where: { $0.isSame(as: doubt) }) else { return }
    standing.append(doubt)
    isHeld = true
    begin(now_us)
  }

  private mutating func begin(_ now_us: Int64) {
    last_us = now_us
    scans = [0, 0]
    measurements = 0
  }

  /// What lasted is over. Returns what it was.
  mutating func settle(now_us: Int64, _ isIt: (Doubt) -> Bool) -> [Doubt] {
    let over = standing.filter(isIt)
    guard !over.isEmpty else { return [] }
    standing.removeAll(where: isIt)
    begin(now_us)
    return over
  }

  mutating func scanned(_ chain: ChainNumber) { scans[chain.index] += 1 }
  mutating func measured() { measurements += 1 }

  /// Whether the hold may end: nothing stands, all is open, and everything was measured anew. The first scan that ends may have begun
  /// before; the second has not.
  func mayEnd(now_us: Int64, chains: [ChainNumber], isOpen: Bool) -> Bool {
    guard isHeld, standing.isEmpty, isOpen, now_us - last_us >= RunTiming.settle_us, measurements >= 2 else { return false }
    return chains.allSatisfy { scans[$0.index] >= 2 }
  }

  mutating func end() {
    isHeld = false
    isForcedOpen = false
  }

  /// Whether a part is not lost.
  func isThere(_ part: Part) -> Bool {
    for doubt in standing { if case .lost(part, _) = doubt { return false } }
    return true
  }

  /// When somebody wanted an end.
  private(set) var stopping_us: Int64?
}

extension Doubt {
  /// The same thing, whatever its words.
  func isSame(as other: Doubt) -> Bool {
    switch (self, other) {
    case (.lost(let part, _), .lost(let another, _)): part == another
    case (.storeFailed, .storeFailed), (.stopping, .stopping), (.ordered, .ordered): true
    default: self == other
    }
  }
}
