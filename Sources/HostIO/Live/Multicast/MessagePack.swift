/// Writes MessagePack, as much of it as a frame needs.
struct MessagePackWriter {
  private(set) var bytes: [UInt8] = []

  private mutating func put<Number: FixedWidthInteger>(_ number: Number) {
    withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func map(count: UInt8) { bytes.append(0x80 | count & 0x0F) }

  mutating func string(_ text: StaticString) {
    text.withUTF8Buffer { text in
      bytes.append(0xA0 | UInt8(truncatingIfNeeded: text.count) & 0x1F)
      bytes.append(contentsOf: text)
    }
  }

  mutating func bool(_ value: Bool) { bytes.append(value ? 0xC3 : 0xC2) }

  mutating func none() { bytes.append(0xC0) }

  mutating func float(_ value: Double) {
    bytes.append(0xCB)
    put(value.bitPattern)
  }

  mutating func unsigned(_ value: UInt32) {
    switch value {
    case 0..<0x80: bytes.append(UInt8(value))
    case 0x80..<0x100:
      bytes.append(0xCC)
      put(UInt8(value))
    case 0x100..<0x1_0000:
      bytes.append(0xCD)
      put(UInt16(value))
    default:
      bytes.append(0xCE)
      put(value)
    }
  }

  mutating func binary(count: UInt8, byte: (Int) -> UInt8) {
    bytes.append(0xC4)
    bytes.append(count)
    for index in 0..<Int(count) { bytes.append(byte(index)) }
  }
}

/// Reads MessagePack from a datagram. Nothing in it can trap: every read is bounded, and what is nested is skipped without recursion.
struct MessagePackReader {
  /// A value, as far as a frame's fields go.
  enum Value: Equatable {
    case none
    case bool(Bool)
    case signed(Int64)
    case unsigned(UInt64)
    case float(Double)
    /// Text or bytes: where they lie.
    case bytes(Range<Int>)
    /// How many values follow; a map has two for each of its entries.
    case array(Int)
    case map(Int)
    /// An application's own type.
    case extended
  }

  let bytes: UnsafeRawBufferPointer
  private(set) var place = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { place >= bytes.count }

  private mutating func number<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
    let size = MemoryLayout<Number>.size
    guard bytes.count - place >= size else { return nil }
    defer { place += size }
    return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: place, as: Number.self))
  }

  private mutating func span(_ count: Int?) -> Range<Int>? {
    guard let count, count >= 0, bytes.count - place >= count else { return nil }
    defer { place += count }
    return place..<place + count
  }

  private mutating func count<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Int? {
    number(type).flatMap { Int(exactly: $0) }
  }

  /// The next value; `nil` where the bytes end early or are none.
  mutating func next() -> Value? {
    guard let kind = number(UInt8.self) else { return nil }
    switch kind {
    case 0x00...0x7F: return .unsigned(UInt64(kind))
    case 0x80...0x8F: return .map(Int(kind & 0x0F))
    case 0x90...0x9F: return .array(Int(kind & 0x0F))
    case 0xA0...0xBF: return span(Int(kind & 0x1F)).map { .bytes($0) }
    case 0xC0: return Value.none
    case 0xC2: return .bool(false)
    case 0xC3: return .bool(true)
    case 0xC4, 0xD9: return span(count(UInt8.self)).map { .bytes($0) }
    case 0xC5, 0xDA: return span(count(UInt16.self)).map { .bytes($0) }
    case 0xC6, 0xDB: return span(count(UInt32.self)).map { .bytes($0) }
    case 0xCA: return number(UInt32.self).map { .float(Double(Float(bitPattern: $0))) }
    case 0xCB: return number(UInt64.self).map { .float(Double(bitPattern: $0)) }
    case 0xE0...0xFF: return .signed(Int64(Int8(bitPattern: kind)))
    default: return wide(kind)
    }
  }

  private mutating func wide(_ kind: UInt8) -> Value? {
    switch kind {
    case 0xCC: return number(UInt8.self).map { .unsigned(UInt64($0)) }
    case 0xCD: return number(UInt16.self).map { .unsigned(UInt64($0)) }
    case 0xCE: return number(UInt32.self).map { .unsigned(UInt64($0)) }
    case 0xCF: return number(UInt64.self).map { .unsigned($0) }
    case 0xD0: return number(Int8.self).map { .signed(Int64($0)) }
    case 0xD1: return number(Int16.self).map { .signed(Int64($0)) }
    case 0xD2: return number(Int32.self).map { .signed(Int64($0)) }
    case 0xD3: return number(Int64.self).map { .signed($0) }
    case 0xDC: return count(UInt16.self).map { .array($0) }
    case 0xDD: return count(UInt32.self).map { .array($0) }
    case 0xDE: return count(UInt16.self).map { .map($0) }
    case 0xDF: return count(UInt32.self).map { .map($0) }
    // Extensions: a type byte and the data.
    case 0xC7: return span(count(UInt8.self).map { $0 + 1 }).map { _ in .extended }
    case 0xC8: return span(count(UInt16.self).map { $0 + 1 }).map { _ in .extended }
    case 0xC9: return span(count(UInt32.self).map { $0 + 1 }).map { _ in .extended }
    case 0xD4...0xD8: return span(1 + 1 << Int(kind - 0xD4)).map { _ in .extended }
    default: return nil
    }
  }

  /// Passes over what belongs to a value that `next` returned. Stops at the end of the bytes, however many entries they claim.
  mutating func skipContents(of value: Value) -> Bool {
    var left: Int
    switch value {
    case .array(let count): left = count
    case .map(let count): left = count &* 2
    default: return true
    }
    while left > 0 {
      guard let value = next() else { return false }
      left -= 1
      switch value {
      case .array(let count): left &+= count
      case .map(let count): left &+= count &* 2
      default: break
      }
      // Every value takes a byte at least.
      guard left <= bytes.count - place else { return false }
    }
    return left == 0
  }
}
