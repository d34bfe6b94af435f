import Formats
import Protocols

/// What a register's bits mean, as data: `ChainText` and the Wireshark plugin read the same rules. Source: linkslave-chain.md §6.
struct ChainFieldRule: Equatable, Sendable {
  /// How the bits become what a person reads.
  enum Kind: Equatable, Sendable {
    /// A whole number: `bits` from `shift` on, and `plus` on top.
    case number(shift: UInt16, mask: UInt16, plus: UInt16)
    /// 32 ms doubled so many times.
    case timeout(shift: UInt16)
    /// Shown as 1 where it is set, else left out.
    case bit(UInt16)
    /// Numbers of the cells in the low 14 bits; left out where there is none, unless `isAlways`.
    case cells(isAlways: Bool)
    /// Names of the inputs in seven bits from `shift` on; left out where there is none.
    case inputs(shift: UInt16)
    /// Minutes in nine bits; 0 is half a minute.
    case timer
    /// DATA_RDY, shown where it is missing.
    case notReady
    /// Volts of a stack, a cell, or a threshold's byte.
    case stack, cell, threshold(shift: UInt16)
    /// Degrees of a sensor behind the usual divider, its state where it is none, degrees of the chip.
    case thermistor, sensor, chip
  }

  /// As in the register map.
  var name: String
  var unit = ""
  var kind: Kind
  /// Only in frames of this generation.
  var generation: ChainGeneration?
  /// Only in answers, or only in requests.
  var isAnswer: Bool?

  func applies(_ generation: ChainGeneration, isAnswer: Bool) -> Bool {
    (self.generation ?? generation) == generation && (self.isAnswer ?? isAnswer) == isAnswer
  }

  /// The rules of a register, in the order in which they are shown.
  static func rules(_ register: UInt8) -> [ChainFieldRule] {
    switch register {
    case 0x01:
      return [number("CID", 0, 0xF, .b)] + bits([(4, "BUS_SW"), (5, "RTERM")], .b) + [number("CID", 0, 0x3F, .c)]
        + bits([(6, "RDTX_OUT"), (7, "RDTX_IN")], .c)
    case 0x02: return bits([(0, "GO2SLEEP")])
    case 0x03:
      return bits([
        (0, "OSC_MON"), (3, "FAULT_WAVE"), (4, "SOFT_RST"), (5, "CB_MANUAL_PAUSE"), (6, "GO2DIAG"), (7, "CB_DRVEN"),
        (8, "CB_AUTO_PAUSE"), (9, "I_MEAS_EN"),
      ]) + [number("DIAG_TIMEOUT", 10, 7), number("CYCLIC_TIMER", 13, 7)]
    case 0x04:
      return bits([(0, "HAMM_ENCOD"), (1, "NUMB_ODD"), (2, "VPRE_UV")])
        + [
          ChainFieldRule(name: "TIMEOUT_COMM", unit: "ms", kind: .timeout(shift: 4)), number("FLT_RST_CFG", 6, 0xF),
          number("PREVIOUS_STATE", 10, 7),
        ]
    case 0x05:
      return bits([
        (0, "CB_OL_EVEN"), (1, "CB_OL_ODD"), (2, "CT_OL_EVEN"), (3, "CT_OL_ODD"), (4, "CT_OV_UV"), (5, "CT_LEAK_DIAG"),
        (6, "POLARITY"), (7, "DA_DIAG"), (8, "ANx_TEMP_DIAG"), (9, "ANx_OL_DIAG"), (15, "FAULT_DIAG"),
      ])
    case 0x06:
      return [
        number("TAG_ID", 12, 0xF, .b), number("AVG", 12, 0xF, .c),
        ChainFieldRule(name: "EOC_N", kind: .number(shift: 11, mask: 1, plus: 0), isAnswer: true),
        ChainFieldRule(name: "SOC", kind: .number(shift: 11, mask: 1, plus: 0), isAnswer: false),
        ChainFieldRule(name: "ADC1_A", kind: .number(shift: 4, mask: 3, plus: 13)),
      ]
    case 0x08:
      return [ChainFieldRule(name: "CELLS", kind: .cells(isAlways: true))] + bits([(14, "COMMON_UV_TH"), (15, "COMMON_OV_TH")])
    case 0x09, 0x0A, 0x1A...0x1C: return [ChainFieldRule(name: "CELLS", kind: .cells(isAlways: false))]
    case 0x0C...0x19:
      return [
        ChainFieldRule(name: "CB_TIMER", unit: "min", kind: .timer),
        ChainFieldRule(name: "CB_STS", kind: .bit(9), isAnswer: true),
        ChainFieldRule(name: "CB_EN", kind: .bit(9), isAnswer: false),
      ]
    case 0x20: return inputs("UT", "OT")
    case 0x21: return inputs("OPEN", "SHORT")
    case 0x23: return [number("COM_ERR_COUNT", 8, 0xFF)]
    case 0x24:
      return bits([
        (0, "CT_UV"), (1, "CT_OV"), (2, "AN_UT"), (3, "AN_OT"), (4, "IS_OC"), (5, "IS_OL"), (6, "I2C_ERR"), (7, "GPIO0_WUP"),
        (8, "CSB_WUP"), (9, "COM_ERR"), (10, "COM_LOSS"), (11, "VPWR_LV"), (12, "VPWR_OV"), (13, "COM_ERR_OVR"), (14, "RESET"),
        (15, "POR"),
      ])
    case 0x25:
      return bits([
        (0, "FUSE_ERR"), (1, "DED_ERR"), (2, "OSC_ERR"), (3, "CB_OPEN"), (4, "CB_SHORT"), (5, "GPIO_SHORT"), (6, "AN_OPEN"),
        (7, "IDLE_MODE"), (8, "IC_TSD"), (9, "GND_LOSS"), (10, "ADC1_A"), (11, "ADC1_B"), (12, "VANA_UV"), (13, "VANA_OV"),
        (14, "VCOM_UV"), (15, "VCOM_OV"),
      ])
    case 0x26: return [ChainFieldRule(name: "EOT", kind: .cells(isAlways: false))] + bits([(14, "DIAG_TO"), (15, "CC_OVR")])
    case 0x32: return [notReady, ChainFieldRule(name: "voltage", unit: "V", kind: .stack)]
    case 0x33...0x40: return [notReady, ChainFieldRule(name: "voltage", unit: "V", kind: .cell)]
    case 0x41...0x47:
      return [
        notReady, ChainFieldRule(name: "temperature", unit: "°C", kind: .thermistor), ChainFieldRule(name: "sensor", kind: .sensor),
      ]
    case 0x48: return [notReady, ChainFieldRule(name: "temperature", unit: "°C", kind: .chip)]
    case 0x4B...0x59:
      return [
        ChainFieldRule(name: "OV", unit: "V", kind: .threshold(shift: 8)),
        ChainFieldRule(name: "UV", unit: "V", kind: .threshold(shift: 0)),
      ]
    default: return []
    }
  }

  /// What a person reads; `nil` where there is nothing to say.
  func value(_ data: UInt16) -> String? {
    switch kind {
    case .number(let shift, let mask, let plus): return "\(plus + (data >> shift & mask))"
    case .timeout(let shift): return "\(32 << (data >> shift & 3))"
    case .bit(let place): return data & 1 << place != 0 ? "1" : nil
    case .cells(let isAlways):
      let mask = data & 0x3FFF
      if mask == 0, !isAlways { return nil }
      return (1...14).filter { mask & 1 << UInt16($0 - 1) != 0 }.map { "\($0)" }.joined(separator: ",")
    case .inputs(let shift):
      // AN6 stands in bit 6: the order of the bits is that of the inputs.
      let mask = data >> shift & 0x7F
      return mask == 0 ? nil : (0...6).filter { mask & 1 << UInt16($0) != 0 }.map { "AN\($0)" }.joined(separator: ",")
    case .timer: return data & 0x1FF == 0 ? "0.5" : "\(data & 0x1FF)"
    case .notReady: return data & 0x8000 == 0 ? "0" : nil
    case .stack: return FixedDecimal.text(ChainConversion.stack(data), decimals: 3)
    case .cell: return FixedDecimal.text(Int32(ChainConversion.cell(data)), decimals: 4)
    case .threshold(let shift): return FixedDecimal.text(Int32(data >> shift & 0xFF) * 6250 / 32, decimals: 4)
    case .thermistor:
      let tenths = ChainConversion.temperature(data, resistance: ChainFieldRule.resistance, beta: ChainFieldRule.beta)
      return FixedDecimal.text(Int32(tenths), decimals: 1)
    case .sensor: return ChainConversion.isOpen(data) ? "open" : ChainConversion.isShorted(data) ? "shorted" : nil
    case .chip: return FixedDecimal.text((Int32(data & 0x7FFF) * 32 - 273_150) / 100, decimals: 1)
    }
  }

  /// Ω at 25 °C and K of the sensors that come with the slaves: a frame alone does not say which one is fitted.
  static let resistance: Int32 = 10_000
  static let beta: Int32 = 3950

  private static let notReady = ChainFieldRule(name: "DATA_RDY", kind: .notReady)
  private static func number(_ name: String, _ shift: UInt16, _ mask: UInt16, _ generation: ChainGeneration? = nil)
    -> ChainFieldRule
  {
    ChainFieldRule(name: name, kind: .number(shift: shift, mask: mask, plus: 0), generation: generation)
  }
  private static func bits(_ names: [(UInt16, String)], _ generation: ChainGeneration? = nil) -> [ChainFieldRule] {
    names.map { ChainFieldRule(name: $0.1, kind: .bit($0.0), generation: generation) }
  }
  private static func inputs(_ low: String, _ high: String) -> [ChainFieldRule] {
    [ChainFieldRule(name: low, kind: .inputs(shift: 0)), ChainFieldRule(name: high, kind: .inputs(shift: 8))]
  }
}
