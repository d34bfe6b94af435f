/// Something in a definition that is wrong: which file and line, which rule, what was found, what was expected.
public struct DefinitionProblem: Sendable, Hashable, CustomStringConvertible {
  /// Frozen ids; titles may change.
  public enum Rule: String, Sendable, CaseIterable {
    /// The file is no YAML.
    case syntax = "D01"
    /// A key the schema does not know.
    case unknownKey = "D02"
    /// A value of another type, or outside its range.
    case value = "D03"
    /// A key that must be there is missing.
    case missing = "D04"
    case unknownMessage = "D05"
    case unknownSignal = "D06"
    /// A reading, or an option of one, that is not declared.
    case unknownReading = "D07"
    /// A sample's frame that is none.
    case sampleFrame = "D08"
    /// A sample that decodes to something else.
    case sampleDecode = "D09"
    /// Expected values that encode to something else.
    case sampleEncode = "D10"
    /// Two definitions of one protocol.
    case duplicate = "D11"
    /// `extends` names no definition, or a circle.
    case unknownBase = "D12"
    /// The DBC, or an overlay, is not there.
    case missingFile = "D13"
    /// The DBC itself: its rule and place stand in the text.
    case dbc = "D14"
    /// `roles` names a node that the DBC does not have.
    case unknownNode = "D15"
    /// A source without an id or a confidence.
    case source = "D16"
    /// A signal that one frame can hold under several names, or a name that means several signals.
    case ambiguous = "D17"
  }

  /// Frozen id of the rule.
  public var rule: Rule
  /// The file.
  public var path: String
  /// From 1; 0 for the file as a whole.
  public var line: Int
  /// What was found and expected.
  public var text: String

  /// A problem at a line of a file.
  public init(_ rule: Rule, _ path: String, line: Int, _ text: String) {
    self.rule = rule
    self.path = path
    self.line = line
    self.text = text
  }

  /// `D06 sofar/sofar.yaml:31: unknown signal "Currant" (did you mean "Current"?)`.
  public var description: String { "\(rule.rawValue) \(path)\(line > 0 ? ":\(line)" : ""): \(text)" }
}

/// The nearest of several names, for "did you mean".
public enum NearestName {
  /// The name closest to `word`, if it is close at all: at most a third of its letters differ.
  public static func find(_ word: String, in names: some Sequence<String>) -> String? {
    var best: (name: String, distance: Int)?
    for name in names {
      let distance = self.distance(Array(word.lowercased().utf8), Array(name.lowercased().utf8))
      if distance <= max(1, name.utf8.count / 3), distance < best?.distance ?? .max { best = (name, distance) }
    }
    return best?.name
  }

  /// ` (did you mean "Current"?)`, or nothing.
  public static func hint(_ word: String, in names: some Sequence<String>) -> String {
    find(word, in: names).map { " (did you mean \"\($0)\"?)" } ?? ""
  }

  /// Edits that turn `a` into `b`.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = cost
      }
    }
    return row[b.count]
  }
}
