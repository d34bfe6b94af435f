public import Bus
public import Controller
public import Formats
import Protocols
import Runtime
private import Glibc

/// Engine, chains, PDU, cells and inverter in one virtual time. Everything comes from a scenario and its seed.
public struct Simulator: Sendable {
  /// What is simulated.
  public private(set) var scenario: Scenario
  /// The controller.
  public private(set) var engine: Engine
  /// What it was given last.
  public private(set) var readings = Readings()
  /// The cells.
  public private(set) var pack: CellPack
  /// The switches.
  public private(set) var pdu = VirtualPDU()
  /// Seconds since the start.
  public private(set) var now = 0.0
  /// A through the battery, positive while charging.
  public private(set) var current = 0.0
  /// The command of the last step.
  public private(set) var command = Command.none
  /// Times the controller has started, and with what state the last time.
  public private(set) var starts = 1
  /// What the controller had stored at its last start.
  public private(set) var startState: PersistentState?
  /// No step is longer, s: for those who want to see a precharge in detail.
  public var longestStep = 1.0
  /// Orders of a person, one a step.
  private var orders: [Command] = []
  /// Checks every step.
  public private(set) var auditor: Auditor

  /// The chains frame by frame, where the scenario wants that.
  public var links: [ChainLink] = []

  /// The bus to the inverter, where the scenario has one.
  public private(set) var bus: LinkWorld?

  /// The inverter's further battery ports, each a bus of its own with a controller that says the same (Deye has two).
  public private(set) var otherPorts: [LinkWorld] = []

  private var random: SplitMix64
  private var clock_ns: Int64
  private var nextScan = 0.2
  private var isActive: [Bool]
  private var stored: PersistentState?
  private var storedAt = 0.0
  private var openTemperature: Int16
  private var soundAt = 0.0
  private let isMisassembled: Bool
  private var isWrongBattery: Bool {
    isMisassembled
      || ChainNumber.allCases.contains { scenario.installed($0) != scenario.configuration.slaves($0) }
  }

  /// The start's time in what is passed to the engine: 2026-01-01 00:00 UTC, so that recordings carry a date.
  public static let epoch_ns: Int64 = 1_767_225_600_000_000_000

  /// A system as the scenario describes it, at its start.
  /// - Parameter isHeld: starts with the contactors kept open until they are released.
  public init(_ scenario: Scenario, isHeld: Bool = false) {
    self.scenario = scenario
    isMisassembled = scenario.installation != Installation()
    random = SplitMix64(seed: scenario.seed)
    engine = Engine(configuration: scenario.configuration, isHeld: isHeld)
    startState = scenario.state
    if let state = scenario.state { engine.restore(state) }
    pack = CellPack(scenario.pack, random: &random)
    pdu.currentOffset = scenario.currentOffset
    pdu.isCurrentReversed = scenario.installation.isCurrentReversed
    pdu.isOutputShorted = scenario.installation.isOutputShorted
    pdu.inputGain = scenario.installation.inputGain
    pdu.outputGain = scenario.installation.outputGain
    pdu.currentGain = scenario.installation.currentGain
    clock_ns = Simulator.epoch_ns
    isActive = scenario.faults.map { _ in false }
    auditor = Auditor(scenario.configuration)
    openTemperature = Simulator.openTemperature(scenario.configuration)
    if scenario.isFrameLevel {
      links = ChainNumber.allCases.filter { scenario.configuration.slaves($0) > 0 }.map {
        ChainLink($0, scenario.configuration, nodes: scenario.installed($0))
      }
    }
    readings.supply_mV = Int32(clamping: Int64((scenario.supply * 1000).rounded()))
  }

  /// What an open sensor computes to, 0.1 °C: one code below the end of 15 bits, pull-up 10 kΩ (linkslave-chain.md §9.3).
  static func openTemperature(_ configuration: Configuration) -> Int16 {
    let resistance = 10_000.0 * 32_767
    let beta = Double(configuration[.ntcBeta])
    let kelvin = 1 / (1 / 298.15 + log(resistance / Double(max(1, configuration[.ntcResistance]))) / beta)
    return Int16(max(-2731, min(32_767, ((kelvin - 273.15) * 10).rounded())))
  }

  /// Puts the controller and an inverter on one bus.
  /// - Returns: whether both sides can be played in this protocol.
  public mutating func connect(_ link: CompiledLink, other: CompiledLink? = nil) -> Bool {
    bus = LinkWorld(link, faults: scenario.linkFaults, other: other, seed: scenario.seed)
    guard bus != nil, let wanted = scenario.link else { return bus != nil }
    let known = link.definition.sidecar.handshake.quirks
    let quirks = wanted.quirks == ["all"] ? known : known.filter { wanted.quirks.contains($0.key) }
    bus?.adopt(quirks: quirks)
    for address in wanted.furtherBatteries { if bus?.addBattery(address: address) != true { return false } }
    for port in 1..<max(1, wanted.ports) {
      guard var world = LinkWorld(link, seed: scenario.seed &+ UInt64(port)) else { return false }
      world.adopt(quirks: quirks)
      otherPorts.append(world)
    }
    return true
  }

  /// What passed on the bus since the last call, in order of time; `bus` 0 is the first port.
  public mutating func takeFrames() -> [CANRecord] {
    var records = bus?.takeRecords() ?? []
    guard !otherPorts.isEmpty else { return records }
    for index in otherPorts.indices {
      for var record in otherPorts[index].takeRecords() {
        record.bus = BusID(UInt16(index + 1))
        records.append(record)
      }
    }
    return records.enumerated().sorted {
      ($0.element.time.nanoseconds, $0.offset) < ($1.element.time.nanoseconds, $1.offset)
    }.map(\.element)
  }

  /// Puts a controller that speaks `battery` and an inverter that speaks `inverter` on one bus.
  /// - Returns: whether both can be played.
  public mutating func connect(inverter: CompiledLink, battery: CompiledLink) -> Bool {
    bus = LinkWorld(inverter, faults: scenario.linkFaults, seed: scenario.seed)
    bus?.replaceBattery(battery)
    bus?.isCut = scenario.installation.isCANOnWrongPort
    return bus != nil
  }

  /// The controller speaks something else from now on.
  public mutating func speak(_ battery: CompiledLink) { bus?.replaceBattery(battery) }

  /// Whether the controller says nothing to the inverter.
  public mutating func mute(_ isMute: Bool) { bus?.isBatteryMute = isMute }

  /// What a person asks of the controller; done in the next steps, one in each.
  public mutating func order(_ command: Command) { orders.append(command) }

  /// The time passed to the engine, ns.
  public var time_ns: Int64 { clock_ns }

  /// Whether the system stands still enough for steps of a second.
  private var isQuiet: Bool {
    let outputs = engine.outputs
    switch outputs.status {
    case .running, .warning:
      return outputs.contactors == [.negative, .positive] && !(outputs.isChargingForbidden && outputs.isDischargingForbidden)
    case .checking: return false
    default: return outputs.contactors.isEmpty
    }
  }

  /// One step: a second where nothing moves, a tenth where it does. Returns its length in seconds.
  @discardableResult
  public mutating func step() -> Double {
    let seconds = isQuiet ? 1.0 : 0.1
    let length = min(seconds, longestStep, max(0.001, nextFaultTime - now))
    now += length
    clock_ns += Int64((length * 1e9).rounded())
    readings.arrived = []
    command = .none
    applyFaults()
    obeyPerson()
    flow(length)
    measure()
    if case .none = command {} else { auditor.commanded(command) }
    engine.step(now_ns: clock_ns, readings, command)
    if now - storedAt >= 60 {
      stored = engine.persistentState
      storedAt = now
    }
    // Two minutes after the last fault: its traces are gone by then.
    if isActive.contains(true) || isWrongBattery { soundAt = now + 120 }
    let theirs = inverterValues
    bus?.run(until: Int64(now * 1e6), battery: QuantityValues(engine), inverter: theirs)
    for index in otherPorts.indices {
      otherPorts[index].run(until: Int64(now * 1e6), battery: QuantityValues(engine), inverter: theirs)
    }
    auditor.isSound = now >= soundAt
    auditor.check(engine, readings, now: now, seconds: length)
    return length
  }

  /// A fault's own command goes first.
  private mutating func obeyPerson() {
    guard !orders.isEmpty, case .none = command else { return }
    command = orders.removeFirst()
    if case .configure(let configuration) = command, configuration.violationCount == 0 { scenario.configuration = configuration }
  }

  private var nextFaultTime: Double {
    var next = Double.infinity
    for fault in scenario.faults {
      if fault.at > now { next = min(next, fault.at) }
      if let until = fault.until, until > now { next = min(next, until) }
    }
    return next
  }

  // MARK: What flows

  private mutating func flow(_ seconds: Double) {
    let outputs = engine.outputs
    let input = scenario.pinned?.input ?? pack.total
    pdu.step(outputs.contactors, input: input, now: now, seconds: seconds)
    let wanted = heard(scenario.load.current(at: now))
    current = 0
    if pdu.isConnected {
      // On a bus an inverter knows only what it has heard, and minds it as far as it does.
      let allowed = min(Double(outputs.chargeLimit_mA) / 1000, max(-Double(outputs.dischargeLimit_mA) / 1000, wanted))
      current = bus == nil ? allowed : wanted
      for (index, fault) in scenario.faults.enumerated() where isActive[index] {
        if case .inverterIgnoresLimits(let amperes) = fault.kind { current = amperes }
      }
    }
    if scenario.pinned == nil {
      pack.step(current: current, seconds: seconds, balancing: balancingMasks())
    }
  }

  /// An inverter on a bus takes what it has heard is allowed, and nothing while it is not online; one with several ports its share at each.
  private mutating func heard(_ wanted: Double) -> Double {
    guard bus != nil else { return wanted }
    let ports = Double(1 + otherPorts.count)
    var current = bus?.current(wanted: wanted / ports) ?? 0
    for index in otherPorts.indices { current += otherPorts[index].current(wanted: wanted / ports) }
    return current
  }

  /// What the inverter measures at its terminals.
  private var inverterValues: QuantityValues {
    var values = QuantityValues()
    values[.inverterVoltage] = Int64(pdu.output * 1000)
    values[.inverterCurrent] = Int64(-current * 1000)
    values[.inverterTemperature] = 35_000
    values[.soc] = Int64(engine.values.stateOfCharge) * 10
    values[.inverterTime] = clock_ns / 1_000_000_000 * 1000
    return values
  }

  /// The engine's masks in the pack's order of modules.
  private func balancingMasks() -> [UInt16] {
    guard engine.outputs.digital.contains(.balancing) else { return [] }
    let masks = engine.outputs.balancing
    return modulePlaces.map { masks[$0] }
  }

  /// The module slot (0…29) of each module of the pack.
  private var modulePlaces: [Int] {
    ChainNumber.allCases.flatMap { chain in (0..<scenario.installed(chain)).map { chain.index * 15 + $0 } }
  }

  // MARK: What is measured

  private mutating func measure() {
    let isPDUSilent = isOn { $0 == .pduSilent }
    if !isPDUSilent {
      pdu.read(current: current, input: scenario.pinned?.input ?? pack.total, into: &readings, random: &random)
    }
    if scenario.isFrameLevel { return measureByFrames() }
    guard now + 1e-9 >= nextScan else { return }
    nextScan = max(nextScan + 1, now)
    var module = 0
    for chain in ChainNumber.allCases {
      let count = scenario.installed(chain)
      if count > 0 { scan(chain, firstModule: module, count) }
      module += count
    }
  }

  /// The cells' voltages go to the nodes, the masters talk to them, and what they read goes to the controller.
  private mutating func measureByFrames() {
    // The same readings as scan by scan, faults included, are what the nodes have to measure.
    var module = 0
    for index in links.indices {
      let chain = links[index].number
      let count = scenario.installed(chain)
      let perModule = scenario.configuration.cellsPerModule(chain)
      var wanted = self
      wanted.fillAll(chain, firstModule: module, count)
      module += count
      links[index].noise = 0
      links[index].allowDiagnosis(!engine.outputs.contactors.contains(.precharge))
      links[index].chain.cutBefore = scenario.installation.firstLost(chain, of: count)
      for node in 0..<count {
        links[index].chain.nodes[node].defect = .none
        links[index].chain.nodes[node].openWires = 0
        let slot = chain.index * 15 + node
        for cell in 0..<perModule {
          links[index].chain.nodes[node].cells[CellMap.terminal(cell: cell, of: perModule) - 1] =
            wanted.readings.cells[chain.index * Readings.chainCells + node * perModule + cell]
        }
        links[index].chain.nodes[node].stack_mV = UInt32(max(0, wanted.readings.stacks[slot]))
        for sensor in 0..<5 {
          let bit: UInt8 = 1 << UInt8(sensor)
          let celsius = Double(wanted.readings.temperatures[slot * 5 + sensor]) / 10
          links[index].chain.nodes[node].analogue[sensor] =
            wanted.readings.openSensors[slot] & bit != 0
            ? 0x7FFF
            : wanted.readings.shortedSensors[slot] & bit != 0
              ? 1
              : ChainConversion.temperatureCode(
                celsius, resistance: scenario.configuration[.ntcResistance], beta: scenario.configuration[.ntcBeta])
        }
      }
      for (place, fault) in scenario.faults.enumerated() where isActive[place] {
        switch fault.kind {
        case .slaveDead(chain, let dead) where (1...count).contains(dead): links[index].chain.nodes[dead - 1].defect = .dead
        case .brokenSenseWire(chain, let broken, let cell) where (1...count).contains(broken) && (1...perModule).contains(cell):
          links[index].chain.nodes[broken - 1].openWires |= 1 << UInt16(CellMap.terminal(cell: cell - 1, of: perModule) - 1)
        case .chainCut(chain, let cut): links[index].chain.cutBefore = cut - 1
        case .noise(chain, let percent): links[index].noise = percent / 100
        default: break
        }
      }
      for node in 0..<scenario.configuration.slaves(chain) {
        links[index].balance(engine.outputs.balancing[chain.index * 15 + node], module: node)
      }
      switch links[index].run(until: Int64(now * 1e6), random: &random) {
      case .complete:
        links[index].write(to: &readings, scenario.configuration)
        readings.arrived.insert(.scan(chain))
        readings.lostModules[chain.index] = 255
      case .failed(let fault):
        readings.arrived.insert(.failure(chain))
        readings.lostModules[chain.index] = fault.place
      case nil: break
      }
    }
  }

  /// Readings of a chain as the plant has them, faults included.
  private mutating func fillAll(_ chain: ChainNumber, firstModule: Int, _ count: Int) {
    for module in 0..<count {
      let start = pack.moduleStarts[firstModule + module]
      fill(chain, module, firstModule + module, start, pack.moduleStarts[firstModule + module + 1] - start)
    }
    disturb(chain)
  }

  private func isOn(_ matches: (Fault.Kind) -> Bool) -> Bool {
    for (index, fault) in scenario.faults.enumerated() where isActive[index] && matches(fault.kind) { return true }
    return false
  }

  /// One scan of a chain, with its faults.
  private mutating func scan(_ chain: ChainNumber, firstModule: Int, _ count: Int) {
    var lost: Int?
    for (index, fault) in scenario.faults.enumerated() where isActive[index] {
      switch fault.kind {
      case .slaveDead(chain, let module), .chainCut(chain, let module): lost = min(lost ?? .max, module - 1)
      case .noise(chain, let percent): if random.unit() * 100 < percent { lost = lost ?? 255 }
      default: break
      }
    }
    if let unreached = scenario.installation.firstLost(chain, of: count) { lost = min(lost ?? .max, unreached) }
    if let lost, lost == 255 || lost < count {
      readings.arrived.insert(.failure(chain))
      readings.lostModules[chain.index] = UInt8(clamping: lost)
      return
    }
    readings.arrived.insert(.scan(chain))
    readings.lostModules[chain.index] = 255
    readings.moduleCounts[chain.index] = UInt8(clamping: count)
    var cells = 0
    let isOtherCount = scenario.installedCells(chain) != scenario.configuration.cellsPerModule(chain)
    for module in 0..<count {
      let start = pack.moduleStarts[firstModule + module]
      let own = pack.moduleStarts[firstModule + module + 1] - start
      fill(chain, module, firstModule + module, start, own)
      // A slave measures the terminals that it is told to measure, connected or not.
      cells += isOtherCount ? scenario.configuration.cellsPerModule(chain) : own
    }
    readings.cellCounts[chain.index] = UInt16(clamping: cells)
    disturb(chain)
  }

  private mutating func fill(_ chain: ChainNumber, _ module: Int, _ place: Int, _ start: Int, _ count: Int) {
    let slot = chain.index * 15 + module
    let perModule = scenario.configuration.cellsPerModule(chain)
    var sum = 0.0
    for cell in 0..<count { sum += pack.voltage[start + cell] }
    let soldered = count == perModule ? nil : Installation.read(Array(pack.voltage[start..<start + count]), as: perModule)
    for cell in 0..<perModule {
      let volts = soldered?[cell] ?? pack.voltage[start + cell]
      let target = chain.index * Readings.chainCells + module * perModule + cell
      // A slave's step is 0.15 mV; noise of one of them.
      if target < 420 {
        readings.cells[target] = UInt16(max(0, min(65_535, (volts * 10_000 + random.between(-1, 1)).rounded())))
      }
    }
    readings.stacks[slot] = Int32(max(0, min(1e6, (sum * 1000).rounded())))
    let enabled = scenario.configuration.sensors[slot]
    var open: UInt8 = 0
    for sensor in 0..<5 {
      if enabled & 1 << UInt8(sensor) != 0 {
        readings.temperatures[slot * 5 + sensor] = scenario.installation.temperature(
          pack.temperature[place], scenario.configuration)
      } else {
        readings.temperatures[slot * 5 + sensor] = openTemperature
        open |= 1 << UInt8(sensor)
      }
    }
    readings.openSensors[slot] = open
    readings.shortedSensors[slot] = 0
    if let pinned = scenario.pinned, place < pinned.modules.count { pin(pinned.modules[place], chain, module, slot, perModule) }
  }

  private mutating func pin(_ given: Scenario.Pinned.Module, _ chain: ChainNumber, _ module: Int, _ slot: Int, _ perModule: Int) {
    for (cell, volts) in given.cells.prefix(perModule).enumerated() {
      let target = chain.index * Readings.chainCells + module * perModule + cell
      if target < 420 { readings.cells[target] = UInt16(max(0, min(65_535, (volts * 10_000).rounded()))) }
    }
    readings.stacks[slot] = Int32(max(0, min(1e6, (given.stack * 1000).rounded())))
    for (sensor, celsius) in given.temperatures.prefix(5).enumerated() {
      readings.temperatures[slot * 5 + sensor] = Int16(max(-2731, min(32_767, (celsius * 10).rounded())))
      // Beyond code 0x7F00 a sensor is open: below −54 °C at beta 3950.
      if celsius < -54 {
        readings.openSensors[slot] |= 1 << UInt8(sensor)
      } else {
        readings.openSensors[slot] &= ~(1 << UInt8(sensor))
      }
    }
  }

  /// Faults that change what a scan reads.
  private mutating func disturb(_ chain: ChainNumber) {
    let perModule = scenario.configuration.cellsPerModule(chain)
    func slot(_ module: Int, _ cell: Int) -> Int? {
      guard (1...15).contains(module), (1...perModule).contains(cell) else { return nil }
      return chain.index * Readings.chainCells + (module - 1) * perModule + cell - 1
    }
    scenario.installation.disturb(chain, scenario.configuration, openTemperature: openTemperature, &readings)
    for (index, fault) in scenario.faults.enumerated() where isActive[index] {
      switch fault.kind {
      case .cellVoltage(chain, let module, let cell, let volts):
        if let target = slot(module, cell) { readings.cells[target] = UInt16(max(0, min(65_535, volts * 10_000))) }
      case .brokenSenseWire(chain, let module, let cell):
        if let target = slot(module, cell) {
          let other = cell < perModule ? target + 1 : target - 1
          let both = UInt32(readings.cells[target]) + UInt32(readings.cells[other])
          readings.cells[target] = 300
          readings.cells[other] = UInt16(min(50_000, both - 300))
        }
      case .sensorOpen(chain, let module, let sensor) where (1...15).contains(module) && (1...5).contains(sensor):
        readings.openSensors[chain.index * 15 + module - 1] |= 1 << UInt8(sensor - 1)
        readings.temperatures[(chain.index * 15 + module - 1) * 5 + sensor - 1] = openTemperature
      case .sensorShorted(chain, let module, let sensor) where (1...15).contains(module) && (1...5).contains(sensor):
        readings.shortedSensors[chain.index * 15 + module - 1] |= 1 << UInt8(sensor - 1)
        readings.temperatures[(chain.index * 15 + module - 1) * 5 + sensor - 1] = 1880
      default: break
      }
    }
  }

  // MARK: Faults

  private mutating func applyFaults() {
    for (index, fault) in scenario.faults.enumerated() {
      let isDue = now + 1e-9 >= fault.at && now < fault.until ?? .infinity
      if isDue != isActive[index] {
        isActive[index] = isDue
        change(fault.kind, isDue)
      }
      if isDue, case .temperature(let chain, let module, let celsius) = fault.kind {
        pack.setTemperature(celsius, module: (chain == .bms1 ? 0 : scenario.installed(.bms1)) + module - 1)
      }
    }
  }

  private mutating func change(_ kind: Fault.Kind, _ isOn: Bool) {
    switch kind {
    case .contactorWelded(let isPositive): setDefect(isOn ? .welded : .none, isPositive)
    case .contactorStuckOpen(let isPositive): setDefect(isOn ? .stuckOpen : .none, isPositive)
    case .outputShorted: pdu.isOutputShorted = isOn
    case .currentDrift(let amperes): pdu.currentOffset += isOn ? amperes : -amperes
    case .outputGain(let gain): pdu.outputGain = isOn ? gain : 1
    case .supplyDip where isOn: restart()
    case .configurationCorrupted: command = isOn ? .configurationUnreadable : .configure(scenario.configuration)
    case .clockJump(let seconds) where isOn: clock_ns += Int64(seconds * 1e9)
    case .reset where isOn: command = .reset
    default: break
    }
  }

  private mutating func setDefect(_ defect: VirtualPDU.Defect, _ isPositive: Bool) {
    if isPositive { pdu.positiveDefect = defect } else { pdu.negativeDefect = defect }
  }

  /// Power comes back: a new engine with what was stored, a minute old at most.
  private mutating func restart() {
    engine = Engine(configuration: scenario.configuration, isHeld: engine.isHeld)
    startState = stored ?? scenario.state
    if let startState { engine.restore(startState) }
    starts += 1
    auditor.restarted()
  }
}
