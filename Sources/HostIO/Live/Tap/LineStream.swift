private import Glibc

/// Lines over one descriptor that never waits: what has come so far, and what could not be written yet.
struct LineStream {
  private(set) var descriptor: Int32 = -1
  private var input = LineSplitter(capacity: LineStream.longestLine)
  private var output: [UInt8] = []
  /// Bytes that wait to be written at most. At 10 orders a second and 115200 baud that is far more than anything sound.
  static let most = 32_768
  /// A line is no longer; one that is, is noise and passed over.
  static let longestLine = 512

  var isOpen: Bool { descriptor >= 0 }
  var isWaiting: Bool { !output.isEmpty }

  mutating func begin(_ descriptor: Int32) {
    self.descriptor = descriptor
    input.startAnew()
    output.removeAll()
  }

  mutating func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
    input.startAnew()
    output.removeAll()
  }

  /// Takes what has come. Returns why the other end is gone, `nil` while it is there.
  mutating func receive(_ take: ([UInt8]) -> Void) -> String? {
    var chunk = [UInt8](repeating: 0, count: 16_384)
    var total = 0
    // A flood must not keep the loop from its steps.
    while total < 1 << 18 {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return "closed by the other end" }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN || errno == EWOULDBLOCK { break }
        return String(cString: strerror(errno))
      }
      total += count
      chunk.withUnsafeBytes { input.take(UnsafeRawBufferPointer(rebasing: $0[..<count]), take) }
      if count < chunk.count { break }
    }
    return flush()
  }

  /// Hands over bytes. `.full` = none of them were taken. The next `receive` tells if the other end is gone.
  mutating func send(_ bytes: [UInt8]) -> SendResult {
    guard output.count + bytes.count <= LineStream.most else { return .full }
    output += bytes
    _ = flush()
    return .sent
  }

  /// Writes what can be written now. Returns why the other end is gone.
  mutating func flush() -> String? {
    while !output.isEmpty {
      let count = Glibc.write(descriptor, output, output.count)
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN || errno == EWOULDBLOCK { return nil }
        return String(cString: strerror(errno))
      }
      output.removeFirst(count)
    }
    return nil
  }
}
