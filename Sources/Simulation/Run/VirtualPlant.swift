import Controller
public import Formats
public import Protocols
public import Runtime

/// Battery, LinkSlaves, PDU and load behind a tap's lines: what a real controller is connected to, from a scenario. Plain value; time
/// is passed in, µs from 0. Lines go in and come out as they do over a wire.
public struct VirtualPlant: Sendable {
  /// What is simulated.
  public private(set) var scenario: Scenario
  /// The cells.
  public private(set) var pack: CellPack
  /// The switches as they are.
  public private(set) var switches = VirtualPDU()
  /// What the PDU lets through of its orders.
  public private(set) var orders = PDUGuard()
  /// The chains' nodes.
  public private(set) var chains: [VirtualChain] = [VirtualChain([]), VirtualChain([])]
  /// A through the battery, positive while charging.
  public private(set) var current = 0.0
  /// When each node of each chain was last asked for its cells, µs.
  public private(set) var lastRead: [[Int64]] = [[], []]
  /// Takes what it likes within what the controller said in its last `003` line; or, from a bus, what the inverter heard.
  public var heardLimits_A: (charge: Double, discharge: Double)?
  /// Faults at work now, beside those of the scenario.
  public private(set) var faults: [Fault.Kind] = []

  private var toldLimits_A: (charge: Double, discharge: Double) = (0, 0)
  private var random: SplitMix64
  private var now_us: Int64 = 0
  private var nextStep_us: Int64 = 0
  private var readings = Readings()
  private var lines: [TapLine] = []
  private var isActive: [Bool]

  /// From one step of the cells and one set of measurements to the next, µs.
  static let step_us: Int64 = 100_000

  /// The plant of a scenario, at its start.
  public init(_ scenario: Scenario) {
    self.scenario = scenario
    random = SplitMix64(seed: scenario.seed)
    pack = CellPack(scenario.pack, random: &random)
    switches.currentOffset = scenario.currentOffset
    switches.isCurrentReversed = scenario.installation.isCurrentReversed
    switches.isOutputShorted = scenario.installation.isOutputShorted
    switches.inputGain = scenario.installation.inputGain
    switches.outputGain = scenario.installation.outputGain
    switches.currentGain = scenario.installation.currentGain
    isActive = scenario.faults.map { _ in false }
    for chain in ChainNumber.allCases {
      let count = scenario.installed(chain)
      chains[chain.index] = VirtualChain((0..<count).map { _ in VirtualSlave() })
      lastRead[chain.index] = [Int64](repeating: .min, count: count)
    }
    refresh()
  }

  /// When `advance` wants to be called at the latest.
  public var wake_us: Int64 { nextStep_us }

  /// Lines to send since the last call.
  public mutating func takeLines() -> [TapLine] {
    defer { lines.removeAll(keepingCapacity: true) }
    return lines
  }

  // MARK: What comes over the line

  /// Takes a line of the controller and answers it.
  public mutating func receive(_ line: TapLine, now_us: Int64) {
    self.now_us = max(self.now_us, now_us)
    switch line {
    case .wake(let chain):
      chains[chain.index].wake(now_us: self.now_us)
      lines.append(.wake(chain))
    case .request(let chain, let frame): carry(frame, chain)
    case .pdu(.command(let contactors, let sequence, let life)):
      guard !isSilent else { return }
      orders.take(Contactors(rawValue: contactors), sequence: sequence, life_ms: life, now_us: self.now_us)
    case .pdu(.outputs(_, _, let charge, let discharge)):
      toldLimits_A = (Double(charge) / 10, Double(discharge) / 10)
    case .echo, .answer, .malformed, .pdu: break
    }
  }

  private mutating func carry(_ request: ChainFrame, _ chain: ChainNumber) {
    lines.append(.echo(chain, request))
    var noise = 0.0
    for case .noise(chain, let percent) in activeFaults { noise = percent / 100 }
    var heard: [ChainFrame] = []
    chains[chain.index].carry(request, now_us: now_us) { heard.append($0) }
    let node = Int(request.clusterID) - 1
    if request.command == .read, heard.count > 14, lastRead[chain.index].indices.contains(node) {
      lastRead[chain.index][node] = now_us
    }
    for answer in heard {
      let isHit = noise > 0 && random.unit() < noise
      lines.append(.answer(chain, isHit ? answer.damaged(1 << UInt64(random.below(Int(answer.generation.bitCount)))) : answer))
    }
  }

  /// The line to the controller is gone: the PDU opens.
  public mutating func disconnected() {
    orders.openAll()
    lines.removeAll()
  }

  // MARK: Time

  /// Lets time pass up to now.
  public mutating func advance(now_us: Int64) {
    self.now_us = max(self.now_us, now_us)
    orders.expire(self.now_us)
    while nextStep_us <= self.now_us {
      step(at: nextStep_us)
      nextStep_us += VirtualPlant.step_us
    }
  }

  private mutating func step(at time_us: Int64) {
    let now = Double(time_us) / 1e6
    let seconds = Double(VirtualPlant.step_us) / 1e6
    activate(now)
    orders.expire(time_us)
    let input = scenario.pinned?.input ?? pack.total
    switches.step(orders.contactors, input: input, now: now, seconds: seconds)
    flow(now)
    if scenario.pinned == nil { pack.step(current: current, seconds: seconds, balancing: balancing(time_us)) }
    refresh()
    guard !isSilent else { return }
    switches.read(current: current, input: scenario.pinned?.input ?? pack.total, into: &readings, random: &random)
    let supply = Int32(clamping: Int64((scenario.supply * 1000).rounded()))
    lines.append(.pdu(.current(raw: readings.currentRaw, supply_mV: supply)))
    lines.append(.pdu(.voltages(inputRaw: readings.inputRaw, outputRaw: readings.outputRaw)))
    lines.append(
      .pdu(
        .answer(
          contactors: orders.contactors.rawValue, flags: orders.flags, sequence: orders.sequence,
          measuredCheck: PDULine.measuredCheck(
            currentRaw: readings.currentRaw, supply_mV: supply, inputRaw: readings.inputRaw, outputRaw: readings.outputRaw))))
  }

  private var isSilent: Bool { activeFaults.contains(.pduSilent) }

  private mutating func flow(_ now: Double) {
    current = 0
    guard switches.isConnected else { return }
    let limits = heardLimits_A ?? toldLimits_A
    current = min(limits.charge, max(-limits.discharge, scenario.load.current(at: now)))
    for case .inverterIgnoresLimits(let amperes) in activeFaults { current = amperes }
  }

  private func balancing(_ time_us: Int64) -> [UInt16] {
    ChainNumber.allCases.flatMap { chain in
      chains[chain.index].nodes.map { node in
        let terminals = node.balancing(at: time_us)
        guard terminals != 0 else { return 0 }
        var mask: UInt16 = 0
        let perModule = scenario.configuration.cellsPerModule(chain)
        for cell in 0..<perModule where terminals & 1 << UInt16(CellMap.terminal(cell: cell, of: perModule) - 1) != 0 {
          mask |= 1 << UInt16(cell)
        }
        return mask
      }
    }
  }

  // MARK: What the nodes have to measure

  private mutating func refresh() {
    var place = 0
    for chain in ChainNumber.allCases {
      let perModule = scenario.configuration.cellsPerModule(chain)
      for module in chains[chain.index].nodes.indices {
        let start = pack.moduleStarts[place]
        let count = min(perModule, pack.moduleStarts[place + 1] - start)
        var sum = 0.0
        for cell in 0..<count {
          let volts = pinned(place, cell) ?? pack.voltage[start + cell]
          sum += volts
          chains[chain.index].nodes[module].cells[CellMap.terminal(cell: cell, of: perModule) - 1] = VirtualPlant.tenths(volts)
        }
        let stack = scenario.pinned.flatMap { place < $0.modules.count ? $0.modules[place].stack : nil } ?? sum
        chains[chain.index].nodes[module].stack_mV = UInt32(max(0, min(80_000, (stack * 1000).rounded())))
        for sensor in 0..<5 { chains[chain.index].nodes[module].analogue[sensor] = code(chain, module, place, sensor) }
        chains[chain.index].nodes[module].defect = .none
        chains[chain.index].nodes[module].openWires = 0
        place += 1
      }
      let installed = chains[chain.index].nodes.count
      chains[chain.index].cutBefore = scenario.installation.firstLost(chain, of: installed)
    }
    misassemble()
    for kind in activeFaults { disturb(kind) }
  }

  /// Exchanged wires and sensors that are not connected.
  private mutating func misassemble() {
    for place in scenario.installation.swappedSenseWires {
      let perModule = scenario.configuration.cellsPerModule(place.chain)
      guard (1..<perModule).contains(place.number) else { continue }
      let terminals = (place.number - 1...place.number + 1).map {
        CellMap.terminal(cell: min($0, perModule - 1), of: perModule) - 1
      }
      change(place.chain, place.module) {
        let middle = UInt32($0.cells[terminals[1]])
        // The slave measures 0 to 5 V: what is below reads 0, what is above reads 5 V.
        $0.cells[terminals[0]] = UInt16(min(50_000, UInt32($0.cells[terminals[0]]) + middle))
        $0.cells[terminals[1]] = 0
        guard place.number + 1 < perModule else { return }
        $0.cells[terminals[2]] = UInt16(min(50_000, UInt32($0.cells[terminals[2]]) + middle))
      }
    }
    for place in scenario.installation.openSensors where (1...5).contains(place.number) {
      change(place.chain, place.module) { $0.analogue[place.number - 1] = 0x7FFF }
    }
  }

  private static func tenths(_ volts: Double) -> UInt16 { UInt16(max(0, min(50_000, (volts * 10_000).rounded()))) }

  private func pinned(_ place: Int, _ cell: Int) -> Double? {
    guard let pinned = scenario.pinned, place < pinned.modules.count, cell < pinned.modules[place].cells.count else { return nil }
    return pinned.modules[place].cells[cell]
  }

  private func code(_ chain: ChainNumber, _ module: Int, _ place: Int, _ sensor: Int) -> UInt16 {
    var celsius = pack.temperature[place]
    if let pinned = scenario.pinned, place < pinned.modules.count, sensor < pinned.modules[place].temperatures.count {
      celsius = pinned.modules[place].temperatures[sensor]
    } else if scenario.configuration.sensors[min(29, chain.index * 15 + module)] & 1 << UInt8(sensor) == 0 {
      return 0x7FFF
    }
    return ChainConversion.temperatureCode(
      celsius, resistance: scenario.configuration[.ntcResistance], beta: scenario.configuration[.ntcBeta])
  }

  private mutating func disturb(_ kind: Fault.Kind) {
    switch kind {
    case .slaveDead(let chain, let module): change(chain, module) { $0.defect = .dead }
    case .chainCut(let chain, let module): chains[chain.index].cutBefore = module - 1
    case .sensorOpen(let chain, let module, let sensor) where (1...5).contains(sensor):
      change(chain, module) { $0.analogue[sensor - 1] = 0x7FFF }
    case .sensorShorted(let chain, let module, let sensor) where (1...5).contains(sensor):
      change(chain, module) { $0.analogue[sensor - 1] = 1 }
    case .cellVoltage(let chain, let module, let cell, let volts):
      let perModule = scenario.configuration.cellsPerModule(chain)
      guard (1...perModule).contains(cell) else { return }
      change(chain, module) { $0.cells[CellMap.terminal(cell: cell - 1, of: perModule) - 1] = VirtualPlant.tenths(volts) }
    case .brokenSenseWire(let chain, let module, let cell):
      let perModule = scenario.configuration.cellsPerModule(chain)
      guard (1...perModule).contains(cell) else { return }
      let terminal = CellMap.terminal(cell: cell - 1, of: perModule) - 1
      let neighbour = CellMap.terminal(cell: cell < perModule ? cell : cell - 2, of: perModule) - 1
      change(chain, module) {
        let both = UInt32($0.cells[terminal]) + UInt32($0.cells[neighbour])
        $0.cells[terminal] = 300
        $0.cells[neighbour] = UInt16(min(50_000, max(300, both) - 300))
        $0.openWires |= 1 << UInt16(terminal)
      }
    default: break
    }
  }

  private mutating func change(_ chain: ChainNumber, _ module: Int, _ body: (inout VirtualSlave) -> Void) {
    guard chains[chain.index].nodes.indices.contains(module - 1) else { return }
    body(&chains[chain.index].nodes[module - 1])
  }

  // MARK: Faults

  private var activeFaults: [Fault.Kind] {
    faults + scenario.faults.indices.filter { isActive[$0] }.map { scenario.faults[$0].kind }
  }

  private mutating func activate(_ now: Double) {
    for (index, fault) in scenario.faults.enumerated() {
      let isDue = now + 1e-9 >= fault.at && now < fault.until ?? .infinity
      if isDue != isActive[index] {
        isActive[index] = isDue
        switched(fault.kind, isDue)
      }
    }
    for case .temperature(let chain, let module, let celsius) in activeFaults {
      pack.setTemperature(celsius, module: (chain == .bms1 ? 0 : scenario.installed(.bms1)) + module - 1)
    }
  }

  /// Lets a fault begin.
  public mutating func begin(_ kind: Fault.Kind) {
    guard !faults.contains(kind) else { return }
    faults.append(kind)
    switched(kind, true)
  }

  /// What the inverter wants from now on, A.
  public mutating func setLoad(_ amperes: Double) {
    scenario.load.steps = [.init(at: 0, current: amperes)]
    scenario.load.period = nil
  }

  /// Ends a fault that was begun with `begin`.
  public mutating func end(_ kind: Fault.Kind) {
    guard let place = faults.firstIndex(of: kind) else { return }
    faults.remove(at: place)
    switched(kind, false)
  }

  /// Ends all faults that were begun with `begin`.
  public mutating func repair() {
    for kind in faults { switched(kind, false) }
    faults.removeAll()
  }

  private mutating func switched(_ kind: Fault.Kind, _ isOn: Bool) {
    switch kind {
    case .contactorWelded(let isPositive): setDefect(isOn ? .welded : .none, isPositive)
    case .contactorStuckOpen(let isPositive): setDefect(isOn ? .stuckOpen : .none, isPositive)
    case .outputShorted: switches.isOutputShorted = isOn
    case .currentDrift(let amperes): switches.currentOffset += isOn ? amperes : -amperes
    case .outputGain(let gain): switches.outputGain = isOn ? gain : 1
    default: break
    }
  }

  private mutating func setDefect(_ defect: VirtualPDU.Defect, _ isPositive: Bool) {
    if isPositive { switches.positiveDefect = defect } else { switches.negativeDefect = defect }
  }
}
