/// A moment, in whole nanoseconds since the Unix epoch, or since the start of a capture that knows no date.
///
/// Example: `1_700_000_000_123_456_000` = 2023-11-14 22:13:20.123456 UTC. Range: ±292 years around the origin.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Whole nanoseconds since the origin.
  public var nanoseconds: Int64

  /// The moment that lies `nanoseconds` after the origin.
  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Earlier is less.
  @inlinable public static func < (earlier: Timestamp, later: Timestamp) -> Bool { earlier.nanoseconds < later.nanoseconds }

  /// Nanoseconds from `earlier` to `self`; wraps instead of trapping on absurd input.
  @inlinable public func nanoseconds(since earlier: Timestamp) -> Int64 { nanoseconds &- earlier.nanoseconds }
}
