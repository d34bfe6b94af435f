/// How one signal is cut out of a payload and scaled: plain numbers, ready for the per-frame loop.
///
/// A plan has no names: the host keeps those beside it, under the same index, and the board needs none.
public struct SignalPlan: Sendable, Equatable {
  /// How the raw bits are to be read.
  public enum Encoding: UInt8, Sendable { case unsigned, signed, float32, float64 }

  /// Bits to keep after the shift: `2^width − 1`.
  public var mask: UInt64
  /// The sign bit of a signed integer, else 0: `(raw ^ sign) − sign` extends it.
  public var sign: UInt64
  /// Bits to shift the word right.
  public var shift: UInt8
  /// Whether the word is read most significant byte first (Motorola).
  public var isBigEndian: Bool
  /// First payload byte of the 64-bit word the signal is cut from; 0 for all signals of classic frames.
  public var byteOffset: UInt8
  /// Payload bytes the signal needs, 1…64.
  public var bytesNeeded: UInt8
  /// Width in bits, 1…64.
  public var width: UInt8
  /// How the raw bits are to be read.
  public var encoding: Encoding

  /// Whether `raw × numerator + addend` (in units of 10^−decimals) is the exact physical value and cannot overflow.
  public var isExact: Bool
  /// Digits after the decimal point of the exact value, 0…15.
  public var decimals: UInt8
  /// Physical value = (raw × numerator + addend) / 10^decimals where that is exact.
  public var numerator: Int64
  /// See `numerator`.
  public var addend: Int64
  /// Physical value = raw × factor + offset, in the unit of the definition.
  public var factor: Double
  /// Added to raw × factor where the exact form does not hold.
  public var offset: Double

  /// Index of the multiplexor within the message's signals, or −1 for a signal that is always there.
  public var multiplexor: Int16
  /// First entry and number of entries in `ProtocolPlan.multiplexRanges`: the multiplexor's raw values with which the signal is
  /// present.
  public var firstRange: UInt16
  /// How many of the plan's ranges let this signal appear.
  public var rangeCount: UInt16

  /// A signal that is always present, one-to-one scaled.
  public init(shift: UInt8, width: UInt8, isBigEndian: Bool = false, encoding: Encoding = .unsigned, bytesNeeded: UInt8) {
    self.shift = shift
    self.width = width
    self.isBigEndian = isBigEndian
    self.encoding = encoding
    self.bytesNeeded = bytesNeeded
    mask = width >= 64 ? .max : (1 &<< UInt64(width)) &- 1
    sign = encoding == .signed && width > 0 ? 1 &<< UInt64(width - 1) : 0
    byteOffset = 0
    isExact = true
    decimals = 0
    numerator = 1
    addend = 0
    factor = 1
    offset = 0
    multiplexor = -1
    firstRange = 0
    rangeCount = 0
  }

  /// The raw value in a little-endian word of the payload and the same word byte-swapped; sign-extended for a signed signal.
  @inlinable public func raw(_ word: UInt64, swapped: UInt64) -> Int64 {
    let bits = ((isBigEndian ? swapped : word) &>> UInt64(shift)) & mask
    return Int64(bitPattern: (bits ^ sign) &- sign)
  }
}
