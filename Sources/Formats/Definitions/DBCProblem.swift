/// Something in a DBC that is wrong or odd: where, which rule, what was found, what was expected.
public struct DBCProblem: Sendable, Hashable, CustomStringConvertible {
  /// Frozen ids; titles may change.
  public enum Rule: String, Sendable, CaseIterable {
    /// The text does not follow the grammar; the statement is skipped.
    case syntax = "B01"
    /// A number that is none, or outside its range.
    case number = "B02"
    /// A statement about a message that does not exist.
    case unknownMessage = "B03"
    /// A statement about a signal that does not exist.
    case unknownSignal = "B04"
    /// A multiplexor that does not exist, or a circle of them.
    case multiplexor = "B05"
    /// Two messages with one arbitration ID.
    case duplicateID = "B06"
    /// Two messages with one name.
    case duplicateMessage = "B07"
    /// Two signals of a message with one name.
    case duplicateSignal = "B08"
    /// A signal outside its message's payload.
    case outside = "B09"
    /// Two signals that share bits and can be present together.
    case overlap = "B10"
    /// A message longer than its frame can be.
    case length = "B11"
    /// A name that is no C identifier, or longer than 32 characters.
    case name = "B12"
    /// A node that `BU_` does not list.
    case unknownNode = "B13"
    /// Minimum above maximum.
    case range = "B14"
    /// A label for a value that the signal cannot have.
    case label = "B15"
    /// An arbitration ID that does not fit its width.
    case identifier = "B16"
    /// An attribute without a definition, or a value outside it.
    case attribute = "B17"
    /// A float signal that is not 32 or 64 bits long.
    case float = "B18"
    /// A factor of zero: every raw value means the same.
    case factor = "B19"
  }

  /// How bad.
  public enum Severity: String, Sendable { case error, warning }

  /// Frozen id of the rule.
  public var rule: Rule
  /// Whether the file can be used all the same.
  public var severity: Severity
  /// From 1; 0 where the place is not in a text.
  public var line: Int
  /// From 1.
  public var column: Int
  /// What stood there.
  public var found: String
  /// What would have been right.
  public var expected: String

  /// A problem at a line and column.
  public init(_ rule: Rule, _ severity: Severity = .error, line: Int, column: Int = 1, found: String, expected: String) {
    self.rule = rule
    self.severity = severity
    self.line = line
    self.column = column
    self.found = found
    self.expected = expected
  }

  /// `12:5: B04 error: found Currant, expected a signal of Totals`.
  public var description: String {
    "\(line):\(column): \(rule.rawValue) \(severity.rawValue): found \(found), expected \(expected)"
  }
}
