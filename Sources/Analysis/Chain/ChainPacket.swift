public import Formats
public import Protocols

/// A record of a LinkSlave chain, taken apart: header of linkslave-chain.md §13.3 and the bits behind it.
public struct ChainPacket: Sendable {
  /// What the recorder saw.
  public enum Kind: UInt8, Sendable {
    case request, echo, answer, wake
  }

  /// 1 or 2.
  public let chain: UInt8
  /// What it is.
  public let kind: Kind
  /// Bits that were clocked; 255 = 255 or more.
  public let bitCount: UInt8
  /// From chip select falling to rising, ns; 0 = unknown.
  public let duration_ns: UInt32
  /// The bytes behind the header.
  public let bytes: [UInt8]
  /// The frame, where 40 or 48 bits were clocked.
  public let frame: ChainFrame?

  /// `nil` if the record is no chain packet of version 1.
  public init?(_ record: SideRecord) {
    guard record.kind == .chain else { return nil }
    let bytes = record.bytes
    guard bytes.count >= 8, bytes[0] == 1, let kind = Kind(rawValue: bytes[2] & 3) else { return nil }
    chain = bytes[1]
    self.kind = kind
    bitCount = bytes[3]
    duration_ns = bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
    self.bytes = Array(bytes[8...])
    frame = (bitCount == 40 || bitCount == 48) && self.bytes.count == Int(bitCount) / 8 ? ChainFrame(self.bytes) : nil
  }
}
