import Dispatch
import Formats
import HostIO
import Synchronization

/// Reads a configuration's file beside the control loop: it may lie where a disk or a server does not answer.
final class ConfigurationReader: Sendable {
  /// What came of it.
  enum Outcome: Sendable {
    case read(ConfigurationFile.Reading)
    case failed(String)
  }

  private struct State {
    /// What is being read.
    var path: String?
    /// What is read now may be out of date.
    var isStale = false
    var outcome: Outcome?
  }

  private let queue = DispatchQueue(label: "configuration")
  private let state = Mutex(State())

  /// Begins to read; a file that is being read is read once more behind that. What came of it is there with `take` later.
  /// - Returns: `false` = it is still being read.
  func begin(_ path: String) -> Bool {
    let begins = state.withLock { state in
      guard state.path == nil else {
        state.isStale = true
        return false
      }
      state.path = path
      return true
    }
    if begins { read(path) }
    return begins
  }

  /// The file has been written meanwhile: what is being read of it does not count.
  func fileHasChanged() { state.withLock { $0.isStale = $0.path != nil } }

  private func read(_ path: String) {
    queue.async { [self] in
      let outcome: Outcome
      do throws(WorldError) {
        outcome = .read(ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: path), as: UTF8.self), path: path))
      } catch { outcome = .failed(error.message) }
      state.withLock { $0.outcome = outcome }
      Signals.wake()
    }
  }

  /// What was read since the last call.
  func take() -> Outcome? {
    let (outcome, again) = state.withLock { state -> (Outcome?, String?) in
      guard let outcome = state.outcome else { return (nil, nil) }
      let path = state.path
      let isStale = state.isStale
      state = State()
      guard isStale else { return (outcome, nil) }
      state.path = path
      return (nil, path)
    }
    if let again { read(again) }
    return outcome
  }
}
