internal import Dispatch

extension DispatchQueue {
  /// Does a thing and waits for it, three seconds at most: a disk or a server that hangs holds up neither the start nor the end. At
  /// the start the thing goes on by itself; at the end, what the disk has not taken is lost.
  func finish(within seconds: Double = 3, _ work: @Sendable @escaping () -> Void) {
    let isDone = DispatchSemaphore(value: 0)
    async {
      work()
      isDone.signal()
    }
    _ = isDone.wait(timeout: .now() + seconds)
  }
}
