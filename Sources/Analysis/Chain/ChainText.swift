public import Protocols
import Formats

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
    let data = frame.data
    let isB = frame.generation == .b
    switch frame.register {
    case 0x01:
      return isB
        ? [number("CID", data & 0xF)] + bits(data, [(4, "BUS_SW"), (5, "RTERM")])
        : [number("CID", data & 0x3F)] + bits(data, [(6, "RDTX_OUT"), (7, "RDTX_IN")])
    case 0x02: return bits(data, [(0, "GO2SLEEP")])
    case 0x03:
      return bits(
        data,
        [
          (0, "OSC_MON"), (3, "FAULT_WAVE"), (4, "SOFT_RST"), (5, "CB_MANUAL_PAUSE"), (6, "GO2DIAG"), (7, "CB_DRVEN"),
          (8, "CB_AUTO_PAUSE"), (9, "I_MEAS_EN"),
        ]) + [number("DIAG_TIMEOUT", data >> 10 & 7), number("CYCLIC_TIMER", data >> 13)]
    case 0x04:
      return bits(data, [(0, "HAMM_ENCOD"), (1, "NUMB_ODD"), (2, "VPRE_UV")])
        + [
          Field(name: "TIMEOUT_COMM", value: "\(32 << (data >> 4 & 3))", unit: "ms"), number("FLT_RST_CFG", data >> 6 & 0xF),
          number("PREVIOUS_STATE", data >> 10 & 7),
        ]
    case 0x05:
      return bits(
        data,
        [
          (0, "CB_OL_EVEN"), (1, "CB_OL_ODD"), (2, "CT_OL_EVEN"), (3, "CT_OL_ODD"), (4, "CT_OV_UV"), (5, "CT_LEAK_DIAG"),
          (6, "POLARITY"), (7, "DA_DIAG"), (8, "ANx_TEMP_DIAG"), (9, "ANx_OL_DIAG"), (15, "FAULT_DIAG"),
        ])
    case 0x06:
      return [
        number(isB ? "TAG_ID" : "AVG", data >> 12),
        number(frame.isAnswer ? "EOC_N" : "SOC", data >> 11 & 1), number("ADC1_A", 13 + (data >> 4 & 3)),
      ]
    case 0x08: return [cells("CELLS", data & 0x3FFF)] + bits(data, [(14, "COMMON_UV_TH"), (15, "COMMON_OV_TH")])
    case 0x09, 0x0A, 0x1A...0x1C: return data & 0x3FFF == 0 ? [] : [cells("CELLS", data & 0x3FFF)]
    case 0x0C...0x19:
      return [Field(name: "CB_TIMER", value: data & 0x1FF == 0 ? "0.5" : "\(data & 0x1FF)", unit: "min")]
        + bits(data, [(9, frame.isAnswer ? "CB_STS" : "CB_EN")])
    case 0x20: return inputs("UT", data & 0x7F) + inputs("OT", data >> 8 & 0x7F)
    case 0x21: return inputs("OPEN", data & 0x7F) + inputs("SHORT", data >> 8 & 0x7F)
    case 0x23: return [number("COM_ERR_COUNT", data >> 8)]
    case 0x24:
      return bits(
        data,
        [
          (0, "CT_UV"), (1, "CT_OV"), (2, "AN_UT"), (3, "AN_OT"), (4, "IS_OC"), (5, "IS_OL"), (6, "I2C_ERR"), (7, "GPIO0_WUP"),
          (8, "CSB_WUP"), (9, "COM_ERR"), (10, "COM_LOSS"), (11, "VPWR_LV"), (12, "VPWR_OV"), (13, "COM_ERR_OVR"), (14, "RESET"),
          (15, "POR"),
        ])
    case 0x25:
      return bits(
        data,
        [
          (0, "FUSE_ERR"), (1, "DED_ERR"), (2, "OSC_ERR"), (3, "CB_OPEN"), (4, "CB_SHORT"), (5, "GPIO_SHORT"), (6, "AN_OPEN"),
          (7, "IDLE_MODE"), (8, "IC_TSD"), (9, "GND_LOSS"), (10, "ADC1_A"), (11, "ADC1_B"), (12, "VANA_UV"), (13, "VANA_OV"),
          (14, "VCOM_UV"), (15, "VCOM_OV"),
        ])
    case 0x26: return (data & 0x3FFF == 0 ? [] : [cells("EOT", data & 0x3FFF)]) + bits(data, [(14, "DIAG_TO"), (15, "CC_OVR")])
    case 0x32:
      return ready(data) + [Field(name: "voltage", value: FixedDecimal.text(ChainConversion.stack(data), decimals: 3), unit: "V")]
    case 0x33...0x40:
      return ready(data)
        + [Field(name: "voltage", value: FixedDecimal.text(Int32(ChainConversion.cell(data)), decimals: 4), unit: "V")]
    case 0x41...0x47:
      let state = ChainConversion.isOpen(data) ? "open" : ChainConversion.isShorted(data) ? "shorted" : nil
      let celsius = ChainConversion.temperature(data, resistance: 10_000, beta: 3950)
      return ready(data) + [Field(name: "temperature", value: FixedDecimal.text(Int32(celsius), decimals: 1), unit: "°C")]
        + (state.map { [Field(name: "sensor", value: $0, unit: "")] } ?? [])
    case 0x48:
      let tenths = (Int32(data & 0x7FFF) * 32 - 273_150) / 100
      return ready(data) + [Field(name: "temperature", value: FixedDecimal.text(tenths, decimals: 1), unit: "°C")]
    case 0x4B...0x59:
      return [threshold("OV", data >> 8), threshold("UV", data & 0xFF)]
    default: return []
    }
  }

  private static func ready(_ data: UInt16) -> [Field] { data & 0x8000 == 0 ? [Field(name: "DATA_RDY", value: "0", unit: "")] : [] }
  private static func number(_ name: String, _ value: UInt16) -> Field { Field(name: name, value: "\(value)", unit: "") }
  private static func bits(_ data: UInt16, _ names: [(UInt16, String)]) -> [Field] {
    names.filter { data & 1 << $0.0 != 0 }.map { Field(name: $0.1, value: "1", unit: "") }
  }
  private static func cells(_ name: String, _ mask: UInt16) -> Field {
    Field(name: name, value: (1...14).filter { mask & 1 << UInt16($0 - 1) != 0 }.map { "\($0)" }.joined(separator: ","), unit: "")
  }
  private static func inputs(_ name: String, _ mask: UInt16) -> [Field] {
    // AN6 stands in bit 6: the order of the bits is that of the inputs.
    mask == 0
      ? []
      : [
        Field(name: name, value: (0...6).filter { mask & 1 << UInt16($0) != 0 }.map { "AN\($0)" }.joined(separator: ","), unit: "")
      ]
  }
  private static func threshold(_ name: String, _ steps: UInt16) -> Field {
    Field(name: name, value: FixedDecimal.text(Int32(steps) * 6250 / 32, decimals: 4), unit: "V")
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
