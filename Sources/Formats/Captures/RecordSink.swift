public import Bus

/// Where a reader's records go: a renderer, an aggregator, a writer, an identifier.
///
/// Readers are generic over their sink, so that the per-frame path is compiled as one loop.
public protocol RecordSink {
  /// A bus name was met for the first time; its ID is the number of names before it.
  mutating func busAppeared(_ bus: BusID, named name: String)
  /// One CAN frame, in the order of the source.
  mutating func receive(_ record: borrowing CANRecord)
  /// One record that is no CAN frame (chain, PDU, mark).
  mutating func receive(_ record: SideRecord)
  /// Something in the source that is damaged, missing or left out. Reading goes on after it.
  mutating func report(_ problem: CaptureProblem)
}

/// A record of a capture that is no CAN frame: a LinkSlave chain frame (pcapng USER0, or `chain1` lines), a PDU measurement or a
/// person's mark (USER1). Issue 2 carries it unread; the chain dissector gives it meaning.
public struct SideRecord: Hashable, Sendable {
  /// What kind of record it is.
  public enum Kind: String, Hashable, Sendable {
    /// LinkSlave chain frame, bytes as in linkslave-chain.md §13.3.
    case chain
    /// PDU measurement or mark, link type USER1.
    case pdu
  }
  /// Chain or PDU.
  public var kind: Kind
  /// When; means nothing if `precision` is `.none`.
  public var time: Timestamp
  /// Digits that the source gave its time.
  public var precision: TimePrecision
  /// The bus it came from.
  public var bus: BusID
  /// Which way it went.
  public var direction: Direction
  /// The packet as it stood in the capture, header included.
  public var bytes: [UInt8]

  /// A record with its bytes as they stood.
  public init(
    kind: Kind, time: Timestamp, precision: TimePrecision, bus: BusID, direction: Direction = .unknown, bytes: [UInt8]
  ) {
    self.kind = kind
    self.time = time
    self.precision = precision
    self.bus = bus
    self.direction = direction
    self.bytes = bytes
  }
}
