import Formats

/// The sixteen steps of commissioning as data: `Dissectors/commissioning.yaml`.
struct Guide: Sendable {
  /// One step.
  struct Step: Sendable {
    /// From 1.
    var number = 0
    var title = ""
    /// What the person does.
    var instructions: [String] = []
    var warnings: [String] = []
    /// May be passed over without a reason.
    var isOptional = false
    /// May not be skipped: what follows would be dangerous.
    var isSafety = false
    var stages: [Stage] = []
  }

  /// What comes in a step, one after the other.
  enum Stage: Sendable {
    case ask(Question)
    case watch(seconds: Double, Watch)
    case check([CheckID])
    case offer(Offer)
    /// Lets the contactors close, after the person has typed the words. Why, for the question.
    case close(String)
    case open
    case limits(Limits)
    /// The `count` stages behind it come only where something holds.
    case when(Condition, count: Int)
  }

  /// What a part of a step may depend on.
  enum Condition: String, CaseIterable, Sendable {
    case bench
    case noSensors = "no-sensors"

    /// Where it holds, for people.
    var words: String {
      switch self {
      case .bench: "where single modules are tried on the bench"
      case .noSensors: "where no temperature sensor is enabled"
      }
    }
  }

  /// What the inverter is allowed.
  enum Limits: String, CaseIterable, Sendable {
    /// Nothing: contactors are tried without a load.
    case none
    /// 20 % of the maxima, at most 10 A.
    case reduced
    case full
  }

  /// Why readings are looked at for a while.
  enum Watch: String, CaseIterable, Sendable { case settle, listen, talk, close, open, direction, charge }

  /// A change that would put something right.
  enum Offer: String, CaseIterable, Sendable {
    case bench, configuration, sensors, `protocol`, vIn = "v-in", zeroCurrent = "zero-current", vOut = "v-out", current
  }

  /// Words of a check.
  struct CheckWords: Sendable {
    var title = ""
    /// By the way to fail.
    var hints: [String: String] = [:]
  }

  private(set) var steps: [Step] = []
  private(set) var checks: [CheckID: CheckWords] = [:]

  /// Reads a guide; problems name the line.
  static func parse(_ text: String, path: String) -> (guide: Guide, problems: [DefinitionProblem]) {
    var guide = Guide()
    var problems: [DefinitionProblem] = []
    guard let root = YAMLNode.parse(text, path: path, problems: &problems) else { return (guide, problems) }
    for (key, value) in root.pairs("the guide", &problems) {
      switch key {
      case "steps":
        for node in value.items(key, &problems) { guide.steps.append(step(node, number: guide.steps.count + 1, &problems)) }
      case "checks":
        for (name, node) in value.pairs(key, &problems) {
          guard let id = CheckID(rawValue: name) else {
            problems.append(
              node.problem(.unknownKey, "unknown check \"\(name)\"" + NearestName.hint(name, in: CheckID.allCases.map(\.rawValue))))
            continue
          }
          guide.checks[id] = words(node, &problems)
        }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    for id in CheckID.allCases where guide.checks[id] == nil {
      problems.append(root.problem(.missing, "check \(id.rawValue) is missing"))
    }
    for id in CheckID.allCases {
      for kind in id.failures where guide.checks[id]?.hints[kind] == nil {
        problems.append(root.problem(.missing, "check \(id.rawValue): the hint \(kind) is missing"))
      }
    }
    if guide.steps.count != 16 { problems.append(root.problem(.value, "steps: found \(guide.steps.count), expected 16")) }
    return (guide, problems)
  }

  /// The question called so, of any step.
  func question(_ id: String) -> Question? {
    for step in steps {
      for case .ask(let question) in step.stages where question.id == id { return question }
    }
    return nil
  }

  // MARK: Reading

  private static func step(_ node: YAMLNode, number: Int, _ problems: inout [DefinitionProblem]) -> Step {
    var step = Step()
    step.number = number
    for (key, value) in node.pairs("a step", &problems) {
      switch key {
      case "title": step.title = value.text(key, &problems)
      case "do": step.instructions = value.texts(key, &problems)
      case "warnings": step.warnings = value.texts(key, &problems)
      case "optional": step.isOptional = value.text(key, &problems) == "true"
      case "safety": step.isSafety = value.text(key, &problems) == "true"
      case "stages": step.stages = stages(value, key, &problems)
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return step
  }

  private static func stages(_ node: YAMLNode, _ key: String, _ problems: inout [DefinitionProblem]) -> [Stage] {
    var stages: [Stage] = []
    for stage in node.items(key, &problems) {
      for (kind, node) in stage.pairs("a stage", &problems) {
        if kind == "when" {
          stages += conditional(node, &problems)
        } else if let stage = self.stage(kind, node, &problems) {
          stages.append(stage)
        }
      }
    }
    return stages
  }

  /// What they depend on, then the stages.
  private static func conditional(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> [Stage] {
    var condition: Condition?
    var inner: [Stage] = []
    for (key, value) in node.pairs("when", &problems) {
      switch key {
      case "that": condition = value.word(key, as: Condition.self, &problems)
      case "stages": inner = stages(value, key, &problems)
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    guard let condition else {
      problems.append(node.problem(.missing, "when: that is missing"))
      return inner
    }
    return [.when(condition, count: inner.count)] + inner
  }

  private static func stage(_ kind: String, _ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> Stage? {
    switch kind {
    case "ask": return .ask(question(node, &problems))
    case "watch":
      var seconds = 1.0
      var reason = Watch.settle
      for (key, value) in node.pairs(kind, &problems) {
        switch key {
        case "seconds": seconds = Double(value.integer(key, in: 1...3600, &problems) ?? 1)
        case "for": reason = value.word(key, as: Watch.self, &problems) ?? .settle
        default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
        }
      }
      return .watch(seconds: seconds, reason)
    case "check":
      return .check(
        node.items(kind, &problems).compactMap { item in item.word(kind, as: CheckID.self, &problems) })
    case "offer": return node.word(kind, as: Offer.self, &problems).map { .offer($0) }
    case "close": return .close(node.text(kind, &problems))
    case "open": return .open
    case "limits": return node.word(kind, as: Limits.self, &problems).map { .limits($0) }
    default: problems.append(node.problem(.unknownKey, "unknown stage \"\(kind)\""))
    }
    return nil
  }

  private static func question(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> Question {
    var question = Question(id: "", text: "", kind: .text)
    var kind = "text"
    var range = -1e9...1e9
    var (unit, decimals, choices, word) = ("", 3, [String](), "")
    for (key, value) in node.pairs("a question", &problems) {
      switch key {
      case "id": question.id = value.text(key, &problems)
      case "kind": kind = value.text(key, &problems)
      case "text": question.text = value.text(key, &problems)
      case "default": question.standard = value.text(key, &problems)
      case "hint": question.hint = value.text(key, &problems)
      case "want": question.wanted = value.isList ? value.texts(key, &problems) : [value.text(key, &problems)]
      case "unit": unit = value.text(key, &problems)
      case "decimals": decimals = value.integer(key, in: 0...3, &problems) ?? 3
      case "choices": choices = value.texts(key, &problems)
      case "word": word = value.text(key, &problems)
      case "range":
        let ends = value.items(key, &problems).compactMap { $0.number(key, &problems)?.value }
        if ends.count == 2, ends[0] <= ends[1] { range = ends[0]...ends[1] }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    switch kind {
    case "yes-no": question.kind = .yesNo
    case "number": question.kind = .number(range, unit: unit, decimals: decimals)
    case "choice": question.kind = .choice(choices)
    case "text": question.kind = .text
    case "word" where !word.isEmpty: question.kind = .word(word)
    default:
      problems.append(node.problem(.value, "kind: found \"\(kind)\", expected yes-no, number, choice, text, word (with word)"))
    }
    if question.id.isEmpty { problems.append(node.problem(.missing, "a question without id")) }
    return question
  }

  private static func words(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> CheckWords {
    var words = CheckWords()
    for (key, value) in node.pairs("a check", &problems) {
      switch key {
      case "title": words.title = value.text(key, &problems)
      case "hints": for (kind, hint) in value.pairs(key, &problems) { words.hints[kind] = hint.text(kind, &problems) }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return words
  }
}
