/// The registers of a LinkSlave's chip. Source: linkslave-chain.md §6.
public enum ChainRegister {
  /// INIT: cluster ID and bus switch.
  public static let initialize: UInt8 = 0x01
  /// SYS_CFG_GLOBAL: sleep.
  public static let global: UInt8 = 0x02
  /// SYS_CFG1: balancing drivers, pause, soft reset, diagnostics.
  public static let systemConfiguration1: UInt8 = 0x03
  /// SYS_CFG2: communication time-out, odd count of cells.
  public static let systemConfiguration2: UInt8 = 0x04
  /// SYS_DIAG: switches of the diagnostics.
  public static let diagnostics: UInt8 = 0x05
  /// ADC_CFG: start of conversion, tag.
  public static let conversion: UInt8 = 0x06
  /// OV_UV_EN: which cells are compared.
  public static let thresholdEnable: UInt8 = 0x08
  /// CELL_OV_FLT: bit n − 1 = cell terminal n.
  public static let overvoltageFaults: UInt8 = 0x09
  /// CELL_UV_FLT.
  public static let undervoltageFaults: UInt8 = 0x0A
  /// CB_OPEN_FLT.
  public static let balancingOpen: UInt8 = 0x1A
  /// CB_SHORT_FLT.
  public static let balancingShort: UInt8 = 0x1B
  /// CB_DRV_STS: drivers that are on.
  public static let driverState: UInt8 = 0x1C
  /// AN_OT_UT_FLT.
  public static let analogueFaults: UInt8 = 0x20
  /// GPIO_SHORT_ANx_OPEN_STS.
  public static let analogueOpen: UInt8 = 0x21
  /// COM_STATUS: count of bad messages.
  public static let communicationState: UInt8 = 0x23
  /// FAULT1_STATUS.
  public static let fault1: UInt8 = 0x24
  /// FAULT2_STATUS.
  public static let fault2: UInt8 = 0x25
  /// FAULT3_STATUS.
  public static let fault3: UInt8 = 0x26
  /// MEAS_STACK.
  public static let stack: UInt8 = 0x32
  /// MEAS_IC_TEMP.
  public static let chipTemperature: UInt8 = 0x48
  /// TH_ALL_CT: OV in the high byte, UV in the low.
  public static let allThresholds: UInt8 = 0x4B

  /// Balancing order of cell terminal 1…14.
  public static func balancing(_ terminal: Int) -> UInt8 { UInt8(truncatingIfNeeded: 0x0B + terminal) }
  /// Measured voltage of cell terminal 1…14.
  public static func cell(_ terminal: Int) -> UInt8 { UInt8(truncatingIfNeeded: 0x41 - terminal) }
  /// Measured input AN0…AN6.
  public static func analogue(_ input: Int) -> UInt8 { UInt8(truncatingIfNeeded: 0x47 - input) }

  /// Value after a reset.
  public static func resetValue(_ address: UInt8, _ generation: ChainGeneration) -> UInt16 {
    switch address {
    case 0x03: generation == .b ? 0x9001 : 0x1001
    case 0x04: generation == .b ? 0x0334 : 0x0330
    case 0x06: 0x0417
    case 0x07: 0x4000
    case 0x08: 0x3FFF
    case 0x24: 0x8000
    case 0x2A...0x2C: generation == .b ? 0 : 0xFFFF
    case 0x4B...0x59: 0xD780
    case 0x5A...0x60: 0x00ED
    case 0x61...0x67: 0x030E
    case 0x6B: 0x0009
    default: 0
    }
  }

  /// Name as in the register map; `nil` for an address that has none.
  public static func name(_ address: UInt8) -> String? {
    switch address {
    case 0x01: "INIT"
    case 0x02: "SYS_CFG_GLOBAL"
    case 0x03: "SYS_CFG1"
    case 0x04: "SYS_CFG2"
    case 0x05: "SYS_DIAG"
    case 0x06: "ADC_CFG"
    case 0x07: "ADC2_OFFSET_COMP"
    case 0x08: "OV_UV_EN"
    case 0x09: "CELL_OV_FLT"
    case 0x0A: "CELL_UV_FLT"
    case 0x0B: "TPL_CFG"
    case 0x0C...0x19: "CB\(address - 0x0B)_CFG"
    case 0x1A: "CB_OPEN_FLT"
    case 0x1B: "CB_SHORT_FLT"
    case 0x1C: "CB_DRV_STS"
    case 0x1D: "GPIO_CFG1"
    case 0x1E: "GPIO_CFG2"
    case 0x1F: "GPIO_STS"
    case 0x20: "AN_OT_UT_FLT"
    case 0x21: "GPIO_SHORT_ANx_OPEN_STS"
    case 0x22: "I_STATUS"
    case 0x23: "COM_STATUS"
    case 0x24: "FAULT1_STATUS"
    case 0x25: "FAULT2_STATUS"
    case 0x26: "FAULT3_STATUS"
    case 0x27...0x29: "FAULT_MASK\(address - 0x26)"
    case 0x2A...0x2C: "WAKEUP_MASK\(address - 0x29)"
    case 0x2D: "CC_NB_SAMPLES"
    case 0x2E, 0x2F: "COULOMB_CNT\(address - 0x2D)"
    case 0x30, 0x31: "MEAS_ISENSE\(address - 0x2F)"
    case 0x32: "MEAS_STACK"
    case 0x33...0x40: "MEAS_CELL\(0x41 - address)"
    case 0x41...0x47: "MEAS_AN\(0x47 - address)"
    case 0x48: "MEAS_IC_TEMP"
    case 0x49: "MEAS_VBG_DIAG_ADC1A"
    case 0x4A: "MEAS_VBG_DIAG_ADC1B"
    case 0x4B: "TH_ALL_CT"
    case 0x4C...0x59: "TH_CT\(0x5A - address)"
    case 0x5A...0x60: "TH_AN\(0x60 - address)_OT"
    case 0x61...0x67: "TH_AN\(0x67 - address)_UT"
    case 0x68: "TH_ISENSE_OC"
    case 0x69, 0x6A: "TH_COULOMB_CNT\(address - 0x68)"
    case 0x6B: "SILICON_REV"
    case 0x6C: "EEPROM_CTRL"
    case 0x6D: "DED_ENCODE1"
    case 0x6E: "DED_ENCODE2"
    case 0x6F: "FUSE_MIRROR_DATA"
    case 0x70: "FUSE_MIRROR_CNTL"
    default: nil
    }
  }
}

/// Which cell terminals a module with 7 to 14 cells uses: unused ones begin at CT5. Source: linkslave-chain.md §7.
public enum CellMap {
  /// Bit n − 1 for terminal CTn; counts outside 7…14 are taken as the nearest.
  public static func mask(cells: Int) -> UInt16 {
    var mask: UInt16 = 0x380F
    let count = min(14, max(7, cells))
    var step = 7
    while step < count {
      mask |= 0x400 >> UInt16(truncatingIfNeeded: step - 7)
      step += 1
    }
    return mask
  }

  /// The terminal (1…14) of the cell `index` (0 = lowest) of a module with `cells` cells.
  public static func terminal(cell index: Int, of cells: Int) -> Int { index < 4 ? index + 1 : index + 1 + 14 - cells }
}

/// Counts to volts and degrees, and back. Source: linkslave-chain.md §6.3 and §9.
public enum ChainConversion {
  /// A cell's 15-bit code in 0.1 mV, rounded: 5 V / 32768 a step.
  public static func cell(_ code: UInt16) -> UInt16 {
    UInt16(truncatingIfNeeded: (UInt32(code & 0x7FFF) * 50_000 + 16_384) / 32_768)
  }
  /// The code of a voltage in 0.1 mV; clamped to 15 bits.
  public static func cellCode(_ tenths: UInt32) -> UInt16 {
    UInt16(truncatingIfNeeded: min(32_767, (UInt64(tenths) * 32_768 + 25_000) / 50_000))
  }
  /// The stack's code in mV: 80 V / 32768 a step.
  public static func stack(_ code: UInt16) -> Int32 { Int32((UInt32(code & 0x7FFF) * 80_000 + 16_384) / 32_768) }
  /// The code of a stack voltage in mV.
  public static func stackCode(_ millivolts: UInt32) -> UInt16 {
    UInt16(truncatingIfNeeded: min(32_767, (UInt64(millivolts) * 32_768 + 40_000) / 80_000))
  }

  /// Whether an NTC's code says that it is open or shorted, whatever it computes to (§9.3, D).
  public static func isOpen(_ code: UInt16) -> Bool { code & 0x7FFF >= 0x7F00 }
  /// See `isOpen`.
  public static func isShorted(_ code: UInt16) -> Bool { code & 0x7FFF < 300 }

  /// Temperature in 0.1 °C of a sensor with R25 and beta behind a pull-up of 10 kΩ.
  /// - Parameters:
  ///   - code: ratiometric, 15 bits; 0 counts as 1.
  ///   - resistance: Ω at 25 °C.
  ///   - beta: K.
  public static func temperature(_ code: UInt16, resistance: Int32, beta: Int32) -> Int16 {
    let value = Double(max(1, min(32_767, code & 0x7FFF)))
    let ratio = 10_000 * value / (32_768 - value) / Double(max(1, resistance))
    let kelvin = 1 / (1 / 298.15 + naturalLogarithm(ratio) / Double(max(1, beta)))
    let tenths = (kelvin - 273.15) * 10
    // Beyond what can be held: absurd parameters, or a dead short.
    guard tenths < 32_767, tenths > -2731.6 else { return kelvin > 0 ? .max : -2731 }
    return Int16(tenths < 0 ? tenths - 0.5 : tenths + 0.5)
  }

  /// The code of a temperature in °C: what a simulated sensor gives.
  public static func temperatureCode(_ celsius: Double, resistance: Int32, beta: Int32) -> UInt16 {
    let exponent = Double(beta) * (1 / (celsius + 273.15) - 1 / 298.15)
    let ohms = Double(resistance) * exponential(exponent)
    return UInt16(max(1, min(32_767, 32_768 * ohms / (ohms + 10_000) + 0.5)))
  }

  /// ln of a positive number, without a mathematical library: the board has none. Error below 10⁻¹³.
  static func naturalLogarithm(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 0 }
    var mantissa = value.significand
    var exponent = Double(value.exponent)
    if mantissa > 1.414_213_562_373_095 {
      mantissa /= 2
      exponent += 1
    }
    let ratio = (mantissa - 1) / (mantissa + 1)
    let square = ratio * ratio
    var term = ratio
    var sum = 0.0
    var divisor = 1.0
    while divisor < 31 {
      sum += term / divisor
      term *= square
      divisor += 2
    }
    return 2 * sum + exponent * 0.693_147_180_559_945_3
  }

  /// e to the power of a number of moderate size.
  static func exponential(_ value: Double) -> Double {
    let limited = max(-60, min(60, value))
    var term = 1.0
    var sum = 1.0
    let part = limited / 64
    var step = 1.0
    while step < 16 {
      term *= part / step
      sum += term
      step += 1
    }
    for _ in 0..<6 { sum *= sum }
    return sum
  }
}
