/// Every number that a person sets, in the order in which they are shown. This table is the one definition: file, prompt, forms,
/// validation and documentation come from it. Source: spec/controller.md §2.
public enum ConfigurationItem: UInt8, CaseIterable, Sendable {
  case bms1Slaves, bms2Slaves, bms1Cells, bms2Cells, cellCount, usedCells, ntcResistance, ntcBeta, capacity, inverterProtocol
  case cellChargeDisable, cellChargeEnable, cellDischargeDisable, cellDischargeEnable
  case chargeCurrentMax, dischargeCurrentMax, overcurrentProtect
  case overvoltageAlarm, overvoltageProtect, undervoltageAlarm, undervoltageProtect, differenceAlarm, differenceProtect
  case overtemperatureAlarm, overtemperatureProtect, undertemperatureAlarm, undertemperatureProtect
  case chargeTemperatureMin, chargeTemperatureMax, dischargeTemperatureMin, dischargeTemperatureMax
  case balanceStart, balanceDifference
  case currentLowRaw, currentLow, currentHighRaw, currentHigh, inputHighRaw, inputHigh, outputHighRaw, outputHigh

  /// How many items there are.
  public static let count = 41

  /// What the table says of one item. Numbers are whole multiples of 10^−decimals of the unit: 3.55 V is 35 500 with 4 decimals.
  public struct Row: Sendable {
    /// The word in the file, at the prompt and in messages.
    public let key: String
    /// Empty for plain numbers.
    public let unit: String
    /// Digits behind the point that are kept.
    public let decimals: UInt8
    /// The least allowed value.
    public let least: Int32
    /// The greatest allowed value.
    public let most: Int32
    /// The value of the preset LFP, which is the default.
    public let lfp: Int32
    /// The value of the preset Li-ion.
    public let liIon: Int32
    /// One or two sentences for the person who sets it.
    public let help: String

    init(
      _ key: String, _ unit: String, _ decimals: UInt8, _ range: ClosedRange<Int32>, _ lfp: Int32, _ liIon: Int32, _ help: String
    ) {
      self.key = key
      self.unit = unit
      self.decimals = decimals
      least = range.lowerBound
      most = range.upperBound
      self.lfp = lfp
      self.liIon = liIon
      self.help = help
    }
  }

  /// The table's line for this item.
  public var row: Row {
    switch self {
    case .bms1Slaves: Row("bms1-slaves", "", 0, 0...15, 1, 1, "LinkSlaves on chain BMS1; 0 switches the channel OFF.")
    case .bms2Slaves: Row("bms2-slaves", "", 0, 0...15, 0, 0, "LinkSlaves on chain BMS2; 0 switches the channel OFF.")
    case .bms1Cells: Row("bms1-cells-per-module", "", 0, 7...14, 8, 12, "Cells on each module of BMS1.")
    case .bms2Cells: Row("bms2-cells-per-module", "", 0, 7...14, 8, 12, "Cells on each module of BMS2.")
    case .cellCount: Row("cell-count", "", 0, 7...400, 8, 12, "All cells in series: slaves times cells per module.")
    case .usedCells: Row("used-cells", "", 0, 7...14, 14, 14, "Columns of cells that are shown.")
    case .ntcResistance: Row("ntc-resistance", "Ω", 0, 1000...200_000, 10_000, 10_000, "Resistance of the sensors at 25 °C.")
    case .ntcBeta: Row("ntc-beta", "K", 0, 2000...6000, 3950, 3950, "Beta (25/50) of the sensors.")
    case .capacity: Row("capacity", "Ah", 3, 1000...2_000_000, 100_000, 100_000, "Charge of a full battery.")
    case .inverterProtocol: Row("protocol", "", 0, 0...5, 1, 1, "What the inverter speaks.")
    case .cellChargeDisable:
      cell("cell-charge-disable", 35_500, 41_000, "Charging stops when the highest cell is above; this is SOC 100 %.")
    case .cellChargeEnable: cell("cell-charge-enable", 34_000, 40_500, "Charging resumes when the highest cell is below.")
    case .cellDischargeDisable:
      cell("cell-discharge-disable", 29_000, 31_000, "Discharging stops when the lowest cell is below; this is SOC 0 %.")
    case .cellDischargeEnable: cell("cell-discharge-enable", 31_000, 33_000, "Discharging resumes when the lowest cell is above.")
    case .chargeCurrentMax: Row("charge-current-max", "A", 3, 0...50_000, 25_000, 25_000, "Never more is allowed to the inverter.")
    case .dischargeCurrentMax:
      Row("discharge-current-max", "A", 3, 0...50_000, 50_000, 50_000, "Never more is allowed to the inverter.")
    case .overcurrentProtect:
      Row("overcurrent-protect", "A", 3, 1000...80_000, 55_000, 55_000, "OCP: opens after 10 s above, at once above 120 %.")
    case .overvoltageAlarm: cell("cell-overvoltage-alarm", 36_000, 41_500, "Warns and reduces the current above.")
    case .overvoltageProtect: cell("cell-overvoltage-protect", 36_500, 42_000, "Opens the contactors above.")
    case .undervoltageAlarm: cell("cell-undervoltage-alarm", 28_000, 30_000, "Warns and reduces the current below.")
    case .undervoltageProtect: cell("cell-undervoltage-protect", 25_000, 28_000, "Opens the contactors below.")
    case .differenceAlarm:
      Row("cell-difference-alarm", "V", 4, 50...20_000, 3000, 2000, "Warns when highest and lowest cell are further apart.")
    case .differenceProtect:
      Row("cell-difference-protect", "V", 4, 50...20_000, 5000, 4000, "Opens when highest and lowest cell are further apart.")
    case .overtemperatureAlarm: temperature("overtemperature-alarm", 500, "Warns and reduces the current above.")
    case .overtemperatureProtect: temperature("overtemperature-protect", 600, "Opens the contactors above.")
    case .undertemperatureAlarm: temperature("undertemperature-alarm", 0, "Warns and reduces the current below.")
    case .undertemperatureProtect: temperature("undertemperature-protect", -200, "Opens the contactors below.")
    case .chargeTemperatureMin: temperature("charge-temperature-min", 50, "No charging when a sensor is below.")
    case .chargeTemperatureMax: temperature("charge-temperature-max", 450, "No charging when a sensor is above.")
    case .dischargeTemperatureMin: temperature("discharge-temperature-min", -100, "No discharging when a sensor is below.")
    case .dischargeTemperatureMax: temperature("discharge-temperature-max", 550, "No discharging when a sensor is above.")
    case .balanceStart: cell("balance-start", 34_000, 39_000, "Balancing may run while the highest cell is above.")
    case .balanceDifference:
      Row("balance-difference", "V", 4, 10...5000, 100, 100, "A cell is balanced while it is above the lowest by more.")
    case .currentLowRaw: raw("current-low-raw", 0, "Raw reading of the current sensor at the low point.")
    case .currentLow: Row("current-low", "A", 3, -80_000...80_000, 0, 0, "True current at the low point.")
    case .currentHighRaw: raw("current-high-raw", 50_000, "Raw reading of the current sensor at the high point.")
    case .currentHigh: Row("current-high", "A", 3, -80_000...80_000, 50_000, 50_000, "True current at the high point.")
    case .inputHighRaw: raw("v-in-high-raw", 80_000, "Raw reading of V-in at the high point.")
    case .inputHigh: Row("v-in-high", "V", 3, 0...1_000_000, 800_000, 800_000, "True V-in at the high point.")
    case .outputHighRaw: raw("v-out-high-raw", 80_000, "Raw reading of V-out at the high point.")
    case .outputHigh: Row("v-out-high", "V", 3, 0...1_000_000, 800_000, 800_000, "True V-out at the high point.")
    }
  }

  private func cell(_ key: String, _ lfp: Int32, _ liIon: Int32, _ help: String) -> Row {
    Row(key, "V", 4, 15_000...45_000, lfp, liIon, help)
  }
  private func temperature(_ key: String, _ both: Int32, _ help: String) -> Row {
    Row(key, "°C", 1, -400...1000, both, both, help)
  }
  private func raw(_ key: String, _ both: Int32, _ help: String) -> Row {
    Row(key, "", 0, -1_000_000...1_000_000, both, both, help)
  }

  /// Whether a preset fills it: every item that is a cell voltage.
  public var isCellVoltage: Bool {
    switch self {
    case .cellChargeDisable, .cellChargeEnable, .cellDischargeDisable, .cellDischargeEnable, .overvoltageAlarm, .overvoltageProtect,
      .undervoltageAlarm, .undervoltageProtect, .differenceAlarm, .differenceProtect, .balanceStart, .balanceDifference:
      true
    default: false
    }
  }
}

/// What the inverter speaks: the values of the item `protocol`.
public enum InverterProtocol: Int32, CaseIterable, Sendable {
  case none, deye, goodwe, pylontech, sofar1, sofar2

  /// The word in the file and at the prompt.
  public var word: String {
    switch self {
    case .none: "none"
    case .deye: "deye"
    case .goodwe: "goodwe"
    case .pylontech: "pylontech"
    case .sofar1: "sofar1"
    case .sofar2: "sofar2"
    }
  }
}
