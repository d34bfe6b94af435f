/// Runs one chain of LinkSlaves: wakes it, gives its nodes their IDs, configures them, scans, orders balancing, notices what is lost.
///
/// Sans-IO: `step` says what to do next, `receive` takes each frame heard (the echo of a request first). Times are µs of any clock that
/// goes forward. Source: linkslave-chain.md §4–5, §10, §12.
public struct ChainMaster: Sendable {
  /// What the owner of the wire is to do.
  public enum Action: Equatable, Sendable {
    /// Restart the transceiver (EN low 150 µs, high) and give the wake pattern.
    case wake
    /// Send this and hand in what is heard.
    case send(ChainFrame)
    /// Nothing before this time, µs.
    case wait(until: Int64)
  }

  /// What is set for a chain.
  public struct Settings: Sendable {
    /// Chip of the nodes.
    public var generation = ChainGeneration.b
    /// Nodes, 0…15; 0 = the chain is off.
    public var modules = 1
    /// Cells of each, 7…14.
    public var cellsPerModule = 8
    /// From one scan to the next, µs. Below 256 ms no communication timer of a node runs out.
    public var period: Int64 = 200_000
    /// OV and UV threshold of the chips, steps of 19.53 mV: a second opinion.
    public var thresholds: UInt16 = 0xD780
    /// µs that an answer may take longer than on the wire: the way over a tap's line.
    public var allowance: Int64 = 0
    /// A chain of one module of eight cells.
    public init() {}
  }

  /// What is wrong. Modules count from 0.
  public enum Fault: Equatable, Sendable {
    /// Not even the echo of a request: the transceiver or its supply.
    case noEcho
    /// The echo differs from the request: the line, or a collision.
    case wrongEcho
    /// A module does not answer.
    case silent(module: Int)
    /// Its answers are damaged.
    case damaged(module: Int)
    /// It answers something else than it was asked: address, counter, tag, or a register that did not keep what was written.
    case unexpected(module: Int)
    /// Its conversion did not end, or never began.
    case notReady(module: Int)
    /// It has lost its settings: supply dip, or nobody spoke to it.
    case restarted(module: Int)
  }

  /// What became of a scan.
  public enum Outcome: Equatable, Sendable {
    case complete
    case failed(Fault)
  }

  /// Measured values of the last complete scan, by module.
  public struct Measurements: Sendable {
    /// Codes of the used cells, lowest first: module × 14 + cell.
    public internal(set) var cells: InlineArray<210, UInt16> = InlineArray(repeating: 0)
    /// Codes of the stack voltages.
    public internal(set) var stacks: InlineArray<15, UInt16> = InlineArray(repeating: 0)
    /// Codes of T1…T5 = AN0…AN4: module × 5 + sensor.
    public internal(set) var sensors: InlineArray<75, UInt16> = InlineArray(repeating: 0)
    /// FAULT1…3 as last read: module × 3 + register.
    public internal(set) var faults: InlineArray<45, UInt16> = InlineArray(repeating: 0)
  }

  /// What the chain is set to.
  public let settings: Settings
  /// The last complete scan.
  public private(set) var measurements = Measurements()
  /// The outcome of the scan that ended last; taken with `takeOutcome`.
  private var outcome: Outcome?
  /// Nodes found by the last enumeration.
  public private(set) var found = 0
  /// Whether a node behind the last one answered when it was last asked for: at the end of an enumeration and, while there is one, every
  /// two seconds (B only: C forwards both ways).
  public private(set) var hasExtraNode = false
  /// What the last self-tests found.
  public private(set) var diagnosis = ChainDiagnosis()
  /// Whether self-tests may run: not while contactors close.
  public var allowsDiagnosis = true
  /// Rounds of self-tests that have ended: all tests at the start, the open-wire test each minute after.
  public private(set) var diagnoses: UInt32 = 0
  /// Frames with a wrong CRC, by module.
  public private(set) var damagedFrames: InlineArray<15, UInt32> = InlineArray(repeating: 0)
  /// Requests that had to be repeated.
  public private(set) var repeats: UInt32 = 0
  /// Complete and failed scans.
  public private(set) var scans: (complete: UInt32, failed: UInt32) = (0, 0)

  private enum Phase: Equatable, Sendable {
    case asleep, wakingAll, resetting, assigning(Int), configuring(Int, Int), idle, pausing, converting
    case reading(Int), checking(Int), ordering(Int, Int)
    /// Behind the last node: its switch opens the way, whoever sleeps there is woken and asked for, the way is closed again.
    case opening, rousing, looking, closing
    /// Self-tests: which step of `DiagnosticStep.all`, how far it is, and at which node.
    case diagnosing(Int, Stage, Int)
  }

  /// How far a self-test is.
  private enum Stage: Sendable { case enter, thresholds, close, convert, read, release, restore, leave }

  /// How far a node is on its way to an ID.
  private enum Assignment: Sendable { case wake, ask, give, verify }

  private var phase = Phase.asleep
  /// Nothing before this time.
  private var notBefore: Int64 = 0
  private var nextScan: Int64 = 0
  private var nextCheck: Int64 = 0
  private var failuresInRow = 0
  private var assignment = Assignment.wake
  private var tag: UInt8 = 0
  private var rolling: InlineArray<16, UInt8> = InlineArray(repeating: 0)

  /// The request under way.
  private var request: ChainFrame?
  private var expected = 0
  private var received = 0
  private var hasEcho = false
  private var attempt = 0
  private var deadline: Int64 = 0
  private var trouble: Fault?
  private var pending: InlineArray<23, UInt16> = InlineArray(repeating: 0)
  private var scanning = Measurements()

  private var wanted: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  private var ordered: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  private var renewAt: Int64 = 0
  private var isPaused = false
  private var nextDiagnosis: Int64 = 0
  private var nextLook: Int64 = 0
  /// What the round under way has found so far; taken over at its end only.
  private var findings = ChainDiagnosis()
  /// Sums of the conversions of a step: module × 14 + register.
  private var sums: InlineArray<210, Int32> = InlineArray(repeating: 0)
  private var conversion = 0
  private var hasTestedAll = false
  /// µs from one open-wire test to the next (§11, D).
  static let diagnosisPeriod: Int64 = 60_000_000
  /// µs from one look for a node too many to the next (**D**): that it is gone has to be noticed.
  static let lookPeriod: Int64 = 2_000_000

  /// A chain that has not been woken.
  public init(_ settings: Settings) { self.settings = settings }

  /// Takes the outcome of a scan that ended since the last call.
  public mutating func takeOutcome() -> Outcome? {
    defer { outcome = nil }
    return outcome
  }

  /// Orders balancing: a mask of cells, lowest in bit 0, for a module. Carried out after the next scan; runs out in the slave after a
  /// minute if it is not renewed.
  public mutating func balance(_ mask: UInt16, module: Int) {
    guard (0..<15).contains(module), module < settings.modules else { return }
    // A cell whose resistor is open cannot be balanced (§12).
    wanted[module] = mask & ~diagnosis.balancingOpen[module]
  }

  // MARK: Steps

  /// What to do at this time.
  public mutating func step(now_us: Int64) -> Action {
    guard settings.modules > 0 else { return .wait(until: .max) }
    if request != nil {
      if received < expected || !hasEcho {
        if now_us < deadline { return .wait(until: deadline) }
        if trouble == nil { trouble = hasEcho ? silence : .noEcho }
      }
      if let again = conclude(now_us) { return .send(again) }
    }
    if now_us < notBefore { return .wait(until: notBefore) }
    return advance(now_us)
  }

  /// The fault that silence means here.
  private var silence: Fault { .silent(module: module) }

  private var module: Int {
    switch phase {
    case .assigning(let node), .configuring(let node, _), .reading(let node), .checking(let node), .ordering(let node, _): node
    case .looking: settings.modules
    case .opening, .closing: settings.modules - 1
    case .diagnosing(_, _, let node): node
    default: 0
    }
  }

  /// Ends a transaction: repeats it once, fails, or goes on. Returns a request to repeat.
  private mutating func conclude(_ now_us: Int64) -> ChainFrame? {
    guard let sent = request else { return nil }
    request = nil
    guard let fault = trouble else {
      succeeded(sent, now_us)
      return nil
    }
    trouble = nil
    if case .looking = phase {
      switch fault {
      case .silent where attempt > 0:
        // Nobody behind the last node: as it should be.
        hasExtraNode = false
        phase = .closing
        return nil
      case .damaged, .unexpected:
        // Whatever it was that answered: somebody is there.
        hasExtraNode = true
        phase = .closing
        return nil
      default: break
      }
    }
    if attempt == 0 {
      // Silence behind the last node is asked for twice, and is no trouble.
      if phase != .looking { repeats &+= 1 }
      return prepare(renewed(sent), answers: expected, now_us, isRepeat: true)
    }
    failed(fault, now_us)
    return nil
  }

  private mutating func failed(_ fault: Fault, _ now_us: Int64) {
    outcome = .failed(fault)
    scans.failed &+= 1
    failuresInRow += 1
    ordered = InlineArray(repeating: 0)
    switch phase {
    case .diagnosing:
      // The switches must not stay closed: the next scan would read them. What was known stays known.
      findings = diagnosis
      phase = .diagnosing(DiagnosticStep.all.count, .release, 0)
    case .reading, .checking, .ordering, .converting, .pausing:
      let hasLostSettings: Bool
      if case .restarted = fault { hasLostSettings = true } else { hasLostSettings = false }
      if failuresInRow >= 3 || hasLostSettings {
        phase = .asleep
        notBefore = now_us
      } else {
        phase = .idle
      }
      nextScan = max(nextScan, now_us)
    default:
      // Enumeration: from the beginning, at the pace of scans.
      phase = .asleep
      notBefore = now_us + settings.period
    }
  }

  private mutating func advance(_ now_us: Int64) -> Action {
    switch phase {
    case .asleep:
      rolling = InlineArray(repeating: 0)
      found = 0
      // After a restart everything is tested again.
      hasTestedAll = false
      nextDiagnosis = 0
      hasExtraNode = false
      phase = .wakingAll
      notBefore = now_us + wakeTime
      return .wake
    case .wakingAll:
      phase = .resetting
      notBefore = now_us + 5_000
      return .send(global(ChainRegister.systemConfiguration1, 0x0010))
    case .resetting:
      phase = .assigning(0)
      assignment = .wake
      return advance(now_us)
    case .assigning(let node): return assign(node, now_us)
    case .configuring(let node, let item): return configure(node, item, now_us)
    case .opening, .closing:
      let last = settings.modules - 1
      let value = initialization(last, true) | (phase == .opening ? 0x10 : 0)
      return .send(prepare(writeRequest(ChainRegister.initialize, value, id: identifier(last)), answers: 1, now_us))
    case .rousing:
      // A node without an ID falls asleep after a minute (§4.1).
      phase = .looking
      notBefore = now_us + wakeTime
      return .wake
    case .looking: return .send(prepare(readRequest(ChainRegister.initialize, 1, id: 0), answers: 1, now_us))
    case .idle:
      guard now_us >= nextScan else { return .wait(until: nextScan) }
      // A scan that is late does not make the next one early.
      nextScan = max(nextScan + settings.period, now_us)
      if isBalancing {
        phase = .pausing
        notBefore = now_us + 2_000
        isPaused = true
        return .send(global(ChainRegister.systemConfiguration1, 0x9001 | 0x80 | 0x20))
      }
      phase = .pausing
      return advance(now_us)
    case .pausing:
      tag = (tag + 1) & 0xF
      phase = .converting
      notBefore = now_us + 600
      scanning = measurements
      let configuration: UInt16 = settings.generation == .b ? UInt16(tag) << 12 | 0x0C3F : 0x0C3F
      return .send(global(ChainRegister.conversion, configuration))
    case .converting:
      phase = .reading(0)
      return advance(now_us)
    case .reading(let node):
      return .send(prepare(readRequest(ChainRegister.stack, 23, id: identifier(node)), answers: 23, now_us))
    case .checking(let node):
      return .send(prepare(readRequest(ChainRegister.fault1, 3, id: identifier(node)), answers: 3, now_us))
    case .ordering(let node, let terminal): return order(node, terminal, now_us)
    case .diagnosing(let step, let stage, let node): return diagnose(step, stage, node, now_us)
    }
  }

  private var wakeTime: Int64 { settings.generation == .b ? 2_000 : 1_500 + 750 * Int64(settings.modules) }
  private func identifier(_ node: Int) -> UInt8 { UInt8(truncatingIfNeeded: node + 1) }

  // MARK: Enumeration and configuration

  private mutating func assign(_ node: Int, _ now_us: Int64) -> Action {
    let isLast = node == settings.modules - 1
    switch assignment {
    case .wake:
      assignment = .ask
      guard node > 0 else { return assign(node, now_us) }
      notBefore = now_us + 2_000
      return .wake
    case .ask: return .send(prepare(readRequest(ChainRegister.initialize, 1, id: 0), answers: 1, now_us))
    case .give: return .send(prepare(assignmentRequest(node, isLast), answers: settings.generation == .b ? 1 : 0, now_us))
    case .verify: return .send(prepare(readRequest(ChainRegister.initialize, 1, id: identifier(node)), answers: 1, now_us))
    }
  }

  private func initialization(_ node: Int, _ isLast: Bool) -> UInt16 {
    let id = UInt16(identifier(node))
    return settings.generation == .b ? id | (isLast ? 0 : 0x10) : id | (isLast ? 0x40 : 0)
  }

  private func assignmentRequest(_ node: Int, _ isLast: Bool) -> ChainFrame {
    ChainFrame(
      request: .write, settings.generation, register: ChainRegister.initialize, data: initialization(node, isLast), clusterID: 0)
  }

  /// What each node is set to after it has its ID.
  private var configuration: [(UInt8, UInt16)] {
    let map = CellMap.mask(cells: settings.cellsPerModule)
    let isOdd = settings.cellsPerModule % 2 != 0
    return [
      (ChainRegister.thresholdEnable, map | 0xC000), (ChainRegister.allThresholds, settings.thresholds),
      (ChainRegister.systemConfiguration2, ChainRegister.resetValue(0x04, settings.generation) | (isOdd ? 2 : 0)),
      (ChainRegister.systemConfiguration1, settings.generation == .b ? 0x9081 : 0x1081),
      (ChainRegister.fault1, 0), (ChainRegister.fault2, 0), (ChainRegister.fault3, 0),
    ]
  }

  private mutating func configure(_ node: Int, _ item: Int, _ now_us: Int64) -> Action {
    let list = configuration
    guard item < list.count else {
      let isLast = node == settings.modules - 1
      if isLast {
        // C forwards in both directions: a node behind the last cannot be looked for.
        phase = settings.generation == .b ? .opening : .idle
        if phase == .idle { startIdle(now_us) }
      } else {
        phase = .assigning(node + 1)
        assignment = .wake
      }
      return advance(now_us)
    }
    return .send(
      prepare(
        writeRequest(list[item].0, list[item].1, id: identifier(node)), answers: settings.generation == .b ? 1 : 0, now_us))
  }

  private mutating func startIdle(_ now_us: Int64) {
    phase = .idle
    nextScan = now_us
    nextCheck = now_us
    renewAt = 0
    ordered = InlineArray(repeating: 0)
  }

  // MARK: Balancing

  private var isBalancing: Bool {
    for node in 0..<settings.modules where ordered[node] != 0 { return true }
    return false
  }

  /// The next order that differs from what the slave has; then resume.
  private mutating func order(_ node: Int, _ terminal: Int, _ now_us: Int64) -> Action {
    var node = node
    var terminal = terminal
    let isRenewal = now_us >= renewAt
    while node < settings.modules {
      while terminal < settings.cellsPerModule {
        let bit: UInt16 = 1 << UInt16(terminal)
        let isWanted = wanted[node] & bit != 0
        if isWanted != (ordered[node] & bit != 0) || isWanted && isRenewal {
          phase = .ordering(node, terminal)
          let register = ChainRegister.balancing(CellMap.terminal(cell: terminal, of: settings.cellsPerModule))
          return .send(
            prepare(
              writeRequest(register, isWanted ? 0x201 : 0, id: identifier(node)), answers: settings.generation == .b ? 1 : 0, now_us
            ))
        }
        terminal += 1
      }
      terminal = 0
      node += 1
    }
    if isRenewal { renewAt = now_us + 30_000_000 }
    phase = .idle
    outcome = .complete
    scans.complete &+= 1
    failuresInRow = 0
    measurements = scanning
    if allowsDiagnosis, now_us >= nextDiagnosis {
      nextDiagnosis = now_us + ChainMaster.diagnosisPeriod
      findings = diagnosis
      phase = .diagnosing(0, .enter, 0)
      return advance(now_us)
    }
    guard isPaused else {
      guard hasExtraNode, now_us >= nextLook else { return .wait(until: nextScan) }
      // Until it is taken away.
      phase = .opening
      return advance(now_us)
    }
    isPaused = false
    return .send(global(ChainRegister.systemConfiguration1, 0x9001 | 0x80))
  }

  // MARK: Self-tests

  /// Steps of the round under way.
  private var lastStep: Int { hasTestedAll ? DiagnosticStep.repeated : DiagnosticStep.all.count }

  private mutating func diagnose(_ index: Int, _ stage: Stage, _ node: Int, _ now_us: Int64) -> Action {
    let base: UInt16 = settings.generation == .b ? 0x9081 : 0x1081
    guard index < DiagnosticStep.all.count else { return endDiagnosis(stage, base) }
    let step = DiagnosticStep.all[index]
    switch stage {
    case .enter:
      // Entered anew for each step: the chips leave by themselves after a second.
      isPaused = true
      conversion = 0
      sums = InlineArray(repeating: 0)
      findings.begin(step, modules: settings.modules)
      phase = .diagnosing(index, step.test == .comparators ? .thresholds : .close, 0)
      return .send(global(ChainRegister.systemConfiguration1, base | 0x60))
    case .thresholds:
      phase = .diagnosing(index, .close, 0)
      return .send(global(ChainRegister.allThresholds, DiagnosticStep.comparatorThresholds))
    case .close:
      phase = .diagnosing(index, step.conversions > 0 ? .convert : .read, 0)
      notBefore = now_us + DiagnosticStep.settling
      return .send(global(ChainRegister.diagnostics, step.switches))
    case .convert:
      phase = .diagnosing(index, .read, 0)
      tag = (tag + 1) & 0xF
      notBefore = now_us + 600
      return .send(global(ChainRegister.conversion, settings.generation == .b ? UInt16(tag) << 12 | 0x0C3F : 0x0C3F))
    case .read:
      return .send(
        prepare(
          readRequest(step.register, UInt16(truncatingIfNeeded: step.count), id: identifier(node)), answers: step.count, now_us))
    case .release, .restore, .leave: return endDiagnosis(stage, base)
    }
  }

  /// Opens all switches, gives the chips their thresholds back and leaves the diagnostic mode.
  private mutating func endDiagnosis(_ stage: Stage, _ base: UInt16) -> Action {
    let end = DiagnosticStep.all.count
    switch stage {
    case .restore:
      phase = .diagnosing(end, .leave, 0)
      return .send(global(ChainRegister.allThresholds, settings.thresholds))
    case .leave:
      phase = .idle
      isPaused = false
      diagnosis = findings
      diagnoses &+= 1
      return .send(global(ChainRegister.systemConfiguration1, base))
    default:
      phase = .diagnosing(end, .restore, 0)
      return .send(global(ChainRegister.diagnostics, 0))
    }
  }

  /// What one node gave in a step; then the next node, conversion or step.
  private mutating func takeDiagnosis(_ index: Int, _ node: Int) {
    guard index < DiagnosticStep.all.count else { return }
    let step = DiagnosticStep.all[index]
    let isCode = step.test != .comparators && step.conversions > 0 && step.test != .analogue
    for place in 0..<step.count { sums[node * 14 + place] += Int32(pending[place] & (isCode ? 0x7FFF : 0xFFFF)) }
    if node + 1 < settings.modules {
      phase = .diagnosing(index, .read, node + 1)
      return
    }
    conversion += 1
    if conversion < step.conversions {
      phase = .diagnosing(index, .convert, 0)
      return
    }
    for module in 0..<settings.modules {
      var values: InlineArray<14, Int32> = InlineArray(repeating: 0)
      for place in 0..<step.count {
        values[place] = sums[module * 14 + place] / Int32(truncatingIfNeeded: max(1, step.conversions))
      }
      findings.judge(step, module: module, cells: settings.cellsPerModule, values: values)
    }
    if index + 1 < lastStep {
      phase = .diagnosing(index + 1, .enter, 0)
    } else {
      hasTestedAll = true
      phase = .diagnosing(DiagnosticStep.all.count, .release, 0)
    }
  }

  // MARK: Requests

  private func readRequest(_ register: UInt8, _ count: UInt16, id: UInt8) -> ChainFrame {
    ChainFrame(
      request: .read, settings.generation, register: register, data: count, clusterID: id,
      rollingCounter: id == 0 ? 0 : rolling[Int(id & 0xF)])
  }

  private func writeRequest(_ register: UInt8, _ value: UInt16, id: UInt8) -> ChainFrame {
    ChainFrame(
      request: .write, settings.generation, register: register, data: value, clusterID: id,
      rollingCounter: id == 0 ? 0 : rolling[Int(id & 0xF)])
  }

  private func global(_ register: UInt8, _ value: UInt16) -> ChainFrame {
    ChainFrame(request: .globalWrite, settings.generation, register: register, data: value, clusterID: 0)
  }

  /// The same request with its counter advanced, for a repeat.
  private func renewed(_ sent: ChainFrame) -> ChainFrame {
    guard settings.generation == .b, sent.clusterID != 0 else { return sent }
    return ChainFrame(
      request: sent.command, .b, register: sent.register, data: sent.data, clusterID: sent.clusterID,
      rollingCounter: rolling[Int(sent.clusterID)])
  }

  private mutating func prepare(_ frame: ChainFrame, answers: Int, _ now_us: Int64, isRepeat: Bool = false) -> ChainFrame {
    request = frame
    expected = answers
    received = 0
    hasEcho = false
    attempt = isRepeat ? 1 : 0
    trouble = nil
    // (n + 1) frame times and a millisecond (§4.3, D).
    deadline = now_us + Int64(answers + 1) * Int64(frame.generation == .b ? 25 : 29) + 1_000 + settings.allowance
    if frame.clusterID != 0 {
      // Gray order 0, 1, 3, 2.
      let id = Int(frame.clusterID & 0xF)
      rolling[id] = [1, 3, 0, 2][Int(rolling[id] & 3)]
    }
    return frame
  }

  // MARK: Answers

  /// Takes a frame that was heard: the echo of the request, or an answer.
  public mutating func receive(_ frame: ChainFrame) {
    guard let sent = request else { return }
    if !hasEcho {
      hasEcho = true
      if frame.bits != sent.bits { trouble = trouble ?? .wrongEcho }
      return
    }
    guard received < expected else { return }
    let place = received
    received += 1
    guard frame.isIntact else {
      if module < 15 { damagedFrames[module] &+= 1 }
      trouble = trouble ?? .damaged(module: module)
      return
    }
    let register = sent.command == .read ? sent.register &+ UInt8(truncatingIfNeeded: place) : sent.register
    // The answer to an assignment may carry the old ID or the new one (§3.5).
    let isIDFine = frame.clusterID == sent.clusterID || sent.clusterID == 0 && sent.command == .write
    var isFine = frame.register == register && isIDFine
    if settings.generation == .b {
      isFine = isFine && (ChainFrame.hasTag(register) ? frame.nibble == tag || phaseHasNoTag : frame.nibble == sent.nibble)
    }
    guard isFine else {
      trouble = trouble ?? .unexpected(module: module)
      return
    }
    if isMeasuring, frame.data & 0x8000 == 0 { trouble = trouble ?? .notReady(module: module) }
    if place < 23 { pending[place] = frame.data }
  }

  /// Whether what comes is measured values.
  private var isMeasuring: Bool {
    switch phase {
    case .reading: true
    case .diagnosing(let index, _, _):
      index < DiagnosticStep.all.count && DiagnosticStep.all[index].count != 1
        && DiagnosticStep.all[index].test != .comparators
    default: false
    }
  }

  /// Before the first conversion no tag is known.
  private var phaseHasNoTag: Bool { if case .configuring = phase { true } else { false } }

  private mutating func succeeded(_ sent: ChainFrame, _ now_us: Int64) {
    switch phase {
    case .assigning(let node):
      let isLast = node == settings.modules - 1
      if assignment == .ask {
        assignment = .give
      } else if assignment == .give {
        assignment = .verify
      } else if pending[0] == initialization(node, isLast) {
        found = node + 1
        phase = .configuring(node, 0)
      } else {
        failed(.unexpected(module: node), now_us)
      }
    case .configuring(let node, let item): phase = .configuring(node, item + 1)
    case .looking:
      // Somebody answers under ID 0: there is one more than was set.
      hasExtraNode = true
      phase = .closing
    case .opening: phase = .rousing
    case .closing:
      nextLook = now_us + ChainMaster.lookPeriod
      startIdle(now_us)
    case .reading(let node): take(node, now_us)
    case .diagnosing(let step, _, let node): takeDiagnosis(step, node)
    case .checking(let node):
      for index in 0..<3 { scanning.faults[node * 3 + index] = pending[index] }
      // RESET or POR after both were cleared: its settings are gone.
      if pending[0] & 0xC000 != 0 { return failed(.restarted(module: node), now_us) }
      if node + 1 < settings.modules {
        phase = .checking(node + 1)
      } else {
        nextCheck = now_us + 1_000_000
        phase = .ordering(0, 0)
      }
    case .ordering(let node, let terminal):
      let bit: UInt16 = 1 << UInt16(terminal)
      ordered[node] = ordered[node] & ~bit | wanted[node] & bit
      phase = .ordering(node, terminal + 1)
    default: break
    }
  }

  /// One node's measurements: stack, CT14 … CT1, AN6 … AN0, chip temperature.
  private mutating func take(_ node: Int, _ now_us: Int64) {
    scanning.stacks[node] = pending[0] & 0x7FFF
    for cell in 0..<min(14, max(7, settings.cellsPerModule)) {
      let terminal = CellMap.terminal(cell: cell, of: settings.cellsPerModule)
      scanning.cells[node * 14 + cell] = pending[15 - terminal] & 0x7FFF
    }
    for sensor in 0..<5 { scanning.sensors[node * 5 + sensor] = pending[21 - sensor] & 0x7FFF }
    if node + 1 < settings.modules {
      phase = .reading(node + 1)
    } else {
      phase = now_us >= nextCheck ? .checking(0) : .ordering(0, 0)
    }
  }
}
