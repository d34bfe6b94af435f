/// The page `/bus` and what keeps it live.
enum BusPage {
  static func html(_ view: BusView) -> HTML {
    let report = view.report
    // Where there is one port alone nothing needs its name.
    let place = view.ports.count > 1 ? " at \(view.port)" : ""
    let choice: HTML =
      view.ports.count > 1
      ? """
      <nav class="spans" aria-label="Ports of the inverter">\(view.ports.enumerated().map { place, name -> HTML in
        place == view.place
          ? "<a href=\"/bus?port=\(place)\" aria-current=\"page\">\(name)</a>" : "<a href=\"/bus?port=\(place)\">\(name)</a>"
      })</nav>
      """ : .empty
    let rows = view.lines.suffix(60).reversed().map { line -> HTML in
      let kind = line.isAlarm ? "alarm" : ""
      return
        "<tr class=\"\(kind)\"><td>\(line.time)</td><td>\(line.id)</td><td>\(line.data)</td><td>\(line.side)</td><td>\(line.name)</td><td class=\"wide\">\(line.values)</td></tr>"
    }
    return """
      <h1>Bus of the inverter\(place)</h1>\(choice)
      <p id="speaks">\(report.speaks)</p>
      <p id="verdict" class="notice" role="status">\(report.verdict.isEmpty ? "Nothing can be judged yet." : report.verdict)</p>
      <h2>Findings\(place)</h2>
      <ul id="findings" class="findings">\(report.findings.map(finding))</ul>
      <h2>Handshake\(place)</h2>
      <div class="scroll" role="region" aria-label="Handshake" tabindex="0"><table><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Side</th>
      <th scope="col">Phase</th><th scope="col">State</th></tr></thead><tbody id="timeline">\(report.timeline.map(row))</tbody></table></div>
      <h2>Traffic\(place)</h2>
      <p><label><input type="checkbox" id="pause"> Pause</label></p>
      <div class="scroll" role="region" aria-label="Frames, newest first" tabindex="0"><table class="mono"><thead><tr><th scope="col">Time</th>
      <th scope="col">ID</th><th scope="col">Data</th><th scope="col">From</th><th scope="col">Message</th><th scope="col">Values</th></tr></thead>
      <tbody id="frames">\(rows)</tbody></table></div>

      """
  }

  private static func finding(_ parts: [String]) -> HTML {
    let fix: HTML = parts.count > 3 && !parts[3].isEmpty ? " <strong>Try: \(parts[3])</strong>" : .empty
    return parts.count > 2 ? "<li><strong>\(parts[0])</strong> (\(parts[1])): \(parts[2]).\(fix)</li>" : .empty
  }

  private static func row(_ parts: [String]) -> HTML { "<tr>\(parts.map { "<td>\($0)</td>" as HTML })</tr>" }
}

/// What keeps the bus page live: new frames, and the judgement where it has changed.
struct BusStream: EventStream {
  let watcher: BusWatcher?
  private let port: Int
  private var seen: UInt64 = 0
  private var told: BusAnalysis.Report?

  /// - Parameter port: the one that is shown, by its place.
  init(_ site: Site, port: Int) {
    watcher = site.bus
    self.port = port
  }

  mutating func next() -> String? {
    guard let view = watcher?.view(port: port, after: seen) else { return nil }
    let (lines, report) = (view.lines, view.report)
    var members: [String: JSONValue] = [:]
    if let newest = lines.last {
      seen = newest.number
      members["frames"] = .array(
        lines.suffix(60).map { line in
          .array([
            .string(line.time), .string(line.id), .string(line.data), .string(line.side), .string(line.name), .string(line.values),
            .bool(line.isAlarm),
          ])
        })
    }
    if told != report {
      told = report
      members["speaks"] = .string(report.speaks)
      members["verdict"] = .string(report.verdict)
      members["findings"] = .array(report.findings.map { .array($0.map { .string($0) }) })
      members["timeline"] = .array(report.timeline.map { .array($0.map { .string($0) }) })
    }
    return members.isEmpty ? nil : JSONValue.object(members).text
  }
}
