private import Glibc

/// Lines of text from a file, a pipe or standard input, as they come.
public struct LineReader: ~Copyable {
  private let descriptor: Int32
  private let ownsDescriptor: Bool
  private var pending: [UInt8] = []
  private var start = 0
  private var isAtEnd = false

  /// A line longer than this is a file of another kind: it is given out in pieces.
  private static let longestLine = 1 << 20

  /// Reads from an open descriptor, which stays open.
  public init(descriptor: Int32) {
    self.descriptor = descriptor
    ownsDescriptor = false
  }

  /// Opens a file.
  public init(path: String) throws(OutputError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .failed(errno: errno) }
    self.descriptor = descriptor
    ownsDescriptor = true
  }

  deinit { if ownsDescriptor { close(descriptor) } }

  /// Whether `next` has a line without waiting for one.
  public var hasLine: Bool { isAtEnd || pending[start...].contains(0x0a) }

  /// The next line without its end (LF or CRLF); `nil` at the end.
  /// - Throws: `interrupted` on a stop signal, `failed` if the system refuses (21 = a folder).
  public mutating func next() throws(OutputError) -> String? {
    while true {
      if let end = pending[start...].firstIndex(of: 0x0a) {
        defer { start = end + 1 }
        return text(start..<end)
      }
      if isAtEnd || pending.count - start > Self.longestLine {
        guard start < pending.count else { return nil }
        defer { start = pending.count }
        return text(start..<pending.count)
      }
      try fill()
    }
  }

  private func text(_ range: Range<Int>) -> String {
    var bytes = pending[range]
    if bytes.last == 0x0d { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func fill() throws(OutputError) {
    pending.removeSubrange(..<start)
    start = 0
    var block = [UInt8](repeating: 0, count: 1 << 14)
    let count = read(descriptor, &block, block.count)
    if count > 0 {
      pending.append(contentsOf: block[..<count])
    } else if count == 0 {
      isAtEnd = true
    } else if errno != EINTR {
      throw .failed(errno: errno)
    } else if Signals.stopRequest != nil {
      throw .interrupted
    }
  }
}
