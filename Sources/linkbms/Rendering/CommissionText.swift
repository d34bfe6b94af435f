import HostIO

/// Commissioning on a terminal or in a file: wrapped, with marks that need no colour.
struct CommissionText {
  let style: TextStyle
  var columns = 80
  var usesBraille = true

  init(_ terminal: Terminal) {
    style = TextStyle(usesColour: terminal.usesColour)
    columns = max(40, min(100, terminal.columns))
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { FileNames.environment($0) }.first { !$0.isEmpty } ?? ""
    usesBraille = locale.uppercased().replacing("-", with: "").contains("UTF8")
  }

  func lines(_ block: CommissioningRun.Block) -> [String] {
    switch block {
    case .heading(let step, let count):
      return [
        "", style.strong("Step \(step.number) of \(count): \(step.title)") + (step.isOptional ? style.dim(" (optional)") : ""),
      ]
    case .text(let text): return wrapped(text, indent: 2)
    case .warning(let text):
      let edge = style.alarming("║ ")
      return [style.alarming("╔ WARNING")] + wrapped(text, indent: 0, width: columns - 2).map { edge + $0 } + [style.alarming("╚")]
    case .check(let record): return check(record)
    case .curve(let points): return curve(points)
    case .charge(let samples): return charge(samples)
    case .verdict(let record): return verdict(record)
    }
  }

  /// The question as it stands before the answer.
  func question(_ question: Question) -> String {
    question.isConfirmation ? question.text : "\(question.text) [\(question.expected)]"
  }

  private func check(_ record: CheckRecord) -> [String] {
    let mark =
      switch record.verdict {
      case .passed: style.good("✓")
      case .failed: style.alarming("✗")
      case .open: style.warning("?")
      }
    var lines = wrapped("\(record.title): \(record.measured) (expected \(record.expected))", indent: 4)
    if let first = lines.first { lines[0] = "  \(mark) " + first.dropFirst(4) }
    if record.verdict != .passed, !record.hint.isEmpty { lines += wrapped("→ " + record.hint, indent: 6) }
    return lines
  }

  private func verdict(_ record: StepRecord) -> [String] {
    switch record.verdict {
    case .passed:
      [style.good("  Step \(record.number) passed\(record.attempts > 1 ? ", attempt \(record.attempts)" : "").")] + earlier(record)
    case .failed: [style.alarming("  Step \(record.number) failed. The contactors are open.")]
    case .skipped: [style.warning("  Step \(record.number) skipped: \(record.reason).")] + earlier(record)
    case .deferred: [style.warning("  Step \(record.number) comes again later.")]
    case .begun: []
    }
  }

  /// What came out before.
  private func earlier(_ record: StepRecord) -> [String] {
    record.earlier.flatMap { wrapped($0.summary, indent: 4) }.map { style.dim($0) }
  }

  private func curve(_ points: [Observation.Point]) -> [String] {
    let picture = CurveText(width: min(64, columns - 16), height: 10, usesBraille: usesBraille).lines(
      [.init(name: "V-out", points: points.map { ($0.time, $0.output) })], unit: "V", xUnit: "s", fromZero: true)
    return ["  V-out during precharge:"] + picture + (PrechargeFigures(points).map { ["  \($0.text)"] } ?? [])
  }

  private func charge(_ samples: [ChargeSample]) -> [String] {
    let picture = CurveText(width: min(64, columns - 16), height: 8, usesBraille: usesBraille).lines(
      [
        .init(name: "lowest", points: samples.map { ($0.time / 60, $0.low) }),
        .init(name: "highest", points: samples.map { ($0.time / 60, $0.high) }),
      ], unit: "V", xUnit: "min", fromZero: false)
    return ["  Lowest and highest cell:"] + picture
  }

  /// Lines of at most `width` columns; words are never cut.
  func wrapped(_ text: String, indent: Int, width: Int? = nil) -> [String] {
    let room = (width ?? columns) - indent
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    lines.append(line)
    let margin = String(repeating: " ", count: indent)
    return lines.map { margin + $0 }
  }
}
