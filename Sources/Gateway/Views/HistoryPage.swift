import Analysis
import Bus

/// Charts of one device over an hour, a day, a week or a month.
struct HistoryPage {
  /// The spans that a page can show.
  enum Span: String, CaseIterable {
    case hour, day, week, month
    var seconds: Int64 {
      switch self {
      case .hour: 3600
      case .day: 86_400
      case .week: 7 * 86_400
      case .month: 31 * 86_400
      }
    }
  }
  var title: String
  /// The page's own address, to which a query is put.
  var path: String
  var span: Span
  var range: Range<Int64>
  var newest: Int64
  var points: [HistorySummary]
  var events: [HistoryEvent]
  var cells: MinuteRecord?
  var notice: String?

  /// What a query asks for, with `newest` as the end where it names none.
  static func asked(_ query: [String: String], newest: Int64) -> (Span, Range<Int64>) {
    let span = query["span"].flatMap(Span.init) ?? .day
    let end = min(newest, max(0, query["end"].flatMap { Int64($0) } ?? newest))
    return (span, max(0, end - span.seconds)..<max(1, end))
  }

  /// What a store holds for it.
  static func load(_ store: any HistoryStore, device: String, _ range: Range<Int64>) throws(GatewayError) -> (
    [HistorySummary], [HistoryEvent], MinuteRecord?
  ) {
    let points = try store.points(device: device, in: range)
    let events = try store.events(
      device: device, before: range.upperBound.multipliedReportingOverflow(by: 1_000_000_000).0, limit: 100)
    let last = try store.records(device: device, in: max(0, range.upperBound - 180)..<range.upperBound).last
    return (points, events.filter { $0.time_ns / 1_000_000_000 >= range.lowerBound }, last)
  }

  func html() -> HTML {
    let spans = Span.allCases.map { choice -> HTML in
      choice == span
        ? "<a href=\"\(path)?span=\(choice.rawValue)\" aria-current=\"true\">\(choice.rawValue)</a>"
        : "<a href=\"\(path)?span=\(choice.rawValue)\">\(choice.rawValue)</a>"
    }
    let earlier: HTML = "<a href=\"\(path)?span=\(span.rawValue)&amp;end=\(range.lowerBound)\">◀ earlier</a>"
    let later: HTML =
      range.upperBound < newest
      ? "<a href=\"\(path)?span=\(span.rawValue)&amp;end=\(range.upperBound + span.seconds)\">later ▶</a>" : .empty
    let lines = events.map { "<li>\(HTML.time(DataJSON.time($0.time_ns))) \($0.text)</li>" as HTML }
    return """
      <h1>\(title)</h1>
      \(notice.map { "<p class=\"notice bad\" role=\"alert\">\($0)</p>" as HTML } ?? .empty)
      <nav class="spans" aria-label="Time shown">\(spans) \(earlier) \(later)</nav>
      <p class="quiet">\(HistoryPage.date(range.lowerBound)) to \(HistoryPage.date(range.upperBound)) UTC. Lines are means, bands reach from the least to the greatest value.</p>
      <div class="charts">\(Chart.all.map { "<section>\($0.html(points, in: range))</section>" as HTML })</div>
      \(cellTable)
      <h2>Events</h2>\(lines.isEmpty ? "<p class=\"quiet\">None in this time.</p>" as HTML : "<ol class=\"events\">\(lines)</ol>" as HTML)

      """
  }

  /// Every cell at the end of the range.
  private var cellTable: HTML {
    guard let cells, !cells.cells.isEmpty, cells.shape.count == 4 else { return .empty }
    var rest = cells.cells[...]
    var rows: [HTML] = []
    for chain in 0..<2 {
      for module in 0..<cells.shape[chain * 2] {
        let own = rest.prefix(cells.shape[chain * 2 + 1])
        rest = rest.dropFirst(own.count)
        let values = own.map { "<td>\(ParameterView.shown(Int64($0), 4, 3))</td>" as HTML }
        rows.append("<tr><th scope=\"row\">\(chain + 1).\(module + 1)</th>\(values)</tr>")
      }
    }
    return """
      <details><summary>All cells at \(HistoryPage.date(cells.times.last ?? 0)) UTC</summary>
      <div class="scroll" role="region" aria-label="All cells" tabindex="0"><table class="matrix"><tbody>\(rows)</tbody></table></div></details>

      """
  }

  /// `2026-01-01 00:00:00`.
  static func date(_ seconds: Int64) -> String {
    CalendarTime(Timestamp(nanoseconds: seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue)).description
  }
}
