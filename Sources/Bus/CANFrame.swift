/// One frame as it stood on a CAN bus: classic or FD, data, remote or error.
///
/// The payload lies in eight little-endian words, so that a signal is one shift and one mask away; the first word alone serves
/// every classic frame.
public struct CANFrame: Sendable {
  /// What kind of frame it is, beyond a plain data frame.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// Bits of the set.
    public var rawValue: UInt8
    /// A set from its bits.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Remote transmission request: carries a length and no data.
    public static let remote = Flags(rawValue: 1)
    /// Error frame: the class stands in the number, detail in eight data bytes (conventions.md §2).
    public static let error = Flags(rawValue: 2)
    /// CAN FD frame.
    public static let fd = Flags(rawValue: 4)
    /// FD: bit-rate switch.
    public static let bitRateSwitch = Flags(rawValue: 8)
    /// FD: error state indicator.
    public static let errorStateIndicator = Flags(rawValue: 16)
  }

  /// Arbitration ID with its width. In an error frame: the error class in bits 0…28, width standard.
  public var id: ArbitrationID
  /// Kind of frame.
  public var flags: Flags
  /// Payload bytes, 0…64; in a remote frame the length asked for.
  public var length: UInt8
  /// The DLC as sent where it says more than the length: 9…15 with eight bytes (`len8_dlc`), else 0.
  public var rawDLC: UInt8
  /// Payload bytes 0…7, byte 0 in the low bits; bytes past `length` are 0.
  public var head: UInt64
  /// Payload bytes 8…63 of an FD frame in the same order. Meaningful up to `length` only.
  public var tail: InlineArray<7, UInt64>

  /// An empty data frame with ID 0.
  @inlinable public init() {
    id = .standard(0)
    flags = []
    length = 0
    rawDLC = 0
    head = 0
    tail = InlineArray(repeating: 0)
  }

  /// A classic data frame. `length` is clamped to 8; bytes of `head` past it are cleared.
  @inlinable public init(id: ArbitrationID, length: UInt8, head: UInt64) {
    self.init()
    self.id = id
    self.length = min(length, 8)
    self.head = self.length == 8 ? head : head & ((1 &<< (UInt64(self.length) &* 8)) &- 1)
  }

  /// Whether this is a classic data frame without peculiarities: all that most captures hold.
  @inlinable public var isPlain: Bool { flags.rawValue | rawDLC == 0 }

  /// Payload byte `index`; 0 past the last of the 64.
  @inlinable public func byte(_ index: Int) -> UInt8 {
    guard index >= 8 else { return index < 0 ? 0 : UInt8(truncatingIfNeeded: head &>> (UInt64(index) &* 8)) }
    guard index < 64 else { return 0 }
    return UInt8(truncatingIfNeeded: tail[index / 8 - 1] &>> (UInt64(index & 7) &* 8))
  }

  /// Sets payload byte `index` (0…63; others are ignored). Does not change `length`.
  @inlinable public mutating func setByte(_ index: Int, _ value: UInt8) {
    guard index >= 0, index < 64 else { return }
    let shift = UInt64(index & 7) &* 8
    let keep = ~(UInt64(0xFF) &<< shift)
    if index < 8 {
      head = head & keep | UInt64(value) &<< shift
    } else {
      tail[index / 8 - 1] = tail[index / 8 - 1] & keep | UInt64(value) &<< shift
    }
  }

  /// Number of payload bytes that stand in the frame: 0 for a remote frame, else `length`.
  @inlinable public var payloadLength: Int { flags.contains(.remote) ? 0 : Int(length) }
}

extension CANFrame: Equatable {
  /// Alike in ID, kind, length and payload.
  public static func == (a: CANFrame, b: CANFrame) -> Bool {
    guard a.id == b.id, a.flags == b.flags, a.length == b.length, a.rawDLC == b.rawDLC else { return false }
    var index = 0
    while index < a.payloadLength {
      if a.byte(index) != b.byte(index) { return false }
      index += 1
    }
    return true
  }
}

extension CANFrame {
  /// Whether an FD frame can carry that many bytes: 0…8, 12, 16, 20, 24, 32, 48, 64.
  public static func isFDLength(_ length: UInt8) -> Bool {
    switch length {
    case 0...8, 12, 16, 20, 24, 32, 48, 64: true
    default: false
    }
  }
}
