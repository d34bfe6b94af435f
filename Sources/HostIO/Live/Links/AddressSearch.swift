private import Glibc

/// Asks for the addresses of a name on a thread of its own: a name server may take half a minute, and who looks for a line may be a
/// control loop.
final class AddressSearch: @unchecked Sendable {  // only `state` changes after the start, and that under `lock`
  enum Answer {
    case awaited
    /// `nil` = there is none.
    case given(LinkAddresses?)
  }

  private let host: String
  private let port: UInt16
  private let resolve: LinkAddresses.Resolver
  /// Not a property's own bytes: a lock has to stay where it is.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var state = Answer.awaited

  /// Begins to ask. The thread ends by itself, whether or not somebody is left who wants the answer.
  init(host: String, port: UInt16, _ resolve: @escaping LinkAddresses.Resolver) {
    self.host = host
    self.port = port
    self.resolve = resolve
    lock = .allocate(capacity: 1)
    lock.initialize(to: pthread_mutex_t())
    pthread_mutex_init(lock, nil)
    let kept = Unmanaged.passRetained(self)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<AddressSearch>.fromOpaque(context).takeRetainedValue().ask()
        return nil
      }, kept.toOpaque())
    guard code == 0 else {
      // No thread to be had is no answer; the next search may have more luck.
      kept.release()
      state = .given(nil)
      return
    }
    pthread_detach(thread)
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  /// What came of it so far. Waits for nothing.
  var answer: Answer {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return state
  }

  private func ask() {
    // Signals are for the threads that look at them.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    let found = resolve(host, port)
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    state = .given(found)
  }
}
