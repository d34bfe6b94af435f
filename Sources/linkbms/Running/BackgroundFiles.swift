import Dispatch
import HostIO
import Synchronization

/// Files that are written beside the control loop: a disk that takes its time makes no step late.
final class BackgroundFiles: Sendable {
  /// What was written, and how it ended.
  struct Result: Sendable {
    var name: String
    /// In words; `nil` = it is on the disk.
    var failure: String?
  }

  private let queue = DispatchQueue(label: "files")
  private let state = Mutex(State())
  private struct State {
    var results: [Result] = []
    /// Bytes.
    var waiting = 0
    /// The names of what has not ended, in order.
    var unfinished: [String] = []
  }

  /// Bytes that may wait for a slow disk; more is a failure.
  static let most = 64 << 20

  /// Writes later, in order. The result comes with `takeResults`. Called from one thread.
  func submit(_ name: String, bytes: Int = 0, _ work: @escaping @Sendable () throws -> Void) {
    let isTooMuch = state.withLock { state in
      guard state.waiting + bytes <= BackgroundFiles.most else {
        state.results.append(Result(name: name, failure: "the disk is too slow: \(state.waiting >> 20) MiB wait"))
        return true
      }
      state.waiting += bytes
      state.unfinished.append(name)
      return false
    }
    if isTooMuch { return }
    queue.async { [self] in
      var failure: String?
      do { try work() } catch { failure = "\(error)" }
      state.withLock { state in
        state.waiting -= bytes
        state.unfinished.removeFirst()
        state.results.append(Result(name: name, failure: failure))
      }
      Signals.wake()
    }
  }

  /// What has ended since the last call.
  func takeResults() -> [Result] {
    state.withLock { state in
      defer { state.results.removeAll() }
      return state.results
    }
  }

  /// Waits until everything is written, but for a disk that hangs not for ever.
  /// - Returns: the names of what has not ended by then.
  func finish(within seconds: Double) -> [String] {
    let isDone = DispatchSemaphore(value: 0)
    queue.async { isDone.signal() }
    guard isDone.wait(timeout: .now() + seconds) == .timedOut else { return [] }
    return state.withLock { $0.unfinished }
  }
}
