/// The LinkMaster: one deterministic function of its inputs and of time.
///
/// The same inputs at the same times give the same outputs bit for bit, live, in simulation and in replay. It owns no clock, thread,
/// file or device, and allocates nothing in a step. Signs: current is positive while charging. Source: spec/controller.md §1–8.
public struct Engine: Sendable {
  /// What it works by; the last one that kept all rules.
  public private(set) var configuration: Configuration
  /// Rules that the configuration given last breaks; 0 = it is in force.
  public private(set) var violations: UInt16 = 0
  /// What the last step decided.
  public private(set) var outputs = Outputs()
  /// The numbers of the parameter page.
  public private(set) var values = DerivedValues()
  /// What happened in the last step.
  public private(set) var events = EventList()
  /// Why the status is what it is.
  public private(set) var reason = Reason.start
  /// Whether somebody keeps the contactors open.
  public private(set) var isHeld: Bool

  /// Time since the start by steps, µs: no leap of the clock gets in here.
  private var uptime: Int64 = 0
  private var lastNow: Int64?
  private var chain1 = ChainMonitor()
  private var chain2 = ChainMonitor()
  private var check = LimitCheck()
  private var check1 = LimitCheck()
  private var check2 = LimitCheck()
  var sequence = ContactorSequence()
  var limits = CurrentLimits()
  var counter: ChargeCounter
  var balancer = Balancer()

  private var hasAnyReading = false
  private var hasPDU = false
  private var lastPDU: Int64 = 0
  private var isPDUFailed = false
  private var pduInRow: UInt8 = 0
  private var overcurrentSince: Int64?
  private var isOvercurrent = false
  private var isOvercurrentAtOnce = false
  private var overcurrentReason = Reason.start
  private var isProtecting = false
  private var protectReason = Reason.start
  private var insideSince: Int64?
  private var prechargeReason = Reason.start
  /// After a reset: scans of both chains have to come first.
  private var resetAt: Int64?
  private var isResetPending = false

  /// - Parameters:
  ///   - configuration: what to work by; one that breaks a rule gives CONFIG ERR, `nil` (it could not be read) as well.
  ///   - isHeld: starts with the contactors kept open until `release`.
  public init(configuration: Configuration?, isHeld: Bool = false) {
    self.configuration = configuration ?? Configuration()
    self.isHeld = isHeld
    violations = configuration.map { UInt16(clamping: $0.violationCount) } ?? 1
    counter = ChargeCounter(capacity_mAh: self.configuration[.capacity], isCapacityKnown: violations == 0)
  }

  /// Times of balancing by cell slot, 0.1 s.
  public func balanceTime(slot: Int) -> UInt32 { (0..<420).contains(slot) ? balancer.times[slot] : 0 }

  /// One step: what arrived and what is asked for now, to what is to be done.
  /// - Parameter now_ns: any clock that goes forward; when it does not, the step counts as no time and an event says so.
  @discardableResult
  public mutating func step(now_ns: Int64, _ readings: Readings, _ command: consuming Command = .none) -> Outputs {
    events.removeAll()
    let elapsed = advance(now_ns)
    obey(command, now_ns)
    if !readings.arrived.isDisjoint(with: [.scan1, .scan2, .pdu, .failure1, .failure2]) { hasAnyReading = true }
    watchPDU(readings, elapsed)
    watchChains(readings, now_ns)
    judge(readings, now_ns)
    decide(now_ns, elapsed)
    balance(readings)
    publish(now_ns)
    return outputs
  }

  // MARK: Time and orders

  private mutating func advance(_ now_ns: Int64) -> Int64 {
    guard let last = lastNow else {
      lastNow = now_ns
      return 0
    }
    lastNow = now_ns
    let (difference, overflow) = now_ns.subtractingReportingOverflow(last)
    let elapsed = overflow ? -1 : difference / 1000
    if elapsed < 0 || elapsed > Timing.longestStep {
      append(.clockJump(milliseconds: overflow ? 0 : difference / 1_000_000), now_ns)
    }
    // Parts of a microsecond are kept for the next step.
    if !overflow, difference >= 0 { lastNow = now_ns - difference % 1000 }
    let counted = min(Timing.longestStep, max(0, elapsed))
    uptime += counted
    return counted
  }

  private mutating func obey(_ command: consuming Command, _ now_ns: Int64) {
    switch command {
    case .none: break
    case .reset:
      restart()
      sequence.reset()
    case .hold: isHeld = true
    case .release: isHeld = false
    case .configurationUnreadable:
      violations = 1
      append(.configurationRejected(violations: 1), now_ns)
    case .configure(let configuration):
      violations = UInt16(clamping: configuration.violationCount)
      guard violations == 0 else { return append(.configurationRejected(violations: violations), now_ns) }
      var isOtherBattery = false
      for item in [ConfigurationItem.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells]
      where self.configuration[item] != configuration[item] {
        isOtherBattery = true
      }
      self.configuration = configuration
      counter.setCapacity(configuration[.capacity])
      if isOtherBattery { restart() }
      append(.configurationAccepted, now_ns)
    }
  }

  /// Nothing that was read counts any more.
  private mutating func restart() {
    isResetPending = true
    resetAt = uptime
    chain1.hasScan = false
    chain2.hasScan = false
    values.hasCells = false
    insideSince = nil
  }

  // MARK: What arrived

  private mutating func watchPDU(_ readings: Readings, _ elapsed: Int64) {
    values.supply_mV = readings.supply_mV
    // The current of the last measurement flowed up to this one.
    if hasPDU, uptime - lastPDU <= Timing.silence, elapsed > 0 { counter.count(values.current_mA, elapsed) }
    guard readings.arrived.contains(.pdu) else {
      if hasAnyReading, uptime - lastPDU > Timing.silence, hasPDU || uptime > Timing.startUp {
        isPDUFailed = true
        pduInRow = 0
      }
      return
    }
    hasPDU = true
    lastPDU = uptime
    pduInRow = pduInRow < 255 ? pduInRow + 1 : 255
    if pduInRow >= Timing.goodScans { isPDUFailed = false }
    values.current_mA = Calibration.current(readings.currentRaw, configuration)
    values.input_mV = Calibration.input(readings.inputRaw, configuration)
    values.output_mV = Calibration.output(readings.outputRaw, configuration)
    watchOvercurrent()
  }

  /// Source: spec/controller.md §4, OCP.
  private mutating func watchOvercurrent() {
    let magnitude = Int64(values.current_mA.magnitude)
    let limit = Int64(configuration[.overcurrentProtect])
    guard magnitude > limit else {
      overcurrentSince = nil
      return
    }
    let since = overcurrentSince ?? uptime
    overcurrentSince = since
    let isHuge = magnitude * 5 > limit * 6
    if isHuge { isOvercurrentAtOnce = true }
    if isHuge || uptime - since > Timing.overcurrent {
      if !isOvercurrent {
        overcurrentReason = .overcurrent(milliamperes: values.current_mA, limit: configuration[.overcurrentProtect])
      }
      isOvercurrent = true
    }
  }

  private mutating func watchChains(_ readings: Readings, _ now_ns: Int64) {
    guard violations == 0 else { return }
    if configuration[.bms1Slaves] > 0 {
      chain1.observe(.bms1, readings, uptime: uptime, hasAnyReading: hasAnyReading)
      if readings.arrived.contains(.scan1) {
        chain1.take(.bms1, readings, configuration)
        reportSums(.bms1, readings, now_ns)
      }
    }
    if configuration[.bms2Slaves] > 0 {
      chain2.observe(.bms2, readings, uptime: uptime, hasAnyReading: hasAnyReading)
      if readings.arrived.contains(.scan2) {
        chain2.take(.bms2, readings, configuration)
        reportSums(.bms2, readings, now_ns)
      }
    }
  }

  /// A module's own voltage against the sum of its cells, once a module. Source: spec/controller.md §3.
  private mutating func reportSums(_ chain: ChainNumber, _ readings: Readings, _ now_ns: Int64) {
    let monitor = chain == .bms1 ? chain1 : chain2
    var news = monitor.differingSums & ~monitor.reportedSums
    guard news != 0 else { return }
    if chain == .bms1 { chain1.reportedSums |= news } else { chain2.reportedSums |= news }
    let perModule = configuration.cellsPerModule(chain)
    while news != 0 {
      let module = news.trailingZeroBitCount
      news &= news &- 1
      let first = chain.index * Readings.chainCells + module * perModule
      var sum: UInt32 = 0
      for slot in first..<first + perModule { sum &+= UInt32(readings.cells[slot]) }
      append(
        .moduleSum(
          module: UInt8(chain.index * 15 + module), stack: readings.stacks[chain.index * 15 + module],
          cells: Int32(bitPattern: sum / 10)), now_ns)
    }
  }

  // MARK: What it means

  private var isChain1On: Bool { configuration[.bms1Slaves] > 0 }
  private var isChain2On: Bool { configuration[.bms2Slaves] > 0 }

  /// Whether every enabled chain has a scan that is not older than `age`.
  private func isFresh(_ age: Int64) -> Bool {
    (!isChain1On || chain1.hasScan && uptime - chain1.lastScan <= age)
      && (!isChain2On || chain2.hasScan && uptime - chain2.lastScan <= age)
  }

  private mutating func judge(_ readings: Readings, _ now_ns: Int64) {
    let isNew = !readings.arrived.isDisjoint(with: [.scan1, .scan2])
    guard violations == 0, isNew, (!isChain1On || chain1.hasScan), (!isChain2On || chain2.hasScan) else { return }
    if isChain1On { check1.update(Engine.extremes(chain1), configuration) }
    if isChain2On { check2.update(Engine.extremes(chain2), configuration) }
    let all = combined()
    check.update(all, configuration)
    values.lowestCell = all.low
    values.highestCell = all.high
    values.coldest = all.coldest
    values.hottest = all.hottest
    values.cellSum_mV = ((isChain1On ? chain1.cellSum : 0) + (isChain2On ? chain2.cellSum : 0)) / 10
    values.voltage_mV = (isChain1On ? chain1.stackSum : 0) + (isChain2On ? chain2.stackSum : 0)
    values.hasCells = true
    limits.take(all, configuration)
    anchor(all, now_ns)
  }

  private static func extremes(_ chain: ChainMonitor) -> LimitCheck.Extremes {
    LimitCheck.Extremes(low: chain.low, high: chain.high, coldest: chain.coldest, hottest: chain.hottest)
  }

  private func combined() -> LimitCheck.Extremes {
    guard isChain1On else { return Engine.extremes(chain2) }
    guard isChain2On else { return Engine.extremes(chain1) }
    return LimitCheck.Extremes(
      low: chain2.low.value < chain1.low.value ? chain2.low : chain1.low,
      high: chain2.high.value > chain1.high.value ? chain2.high : chain1.high,
      coldest: Engine.further(chain1.coldest, chain2.coldest) { $0 < $1 },
      hottest: Engine.further(chain1.hottest, chain2.hottest) { $0 > $1 })
  }

  private static func further(
    _ one: DerivedValues.Extreme?, _ other: DerivedValues.Extreme?, _ isFurther: (Int32, Int32) -> Bool
  ) -> DerivedValues.Extreme? {
    guard let one else { return other }
    guard let other else { return one }
    return isFurther(other.value, one.value) ? other : one
  }

  /// A full or an empty cell sets the counter; so does the first scan where nothing was stored. Source: spec/controller.md §6.
  private mutating func anchor(_ all: LimitCheck.Extremes, _ now_ns: Int64) {
    // A cell beyond protect, or a wrong count: a broken wire is likelier than a full battery. What is not trusted sets nothing.
    guard check.protect == nil, fault == nil else { return }
    if all.high.value > configuration[.cellChargeDisable] {
      if counter.set(10_000, isEstimate: false) { append(.stateOfChargeSet(10_000, isEstimate: false), now_ns) }
    } else if all.low.value < configuration[.cellDischargeDisable] {
      if counter.set(0, isEstimate: false) { append(.stateOfChargeSet(0, isEstimate: false), now_ns) }
    } else if !counter.isKnown {
      let mean = Int32(clamping: values.cellSum_mV * 10 / Int64(max(1, configuration[.cellCount])))
      let estimate = OpenCircuitVoltage.stateOfCharge(mean, isLFP: configuration.isLFP)
      _ = counter.set(estimate, isEstimate: true)
      append(.stateOfChargeSet(estimate, isEstimate: true), now_ns)
    }
  }

  // MARK: What is to be done

  private mutating func decide(_ now_ns: Int64, _ elapsed: Int64) {
    watchProtect()
    watchResetAndRelease()
    let (wanted, why) = wantedStatus()
    let mayRun = wanted == .checking || wanted == .warning || wanted == .running
    let isInside = values.hasCells && check.alarms.isEmpty && check.protect == nil && fault == nil
    let before = sequence.phase
    let outcome = sequence.step(
      .init(
        uptime: uptime, mustOpen: !mayRun || isHeld || isResetPending, atOnce: isOvercurrentAtOnce,
        mayClose: isInside && isFresh(Timing.fresh) && hasPDU && uptime - lastPDU <= Timing.fresh,
        hasMeasurement: hasPDU && uptime - lastPDU <= Timing.fresh,
        current: values.current_mA, input: values.input_mV, output: values.output_mV, pack: values.voltage_mV))
    switch outcome {
    case .nothing: break
    case .prechargeFailed(let failure):
      prechargeReason = failure
      append(.prechargeFailed(attempts: sequence.attempts, isLatched: sequence.isLatched), now_ns)
    case .weldSuspected: append(.weldSuspected(output: values.output_mV, input: values.input_mV), now_ns)
    }
    if before != sequence.phase, sequence.contactors != outputs.contactors { append(.contactors(sequence.contactors), now_ns) }
    if sequence.phase == .open, isOvercurrentAtOnce, overcurrentSince == nil { isOvercurrentAtOnce = false }
    setStatus(now_ns, wanted, why)
    limits.step(
      isClosed: sequence.phase == .closed && outputs.status.mayBeClosed && values.hasCells, share: check.share,
      coldest: values.coldest?.value, hottest: values.hottest?.value, configuration, elapsed: elapsed)
  }

  /// A count or a sensor of an enabled chain that makes its readings unusable.
  private var fault: Reason? { (isChain1On ? chain1.fault : nil) ?? (isChain2On ? chain2.fault : nil) }

  private mutating func watchProtect() {
    guard violations == 0, values.hasCells else { return }
    if let cause = check.protect ?? fault {
      if !isProtecting { protectReason = cause }
      isProtecting = true
      insideSince = nil
    } else if isProtecting {
      // Only fresh values can say that the cause is gone.
      guard check.alarms.isEmpty, isFresh(Timing.silence) else {
        insideSince = nil
        return
      }
      let since = insideSince ?? uptime
      insideSince = since
      if uptime - since >= Timing.protectRelease {
        isProtecting = false
        insideSince = nil
      }
    }
  }

  private mutating func watchResetAndRelease() {
    if isResetPending, sequence.phase == .open, values.hasCells, isFresh(Timing.fresh),
      chain1.lastScan > resetAt ?? 0 || !isChain1On,
      chain2.lastScan > resetAt ?? 0 || !isChain2On
    {
      isResetPending = false
      resetAt = nil
    }
    // From opening on, not from the overcurrent.
    if isOvercurrent, sequence.phase == .open, overcurrentSince == nil,
      uptime - (sequence.openedAt ?? 0) >= Timing.overcurrentRelease
    {
      isOvercurrent = false
      isOvercurrentAtOnce = false
    }
  }

  /// The first status that holds. Source: spec/controller.md §4.
  private func wantedStatus() -> (SystemStatus, Reason) {
    if !hasAnyReading, uptime > Timing.startUp { return (.noData, .noReading) }
    if violations > 0 { return (.configError, .configuration(violations: violations)) }
    if isChain1On, chain1.isFailed { return (.communicationError, chain1.failure) }
    if isChain2On, chain2.isFailed { return (.communicationError, chain2.failure) }
    if isPDUFailed { return (.communicationError, .pduSilent) }
    if isOvercurrent { return (.overcurrent, overcurrentReason) }
    if isProtecting { return (.protect, protectReason) }
    if sequence.isBarred { return (.prechargeError, prechargeReason) }
    if sequence.phase != .closed { return (.checking, isHeld ? .held : isResetPending ? .reset : .recovered) }
    if let warning = check.warning, !check.warnings.isEmpty { return (.warning, warning) }
    return (.running, .recovered)
  }

  /// The status after the contactors have moved: closing and failing change it within the step.
  private mutating func setStatus(_ now_ns: Int64, _ wanted: SystemStatus, _ why: Reason) {
    var (status, cause) = wantedStatus()
    // While a hold or a reset lets the current fall the battery is not running any more.
    if case .releasing = sequence.phase, status.mayBeClosed { (status, cause) = (.checking, isHeld ? .held : .reset) }
    reason = cause
    guard status != outputs.status else { return }
    append(.status(from: outputs.status, to: status, cause), now_ns)
    outputs.status = status
  }

  private mutating func balance(_ readings: Readings) {
    let isAllowed = outputs.status.mayBeClosed && sequence.phase == .closed && isFresh(Timing.fresh)
    guard isAllowed else { return balancer.stop(uptime) }
    if !readings.arrived.isDisjoint(with: [.scan1, .scan2]) {
      balancer.choose(
        readings, configuration, lowest: values.lowestCell.value, highest: values.highestCell.value, uptime)
    }
  }

  private mutating func publish(_ now_ns: Int64) {
    setChain(.bms1, chainStatus(chain1, check1, isOn: isChain1On), now_ns)
    setChain(.bms2, chainStatus(chain2, check2, isOn: isChain2On), now_ns)
    if limits.isChargingForbidden != outputs.isChargingForbidden {
      append(.charging(isAllowed: !limits.isChargingForbidden), now_ns)
    }
    if limits.isDischargingForbidden != outputs.isDischargingForbidden {
      append(.discharging(isAllowed: !limits.isDischargingForbidden), now_ns)
    }
    outputs.contactors = sequence.contactors
    outputs.chargeLimit_mA = limits.charge_mA
    outputs.dischargeLimit_mA = limits.discharge_mA
    outputs.isChargingForbidden = limits.isChargingForbidden
    outputs.isDischargingForbidden = limits.isDischargingForbidden
    outputs.balancing = balancer.masks
    var digital: DigitalOutputs = []
    if sequence.phase == .closed { digital.insert(.closed) }
    switch outputs.status {
    case .warning: digital.insert(.warning)
    case .running, .checking: break
    default: digital.insert(.error)
    }
    if balancer.isActive { digital.insert(.balancing) }
    outputs.digital = digital
    values.stateOfCharge = counter.stateOfCharge
    values.isEstimate = counter.isEstimate
    values.charge_mAh = counter.charge_mAh
    values.cycles = counter.cycles
  }

  private func chainStatus(_ chain: ChainMonitor, _ check: LimitCheck, isOn: Bool) -> (ChainStatus, Reason) {
    if !isOn { return (.off, .start) }
    if !chain.hasArrived { return (.noData, .noReading) }
    if chain.isFailed { return (.communicationError, chain.failure) }
    if !chain.hasScan { return (.noData, .noReading) }
    if let cause = chain.fault ?? check.protect { return (.protect, cause) }
    if let warning = check.warning { return (.warning, warning) }
    return (.ok, .recovered)
  }

  private mutating func setChain(_ chain: ChainNumber, _ status: (ChainStatus, Reason), _ now_ns: Int64) {
    let before = chain == .bms1 ? outputs.bms1 : outputs.bms2
    guard before != status.0 else { return }
    append(.chain(chain, from: before, to: status.0, status.1), now_ns)
    if chain == .bms1 { outputs.bms1 = status.0 } else { outputs.bms2 = status.0 }
  }

  private mutating func append(_ kind: Event.Kind, _ now_ns: Int64) { events.append(Event(time_ns: now_ns, kind: kind)) }
}
