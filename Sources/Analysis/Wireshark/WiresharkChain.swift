import Controller
import Protocols

/// LinkSlave chains (link type 147): registers and their fields as tables.
enum WiresharkChain {
  static let tables: String = {
    var lines = [
      "-- ==== LinkSlave chains ====",
      "-- Registers by address, and what their bits mean: name, unit, kind, then what the kind needs.",
    ]
    lines.append("local register_name = {")
    for address in UInt8(0)..<128 {
      if let name = ChainRegister.name(address) { lines.append("  [0x\(ChainText.hex(address))] = \(LuaText.quoted(name)),") }
    }
    lines += ["}", "local register_rules = {"]
    for group in groups {
      lines.append("  { 0x\(ChainText.hex(group.first)), 0x\(ChainText.hex(group.last)), {")
      lines += group.rules.map { "    " + describe($0) + "," }
      lines.append("  } },")
    }
    lines += ["}", "-- B: registers whose answers carry the tag of their conversion.", "local has_tag = {"]
    let tagged = (UInt8(0)..<128).filter(ChainFrame.hasTag).map { "[0x\(ChainText.hex($0))] = true" }
    lines.append("  " + tagged.joined(separator: ", "))
    lines += ["}", "local sensor_resistance, sensor_beta = \(ChainFieldRule.resistance), \(ChainFieldRule.beta)"]
    lines.append("local system_status = " + words(SystemStatus.allCases.map { (Int($0.rawValue), $0.word) }))
    lines.append("local chain_status = " + words(ChainStatus.allCases.map { (Int($0.rawValue), $0.word) }))
    return lines.joined(separator: "\n") + "\n\n"
  }()

  private static func words(_ list: [(Int, String)]) -> String {
    LuaText.list(list.map { "[\($0.0)] = \(LuaText.quoted($0.1))" })
  }

  /// Runs of registers with the same rules.
  static var groups: [(first: UInt8, last: UInt8, rules: [ChainFieldRule])] {
    var groups: [(first: UInt8, last: UInt8, rules: [ChainFieldRule])] = []
    for address in UInt8(0)..<128 {
      let rules = ChainFieldRule.rules(address)
      guard !rules.isEmpty else { continue }
      if let last = groups.last, last.last + 1 == address, last.rules == rules {
        groups[groups.count - 1].last = address
      } else {
        groups.append((address, address, rules))
      }
    }
    return groups
  }

  private static func describe(_ rule: ChainFieldRule) -> String {
    var parts = [LuaText.quoted(rule.name), LuaText.quoted(rule.unit)]
    switch rule.kind {
    case .number(let shift, let mask, let plus): parts += ["\"number\"", "\(1 << Int(shift))", "\(Int(mask) + 1)", "\(plus)"]
    case .timeout(let shift): parts += ["\"timeout\"", "\(1 << Int(shift))"]
    case .bit(let place): parts += ["\"bit\"", "\(1 << Int(place))"]
    case .cells(let isAlways): parts += ["\"cells\"", "\(isAlways)"]
    case .inputs(let shift): parts += ["\"inputs\"", "\(1 << Int(shift))"]
    case .threshold(let shift): parts += ["\"threshold\"", "\(1 << Int(shift))"]
    case .timer: parts.append("\"timer\"")
    case .notReady: parts.append("\"not_ready\"")
    case .stack: parts.append("\"stack\"")
    case .cell: parts.append("\"cell\"")
    case .thermistor: parts.append("\"thermistor\"")
    case .sensor: parts.append("\"sensor\"")
    case .chip: parts.append("\"chip\"")
    }
    parts.append("field = \(LuaText.quoted(LuaText.fieldName(rule.name)))")
    parts.append("type = \(LuaText.quoted(type(of: rule).rawValue))")
    if let generation = rule.generation { parts.append("generation = \(generation == .b ? "\"B\"" : "\"C\"")") }
    if let isAnswer = rule.isAnswer { parts.append("answer = \(isAnswer)") }
    return LuaText.list(parts)
  }

  /// How Wireshark holds what a rule gives.
  static func type(of rule: ChainFieldRule) -> WiresharkSignal.FieldType {
    switch rule.kind {
    case .number, .timeout, .bit, .notReady: .uint32
    case .cells, .inputs, .sensor: .string
    case .timer, .stack, .cell, .threshold, .thermistor, .chip: .double
    }
  }
}
