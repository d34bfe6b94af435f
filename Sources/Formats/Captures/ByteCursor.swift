/// Reads a run of bytes from front to back without ever leaving it: every access is checked, none traps, none allocates.
///
/// Borrowed memory: never keep one beyond the call that handed it over.
public struct ByteCursor {
  @usableFromInline var position: UnsafeRawPointer
  @usableFromInline let limit: UnsafeRawPointer
  @usableFromInline let start: UnsafeRawPointer

  /// A cursor at the front of `bytes`.
  @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address: any address serves for zero bytes.
    let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    start = base
    position = base
    limit = base + bytes.count
  }

  /// Bytes not yet read.
  @inlinable public var remaining: Int { limit - position }
  /// Whether nothing is left.
  @inlinable public var isAtEnd: Bool { position >= limit }
  /// Bytes read so far; settable to go back (clamped).
  @inlinable public var offset: Int {
    get { position - start }
    set { position = start + Swift.max(0, Swift.min(newValue, limit - start)) }
  }
  /// The unread bytes; valid as long as the cursor's memory.
  @inlinable public var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: position, count: remaining) }

  /// The byte `ahead` places on, or 0 past the end.
  @inlinable public func peek(_ ahead: Int = 0) -> UInt8 {
    ahead >= 0 && ahead < remaining ? position.load(fromByteOffset: ahead, as: UInt8.self) : 0
  }

  /// Moves on by `count` bytes, at most to the end.
  @inlinable public mutating func skip(_ count: Int = 1) { position += Swift.max(0, Swift.min(count, remaining)) }

  /// Takes the next byte; `nil` at the end.
  @inlinable public mutating func next() -> UInt8? {
    guard position < limit else { return nil }
    defer { position += 1 }
    return position.load(as: UInt8.self)
  }

  /// Skips `byte` if it is next, and says whether it was.
  @inlinable public mutating func take(_ byte: UInt8) -> Bool {
    guard position < limit, position.load(as: UInt8.self) == byte else { return false }
    position += 1
    return true
  }

  /// Skips `text` if it is next, and says whether it was.
  public mutating func take(_ text: StaticString) -> Bool {
    guard hasPrefix(text) else { return false }
    position += text.utf8CodeUnitCount
    return true
  }

  /// Whether the unread bytes begin with `text`, case and all.
  public func hasPrefix(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard count <= remaining else { return false }
    for index in 0..<count where position.load(fromByteOffset: index, as: UInt8.self) != text.utf8Start[index] { return false }
    return true
  }

  /// Whether `text` (ASCII, given in lower case) is next, whatever its case.
  public func hasPrefix(ignoringCase text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard count <= remaining else { return false }
    for index in 0..<count {
      let byte = position.load(fromByteOffset: index, as: UInt8.self)
      let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
      if lower != text.utf8Start[index] { return false }
    }
    return true
  }

  /// Skips blanks and tabs; says how many.
  @discardableResult
  @inlinable public mutating func skipBlanks() -> Int {
    let before = position
    while position < limit, case let byte = position.load(as: UInt8.self), byte == 0x20 || byte == 0x09 { position += 1 }
    return position - before
  }

  /// Takes everything up to the next blank, tab or the end.
  public mutating func word() -> UnsafeRawBufferPointer {
    let begin = position
    while position < limit, case let byte = position.load(as: UInt8.self), byte != 0x20, byte != 0x09 { position += 1 }
    return UnsafeRawBufferPointer(start: begin, count: position - begin)
  }

  /// Takes everything up to `byte` (which is taken too, not returned); `nil`, and nothing taken, if it does not come.
  public mutating func upTo(_ byte: UInt8) -> UnsafeRawBufferPointer? {
    var end = position
    while end < limit, end.load(as: UInt8.self) != byte { end += 1 }
    guard end < limit else { return nil }
    defer { position = end + 1 }
    return UnsafeRawBufferPointer(start: position, count: end - position)
  }

  /// Takes a decimal number of at most 18 digits; `nil`, and nothing taken, if no digit is next or there are more.
  @inlinable public mutating func decimal() -> UInt64? {
    var value: UInt64 = 0
    var end = position
    while end < limit, case let digit = end.load(as: UInt8.self) &- 0x30, digit < 10 {
      value = value &* 10 &+ UInt64(digit)
      end += 1
    }
    guard end > position, end - position <= 18 else { return nil }
    position = end
    return value
  }

  /// Takes a hexadecimal number of 1…`most` digits (16 at the most) and says how many digits it had; `nil`, and nothing taken, if
  /// there are none or more.
  @inlinable public mutating func hexadecimal(most: Int = 8) -> (value: UInt64, digits: Int)? {
    var value: UInt64 = 0
    var end = position
    while end < limit, case let digit = hexDigitValue(end.load(as: UInt8.self)), digit < 16 {
      value = value &<< 4 | UInt64(digit)
      end += 1
    }
    let digits = end - position
    guard digits > 0, digits <= Swift.min(most, 16) else { return nil }
    position = end
    return (value, digits)
  }

  /// Takes `seconds[.fraction]` and gives nanoseconds with the number of fraction digits (more than nine are cut off, and counted as
  /// nine); `nil`, and nothing taken, where no number stands or it does not fit.
  public mutating func seconds() -> (nanoseconds: Int64, digits: Int)? {
    var copy = self
    guard let whole = copy.decimal(), whole < 9_000_000_000 else { return nil }
    var fraction: Int64 = 0
    var digits = 0
    if copy.peek() == 0x2E, copy.peek(1) &- 0x30 < 10 {
      copy.skip()
      while case let digit = copy.peek() &- 0x30, digit < 10 {
        if digits < 9 {
          fraction = fraction * 10 + Int64(digit)
          digits += 1
        }
        copy.skip()
      }
    }
    for _ in digits..<9 { fraction *= 10 }
    self = copy
    return (Int64(whole) * 1_000_000_000 + fraction, digits)
  }
}

/// The value of a hexadecimal digit in either case; 255 for any other byte.
@inlinable public func hexDigitValue(_ byte: UInt8) -> UInt8 {
  if case let digit = byte &- 0x30, digit < 10 { return digit }
  if case let letter = (byte | 0x20) &- 0x61, letter < 6 { return letter &+ 10 }
  return 255
}

/// Bytes for an error message: printable ASCII as it is, others as `\xNN`, cut after `limit` bytes, in quotes.
public func quoted(_ bytes: UnsafeRawBufferPointer, limit: Int = 40) -> String {
  var text = "\""
  for byte in bytes.prefix(limit) {
    if byte >= 0x20, byte < 0x7F {
      text.unicodeScalars.append(Unicode.Scalar(byte))
    } else {
      let hex = String(byte, radix: 16, uppercase: true)
      text += "\\x" + (hex.utf8.count == 1 ? "0" : "") + hex
    }
  }
  return text + (bytes.count > limit ? "…\"" : "\"")
}
