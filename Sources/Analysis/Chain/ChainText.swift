public import Protocols

/// Chain frames in words: register fields by name, measurements with units. Needs no memory of what came before.
public enum ChainText {
  /// A register's field: `NAME=value unit`.
  public struct Field: Equatable, Sendable {
    /// As in the register map.
    public var name: String
    /// As a person reads it.
    public var value: String
    /// Empty for plain numbers.
    public var unit: String
  }

  /// One line for a packet.
  public static func line(_ packet: ChainPacket) -> String {
    if packet.kind == .wake { return "wake pulse" }
    guard let frame = packet.frame else {
      return "malformed: \(packet.bitCount) bits, expected 40 or 48"
    }
    let crc = frame.isIntact ? "" : "  CRC WRONG: found \(hex(frame.crc)), expected \(hex(frame.expectedCRC))"
    return "\(body(frame, packet.kind))\(crc)"
  }

  private static func body(_ frame: ChainFrame, _ kind: ChainPacket.Kind) -> String {
    let name = ChainRegister.name(frame.register) ?? "0x" + hex(frame.register)
    let node = frame.clusterID == 0 ? "unassigned node" : "node \(frame.clusterID)"
    guard kind == .answer else {
      let echo = kind == .echo ? "echo: " : ""
      switch frame.command {
      case .nop: return "\(echo)\(node) NOP"
      case .read: return "\(echo)\(node) READ \(name)\(frame.data > 1 ? " × \(frame.data)" : "")"
      case .write: return "\(echo)\(node) WRITE \(name) = 0x\(hex16(frame.data)) \(text(fields(frame)))".trimmed
      case .globalWrite: return "\(echo)all nodes WRITE \(name) = 0x\(hex16(frame.data)) \(text(fields(frame)))".trimmed
      }
    }
    if frame.isNull { return "null answer" }
    let tag = frame.generation == .b && ChainFrame.hasTag(frame.register) ? " (tag \(frame.nibble))" : ""
    return "\(node) \(name) = 0x\(hex16(frame.data)) \(text(fields(frame)))".trimmed + tag
  }

  static func text(_ fields: [Field]) -> String {
    fields.map { $0.unit.isEmpty ? "\($0.name)=\($0.value)" : "\($0.name)=\($0.value) \($0.unit)" }.joined(separator: " ")
  }

  // MARK: Fields

  /// The fields of a frame's register that say something: all numbers, and the bits that are set. Source: linkslave-chain.md §6.
  public static func fields(_ frame: ChainFrame) -> [Field] {
    ChainFieldRule.rules(frame.register).filter { $0.applies(frame.generation, isAnswer: frame.isAnswer) }
      .compactMap { rule in rule.value(frame.data).map { Field(name: rule.name, value: $0, unit: rule.unit) } }
  }

  static func hex(_ value: UInt8) -> String {
    String(value >> 4, radix: 16, uppercase: true) + String(value & 0xF, radix: 16, uppercase: true)
  }
  static func hex16(_ value: UInt16) -> String { hex(UInt8(value >> 8)) + hex(UInt8(value & 0xFF)) }
}

extension String {
  fileprivate var trimmed: String {
    var text = self[...]
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }
}
