public import Controller

/// Items as words, for files, prompts and messages.
extension ConfigurationItem {
  /// The item called `key`.
  public init?(key: String) {
    guard let item = ConfigurationItem.allCases.first(where: { $0.row.key == key }) else { return nil }
    self = item
  }

  /// A value as it is written: a number, or the word of the protocol.
  public func text(_ value: Int32) -> String {
    if self == .inverterProtocol, let chosen = InverterProtocol(rawValue: value) { return chosen.word }
    return FixedDecimal.text(value, decimals: row.decimals)
  }

  /// The same with its unit.
  public func textWithUnit(_ value: Int32) -> String { row.unit.isEmpty ? text(value) : "\(text(value)) \(row.unit)" }

  /// Reads what a person or a file gives; `nil` if it is none.
  public func value(_ text: String) -> Int32? {
    if self == .inverterProtocol { return InverterProtocol.allCases.first { $0.word == text }?.rawValue }
    var number = text[...]
    if !row.unit.isEmpty, number.hasSuffix(row.unit) {
      number = number.dropLast(row.unit.count)
      while number.last == " " { number = number.dropLast() }
    }
    return FixedDecimal.value(number, decimals: row.decimals)
  }

  /// What may be given, for messages: `1.5…4.5 V`.
  public var rangeText: String {
    if self == .inverterProtocol { return InverterProtocol.allCases.map(\.word).joined(separator: ", ") }
    return "\(text(row.least))…\(textWithUnit(row.most))"
  }
}

extension ConfigurationViolation: CustomStringConvertible {
  /// One line for a person: the items, what was found, what was expected.
  public var description: String {
    switch self {
    case .outOfRange(let item, let value):
      return "\(item.row.key): found \(item.textWithUnit(value)), expected \(item.rangeText)"
    case .order(let lower, let lowerValue, let upper, let upperValue, let orEqual):
      return "\(lower.row.key): found \(lower.textWithUnit(lowerValue)), expected "
        + "\(orEqual ? "at most" : "less than") \(upper.row.key), which is \(upper.textWithUnit(upperValue))"
    case .cellCount(let configured, let fromModules):
      return "cell-count: found \(configured), expected \(fromModules): slaves times cells per module, both chains"
    case .noSlaves: return "bms1-slaves, bms2-slaves: found 0 on both chains, expected at least one LinkSlave"
    case .packVoltage(let millivolts):
      return "cell-charge-disable: found \(FixedDecimal.text(Int32(clamping: millivolts), decimals: 3)) V for the whole battery, "
        + "expected at most 800 V"
    case .sensorOnAbsentModule(let chain, let module):
      return "\(chain.word.lowercased())-sensors: found sensors enabled on module \(module), expected none: the chain is shorter"
    case .calibrationPoints(let one, let other):
      return "\(one.row.key), \(other.row.key): found two points closer than 5 % of full scale, expected them further apart"
    }
  }
}

extension ChainNumber {
  /// `BMS1` or `BMS2`.
  public var word: String { self == .bms1 ? "BMS1" : "BMS2" }
}

extension Configuration {
  /// Every rule that is broken, as lines.
  public var violations: [ConfigurationViolation] {
    var found: [ConfigurationViolation] = []
    eachViolation { found.append($0) }
    return found
  }
}
