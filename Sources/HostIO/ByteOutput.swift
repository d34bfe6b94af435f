private import Glibc

/// Why bytes could not be written.
public enum OutputError: Error, Equatable {
  /// Nobody reads any more (`| head`).
  case brokenPipe
  /// A stop signal came while waiting for the reader.
  case interrupted
  /// The device refused; `errno` says why (28 = no space left).
  case failed(errno: Int32)
}

/// Bytes on their way to a file descriptor, gathered so that small writes do not cost a system call each.
///
/// Large pieces pass through without a copy: renderers come with a megabyte at a time.
public final class ByteOutput {
  /// When bytes leave.
  public enum Buffering: Sendable {
    /// When 64 KiB have gathered, and on `flush`: files and pipes.
    case full
    /// After each piece: a person is looking.
    case none
  }

  private let descriptor: Int32
  private let buffering: Buffering
  private let storage: UnsafeMutableRawBufferPointer
  private var count = 0
  private var ownsDescriptor: Bool
  /// A file that replaces another when it is closed: until then the old one stays whole, for whoever has it open or mapped.
  private var replacement: (partial: String, target: String)?

  private static let capacity = 1 << 16

  /// Writes to `descriptor`; closes it at the end of its life if it `owns` it.
  public init(descriptor: Int32, buffering: Buffering, owns: Bool = false) {
    self.descriptor = descriptor
    self.buffering = buffering
    ownsDescriptor = owns
    storage = .allocate(byteCount: Self.capacity, alignment: 64)
  }

  /// Opens a file to write. One that exists and holds something is replaced when this is closed, not before: it may be the very
  /// capture that is being read.
  /// - Parameters:
  ///   - appending: adds to the end instead of beginning anew.
  ///   - buffering: when bytes leave.
  /// - Throws: `failed` with what the system said (2 = no such folder, 13 = not allowed, 21 = a folder).
  public convenience init(path: String, appending: Bool, buffering: Buffering = .full) throws(OutputError) {
    if !appending, let facts = try? FileFacts(path: path), facts.isRegular, facts.size > 0, access(path, W_OK) == 0,
      let resolved = realpath(path, nil)
    {
      defer { free(resolved) }
      let target = String(cString: resolved)
      let partial = "\(target).partial-\(getpid())"
      let descriptor = Glibc.open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if descriptor >= 0 {
        fchmod(descriptor, facts.permissions)
        self.init(descriptor: descriptor, buffering: buffering, owns: true)
        replacement = (partial, target)
        return
      }
      // A folder that may not be written to: the file itself may, as before.
    }
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (appending ? O_APPEND : O_TRUNC)
    let descriptor = Glibc.open(path, flags, 0o666)
    guard descriptor >= 0 else { throw .failed(errno: errno) }
    self.init(descriptor: descriptor, buffering: buffering, owns: true)
  }

  /// Makes a file that grows in place: whatever ends the process, what was written is under its name. `nil` = something has that name,
  /// be it a link that leads nowhere.
  /// - Throws: `failed` with what the system said (2 = no such folder, 13 = not allowed, 28 = no space left).
  public convenience init?(newFile path: String, buffering: Buffering = .full) throws(OutputError) {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let code = errno
      if code == EEXIST { return nil }
      throw .failed(errno: code)
    }
    self.init(descriptor: descriptor, buffering: buffering, owns: true)
  }

  deinit {
    if ownsDescriptor { close() }
    storage.deallocate()
  }

  /// Writes what is left and closes the descriptor, so that a reader sees the end; does nothing to a descriptor it does not own.
  public func close() {
    guard ownsDescriptor else { return }
    try? flush()
    Glibc.close(descriptor)
    ownsDescriptor = false
    if let replacement { rename(replacement.partial, replacement.target) }
  }

  /// Takes bytes; they are written now or at the next `flush`.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
    if count + bytes.count > Self.capacity { try flush() }
    if bytes.count >= Self.capacity / 2 {
      try flush()
      return try writeThrough(bytes)
    }
    guard let start = bytes.baseAddress, let end = storage.baseAddress else { return }
    (end + count).copyMemory(from: start, byteCount: bytes.count)
    count += bytes.count
    if case .none = buffering { try flush() }
  }

  /// Takes text.
  public func write(_ text: String) throws(OutputError) {
    var text = text
    let result: Result<Void, OutputError> = text.withUTF8 { bytes in
      do throws(OutputError) { return .success(try write(UnsafeRawBufferPointer(bytes))) } catch { return .failure(error) }
    }
    try result.get()
  }

  /// Writes what has gathered. What could not be written is dropped: trying again would not end better.
  public func flush() throws(OutputError) {
    let gathered = UnsafeRawBufferPointer(start: storage.baseAddress, count: count)
    count = 0
    try writeThrough(gathered)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
    var rest = bytes
    while let start = rest.baseAddress, !rest.isEmpty {
      let written = Glibc.write(descriptor, start, rest.count)
      if written >= 0 {
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        // A signal cuts a write that waits for a slow reader short; without it everything is taken at once.
        if !rest.isEmpty, Signals.stopRequest != nil { throw .interrupted }
        continue
      }
      switch errno {
      case EINTR: if Signals.stopRequest != nil { throw .interrupted }
      case EAGAIN: waitUntilWritable()
      case EPIPE: throw .brokenPipe
      default: throw .failed(errno: errno)
      }
    }
  }

  /// Somebody set the shared descriptor non-blocking (a terminal multiplexer, a parent): wait instead of failing.
  private func waitUntilWritable() {
    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    poll(&wait, 1, 1000)
  }
}

extension ByteOutput {
  /// Writes all of it, however long that takes and whatever signal comes: for a thread on which nobody waits.
  /// - Returns: how many bytes were taken; fewer than all where the other end refused.
  public static func writeWaiting(_ bytes: [UInt8], to descriptor: Int32) -> Int {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        done += count
        continue
      }
      switch errno {
      case EINTR: continue
      // Somebody set the shared descriptor non-blocking. A terminal says at once that it takes more, also where it does not.
      case EAGAIN: usleep(10_000)
      default: return done
      }
    }
    return done
  }
}
