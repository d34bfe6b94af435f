import Bus
import Controller
import Dispatch
import HostIO
import Protocols
import Runtime
import Synchronization

/// Between the thread on which a live plant runs and the one that leads through commissioning: orders one way, control steps the other.
final class PlantFeed: Sendable {
  /// What the plant's thread is to do.
  enum Wanted: Sendable {
    case order(CommissioningOrder)
    /// The orderly end; the text says why.
    case finish(String)
  }

  /// How it stands for whoever waits.
  /// Indirect: a step is the whole state of a system, which nobody should move to learn that there is none.
  enum News {
    indirect case step(PlantStep)
    /// The order is obeyed; the text says why not.
    case obeyed(String?)
    /// The plant's thread has ended; the text says what failed.
    case ended(String?)
  }

  private struct State {
    var steps: [PlantStep] = []
    var isWatched = false
    var notes: [String] = []
    var wanted: Wanted?
    var answer: News?
    var end: News?
    var identity: [PlantFact] = []
  }

  private let state = Mutex(State())
  private let news = DispatchSemaphore(value: 0)
  private let room = DispatchSemaphore(value: 0)
  /// Whether a plant waits where nobody keeps up. A real one cannot.
  private let waits: Bool

  /// Steps that wait to be looked at: half a minute. Who is further behind does not watch any more.
  static let most = 300

  init(waits: Bool) { self.waits = waits }

  // MARK: Whoever leads

  /// Gives an order and waits until it is obeyed. Steps from before are none of those that follow.
  func give(_ wanted: Wanted) -> News {
    state.withLock { state in
      state.answer = nil
      state.wanted = wanted
    }
    Signals.wake()
    room.signal()
    return wait { state in
      defer { state.answer = nil }
      return state.answer ?? state.end
    }
  }

  /// Waits for the next control step.
  func next() -> News {
    wait { state in
      state.isWatched = true
      guard !state.steps.isEmpty else { return state.end }
      let step = state.steps.removeFirst()
      self.room.signal()
      return .step(step)
    }
  }

  /// Waits for the end of the plant's thread. Returns what failed.
  func end() -> String? {
    guard case .ended(let why) = wait({ state in state.end }) else { return nil }
    return why
  }

  private func wait(_ look: (inout sending State) -> News?) -> News {
    while true {
      if let found = state.withLock({ look(&$0) }) { return found }
      news.wait()
    }
  }

  /// Nobody looks at steps for a while: somebody thinks.
  func rest() {
    state.withLock { state in
      state.isWatched = false
      state.steps.removeAll()
    }
    room.signal()
  }

  /// What the system was made of; known at its end.
  var identity: [PlantFact] { state.withLock { $0.identity } }

  /// Lines of the controller's log since the last call.
  func takeNotes() -> [String] {
    state.withLock { state in
      defer { state.notes.removeAll() }
      return state.notes
    }
  }

  // MARK: The plant's thread

  func takeWanted() -> Wanted? {
    state.withLock { state in
      defer { state.wanted = nil }
      return state.wanted
    }
  }

  /// Says that the order is obeyed, or why not.
  func obeyed(_ problem: String?) {
    state.withLock { state in
      state.answer = .obeyed(problem)
      state.steps.removeAll()
    }
    news.signal()
  }

  /// Gives a step. Returns whether somebody keeps up, or needs not.
  func add(_ step: PlantStep) -> Bool {
    let isTaken = state.withLock { state in
      guard state.isWatched else { return true }
      guard state.steps.count < PlantFeed.most || waits else { return false }
      state.steps.append(step)
      return true
    }
    news.signal()
    return isTaken
  }

  func say(_ line: String) { state.withLock { $0.notes.append(line) } }

  /// Where time is not real it waits for whoever looks at the steps.
  func waitForRoom() {
    guard waits else { return }
    while state.withLock({ $0.steps.count >= PlantFeed.most && $0.wanted == nil }), Signals.stopRequest == nil {
      _ = room.wait(timeout: .now() + .milliseconds(100))
    }
  }

  func ended(_ why: String?, _ identity: [PlantFact]) {
    state.withLock { state in
      state.identity = identity
      state.end = .ended(why)
    }
    news.signal()
  }
}

extension PlantFeed {
  /// What passed since the last control step.
  struct Gathering {
    private var frames: [CANRecord] = []
    var events: [Event.Kind] = []

    /// A tenth of a second of two full buses.
    private static let most = 4000

    mutating func add(_ record: CANRecord) { if frames.count < Gathering.most { frames.append(record) } }

    /// A step with all of it.
    mutating func step(_ runtime: ControllerRuntime) -> PlantStep {
      defer {
        frames.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
      }
      return PlantStep(
        time: Double(runtime.now_us) / 1e6, engine: runtime.engine, readings: runtime.readings, frames: frames,
        isOnline: runtime.sessions.first.map { !runtime.isMute && $0.phase == .online }, events: events)
    }
  }
}
