import Bus
import Controller
import Gateway
import HostIO

/// The control loop's end of the master's pages: what they are shown, and what people ask for on them. Nothing in it waits.
struct RunPages {
  /// The name under which a configuration's file is written beside the loop.
  static let configurationFile = "configuration"
  /// The name under which the file before it is put back: it answers nobody, and the next save may have begun meanwhile.
  static let formerFile = "configuration before"
  /// From one publication to the next, at least: a run faster than the wall clock makes more steps than anybody can see.
  private static let pause_ns: Int64 = 50_000_000
  /// The wall clock was set if it is further than this from where it was.
  private static let jump_ns: Int64 = 50_000_000

  private var publisher: SnapshotHub.Publisher
  private let followsWallClock: Bool
  private let problem: () -> String?
  private let news: () -> [String]
  private var isProblemSaid = false
  private var publishedAt_ns: Int64?
  private var firstOffset_ns: Int64?
  /// What is taken over.
  let changes: RunChanges
  /// What is being saved now.
  var saving: Saving?
  /// Whether the file holds another battery than the one in force.
  var isFileAhead = false

  /// A configuration on its way to the disk.
  struct Saving {
    /// Of the command.
    var number: UInt64
    /// What it is called.
    var noun: String
    var configuration: Configuration
    var isCalibration = false
    /// What makes it one for the next start; `nil` = it is for now.
    var other: ConfigurationItem?
  }

  /// - Parameters:
  ///   - followsWallClock: times are shown as the wall clock's, even where it was set after the start.
  ///   - changes: what is taken over.
  ///   - news: what is to be logged, each once.
  ///   - problem: why nobody is served any more.
  init(
    _ publisher: SnapshotHub.Publisher, followsWallClock: Bool, changes: RunChanges = RunChanges(),
    news: @escaping () -> [String] = { [] }, problem: @escaping () -> String?
  ) {
    publisher.explain(changes.rules)
    self.publisher = publisher
    self.followsWallClock = followsWallClock
    self.changes = changes
    self.news = news
    self.problem = problem
  }

  /// Keeps a frame with its port: what the first says and the second says again is shown apart.
  mutating func add(_ frame: CANFrame, _ direction: Direction, port: Int, time_ns: Int64) {
    publisher.add(
      CANRecord(
        time: Timestamp(nanoseconds: time_ns), precision: .nanoseconds, bus: BusID(UInt16(clamping: port)), direction: direction,
        frame: frame))
  }

  /// Keeps an event.
  mutating func add(_ event: Event, _ configuration: Configuration) { publisher.add(event, configuration) }

  /// Keeps what became of a command.
  mutating func answer(_ answer: CommandAnswer) { publisher.add(answer: answer) }

  /// What is to be logged, each once.
  func takeNews() -> [String] { news() }

  /// Why nobody is served any more, once.
  mutating func newProblem() -> String? {
    guard !isProblemSaid, let why = problem() else { return nil }
    isProblemSaid = true
    return why
  }

  /// Shows a control step and takes what people asked for.
  /// - Parameters:
  ///   - now_ns: of the monotonic clock.
  ///   - wallOffset_ns: from the monotonic to the wall clock, where it is known: a late step must not look like a clock that was set.
  mutating func exchange(_ snapshot: Snapshot, now_ns: Int64, wallOffset_ns: Int64?) -> [NumberedCommand] {
    if followsWallClock, let wallOffset_ns {
      let first = firstOffset_ns ?? wallOffset_ns
      firstOffset_ns = first
      let shift = wallOffset_ns &- first
      if (shift &- publisher.shift_ns).magnitude > UInt64(RunPages.jump_ns) { publisher.shift_ns = shift }
    }
    if let publishedAt_ns, now_ns &- publishedAt_ns < RunPages.pause_ns { return [] }
    publishedAt_ns = now_ns
    publisher.publish(snapshot, at: .now)
    return publisher.takeCommands()
  }
}
