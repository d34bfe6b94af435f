import HostIO

/// What a port in use is short of: frames that the kernel lost, messages that were no frame. Each is told when it begins and whenever it
/// is ten times as much, so that a night of it fills no log.
struct PortFlaws {
  /// How many there are, and how many were told of.
  private var lost = (seen: UInt64(0), told: UInt64(0))
  private var strange = (seen: UInt64(0), told: UInt64(0))

  /// What is to be said now.
  /// - Parameter advice: of the port; asked for only where a count has changed.
  mutating func news(_ name: String, _ counters: PortCounters, _ advice: @autoclosure () -> PortAdvice) -> [String] {
    var news: [String] = []
    if PortFlaws.isNews(counters.dropped, &lost, from: 1) {
      let room = advice().room.map { "; \($0)" } ?? ""
      news.append(
        "\(name): frames were lost on the way to the controller, \(counters.dropped) since the start: the machine is too slow\(room)"
      )
    }
    // Less than that is what an adapter says when it is opened.
    if PortFlaws.isNews(counters.malformed, &strange, from: advice().many ?? JobContext.manyMalformed) {
      news.append("\(name): \(advice().malformed(counters.malformed))")
    }
    return news
  }

  private static func isNews(_ count: UInt64, _ known: inout (seen: UInt64, told: UInt64), from first: @autoclosure () -> UInt64)
    -> Bool
  {
    guard count != known.seen else { return false }
    known.seen = count
    guard count >= first(), known.told == 0 || count / 10 >= known.told else { return false }
    known.told = count
    return true
  }
}
