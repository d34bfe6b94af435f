import Controller

/// The cells of a simulated battery: open-circuit voltage by chemistry, resistance, spread of capacity, one temperature a module.
/// Flat arrays, one pass a step.
public struct CellPack: Sendable {
  /// Share of full charge of each cell, 0…1, in series order.
  public var charge: [Double]
  /// Charge of each full cell, A·s.
  public private(set) var capacity: [Double]
  /// Ω of each cell.
  public private(set) var resistance: [Double]
  /// V of each cell under the current of the last step.
  public private(set) var voltage: [Double]
  /// °C of each module: BMS1's first.
  public private(set) var temperature: [Double]
  /// Index of each module's first cell, and the count of all cells at the end.
  public let moduleStarts: [Int]
  private let table: [Double]
  /// °C around the battery.
  public var ambient: Double
  /// Ω of a balancing resistor: 3.7 V / 33 Ω = 112 mA (less than 120 mA by the manual).
  static let balancingResistance = 33.0
  /// J/K and W/K of a module: an hour to settle.
  private static let heatCapacity = 9000.0
  private static let heatLoss = 2.5

  /// How a pack is made.
  public struct Build: Sendable {
    /// Cells of each module.
    public var modules: [Int]
    /// Whether the cells are LFP; else Li-ion.
    public var isLFP = true
    /// Ah.
    public var capacity = 100.0
    /// Share of it by which cells differ, one deviation.
    public var capacitySpread = 0.01
    /// Share of full charge at the start.
    public var stateOfCharge = 0.5
    /// Share of full charge by which cells differ, one deviation.
    public var stateOfChargeSpread = 0.003
    /// Ω.
    public var resistance = 0.001
    /// °C.
    public var ambient = 22.0

    /// A pack of these modules.
    public init(modules: [Int]) { self.modules = modules }
  }

  /// Makes the cells with their spread.
  public init(_ build: Build, random: inout SplitMix64) {
    let count = build.modules.reduce(0, +)
    charge = (0..<count).map { _ in min(1, max(0, build.stateOfCharge + build.stateOfChargeSpread * random.normal())) }
    capacity = (0..<count).map { _ in max(0.1, build.capacity * (1 + build.capacitySpread * random.normal())) * 3600 }
    resistance = (0..<count).map { _ in build.resistance * (1 + 0.05 * random.normal()) }
    var starts = [0]
    for cells in build.modules { starts.append((starts.last ?? 0) + cells) }
    moduleStarts = starts
    ambient = build.ambient
    temperature = build.modules.map { _ in build.ambient }
    let steps = OpenCircuitVoltage.table(isLFP: build.isLFP)
    table = (0..<11).map { Double(steps[$0]) / 10_000 }
    voltage = [Double](repeating: 0, count: count)
    step(current: 0, seconds: 0, balancing: [])
  }

  /// Sum of all cells, V.
  public var total: Double { voltage.reduce(0, +) }

  /// Lets a current flow for a time; positive charges.
  /// - Parameter balancing: a mask of cells for each module; empty = none.
  public mutating func step(current: Double, seconds: Double, balancing: [UInt16]) {
    let modules = temperature.count
    var heatShare = 0.0
    if let first = resistance.first { heatShare = current * current * first }
    table.withUnsafeBufferPointer { table in
      for module in 0..<modules {
        let end = moduleStarts[module + 1]
        let mask = module < balancing.count ? balancing[module] : 0
        for cell in moduleStarts[module]..<end {
          let isBalanced = mask & 1 << UInt16(truncatingIfNeeded: cell - moduleStarts[module]) != 0
          let own = isBalanced ? current - voltage[cell] / CellPack.balancingResistance : current
          // Beyond full and empty the voltage runs away, as it does in a cell.
          let share = min(1.2, max(-0.2, charge[cell] + own * seconds / capacity[cell]))
          charge[cell] = share
          let place = min(9.999, max(0, share * 10))
          let index = Int(place)
          let rest = place - Double(index)
          var open = table[index] + (table[index + 1] - table[index]) * rest
          if share > 1 { open += (share - 1) * 10 } else if share < 0 { open += share * 12 }
          voltage[cell] = max(0, open + own * resistance[cell])
        }
        let power = heatShare * Double(end - moduleStarts[module]) - (temperature[module] - ambient) * CellPack.heatLoss
        temperature[module] += power * seconds / CellPack.heatCapacity
      }
    }
  }

  /// Puts a cell at a charge and an ambient at once, for faults.
  public mutating func setCharge(_ share: Double, cell: Int) { if charge.indices.contains(cell) { charge[cell] = share } }
  /// Puts a module at a temperature, °C.
  public mutating func setTemperature(_ celsius: Double, module: Int) {
    if temperature.indices.contains(module) { temperature[module] = celsius }
  }
}
