import Analysis
import Controller
import Formats
import Glibc

/// The matrix of cells and sensors, and the channels it comes from.
extension Checks {
  private var step: PlantStep? { observation?.last }

  func supply() -> CheckResult {
    // The LinkPDU measures it, and is connected long after the first steps.
    guard observation?.isPDUHeard == true else {
      return .open(.supply, "cannot be told before the LinkPDU is connected, which measures it", "4.5–25 V")
    }
    let volts = Double(step?.readings.supply_mV ?? 0) / 1000
    let measured = Number.text(volts, 1, "V")
    if volts <= 0 { return .failed(.supply, "none", "nothing", "4.5–25 V") }
    if volts < 4.5 { return .failed(.supply, "low", measured, "4.5–25 V") }
    return volts > 25 ? .failed(.supply, "high", measured, "4.5–25 V") : .passed(.supply, measured, "4.5–25 V")
  }

  /// A chain's own status.
  func status(_ chain: ChainNumber) -> ChainStatus {
    guard let outputs = step?.engine.outputs else { return .noData }
    return chain == .bms1 ? outputs.bms1 : outputs.bms2
  }

  var usedChains: [ChainNumber] { ChainNumber.allCases.filter { configuration.slaves($0) > 0 } }

  /// Channels that deliver no scan: their part of the matrix cannot be judged.
  var isMatrixThere: Bool {
    !usedChains.isEmpty && usedChains.allSatisfy { status($0) != .communicationError && status($0) != .noData }
  }

  func scan() -> CheckResult {
    let expected = "every configured module"
    guard isMatrixThere, let step else { return .open(.scan, "no complete scan", expected, failure: "none") }
    for chain in usedChains {
      let found = Int(step.readings.moduleCounts[chain.index])
      let cells = Int(step.readings.cellCounts[chain.index])
      let wanted = configuration.slaves(chain)
      if found != wanted || cells != wanted * configuration.cellsPerModule(chain) {
        return .failed(
          .scan, "count", "\(chain.word): \(found) modules with \(cells) cells",
          "\(wanted) modules with \(wanted * configuration.cellsPerModule(chain)) cells")
      }
    }
    return .passed(
      .scan, usedChains.map { "\($0.word) \(configuration.slaves($0))" }.joined(separator: ", ") + " modules", expected)
  }

  // MARK: Cells

  /// V of a module's cells.
  func volts(_ chain: ChainNumber, _ module: Int) -> [Double] {
    guard let readings = step?.readings else { return [] }
    let count = configuration.cellsPerModule(chain)
    let first = chain.index * Readings.chainCells + module * count
    guard first >= 0, first + count <= readings.cells.count else { return [] }
    return (first..<first + count).map { Double(readings.cells[$0]) / 10_000 }
  }

  var allModules: [(chain: ChainNumber, module: Int)] {
    usedChains.flatMap { chain in (0..<configuration.slaves(chain)).map { (chain, $0) } }
  }

  private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
  }

  /// A pattern of a wrong wire, and the module it is on.
  struct WireFault {
    var failure: String
    var place: String
  }

  var wireFault: WireFault? {
    let all = allModules.flatMap { volts($0.chain, $0.module) }
    let usual = median(all.filter { $0 > 0.5 })
    guard usual > 0 else { return nil }
    var empty: [Int: Int] = [:]
    for (chain, module) in allModules {
      for (cell, value) in volts(chain, module).enumerated() where value < 0.1 { empty[cell, default: 0] += 1 }
    }
    // The same inputs on every module: nobody makes the same mistake twelve times.
    let everywhere = empty.filter { $0.value == allModules.count }.keys.sorted()
    if !everywhere.isEmpty, allModules.count > 1 || everywhere.count > 2 {
      return WireFault(
        failure: "unused", place: "inputs \(everywhere.map { "\($0 + 1)" }.joined(separator: ", ")) of every module read 0")
    }
    for (chain, module) in allModules {
      let cells = volts(chain, module)
      // A slave measures 0 to 5 V: two cells of Li-ion read 5 V.
      func isDouble(_ index: Int) -> Bool { cells.indices.contains(index) && (cells[index] > usual * 1.4 || cells[index] > 4.8) }
      for (cell, value) in cells.enumerated() where value < 0.1 {
        let place = "\(chain.word) module \(module + 1) cell \(cell + 1): \(Number.text(value, 3, "V"))"
        if isDouble(cell - 1), isDouble(cell + 1) {
          return WireFault(failure: "swapped", place: place + ", its neighbours \(Number.text(cells[cell - 1], 3, "V"))")
        }
        if isDouble(cell - 1) || isDouble(cell + 1) {
          return WireFault(failure: "broken", place: place + ", its neighbour two cells")
        }
      }
    }
    return nil
  }

  func cells() -> CheckResult {
    let (low, high) = (Double(configuration[.undervoltageProtect]) / 10_000, Double(configuration[.overvoltageProtect]) / 10_000)
    let expected = "\(Number.text(low, 3))…\(Number.text(high, 3, "V"))"
    guard isMatrixThere, let step else { return .open(.cells, "no complete scan", expected) }
    if let wire = wireFault { return .failed(.cells, wire.failure, wire.place, expected) }
    let values = step.engine.values
    let texts = EventText(configuration)
    let (least, most) = (Double(values.lowestCell.value) / 10_000, Double(values.highestCell.value) / 10_000)
    if least < low {
      return .failed(.cells, "low", "\(texts.cell(values.lowestCell.slot)) \(Number.text(least, 3, "V"))", expected)
    }
    if most > high {
      return .failed(.cells, "high", "\(texts.cell(values.highestCell.slot)) \(Number.text(most, 3, "V"))", expected)
    }
    return .passed(.cells, "\(Number.text(least, 3))…\(Number.text(most, 3, "V"))", expected)
  }

  func sums() -> CheckResult {
    let expected = "at most 2 % apart"
    guard isMatrixThere, let readings = step?.readings else { return .open(.sums, "no complete scan", expected) }
    if wireFault != nil { return .open(.sums, "the wires first", expected) }
    var worst = (share: 0.0, text: "alike")
    for (chain, module) in allModules {
      let sum = volts(chain, module).reduce(0, +)
      let stack = Double(readings.stacks[chain.index * 15 + module]) / 1000
      guard sum > 0 else { continue }
      let share = abs(stack - sum) / sum
      if share > worst.share {
        worst = (
          share, "\(chain.word) module \(module + 1): \(Number.text(stack, 2, "V")), its cells \(Number.text(sum, 2, "V"))"
        )
      }
    }
    return worst.share > 0.02 ? .failed(.sums, "differs", worst.text, expected) : .passed(.sums, worst.text, expected)
  }

  func spread() -> CheckResult {
    let limit = Double(configuration[.differenceAlarm]) / 10_000
    let expected = "at most \(Number.text(limit, 3, "V"))"
    guard isMatrixThere, let values = step?.engine.values else { return .open(.spread, "no complete scan", expected) }
    if wireFault != nil { return .open(.spread, "the wires first", expected) }
    let measured =
      "\(Number.text(Double(values.difference) / 10_000, 3, "V")), highest \(EventText(configuration).cell(values.highestCell.slot))"
    return values.difference > configuration[.differenceAlarm]
      ? .failed(.spread, "large", measured, expected) : .passed(.spread, measured, expected)
  }

  func chemistry() -> CheckResult {
    let name = configuration.isLFP ? "LFP" : "Li-ion"
    guard isMatrixThere else { return .open(.chemistry, "no complete scan", name) }
    if wireFault != nil { return .open(.chemistry, "the wires first", name) }
    let usual = median(allModules.flatMap { volts($0.chain, $0.module) })
    let measured = "\(Number.text(usual, 3, "V")) a cell"
    if configuration.isLFP, usual > 3.5 { return .failed(.chemistry, "other", measured, "LFP at rest: below 3.5 V") }
    if !configuration.isLFP, usual < 3.4 {
      return .passed(.chemistry, measured + ": an almost empty Li-ion cell, or LFP", "Li-ion; be sure of the preset")
    }
    return .passed(.chemistry, measured, name)
  }

  // MARK: Sensors

  private func enabled(_ body: (ChainNumber, Int, Int, Bool, Bool, Double) -> Void) {
    guard let readings = step?.readings else { return }
    for (chain, module) in allModules {
      let slot = chain.index * 15 + module
      for sensor in 0..<5 where configuration.sensors[slot] & 1 << UInt8(sensor) != 0 {
        body(
          chain, module, sensor, readings.openSensors[slot] & 1 << UInt8(sensor) != 0,
          readings.shortedSensors[slot] & 1 << UInt8(sensor) != 0, Double(readings.temperatures[slot * 5 + sensor]) / 10)
      }
    }
  }

  func sensors() -> CheckResult {
    let expected = "no enabled sensor open or shorted"
    guard isMatrixThere else { return .open(.sensors, "no complete scan", expected) }
    var count = 0
    var bad: (failure: String, text: String)?
    enabled { chain, module, sensor, isOpen, isShorted, _ in
      count += 1
      guard isOpen || isShorted, bad == nil else { return }
      bad = (isOpen ? "open" : "shorted", "\(chain.word) module \(module + 1) T\(sensor + 1) \(isOpen ? "open" : "shorted")")
    }
    if let bad { return .failed(.sensors, bad.failure, bad.text, expected) }
    let unused =
      moduleNames { connectedSensors($0) & ~configuration.sensors[$0] != 0 }.map { "; connected, not enabled: \($0)" } ?? ""
    guard count > 0 else {
      let confirmed = state.answer("no-sensors") == "no sensors"
      return confirmed
        ? .passed(.sensors, "none enabled, as confirmed\(unused)", expected)
        : .failed(.sensors, "none", "none enabled\(unused)", "sensors, or the words that there are none")
    }
    let bare = moduleNames { configuration.sensors[$0] == 0 }.map { "; without any: \($0)" } ?? ""
    return .passed(.sensors, "\(count) enabled, all connected\(bare)\(unused)", expected)
  }

  /// Inputs of a module slot at which there is a sensor, enabled or not, T1 in bit 0: neither open nor shorted, and the temperature is
  /// one that a battery can have.
  func connectedSensors(_ slot: Int) -> UInt8 {
    guard let readings = step?.readings else { return 0 }
    let broken = readings.openSensors[slot] | readings.shortedSensors[slot]
    var mask: UInt8 = 0
    for sensor in 0..<5 where broken & 1 << UInt8(sensor) == 0 && (-400...1000).contains(readings.temperatures[slot * 5 + sensor]) {
      mask |= 1 << UInt8(sensor)
    }
    return mask
  }

  /// The modules whose slot is such a one; `nil` = none is.
  private func moduleNames(where isIt: (Int) -> Bool) -> String? {
    let found = allModules.filter { isIt($0.chain.index * 15 + $0.module) }
    guard let first = found.first else { return nil }
    let name = "\(first.chain.word) module \(first.module + 1)"
    return found.count > 1 ? "\(name) and \(found.count - 1) more" : name
  }

  func ambient() -> CheckResult {
    let around = state.number("ambient") ?? 25
    let expected = "within 2 K of \(Number.text(around, 1, "°C"))"
    guard isMatrixThere else { return .open(.ambient, "no complete scan", expected) }
    var shown: [(place: String, value: Double)] = []
    enabled { chain, module, sensor, isOpen, isShorted, value in
      if !isOpen, !isShorted { shown.append(("\(chain.word) module \(module + 1) T\(sensor + 1)", value)) }
    }
    guard !shown.isEmpty else { return .passed(.ambient, "no sensor", expected) }
    let usual = median(shown.map(\.value))
    if abs(usual - around) > 2 {
      let fit = fittingBeta(shown: usual, around: around).map { "; beta \($0) K would fit" } ?? ""
      return .failed(.ambient, "beta", "\(Number.text(usual, 1, "°C"))\(fit)", expected)
    }
    if let odd = shown.first(where: { abs($0.value - usual) > 4 }) {
      return .failed(.ambient, "single", "\(odd.place) \(Number.text(odd.value, 1, "°C"))", "near \(Number.text(usual, 1, "°C"))")
    }
    let remark = abs(around - 25) < 8 ? " (so near 25 °C beta cannot be told)" : ""
    return .passed(.ambient, Number.text(usual, 1, "°C") + remark, expected)
  }

  /// The beta with which the sensors would show what the thermometer shows; `nil` where no sensible one does.
  private func fittingBeta(shown: Double, around: Double) -> Int? {
    let span = 1 / (around + 273.15) - 1 / 298.15
    guard abs(span) > 5e-5, shown > -200 else { return nil }
    let beta = Double(configuration[.ntcBeta]) * (1 / (shown + 273.15) - 1 / 298.15) / span
    guard beta.isFinite, (2000...6000).contains(beta) else { return nil }
    return Int((beta / 10).rounded()) * 10
  }

  // MARK: Channels

  func channel(_ chain: ChainNumber, _ id: CheckID) -> CheckResult {
    let counted = state.count("\(chain.word.lowercased())-modules") ?? configuration.slaves(chain)
    let expected = counted > 0 ? "OK" : "OFF"
    let found = status(chain)
    let lost = step?.readings.lostModules[chain.index] ?? 255
    switch found {
    case .off: return counted > 0 ? .failed(id, "off", "OFF", expected) : .passed(id, "OFF", expected)
    case .ok: return .passed(id, "OK", expected)
    case .warning: return .passed(id, "WARNING: a value is close to critical", expected)
    case .noData: return .failed(id, "no-data", "NO DATA", expected)
    case .protect: return .failed(id, "protect", "PROTECT", expected)
    case .communicationError:
      if lost == 0 { return .failed(id, "reversed", "COM ERR: module 1 does not answer", expected) }
      return .failed(id, "com-err", lost == 255 ? "COM ERR" : "COM ERR: module \(Int(lost) + 1) does not answer", expected)
    }
  }
}
