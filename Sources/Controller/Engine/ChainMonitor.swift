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
  /// Modules whose own voltage and sum of cells differ by more than 2 % in the last scan. Source: spec/controller.md §3.
  var differingSums: UInt16 = 0
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
    let base = chain.index * 15
    guard base + modules <= readings.stacks.count else { return }
    var low = UInt16.max
    var high: UInt16 = 0
    var lowSlot = first
    var highSlot = first
    var sum: UInt32 = 0
    var stackSum: Int64 = 0
    var differing: UInt16 = 0
    readings.cells.withUnsafeBufferPointer { cells in
      readings.stacks.withUnsafeBufferPointer { stacks in
        // Long runs first: the compiler makes vectors of them.
        var slot = first
        let last = first &+ count
        while slot < last {
          low = min(low, cells[slot])
          high = max(high, cells[slot])
          slot &+= 1
        }
        while cells[lowSlot] != low { lowSlot &+= 1 }
        while cells[highSlot] != high { highSlot &+= 1 }
        slot = first
        var module = 0
        while module < modules {
          var own: UInt32 = 0
          let end = slot &+ perModule
          while slot < end {
            own &+= UInt32(cells[slot])
            slot &+= 1
          }
          sum &+= own
          let stack = stacks[base &+ module]
          stackSum &+= Int64(stack)
          let millivolts = Int32(bitPattern: own / 10)
          if (Int64(stack) &- Int64(millivolts)).magnitude &* 50 > millivolts.magnitude { differing |= 1 << UInt16(module) }
          module &+= 1
        }
      }
    }
    self.low = .init(value: Int32(low), slot: UInt16(truncatingIfNeeded: lowSlot))
    self.high = .init(value: Int32(high), slot: UInt16(truncatingIfNeeded: highSlot))
    self.stackSum = stackSum
    differingSums = differing
    cellSum = Int64(sum)
    if Int(readings.cellCounts[chain.index]) != count || Int(readings.moduleCounts[chain.index]) != modules {
      fault = .cellCount(found: readings.cellCounts[chain.index], expected: UInt16(truncatingIfNeeded: count))
    }
    takeSensors(chain, readings, configuration, modules)
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
    var coldModule = base
    var hotModule = base
    var isAny = false
    var all: UInt8 = 0x1F
    for module in base..<base + modules {
      let wanted = configuration.sensors[module]
      let bad = readings.openSensors[module] | readings.shortedSensors[module]
      all &= wanted & ~bad
      let faulty = bad & wanted
      if faulty != 0, fault == nil {
        let slot = UInt16(truncatingIfNeeded: module * 5 + faulty.trailingZeroBitCount)
        let isOpen = readings.openSensors[module] & faulty & (0 &- faulty) != 0
        fault = isOpen ? .sensorOpen(slot: slot) : .sensorShorted(slot: slot)
      }
    }
    readings.temperatures.withUnsafeBufferPointer { temperatures in
      var module = base
      if all == 0x1F {
        // Every sensor counts: one long run, and the module is found afterwards.
        var slot = base &* 5
        let end = (base &+ modules) &* 5
        while slot < end {
          cold = min(cold, temperatures[slot])
          hot = max(hot, temperatures[slot])
          slot &+= 1
        }
        slot = base &* 5
        while temperatures[slot] != cold { slot &+= 1 }
        coldModule = slot / 5
        slot = base &* 5
        while temperatures[slot] != hot { slot &+= 1 }
        hotModule = slot / 5
        isAny = true
        return
      }
      while module < base &+ modules {
        var enabled = configuration.sensors[module] & ~(readings.openSensors[module] | readings.shortedSensors[module])
        while enabled != 0 {
          let value = temperatures[module &* 5 &+ enabled.trailingZeroBitCount]
          if value < cold || !isAny { (cold, coldModule) = (value, module) }
          if value > hot || !isAny { (hot, hotModule) = (value, module) }
          isAny = true
          enabled &= enabled &- 1
        }
        module &+= 1
      }
    }
    guard isAny else { return }
    coldest = .init(value: Int32(cold), slot: place(of: cold, coldModule, readings, configuration))
    hottest = .init(value: Int32(hot), slot: place(of: hot, hotModule, readings, configuration))
  }

  /// The first enabled sensor of a module that has this value.
  private func place(of value: Int16, _ module: Int, _ readings: Readings, _ configuration: Configuration) -> UInt16 {
    let enabled = configuration.sensors[module] & ~(readings.openSensors[module] | readings.shortedSensors[module])
    for sensor in 0..<5 where enabled & 1 << UInt8(sensor) != 0 && readings.temperatures[module * 5 + sensor] == value {
      return UInt16(truncatingIfNeeded: module * 5 + sensor)
    }
    return UInt16(truncatingIfNeeded: module * 5)
  }
}
