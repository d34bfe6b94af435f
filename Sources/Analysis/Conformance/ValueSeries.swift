import Bus
import Formats

/// The main values over time in bounded memory: when it is full, every second point goes and from then on half as many come.
struct ValueSeries: Sendable {
  private static let quantities: [Quantity] = [
    .packVoltage, .chargeVoltageLimit, .dischargeVoltageLimit, .packCurrent, .chargeCurrentLimit, .dischargeCurrentLimit, .soc,
    .cellVoltageMax, .cellVoltageMin,
  ]
  private static let mostPoints = 1200
  private var times: [Int64] = []
  private var rows: [[Int64?]] = []
  private var stride = 1
  private var skipped = 0

  mutating func add(_ values: QuantityValues, _ time: Int64) {
    skipped += 1
    guard skipped >= stride else { return }
    skipped = 0
    times.append(time)
    rows.append(ValueSeries.quantities.map { values[$0] })
    guard times.count >= ValueSeries.mostPoints else { return }
    times = times.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    rows = rows.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    stride *= 2
  }

  /// Voltages, currents, state of charge and cells.
  func charts(from origin: Int64) -> [Diagnosis.Chart] {
    let groups: [(String, [Quantity])] = [
      ("Voltage, V", [.packVoltage, .chargeVoltageLimit, .dischargeVoltageLimit]),
      ("Current, A", [.packCurrent, .chargeCurrentLimit, .dischargeCurrentLimit]), ("State of charge, %", [.soc]),
      ("Cells, V", [.cellVoltageMax, .cellVoltageMin]),
    ]
    return groups.compactMap { title, quantities in
      let lines = quantities.compactMap { quantity -> (name: String, points: [(seconds: Double, value: Double)])? in
        guard let column = ValueSeries.quantities.firstIndex(of: quantity) else { return nil }
        let points = zip(times, rows).compactMap { time, row in
          row[column].map { (seconds: Double(time &- origin) / 1e9, value: Double($0) / 1000) }
        }
        return points.count > 1 ? (quantity.name, points) : nil
      }
      return lines.isEmpty ? nil : Diagnosis.Chart(title: title, lines: lines)
    }
  }
}
