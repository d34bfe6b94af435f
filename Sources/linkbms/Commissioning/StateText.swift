import Formats

/// The state of a commissioning as a file: JSON, read back by the same names. A file that is not whole is refused.
enum CommissioningStateFile {
  static let version = 1

  /// The file's text.
  static func text(_ state: CommissioningState) -> String {
    var lines = ["\"version\":\(version)", "\"plant\":\(JSONText.quoted(state.plant))", "\"step\":\(state.step)"]
    lines.append("\"configuration\":\(JSONText.quoted(state.configuration))")
    if !state.sensors.isEmpty { lines.append("\"sensors\":[\(state.sensors.map { String($0) }.joined(separator: ","))]") }
    lines.append("\"records\":[\n\(state.records.map { record($0) }.joined(separator: ",\n"))]")
    lines.append("\"curve\":[\(state.curve.map { numbers([$0.time, $0.output, $0.input]) }.joined(separator: ","))]")
    lines.append(
      "\"charge\":[\(state.charge.map { numbers([$0.time, $0.low, $0.high, $0.current, $0.soc]) }.joined(separator: ","))]")
    return "{\(lines.joined(separator: ",\n"))}\n"
  }

  /// One step, as in the state and in the report.
  /// - Parameter moment: how a time is written, from s since 1970.
  static func record(_ record: StepRecord, moment: (Int64) -> String = { String($0) }) -> String {
    var fields = [
      "\"number\":\(record.number)", "\"title\":\(JSONText.quoted(record.title))", "\"verdict\":\"\(record.verdict.rawValue)\"",
      "\"attempts\":\(record.attempts)",
    ]
    fields += times(record.began, record.ended, moment)
    fields += ["\"reason\":\(JSONText.quoted(record.reason))", checks(record.checks), answers(record.answers)]
    fields += [
      "\"notes\":\(texts(record.notes))", "\"photos\":\(texts(record.photos))", "\"actions\":\(texts(record.actions))",
    ]
    let earlier = record.earlier.map { attempt($0, moment) }
    if !earlier.isEmpty { fields.append("\"earlier\":[\(earlier.joined(separator: ","))]") }
    return "{\(fields.joined(separator: ","))}"
  }

  private static func attempt(_ attempt: StepRecord.Attempt, _ moment: (Int64) -> String) -> String {
    var fields = ["\"number\":\(attempt.number)", "\"verdict\":\"\(attempt.verdict.rawValue)\""]
    fields += times(attempt.began, attempt.ended, moment)
    fields += ["\"reason\":\(JSONText.quoted(attempt.reason))", checks(attempt.checks), answers(attempt.answers)]
    return "{\(fields.joined(separator: ","))}"
  }

  /// What is known of begin and end.
  private static func times(_ began: Int64?, _ ended: Int64?, _ moment: (Int64) -> String) -> [String] {
    var fields: [String] = []
    if let began { fields.append("\"began\":\(moment(began))") }
    if let ended { fields.append("\"ended\":\(moment(ended))") }
    return fields
  }

  private static func checks(_ list: [CheckRecord]) -> String {
    let checks = list.map {
      "{\"title\":\(JSONText.quoted($0.title)),\"verdict\":\"\($0.verdict.rawValue)\",\"measured\":\(JSONText.quoted($0.measured)),"
        + "\"expected\":\(JSONText.quoted($0.expected)),\"hint\":\(JSONText.quoted($0.hint))}"
    }
    return "\"checks\":[\(checks.joined(separator: ","))]"
  }

  private static func answers(_ list: [StepRecord.Answer]) -> String {
    let answers = list.map {
      "{\"id\":\(JSONText.quoted($0.id)),\"question\":\(JSONText.quoted($0.question)),\"answer\":\(JSONText.quoted($0.answer))}"
    }
    return "\"answers\":[\(answers.joined(separator: ","))]"
  }

  private static func texts(_ list: [String]) -> String { "[\(list.map(JSONText.quoted).joined(separator: ","))]" }
  static func numbers(_ list: [Double]) -> String {
    "[\(list.map { $0.isFinite && abs($0) < 1e9 ? Number.text($0, 4) : "0" }.joined(separator: ","))]"
  }

  /// Reads it; the error says what is wrong.
  static func parse(_ text: String, path: String) throws(WorldError) -> CommissioningState {
    var problems: [DefinitionProblem] = []
    var state = CommissioningState()
    var found: Int?
    // JSON is YAML: the reader that the definitions use reads it.
    if let root = YAMLNode.parse(text, path: path, problems: &problems) {
      for (key, value) in root.pairs("the state", &problems) {
        switch key {
        case "version": found = value.integer(key, &problems)
        case "plant": state.plant = value.text(key, &problems)
        case "step": state.step = value.integer(key, in: 1...17, &problems) ?? 1
        case "configuration": state.configuration = value.text(key, &problems)
        case "sensors":
          for node in value.items(key, &problems).prefix(30) {
            state.sensors.append(UInt8(clamping: node.integer(key, in: 0...31, &problems) ?? 0))
          }
        case "records":
          for node in value.items(key, &problems) { state.records.append(record(node, &problems)) }
        case "curve":
          for row in rows(value, key, 3, &problems) { state.curve.append(.init(time: row[0], output: row[1], input: row[2])) }
        case "charge":
          for row in rows(value, key, 5, &problems) {
            state.charge.append(.init(time: row[0], low: row[1], high: row[2], current: row[3], soc: row[4]))
          }
        default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
        }
      }
    }
    if let problem = problems.first {
      throw WorldError(message: "\(problem); it is no whole state of a commissioning: --restart begins anew")
    }
    guard found == version else {
      throw WorldError(
        message: "\(path): version: found \(found.map(String.init) ?? "none"), expected \(version); --restart begins anew")
    }
    return state
  }

  private static func rows(_ node: YAMLNode, _ key: String, _ width: Int, _ problems: inout [DefinitionProblem]) -> [[Double]] {
    var rows: [[Double]] = []
    for item in node.items(key, &problems) {
      var row: [Double] = []
      for number in item.items(key, &problems) { row.append(number.number(key, &problems)?.value ?? 0) }
      if row.count == width {
        rows.append(row)
      } else {
        problems.append(item.problem(.value, "\(key): found \(row.count) numbers"))
      }
    }
    return rows
  }

  private static func record(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> StepRecord {
    var record = StepRecord(number: 0, title: "")
    for (key, value) in node.pairs("a record", &problems) {
      switch key {
      case "number": record.number = value.integer(key, in: 1...16, &problems) ?? 1
      case "title": record.title = value.text(key, &problems)
      case "verdict": record.verdict = StepRecord.Verdict(rawValue: value.text(key, &problems)) ?? .begun
      case "attempts": record.attempts = value.integer(key, in: 0...StepRecord.mostAttempts, &problems) ?? 1
      case "began": record.began = moment(value, key, &problems)
      case "ended": record.ended = moment(value, key, &problems)
      case "reason": record.reason = value.text(key, &problems)
      case "notes": record.notes = value.texts(key, &problems)
      case "photos": record.photos = value.texts(key, &problems)
      case "actions": record.actions = value.texts(key, &problems)
      case "checks":
        for item in value.items(key, &problems) { record.checks.append(check(item, &problems)) }
      case "answers":
        for item in value.items(key, &problems) { record.answers.append(answer(item, &problems)) }
      case "earlier":
        for item in value.items(key, &problems) { record.earlier.append(attempt(item, &problems)) }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return record
  }

  private static func attempt(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> StepRecord.Attempt {
    var attempt = StepRecord.Attempt(number: 1, verdict: .begun)
    for (key, value) in node.pairs("an attempt", &problems) {
      switch key {
      case "number": attempt.number = value.integer(key, in: 0...StepRecord.mostAttempts, &problems) ?? 1
      case "verdict": attempt.verdict = StepRecord.Verdict(rawValue: value.text(key, &problems)) ?? .begun
      case "began": attempt.began = moment(value, key, &problems)
      case "ended": attempt.ended = moment(value, key, &problems)
      case "reason": attempt.reason = value.text(key, &problems)
      case "checks":
        for item in value.items(key, &problems) { attempt.checks.append(check(item, &problems)) }
      case "answers":
        for item in value.items(key, &problems) { attempt.answers.append(answer(item, &problems)) }
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return attempt
  }

  /// s since 1970, as far as ns of it can be counted.
  private static func moment(_ node: YAMLNode, _ key: String, _ problems: inout [DefinitionProblem]) -> Int64? {
    node.integer(key, in: 0...9_000_000_000, &problems).map { Int64($0) }
  }

  private static func answer(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> StepRecord.Answer {
    var answer = StepRecord.Answer(id: "", question: "", answer: "")
    for (key, value) in node.pairs("an answer", &problems) {
      switch key {
      case "id": answer.id = value.text(key, &problems)
      case "question": answer.question = value.text(key, &problems)
      default: answer.answer = value.text(key, &problems)
      }
    }
    return answer
  }

  private static func check(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> CheckRecord {
    var check = CheckRecord(title: "", verdict: .failed, measured: "", expected: "")
    for (key, value) in node.pairs("a check", &problems) {
      switch key {
      case "title": check.title = value.text(key, &problems)
      case "verdict": check.verdict = CheckResult.Verdict(rawValue: value.text(key, &problems)) ?? .failed
      case "measured": check.measured = value.text(key, &problems)
      case "expected": check.expected = value.text(key, &problems)
      default: check.hint = value.text(key, &problems)
      }
    }
    return check
  }
}
