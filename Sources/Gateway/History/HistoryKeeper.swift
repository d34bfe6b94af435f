import Analysis
import Controller
private import Dispatch
private import Synchronization

/// Looks into the mailbox twice a second and gives the store a minute at a time: the control loop has nothing to do with it.
public final class HistoryKeeper: Sendable {
  private struct State {
    var collector = MinuteCollector()
    var lastSequence: UInt64 = 0
    var lastEvent: UInt64 = 0
    var events: [HistoryEvent] = []
    var waiting: [MinuteRecord] = []
  }
  private let hub: SnapshotHub
  private let store: any HistoryStore
  private let device: String
  private let state = Mutex(State())
  /// Apart from the rest, which is held for as long as the disk takes.
  private let trouble = Mutex<String?>(nil)
  private let queue = DispatchQueue(label: "linkbms.history", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// The name of the master's own history in its store.
  public static let own = "local"
  /// Minutes that wait where the disk takes none: a day.
  static let room = 1440

  /// Begins to keep what the hub gets.
  public init(hub: SnapshotHub, store: any HistoryStore, device: String = HistoryKeeper.own) {
    self.hub = hub
    self.store = store
    self.device = device
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now(), repeating: .milliseconds(500), leeway: .milliseconds(50))
    timer.setEventHandler { [weak self] in self?.look(at: .now) }
    timer.activate()
  }

  /// What the store refused last; `nil` while all is well.
  public var problem: String? { trouble.withLock { $0 } }

  /// Writes what has been gathered, and ends.
  public func stop() {
    timer.cancel()
    queue.finish { [self] in
      state.withLock { state in
        if let rest = state.collector.take() { state.waiting.append(rest) }
        flush(&state)
      }
    }
  }

  /// One look.
  func look(at now: ContinuousClock.Instant) {
    let moment = hub.moment(at: now)
    state.withLock { state in
      for event in moment.events where event.number > state.lastEvent {
        state.lastEvent = event.number
        let text = EventText(event.configuration).event(event.event.kind)
        state.events.append(HistoryEvent(time_ns: event.event.time_ns, text: text))
      }
      guard moment.sequence != state.lastSequence, let snapshot = moment.snapshot else { return }
      state.lastSequence = moment.sequence
      guard let record = state.collector.add(snapshot) else { return }
      state.waiting.append(record)
      flush(&state)
    }
  }

  private func flush(_ state: inout State) {
    guard !state.waiting.isEmpty || !state.events.isEmpty else { return }
    do throws(GatewayError) {
      try store.append(state.waiting, events: state.events, device: device)
      if let newest = state.waiting.last { try store.prune(before: newest.start - HistoryStoreLimits.keep) }
      state.waiting = []
      state.events = []
      trouble.withLock { $0 = nil }
    } catch {
      // A disk that is full may have room again: what fits is kept, the oldest goes.
      trouble.withLock { $0 = error.description }
      if state.waiting.count > HistoryKeeper.room { state.waiting.removeFirst(state.waiting.count - HistoryKeeper.room) }
      if state.events.count > HistoryKeeper.room { state.events.removeFirst(state.events.count - HistoryKeeper.room) }
    }
  }
}

/// A store that requests wait for without holding up a thread of the server.
final class HistoryArchive: Sendable {
  /// Reads that may wait: a request whose client has gone waits on, and anybody may ask.
  static let room = 8

  let store: any HistoryStore
  private let queue = DispatchQueue(label: "linkbms.history.read", qos: .userInitiated)
  private let waiting = Atomic(0)

  init(_ store: any HistoryStore) { self.store = store }

  /// Runs `body` where it may block.
  /// - Throws: what `body` throws, or an error that is busy where too many wait already.
  func read<Result: Sendable>(
    _ body: @Sendable @escaping (any HistoryStore) throws(GatewayError) -> Result
  ) async throws(GatewayError) -> Result {
    guard waiting.add(1, ordering: .relaxed).newValue <= HistoryArchive.room else {
      waiting.subtract(1, ordering: .relaxed)
      var refusal = GatewayError("The history is being read by many already. Try again in a moment.")
      refusal.isBusy = true
      throw refusal
    }
    let outcome = await withCheckedContinuation { (continuation: CheckedContinuation<Swift.Result<Result, GatewayError>, Never>) in
      queue.async { [self] in
        let outcome: Swift.Result<Result, GatewayError>
        do throws(GatewayError) { outcome = .success(try body(store)) } catch { outcome = .failure(error) }
        waiting.subtract(1, ordering: .relaxed)
        continuation.resume(returning: outcome)
      }
    }
    return try outcome.get()
  }
}
