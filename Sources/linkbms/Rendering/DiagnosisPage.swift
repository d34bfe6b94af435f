import Analysis
import Bus
import Formats

/// A diagnosis as one self-contained page: no script, no outside file, light and dark, good to print and to send.
enum DiagnosisPage {
  static func html(_ diagnosis: Diagnosis, of name: String, site: SiteFacts) -> String {
    var body = "<h1>\(escaped(diagnosis.verdict))</h1>\n"
    let facts = [
      "Capture \(name)", "\(diagnosis.records) records", site.inverter.map { "inverter \($0)" }, site.cells.map { "\($0) cells" },
      site.capacity_Ah.map { "\($0) Ah" }, "linkbms \(Version.text)",
    ].compactMap { $0 }
    body += "<p class=facts>\(escaped(facts.joined(separator: " · ")))</p>\n"
    body += "<h2>Findings</h2>\n"
    if diagnosis.findings.isEmpty { body += "<p>None.</p>\n" }
    for finding in diagnosis.findings { body += self.finding(finding, diagnosis) }
    for bus in diagnosis.buses { body += self.bus(bus) }
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped("Diagnosis of " + name))</title>
      <style>\(style)</style></head><body><main>
      \(body)</main></body></html>

      """
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#667;--line:#ccd;--error:#b3261e;--warning:#8a5a00;--note:#3a5a80;\
    --a:#1f6feb;--b:#d1242f;--c:#2da44e}
    @media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--soft:#9aa4af;--line:#353b42;--error:#ff8a80;--warning:#f2b84b;\
    --note:#8ab4f8;--a:#79b8ff;--b:#ff7b72;--c:#7ee787}}
    body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
    main{max-width:60rem;margin:0 auto;padding:1rem}
    h1{font-size:1.4rem;line-height:1.3}h2{margin-top:2rem;font-size:1.15rem}
    .facts,.soft{color:var(--soft)}section.finding{border-left:.3rem solid var(--line);padding:.1rem 1rem;margin:1rem 0}
    .error{border-color:var(--error)!important}.warning{border-color:var(--warning)!important}.note{border-color:var(--note)!important}
    h3{margin:.3rem 0;font-size:1rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}
    dt{color:var(--soft)}dd{margin:0}code{font-family:ui-monospace,monospace;word-break:break-all}
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
    .scroll{overflow-x:auto}svg{width:100%;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}
    .axis{stroke:var(--line)}.l0{stroke:var(--a)}.l1{stroke:var(--b)}.l2{stroke:var(--c)}polyline{fill:none;stroke-width:1.5}
    @media(max-width:34rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
    """

  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  private static func finding(_ finding: Finding, _ diagnosis: Diagnosis) -> String {
    let entry = diagnosis.book[finding.rule]
    var rows: [(String, String)] = [("Where", escaped(DiagnosisText.place(finding, diagnosis)))]
    if let frame = finding.frame { rows.append(("Frame", "<code>\(escaped(frame))</code> \(escaped(finding.decoded ?? ""))")) }
    if let expected = finding.expected { rows.append(("Expected", escaped(expected))) }
    rows.append(("Why it matters", escaped(entry.why)))
    if !entry.causes.isEmpty { rows.append(("Causes, likely first", entry.causes.map(escaped).joined(separator: "<br>"))) }
    rows.append(("Try", "<strong>\(escaped(finding.fix ?? entry.fix))</strong>"))
    if !finding.explains.isEmpty {
      rows.append(
        ("Explains", escaped(finding.explains.map { "\($0.rawValue) \(diagnosis.book[$0].name)" }.joined(separator: ", "))))
    }
    if !entry.sources.isEmpty { rows.append(("Sources", entry.sources.map(escaped).joined(separator: "<br>"))) }
    let list = rows.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" }.joined()
    return "<section class=\"finding \(finding.severity.rawValue)\"><h3>\(finding.rule.rawValue) \(escaped(entry.name)) "
      + "<span class=soft>\(finding.severity.rawValue)</span></h3><p>\(escaped(finding.text))</p><dl>\(list)</dl></section>\n"
  }

  private static func bus(_ bus: Diagnosis.BusReport) -> String {
    var text = "<h2>\(escaped(bus.name))</h2>\n"
    let origin = bus.first?.time.nanoseconds ?? 0
    let named =
      bus.identification.protocolName.map { "\($0)\(bus.identification.variant.map { " (\($0))" } ?? "")" } ?? "no known protocol"
    text += "<p>\(bus.frames) frames, \(escaped(named)), \(Int((bus.identification.confidence * 100).rounded())) % sure</p>\n"
    if !bus.timeline.isEmpty {
      text +=
        "<h3>Handshake</h3><div class=scroll><table><thead><tr><th>Time</th><th>Inverter</th><th>Battery</th></tr></thead><tbody>"
      for entry in bus.timeline.prefix(200) {
        let cell = "<strong>\(escaped(entry.phase))</strong> \(escaped(entry.text))"
        let cells = entry.side == .inverter ? "<td>\(cell)</td><td></td>" : "<td></td><td>\(cell)</td>"
        text += "<tr><td>\(DiagnosisText.seconds(entry.mark.time.nanoseconds &- origin))</td>\(cells)</tr>"
      }
      text += "</tbody></table></div>\n"
    }
    for chart in bus.charts { text += self.chart(chart) }
    if !bus.figures.isEmpty {
      text += "<h3>Values</h3><div class=scroll><table><thead><tr><th>Quantity</th><th>First</th><th>Range</th></tr></thead><tbody>"
      for figure in bus.figures {
        text += "<tr><td>\(escaped(figure.name))</td><td>\(escaped(figure.first))</td><td>\(escaped(figure.range))</td></tr>"
      }
      text += "</tbody></table></div>\n"
    }
    if !bus.identification.evidence.isEmpty {
      text += "<h3>Evidence</h3><ul>" + bus.identification.evidence.map { "<li>\(escaped($0))</li>" }.joined() + "</ul>\n"
    }
    return text
  }

  /// A line chart as SVG.
  private static func chart(_ chart: Diagnosis.Chart) -> String {
    let points = chart.lines.flatMap(\.points)
    guard let first = points.map(\.seconds).min(), let last = points.map(\.seconds).max(), last > first,
      let low = points.map(\.value).min(), let high = points.map(\.value).max()
    else { return "" }
    let (width, height, left, bottom) = (720.0, 200.0, 56.0, 22.0)
    let room = max(high - low, abs(high) * 0.001, 0.001)
    func x(_ seconds: Double) -> Double { left + (seconds - first) / (last - first) * (width - left - 8) }
    func y(_ value: Double) -> Double { 10 + (high + room * 0.05 - value) / (room * 1.1) * (height - bottom - 14) }
    func short(_ value: Double) -> String { ValueText.decimal(Int64((value * 10).rounded()), decimals: 1) }
    var text =
      "<h3>\(escaped(chart.title))</h3><svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\" aria-label=\"\(escaped(chart.title))\">"
    text += "<line class=axis x1=\"\(left)\" y1=\"\(height - bottom)\" x2=\"\(width - 8)\" y2=\"\(height - bottom)\"/>"
    for value in [low, (low + high) / 2, high] {
      text +=
        "<line class=axis x1=\"\(left)\" y1=\"\(short(y(value)))\" x2=\"\(width - 8)\" y2=\"\(short(y(value)))\" stroke-dasharray=\"2 4\"/>"
      text += "<text x=\"\(left - 6)\" y=\"\(short(y(value) + 4))\" text-anchor=\"end\">\(short(value))</text>"
    }
    for seconds in [first, (first + last) / 2, last] {
      text +=
        "<text x=\"\(short(x(seconds)))\" y=\"\(height - 6)\" text-anchor=\"\(seconds == last ? "end" : seconds == first ? "start" : "middle")\">\(short(seconds)) s</text>"
    }
    for (index, line) in chart.lines.enumerated() {
      let course = line.points.map { "\(short(x($0.seconds))),\(short(y($0.value)))" }.joined(separator: " ")
      text += "<polyline class=l\(index % 3) points=\"\(course)\"/>"
    }
    text += "</svg><p class=soft>"
    text += chart.lines.enumerated().map {
      "<svg style=\"width:1.5em;height:.6em\" viewBox=\"0 0 20 8\"><line class=l\($0.offset % 3) x1=0 y1=4 x2=20 y2=4 stroke-width=3 /></svg> \(escaped($0.element.name))"
    }.joined(separator: " · ")
    return text + "</p>\n"
  }
}
