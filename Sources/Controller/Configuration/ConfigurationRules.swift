/// One rule that a configuration breaks. Source: spec/controller.md §2.
public enum ConfigurationViolation: Equatable, Sendable {
  /// A value outside the item's own range.
  case outOfRange(ConfigurationItem, value: Int32)
  /// `lower` must be below `upper`; equal is allowed where `orEqual`.
  case order(lower: ConfigurationItem, lowerValue: Int32, upper: ConfigurationItem, upperValue: Int32, orEqual: Bool)
  /// The cell count is not slaves times cells per module.
  case cellCount(configured: Int32, fromModules: Int32)
  /// No chain has a slave.
  case noSlaves
  /// The pack's voltage at cell charge disable is above 800 V, mV.
  case packVoltage(millivolts: Int64)
  /// A sensor is enabled on a module that is not there: chain and module from 1.
  case sensorOnAbsentModule(ChainNumber, module: Int)
  /// Two calibration points are closer than 5 % of full scale.
  case calibrationPoints(ConfigurationItem, ConfigurationItem)
}

extension Configuration {
  /// The consistency rules that are an order of two items.
  static let orders: [(ConfigurationItem, ConfigurationItem, orEqual: Bool)] = [
    (.cellDischargeDisable, .cellDischargeEnable, false), (.cellDischargeEnable, .cellChargeEnable, false),
    (.cellChargeEnable, .cellChargeDisable, false), (.undervoltageProtect, .undervoltageAlarm, false),
    (.undervoltageAlarm, .cellDischargeDisable, true), (.cellChargeDisable, .overvoltageAlarm, true),
    (.overvoltageAlarm, .overvoltageProtect, false), (.differenceAlarm, .differenceProtect, false),
    (.overtemperatureAlarm, .overtemperatureProtect, false), (.undertemperatureProtect, .undertemperatureAlarm, false),
    (.undertemperatureAlarm, .overtemperatureAlarm, false), (.chargeTemperatureMin, .chargeTemperatureMax, false),
    (.dischargeTemperatureMin, .dischargeTemperatureMax, false), (.chargeCurrentMax, .overcurrentProtect, true),
    (.dischargeCurrentMax, .overcurrentProtect, true),
  ]

  /// Calls `body` for every rule that is broken, in the order of the table.
  public func eachViolation(_ body: (ConfigurationViolation) -> Void) {
    for item in ConfigurationItem.allCases {
      let row = item.row
      if self[item] < row.least || self[item] > row.most { body(.outOfRange(item, value: self[item])) }
    }
    for (lower, upper, orEqual) in Configuration.orders
    where self[lower] > self[upper] || (!orEqual && self[lower] == self[upper]) {
      body(.order(lower: lower, lowerValue: self[lower], upper: upper, upperValue: self[upper], orEqual: orEqual))
    }
    let cells = self[.bms1Slaves] &* self[.bms1Cells] &+ self[.bms2Slaves] &* self[.bms2Cells]
    if cells == 0 { body(.noSlaves) }
    if cells != self[.cellCount] { body(.cellCount(configured: self[.cellCount], fromModules: cells)) }
    let millivolts = Int64(self[.cellCount]) * Int64(self[.cellChargeDisable]) / 10
    if millivolts > 800_000 { body(.packVoltage(millivolts: millivolts)) }
    for module in 0..<30 where sensors[module] != 0 {
      let chain: ChainNumber = module < 15 ? .bms1 : .bms2
      if module % 15 >= slaves(chain) { body(.sensorOnAbsentModule(chain, module: module % 15 + 1)) }
    }
    if Calibration.areTooClose(self[.currentLow], self[.currentHigh], fullScale: 80_000)
      || self[.currentLowRaw] == self[.currentHighRaw]
    {
      body(.calibrationPoints(.currentLow, .currentHigh))
    }
    if Calibration.areTooClose(0, self[.inputHigh], fullScale: 800_000) || self[.inputHighRaw] == 0 {
      body(.calibrationPoints(.inputHighRaw, .inputHigh))
    }
    if Calibration.areTooClose(0, self[.outputHigh], fullScale: 800_000) || self[.outputHighRaw] == 0 {
      body(.calibrationPoints(.outputHighRaw, .outputHigh))
    }
  }

  /// How many rules are broken; 0 = the configuration may be used.
  public var violationCount: Int {
    var count = 0
    eachViolation { _ in count += 1 }
    return count
  }
}
