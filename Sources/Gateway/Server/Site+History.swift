/// `/history` and its numbers.
extension Site {
  func historyPage(_ request: PageRequest) async -> PageResponse {
    guard let archive else {
      return page(request, "History", "<h1>History</h1><p>This program keeps no history: it was started without a file for it.</p>")
    }
    let newest = (moment.snapshot?.time_ns ?? 0) / 1_000_000_000 + 1
    let (span, range) = HistoryPage.asked(request.query, newest: newest)
    do throws(GatewayError) {
      let (points, events, cells) = try await archive.read { (store) throws(GatewayError) in
        try HistoryPage.load(store, device: HistoryKeeper.own, range)
      }
      let view = HistoryPage(
        title: "History", path: "/history", span: span, range: range, newest: newest, points: points, events: events, cells: cells,
        notice: keeper?.problem.map { "What was recorded last could not be kept yet: \($0)" })
      return page(request, "History", view.html())
    } catch {
      return page(
        request, "History", "<h1>History</h1><p class=\"notice bad\" role=\"alert\">\(error.description)</p>",
        status: error.status)
    }
  }

  /// Points of every quantity as JSON, in base units of the table of quantities.
  func historyJSON(_ request: PageRequest) async -> PageResponse {
    guard let archive else { return .json(.object(["error": .string("no history is kept")]), status: 404) }
    let newest = (moment.snapshot?.time_ns ?? 0) / 1_000_000_000 + 1
    let to = request.query["to"].map { Int64($0) } ?? newest
    let from = request.query["from"].map { Int64($0) } ?? to.map { max(0, max(0, $0) - 86_400) }
    guard let to, let from, from >= 0, to >= 0, to <= Site.latest, from <= Site.latest else {
      return .json(.object(["error": .string("from, to: expected seconds since 1970, at most \(Site.latest)")]), status: 400)
    }
    // A span that ends before it begins holds nothing.
    guard from < to else { return .json(.object(["from": .int(from), "to": .int(to), "points": .array([])])) }
    do throws(GatewayError) {
      let points = try await archive.read { (store) throws(GatewayError) in
        try store.points(device: HistoryKeeper.own, in: from..<to)
      }
      return .json(.object(["from": .int(from), "to": .int(to), "points": .array(points.map(Site.point))]))
    } catch { return .json(.object(["error": .string(error.description)]), status: error.status) }
  }

  /// The last second of the year 9999.
  static let latest: Int64 = 253_402_300_799

  private static func point(_ span: HistorySummary) -> JSONValue {
    var members: [String: JSONValue] = ["time": .int(span.time)]
    for quantity in HistoryQuantity.allCases where span[quantity].count > 0 {
      let part = span[quantity]
      let digits = quantity.decimals
      members[quantity.key] = .object([
        "min": .scaled(part.least, digits, digits: digits), "max": .scaled(part.most, digits, digits: digits),
        "mean": .scaled(Int64((max(-1e15, min(1e15, part.mean ?? 0))).rounded()), digits, digits: digits),
      ])
    }
    return .object(members)
  }
}
