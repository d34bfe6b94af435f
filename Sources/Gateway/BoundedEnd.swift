internal import Dispatch

extension DispatchQueue {
  /// Does the last thing and waits for it, three seconds at most: a disk that hangs keeps what it has not taken, not the end.
  func finish(_ work: @Sendable @escaping () -> Void) {
    let isDone = DispatchSemaphore(value: 0)
    async {
      work()
      isDone.signal()
    }
    _ = isDone.wait(timeout: .now() + 3)
  }
}
