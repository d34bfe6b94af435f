import Analysis
import Controller
import Formats
import Simulation

/// The manual's parameter page in text: both rows of values, the matrix of modules with extremes and balancing marked, the status in
/// words.
struct ParameterPage {
  let style: TextStyle

  /// Lines of the page.
  func lines(_ engine: Engine, _ readings: Readings) -> [String] {
    let values = engine.values
    var lines = row(
      ["Status", "BMS 1", "BMS 2", "SOC", "Vmin", "Vmax", "dV", "Current", "Power", "Total Ah", "Tmin", "Tmax"],
      [
        engine.outputs.status.word, engine.outputs.bms1.word, engine.outputs.bms2.word,
        decimal(engine.pageValue(.soc), 1) + (values.isEstimate ? "~" : ""), decimal(engine.pageValue(.vmin), 3),
        decimal(engine.pageValue(.vmax), 3), decimal(engine.pageValue(.dv), 3), decimal(engine.pageValue(.current), 1),
        decimal(engine.pageValue(.power), 0), decimal(engine.pageValue(.totalAh), 2), decimal(engine.pageValue(.tmin), 1),
        decimal(engine.pageValue(.tmax), 1),
      ])
    lines += row(
      [
        "Voltage", "Vmeas in", "Vmeas out", "Charge V", "Discharge V", "Charge A", "Discharge A", "Capacity", "Cells", "Cycles",
        "BMS voltage",
      ],
      [
        decimal(engine.pageValue(.voltage), 1), decimal(engine.pageValue(.vIn), 1), decimal(engine.pageValue(.vOut), 1),
        decimal(engine.pageValue(.chargeVoltage), 1), decimal(engine.pageValue(.dischargeVoltage), 1),
        decimal(engine.pageValue(.chargeLimit), 1), decimal(engine.pageValue(.dischargeLimit), 1),
        decimal(engine.pageValue(.capacity), 1), decimal(engine.pageValue(.cellCount), 0), decimal(engine.pageValue(.cycles), 0),
        decimal(engine.pageValue(.bmsVoltage), 1),
      ])
    lines.append("")
    lines += matrix(engine, readings)
    lines.append("")
    let why = EventText(engine.configuration).reason(engine.reason)
    lines.append("\(engine.outputs.status.word): \(EventText.explanation(engine.outputs.status)) (\(why))")
    lines.append(
      "Sum of cells \(decimal(Double(values.cellSum_mV) / 1000, 2)) V; \(EventText.contactors(engine.outputs.contactors))")
    return lines
  }

  /// Two lines: titles and values in columns.
  private func row(_ titles: [String], _ values: [String]) -> [String] {
    let widths = zip(titles, values).map { max($0.count, $1.count) + 2 }
    return [zip(titles, widths).map(padded).joined(), zip(values, widths).map(padded).joined()]
  }

  private func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

  private func decimal(_ value: Double?, _ digits: UInt8) -> String {
    guard let value else { return "–" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    return fixed(Int64(max(-9e15, min(9e15, (value * scale).rounded()))), digits)
  }

  /// A whole number with `digits` of it behind the point.
  private func fixed(_ value: Int64, _ digits: UInt8) -> String {
    guard digits > 0 else { return String(value) }
    var text = String(value.magnitude)
    let width = Int(digits)
    if text.count <= width { text = String(repeating: "0", count: width + 1 - text.count) + text }
    return (value < 0 ? "-" : "") + text.dropLast(width) + "." + text.suffix(width)
  }

  // MARK: Modules

  private func matrix(_ engine: Engine, _ readings: Readings) -> [String] {
    let configuration = engine.configuration
    var lines: [String] = []
    for chain in ChainNumber.allCases where configuration.slaves(chain) > 0 {
      let count = configuration.cellsPerModule(chain)
      let columns = ParameterPage.terminals(count)
      lines.append(
        "BMS Pack  Voltage  " + columns.map { padded("Cell \($0)", 8) }.joined() + (1...5).map { padded("T\($0)", 8) }.joined())
      for module in 0..<configuration.slaves(chain) {
        lines.append(line(engine, readings, chain, module, count))
      }
    }
    return lines
  }

  /// Cell terminals that a module with so many cells uses: unused ones begin at CT5 (manual, "LinkSlave wiring").
  static func terminals(_ count: Int) -> [Int] { (1...14).filter { $0 <= 4 || $0 > 18 - max(7, min(14, count)) } }

  private func line(_ engine: Engine, _ readings: Readings, _ chain: ChainNumber, _ module: Int, _ count: Int) -> String {
    let slot = chain.index * 15 + module
    var text = padded("\(chain.index + 1)", 4) + padded("\(module + 1)", 6)
    text += padded(fixed((Int64(readings.stacks[slot]) + 5) / 10, 2), 9)
    let first = chain.index * Readings.chainCells + module * count
    for cell in 0..<count {
      let number = first + cell
      let value = fixed((Int64(readings.cells[number]) + 5) / 10, 3)
      let isBalanced = engine.outputs.balancing[slot] & 1 << UInt16(cell) != 0
      var mark = isBalanced ? "*" : ""
      if engine.values.hasCells {
        if number == Int(engine.values.lowestCell.slot) { mark += "↓" }
        if number == Int(engine.values.highestCell.slot) { mark += "↑" }
      }
      text += coloured(padded(value + mark, 8), isBalanced: isBalanced, isExtreme: !mark.isEmpty && mark != "*")
    }
    for sensor in 0..<5 { text += padded(fixed(Int64(readings.temperatures[slot * 5 + sensor]), 1), 8) }
    while text.last == " " { text.removeLast() }
    return text
  }

  private func coloured(_ text: String, isBalanced: Bool, isExtreme: Bool) -> String {
    guard style.usesColour, isBalanced || isExtreme else { return text }
    return "\u{1B}[\(isBalanced ? "33" : "1")m\(text)\u{1B}[0m"
  }
}
