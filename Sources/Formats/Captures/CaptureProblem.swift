/// Something a reader met that is not a good record: where, what was found, what was expected.
public struct CaptureProblem: Hashable, Sendable {
  /// Where in the source.
  public struct Position: Hashable, Sendable {
    /// What `number` counts.
    public enum Unit: String, Hashable, Sendable { case line, block, packet, record }
    /// What `number` counts.
    public var unit: Unit
    /// From 1.
    public var number: UInt64
    /// Offset of its first byte in the (uncompressed) source.
    public var byteOffset: UInt64
    /// A place in a source.
    public init(_ unit: Unit, _ number: UInt64, byteOffset: UInt64) {
      self.unit = unit
      self.number = number
      self.byteOffset = byteOffset
    }
  }

  /// What kind of trouble.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A line or block that is malformed: skipped.
    case damaged
    /// The source ends inside a line or block: everything before is good.
    case truncated
    /// A block, packet or line type that holds no CAN: skipped.
    case foreign
    /// The source itself says that frames were lost here (`DROPCOUNT`, `epb_dropcount`).
    case framesLost
    /// Time went backwards.
    case timeBackwards
    /// A long silence.
    case gap
    /// The recorder's clock wrapped around.
    case wrap
    /// Read, but not entirely: something the frame held is not represented.
    case incomplete
  }

  /// What kind of trouble.
  public var kind: Kind
  /// Where.
  public var position: Position
  /// What stood there, short and printable.
  public var found: String
  /// What would have been right.
  public var expected: String
  /// How many records, bytes or frames it concerns; 1 unless the source says more.
  public var count: UInt64

  /// A problem at a place.
  public init(_ kind: Kind, at position: Position, found: String, expected: String, count: UInt64 = 1) {
    self.kind = kind
    self.position = position
    self.found = found
    self.expected = expected
    self.count = count
  }
}

extension CaptureProblem: CustomStringConvertible {
  /// One line for a person, without the file's name: `line 12 (byte 431): found "(17000", expected a time as (seconds.fraction)`.
  public var description: String {
    let place = position.unit == .record ? "" : " (byte \(position.byteOffset))"
    return "\(position.unit.rawValue) \(position.number)\(place): \(kind.rawValue): found \(found), expected \(expected)"
  }
}
