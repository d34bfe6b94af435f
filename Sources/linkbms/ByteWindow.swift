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
  /// Set for a gzip-compressed source: its bytes go through here into `buffer`.
  private var packed: PackedSource?

  /// The most that a stream's buffer grows to when a reader takes nothing: larger blocks are damage, which readers skip by then.
  private static let largestBuffer = 4 << 20

  init(_ source: ByteSource) throws(HostError) {
    self.source = source
    switch source {
    case .file(let file):
      if GzipInflater.recognises(file.bytes) {
        packed = PackedSource(file)
        buffer = StreamBuffer(capacity: 256 << 10)
      }
    case .stream(let stream):
      buffer = StreamBuffer(capacity: 256 << 10)
      // Whether a stream is compressed shows in its first bytes; they are unpacked or handed on.
      let head = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
      defer { head.deallocate() }
      var count = 0
      while count < 3 {
        let more = try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: head[count...]))
        if more == 0 { break }
        count += more
      }
      let bytes = UnsafeRawBufferPointer(rebasing: head[..<count])
      if GzipInflater.recognises(bytes) { packed = PackedSource(stream, head: bytes) } else { buffer?.append(bytes) }
    }
  }

  /// Whether the source is compressed.
  var isCompressed: Bool { packed != nil }

  /// Whether the source is a pipe, a device or a terminal.
  var isLive: Bool { if case .stream = source { true } else { false } }

  /// What was wrong with the compression, once it is known.
  var problem: CaptureProblem? { packed?.inflater.problem }

  /// The whole uncompressed file.
  var mapped: UnsafeRawBufferPointer? {
    if case .file(let file) = source, packed == nil { file.bytes } else { nil }
  }

  var progress: (done: Int, total: Int?) {
    if let packed { return (packed.done, packed.total) }
    if case .file(let file) = source { return (offset, file.bytes.count) }
    return (buffer?.taken ?? 0, nil)
  }

  /// Whether the bytes now in reach are the last.
  var isAtEnd: Bool {
    if case .file(let file) = source, packed == nil { offset + length >= file.bytes.count } else { buffer?.isAtEnd ?? true }
  }

  /// Bytes from where reading stands, without taking them: at least so many if they come soon, fewer at the end or where a live
  /// source is slow.
  mutating func peek(atLeast count: Int) throws(WorldError) -> UnsafeRawBufferPointer {
    if let packed, let buffer {
      buffer.reserve(count)
      while buffer.bytes.count < count, !buffer.isAtEnd { try packed.fill(buffer) }
      buffer.needsMore = buffer.bytes.isEmpty
      return buffer.bytes
    }
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
    if let packed, let buffer {
      if buffer.needsMore, !buffer.isAtEnd {
        if buffer.isFull { buffer.reserve(min(buffer.bytes.count * 2, ByteWindow.largestBuffer)) }
        try packed.fill(buffer)
      }
      return (buffer.bytes, buffer.isAtEnd)
    }
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
    if count == 0, case .file = source, packed == nil { length *= 2 } else { length = CaptureInput.windowLength }
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

  /// Takes bytes that were read elsewhere.
  func append(_ bytes: UnsafeRawBufferPointer) {
    reserve(end - start + bytes.count)
    free.copyMemory(from: bytes)
    end += bytes.count
  }

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

/// A gzip-compressed file or stream that is unpacked as it is read.
final class PackedSource {
  let inflater = GzipInflater()
  private let file: MappedFile?
  private let stream: ByteStream?
  private var input: StreamBuffer
  private(set) var done = 0

  init(_ file: MappedFile) {
    self.file = file
    stream = nil
    input = StreamBuffer(capacity: 64)
  }

  init(_ stream: ByteStream, head: UnsafeRawBufferPointer) {
    file = nil
    self.stream = stream
    input = StreamBuffer(capacity: 1 << 16)
    input.append(head)
  }

  var total: Int? { file?.bytes.count }

  /// Unpacks at least a byte into the buffer, or marks its end.
  func fill(_ buffer: StreamBuffer) throws(WorldError) {
    while true {
      let bytes = file.map { UnsafeRawBufferPointer(rebasing: $0.bytes[done...]) } ?? input.bytes
      if bytes.isEmpty {
        guard try readMore() else {
          inflater.finish()
          buffer.isAtEnd = true
          return
        }
        continue
      }
      let (taken, written) = inflater.inflate(bytes, into: buffer.free)
      done += taken
      if stream != nil { input.consume(taken) }
      buffer.fill(written)
      if inflater.problem != nil { buffer.isAtEnd = true }
      if written > 0 || buffer.isAtEnd { return }
      if taken == 0, try !readMore() {
        inflater.finish()
        buffer.isAtEnd = true
        return
      }
    }
  }

  /// More of a stream; `false` at its end, and always for a file.
  private func readMore() throws(WorldError) -> Bool {
    guard let stream else { return false }
    do throws(HostError) {
      if input.isFull { input.reserve(input.bytes.count * 2) }
      let count = try stream.read(into: input.free)
      input.fill(count)
      return count > 0
    } catch {
      throw WorldError(message: error.description)
    }
  }
}
