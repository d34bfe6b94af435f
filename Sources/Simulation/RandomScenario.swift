import Controller

extension Scenario {
  /// A system from a seed: battery, configuration, load and faults by chance.
  /// - Parameter days: virtual time.
  public static func random(seed: UInt64, days: Double) -> Scenario {
    var random = SplitMix64(seed: seed)
    var scenario = Scenario()
    scenario.name = "random \(seed)"
    scenario.seed = seed
    scenario.duration = days * 86_400
    let isLFP = random.unit() < 0.5
    var configuration = Configuration(preset: isLFP ? .lfp : .liIon)
    let perModule = Int32(7 + random.below(8))
    // At most 800 V at charge disable, and the slots of two chains.
    let most = min(Int32(800 / (isLFP ? 3.55 : 4.1)) / perModule, 400 / perModule)
    let modules = 1 + Int32(random.below(Int(max(1, min(30, most)))))
    configuration[.bms1Slaves] = min(15, modules)
    configuration[.bms2Slaves] = max(0, modules - 15)
    if modules <= 15, modules > 1, random.unit() < 0.4 {
      configuration[.bms2Slaves] = modules / 2
      configuration[.bms1Slaves] = modules - modules / 2
    }
    configuration[.bms1Cells] = perModule
    configuration[.bms2Cells] = perModule
    configuration[.cellCount] = modules * perModule
    configuration[.capacity] = Int32(20_000 + random.below(280_000))
    configuration[.chargeCurrentMax] = Int32(5000 + random.below(45_000))
    configuration[.dischargeCurrentMax] = Int32(5000 + random.below(45_000))
    for chain in ChainNumber.allCases {
      for module in 0..<configuration.slaves(chain) {
        configuration.setSensors(UInt8(truncatingIfNeeded: random.next()) & 0x1F, ofModule: chain.index * 15 + module)
      }
    }
    scenario.configuration = configuration
    scenario.pack = CellPack.Build(modules: [Int](repeating: Int(perModule), count: Int(modules)))
    scenario.pack.isLFP = isLFP
    scenario.pack.capacity = Double(configuration[.capacity]) / 1000
    scenario.pack.capacitySpread = random.between(0, 0.03)
    scenario.pack.stateOfCharge = random.between(0.1, 0.9)
    scenario.pack.stateOfChargeSpread = random.between(0, 0.02)
    scenario.pack.resistance = random.between(0.0003, 0.003)
    scenario.pack.ambient = random.between(8, 38)
    scenario.currentOffset = random.between(-0.1, 0.1)
    scenario.load.period = 86_400
    var time = 0.0
    while time < 86_400 {
      scenario.load.steps.append(.init(at: time, current: random.unit() < 0.2 ? 0 : random.between(-60, 60)))
      time += random.between(20, 14_400)
    }
    let count = Int(random.between(0, 4 * max(1, days)))
    for _ in 0..<count {
      let at = random.between(20, scenario.duration)
      let length = random.unit() < 0.5 ? random.between(0.2, 30) : random.between(30, 4000)
      scenario.faults.append(Fault(at: at, until: at + length, kind(configuration, &random)))
    }
    scenario.faults.sort { $0.at < $1.at }
    return scenario
  }

  private static func kind(_ configuration: Configuration, _ random: inout SplitMix64) -> Fault.Kind {
    let chain: ChainNumber = configuration[.bms2Slaves] > 0 && random.unit() < 0.5 ? .bms2 : .bms1
    let module = 1 + random.below(configuration.slaves(chain))
    let cell = 1 + random.below(configuration.cellsPerModule(chain))
    switch random.below(18) {
    case 0: return .cellVoltage(chain, module: module, cell: cell, volts: random.between(1, 5))
    case 1: return .brokenSenseWire(chain, module: module, cell: cell)
    case 2: return .sensorOpen(chain, module: module, sensor: 1 + random.below(5))
    case 3: return .sensorShorted(chain, module: module, sensor: 1 + random.below(5))
    case 4: return .temperature(chain, module: module, celsius: random.between(-40, 90))
    case 5: return .slaveDead(chain, module: module)
    case 6: return .chainCut(chain, module: module)
    case 7: return .noise(chain, percent: random.between(1, 100))
    case 8: return .pduSilent
    case 9: return .contactorWelded(isPositive: random.unit() < 0.5)
    case 10: return .contactorStuckOpen(isPositive: random.unit() < 0.5)
    case 11: return .outputShorted
    case 12: return .currentDrift(amperes: random.between(-5, 5))
    case 13: return .outputGain(random.between(0.8, 1.1))
    case 14: return .supplyDip
    case 15: return .configurationCorrupted
    case 16: return .clockJump(seconds: random.between(-5000, 5000))
    default: return .inverterIgnoresLimits(amperes: random.between(-100, 100))
    }
  }

  /// The same with fewer faults that still breaks a rule, and no longer than needed: what to look at.
  public func shrunk(_ fails: (Scenario) -> Double?) -> Scenario {
    var best = self
    if let at = fails(best) { best.duration = min(best.duration, at + 1) }
    var index = 0
    while index < best.faults.count {
      var fewer = best
      fewer.faults.remove(at: index)
      if let at = fails(fewer) {
        best = fewer
        best.duration = min(best.duration, at + 1)
      } else {
        index += 1
      }
    }
    return best
  }
}
