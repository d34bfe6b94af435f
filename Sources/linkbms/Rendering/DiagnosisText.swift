import Analysis
import Bus
import Formats

/// A diagnosis for people and for programs.
enum DiagnosisText {
  // MARK: Text

  static func text(_ diagnosis: Diagnosis, _ style: TextStyle, columns: Int) -> String {
    let width = max(50, min(140, columns))
    var lines: [String] = []
    let isBad = diagnosis.findings.first.map { $0.severity > .note } ?? false
    lines += wrapped(diagnosis.verdict, indent: 0, width).map { isBad ? style.alarming($0) : style.good($0) }
    for bus in diagnosis.buses { lines.append(style.dim("  " + busLine(bus))) }
    for finding in diagnosis.findings {
      lines.append("")
      lines += self.finding(finding, diagnosis, style, width)
    }
    for bus in diagnosis.buses where !bus.timeline.isEmpty {
      lines.append("")
      lines += timeline(bus, style, width)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func busLine(_ bus: Diagnosis.BusReport) -> String {
    var text = "\(bus.name): \(bus.frames) frames"
    if let first = bus.first, let last = bus.last { text += ", \(seconds(last.time.nanoseconds &- first.time.nanoseconds))" }
    guard let name = bus.identification.protocolName else { return text + ", no known protocol" }
    text += ", \(name)"
    if let variant = bus.identification.variant { text += " (\(variant))" }
    if let address = bus.identification.address { text += ", address \(address)" }
    return text + ", "
      + (bus.identification.sides.isEmpty ? "no side" : bus.identification.sides.map(\.rawValue).joined(separator: " and "))
  }

  private static func finding(_ finding: Finding, _ diagnosis: Diagnosis, _ style: TextStyle, _ width: Int) -> [String] {
    let entry = diagnosis.book[finding.rule]
    let head = "\(finding.rule.rawValue) \(entry.name) (\(finding.severity.rawValue))"
    let shown =
      finding.severity == .error ? style.alarming(head) : finding.severity == .warning ? style.warning(head) : style.dim(head)
    var lines = [shown + "  " + place(finding, diagnosis)]
    lines += wrapped(finding.text, indent: 2, width)
    if let frame = finding.frame { lines += labelled("frame", frame + (finding.decoded.map { "  \($0)" } ?? ""), width) }
    if let expected = finding.expected { lines += labelled("expected", expected, width) }
    lines += labelled("why", entry.why, width)
    if finding.severity > .note, !entry.causes.isEmpty {
      lines += labelled(
        "causes", entry.causes.enumerated().map { "\($0.offset + 1). \($0.element)" }.joined(separator: "; "), width)
    }
    lines += labelled("try", finding.fix ?? entry.fix, width)
    if !finding.explains.isEmpty {
      lines += labelled(
        "explains", finding.explains.map { "\($0.rawValue) \(diagnosis.book[$0].name)" }.joined(separator: ", "), width)
    }
    return lines
  }

  /// `record 18 at 1.204 s to 412 at 90.1 s, 79 ×`.
  static func place(_ finding: Finding, _ diagnosis: Diagnosis) -> String {
    guard let first = finding.first else { return finding.bus }
    let origin = diagnosis.buses.first { $0.name == finding.bus }?.first?.time.nanoseconds ?? first.time.nanoseconds
    var text =
      "\(finding.bus.isEmpty ? "" : finding.bus + ", ")record \(first.record) at \(seconds(first.time.nanoseconds &- origin))"
    if let last = finding.last, last.record > first.record {
      text += " to \(last.record) at \(seconds(last.time.nanoseconds &- origin))"
    }
    return text + (finding.count > 1 ? ", \(finding.count) ×" : "")
  }

  static func seconds(_ nanoseconds: Int64) -> String {
    var text = ValueText.decimal(nanoseconds / 1_000_000, decimals: 3)
    while text.contains("."), text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text + " s"
  }

  private static func labelled(_ label: String, _ text: String, _ width: Int) -> [String] {
    guard !text.isEmpty else { return [] }
    let lines = wrapped(text, indent: 12, width)
    let head = "  " + label + String(repeating: " ", count: max(1, 10 - label.count))
    return [head + (lines.first.map { String($0.dropFirst(12)) } ?? "")] + lines.dropFirst()
  }

  /// Breaks at blanks.
  static func wrapped(_ text: String, indent: Int, _ width: Int) -> [String] {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = margin
    for word in text.split(separator: " ") {
      if line.count > indent, line.count + 1 + word.count > width {
        lines.append(line)
        line = margin
      }
      line += (line.count > indent ? " " : "") + word
    }
    lines.append(line)
    return lines
  }

  /// The conversation as two columns, inverter and battery, one line a change of state.
  private static func timeline(_ bus: Diagnosis.BusReport, _ style: TextStyle, _ width: Int) -> [String] {
    let origin = bus.first?.time.nanoseconds ?? 0
    let column = max(20, (width - 14) / 2 - 2)
    func cell(_ text: String) -> String { String(text.prefix(column)) + String(repeating: " ", count: max(0, column - text.count)) }
    var lines = [style.strong("Handshake on \(bus.name)"), style.dim(pad("time", 12) + cell("inverter") + "  battery")]
    for entry in bus.timeline.prefix(40) {
      let time = pad(seconds(entry.mark.time.nanoseconds &- origin), 12)
      let text = "\(entry.phase): \(entry.text)"
      let coloured = { (text: String) in
        entry.phase == "online" ? style.good(text) : entry.phase == "lost" || entry.phase == "quiet" ? style.alarming(text) : text
      }
      lines.append(
        time + (entry.side == .inverter ? coloured(cell(text)) + "│" : cell("") + "│ " + coloured(String(text.prefix(column)))))
    }
    if bus.timeline.count > 40 { lines.append("… \(bus.timeline.count - 40) more changes") }
    return lines
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  // MARK: A rule at length

  static func page(_ rule: RuleID, _ book: RuleBook) -> String {
    let entry = book[rule]
    var lines = ["\(rule.rawValue) \(entry.name) (\(entry.severity.rawValue))", ""]
    lines += wrapped(entry.why, indent: 0, 96)
    if !entry.causes.isEmpty {
      lines += ["", "Causes, likely first"]
      for (index, cause) in entry.causes.enumerated() { lines += wrapped("\(index + 1). \(cause)", indent: 2, 96) }
    }
    lines += ["", "What to do"] + wrapped(entry.fix, indent: 2, 96)
    if !entry.thresholds.isEmpty {
      lines += ["", "Thresholds (Dissectors/rules.yaml; per protocol under `protocols`)"]
      for (name, value) in entry.thresholds.sorted(by: { $0.key < $1.key }) { lines.append("  \(name) \(value.description)") }
    }
    let wanted = book.inverters.sorted { $0.key < $1.key }.compactMap { name, inverter -> String? in
      let own = inverter.readings.filter { book.readingRules[$0.key] == rule }
      return own.isEmpty
        ? nil : "\(inverter.title): " + own.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
    if !wanted.isEmpty { lines += ["", "What inverters want"] + wanted.map { "  " + $0 } }
    if !entry.sources.isEmpty { lines += ["", "Sources"] + entry.sources.map { "  " + $0 } }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: JSON

  static func json(_ diagnosis: Diagnosis, of name: String) -> String {
    let findings = diagnosis.findings.map { json($0, diagnosis) }.joined(separator: ",")
    return "{\"file\":\(JSONText.quoted(name)),\"verdict\":\(JSONText.quoted(diagnosis.verdict)),\"records\":\(diagnosis.records)"
      + ",\"buses\":[\(diagnosis.buses.map(json).joined(separator: ","))],\"findings\":[\(findings)]}\n"
  }

  private static func json(_ finding: Finding, _ diagnosis: Diagnosis) -> String {
    let entry = diagnosis.book[finding.rule]
    func list(_ texts: [String]) -> String { "[" + texts.map(JSONText.quoted).joined(separator: ",") + "]" }
    func mark(_ mark: RecordMark?) -> String {
      mark.map { "{\"record\":\($0.record),\"time\":\"\(ValueText.decimal($0.time.nanoseconds, decimals: 9))\"}" } ?? "null"
    }
    return
      "{\"rule\":\"\(finding.rule.rawValue)\",\"name\":\(JSONText.quoted(entry.name)),\"severity\":\"\(finding.severity.rawValue)\""
      + ",\"bus\":\(JSONText.quoted(finding.bus)),\"text\":\(JSONText.quoted(finding.text)),\"first\":\(mark(finding.first))"
      + ",\"last\":\(mark(finding.last)),\"count\":\(finding.count),\"frame\":\(JSONText.quotedOrNull(finding.frame))"
      + ",\"decoded\":\(JSONText.quotedOrNull(finding.decoded)),\"expected\":\(JSONText.quotedOrNull(finding.expected))"
      + ",\"why\":\(JSONText.quoted(entry.why)),\"causes\":\(list(entry.causes)),\"try\":\(JSONText.quoted(finding.fix ?? entry.fix))"
      + ",\"explains\":\(list(finding.explains.map(\.rawValue))),\"sources\":\(list(entry.sources))}"
  }

  private static func json(_ bus: Diagnosis.BusReport) -> String {
    let origin = bus.first?.time.nanoseconds ?? 0
    let entries = bus.timeline.map { entry in
      "{\"record\":\(entry.mark.record),\"at_s\":\(ValueText.decimal((entry.mark.time.nanoseconds &- origin) / 1_000_000, decimals: 3))"
        + ",\"side\":\"\(entry.side.rawValue)\",\"phase\":\"\(entry.phase)\",\"text\":\(JSONText.quoted(entry.text))}"
    }
    return
      "{\"bus\":\(JSONText.quoted(bus.name)),\"frames\":\(bus.frames),\"protocol\":\(JSONText.quotedOrNull(bus.identification.protocolName))"
      + ",\"variant\":\(JSONText.quotedOrNull(bus.identification.variant))"
      + ",\"sides\":[\(bus.identification.sides.map { JSONText.quoted($0.rawValue) }.joined(separator: ","))]"
      + ",\"timeline\":[\(entries.joined(separator: ","))]}"
  }
}
