/// What the engine knows of one chain: how its scans go and what the last one held.
struct ChainMonitor: Sendable {
  var status = ChainStatus.off
  /// COM ERR: set by failures or silence, left by good scans in a row.
  var isFailed = false
  var failedInRow: UInt8 = 0
  var goodInRow: UInt8 = 0
  /// Uptime of the last scan or failure, µs.
  var lastArrival: Int64 = 0
  var lastScan: Int64 = 0
  var hasArrived = false
  var hasScan = false
  var failure = Reason.noReading

  var low = DerivedValues.Extreme(value: 0, slot: 0)
  var high = DerivedValues.Extreme(value: 0, slot: 0)
  var coldest: DerivedValues.Extreme?
  var hottest: DerivedValues.Extreme?
  /// 0.1 mV.
  var cellSum: Int64 = 0
  /// mV.
  var stackSum: Int64 = 0
  /// What alone makes this chain's readings unusable: a count or a sensor.
  var fault: Reason?
  /// Modules whose sum was reported.
  var reportedSums: UInt16 = 0

  /// Counts good and failed scans and notices silence. Source: spec/controller.md §4, COM ERR.
  mutating func observe(
    _ chain: ChainNumber, _ readings: Readings, uptime: Int64, hasAnyReading: Bool
  ) {
    let arrived = readings.arrived
    if arrived.contains(.failure(chain)) {
      hasArrived = true
      lastArrival = uptime
      goodInRow = 0
      failedInRow = failedInRow < 255 ? failedInRow + 1 : 255
      if failedInRow >= Timing.failedScans, !isFailed {
        isFailed = true
        failure = .scansFail(chain, module: readings.lostModules[chain.index])
      }
    } else if arrived.contains(.scan(chain)) {
      hasArrived = true
      hasScan = true
      lastArrival = uptime
      lastScan = uptime
      failedInRow = 0
      goodInRow = goodInRow < 255 ? goodInRow + 1 : 255
      if goodInRow >= Timing.goodScans { isFailed = false }
    } else if hasAnyReading, uptime - lastArrival > Timing.silence, hasArrived || uptime > Timing.startUp {
      goodInRow = 0
      if !isFailed {
        isFailed = true
        failure = .chainSilent(chain)
      }
    }
  }

  /// Extremes, sums and faults of a scan. One pass over flat arrays: this is what a step costs.
  mutating func take(_ chain: ChainNumber, _ readings: Readings, _ configuration: Configuration) {
    let perModule = configuration.cellsPerModule(chain)
    let modules = configuration.slaves(chain)
    let first = chain.index * Readings.chainCells
    let count = modules * perModule
    fault = nil
    guard count > 0, first + count <= readings.cells.count else { return }
    var low = UInt16.max
    var high: UInt16 = 0
    var sum: UInt32 = 0
    readings.cells.withUnsafeBufferPointer { cells in
      var slot = first
      let end = first &+ count
      while slot < end {
        let cell = cells[slot]
        low = min(low, cell)
        high = max(high, cell)
        sum &+= UInt32(cell)
        slot &+= 1
      }
      slot = first
      while slot < end, cells[slot] != low { slot &+= 1 }
      self.low = .init(value: Int32(low), slot: UInt16(truncatingIfNeeded: slot))
      slot = first
      while slot < end, cells[slot] != high { slot &+= 1 }
      self.high = .init(value: Int32(high), slot: UInt16(truncatingIfNeeded: slot))
    }
    cellSum = Int64(sum)
    if Int(readings.cellCounts[chain.index]) != count || Int(readings.moduleCounts[chain.index]) != modules {
      fault = .cellCount(found: readings.cellCounts[chain.index], expected: UInt16(truncatingIfNeeded: count))
    }
    takeStacks(chain, readings, modules)
    takeSensors(chain, readings, configuration, modules)
  }

  private mutating func takeStacks(_ chain: ChainNumber, _ readings: Readings, _ modules: Int) {
    let base = chain.index * 15
    guard base + modules <= readings.stacks.count else { return }
    var sum: Int64 = 0
    for module in base..<base + modules { sum &+= Int64(readings.stacks[module]) }
    stackSum = sum
  }

  private mutating func takeSensors(
    _ chain: ChainNumber, _ readings: Readings, _ configuration: Configuration, _ modules: Int
  ) {
    coldest = nil
    hottest = nil
    let base = chain.index * 15
    guard (base + modules) * 5 <= readings.temperatures.count, base + modules <= readings.openSensors.count,
      base + modules <= readings.shortedSensors.count
    else { return }
    var cold = Int16.max
    var hot = Int16.min
    var coldSlot = 0
    var hotSlot = 0
    var isAny = false
    readings.temperatures.withUnsafeBufferPointer { temperatures in
      var module = base
      while module < base &+ modules {
        var enabled = configuration.sensors[module]
        let faulty = (readings.openSensors[module] | readings.shortedSensors[module]) & enabled
        if faulty != 0, fault == nil {
          let slot = UInt16(truncatingIfNeeded: module * 5 + faulty.trailingZeroBitCount)
          let isOpen = readings.openSensors[module] & faulty & (0 &- faulty) != 0
          fault = isOpen ? .sensorOpen(slot: slot) : .sensorShorted(slot: slot)
        }
        enabled &= ~faulty
        while enabled != 0 {
          let slot = module &* 5 &+ enabled.trailingZeroBitCount
          let value = temperatures[slot]
          if value < cold { (cold, coldSlot) = (value, slot) }
          if value > hot { (hot, hotSlot) = (value, slot) }
          isAny = true
          enabled &= enabled &- 1
        }
        module &+= 1
      }
    }
    guard isAny else { return }
    coldest = .init(value: Int32(cold), slot: UInt16(truncatingIfNeeded: coldSlot))
    hottest = .init(value: Int32(hot), slot: UInt16(truncatingIfNeeded: hotSlot))
  }
}
