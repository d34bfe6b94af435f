import Controller
import Formats

/// What differs between two configurations, and what was judged by it.
struct ConfigurationChange {
  /// Line by line: `capacity: 100 Ah → 77 Ah`.
  let lines: [String]
  /// What differs, in a few words.
  let names: String
  private let items: [ConfigurationItem]
  private let hasOtherSensors: Bool
  private let breaksRules: Bool

  init(from old: Configuration, to new: Configuration) {
    let differing = ConfigurationItem.allCases.filter { old[$0] != new[$0] }
    let sensors = Self.sensors(from: old, to: new)
    items = differing
    hasOtherSensors = !sensors.isEmpty
    breaksRules = new.violationCount > 0
    lines = differing.map { "\($0.row.key): \($0.textWithUnit(old[$0])) → \($0.textWithUnit(new[$0]))" } + sensors
    let keys = differing.map { $0.row.key } + (sensors.isEmpty ? [] : ["sensors"])
    names = keys.count > 3 ? "\(keys.prefix(2).joined(separator: ", ")) and \(keys.count - 2) more" : keys.joined(separator: ", ")
  }

  var isEmpty: Bool { lines.isEmpty }

  /// A line for each module of which other sensors are enabled. Of modules that no file can name nothing is said.
  private static func sensors(from old: Configuration, to new: Configuration) -> [String] {
    func names(_ mask: UInt8) -> String {
      let names = (0..<5).filter { mask & 1 << UInt8($0) != 0 }.map { "T\($0 + 1)" }
      return names.isEmpty ? "none" : names.joined(separator: ",")
    }
    var lines: [String] = []
    for chain in ChainNumber.allCases {
      for module in 0..<max(old.slaves(chain), new.slaves(chain)) {
        let (before, after) = (old.sensors[chain.index * 15 + module], new.sensors[chain.index * 15 + module])
        guard before != after else { continue }
        lines.append("\(chain.word.lowercased())-sensors.\(module + 1): \(names(before)) → \(names(after))")
      }
    }
    return lines
  }

  /// Whether a step was judged by something that differs.
  func concerns(_ step: Guide.Step) -> Bool {
    step.stages.contains { stage in
      guard case .check(let ids) = stage else { return false }
      return ids.contains { concerns($0) }
    }
  }

  private func concerns(_ id: CheckID) -> Bool {
    switch id {
    // Rules that are kept by the new values as well are no reason to come back.
    case .configuration: breaksRules
    case .sensors, .ambient: hasOtherSensors || items.contains { id.judgesBy.contains($0) }
    default: items.contains { id.judgesBy.contains($0) }
    }
  }
}

extension CheckID {
  private static let battery: Set<ConfigurationItem> = [.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount]
  private static let critical: Set<ConfigurationItem> = [
    .overvoltageProtect, .undervoltageProtect, .differenceProtect, .overtemperatureProtect, .undertemperatureProtect,
  ]
  private static let input: Set<ConfigurationItem> = [.inputHighRaw, .inputHigh]
  private static let output: Set<ConfigurationItem> = [.outputHighRaw, .outputHigh]

  /// Items of the configuration that its result depends on.
  var judgesBy: Set<ConfigurationItem> {
    switch self {
    // What was tried on the bench was tried with a configuration of its own.
    case .supply, .pins, .bench, .moduleVoltage, .configuration, .pdu, .can, .bmsVoltage: []
    case .modules: [.bms1Slaves, .bms2Slaves]
    case .cellsPerModule: [.bms1Cells, .bms2Cells, .cellCount]
    case .preset: [.cellChargeDisable]
    case .capacity: [.capacity]
    case .ntc: [.ntcResistance, .ntcBeta]
    case .packRange: [.cellCount, .cellChargeDisable, .cellDischargeDisable]
    case .scan, .sums, .sensors, .packVoltage: Self.battery
    case .cells: Self.battery.union([.undervoltageProtect, .overvoltageProtect])
    case .spread: Self.battery.union([.differenceAlarm])
    case .chemistry: Self.battery.union([.cellChargeDisable])
    case .ambient: Self.battery.union([.ntcResistance, .ntcBeta])
    case .bms1, .bms2: Self.battery.union(Self.critical)
    case .switchRating: [.cellCount, .cellChargeDisable, .chargeCurrentMax, .dischargeCurrentMax]
    case .protocol, .sofarAddress, .handshake: [.inverterProtocol]
    case .vIn: Self.battery.union(Self.input)
    case .vOutOpen: Self.input.union(Self.output)
    case .zeroCurrent: [.currentLowRaw, .currentLow, .currentHighRaw, .currentHigh]
    // With closed contactors everything counts that may open them; so it does where nobody has said what counts.
    default: Set(ConfigurationItem.allCases).subtracting([.usedCells])
    }
  }
}
