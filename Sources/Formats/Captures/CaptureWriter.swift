public import Bus

/// Writes records in one capture format. Bytes are appended to a buffer that the caller empties when it likes.
public protocol CaptureWriter {
  /// Everything that must come before the first record. Called once.
  mutating func begin(into output: inout ByteBuffer)
  /// A bus that records may name from now on, in the order of `BusID.index`.
  mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer)
  /// One record.
  mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer)
  /// One record that is no CAN frame, where the format can hold it.
  mutating func write(_ record: SideRecord, into output: inout ByteBuffer)
  /// Everything that must come after the last record. Called once.
  mutating func finish(into output: inout ByteBuffer)
  /// What could not be written, with how often: `"direction": 12`.
  var losses: Losses { get }
}

/// What a capture format could not hold of the records given to it.
public struct Losses: Sendable, Equatable {
  /// A property of a record that a format may lack.
  public enum Property: String, CaseIterable, Sendable {
    case time, timeDigits = "time digits", bus, busName = "bus name", direction, fdFlags = "FD flags", fdFrame = "FD frame"
    case rawDLC = "raw DLC", remoteLength = "remote length", remoteFrame = "remote frame"
    case errorDetail = "error detail", errorFrame = "error frame", sideRecord = "chain or PDU record"
  }
  /// Records concerned, by property.
  public private(set) var counts: [Property: UInt64] = [:]
  /// Nothing lost yet.
  public init() {}
  /// Notes one record that lost `property`.
  public mutating func note(_ property: Property) { counts[property, default: 0] += 1 }
  /// Whether everything was kept.
  public var isEmpty: Bool { counts.isEmpty }
}
