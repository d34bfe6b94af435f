/// Bytes on their way out: one reused block that renderers and writers append to and a sink writes away.
///
/// Own memory instead of `[UInt8]`, because appending pieces to an array costs 5.6 × (performance.md §C). `reserve` once a line,
/// then append without a check each.
public struct ByteBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  /// Bytes filled so far.
  public private(set) var count: Int

  /// An empty buffer with room for `capacity` bytes; grows when more is reserved.
  public init(capacity: Int = 1 << 16) {
    self.capacity = max(capacity, 256)
    base = .allocate(byteCount: self.capacity, alignment: 64)
    count = 0
  }

  deinit { base.deallocate() }

  /// The bytes, valid inside `body` only.
  @inlinable public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Forgets the bytes, keeps the memory.
  public mutating func removeAll() { count = 0 }

  /// Drops bytes from the end so that `count` remain.
  public mutating func truncate(to count: Int) { self.count = max(0, min(self.count, count)) }

  /// Makes room for `extra` more bytes beyond `count`.
  @inlinable public mutating func reserve(_ extra: Int) {
    if count &+ extra > capacity { grow(extra) }
  }

  @usableFromInline mutating func grow(_ extra: Int) {
    let wanted = max(capacity * 2, count + extra)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 64)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
    capacity = wanted
  }

  /// Appends one byte.
  @inlinable public mutating func append(_ byte: UInt8) {
    reserve(1)
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    advance(1)
  }

  /// Appends text known at compile time.
  @inlinable public mutating func append(_ text: StaticString) {
    reserve(text.utf8CodeUnitCount)
    (base + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    advance(text.utf8CodeUnitCount)
  }

  /// Appends a string's UTF-8. Not for the per-frame path.
  public mutating func append(string: String) {
    var string = string
    string.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
  }

  /// Appends `bytes`.
  @inlinable public mutating func append(bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    advance(bytes.count)
  }

  /// Appends a copy of bytes that stand in the buffer already; a range outside is cut to what there is.
  public mutating func appendCopy(from start: Int, count wanted: Int) {
    let length = max(0, min(wanted, count - start))
    guard start >= 0, length > 0 else { return }
    reserve(length)
    (base + count).copyMemory(from: base + start, byteCount: length)
    advance(length)
  }

  /// Appends `byte` `times` times.
  public mutating func append(repeating byte: UInt8, count times: Int) {
    guard times > 0 else { return }
    reserve(times)
    (base + count).initializeMemory(as: UInt8.self, repeating: byte, count: times)
    advance(times)
  }

  /// Where the next byte goes, for renderers that reserved room before. Pair with `advance`.
  @inlinable public var end: UnsafeMutableRawPointer { base + count }

  /// Declares `written` bytes behind `end` as filled; they must have been reserved.
  @inlinable public mutating func advance(_ written: Int) { setCount(count &+ written) }

  @usableFromInline mutating func setCount(_ value: Int) { count = value }
}

extension ByteBuffer {
  /// Appends an integer in decimal.
  public mutating func append<I: BinaryInteger>(decimal value: I) { append(string: String(value)) }

  /// Appends an unsigned number in upper-case hexadecimal with at least `digits` digits.
  public mutating func append(hex value: UInt64, digits: Int) {
    let text = String(value, radix: 16, uppercase: true)
    append(repeating: 0x30, count: digits - text.utf8.count)
    append(string: text)
  }
}
