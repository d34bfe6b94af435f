/// What the PDU measured and was told, as lines beside candump: eight bytes at most, so that every candump reader swallows them. The
/// pseudo-ID says what a line holds; numbers are little-endian. Described in Dissectors/TAP.md.
public enum PDULine: Equatable, Sendable {
  /// `001`: raw reading of the current sensor; the controller's own supply, mV.
  case current(raw: Int32, supply_mV: Int32)
  /// `002`: raw readings of V-in and V-out.
  case voltages(inputRaw: Int32, outputRaw: Int32)
  /// `003`: contactors that are to be closed (bit 0 negative, 1 precharge, 2 positive), status, limits in 0.1 A.
  case outputs(contactors: UInt8, status: UInt8, chargeLimit: UInt16, dischargeLimit: UInt16)

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
    }
  }

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
    default: return nil
    }
  }

  private static func little(_ value: Int32) -> [UInt8] {
    let bits = UInt32(bitPattern: value)
    return [UInt8(bits & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits >> 16 & 0xFF), UInt8(bits >> 24)]
  }
}
