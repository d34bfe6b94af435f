private import Glibc

/// Files that are whole at any moment, whatever happens: written aside, forced to the disk, then put in place of the old one, which
/// is kept as `NAME.previous`.
public enum AtomicFile {
  /// Steps at which a test may stop the world.
  public enum Step: Int, Sendable, CaseIterable { case opened, halfWritten, written, synced, linked, renamed }

  /// Writes `bytes` as `path`.
  /// - Parameters:
  ///   - permissions: of a new file; the process's mask takes away from them.
  ///   - reached: called after each step, for tests that kill the process there.
  public static func write(
    _ bytes: [UInt8], to path: String, permissions: UInt32 = 0o644, reached: (Step) -> Void = { _ in }
  ) throws(HostError) {
    let aside = path + ".new"
    let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, permissions)
    guard descriptor >= 0 else { throw HostError(aside, attempt: "open", code: errno) }
    reached(.opened)
    var done = 0
    while done < bytes.count {
      // Half of it first, so that a test can find a file that is not whole.
      let end = done == 0 ? max(1, bytes.count / 2) : bytes.count
      let count = bytes[done..<end].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        let code = errno
        close(descriptor)
        unlink(aside)
        throw HostError(aside, attempt: "write", code: code)
      }
      done += count
      if done < bytes.count { reached(.halfWritten) }
    }
    reached(.written)
    let synced = fsync(descriptor)
    let code = errno
    close(descriptor)
    guard synced == 0 else { throw HostError(aside, attempt: "write", code: code) }
    reached(.synced)
    // The old file gets a second name before it loses its first: at no moment is there no good file, nor none before it.
    let previous = path + ".previous"
    let second = previous + ".new"
    unlink(second)
    if link(path, second) == 0 {
      guard rename(second, previous) == 0 else { throw HostError(previous, attempt: "keep the old file as", code: errno) }
      // Two names of one file are left as they are by a rename: then one is too many.
      unlink(second)
    } else if errno != ENOENT {
      throw HostError(previous, attempt: "keep the old file as", code: errno)
    }
    reached(.linked)
    guard rename(aside, path) == 0 else { throw HostError(path, attempt: "replace", code: errno) }
    reached(.renamed)
    // The folder's entry has to reach the disk as well.
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let folderDescriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folderDescriptor >= 0 {
      fsync(folderDescriptor)
      close(folderDescriptor)
    }
  }
}
