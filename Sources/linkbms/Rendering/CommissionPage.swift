/// The report as one self-contained page: no script, no outside file, light and dark, good to print and to keep with the system.
struct CommissionPage {
  private let report: CommissionReport

  init(_ report: CommissionReport) { self.report = report }

  private func escaped(_ text: String) -> String { DiagnosisPage.escaped(text) }

  var html: String {
    var body = "<h1>\(escaped(report.verdict))</h1>\n"
    body += "<p class=facts>Plant \(escaped(report.plant)) · \(escaped(report.date)) · linkbms \(Version.text)</p>\n"
    body += "<table><tbody>"
    for fact in report.identity { body += "<tr><td>\(escaped(fact.part))</td><td>\(escaped(fact.text))</td></tr>" }
    body += "</tbody></table>\n"
    body += "<table><thead><tr><th>Step</th><th></th><th>Verdict</th><th>Time</th></tr></thead><tbody>\n"
    for record in report.state.records {
      body += "<tr><td>\(record.number)</td><td>\(escaped(record.title))</td><td class=\(record.verdict.rawValue)>"
      body += "\(record.verdict.rawValue)\(record.reason.isEmpty ? "" : ": " + escaped(record.reason))</td>"
      body += "<td class=soft>\(record.span)</td></tr>\n"
    }
    body += "</tbody></table>\n"
    for record in report.state.records { body += section(record) }
    body += precharge + charge
    body += "<h2>Configuration</h2><table><tbody>"
    for setting in report.settings { body += "<tr><td>\(escaped(setting.key))</td><td>\(escaped(setting.value))</td></tr>" }
    body += "</tbody></table>\n"
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped("Commissioning of " + report.plant))</title>
      <style>\(Self.style)</style></head><body><main>
      \(body)</main></body></html>

      """
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#667;--line:#ccd;--bad:#b3261e;--good:#1a7f37;--a:#1f6feb;--b:#d1242f}
    @media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--soft:#9aa4af;--line:#353b42;--bad:#ff8a80;--good:#7ee787;\
    --a:#79b8ff;--b:#ff7b72}}
    body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
    main{max-width:60rem;margin:0 auto;padding:1rem}h1{font-size:1.4rem}h2{margin-top:2rem;font-size:1.15rem}
    h3{font-size:1rem;margin-bottom:.3rem}
    .facts,.soft{color:var(--soft)}table{border-collapse:collapse;width:100%}
    th,td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
    .passed{color:var(--good)}.failed{color:var(--bad)}.hint{border-left:.3rem solid var(--bad);padding-left:.6rem;margin:.4rem 0}
    svg{width:100%;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}.axis{stroke:var(--line)}
    polyline{fill:none;stroke-width:1.5}.l0{stroke:var(--a)}.l1{stroke:var(--b)}
    @media print{main{max-width:none}section{break-inside:avoid}}
    """

  private func section(_ record: StepRecord) -> String {
    var text = "<section><h2>Step \(record.number): \(escaped(record.title))</h2>\n"
    text += "<p class=\(record.verdict.rawValue)>\(record.standing)</p>\n"
    text += results(record.checks, record.answers)
    text += list(record.actions.map { "Done: \(escaped($0))" })
    text += list(record.notes.map { "Note: \(escaped($0))" })
    text += list(record.photos.map { "Photo: \(escaped($0))" })
    for attempt in record.earlier {
      text += "<h3 class=\(attempt.verdict.rawValue)>Before: \(escaped(attempt.standing))</h3>\n"
      text += results(attempt.checks, attempt.answers)
    }
    return text + "</section>\n"
  }

  private func results(_ checks: [CheckRecord], _ answers: [StepRecord.Answer]) -> String {
    var text = ""
    if !checks.isEmpty {
      text += "<table><thead><tr><th></th><th>Check</th><th>Measured</th><th>Expected</th></tr></thead><tbody>"
      for check in checks {
        text += "<tr><td class=\(check.verdict.rawValue)>\(report.mark(check.verdict))</td><td>\(escaped(check.title))</td>"
        text += "<td>\(escaped(check.measured))</td><td>\(escaped(check.expected))</td></tr>"
      }
      text += "</tbody></table>\n"
      for check in checks where check.verdict != .passed && !check.hint.isEmpty {
        text += "<p class=hint>\(escaped(check.hint))</p>\n"
      }
    }
    return text + list(answers.map { "\(escaped($0.question)) <strong>\(escaped($0.answer))</strong>" })
  }

  private func list(_ items: [String]) -> String {
    items.isEmpty ? "" : "<ul>\(items.map { "<li>\($0)</li>" }.joined())</ul>\n"
  }

  private var precharge: String {
    guard let figures = PrechargeFigures(report.state.curve), report.state.curve.count > 1 else { return "" }
    let curve = report.state.curve
    return "<section><h2>Precharge</h2><p>\(escaped(figures.text))</p>"
      + chart(
        "V-out and V-in during precharge", [curve.map { ($0.time, $0.output) }, curve.map { ($0.time, $0.input) }],
        names: ["V-out", "V-in"],
        unit: "V", xUnit: "s", decimals: 1) + "</section>\n"
  }

  private var charge: String {
    let samples = report.state.charge
    guard samples.count > 1 else { return "" }
    return "<section><h2>First charge</h2>"
      + chart(
        "Lowest and highest cell", [samples.map { ($0.time / 60, $0.low) }, samples.map { ($0.time / 60, $0.high) }],
        names: ["lowest cell", "highest cell"], unit: "V", xUnit: "min", decimals: 3)
      + chart(
        "Current", [samples.map { ($0.time / 60, $0.current) }], names: ["current"], unit: "A", xUnit: "min", decimals: 1,
        fromZero: true)
      + "</section>\n"
  }

  private func chart(
    _ title: String, _ lines: [[(x: Double, y: Double)]], names: [String], unit: String, xUnit: String, decimals: Int,
    fromZero: Bool = false
  ) -> String {
    let points = lines.flatMap { $0 }
    guard let left = points.map(\.x).min(), let right = points.map(\.x).max(), right > left, let least = points.map(\.y).min(),
      let most = points.map(\.y).max()
    else { return "" }
    let (low, high) = fromZero ? (min(0, least), max(0, most)) : (least, most)
    let (width, height, margin, bottom) = (720.0, 200.0, 64.0, 22.0)
    let room = max(high - low, 0.001)
    func x(_ value: Double) -> String { Number.text(margin + (value - left) / (right - left) * (width - margin - 8), 1) }
    func y(_ value: Double) -> String { Number.text(10 + (high - value) / room * (height - bottom - 14), 1) }
    var text = "<svg viewBox=\"0 0 720 200\" role=\"img\" aria-label=\"\(escaped(title))\">"
    for value in [low, (low + high) / 2, high] {
      text += "<line class=axis x1=\"64\" y1=\"\(y(value))\" x2=\"712\" y2=\"\(y(value))\"/>"
      text += "<text x=\"58\" y=\"\(y(value))\" text-anchor=\"end\">\(Number.text(value, decimals, unit))</text>"
    }
    for (value, anchor) in [(left, "start"), (right, "end")] {
      text += "<text x=\"\(x(value))\" y=\"196\" text-anchor=\"\(anchor)\">\(Number.text(value, 2, xUnit))</text>"
    }
    for (index, line) in lines.enumerated() {
      text += "<polyline class=l\(index % 2) points=\"\(line.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " "))\"/>"
    }
    text +=
      "</svg><p class=soft>\(names.enumerated().map { "<svg style=\"width:1.5em;height:.6em\" viewBox=\"0 0 20 8\"><line class=l\($0.offset % 2) x1=0 y1=4 x2=20 y2=4 stroke-width=3 /></svg> \(escaped($0.element))" }.joined(separator: " · "))</p>"
    return text
  }
}
