import Bus

// Digits into raw memory, as the text and CSV renderers need them by the hundred million. Callers have reserved the room.

/// Where the next byte goes.
typealias Pen = UnsafeMutableRawPointer

/// "00", "01", … "99" as little-endian pairs of characters.
private let pairs: [UInt16] = (0..<100).map { (value: Int) -> UInt16 in
  let tens = UInt16(0x30 + value / 10)
  let ones = UInt16(0x30 + value % 10)
  return tens | ones << 8
}
/// "00 " … "FF " as four bytes of which three count.
private let hexTriples: [UInt32] = (0..<256).map { (value: Int) -> UInt32 in
  let digits = Array("0123456789ABCDEF".utf8)
  let high = UInt32(digits[value >> 4])
  let low = UInt32(digits[value & 15])
  return high | low << 8 | 0x2020_0000
}

/// Look-up tables at fixed addresses, made once for the life of the process.
struct DigitTables: @unchecked Sendable {  // immutable after init
  let pairs: UnsafePointer<UInt16>
  let hex: UnsafePointer<UInt32>

  static let shared = DigitTables()

  private init() {
    let pairMemory = UnsafeMutablePointer<UInt16>.allocate(capacity: 100)
    pairMemory.initialize(from: linkbms.pairs, count: 100)
    pairs = UnsafePointer(pairMemory)
    let hexMemory = UnsafeMutablePointer<UInt32>.allocate(capacity: 256)
    hexMemory.initialize(from: hexTriples, count: 256)
    hex = UnsafePointer(hexMemory)
  }

  /// `value` in decimal, at most 20 digits.
  @inline(__always) func put(_ value: UInt64, at pen: Pen) -> Pen {
    if value < 100 {
      if value < 10 {
        pen.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ value), as: UInt8.self)
        return pen + 1
      }
      pen.storeBytes(of: pairs[Int(value)], as: UInt16.self)
      return pen + 2
    }
    let count = digitCount(value)
    var rest = value
    var place = count
    while rest >= 100 {
      place &-= 2
      pen.storeBytes(of: pairs[Int(rest % 100)], toByteOffset: place, as: UInt16.self)
      rest /= 100
    }
    if place == 2 {
      pen.storeBytes(of: pairs[Int(rest)], as: UInt16.self)
    } else {
      pen.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ rest), as: UInt8.self)
    }
    return pen + count
  }

  /// `value × 10^−decimals` with exactly that many decimals: `246.9`, `-12.3`, `3.295`.
  @inline(__always) func put(_ value: Int64, decimals: UInt8, at start: Pen) -> Pen {
    var pen = start
    pen.storeBytes(of: 0x2D, as: UInt8.self)
    pen += value < 0 ? 1 : 0
    let magnitude = value.magnitude
    switch decimals {
    case 0: return put(magnitude, at: pen)
    case 1:
      pen = put(magnitude / 10, at: pen)
      pen.storeBytes(of: UInt16(0x302E) &+ UInt16(truncatingIfNeeded: magnitude % 10) &<< 8, as: UInt16.self)
      return pen + 2
    case 2:
      pen = put(magnitude / 100, at: pen)
      pen.storeBytes(of: 0x2E, as: UInt8.self)
      pen.storeBytes(of: pairs[Int(magnitude % 100)], toByteOffset: 1, as: UInt16.self)
      return pen + 3
    case 3:
      pen = put(magnitude / 1000, at: pen)
      let fraction = magnitude % 1000
      pen.storeBytes(of: UInt16(0x302E) &+ UInt16(truncatingIfNeeded: fraction / 100) &<< 8, as: UInt16.self)
      pen.storeBytes(of: pairs[Int(fraction % 100)], toByteOffset: 2, as: UInt16.self)
      return pen + 4
    default: return putLong(magnitude, decimals: Int(decimals), at: pen)
    }
  }

  private func putLong(_ magnitude: UInt64, decimals: Int, at start: Pen) -> Pen {
    var power: UInt64 = 1
    for _ in 0..<min(decimals, 18) { power *= 10 }
    var pen = put(magnitude / power, at: start)
    pen.storeBytes(of: 0x2E, as: UInt8.self)
    pen += 1
    var rest = magnitude % power
    for place in stride(from: decimals - 1, through: 0, by: -1) {
      pen.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: place, as: UInt8.self)
      rest /= 10
    }
    return pen + decimals
  }

  @inline(__always) private func digitCount(_ value: UInt64) -> Int {
    if value < 10_000 { return value < 1000 ? 3 : 4 }
    if value < 1_000_000 { return value < 100_000 ? 5 : 6 }
    var count = 7
    var limit: UInt64 = 10_000_000
    while value >= limit {
      count &+= 1
      let (next, overflow) = limit.multipliedReportingOverflow(by: 10)
      if overflow { break }
      limit = next
    }
    return count
  }

  /// Eight payload bytes as `A5 09 … 64 `, 24 characters; the fourth byte of the last store is past them.
  @inline(__always) func putHex(_ word: UInt64, at pen: Pen) {
    pen.storeBytes(of: hex[Int(word & 0xFF)], toByteOffset: 0, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 8 & 0xFF)], toByteOffset: 3, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 16 & 0xFF)], toByteOffset: 6, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 24 & 0xFF)], toByteOffset: 9, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 32 & 0xFF)], toByteOffset: 12, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 40 & 0xFF)], toByteOffset: 15, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 48 & 0xFF)], toByteOffset: 18, as: UInt32.self)
    pen.storeBytes(of: hex[Int(word &>> 56)], toByteOffset: 21, as: UInt32.self)
  }

  /// `count` bytes of hexadecimal digits of the low `count` nibble pairs of `word`, first byte first, without blanks.
  @inline(__always) func putPlainHex(_ word: UInt64, count: Int, at pen: Pen) -> Pen {
    var rest = word
    var place = 0
    while place < count {
      pen.storeBytes(of: UInt16(truncatingIfNeeded: hex[Int(rest & 0xFF)]), toByteOffset: place &* 2, as: UInt16.self)
      rest &>>= 8
      place &+= 1
    }
    return pen + count &* 2
  }

  /// An arbitration ID: three digits, or eight. Error frames as candump writes them: eight digits with 0x20000000.
  @inline(__always) func putID(_ frame: borrowing CANFrame, at pen: Pen) -> Pen {
    let isError = frame.flags.contains(.error)
    let rawValue = isError ? frame.id.number | 0xA000_0000 : frame.id.rawValue
    if rawValue & 0x8000_0000 != 0 {
      return putPlainHex(UInt64((rawValue & 0x3FFF_FFFF).byteSwapped), count: 4, at: pen)
    }
    pen.storeBytes(of: UInt8(truncatingIfNeeded: hex[Int(rawValue &>> 8 & 0xF)] &>> 8), as: UInt8.self)
    return putPlainHex(UInt64(rawValue & 0xFF), count: 1, at: pen + 1)
  }
}

/// A run of text prepared for copying in one or two fixed-size moves: cheaper than a `memcpy` of its exact length.
struct PreparedText {
  /// Where it stands in the pool, in bytes.
  var offset: Int32
  var count: Int32
}

/// Prepared texts in one block of memory with slack behind the last.
final class TextPool: @unchecked Sendable {  // written while it is prepared, by one thread; read afterwards
  private var bytes: [UInt8] = []
  private(set) var base = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
  private var isSealed = false

  deinit { base.deallocate() }

  func add(_ text: String) -> PreparedText {
    let offset = bytes.count
    bytes.append(contentsOf: text.utf8)
    let count = bytes.count - offset
    // Each text starts on a 32-byte boundary, so that a fixed move rarely crosses a cache line more than it must.
    while bytes.count % 32 != 0 { bytes.append(0x20) }
    return PreparedText(offset: Int32(clamping: offset), count: Int32(clamping: count))
  }

  /// Fixes the addresses; nothing may be added afterwards.
  func seal() {
    guard !isSealed else { return }
    isSealed = true
    base.deallocate()
    base = .allocate(byteCount: bytes.count + 128, alignment: 64)
    base.initializeMemory(as: UInt8.self, repeating: 0x20, count: bytes.count + 128)
    bytes.withUnsafeBytes { source in
      if let start = source.baseAddress { base.copyMemory(from: start, byteCount: source.count) }
    }
  }
}

/// Copies a prepared text; may write up to 63 bytes behind it.
@inline(__always) func put(_ text: PreparedText, of pool: UnsafeMutableRawPointer, at pen: Pen) -> Pen {
  pen.copyMemory(from: pool + Int(text.offset), byteCount: 32)
  if text.count > 32 { putRest(text, of: pool, at: pen) }
  return pen + Int(text.count)
}

@inline(never) private func putRest(_ text: PreparedText, of pool: UnsafeMutableRawPointer, at pen: Pen) {
  (pen + 32).copyMemory(from: pool + Int(text.offset) + 32, byteCount: Int(text.count) - 32)
}

/// Copies a short text of which nothing is prepared.
@inline(never) func putString(_ text: String, at start: Pen) -> Pen {
  var text = text
  return text.withUTF8 { bytes in
    if let source = bytes.baseAddress { start.copyMemory(from: source, byteCount: bytes.count) }
    return start + bytes.count
  }
}
