import Controller

/// A single module on the bench, before anything is in series.
extension Checks {
  func bench() -> CheckResult {
    let cells = ChainNumber.allCases.first { configuration.slaves($0) > 0 }.map { configuration.cellsPerModule($0) } ?? 0
    let expected = "1 module with \(cells) cells of 1.5–4.5 V"
    let modules = allModules
    guard modules.count == 1, let chain = modules.first?.chain, let readings = observation?.last?.readings else {
      return .open(.bench, "not measured: \(modules.count) modules are configured", "the configuration for 1 module")
    }
    let now = status(chain)
    guard isMatrixThere, now != .off else { return .failed(.bench, "silent", now.word, expected) }
    let found = Int(readings.moduleCounts[chain.index])
    guard found == 1 else { return .failed(.bench, "count", "\(found) modules", expected) }
    if let wire = wireFault { return .failed(.bench, "cells", wire.place, expected) }
    let values = volts(chain, 0)
    let range = "\(Number.text(values.min() ?? 0, 3))…\(Number.text(values.max() ?? 0, 3, "V"))"
    guard !values.isEmpty, values.allSatisfy({ (1.5...4.5).contains($0) }) else {
      return .failed(.bench, "cells", range, expected)
    }
    let measured = Int(readings.cellCounts[chain.index])
    guard measured == cells else { return .failed(.bench, "cells", "\(measured) of \(cells) cells can be measured", expected) }
    let sum = values.reduce(0, +)
    let stack = Double(readings.stacks[chain.index * 15]) / 1000
    let own = "module \(Number.text(stack, 2, "V"))"
    guard abs(stack - sum) <= sum * 0.02 else {
      return .failed(.bench, "sum", "\(own), its cells \(Number.text(sum, 2, "V"))", "at most 2 % apart")
    }
    return .passed(.bench, "\(cells) cells, \(range), \(own)", expected)
  }
}
