import Bus
import HostIO

/// Puts in order what several ports delivered: each is emptied in its turn, and what came at the first while the second was looked at would
/// stand in front of what is older.
///
/// Within a port the order stays. What is younger than the moment at which the emptying began waits for the next time: a port that was
/// looked at earlier may have something older by then.
struct PortMerge {
  /// An event, and frames lost before it.
  struct Item {
    var port: Int
    /// `nil` where frames were lost and none came since.
    var event: PortEvent?
    var lost: UInt64
    /// Wall-clock ns by which it is put in order.
    fileprivate var key: Int64
  }

  private var items: [Item] = []
  /// Whether something waits for its turn.
  var isWaiting: Bool { !items.isEmpty }

  /// More ahead of the clock is no frame that has just come, but a clock that was set back: not waited for.
  private static let mostAhead_ns: Int64 = 1_000_000_000

  /// Takes what a port delivered.
  /// - Parameter isOrdered: whether its times are those of this machine's clock; what has another clock is handed on as it comes.
  mutating func add(_ event: PortEvent?, port: Int, lost: UInt64, isOrdered: Bool) {
    // What has no time of its own, and what steps back, stays behind what its port delivered before.
    let before = items.last { $0.port == port }?.key ?? .min
    var key = before
    if isOrdered, case .frame(let record)? = event { key = max(before, record.time.nanoseconds) }
    items.append(Item(port: port, event: event, lost: lost, key: key))
  }

  /// What has its turn, in order, and takes it away.
  /// - Parameter time: when the ports began to be emptied, wall-clock ns; `nil` = everything, as at the end.
  mutating func take(upTo time: Int64?) -> [Item] {
    guard !items.isEmpty else { return [] }
    var ready: [Item] = []
    var waiting: [Item] = []
    var held: Set<Int> = []
    for item in items {
      if let time, held.contains(item.port) || item.key > time && item.key &- time < PortMerge.mostAhead_ns {
        held.insert(item.port)
        waiting.append(item)
      } else {
        ready.append(item)
      }
    }
    items = waiting
    return ready.enumerated().sorted { ($0.element.key, $0.offset) < ($1.element.key, $1.offset) }.map(\.element)
  }
}
