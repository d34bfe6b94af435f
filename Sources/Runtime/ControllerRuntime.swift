public import Bus
public import Controller
public import Formats
public import Protocols

/// The controller in a run: engine, battery's end of the inverter's link, chain masters and the line to the PDU, as one value.
///
/// Sans-IO: what came from ports and lines and the time go in, frames and lines to send, orders to the PDU and notes come out. Times are
/// µs of a clock that never goes back, from 0 at the start. Its owner calls `advance` whenever something came and at `wake_us`.
/// Whatever is not as it should be is a `Doubt`: the engine is held, the contactors open, and only after everything was measured anew
/// the hold ends and the engine goes its own way through CHECKING. Source: spec/controller.md §4.
public struct ControllerRuntime: Sendable {
  /// What the run is made of.
  public private(set) var settings: RunSettings
  /// The engine as it stands.
  public private(set) var engine: Engine
  /// What it was given last.
  public private(set) var readings = Readings()
  /// What the inverter is told.
  public private(set) var values = QuantityValues()
  /// The battery's end of the link on each port.
  public private(set) var sessions: [Session]
  /// µs of the run at the last call.
  public private(set) var now_us: Int64 = 0
  /// What the PDU was told last.
  public private(set) var ordered: Contactors = []
  /// Longest that a control step came after its time, µs.
  public private(set) var latest_us: Int64 = 0
  /// By how much the last regular control step came after its time, µs.
  public private(set) var lateness_us: Int64 = 0
  /// Control steps so far.
  public private(set) var steps: UInt64 = 0

  var chains: [ChainLine] = []
  var pdu: PDULink
  var doubts = DoubtBook()
  private var arrived: Readings.Arrivals = []
  private var nextStep_us: Int64 = 0
  private var isUrgent = true
  private var commands: [PendingCommand] = []
  private enum PendingCommand: Sendable {
    case hold, release, reset
    case configure(Configuration)
  }

  private var outbox: [[(frame: CANFrame, since_us: Int64)]]
  private var fullSince: [Int64?]
  /// Frames that the bus has acknowledged, on ports that tell; `nil` = it does not.
  private var acknowledgedCount: [UInt64?]
  /// When the first frame was given away that nothing was acknowledged after.
  private var unheardSince: [Int64?]
  /// Ports whose controller has said that it is off the bus.
  private var isOffBus: [Bool]
  private var sessionWake: [Int64]
  private var lines: [(line: Int, content: TapLine)] = []
  private var saidOutputs: PDULine?
  private var saidOutputsAt_us: Int64 = .min / 2
  private var notes: [Note] = []
  private var records: [RunRecord] = []
  private var nextStore_us: Int64 = 0
  private var wantsStore = true
  private var openSince_us: Int64?
  /// What was in force when everything was open for the last time.
  private var openConfiguration: Configuration?
  /// Whether nothing is said on the CAN ports.
  public private(set) var isMute = false
  /// Whether a person lets the contactors close now.
  public private(set) var isPermitted = false
  /// What took a person's permission back; `nil` = it holds, or the person did.
  public private(set) var revokedBy: Doubt?
  /// Whether anything was closed under the permission.
  private var hasClosed = false

  /// A run that has not begun: everything open, nothing said.
  public init(_ settings: RunSettings) {
    self.settings = settings
    engine = Engine(configuration: settings.configuration)
    if let state = settings.state { engine.restore(state) }
    sessions = settings.sessions
    pdu = PDULink(sequence: settings.firstOrder)
    outbox = settings.sessions.map { _ in [] }
    fullSince = settings.sessions.map { _ in nil }
    acknowledgedCount = settings.sessions.map { _ in nil }
    unheardSince = settings.sessions.map { _ in nil }
    isOffBus = settings.sessions.map { _ in false }
    sessionWake = settings.sessions.map { _ in 0 }
    isMute = settings.isMute
    chains = ControllerRuntime.chains(settings)
    if settings.isRecorded {
      let text = settings.configuration.map { ConfigurationFile.text($0) } ?? ""
      records.append(
        RunRecord(
          time_ns: settings.start_ns,
          content: .engine(.start(configuration: text, state: settings.state.map(StateFile.text) ?? ""))))
    }
    nextStore_us = settings.store_us
    raise(.starting)
    if settings.isPersonHeld { raise(.ordered("until somebody lets them close")) }
  }

  private static func chains(_ settings: RunSettings) -> [ChainLine] {
    guard let configuration = settings.configuration, configuration.violationCount == 0 else { return [] }
    return ChainNumber.allCases.filter { configuration.slaves($0) > 0 }.map { chain in
      var chainSettings = ChainMaster.Settings()
      chainSettings.modules = configuration.slaves(chain)
      chainSettings.cellsPerModule = configuration.cellsPerModule(chain)
      chainSettings.period = settings.scan_us
      chainSettings.allowance = settings.allowance_us
      return ChainLine(chain, chainSettings)
    }
  }

  /// The engine's time now, ns.
  public var time_ns: Int64 { settings.start_ns &+ now_us &* 1000 }

  /// When `advance` wants to be called at the latest.
  public var wake_us: Int64 {
    var wake = isUrgent ? now_us : nextStep_us
    for chain in chains where doubts.isThere(.line(line(of: chain.number))) { wake = min(wake, chain.wake_us) }
    for port in sessions.indices where doubts.isThere(.port(port)) && !isMute {
      wake = min(wake, outbox[port].isEmpty ? sessionWake[port] : now_us + RunTiming.tryAgain_us)
    }
    return wake
  }

  private func line(of chain: ChainNumber) -> Int { chain == .bms1 ? settings.chainLines.bms1 : settings.chainLines.bms2 }

  // MARK: What came

  /// Takes a frame from a CAN port. An answer to it is there after the next `advance`.
  public mutating func receive(_ frame: CANFrame, port: Int, now_us: Int64) {
    pass(to: now_us)
    guard sessions.indices.contains(port) else { return }
    note(.frame(port: port, frame, .received))
    hearState(frame, port)
    guard !isMute else { return }
    sessions[port].receive(frame, now_us: self.now_us)
    sessionWake[port] = self.now_us
  }

  /// What a controller says of itself (linux/can/error.h). Off the bus it hears and says nothing, and the kernel drops what it is given.
  /// Not every driver tells that it was started again (0x100): some only that its counters are back (class 0x04, 0x40 in the second byte),
  /// and whoever hears a frame is on the bus.
  private mutating func hearState(_ frame: CANFrame, _ port: Int) {
    let kind = frame.flags.contains(.error) ? frame.id.number : 0
    if kind & 0x40 != 0 {
      isOffBus[port] = true
      let why =
        "its controller went off the bus (wiring? termination? bit rate?); restart-ms or `ip link set … type can restart` bring it back"
      lost(.port(port), why, now_us: now_us)
    } else if isOffBus[port], kind == 0 || kind & 0x100 != 0 || kind & 0x04 != 0 && frame.byte(1) & 0x40 != 0 {
      returned(.port(port), now_us: now_us)
    }
  }

  /// Takes a line from a tap.
  public mutating func receive(_ content: TapLine, line: Int, now_us: Int64) {
    pass(to: now_us)
    note(.line(content))
    switch content {
    case .wake(let chain), .request(let chain, _), .echo(let chain, _), .answer(let chain, _), .malformed(let chain):
      for index in chains.indices where chains[index].number == chain && self.line(of: chain) == line {
        chains[index].receive(content, now_us: self.now_us)
      }
    case .pdu(let said):
      guard line == settings.pduLine, let measured = pdu.take(said, now_us: self.now_us) else { return }
      readings.currentRaw = measured.currentRaw
      readings.supply_mV = measured.supply_mV
      readings.inputRaw = measured.inputRaw
      readings.outputRaw = measured.outputRaw
      arrived.insert(.pdu)
      doubts.measured()
    }
  }

  /// A part is gone: nothing is known of it and nothing can be said to it.
  public mutating func lost(_ part: Part, _ reason: String, now_us: Int64) {
    pass(to: now_us)
    if case .port(let port) = part, outbox.indices.contains(port) { forget(port) }
    if part == .line(settings.pduLine) { pdu.forget() }
    raise(.lost(part, reason))
  }

  /// A part is there again. What it knew before counts no more.
  public mutating func returned(_ part: Part, now_us: Int64) {
    pass(to: now_us)
    switch part {
    case .port(let port):
      // In CONFIG ERR there are ports without a link.
      if sessions.indices.contains(port) {
        sessions[port] = settings.sessions[port]
        sessionWake[port] = self.now_us
        isOffBus[port] = false
      }
    case .line(let line):
      for index in chains.indices where self.line(of: chains[index].number) == line {
        chains[index].restart(now_us: self.now_us)
      }
    case .gpio: break
    }
    settle { if case .lost(part, _) = $0 { true } else { false } }
  }

  /// Says of a digital input whether it keeps the contactors open.
  public mutating func input(_ place: Int, keepsOpen: Bool, now_us: Int64) {
    pass(to: now_us)
    if keepsOpen { raise(.input(place)) } else { settle { $0 == .input(place) } }
  }

  /// Whatever else went wrong: a write that failed, an error that nobody expected.
  public mutating func doubt(_ doubt: Doubt, now_us: Int64) {
    pass(to: now_us)
    raise(doubt)
  }

  /// Nothing that was to be said there counts any more.
  private mutating func forget(_ port: Int) {
    outbox[port].removeAll()
    fullSince[port] = nil
    unheardSince[port] = nil
  }

  // MARK: What is wanted

  /// Begins the orderly end: limits to 0, contactors open, then `isStopped`.
  public mutating func stop(_ reason: String, now_us: Int64) {
    pass(to: now_us)
    raise(.stopping(reason))
  }

  /// Whether the end has come: the contactors are open, and the PDU has said so or had time to.
  public var isStopped: Bool {
    guard let stopping = doubts.stopping_us, let since = openSince_us else { return false }
    // The inverter hears of limits of 0 within its second.
    if !sessions.isEmpty, now_us - stopping < RunTiming.lastFrames_us { return false }
    return isOpenConfirmed || now_us - since >= RunTiming.lastWords_us
  }

  /// Whether the PDU itself has said, after the last order to open all, that it holds nothing closed.
  public var isOpenConfirmed: Bool {
    guard let since = openSince_us, let confirmed = pdu.confirmed_us else { return false }
    return pdu.held.isEmpty && confirmed >= since
  }

  /// "Reset BMS".
  public mutating func reset() { commands.append(.reset) }

  /// Takes over a configuration if that is safe now. Returns why not; `nil` = it is in force after the next step.
  /// - Parameter isCalibration: see `ChangeRules.refusal`.
  public mutating func configure(_ configuration: Configuration, isCalibration: Bool = false) -> String? {
    if let refusal = changeRules.refusal(of: configuration, isCalibration: isCalibration) { return refusal.reason }
    commands.append(.configure(configuration))
    isUrgent = true
    return nil
  }

  /// Takes over a configuration where none was in force: chains and links begin with it. Returns why not; `nil` = it is in force after
  /// the next step. Source: spec/controller.md §4, the end of CONFIG ERR.
  public mutating func configure(_ configuration: Configuration, sessions: [Session]) -> String? {
    guard lacksConfiguration else { return configure(configuration) }
    if let refusal = changeRules.refusal(of: configuration) { return refusal.reason }
    begin(configuration, sessions)
    return nil
  }

  /// Whether there is no configuration that the battery could be read with: CONFIG ERR.
  public var lacksConfiguration: Bool { engine.violations > 0 }

  /// What may be changed now.
  public var changeRules: ChangeRules {
    var rules = ChangeRules(engine.configuration, readings)
    rules.lacksConfiguration = lacksConfiguration
    rules.isClosed = !ordered.isEmpty || !engine.outputs.contactors.isEmpty
    rules.isConnected = ChangeRules.connects(ordered) && ChangeRules.connects(engine.outputs.contactors)
    rules.isPersonHeld = settings.isPersonHeld
    rules.closedWith = openConfiguration ?? engine.configuration
    return rules
  }

  // MARK: A person's part

  mutating func permit(now_us: Int64) {
    pass(to: now_us)
    revokedBy = standingDoubts.first { if case .ordered = $0 { false } else { true } }
    guard revokedBy == nil else { return }
    isPermitted = true
    hasClosed = false
    settle { if case .ordered = $0 { true } else { false } }
  }

  mutating func endPermission() {
    isPermitted = false
    revokedBy = nil
  }

  mutating func begin(_ configuration: Configuration, _ sessions: [Session]) {
    settings.configuration = configuration
    settings.sessions = sessions
    self.sessions = sessions
    outbox = sessions.map { _ in [] }
    fullSince = sessions.map { _ in nil }
    acknowledgedCount = sessions.map { _ in nil }
    unheardSince = sessions.map { _ in nil }
    isOffBus = sessions.map { _ in false }
    sessionWake = sessions.map { _ in now_us }
    settle { if case .queueFull = $0 { true } else { false } }
    chains = ControllerRuntime.chains(settings)
    for index in chains.indices { chains[index].restart(now_us: now_us) }
    arrived = []
    commands.append(.configure(configuration))
    isUrgent = true
  }

  /// Says nothing on the CAN ports, not even what waits; or speaks again, as one that has just been switched on.
  public mutating func mute(_ wanted: Bool) {
    guard wanted != isMute else { return }
    isMute = wanted
    sessions = settings.sessions
    for port in outbox.indices {
      forget(port)
      sessionWake[port] = now_us
    }
    settle { if case .queueFull = $0 { true } else { false } }
  }

  // MARK: Time

  private mutating func pass(to now_us: Int64) { self.now_us = max(self.now_us, now_us) }

  /// Does everything that is due. Take frames, lines and notes afterwards.
  public mutating func advance(now_us: Int64) {
    pass(to: now_us)
    let late = self.now_us - nextStep_us
    if late > 0, steps > 0 { latest_us = max(latest_us, late) }
    if late > settings.late_us, steps > 0 { raise(.lateStep(milliseconds: late / 1000)) }
    stepChains()
    if isUrgent || self.now_us >= nextStep_us {
      if self.now_us >= nextStep_us {
        lateness_us = late
        // Steps that were missed are not made up for.
        nextStep_us = nextStep_us + settings.step_us > self.now_us ? nextStep_us + settings.step_us : self.now_us + settings.step_us
      }
      control()
    }
    for port in sessions.indices where doubts.isThere(.port(port)) && !isMute { talk(port) }
  }

  private mutating func stepChains() {
    for index in chains.indices {
      let place = line(of: chains[index].number)
      guard doubts.isThere(.line(place)), self.now_us >= chains[index].wake_us else { continue }
      var said: [TapLine] = []
      let outcome = chains[index].step(now_us: self.now_us) { said.append($0) }
      for content in said { say(content, on: place) }
      let chain = chains[index].number
      switch outcome {
      case .complete:
        readings.take(chains[index].master, of: chain, engine.configuration)
        readings.lostModules[chain.index] = 255
        arrived.insert(.scan(chain))
        arrived.remove(.failure(chain))
        doubts.scanned(chain)
      case .failed(let fault):
        readings.lostModules[chain.index] = fault.place
        arrived.insert(.failure(chain))
        arrived.remove(.scan(chain))
      case nil: break
      }
    }
  }

  /// One control step, and what follows from it.
  private mutating func control() {
    isUrgent = false
    watchPDU()
    if doubts.mayEnd(
      now_us: self.now_us, chains: chains.map(\.number),
      isOpen: engine.outputs.contactors.isEmpty && pdu.held.isEmpty && !pdu.isLatched
    ) {
      doubts.end()
      commands.append(.release)
      note(.note(.released))
    }
    repeat { step() } while !commands.isEmpty
    for index in chains.indices {
      let chain = chains[index].number
      for module in 0..<engine.configuration.slaves(chain) {
        chains[index].balance(engine.outputs.balancing[chain.index * 15 + module], module: module)
      }
      chains[index].allowDiagnosis(!engine.outputs.contactors.contains(.precharge))
    }
    order()
    if self.now_us >= nextStore_us {
      nextStore_us = self.now_us + settings.store_us
      wantsStore = true
    }
  }

  private mutating func step() {
    readings.arrived = arrived
    arrived = []
    let command: Command
    switch commands.isEmpty ? nil : commands.removeFirst() {
    case .hold: command = .hold
    case .release: command = .release
    case .reset: command = .reset
    case .configure(let configuration): command = .configure(configuration)
    case nil: command = .none
    }
    if settings.isRecorded {
      for chain in ChainNumber.allCases where readings.arrived.contains(.scan(chain)) {
        note(.engine(.scan(.init(chain, readings, engine.configuration))))
      }
      note(.engine(.input(.init(readings, command))))
    }
    engine.step(now_ns: time_ns, readings, command)
    steps &+= 1
    values = QuantityValues(engine)
    note(.engine(.output(.init(engine))))
    for index in 0..<engine.events.count { note(.note(.event(engine.events[index].kind))) }
  }

  /// What the PDU has confirmed, and whether it does what it is told.
  private mutating func watchPDU() {
    let isConfirmed = pdu.confirmed_us.map { self.now_us - $0 <= PDULink.fresh_us } ?? false
    // Contactors that stay closed behind an order to open them are worth a word as well.
    if pdu.hasOpenedItself {
      raise(.pduDisagrees)
    } else if isConfirmed {
      settle { $0 == .pduDisagrees }
    }
    if isConfirmed {
      settle { $0 == .pduUnconfirmed }
    } else if self.now_us > PDULink.fresh_us {
      raise(.pduUnconfirmed)
    }
  }

  /// Tells the PDU what to close: what the engine says, and nothing while a doubt wants it open at once.
  private mutating func order() {
    let wanted = doubts.isForcedOpen ? [] : engine.outputs.contactors
    if wanted != ordered {
      ordered = wanted
      note(.note(.ordered(wanted)))
    }
    if !wanted.isEmpty || !engine.outputs.contactors.isEmpty {
      openSince_us = nil
      hasClosed = true
    } else {
      openSince_us = openSince_us ?? self.now_us
      openConfiguration = engine.configuration
      // A person has let them close once, not again and again.
      if settings.isPersonHeld, isPermitted, hasClosed { raise(.opened(engine.outputs.status)) }
    }
    guard doubts.isThere(.line(settings.pduLine)) else { return }
    say(.pdu(pdu.order(wanted, now_us: self.now_us)), on: settings.pduLine)
    let outputs = engine.outputs
    let now = PDULine.outputs(
      contactors: wanted.rawValue, status: outputs.status.rawValue, chargeLimit: UInt16(clamping: outputs.chargeLimit_mA / 100),
      dischargeLimit: UInt16(clamping: outputs.dischargeLimit_mA / 100))
    if now != saidOutputs || self.now_us - saidOutputsAt_us >= RunTiming.outputs_us {
      say(.pdu(now), on: settings.pduLine)
      saidOutputs = now
      saidOutputsAt_us = self.now_us
    }
  }

  // MARK: CAN

  private mutating func talk(_ port: Int) {
    // What has waited for the bus for too long says what was.
    outbox[port].removeAll { self.now_us - $0.since_us > RunTiming.oldFrame_us }
    while outbox[port].count < 128 {
      switch sessions[port].next(now_us: self.now_us, values: values) {
      case .send(let frame): outbox[port].append((frame, self.now_us))
      case .wait(let until):
        sessionWake[port] = until
        return
      }
    }
    sessionWake[port] = self.now_us + RunTiming.tryAgain_us
  }

  /// The next frame for a port; say what became of it with `sent` or `refused`.
  public func frame(for port: Int) -> CANFrame? {
    guard !isMute, outbox.indices.contains(port), doubts.isThere(.port(port)) else { return nil }
    return outbox[port].first?.frame
  }

  /// The port has the frame.
  public mutating func sent(_ port: Int) {
    guard outbox.indices.contains(port), !outbox[port].isEmpty else { return }
    note(.frame(port: port, outbox[port].removeFirst().frame, .transmitted))
    fullSince[port] = nil
    guard acknowledgedCount[port] == nil else {
      unheardSince[port] = unheardSince[port] ?? now_us
      return
    }
    settle { $0 == .queueFull(port: port) }
  }

  /// How many frames the bus has acknowledged so far, of a port that tells: what a kernel takes, a controller that is off the bus, that
  /// may only listen or that nobody acknowledges never sends.
  public mutating func acknowledged(_ port: Int, count: UInt64, now_us: Int64) {
    pass(to: now_us)
    guard acknowledgedCount.indices.contains(port) else { return }
    if acknowledgedCount[port] != count {
      acknowledgedCount[port] = count
      unheardSince[port] = nil
      settle { $0 == .queueFull(port: port) }
    } else if let since = unheardSince[port], self.now_us - since > RunTiming.queueFull_us {
      raise(.queueFull(port: port))
    }
  }

  /// The port has no room now.
  public mutating func refused(_ port: Int) {
    guard outbox.indices.contains(port) else { return }
    let since = fullSince[port] ?? self.now_us
    fullSince[port] = since
    if self.now_us - since > RunTiming.queueFull_us { raise(.queueFull(port: port)) }
  }

  // MARK: What goes out

  private mutating func say(_ content: TapLine, on line: Int) {
    lines.append((line, content))
    note(.line(content))
  }

  /// Lines to send, in order.
  public mutating func takeLines() -> [(line: Int, content: TapLine)] {
    defer { lines.removeAll(keepingCapacity: true) }
    return lines
  }

  /// What happened since the last call.
  public mutating func takeNotes() -> [Note] {
    defer { notes.removeAll(keepingCapacity: true) }
    return notes
  }

  /// Everything that went in and came out since the last call, where that is wanted.
  public mutating func takeRecords() -> [RunRecord] {
    defer { records.removeAll(keepingCapacity: true) }
    return records
  }

  /// The state, once each time that it is to be stored.
  public mutating func takeStore() -> PersistentState? {
    // Before the first scan nothing is known that is worth more than nothing.
    // In CONFIG ERR what was stored stands (spec/controller.md §2).
    guard wantsStore, !lacksConfiguration, settings.state != nil || engine.values.hasCells else { return nil }
    wantsStore = false
    return engine.persistentState
  }

  /// What became of it.
  public mutating func stored(_ failure: String?) {
    guard let failure else { return settle { if case .storeFailed = $0 { true } else { false } } }
    nextStore_us = min(nextStore_us, now_us + RunTiming.storeAgain_us)
    raise(.storeFailed(failure))
  }

  private mutating func note(_ content: RunRecord.Content) {
    if case .note(let kind) = content { notes.append(Note(time_us: now_us, kind: kind)) }
    if settings.isRecorded { records.append(RunRecord(time_ns: time_ns, content: content)) }
  }

  // MARK: Doubts

  /// Why the contactors are held open now; empty where nothing holds them.
  public var standingDoubts: [Doubt] { doubts.standing }
  /// Whether a doubt holds the contactors open.
  public var isHeld: Bool { doubts.isHeld }

  private mutating func raise(_ doubt: Doubt) {
    let isOfPDU: Bool
    switch doubt {
    case .lost(.line(settings.pduLine), _), .writeFailed(.line(settings.pduLine), _): isOfPDU = true
    default: isOfPDU = false
    }
    let isNews = doubts.raise(doubt, isAtOnce: doubt.isAtOnce || isOfPDU, now_us: now_us)
    // What is no news all the same ends what a person allowed.
    if isPermitted {
      endPermission()
      revokedBy = doubt
      doubts.hold(.ordered("until somebody lets them close again"), now_us: now_us)
    }
    guard isNews else { return }
    // Behind whatever waits: the last word counts.
    commands.append(.hold)
    isUrgent = true
    // Nothing that was to be said with the old limits goes out any more.
    for port in outbox.indices {
      outbox[port].removeAll()
      sessionWake[port] = now_us
    }
    note(.note(.doubt(doubt)))
  }

  private mutating func settle(_ isIt: (Doubt) -> Bool) {
    for doubt in doubts.settle(now_us: now_us, isIt) { note(.note(.doubtOver(doubt))) }
  }
}
