import Protocols

/// What the PDU measured and was told, as lines beside candump: eight bytes at most, so that every candump reader swallows them. The
/// pseudo-ID says what a line holds; numbers are little-endian. Described in Dissectors/TAP.md.
public enum PDULine: Equatable, Sendable {
  /// `001`: raw reading of the current sensor; the controller's own supply, mV.
  case current(raw: Int32, supply_mV: Int32)
  /// `002`: raw readings of V-in and V-out.
  case voltages(inputRaw: Int32, outputRaw: Int32)
  /// `003`: contactors that are to be closed (bit 0 negative, 1 precharge, 2 positive), status, limits in 0.1 A.
  case outputs(contactors: UInt8, status: UInt8, chargeLimit: UInt16, dischargeLimit: UInt16)
  /// `004`: an order to the PDU: contactors to be closed, sequence number, ms after which it is void.
  case command(contactors: UInt8, sequence: UInt16, life_ms: UInt16)
  /// `005`: the PDU's answer, after each pair of measurements: contactors it holds closed by order, the order's sequence number, and a
  /// check over the data of the `001` and `002` before it.
  case answer(contactors: UInt8, flags: AnswerFlags, sequence: UInt16, measuredCheck: UInt8)

  /// What a PDU says of itself.
  public struct AnswerFlags: OptionSet, Hashable, Sendable {
    /// Bits of the set.
    public var rawValue: UInt8
    /// A set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// It has opened by itself, or has just started, and closes nothing before it has been ordered to open all.
    public static let isLatched = AnswerFlags(rawValue: 1)
    /// It refused the last order to close.
    public static let hasRefused = AnswerFlags(rawValue: 2)
  }

  /// The first byte of a record of this kind: the pseudo-ID with this mark, which no record of the controller has.
  static let mark: UInt8 = 0xC0

  /// As the bytes of a PDU record: mark and pseudo-ID, then the line's data.
  public var bytes: [UInt8] {
    switch self {
    case .current(let raw, let supply): [0xC1] + PDULine.little(raw) + PDULine.little(supply)
    case .voltages(let input, let output): [0xC2] + PDULine.little(input) + PDULine.little(output)
    case .outputs(let contactors, let status, let charge, let discharge):
      [
        0xC3, contactors, status, 0, UInt8(charge & 0xFF), UInt8(charge >> 8), UInt8(discharge & 0xFF), UInt8(discharge >> 8),
      ]
    case .command(let contactors, let sequence, let life):
      PDULine.closed([
        0xC4, contactors, ~contactors, UInt8(sequence & 0xFF), UInt8(sequence >> 8), UInt8(life & 0xFF), UInt8(life >> 8),
      ])
    case .answer(let contactors, let flags, let sequence, let check):
      PDULine.closed([0xC5, contactors, flags.rawValue, UInt8(sequence & 0xFF), UInt8(sequence >> 8), check])
    }
  }

  /// CRC-8 of the chain (linkslave-chain.md §3.4) over data bytes.
  public static func check(_ bytes: some Sequence<UInt8>) -> UInt8 {
    var crc: UInt8 = 0x42
    for byte in bytes { crc = ChainCRC.next(crc, byte) }
    return crc
  }

  /// The check that an answer carries of the measurements before it.
  public static func measuredCheck(currentRaw: Int32, supply_mV: Int32, inputRaw: Int32, outputRaw: Int32) -> UInt8 {
    check([currentRaw, supply_mV, inputRaw, outputRaw].flatMap(little))
  }

  /// Bytes with their check behind them.
  private static func closed(_ bytes: [UInt8]) -> [UInt8] { bytes + [check(bytes.dropFirst())] }
  private static func isIntact(_ bytes: [UInt8]) -> Bool { check(bytes.dropFirst().dropLast()) == bytes.last }

  /// Reads a record's bytes; `nil` for anything else.
  public init?(_ bytes: [UInt8]) {
    func number(_ at: Int) -> Int32 {
      Int32(
        bitPattern: UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24)
    }
    switch (bytes.first, bytes.count) {
    case (0xC1, 9): self = .current(raw: number(1), supply_mV: number(5))
    case (0xC2, 9): self = .voltages(inputRaw: number(1), outputRaw: number(5))
    case (0xC3, 8):
      self = .outputs(
        contactors: bytes[1], status: bytes[2], chargeLimit: UInt16(bytes[4]) | UInt16(bytes[5]) << 8,
        dischargeLimit: UInt16(bytes[6]) | UInt16(bytes[7]) << 8)
    case (0xC4, 8):
      guard PDULine.isIntact(bytes), bytes[1] == ~bytes[2] else { return nil }
      self = .command(
        contactors: bytes[1], sequence: UInt16(bytes[3]) | UInt16(bytes[4]) << 8, life_ms: UInt16(bytes[5]) | UInt16(bytes[6]) << 8)
    case (0xC5, 7):
      guard PDULine.isIntact(bytes) else { return nil }
      self = .answer(
        contactors: bytes[1], flags: AnswerFlags(rawValue: bytes[2]), sequence: UInt16(bytes[3]) | UInt16(bytes[4]) << 8,
        measuredCheck: bytes[5])
    default: return nil
    }
  }

  private static func little(_ value: Int32) -> [UInt8] {
    let bits = UInt32(bitPattern: value)
    return [UInt8(bits & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits >> 16 & 0xFF), UInt8(bits >> 24)]
  }
}
