import Bus
import Controller
import Formats
public import Protocols
public import Runtime

/// A run in virtual time: the controller's runtime as it is, a plant behind two taps (chains, PDU), an inverter on a bus, and faults
/// of everything between them.
public struct RunWorld: Sendable {
  /// The controller.
  public private(set) var runtime: ControllerRuntime
  /// What it controls.
  public private(set) var plant: VirtualPlant
  /// The inverter, where there is one.
  public private(set) var inverter: Session?
  /// What must always hold.
  public private(set) var auditor = RunAuditor()
  /// The log so far, with virtual times.
  public private(set) var notes: [Note] = []
  /// What goes wrong, by time.
  public private(set) var faults: [RunFault]
  /// µs since the start.
  public private(set) var now_us: Int64 = 0

  /// The tap of the chains, and that of the PDU.
  public static let chainLine = 0
  /// The tap of the PDU.
  public static let pduLine = 1

  private var isActive: [Bool]
  private var heldUp: (toPlant: [TapLine], toRuntime: [TapLine]) = ([], [])
  private var leap_us: Int64 = 0
  /// Frames of the run that the inverter's controller has acknowledged.
  private var acknowledged: UInt64 = 0
  private var inverterWake_us: Int64 = 0
  private var sound_us: Int64 = 0

  /// A run of a scenario, at its start.
  /// - Parameters:
  ///   - battery: the battery's end of the link; `nil` = no bus.
  ///   - inverter: the other end.
  ///   - faults: what goes wrong around the run.
  ///   - change: what is to be set otherwise.
  public init(
    _ scenario: Scenario, battery: Session? = nil, inverter: Session? = nil, faults: [RunFault] = [],
    change: (inout RunSettings) -> Void = { _ in }
  ) {
    var settings = RunSettings(configuration: scenario.configuration)
    settings.state = scenario.state
    settings.sessions = battery.map { [$0] } ?? []
    settings.chainLines = (RunWorld.chainLine, RunWorld.chainLine)
    settings.pduLine = RunWorld.pduLine
    settings.start_ns = Simulator.epoch_ns
    change(&settings)
    runtime = ControllerRuntime(settings)
    plant = VirtualPlant(scenario)
    self.inverter = inverter
    self.faults = faults
    isActive = faults.map { _ in false }
  }

  /// Adds a fault; it may begin now.
  public mutating func add(_ fault: RunFault) {
    faults.append(fault)
    isActive.append(false)
  }

  /// Other faults than those it was made with, before it runs.
  public mutating func replaceFaults(_ faults: [RunFault]) {
    self.faults = faults
    isActive = faults.map { _ in false }
  }

  private func isOn(_ kind: RunFault.Kind) -> Bool {
    for index in faults.indices where isActive[index] && faults[index].kind == kind { return true }
    return false
  }

  /// The run's own clock.
  private var clock_us: Int64 { now_us + leap_us }

  /// Lets time pass.
  public mutating func run(seconds: Double) {
    let end = now_us + Int64(seconds * 1e6)
    while now_us < end, auditor.count == 0 {
      var next = min(end, plant.wake_us)
      if !isOn(.stalled) { next = min(next, runtime.wake_us - leap_us) }
      if inverter != nil { next = min(next, inverterWake_us) }
      for fault in faults {
        for edge in [fault.at, fault.until] {
          let edge_us = Int64(edge * 1e6)
          if edge_us > now_us { next = min(next, edge_us) }
        }
      }
      now_us = max(now_us, next)
      turn()
      // Whatever is due again at once gets the next µs.
      if !isOn(.stalled), runtime.wake_us - leap_us <= now_us { now_us += 1 }
    }
  }

  /// Everything that is due now.
  private mutating func turn() {
    applyFaults()
    plant.advance(now_us: now_us)
    let isStalled = isOn(.stalled)
    talkInverter()
    if !isStalled {
      deliver()
      runtime.acknowledged(0, count: acknowledged, now_us: clock_us)
      var turns = 0
      repeat {
        runtime.advance(now_us: clock_us)
        turns += 1
      } while exchange() && turns < 20_000
      for note in runtime.takeNotes() {
        notes.append(note)
        auditor.read(note, now_us: now_us)
      }
      _ = runtime.takeStore()
    }
    for index in faults.indices where isActive[index] {
      if case .clockJump = faults[index].kind { continue }
      sound_us = now_us + 40_000_000
    }
    auditor.look(runtime, plant, now_us: now_us, isStalled: isStalled, isSound: now_us >= sound_us)
  }

  /// What the plant has said so far.
  private mutating func deliver() {
    for line in plant.takeLines() { toRuntime(line) }
  }

  private mutating func toRuntime(_ line: TapLine) {
    if case .pdu = line {
      if isOn(.pduLineLost) { return }
      if isOn(.pduHeldUp) { return heldUp.toRuntime.append(line) }
      runtime.receive(line, line: RunWorld.pduLine, now_us: clock_us)
    } else if !isOn(.chainLineLost) {
      runtime.receive(line, line: RunWorld.chainLine, now_us: clock_us)
    }
  }

  /// Carries what the run says, and what is answered. Returns whether anything was answered.
  private mutating func exchange() -> Bool {
    for (line, content) in runtime.takeLines() {
      if line == RunWorld.pduLine {
        if isOn(.pduLineLost) { continue }
        if isOn(.pduHeldUp) {
          heldUp.toPlant.append(content)
          continue
        }
      } else if isOn(.chainLineLost) {
        continue
      }
      plant.receive(content, now_us: now_us)
    }
    while let frame = runtime.frame(for: 0) {
      if isOn(.queueFull) {
        runtime.refused(0)
        break
      }
      runtime.sent(0)
      if isOn(.unheard) { continue }
      acknowledged += 1
      inverter?.receive(frame, now_us: now_us)
      inverterWake_us = now_us
    }
    let answers = plant.takeLines()
    for line in answers { toRuntime(line) }
    return !answers.isEmpty
  }

  private mutating func talkInverter() {
    guard inverter != nil, now_us >= inverterWake_us else { return }
    var values = QuantityValues()
    values[.inverterVoltage] = Int64(plant.switches.output * 1000)
    values[.inverterCurrent] = Int64(-plant.current * 1000)
    values[.soc] = Int64(runtime.engine.values.stateOfCharge) * 10
    values[.inverterTime] = Simulator.epoch_ns / 1_000_000 + now_us / 1000
    var said = 0
    while said < 64, let action = inverter?.next(now_us: now_us, values: values) {
      switch action {
      case .wait(let until):
        inverterWake_us = max(now_us + 1, until)
        said = 64
      case .send(let frame):
        said += 1
        if !isOn(.portLost), !isOn(.stalled) { runtime.receive(frame, port: 0, now_us: clock_us) }
      }
    }
    guard let heard = inverter?.heard else { return }
    plant.heardLimits_A = (
      Double(heard[.chargeCurrentLimit] ?? 0) / 1000, Double(heard[.dischargeCurrentLimit] ?? 0) / 1000
    )
  }

  // MARK: Faults

  private mutating func applyFaults() {
    for index in faults.indices {
      let fault = faults[index]
      let isDue = now_us >= Int64(fault.at * 1e6) && now_us < Int64(fault.until * 1e6)
      guard isDue != isActive[index] else { continue }
      let wasOn = isOn(fault.kind)
      isActive[index] = isDue
      guard isOn(fault.kind) != wasOn else { continue }
      change(fault.kind, isDue)
      if isDue, [.pduSilent, .pduHeldUp, .stalled].contains(fault.kind) { auditor.ordersStop(now_us) }
      // A link that is only looked at by a loop that does not run: the PDU's own second holds then.
      if isDue, let within = fault.opensWithin_us {
        let slack: Int64 = isOn(.stalled) && fault.kind != .stalled ? 7_000_000 : 0
        auditor.expectOpen(within_us: within + slack, now_us, "\(fault.kind)")
      }
    }
  }

  private mutating func change(_ kind: RunFault.Kind, _ isBegin: Bool) {
    switch kind {
    case .portLost:
      if isBegin { runtime.lost(.port(0), "unplugged", now_us: clock_us) } else { runtime.returned(.port(0), now_us: clock_us) }
    case .chainLineLost:
      if isBegin {
        runtime.lost(.line(RunWorld.chainLine), "gone", now_us: clock_us)
      } else {
        runtime.returned(.line(RunWorld.chainLine), now_us: clock_us)
      }
    case .pduLineLost:
      if isBegin {
        plant.disconnected()
        runtime.lost(.line(RunWorld.pduLine), "gone", now_us: clock_us)
      } else {
        runtime.returned(.line(RunWorld.pduLine), now_us: clock_us)
      }
    case .pduHeldUp where !isBegin:
      for line in heldUp.toPlant { plant.receive(line, now_us: now_us) }
      for line in heldUp.toRuntime { runtime.receive(line, line: RunWorld.pduLine, now_us: clock_us) }
      heldUp = ([], [])
      // The PDU takes what is a second old for new: its own second begins here.
      auditor.ordersStop(now_us)
    case .pduSilent: setPlant(.pduSilent, isBegin)
    case .clockJump(let seconds) where isBegin: leap_us += Int64(seconds * 1e6)
    case .plant(let fault): setPlant(fault, isBegin)
    case .queueFull, .unheard, .stalled, .pduHeldUp, .clockJump: break
    }
  }

  private mutating func setPlant(_ kind: Fault.Kind, _ isBegin: Bool) {
    if isBegin { plant.begin(kind) } else { plant.end(kind) }
  }

  /// Gives something to the run directly.
  public mutating func withRuntime(_ body: (inout ControllerRuntime, Int64) -> Void) { body(&runtime, clock_us) }
  /// Changes the plant.
  public mutating func withPlant(_ body: (inout VirtualPlant) -> Void) { body(&plant) }

  /// A run by chance.
  /// - Parameter seconds: its length.
  public static func random(seed: UInt64, seconds: Double, battery: Session?, inverter: Session?) -> RunWorld {
    var random = SplitMix64(seed: seed &* 0x9E37_79B9 &+ 7)
    var scenario = Scenario.random(seed: seed, days: seconds / 86_400)
    // The battery is sound: what is tried is everything around it. Few modules, since every frame of the chains is real.
    var configuration = scenario.configuration
    let modules = Int32(1 + random.below(3))
    let perModule = configuration[.bms1Cells]
    configuration[.bms1Slaves] = modules
    configuration[.bms2Slaves] = Int32(random.below(2))
    configuration[.cellCount] = (modules + configuration[.bms2Slaves]) * perModule
    for module in 0..<30 { configuration.setSensors(module < Int(modules) ? 1 : 0, ofModule: module) }
    scenario.configuration = configuration
    scenario.pack.modules = [Int](repeating: Int(perModule), count: Int(configuration[.cellCount] / perModule))
    scenario.pack.stateOfCharge = random.between(0.3, 0.7)
    scenario.pack.capacity = 300
    scenario.pack.capacitySpread = 0.002
    scenario.pack.stateOfChargeSpread = 0.002
    scenario.pack.ambient = 22
    scenario.faults = []
    let faults = RunFault.random(&random, seconds: seconds, configuration: scenario)
    return RunWorld(scenario, battery: battery, inverter: inverter, faults: faults) { $0.scan_us = 500_000 }
  }
}
