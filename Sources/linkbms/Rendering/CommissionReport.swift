import Controller
import Formats

/// What was done, measured and answered, as Markdown, JSON or one page that needs nothing else.
struct CommissionReport {
  enum Format: String {
    case markdown = "md"
    case json, html

    /// By the end of a file's name.
    init?(_ path: String) {
      guard let found = Format(rawValue: path.split(separator: ".").last.map(String.init) ?? "") else { return nil }
      self = found
    }
  }

  let state: CommissioningState
  let configuration: Configuration
  let plant: String
  /// When it was written, for people.
  let date: String
  /// Program, chains and lines.
  let identity: [PlantFact]

  init(
    _ state: CommissioningState, _ configuration: Configuration, plant: String, date: String, identity: [PlantFact] = [.controller]
  ) {
    self.identity = identity
    self.state = state
    self.configuration = configuration
    self.plant = plant
    self.date = date
  }

  func text(_ format: Format) -> String {
    switch format {
    case .markdown: markdown
    case .json: json
    case .html: CommissionPage(self).html
    }
  }

  /// One sentence.
  var verdict: String {
    if state.step > 16 {
      let skipped = state.records.filter { $0.verdict == .skipped && $0.reason != "optional" }
      return skipped.isEmpty
        ? "Commissioned: all steps passed."
        : "Commissioned, without step \(skipped.map { "\($0.number)" }.joined(separator: ", "))."
    }
    if let failed = state.records.first(where: { $0.verdict == .failed }) {
      return "Not commissioned: step \(failed.number) (\(failed.title)) failed."
    }
    return "Not commissioned yet: it stands at step \(state.step)."
  }

  /// The items a reader looks for, with their values.
  var settings: [(key: String, value: String)] {
    ConfigurationItem.allCases.map { ($0.row.key, $0.textWithUnit(configuration[$0])) }
      + ConfigCommand.sensorLines(configuration).map { line in
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        return (parts.first ?? "", parts.count > 1 ? parts[1] : "")
      }
  }

  // MARK: Markdown

  private var markdown: String {
    var lines = ["# \(verdict)", "", "Plant: `\(plant)`. \(date). linkbms \(Version.text).", ""]
    lines += ["| part | |", "|---|---|"] + identity.map { "| \(cell($0.part)) | \(cell($0.text)) |" } + [""]
    lines += ["| step | title | verdict | time |", "|---|---|---|---|"]
    lines += state.records.map { record in
      let verdict = record.verdict.rawValue + (record.reason.isEmpty ? "" : ": " + cell(record.reason))
      return "| \(record.number) | \(cell(record.title)) | \(verdict) | \(record.span) |"
    }
    for record in state.records { lines += section(record) }
    if let figures = PrechargeFigures(state.curve) {
      lines += ["", "## Precharge", "", figures.text, "", "```"]
      lines += CurveText().lines(
        [.init(name: "V-out", points: state.curve.map { ($0.time, $0.output) })], unit: "V", xUnit: "s", fromZero: true)
      lines.append("```")
    }
    if let last = state.charge.last {
      lines += ["", "## First charge", "", "\(Number.text(last.time / 60, 0, "min")), lowest and highest cell:", "", "```"]
      lines += CurveText(height: 8).lines(
        [
          .init(name: "lowest", points: state.charge.map { ($0.time / 60, $0.low) }),
          .init(name: "highest", points: state.charge.map { ($0.time / 60, $0.high) }),
        ], unit: "V", xUnit: "min", fromZero: false)
      lines.append("```")
    }
    lines += ["", "## Configuration", "", "| item | value |", "|---|---|"]
    lines += settings.map { "| \($0.key) | \(cell($0.value)) |" }
    return lines.joined(separator: "\n") + "\n"
  }

  private func section(_ record: StepRecord) -> [String] {
    var lines = ["", "## Step \(record.number): \(record.title)", "", record.standing]
    lines += results(record.checks, record.answers)
    if !record.actions.isEmpty { lines += [""] + record.actions.map { "- done: \($0)" } }
    if !record.notes.isEmpty { lines += [""] + record.notes.map { "- note: \($0)" } }
    if !record.photos.isEmpty { lines += [""] + record.photos.map { "- photo: \($0)" } }
    for attempt in record.earlier { lines += ["", "### Before: \(attempt.standing)"] + results(attempt.checks, attempt.answers) }
    return lines
  }

  private func results(_ checks: [CheckRecord], _ answers: [StepRecord.Answer]) -> [String] {
    var lines: [String] = []
    if !checks.isEmpty {
      lines += ["", "| | check | measured | expected |", "|---|---|---|---|"]
      lines += checks.map { "| \(mark($0.verdict)) | \(cell($0.title)) | \(cell($0.measured)) | \(cell($0.expected)) |" }
      for check in checks where check.verdict != .passed && !check.hint.isEmpty { lines += ["", "> \(check.hint)"] }
    }
    if !answers.isEmpty { lines += [""] + answers.map { "- \($0.question) **\($0.answer)**" } }
    return lines
  }

  private func cell(_ text: String) -> String { text.replacing("|", with: "\\|").replacing("\n", with: " ") }

  func mark(_ verdict: CheckResult.Verdict) -> String {
    switch verdict {
    case .passed: "✓"
    case .failed: "✗"
    case .open: "?"
    }
  }

  // MARK: JSON

  private var json: String {
    var fields = [
      "\"verdict\":\(JSONText.quoted(verdict))", "\"plant\":\(JSONText.quoted(plant))", "\"tool\":\"linkbms \(Version.text)\"",
      "\"date\":\(JSONText.quoted(date))",
    ]
    fields.append(
      "\"system\":[\(identity.map { "{\"part\":\(JSONText.quoted($0.part)),\"text\":\(JSONText.quoted($0.text))}" }.joined(separator: ","))]"
    )
    fields.append("\"finished\":\(state.step > 16)")
    let steps = state.records.map { record in
      CommissioningStateFile.record(record) { JSONText.quoted(StepTime.iso($0)) }
    }
    fields.append("\"steps\":[\n\(steps.joined(separator: ",\n"))]")
    if let figures = PrechargeFigures(state.curve) {
      func number(_ value: Double?) -> String { value.map { Number.text($0, 4) } ?? "null" }
      fields.append(
        "\"precharge\":{\"timeConstant_s\":\(number(figures.timeConstant)),\"timeTo95_s\":\(number(figures.timeTo95)),"
          + "\"finalRatio\":\(number(figures.finalRatio)),\"curve\":["
          + state.curve.map { CommissioningStateFile.numbers([$0.time, $0.output, $0.input]) }.joined(separator: ",") + "]}")
    }
    fields.append(
      "\"charge\":["
        + state.charge.map {
          "{\"time_s\":\(Number.text($0.time, 1)),\"low_V\":\(Number.text($0.low, 4)),\"high_V\":\(Number.text($0.high, 4)),"
            + "\"current_A\":\(Number.text($0.current, 2)),\"soc\":\(Number.text($0.soc, 2))}"
        }.joined(separator: ",") + "]")
    fields.append(
      "\"configuration\":{\(settings.map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }.joined(separator: ","))}")
    return "{\(fields.joined(separator: ",\n"))}\n"
  }
}
