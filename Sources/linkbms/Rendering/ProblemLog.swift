import Bus
import Formats

/// What a capture had that was not good records: the first of each kind in words, all of them counted.
struct ProblemLog: Sendable {
  private(set) var counts: [CaptureProblem.Kind: UInt64] = [:]
  private(set) var first: [CaptureProblem] = []
  /// Problems kept in words; more are only counted.
  static let mostInWords = 20

  mutating func note(_ problem: CaptureProblem) {
    counts[problem.kind, default: 0] &+= problem.count
    if first.count < ProblemLog.mostInWords, problem.kind != .foreign { first.append(problem) }
  }

  mutating func merge(_ later: ProblemLog) {
    counts.merge(later.counts) { $0 &+ $1 }
    first += later.first.prefix(max(0, ProblemLog.mostInWords - first.count))
  }

  /// Whether something of the capture was lost or wrong. Blocks of other kinds and long silences are no damage.
  var hasDamage: Bool { counts.contains { $0.key != .foreign && $0.key != .gap && $0.key != .wrap && $0.value > 0 } }

  /// Lines for a person: each problem with the capture's name, then the counts of what was not said.
  func lines(of name: String) -> [String] {
    var lines = first.map { "\(name): \($0)" }
    for kind in CaptureProblem.Kind.allCases {
      guard let total = counts[kind] else { continue }
      let said = first.filter { $0.kind == kind }.reduce(0) { $0 &+ $1.count }
      if total > said { lines.append("\(name): \(total) × \(kind.title)" + (said > 0 ? " in all" : "")) }
    }
    return lines
  }
}

extension CaptureProblem.Kind {
  /// For people, after a number.
  var title: String {
    switch self {
    case .damaged: "damaged line or block"
    case .truncated: "cut off at the end"
    case .foreign: "block or packet without CAN"
    case .framesLost: "frame lost by the recorder"
    case .timeBackwards: "time going backwards"
    case .gap: "long silence"
    case .wrap: "clock wrapped around"
    case .incomplete: "frame not fully represented"
    }
  }
}

/// Watches the times of a capture's records.
struct Timeline: Sendable {
  private(set) var first: Timestamp?
  private(set) var last: Timestamp?
  private var latest = Int64.min
  private(set) var backwards: UInt64 = 0
  private(set) var gaps: UInt64 = 0
  private(set) var longestGap: Int64 = 0
  /// Records without a time.
  private(set) var timeless: UInt64 = 0
  /// A silence that is worth a word: no protocol here is silent for so long.
  static let gap_ns: Int64 = 60_000_000_000

  /// Looks at one record's time. Returns what is odd about it.
  @inline(__always) mutating func observe(_ record: borrowing CANRecord) -> CaptureProblem.Kind? {
    let now = record.time.nanoseconds
    // One unsigned comparison: a step back is a huge number, and so is the first step. Records without a time all have time 0, which
    // is a step back behind any that has one, and the first step where none has.
    guard UInt64(bitPattern: now &- latest) <= UInt64(Timeline.gap_ns) else { return observeOddly(record.time, record.precision) }
    latest = now
    return nil
  }

  @inline(never) private mutating func observeOddly(_ time: Timestamp, _ precision: TimePrecision) -> CaptureProblem.Kind? {
    guard precision != .none else {
      timeless &+= 1
      return nil
    }
    let now = time.nanoseconds
    defer { latest = now }
    guard latest != .min else {
      first = time
      return nil
    }
    let step = now &- latest
    if step < 0 {
      backwards &+= 1
      return .timeBackwards
    }
    if step > Timeline.gap_ns {
      gaps &+= 1
      longestGap = max(longestGap, step)
      return .gap
    }
    return nil
  }

  /// Adds the part of the capture that lies behind this one.
  mutating func merge(_ later: Timeline) {
    if first == nil { first = later.first }
    if later.latest != .min { latest = later.latest }
    backwards &+= later.backwards
    gaps &+= later.gaps
    longestGap = max(longestGap, later.longestGap)
    timeless &+= later.timeless
  }

  /// The time of the last record; settled when reading ends.
  var end: Timestamp? { latest == .min ? nil : Timestamp(nanoseconds: latest) }
}
