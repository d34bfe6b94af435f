import Analysis
import Bus

/// A line chart as SVG: means as lines, least to greatest as a band, gaps as gaps. No script, no style of its own.
struct Chart {
  /// One line.
  struct Line {
    var name: String
    var quantity: HistoryQuantity
  }
  var title: String
  var lines: [Line]

  /// What a page of history shows.
  static let all = [
    Chart(title: "State of charge", lines: [Line(name: "SOC", quantity: .stateOfCharge)]),
    Chart(title: "Voltage", lines: [Line(name: "modules", quantity: .voltage), Line(name: "V-out", quantity: .output)]),
    Chart(title: "Current", lines: [Line(name: "current", quantity: .current)]),
    Chart(title: "Cell voltages", lines: [Line(name: "Vmin", quantity: .cellMin), Line(name: "Vmax", quantity: .cellMax)]),
    Chart(
      title: "Temperatures", lines: [Line(name: "Tmin", quantity: .temperatureMin), Line(name: "Tmax", quantity: .temperatureMax)]),
  ]

  private static let (width, height, left, right, top, bottom) = (420.0, 190.0, 58.0, 10.0, 10.0, 26.0)

  func html(_ points: [HistorySummary], in range: Range<Int64>) -> HTML {
    let quantity = lines.first?.quantity ?? .voltage
    let known = lines.map { line in points.map { $0[line.quantity] }.filter { $0.count > 0 } }
    guard let least = known.joined().map(\.least).min(), let most = known.joined().map(\.most).max() else {
      return "<h2>\(title)</h2><p class=\"quiet\">Nothing was recorded in this time.</p>"
    }
    let scale = Frame(least: least, most: most, range: range)
    let unit = quantity.unit
    func shown(_ value: Int64) -> String {
      ParameterView.shown(value, quantity.decimals, quantity.decimals > 3 ? 3 : min(2, quantity.decimals))
    }
    let summary = "\(title): \(shown(least)) to \(shown(most)) \(unit)"
    var drawing: HTML = .empty
    for step in 0...4 {
      let value = scale.low + (scale.high - scale.low) * Double(step) / 4
      let y = Chart.short(scale.y(value))
      drawing +=
        "<line class=\"axis\" x1=\"\(Chart.short(Chart.left))\" x2=\"\(Chart.short(Chart.width - Chart.right))\" y1=\"\(y)\" y2=\"\(y)\"/>"
      drawing +=
        "<text x=\"\(Chart.short(Chart.left - 6))\" y=\"\(Chart.short(scale.y(value) + 4))\" text-anchor=\"end\">\(shown(Int64(max(-1e15, min(1e15, value)).rounded())))</text>"
    }
    for step in 0...4 {
      let time = range.lowerBound + (range.upperBound - range.lowerBound) * Int64(step) / 4
      let anchor = step == 0 ? "start" : step == 4 ? "end" : "middle"
      drawing +=
        "<text x=\"\(Chart.short(scale.x(time)))\" y=\"\(Chart.short(Chart.height - 8))\" text-anchor=\"\(anchor)\">\(Chart.label(time, range))</text>"
    }
    for (index, line) in lines.enumerated() {
      for run in Chart.runs(points, line.quantity) { drawing += draw(run, line.quantity, index, scale) }
    }
    let keys = lines.enumerated().map { index, line -> HTML in "<span class=\"key l\(index)\"></span>\(line.name) " }
    return """
      <h2>\(title) <span class="unit">\(unit)</span></h2>
      <svg class="chart" viewBox="0 0 \(Int(Chart.width)) \(Int(Chart.height))" role="img" aria-label="\(summary)">\(drawing)</svg>
      <p class="quiet">\(keys)· least \(shown(least)), greatest \(shown(most)) \(unit)</p>

      """
  }

  private func draw(_ run: [HistorySummary], _ quantity: HistoryQuantity, _ index: Int, _ scale: Frame) -> HTML {
    let upper = run.map { "\(Chart.short(scale.x($0.time))),\(Chart.short(scale.y(Double($0[quantity].most))))" }
    let lower = run.reversed().map { "\(Chart.short(scale.x($0.time))),\(Chart.short(scale.y(Double($0[quantity].least))))" }
    let mean = run.map { "\(Chart.short(scale.x($0.time))),\(Chart.short(scale.y($0[quantity].mean ?? 0)))" }
    let band: HTML = "<path class=\"band l\(index)\" d=\"M\((upper + lower).joined(separator: "L"))Z\"/>"
    return band + "<polyline class=\"l\(index)\" points=\"\(mean.joined(separator: " "))\"/>"
  }

  /// Points without holes between them: three times the usual distance is a hole.
  private static func runs(_ points: [HistorySummary], _ quantity: HistoryQuantity) -> [[HistorySummary]] {
    let known = points.filter { $0[quantity].count > 0 }
    let steps = zip(known, known.dropFirst()).map { $1.time - $0.time }.sorted()
    let hole = 3 * max(1, steps.isEmpty ? 1 : steps[steps.count / 2])
    var runs: [[HistorySummary]] = []
    for point in known {
      if let last = runs.last?.last, point.time - last.time <= hole {
        runs[runs.count - 1].append(point)
      } else {
        runs.append([point])
      }
    }
    return runs
  }

  private struct Frame {
    var low: Double
    var high: Double
    var range: Range<Int64>
    init(least: Int64, most: Int64, range: Range<Int64>) {
      let room = max((Double(most) - Double(least)) * 0.08, 10)
      low = Double(least) - room
      high = Double(most) + room
      self.range = range
    }
    func x(_ time: Int64) -> Double {
      let share = Double(time - range.lowerBound) / Double(max(1, range.upperBound - range.lowerBound))
      return Chart.left + max(0, min(1, share)) * (Chart.width - Chart.left - Chart.right)
    }
    func y(_ value: Double) -> Double { Chart.top + (high - value) / (high - low) * (Chart.height - Chart.top - Chart.bottom) }
  }

  /// One digit behind the point.
  private static func short(_ value: Double) -> String {
    ScaledNumber.text(Int64((max(-1e6, min(1e6, value)) * 10).rounded()), 1, digits: 1)
  }

  /// `14:05`, or `25 Nov` where days pass.
  private static func label(_ time: Int64, _ range: Range<Int64>) -> String {
    let text = CalendarTime(Timestamp(nanoseconds: time.multipliedReportingOverflow(by: 1_000_000_000).partialValue)).description
    return range.upperBound - range.lowerBound > 2 * 86_400
      ? String(text.dropFirst(5).prefix(5)) : String(text.dropFirst(11).prefix(5))
  }
}
