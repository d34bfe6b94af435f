private import Glibc

/// Keeps a second process from working with the same file: a lock beside it, which the kernel takes away when the process ends, however
/// it ends. So none is ever left behind.
public final class FileLock {
  private var descriptor: Int32

  /// Why there is no lock.
  public enum Failure: Error {
    /// Another process has it, and what it wrote about itself.
    case taken(by: String)
    /// The system refused.
    case refused(HostError)
  }

  /// Takes the lock of `path`: the file `path.lock`, which stays.
  /// - Parameter owner: what another process is told.
  public init(_ path: String, owner: String) throws(Failure) {
    let beside = path + ".lock"
    let descriptor = open(beside, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .refused(HostError(beside, attempt: "open", code: errno)) }
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      if code == EINTR { continue }
      defer { close(descriptor) }
      guard code == EWOULDBLOCK else { throw .refused(HostError(beside, attempt: "lock", code: code)) }
      var bytes = [UInt8](repeating: 0, count: 200)
      let count = read(descriptor, &bytes, bytes.count)
      let said = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").first.map(String.init)
      throw .taken(by: said ?? "another process")
    }
    self.descriptor = descriptor
    _ = ftruncate(descriptor, 0)
    let text = Array((owner + "\n").utf8)
    _ = write(descriptor, text, text.count)
  }

  deinit { release() }

  /// Gives it back.
  public func release() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    descriptor = -1
  }

  /// The number of this process.
  public static var process: Int32 { getpid() }
}
