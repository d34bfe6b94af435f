public import Controller

/// Holds a run against the scenario's expectations.
public struct ScenarioJudge: Sendable {
  /// An expectation that was not met.
  public struct Failure: Sendable, CustomStringConvertible {
    /// Line of the scenario's file.
    public var line: Int
    /// What was expected and what was seen.
    public var text: String
    /// For a person.
    public var description: String { "line \(line): \(text)" }
  }

  private let expectations: [Scenario.Expectation]
  private var isMet: [Bool]
  private var seen: [String]

  /// - Parameter scenario: what to judge by.
  public init(_ scenario: Scenario) {
    expectations = scenario.expectations
    isMet = scenario.expectations.map { if case .never = $0.condition { true } else { false } }
    seen = scenario.expectations.map { _ in "nothing: the run ended before" }
  }

  /// Looks at the state after a step.
  /// - Parameter events: the texts of the step's events.
  public mutating func observe(_ engine: Engine, now: Double, seconds: Double, events: [String]) {
    for (index, expectation) in expectations.enumerated() {
      let isMoment = expectation.from == expectation.to
      // A moment is the first step that reaches it.
      let isNow =
        isMoment
        ? now + 1e-6 >= expectation.from && now - seconds + 1e-6 < expectation.from
        : now + 1e-6 >= expectation.from && now <= expectation.to + 1e-6
      guard isNow else { continue }
      switch expectation.condition {
      case .status(let status): note(index, engine.outputs.status == status, engine.outputs.status.word)
      case .never(let status):
        if engine.outputs.status == status {
          isMet[index] = false
          seen[index] = "it at \(now) s"
        }
      case .chain(let chain, let status):
        let found = chain == .bms1 ? engine.outputs.bms1 : engine.outputs.bms2
        note(index, found == status, found.word)
      case .isConnected(let isConnected):
        let found = engine.outputs.contactors.contains(.positive)
        note(index, found == isConnected, found ? "closed" : "open")
      case .value(let name, let wanted, let tolerance):
        let found = engine.pageValue(name)
        note(index, found.map { abs($0 - wanted) <= tolerance + 1e-9 } ?? false, found.map { "\($0)" } ?? "–")
      case .event(let part): note(index, events.contains { $0.contains(part) }, "no such event")
      }
    }
  }

  private mutating func note(_ index: Int, _ isSo: Bool, _ found: String) {
    if isSo { isMet[index] = true } else { seen[index] = found }
  }

  /// What was not met.
  public var failures: [Failure] {
    expectations.indices.filter { !isMet[$0] }.map { index in
      let expectation = expectations[index]
      let time = expectation.from == expectation.to ? "at \(expectation.from) s" : "within \(expectation.from)…\(expectation.to) s"
      return Failure(
        line: expectation.line, text: "\(time): expected \(ScenarioJudge.text(expectation.condition)), found \(seen[index])")
    }
  }

  private static func text(_ condition: Scenario.Expectation.Condition) -> String {
    switch condition {
    case .status(let status): "status \(status.word)"
    case .never(let status): "never status \(status.word)"
    case .chain(let chain, let status): "\(chain == .bms1 ? "BMS1" : "BMS2") \(status.word)"
    case .isConnected(let isConnected): isConnected ? "closed contactors" : "open contactors"
    case .value(let name, let wanted, let tolerance): "\(name.rawValue) \(wanted) ± \(tolerance)"
    case .event(let part): "an event with \"\(part)\""
    }
  }
}
