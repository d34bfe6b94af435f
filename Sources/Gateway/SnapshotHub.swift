public import Bus
public import Controller
private import Synchronization

/// What a person asks of the controller through a page or the API.
public enum GatewayCommand: Sendable {
  /// "Reset BMS".
  case reset
  /// Save this configuration and work by it; it has passed every rule.
  case configure(Configuration)
  /// Put this point into the configuration in force, save that and work by it: a person has seen what it changes.
  case calibrate(Calibration.Point)
  /// Keep the contactors open until `release`.
  case hold
  /// End a hold.
  case release
}

/// A command with its number, under which it is answered.
public struct NumberedCommand: Sendable {
  /// From 1, without gaps.
  public var number: UInt64
  /// What is asked.
  public var command: GatewayCommand
}

/// Why the controller does not do what it is asked.
public struct CommandRefusal: Sendable, Equatable {
  /// The item in whose field that is said; `nil` = in none.
  public var item: ConfigurationItem?
  /// For whoever asked.
  public var reason: String

  /// A reason, and the item that it is about.
  public init(item: ConfigurationItem? = nil, reason: String) {
    self.item = item
    self.reason = reason
  }
}

/// What became of a command.
public struct CommandAnswer: Sendable, Equatable {
  /// The command's.
  public var number: UInt64
  /// For a person, whoever asked.
  public var text: String
  /// Why nothing came of it; `nil` = done.
  public var refusal: CommandRefusal?

  /// An answer to the command with this number.
  public init(number: UInt64, text: String, refusal: CommandRefusal? = nil) {
    self.number = number
    self.text = text
    self.refusal = refusal
  }
}

/// What can be said of a change before the controller is asked for it, and before a person is asked to confirm it.
public struct CommandRules: Sendable {
  /// What a person is to know of an item beside its help.
  public var notes: [ConfigurationItem: String]
  /// Why the controller of a snapshot would refuse a command; `nil` = it would not. It decides anew when it has the command.
  public var refusal: @Sendable (GatewayCommand, Snapshot) -> CommandRefusal?

  /// Notes and a judgement.
  public init(
    notes: [ConfigurationItem: String] = [:], refusal: @escaping @Sendable (GatewayCommand, Snapshot) -> CommandRefusal?
  ) {
    self.notes = notes
    self.refusal = refusal
  }
}

/// The mailbox between the control loop and everybody who looks on. The loop's side never waits: where a reader holds the lock just
/// now, the loop leaves what it has for its next step. The latest snapshot wins; events and frames are kept in bounded rings.
public final class SnapshotHub: Sendable {
  /// Silence of the loop after which pages show "Disconnected".
  public static let silence: Duration = .seconds(5)
  /// Events that are kept.
  public static let eventRoom = 200
  /// Frames that are kept.
  public static let frameRoom = 2000
  /// Commands that may wait for the loop.
  public static let commandRoom = 16
  /// Answers that are kept.
  public static let answerRoom = 64

  private struct State {
    var snapshot: Snapshot?
    var sequence: UInt64 = 0
    var heard: ContinuousClock.Instant?
    var network = NetworkFacts()
    var events: [NumberedEvent] = []
    var lastEvent: UInt64 = 0
    var frames: [CANRecord] = []
    var frameCount: UInt64 = 0
    var commands: [NumberedCommand] = []
    var lastCommand: UInt64 = 0
    var answers: [CommandAnswer] = []
    var rules: CommandRules?
  }
  private let state = Mutex(State())

  /// A hub nobody has published to.
  public init() {}

  // MARK: The loop's side

  /// The loop's end: one owner, on one thread.
  public struct Publisher: Sendable {
    private let hub: SnapshotHub
    private var events: [(Event, Configuration)] = []
    private var frames: [CANRecord] = []
    /// Added to every time that goes out, ns: a simulation's virtual time begins at a person's present.
    public var shift_ns: Int64 = 0
    private var answers: [CommandAnswer] = []
    /// Events or frames that found no room while readers were in the way for long.
    public private(set) var lost: UInt64 = 0

    init(_ hub: SnapshotHub) { self.hub = hub }

    /// Keeps a frame for the next `publish`.
    public mutating func add(_ frame: CANRecord) {
      guard frames.count < SnapshotHub.frameRoom else { return lost &+= 1 }
      frames.append(frame)
      frames[frames.count - 1].time.nanoseconds &+= shift_ns
    }

    /// Keeps an event for the next `publish`.
    public mutating func add(_ event: Event, _ configuration: Configuration) {
      guard events.count < SnapshotHub.eventRoom else { return lost &+= 1 }
      events.append((event, configuration))
      events[events.count - 1].0.time_ns &+= shift_ns
    }

    /// Keeps what became of a command for the next `publish`.
    public mutating func add(answer: CommandAnswer) {
      if answers.count >= SnapshotHub.answerRoom { answers.removeFirst() }
      answers.append(answer)
    }

    /// Says what can be said of changes beforehand. For the time before the loop begins: it may wait.
    public func explain(_ rules: CommandRules) { hub.state.withLock { $0.rules = rules } }

    /// Keeps a step's events for the next `publish`.
    public mutating func add(_ list: EventList, _ configuration: Configuration) {
      for index in 0..<list.count { add(list[index], configuration) }
    }

    /// Makes `snapshot` the latest. Never waits.
    /// - Returns: whether it went out; else it is forgotten and only its events and frames are kept.
    @discardableResult
    public mutating func publish(_ snapshot: consuming Snapshot, at now: ContinuousClock.Instant) -> Bool {
      var kept = snapshot
      kept.time_ns &+= shift_ns
      let latest = kept
      let (events, frames, answers) = (events, frames, answers)
      let isDone: Void? = hub.state.withLockIfAvailable { state in
        state.snapshot = latest
        state.sequence &+= 1
        state.heard = now
        state.answers.append(contentsOf: answers)
        if state.answers.count > SnapshotHub.answerRoom { state.answers.removeFirst(state.answers.count - SnapshotHub.answerRoom) }
        for (event, configuration) in events {
          state.lastEvent &+= 1
          state.events.append(NumberedEvent(number: state.lastEvent, event: event, configuration: configuration))
        }
        if state.events.count > SnapshotHub.eventRoom { state.events.removeFirst(state.events.count - SnapshotHub.eventRoom) }
        state.frameCount &+= UInt64(frames.count)
        state.frames.append(contentsOf: frames)
        if state.frames.count > SnapshotHub.frameRoom { state.frames.removeFirst(state.frames.count - SnapshotHub.frameRoom) }
      }
      guard isDone != nil else { return false }
      self.events.removeAll(keepingCapacity: true)
      self.frames.removeAll(keepingCapacity: true)
      self.answers.removeAll(keepingCapacity: true)
      return true
    }

    /// What people asked for since the last call, oldest first. Never waits.
    public func takeCommands() -> [NumberedCommand] {
      hub.state.withLockIfAvailable { state in
        defer { state.commands.removeAll() }
        return state.commands
      } ?? []
    }
  }

  /// The loop's end.
  public func publisher() -> Publisher { Publisher(self) }

  // MARK: The readers' side

  /// What is known at `now`.
  public func moment(at now: ContinuousClock.Instant) -> Moment {
    state.withLock { state in
      Moment(
        snapshot: state.snapshot, isConnected: state.heard.map { now - $0 < SnapshotHub.silence } ?? false,
        sequence: state.sequence, network: state.network, events: state.events, answer: state.answers.last?.text)
    }
  }

  /// The frames after the first `count`, and how many there were in all.
  public func frames(after count: UInt64) -> (frames: [CANRecord], count: UInt64) {
    state.withLock { state in
      let missing = state.frameCount &- min(count, state.frameCount)
      return (Array(state.frames.suffix(Int(clamping: missing))), state.frameCount)
    }
  }

  /// Says how the network is.
  public func update(_ change: (inout NetworkFacts) -> Void) { state.withLock { change(&$0.network) } }

  /// What can be said of changes beforehand; `nil` where nobody has said it.
  var rules: CommandRules? { state.withLock { $0.rules } }

  /// Leaves a command for the loop.
  /// - Returns: its number; `nil` where too many wait already: the loop does not take them.
  public func send(_ command: GatewayCommand) -> UInt64? {
    state.withLock { state in
      guard state.commands.count < SnapshotHub.commandRoom else { return nil }
      state.lastCommand &+= 1
      state.commands.append(NumberedCommand(number: state.lastCommand, command: command))
      return state.lastCommand
    }
  }

  /// What became of a command; `nil` where it is not known yet, or any more.
  public func answer(to number: UInt64) -> CommandAnswer? {
    state.withLock { state in state.answers.last { $0.number == number } }
  }
}
