import Bus
import Formats
import Protocols

/// Protocols as Lua tables.
enum WiresharkTables {
  static func text(_ protocols: [WiresharkProtocol]) -> String {
    var names = UniqueNames()
    var lines = [
      "-- ==== Definitions ====",
      "-- A signal: field, type, name, unit, first byte, bytes, bits to shift right, bits, numerator, addend, decimals.",
      "-- Its value is (raw * numerator + addend) / 10^decimals. `selector`: the multiplexor's place and its values, as ranges.",
      "-- `layouts`: signals of the message by number, for each combination of the readings in `dimensions`, the last changing fastest.",
      "-- A row of `ids`: message, ID, whether it has 29 bits, first and last address, distance of the addresses' IDs.",
      "local protocols = {",
    ]
    for each in protocols { lines += describe(each, names.take(LuaText.fieldName(each.definition.protocolName))) }
    lines.append("}")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func describe(_ each: WiresharkProtocol, _ field: String) -> [String] {
    let sidecar = each.definition.sidecar
    var lines = ["  {"]
    lines.append(
      "    name = \(LuaText.quoted(each.definition.protocolName)), field = \(LuaText.quoted(field)), needs = \(LuaText.number(sidecar.needs)), certain = \(LuaText.number(sidecar.certain)),"
    )
    lines.append("    readings = {")
    lines += each.readings.map { "      " + LuaText.list(([$0.name] + $0.options).map(LuaText.quoted)) + "," }
    lines.append("    },")
    lines.append("    variants = {")
    lines += each.variants.map {
      "      { \(LuaText.quoted($0.name)), ids = \($0.idSet + 1), choice = \(LuaText.list($0.choice.map { $0 + 1 })) },"
    }
    lines.append("    },")
    lines.append("    evidence = {")
    lines += sidecar.identify.map { "      " + evidence($0) + "," }
    lines.append("    },")
    lines.append("    ids = {")
    for set in each.idSets {
      lines.append("      {")
      lines += set.map { "        " + idRow($0) + "," }
      lines.append("      },")
    }
    lines.append("    },")
    lines.append("    messages = {")
    var names = UniqueNames()
    for message in each.messages { lines += describe(message, names.take(LuaText.fieldName(message.name))) }
    return lines + ["    },", "  },"]
  }

  private static func evidence(_ evidence: Sidecar.Evidence) -> String {
    let messages = evidence.messages.map { "[\(LuaText.quoted($0))] = true" }
    var parts = ["weight = \(LuaText.number(evidence.weight))", "messages = \(LuaText.list(messages))"]
    if !evidence.when.isEmpty {
      let conditions = evidence.when.sorted { $0.key < $1.key }
        .map { "[\(LuaText.quoted($0.key))] = \(LuaText.list($0.value.map(String.init)))" }
      parts.append("when = \(LuaText.list(conditions))")
    }
    if let text = evidence.text { parts.append("text = \(LuaText.quoted(text))") }
    if let length = evidence.length { parts.append("length = \(length)") }
    return LuaText.list(parts)
  }

  private static func idRow(_ row: WiresharkProtocol.IDRow) -> String {
    var parts = ["\(row.message + 1)", "0x" + String(row.id.number, radix: 16, uppercase: true), "\(row.id.isExtended)"]
    if let addresses = row.addresses { parts += ["\(addresses.first)", "\(addresses.last)", "\(addresses.step)"] }
    return LuaText.list(parts)
  }

  private static func describe(_ message: WiresharkMessage, _ field: String) -> [String] {
    var head = "name = \(LuaText.quoted(message.name)), field = \(LuaText.quoted(field))"
    if let sender = message.sender { head += ", sender = \(LuaText.quoted(sender.rawValue))" }
    if message.signals.contains(where: { $0.selector != nil }) { head += ", multiplexed = true" }
    var lines = ["      { \(head),"]
    lines.append("        signals = {")
    lines += message.signals.map { "          " + describe($0) + "," }
    lines.append("        },")
    let layouts = message.layouts.map { $0.map { LuaText.list($0.map { $0 + 1 }) } ?? "false" }
    lines.append("        dimensions = \(LuaText.list(message.dimensions.map { $0 + 1 })),")
    if layouts.count == 1 {
      lines.append("        layouts = { \(layouts[0]) },")
    } else {
      lines.append("        layouts = {")
      lines += layouts.map { "          \($0)," }
      lines.append("        },")
    }
    return lines + ["      },"]
  }

  private static func describe(_ signal: WiresharkSignal) -> String {
    let plan = signal.plan
    let span = signal.span
    let isPlain = plan.isExact && keepsAllDigits(plan)
    let isWide = !signal.info.isText && plan.encoding.rawValue < 2 && plan.width > 48 || (plan.isExact && !isPlain)
    let isInteger = plan.isExact && plan.numerator.magnitude < 1 << 53 && plan.addend.magnitude < 1 << 53
    var parts = [
      LuaText.quoted(signal.field), LuaText.quoted(signal.type.rawValue), LuaText.quoted(signal.info.name),
      LuaText.quoted(signal.info.unit), "\(span.first)", "\(span.count)", "\(span.shift)", "\(plan.width)",
    ]
    if isInteger {
      parts += ["\(plan.numerator)", "\(plan.addend)", "\(plan.decimals)"]
    } else {
      parts += ["false", "0", "0", "factor = \(LuaText.number(plan.factor))", "offset = \(LuaText.number(plan.offset))"]
    }
    if plan.isBigEndian { parts.append("big = true") }
    switch plan.encoding {
    case .unsigned: break
    case .signed: parts.append("signed = true")
    case .float32, .float64: parts.append("float = true")
    }
    if signal.info.isText { parts.append("text = true") }
    if isWide { parts.append("wide = true") }
    if let selector = signal.selector {
      let ranges = selector.ranges.map { "{ \($0.lowerBound), \($0.upperBound) }" }
      parts.append("selector = \(LuaText.list(["\(selector.place + 1)"] + ranges))")
    }
    if !signal.info.labels.isEmpty {
      let labels = signal.info.labels.sorted { $0.key < $1.key }.map { "[\($0.key)] = \(LuaText.quoted($0.value))" }
      parts.append("labels = \(LuaText.list(labels))")
    }
    if let flag = signal.info.flag {
      var words = [LuaText.quoted(flag.severity.rawValue), LuaText.quoted(flag.text)]
      if !flag.setValues.isEmpty {
        words.append("values = \(LuaText.list(flag.setValues.map { "[\($0)] = true" }))")
      }
      parts.append("flag = \(LuaText.list(words))")
    }
    if let comment = signal.info.comment { parts.append("about = \(LuaText.quoted(comment))") }
    return LuaText.list(parts)
  }

  /// Whether every value has at most fifteen digits, all of which a double keeps.
  private static func keepsAllDigits(_ plan: SignalPlan) -> Bool {
    let magnitudeBits = 64 - plan.numerator.magnitude.leadingZeroBitCount
    return Int(plan.width) + magnitudeBits <= 48 && plan.addend.magnitude < 1 << 48
  }
}

/// Names that must not occur twice.
struct UniqueNames {
  private var taken: Set<String> = []

  /// The name itself, or with a number behind it.
  mutating func take(_ name: String) -> String {
    var result = name
    var copy = 2
    while !taken.insert(result).inserted {
      result = "\(name)_\(copy)"
      copy += 1
    }
    return result
  }
}
