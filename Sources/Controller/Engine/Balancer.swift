/// Which cells are to be balanced: the highest first, none beside another. Source: spec/controller.md §7.
struct Balancer: Sendable {
  private(set) var masks: InlineArray<30, UInt16> = InlineArray(repeating: 0)
  /// Accumulated by cell slot, 0.1 s.
  var times: InlineArray<420, UInt32> = InlineArray(repeating: 0)
  private(set) var isActive = false
  private var since: Int64 = 0
  private var cellsPerModule: InlineArray<2, Int> = [0, 0]

  /// Adds what has run since the last call to the cells that ran.
  mutating func settle(_ uptime: Int64) {
    let units = (uptime - since) / 100_000
    guard units > 0 else { return }
    since += units * 100_000
    guard isActive else { return }
    for module in 0..<30 {
      var mask = masks[module]
      let base = module / 15 * Readings.chainCells + module % 15 * cellsPerModule[module / 15]
      while mask != 0 {
        let slot = base + mask.trailingZeroBitCount
        if slot < 420 { times[slot] = times[slot] &+ UInt32(truncatingIfNeeded: units) }
        mask &= mask &- 1
      }
    }
  }

  mutating func stop(_ uptime: Int64) {
    guard isActive else { return }
    settle(uptime)
    masks = InlineArray(repeating: 0)
    isActive = false
  }

  /// Chooses anew from a fresh scan.
  mutating func choose(_ readings: Readings, _ configuration: Configuration, lowest: Int32, highest: Int32, _ uptime: Int64) {
    settle(uptime)
    let threshold = lowest &+ configuration[.balanceDifference]
    guard highest > configuration[.balanceStart], highest > threshold else { return stop(uptime) }
    since = isActive ? since : uptime
    isActive = false
    for chain in ChainNumber.allCases {
      let perModule = min(14, configuration.cellsPerModule(chain))
      cellsPerModule[chain.index] = perModule
      for module in 0..<15 {
        var mask: UInt16 = 0
        if module < configuration.slaves(chain) {
          let base = chain.index * Readings.chainCells + module * perModule
          if base + perModule <= readings.cells.count {
            mask = Balancer.mask(readings.cells, base, perModule, threshold)
          }
        }
        masks[chain.index * 15 + module] = mask
        if mask != 0 { isActive = true }
      }
    }
  }

  /// The cells of a module above `threshold`: the highest, then the next that has no chosen neighbour.
  static func mask(_ cells: [UInt16], _ base: Int, _ count: Int, _ threshold: Int32) -> UInt16 {
    var candidates: UInt16 = 0
    for cell in 0..<count where Int32(cells[base + cell]) > threshold { candidates |= 1 << UInt16(cell) }
    var chosen: UInt16 = 0
    while candidates != 0 {
      var best = candidates.trailingZeroBitCount
      var rest = candidates & (candidates &- 1)
      while rest != 0 {
        let cell = rest.trailingZeroBitCount
        if cells[base + cell] > cells[base + best] { best = cell }
        rest &= rest &- 1
      }
      let bit: UInt16 = 1 << UInt16(best)
      chosen |= bit
      candidates &= ~(bit | bit << 1 | bit >> 1)
    }
    return chosen
  }
}
