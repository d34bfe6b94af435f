/// A CAN arbitration ID with its width. Width is a flag of the frame, never inferred from the number:
/// `351` (11-bit) and `00000351` (29-bit) are different frames (protocols/sofar.md §4).
public struct ArbitrationID: Hashable, Sendable {
  /// Bit 31 set = 29-bit (extended); bits 0…28 hold the number. The layout of SocketCAN's `can_id` and of a DBC's `BO_`.
  public var rawValue: UInt32

  /// Takes bit 31 as the width and bits 0…28 as the number; other bits are dropped.
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue & 0x9FFF_FFFF }

  /// An 11-bit ID; bits above 10 are dropped.
  @inlinable public static func standard(_ number: UInt32) -> ArbitrationID { ArbitrationID(rawValue: number & 0x7FF) }

  /// A 29-bit ID; bits above 28 are dropped.
  @inlinable public static func extended(_ number: UInt32) -> ArbitrationID {
    ArbitrationID(rawValue: number & 0x1FFF_FFFF | 0x8000_0000)
  }

  /// Whether the ID has 29 bits.
  @inlinable public var isExtended: Bool { rawValue & 0x8000_0000 != 0 }

  /// The number without the width, 0…0x1FFFFFFF.
  @inlinable public var number: UInt32 { rawValue & 0x1FFF_FFFF }
}
