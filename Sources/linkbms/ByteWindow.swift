import Formats
import HostIO

/// The part of a source that is in reach: a window on a mapped file, or a buffer that a stream is read into. The reader takes
/// what is whole; what it leaves stands at the front of the next window.
struct ByteWindow {
  private let source: ByteSource
  /// Read so far of a mapped file.
  private var offset = 0
  private var length = CaptureInput.windowLength
  private var buffer: StreamBuffer?
  let isCompressed = false

  /// The most that a stream's buffer grows to when a reader takes nothing: larger blocks are damage, which readers skip by then.
  private static let largestBuffer = 4 << 20

  init(_ source: ByteSource) throws(HostError) {
    self.source = source
    if case .stream = source { buffer = StreamBuffer(capacity: 256 << 10) }
  }

  /// The whole uncompressed file.
  var mapped: UnsafeRawBufferPointer? {
    if case .file(let file) = source { file.bytes } else { nil }
  }

  var progress: (done: Int, total: Int?) {
    if case .file(let file) = source { (offset, file.bytes.count) } else { (buffer?.taken ?? 0, nil) }
  }

  /// Whether the bytes now in reach are the last.
  var isAtEnd: Bool {
    if case .file(let file) = source { offset + length >= file.bytes.count } else { buffer?.isAtEnd ?? true }
  }

  /// Bytes from where reading stands, without taking them: at least so many if they come soon, fewer at the end or where a live
  /// source is slow.
  mutating func peek(atLeast count: Int) throws(WorldError) -> UnsafeRawBufferPointer {
    switch source {
    case .file(let file):
      length = max(length, count)
      return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<min(file.bytes.count, offset + count)])
    case .stream(let stream):
      guard let buffer else { return UnsafeRawBufferPointer(start: nil, count: 0) }
      buffer.reserve(count)
      // A live source may never fill the window: wait for its first bytes, then a moment for more.
      let patience = monotonicMilliseconds() + 1_500
      while buffer.bytes.count < count, !buffer.isAtEnd {
        if !buffer.bytes.isEmpty {
          let left = patience - monotonicMilliseconds()
          if left <= 0 || !stream.waitForBytes(milliseconds: Int32(clamping: left)) { break }
        }
        try fill(buffer, from: stream)
      }
      buffer.needsMore = buffer.bytes.isEmpty
      return buffer.bytes
    }
  }

  /// The next bytes and whether they are the last.
  mutating func next() throws(WorldError) -> (bytes: UnsafeRawBufferPointer, isEnd: Bool) {
    switch source {
    case .file(let file):
      let end = min(file.bytes.count, offset + length)
      return (UnsafeRawBufferPointer(rebasing: file.bytes[offset..<end]), end == file.bytes.count)
    case .stream(let stream):
      guard let buffer else { return (UnsafeRawBufferPointer(start: nil, count: 0), true) }
      if buffer.needsMore, !buffer.isAtEnd { try fill(buffer, from: stream) }
      return (buffer.bytes, buffer.isAtEnd)
    }
  }

  /// Declares the first `count` bytes of the window as read.
  mutating func consume(_ count: Int) {
    offset += count
    if count == 0, case .file = source { length *= 2 } else { length = CaptureInput.windowLength }
    buffer?.consume(count)
  }

  private func fill(_ buffer: StreamBuffer, from stream: ByteStream) throws(WorldError) {
    do throws(HostError) {
      if buffer.isFull { buffer.reserve(min(buffer.bytes.count * 2, ByteWindow.largestBuffer)) }
      let count = try stream.read(into: buffer.free)
      if count == 0 { buffer.isAtEnd = true } else { buffer.fill(count) }
    } catch {
      throw WorldError(message: error.description)
    }
  }
}

/// A buffer that is filled at the back and emptied at the front.
final class StreamBuffer {
  private var memory: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0
  /// The source has nothing more.
  var isAtEnd = false
  /// Whether the reader has had what is there: what was only peeked at must reach it before a live source is waited for again.
  var needsMore = true
  private(set) var taken = 0

  init(capacity: Int) { memory = .allocate(byteCount: capacity, alignment: 64) }

  deinit { memory.deallocate() }

  /// What is there.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[start..<end]) }
  /// Room behind it.
  var free: UnsafeMutableRawBufferPointer {
    moveToFront()
    return UnsafeMutableRawBufferPointer(rebasing: memory[end...])
  }
  var isFull: Bool { end - start == memory.count }

  /// Makes room for at least `count` bytes in all.
  func reserve(_ count: Int) {
    guard count > memory.count else { return }
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    larger.copyMemory(from: bytes)
    end -= start
    start = 0
    memory.deallocate()
    memory = larger
  }

  func fill(_ count: Int) { end += count }

  func consume(_ count: Int) {
    start += count
    taken += count
    needsMore = true
  }

  private func moveToFront() {
    guard start > 0 else { return }
    if let base = memory.baseAddress, end > start { base.copyMemory(from: base + start, byteCount: end - start) }
    end -= start
    start = 0
  }
}
