import Glibc

/// A file that is mapped into memory: read at the speed of the disk, in windows, without a copy.
///
/// A file that another process cuts short while it is mapped ends the program with SIGBUS, as with any mapping; captures are
/// written once or appended to.
public final class MappedFile: Sendable {
  /// The whole file.
  public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer  // immutable memory, unmapped in deinit only

  /// Maps the file behind `descriptor`, which may be closed afterwards.
  /// - Returns: `nil` if it is empty or no regular file.
  init?(descriptor: Int32, path: String) throws(HostError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HostError(path, attempt: "examine", code: errno) }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { return nil }
    guard let base = mmap(nil, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw HostError(path, attempt: "map", code: errno)
    }
    madvise(base, status.st_size, MADV_SEQUENTIAL)
    bytes = UnsafeRawBufferPointer(start: base, count: status.st_size)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}

/// Where a capture's bytes come from.
public enum ByteSource {
  /// A regular file.
  case file(MappedFile)
  /// A pipe, terminal, device or socket.
  case stream(ByteStream)

  /// Opens `path`; `-` is standard input.
  public init(path: String) throws(HostError) {
    let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HostError(path == "-" ? "standard input" : path, attempt: "open", code: errno) }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      close(descriptor)
      throw HostError(path, attempt: "read", code: EISDIR)
    }
    // Standard input may be a file that is read from its middle: only a whole file is mapped.
    if lseek(descriptor, 0, SEEK_CUR) == 0, let file = try MappedFile(descriptor: descriptor, path: path) {
      close(descriptor)
      self = .file(file)
    } else {
      self = .stream(ByteStream(descriptor: descriptor, name: path == "-" ? "standard input" : path))
    }
  }
}

/// Reads a descriptor from front to back.
public final class ByteStream {
  private let descriptor: Int32
  /// The path, or what stands for it in messages.
  public let name: String

  init(descriptor: Int32, name: String) {
    self.descriptor = descriptor
    self.name = name
  }

  /// Opens `path` to be read and not mapped: a file that is cut short meanwhile is a short one. `-` is standard input.
  public convenience init(path: String) throws(HostError) {
    let name = path == "-" ? "standard input" : path
    let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HostError(name, attempt: "open", code: errno) }
    self.init(descriptor: descriptor, name: name)
  }

  deinit { close(descriptor) }

  /// Fills the front of `buffer` with what there is, waiting for at least a byte.
  /// - Returns: the number of bytes, 0 at the end or when a signal came while `isInterrupted`.
  public func read(into buffer: UnsafeMutableRawBufferPointer, isInterrupted: () -> Bool = { false }) throws(HostError) -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      guard errno == EINTR || errno == EAGAIN else { throw HostError(name, attempt: "read", code: errno) }
      if isInterrupted() { return 0 }
      if errno == EAGAIN { _ = waitForBytes(milliseconds: 100) }
    }
  }

  /// Whether bytes (or the end) come within that time.
  public func waitForBytes(milliseconds: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, milliseconds) > 0
  }
}

/// Milliseconds of a clock that only goes forward.
public func monotonicMilliseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
}

/// Waits; a signal ends it early.
public func pause(milliseconds: Int32) { poll(nil, 0, max(0, milliseconds)) }
