import Controller
import Formats

/// The configuration as a form: what was typed, what each field was refused for, and the configuration where nothing was.
struct ConfigurationForm {
  /// What stands in each field.
  var texts: [ConfigurationItem: String] = [:]
  /// Enabled sensors by module, as in `Configuration`.
  var sensors = [UInt8](repeating: 0, count: 30)
  /// Why a field was refused.
  var refusals: [ConfigurationItem: [String]] = [:]
  /// Refusals that belong to no field.
  var general: [String] = []
  /// What the fields say, where all of them can be read.
  var configuration: Configuration?

  /// Whether it may be saved.
  var isGood: Bool { configuration != nil && refusals.isEmpty && general.isEmpty }

  /// The groups of the page, in the table's order.
  static let groups: [(name: String, items: [ConfigurationItem])] = [
    ("Battery", [.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount, .usedCells, .capacity]),
    ("NTC parameters", [.ntcResistance, .ntcBeta]),
    ("Inverter", [.inverterProtocol, .chargeCurrentMax, .dischargeCurrentMax, .overcurrentProtect]),
    ("Charging and discharging", [.cellChargeDisable, .cellChargeEnable, .cellDischargeDisable, .cellDischargeEnable]),
    (
      "Cell voltages",
      [.overvoltageAlarm, .overvoltageProtect, .undervoltageAlarm, .undervoltageProtect, .differenceAlarm, .differenceProtect]
    ),
    (
      "Temperatures",
      [
        .overtemperatureAlarm, .overtemperatureProtect, .undertemperatureAlarm, .undertemperatureProtect, .chargeTemperatureMin,
        .chargeTemperatureMax, .dischargeTemperatureMin, .dischargeTemperatureMax,
      ]
    ),
    ("Balancing", [.balanceStart, .balanceDifference]),
    (
      "Calibration points",
      [.currentLowRaw, .currentLow, .currentHighRaw, .currentHigh, .inputHighRaw, .inputHigh, .outputHighRaw, .outputHigh]
    ),
  ]

  /// A form that shows `configuration`, with what it breaks.
  init(_ configuration: Configuration) {
    self.configuration = configuration
    for item in ConfigurationItem.allCases { texts[item] = item.text(configuration[item]) }
    for module in 0..<30 { sensors[module] = configuration.sensors[module] }
    judge(configuration)
  }

  /// A form as it was posted. A field that is missing keeps the value of `base`.
  init(_ fields: [String: String], base: Configuration) {
    var made = base
    for item in ConfigurationItem.allCases {
      let text = (fields[item.row.key] ?? item.text(base[item])).trimmed
      texts[item] = text
      // A comma is what half of Europe types.
      let number = item == .inverterProtocol ? text : text.replacing(",", with: ".")
      if let value = item.value(number) {
        made[item] = value
      } else {
        refusals[item] = ["found \"\(text.prefix(40))\", expected \(item.rangeText)"]
      }
    }
    for module in 0..<30 {
      var mask: UInt8 = 0
      if fields["sensors"] != nil {
        for sensor in 1...5 where fields[ConfigurationForm.sensorName(module, sensor)] != nil { mask |= 1 << UInt8(sensor - 1) }
      } else {
        mask = base.sensors[module]
      }
      // A module that goes takes its sensors with it: nobody can untick what is not shown any more.
      if module % 15 >= made.slaves(module < 15 ? .bms1 : .bms2) { mask = 0 }
      sensors[module] = mask
      made.setSensors(mask, ofModule: module)
    }
    guard refusals.isEmpty else { return }
    configuration = made
    judge(made)
  }

  /// Fills every cell voltage; the rest stays as typed.
  mutating func apply(_ preset: Configuration.Preset) {
    let filled = Configuration(preset: preset)
    for item in ConfigurationItem.allCases where item.isCellVoltage { texts[item] = item.text(filled[item]) }
    var fields: [String: String] = ["sensors": "1"]
    for (item, text) in texts { fields[item.row.key] = text }
    for module in 0..<30 {
      for sensor in 1...5 where sensors[module] & 1 << UInt8(sensor - 1) != 0 {
        fields[ConfigurationForm.sensorName(module, sensor)] = "on"
      }
    }
    self = ConfigurationForm(fields, base: Configuration())
  }

  /// The name of a sensor's checkbox: module 0…29, sensor 1…5.
  static func sensorName(_ module: Int, _ sensor: Int) -> String { "t-\(module)-\(sensor)" }

  /// Puts what the controller says beside its field.
  mutating func refuse(_ refusal: CommandRefusal) {
    if let item = refusal.item { refusals[item, default: []].append(refusal.reason) } else { general.append(refusal.reason) }
  }

  private mutating func judge(_ configuration: Configuration) {
    for violation in configuration.violations {
      let items = ConfigurationForm.items(of: violation)
      if items.isEmpty { general.append(violation.description) }
      for item in items { refusals[item, default: []].append(violation.description) }
    }
  }

  private static func items(of violation: ConfigurationViolation) -> [ConfigurationItem] {
    switch violation {
    case .outOfRange(let item, _): [item]
    case .order(let lower, _, let upper, _, _): [lower, upper]
    case .cellCount: [.cellCount]
    case .noSlaves: [.bms1Slaves, .bms2Slaves]
    case .packVoltage: [.cellChargeDisable]
    case .sensorOnAbsentModule: []
    case .calibrationPoints(let one, let other): [one, other]
    }
  }

  // MARK: Changes

  /// What differs, in words.
  static func changes(from old: Configuration, to new: Configuration) -> [String] {
    var lines = ConfigurationItem.allCases.filter { old[$0] != new[$0] }.map {
      "\($0.row.key): \($0.textWithUnit(old[$0])) → \($0.textWithUnit(new[$0]))"
    }
    for module in 0..<30 where old.sensors[module] != new.sensors[module] {
      lines.append(
        "sensors of BMS\(module / 15 + 1) module \(module % 15 + 1): \(names(old.sensors[module])) → \(names(new.sensors[module]))")
    }
    return lines
  }

  private static func names(_ mask: UInt8) -> String {
    let list = (1...5).filter { mask & 1 << UInt8($0 - 1) != 0 }.map { "T\($0)" }
    return list.isEmpty ? "none" : list.joined(separator: ", ")
  }

  /// Items that no contactor follows: how it is shown, spoken, balanced and throttled.
  private static let harmless: Set<ConfigurationItem> = [
    .usedCells, .inverterProtocol, .balanceStart, .balanceDifference, .chargeCurrentMax, .dischargeCurrentMax,
  ]

  /// Whether contactors may open or close by saving `new`.
  static func mayMoveContactors(from old: Configuration, to new: Configuration, isRefused: Bool) -> Bool {
    if isRefused { return true }
    for module in 0..<30 where old.sensors[module] != new.sensors[module] { return true }
    return ConfigurationItem.allCases.contains { old[$0] != new[$0] && !harmless.contains($0) }
  }
}
