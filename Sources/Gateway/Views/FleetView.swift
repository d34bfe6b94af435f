import Controller

/// The fleet, the worst first.
struct FleetView {
  struct Entry {
    var name: String
    /// Less is worse.
    var rank: Int
    var tone: String
    var status: String
    var why: String
    var state: DeviceState
    var heard: Int64
  }
  var entries: [Entry]

  /// Without a word for so long a device is taken for lost, s.
  static let silence: Int64 = 120

  init(_ devices: [DeviceFacts], now: Int64) {
    entries = devices.map { FleetView.entry($0, now) }
      .sorted { ($0.rank, -($0.state.DV ?? 0), $0.name) < ($1.rank, -($1.state.DV ?? 0), $1.name) }
  }

  private static func entry(_ facts: DeviceFacts, _ now: Int64) -> Entry {
    let state = DeviceState(facts.state)
    func made(_ rank: Int, _ tone: String, _ status: String, _ why: String) -> Entry {
      Entry(name: facts.name, rank: rank, tone: tone, status: status, why: why, state: state, heard: facts.heard)
    }
    if !facts.isOnline || facts.heard < now - silence {
      return made(0, "off", "offline", "nothing heard since \(HistoryPage.date(facts.heard)) UTC")
    }
    if state.connected == false { return made(1, "off", "Disconnected", "the gateway has lost the controller") }
    guard let status = SystemStatus.allCases.first(where: { $0.word == state.status }) else {
      return made(2, "off", state.status ?? "unknown", "")
    }
    let tone = status == .running ? "good" : status == .warning || status == .checking ? "warn" : "bad"
    return made(3 + Int(status.rawValue), tone, status.word, state.reason ?? "")
  }

  /// How many there are and whether all is well.
  private var summary: String {
    let (count, bad) = (entries.count, entries.filter { $0.tone != "good" }.count)
    if count == 0 { return "No master has been heard yet." }
    if count == 1 { return bad == 0 ? "1 master, in order." : "1 master, not in order." }
    return bad == 0 ? "\(count) masters, all in order." : "\(count) masters, \(bad) of them not in order; the worst first."
  }

  /// The ids are the parts that the page's script takes over anew.
  func html(_ notice: String?) -> HTML {
    let rows = entries.map { entry -> HTML in
      func number(_ value: Double?, _ digits: Int) -> String {
        guard let value, value.magnitude < 1e12 else { return "–" }
        return ParameterView.shown(Int64((value * 1000).rounded()), 3, digits)
      }
      return """
        <tr><th scope="row"><a href="/device/\(entry.name)">\(entry.name)</a></th><td class="tone \(entry.tone)">\(entry.status)</td><td>\(number(entry.state.SOC, 1)) %</td>
        <td>\(number(entry.state.PAc, 0)) W</td><td>\(number(entry.state.CMn, 3))…\(number(entry.state.CMx, 3)) V</td><td>\(number(entry.state.DV, 3)) V</td>
        <td>\(number(entry.state.CTx, 1)) °C</td><td class="wide">\(entry.why)</td></tr>

        """
    }
    return """
      <h1>Fleet</h1><div id="notice">\(notice.map { "<p class=\"notice bad\" role=\"alert\">\($0)</p>" as HTML } ?? .empty)</div>
      <p id="summary" role="status">\(summary)</p>
      <div class="scroll" role="region" aria-label="Masters" tabindex="0"><table class="fleet"><thead><tr><th scope="col">Master</th><th scope="col">Status</th>
      <th scope="col">SOC</th><th scope="col">Power</th><th scope="col">Cells</th><th scope="col">dV</th><th scope="col">Tmax</th><th scope="col">Why</th></tr></thead>
      <tbody id="masters">\(rows)</tbody></table></div>
      <noscript><p>The values are those of the moment the page was loaded.</p></noscript>

      """
  }
}
