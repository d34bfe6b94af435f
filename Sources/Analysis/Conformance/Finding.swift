public import Bus

/// A rule of the catalogue, by its number.
public enum RuleID: String, CaseIterable, Sendable {
  case R00, R01, R02, R02a, R02b, R02c, R03, R04, R04a, R05, R06, R07, R08, R09, R09b, R10, R10b, R11, R12, R13a, R14, R15, R16, R17
  case R18, R19, R19a, R20, R21, R22, R23, R24, R25, R26, R27, R28

  /// The order in which a person should read findings of one severity: what explains the others stands first.
  public var rank: Int {
    let order: [RuleID] = [
      .R02b, .R02a, .R02c, .R04a, .R01, .R10, .R10b, .R02, .R04, .R03, .R09b, .R19, .R26, .R11, .R05, .R23, .R20, .R18, .R17, .R12,
      .R16, .R13a, .R06, .R09, .R25, .R24, .R21, .R14, .R07, .R08, .R19a, .R15, .R22, .R28, .R00, .R27,
    ]
    return order.firstIndex(of: self) ?? order.count
  }
}

/// How bad it is.
public enum FindingSeverity: String, CaseIterable, Comparable, Sendable {
  case note, warning, error

  /// From mild to bad.
  public static func < (a: FindingSeverity, b: FindingSeverity) -> Bool {
    (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0)
  }
}

/// A place in a capture: record number from 1, and time.
public struct RecordMark: Sendable, Equatable {
  /// From 1; 0 = the capture as a whole.
  public var record: UInt64
  /// As the capture gives it.
  public var time: Timestamp
  /// A place.
  public init(record: UInt64, time: Timestamp) {
    self.record = record
    self.time = time
  }
}

/// Something that is not as it should be, with everything a person needs to act on it.
public struct Finding: Sendable {
  /// Which rule.
  public var rule: RuleID
  /// How bad.
  public var severity: FindingSeverity
  /// Which bus.
  public var bus: String
  /// What was seen, in one sentence.
  public var text: String
  /// Where it shows first and last, and how often.
  public var first: RecordMark?
  /// Where it shows last.
  public var last: RecordMark?
  /// How often.
  public var count: UInt64 = 1
  /// The frame of the first place as candump writes it.
  public var frame: String?
  /// What that frame says, decoded.
  public var decoded: String?
  /// What was expected instead, with its source.
  public var expected: String?
  /// One concrete thing to try; the rule's where the finding has none of its own.
  public var fix: String?
  /// Findings that it explains, and which are therefore not shown.
  public var explains: [RuleID] = []

  /// A finding.
  public init(_ rule: RuleID, _ severity: FindingSeverity, bus: String, _ text: String) {
    self.rule = rule
    self.severity = severity
    self.bus = bus
    self.text = text
  }
}
