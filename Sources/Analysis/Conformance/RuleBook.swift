public import Formats

/// Thresholds, severities and words of the rules: `Dissectors/rules.yaml`.
public struct RuleBook: Sendable {
  /// What stands beside a rule's number.
  public struct Entry: Sendable {
    /// Short name.
    public var name = ""
    /// How bad a finding of it is.
    public var severity = FindingSeverity.warning
    /// By name.
    public var thresholds: [String: Double] = [:]
    /// Why it matters.
    public var why = ""
    /// Likely first.
    public var causes: [String] = []
    /// What to do.
    public var fix = ""
    /// Where the facts come from.
    public var sources: [String] = []
  }

  /// What an inverter wants, by the name that `--inverter` takes.
  public struct Inverter: Sendable {
    /// For people.
    public var title = ""
    /// Protocols it can speak, best first.
    public var protocols: [String] = []
    /// Dimension → option that it reads.
    public var readings: [String: String] = [:]
    /// The battery address it uses, where that is fixed.
    public var address: UInt8?
    /// Above this a current limit makes it fault, A.
    public var maxAmperes: Double?
    /// What to set.
    public var fix = ""
  }

  /// By rule.
  public private(set) var entries: [RuleID: Entry] = [:]
  /// By name.
  public private(set) var inverters: [String: Inverter] = [:]
  /// Rule by dimension of the definitions' readings.
  public private(set) var readingRules: [String: RuleID] = [:]
  /// How far values may be apart, by unit (`compare --engine`).
  public private(set) var tolerances: [String: Double] = [:]
  private var overrides: [String: [RuleID: [String: Double]]] = [:]
  private var severities: [String: [RuleID: FindingSeverity]] = [:]

  /// No rule.
  public init() {}

  /// Reads a rule book.
  public static func parse(_ text: String, path: String) -> (book: RuleBook, problems: [DefinitionProblem]) {
    var book = RuleBook()
    var problems: [DefinitionProblem] = []
    guard let root = YAMLNode.parse(text, path: path, problems: &problems) else { return (book, problems) }
    for (key, value) in root.pairs("the rules", &problems) {
      switch key {
      case "rules":
        for (name, rule) in value.pairs(key, &problems) {
          guard let id = RuleID(rawValue: name) else {
            problems.append(
              rule.problem(.unknownKey, "unknown rule \"\(name)\"" + NearestName.hint(name, in: RuleID.allCases.map(\.rawValue))))
            continue
          }
          book.entries[id] = entry(rule, &problems)
        }
      case "inverters":
        for (name, inverter) in value.pairs(key, &problems) { book.inverters[name] = self.inverter(inverter, &problems) }
      case "tolerances":
        for (unit, number) in value.pairs(key, &problems) { book.tolerances[unit] = number.number(unit, &problems)?.value }
      case "readings":
        for (dimension, rule) in value.pairs(key, &problems) {
          book.readingRules[dimension] = RuleID(rawValue: rule.text(dimension, &problems))
        }
      case "protocols":
        for (name, rules) in value.pairs(key, &problems) {
          for (rule, changes) in rules.pairs("protocols.\(name)", &problems) {
            guard let id = RuleID(rawValue: rule) else {
              problems.append(changes.problem(.unknownKey, "unknown rule \"\(rule)\""))
              continue
            }
            for (threshold, number) in changes.pairs(rule, &problems) {
              if threshold == "severity" {
                book.severities[name, default: [:]][id] = FindingSeverity(rawValue: number.text(threshold, &problems))
              } else if let value = number.number(threshold, &problems)?.value {
                book.overrides[name, default: [:]][id, default: [:]][threshold] = value
              }
            }
          }
        }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    for id in RuleID.allCases where book.entries[id] == nil {
      problems.append(root.problem(.missing, "rule \(id.rawValue) is missing"))
    }
    return (book, problems)
  }

  private static func entry(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> Entry {
    var entry = Entry()
    for (key, value) in node.pairs("rule", &problems) {
      switch key {
      case "name": entry.name = value.text(key, &problems)
      case "severity":
        if let severity = FindingSeverity(rawValue: value.text(key, &problems)) {
          entry.severity = severity
        } else {
          problems.append(value.problem(.value, "severity: found \(value.found), expected error, warning or note"))
        }
      case "thresholds":
        for (name, number) in value.pairs(key, &problems) { entry.thresholds[name] = number.number(name, &problems)?.value ?? 0 }
      case "why": entry.why = value.text(key, &problems)
      case "causes": entry.causes = value.texts(key, &problems)
      case "try": entry.fix = value.text(key, &problems)
      case "sources": entry.sources = value.texts(key, &problems)
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return entry
  }

  private static func inverter(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> Inverter {
    var inverter = Inverter()
    for (key, value) in node.pairs("inverter", &problems) {
      switch key {
      case "title": inverter.title = value.text(key, &problems)
      case "protocols": inverter.protocols = value.texts(key, &problems)
      case "readings":
        for (name, option) in value.pairs(key, &problems) { inverter.readings[name] = option.text(name, &problems) }
      case "address": inverter.address = value.integer(key, in: 0...15, &problems).map { UInt8($0) }
      case "maxAmperes": inverter.maxAmperes = value.number(key, &problems)?.value
      case "try": inverter.fix = value.text(key, &problems)
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return inverter
  }

  /// A rule's words.
  public subscript(_ rule: RuleID) -> Entry { entries[rule] ?? Entry() }

  /// A threshold, as the protocol overrides it.
  public func threshold(_ rule: RuleID, _ name: String, for protocolName: String?) -> Double {
    protocolName.flatMap { overrides[$0]?[rule]?[name] } ?? entries[rule]?.thresholds[name] ?? 0
  }

  /// How bad a finding is in a protocol.
  public func severity(_ rule: RuleID, for protocolName: String?) -> FindingSeverity {
    protocolName.flatMap { severities[$0]?[rule] } ?? entries[rule]?.severity ?? .warning
  }
}
