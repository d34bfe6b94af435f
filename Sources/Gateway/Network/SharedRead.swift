import Dispatch
private import Synchronization

/// Something that takes long to find out, and that anybody may ask for: it is found out once for all who ask meanwhile, and the answer
/// is kept for a moment. However many ask, one read is under way or queued.
final class SharedRead<Value: Sendable>: Sendable {
  private struct Kept {
    var value: Value
    var end: ContinuousClock.Instant
  }
  private struct State {
    var isUnderWay = false
    var waiting: [CheckedContinuation<Value?, Never>] = []
    var kept: Kept?
  }

  private let state = Mutex(State())
  private let queue: DispatchQueue
  private let keep: Duration
  private let room: Int
  private let find: @Sendable () -> Value

  /// - Parameters:
  ///   - queue: where it is found out: one thing after the other.
  ///   - keep: how long an answer is given again.
  ///   - room: how many may wait: a request whose client has gone waits on.
  ///   - find: finds it out; may block.
  init(on queue: DispatchQueue, keep: Duration = .seconds(10), room: Int = 64, _ find: @Sendable @escaping () -> Value) {
    self.queue = queue
    self.keep = keep
    self.room = room
    self.find = find
  }

  /// The answer; `nil` where too many wait for it already.
  func value() async -> Value? {
    await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
      let (hasAnswer, answer, isFirst) = state.withLock { state -> (Bool, Value?, Bool) in
        if let kept = state.kept, kept.end > ContinuousClock.now { return (true, kept.value, false) }
        guard state.waiting.count < room else { return (true, nil, false) }
        let isFirst = !state.isUnderWay
        state.isUnderWay = true
        state.waiting.append(continuation)
        return (false, nil, isFirst)
      }
      if hasAnswer { continuation.resume(returning: answer) }
      if isFirst { queue.async { [self] in run() } }
    }
  }

  /// What was found is no longer so. To be called on the queue, where no read is under way.
  func forget() { state.withLock { $0.kept = nil } }

  private func run() {
    let value = find()
    let end = ContinuousClock.now + keep
    let waiting = state.withLock { state -> [CheckedContinuation<Value?, Never>] in
      defer { state.waiting = [] }
      state.isUnderWay = false
      state.kept = Kept(value: value, end: end)
      return state.waiting
    }
    for continuation in waiting { continuation.resume(returning: value) }
  }
}
