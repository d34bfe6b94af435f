/// The page `/` and what keeps it live.
enum ParameterPage {
  static func html(_ view: ParameterView) -> HTML {
    let chains = view.chains.enumerated().map { index, chain -> HTML in
      let status = live("chain\(index + 1)", chain.status, unknown: ParameterView.dash)
      let text = live("chaintext\(index + 1)", chain.text, unknown: ParameterView.unknownChain)
      return "<p><strong>\(chain.name)</strong> \(status): \(text)</p>"
    }
    return """
      <section id="banner" class="banner \(view.tone)" role="status" data-layout="\(view.layout)">
      <h1><span class="quiet">BMS Status</span> \(live("headline", view.status, unknown: ParameterView.disconnected))</h1>
      <p>\(live("why", view.why, unknown: lost))</p>
      <p>Contactors: \(live("contactors", view.contactors, unknown: ParameterView.unknown))</p></section>
      <h2 class="hidden">Values</h2>
      \(row(view.first, "Main values"))\(row(view.second, "Limits and measurements"))
      <section aria-label="Channels" class="channels">\(chains)</section>
      <h2>Modules</h2>
      \(view.matrices.isEmpty ? "<p>No module is known yet.</p>" : HTML.empty)\(view.matrices.map(matrix))
      <p>\(live("beyond", view.beyond, unknown: ""))</p>
      <p class="quiet">↓ lowest · ↑ highest · ≈ balancing · △ beyond an alarm limit, or a module's voltage is not the sum of its cells ·
      ! beyond a protect limit, broken or silent · grey: sensor not enabled, its value counts for nothing.</p>
      <h2>Events</h2>
      <ol id="events" class="events" reversed>\(view.events.map(event))</ol>
      <p class="quiet">Also as <a href="/data.json">data.json</a>, <a href="/metrics">metrics</a> and <a href="/api">API</a>.</p>
      <noscript><p>The values are those of the moment the page was loaded.</p></noscript>

      """
  }

  /// What the script puts where the page has lost its server: nothing that the page shows may be taken for the present then.
  private static let lost =
    "This page has lost its connection to the LinkMaster, and tries again by itself. Make sure that your connection is good; "
    + "where the WiFi signal is weak, connect an Ethernet cable."

  /// A text that changes by itself, with what stands there while nothing is known.
  private static func live(_ id: String, _ text: String, kind: String = "", unknown: String) -> HTML {
    let style: HTML = kind.isEmpty ? .empty : " class=\"\(kind)\""
    return "<span id=\"\(id)\"\(style) data-unknown=\"\(unknown)\">\(text)</span>"
  }

  private static func row(_ fields: [ParameterView.Field], _ name: String) -> HTML {
    let items = fields.map { field -> HTML in
      let unit: HTML = field.unit.isEmpty ? .empty : " <span class=\"unit\">\(field.unit)</span>"
      let unknown = field.id == "status" ? ParameterView.disconnected : ParameterView.dash
      let value = live(field.id, field.text, kind: field.kind, unknown: unknown)
      return "<div><dt title=\"\(field.help)\">\(field.title)</dt><dd>\(value)\(unit)</dd></div>"
    }
    return "<dl class=\"values\" aria-label=\"\(name)\">\(items)</dl>\n"
  }

  private static func matrix(_ matrix: ParameterView.Matrix) -> HTML {
    let heads =
      matrix.heads.map { "<th scope=\"col\" id=\"\($0.id)\" class=\"\($0.kind)\">\($0.text)</th>" as HTML }
      + (1...5).map { "<th scope=\"col\">T\($0)</th>" as HTML }
    let lines = matrix.lines.map { line -> HTML in
      let cells = ([line.voltage] + line.cells + line.sensors).map { cell -> HTML in
        let note: HTML = cell.note.isEmpty ? .empty : " title=\"\(cell.note)\""
        return "<td id=\"\(cell.id)\" class=\"\(cell.kind)\"\(note)>\(cell.text)</td>"
      }
      return
        "<tr><th scope=\"row\"><span class=\"hidden\">BMS \(line.chain) pack </span>\(line.chain).\(line.module)</th>\(cells)</tr>\n"
    }
    return """
      <div class="scroll" role="region" aria-label="Modules of \(matrix.chain)" tabindex="0"><table class="matrix"><caption>\(matrix.chain)</caption>
      <thead><tr><th scope="col">BMS.Pack</th><th scope="col">Voltage</th>\(heads)</tr></thead><tbody>
      \(lines)</tbody></table></div><p class="quiet" id="\(matrix.left.id)">\(matrix.left.text)</p>

      """
  }

  private static func event(_ event: (number: UInt64, time: String, text: String)) -> HTML {
    "<li value=\"\(event.number)\">\(HTML.time(event.time)) \(event.text)</li>"
  }

  /// What a page needs to follow: texts and classes by place, new events. Only what differs from `before`.
  static func update(_ view: ParameterView, since before: inout LiveState) -> JSONValue? {
    var texts: [String: JSONValue] = [:]
    var kinds: [String: JSONValue] = [:]
    var notes: [String: JSONValue] = [:]
    func put(_ id: String, _ text: String) {
      guard before.texts[id] != text else { return }
      before.texts[id] = text
      texts[id] = .string(text)
    }
    func put(kind: String, _ id: String) {
      guard before.kinds[id] != kind else { return }
      before.kinds[id] = kind
      kinds[id] = .string(kind)
    }
    // A page that begins to follow has no notes.
    func put(note: String, _ id: String) {
      guard before.notes[id, default: ""] != note else { return }
      before.notes[id] = note
      notes[id] = .string(note)
    }
    put("headline", view.status)
    put("why", view.why)
    put("contactors", view.contactors)
    put("beyond", view.beyond)
    put(kind: "banner \(view.tone)", "banner")
    for (index, chain) in view.chains.enumerated() {
      put("chain\(index + 1)", chain.status)
      put("chaintext\(index + 1)", chain.text)
    }
    for field in view.first + view.second {
      put(field.id, field.text)
      put(kind: field.kind, field.id)
    }
    for matrix in view.matrices {
      put(matrix.left.id, matrix.left.text)
      for head in matrix.heads { put(kind: head.kind, head.id) }
    }
    for line in view.matrices.flatMap(\.lines) {
      for cell in [line.voltage] + line.cells + line.sensors {
        put(cell.id, cell.text)
        put(kind: cell.kind, cell.id)
        put(note: cell.note, cell.id)
      }
    }
    var members: [String: JSONValue] = ["layout": .string(view.layout)]
    if !texts.isEmpty { members["text"] = .object(texts) }
    if !kinds.isEmpty { members["kind"] = .object(kinds) }
    if !notes.isEmpty { members["note"] = .object(notes) }
    let news = view.events.filter { $0.number > before.event }
    if let newest = news.first {
      before.event = newest.number
      members["events"] = .array(
        news.reversed().map { .object(["n": .int($0.number), "time": .string($0.time), "text": .string($0.text)]) })
    }
    return members.count > 1 ? .object(members) : nil
  }

  /// What a page that follows has been told.
  struct LiveState: Sendable {
    var texts: [String: String] = [:]
    var kinds: [String: String] = [:]
    var notes: [String: String] = [:]
    var event: UInt64 = 0
  }
}
