import Controller

/// Watches a controller from outside and says where it broke a rule that must always hold. It shares no code with the engine's
/// decisions: it looks at readings and outputs only. Source: spec/controller.md §4–7.
public struct Auditor: Sendable {
  /// A broken rule.
  public struct Violation: Sendable, CustomStringConvertible {
    /// s.
    public var at: Double
    /// Which rule, and what was seen.
    public var text: String
    /// For a person.
    public var description: String { "at \(at) s: \(text)" }
  }

  /// The first few; the rest is counted.
  public private(set) var violations: [Violation] = []
  /// All of them.
  public private(set) var count = 0
  /// Steps that were checked.
  public private(set) var steps = 0
  /// Changes of status seen.
  public private(set) var changes = 0
  /// Times the contactors closed.
  public private(set) var closings = 0

  private var configuration: Configuration
  private var lastStatus = SystemStatus.checking
  private var lastContactors: Contactors = []
  private var lastCharge: Int32?
  private var protectSince: Double?
  private var forbiddenSince: Double?
  private var prechargeSince: Double?
  private var soundSince: Double?
  private var lastScan: InlineArray<2, Double> = [-1e9, -1e9]
  private var low: UInt16 = 0
  private var high: UInt16 = 0
  private var isPastProtect = false
  private var isInsideAlarm = false
  /// Set by the simulator: no fault is at work and the battery is what the configuration says.
  var isSound = true
  private var isUnreadable = false

  init(_ configuration: Configuration) { self.configuration = configuration }

  /// The controller started anew.
  mutating func restarted() {
    lastStatus = .checking
    lastContactors = []
    lastCharge = nil
    forbiddenSince = nil
    prechargeSince = nil
    soundSince = nil
    lastScan = [-1e9, -1e9]
  }

  /// A command that changes what is right.
  mutating func commanded(_ command: Command) {
    switch command {
    case .configurationUnreadable: isUnreadable = true
    case .configure(let configuration):
      isUnreadable = false
      if configuration.violationCount == 0 { self.configuration = configuration }
    default: break
    }
  }

  private mutating func broken(_ now: Double, _ text: String) {
    count += 1
    if violations.count < 20 { violations.append(Violation(at: now, text: text)) }
  }

  /// Looks at one step.
  mutating func check(_ engine: Engine, _ readings: Readings, now: Double, seconds: Double) {
    steps += 1
    let outputs = engine.outputs
    if !readings.arrived.isDisjoint(with: [.scan1, .scan2]) { look(readings, now) }
    let isClosed = outputs.contactors.contains(.positive)
    checkContactors(engine, outputs, isClosed, now, seconds)
    checkLimits(outputs, isClosed, now)
    if outputs.digital.contains(.balancing) { checkBalancing(outputs, readings, now) }
    checkCharge(engine, now)
    checkStatus(engine, outputs, now)
    lastContactors = outputs.contactors
  }

  /// Its own look at the scan: lowest and highest cell, limits passed.
  private mutating func look(_ readings: Readings, _ now: Double) {
    var low = UInt16.max
    var high = UInt16.min
    var isInsideSensors = true
    for chain in ChainNumber.allCases {
      if readings.arrived.contains(.scan(chain)) { lastScan[chain.index] = now }
      let count = configuration.slaves(chain) * configuration.cellsPerModule(chain)
      for slot in 0..<count {
        let cell = readings.cells[chain.index * Readings.chainCells + slot]
        low = Swift.min(low, cell)
        high = Swift.max(high, cell)
      }
      for module in 0..<configuration.slaves(chain) {
        let slot = chain.index * 15 + module
        for sensor in 0..<5 where configuration.sensors[slot] & 1 << UInt8(sensor) != 0 {
          let value = Int32(readings.temperatures[slot * 5 + sensor])
          if value > configuration[.overtemperatureAlarm] - 20 || value < configuration[.undertemperatureAlarm] + 20 {
            isInsideSensors = false
          }
        }
      }
    }
    self.low = low
    self.high = high
    let difference = Int32(high) - Int32(low)
    isPastProtect =
      Int32(high) > configuration[.overvoltageProtect] || Int32(low) < configuration[.undervoltageProtect]
      || difference > configuration[.differenceProtect]
    isInsideAlarm =
      isInsideSensors && Int32(high) < configuration[.overvoltageAlarm] - 200
      && Int32(low) > configuration[.undervoltageAlarm] + 200 && difference < configuration[.differenceAlarm] / 2
    if isPastProtect { protectSince = protectSince ?? now } else { protectSince = nil }
  }

  private mutating func checkContactors(_ engine: Engine, _ outputs: Outputs, _ isClosed: Bool, _ now: Double, _ seconds: Double) {
    // One scan, a second for the current to fall, and the step in which it is seen.
    if isClosed, let since = protectSince, now - since > 2 + seconds {
      broken(now, "closed for \(now - since) s with a protect limit passed (\(low)…\(high) × 0.1 mV)")
    }
    if isClosed, outputs.status != .running, outputs.status != .warning, outputs.status != .checking {
      let since = forbiddenSince ?? now
      forbiddenSince = since
      if now - since > 1 + seconds { broken(now, "closed for \(now - since) s in \(outputs.status.word)") }
    } else {
      forbiddenSince = nil
    }
    if isClosed, !lastContactors.contains(.positive) {
      closings += 1
      let values = engine.values
      if !lastContactors.contains([.negative, .precharge]) { broken(now, "positive contactor closed without precharge") }
      if Int64(values.output_mV) * 100 < Int64(values.input_mV) * 95 || values.input_mV <= 0 {
        broken(now, "positive contactor closed at V-out \(values.output_mV) mV of \(values.input_mV) mV")
      }
      if isUnreadable { broken(now, "closed without a configuration") }
    }
    if outputs.contactors.contains(.precharge), !isClosed {
      let since = prechargeSince ?? now
      prechargeSince = since
      if now - since > 5 + 2 * seconds { broken(now, "precharge for \(now - since) s") }
    } else {
      prechargeSince = nil
    }
  }

  private mutating func checkLimits(_ outputs: Outputs, _ isClosed: Bool, _ now: Double) {
    if !isClosed, outputs.chargeLimit_mA != 0 || outputs.dischargeLimit_mA != 0 {
      broken(now, "a limit above 0 with open contactors")
    }
    if outputs.chargeLimit_mA < 0 || outputs.chargeLimit_mA > configuration[.chargeCurrentMax]
      || outputs.dischargeLimit_mA < 0 || outputs.dischargeLimit_mA > configuration[.dischargeCurrentMax]
    {
      broken(now, "limits \(outputs.chargeLimit_mA) and \(outputs.dischargeLimit_mA) mA outside the maxima")
    }
    if Int32(high) > configuration[.cellChargeDisable], outputs.chargeLimit_mA != 0 {
      broken(now, "charge limit \(outputs.chargeLimit_mA) mA above charge disable")
    }
    if Int32(low) < configuration[.cellDischargeDisable], outputs.dischargeLimit_mA != 0 {
      broken(now, "discharge limit \(outputs.dischargeLimit_mA) mA below discharge disable")
    }
    if outputs.chargeLimit_mA > 0 && outputs.isChargingForbidden || outputs.dischargeLimit_mA > 0 && outputs.isDischargingForbidden
    {
      broken(now, "a limit above 0 with its forbidden mark")
    }
  }

  private mutating func checkBalancing(_ outputs: Outputs, _ readings: Readings, _ now: Double) {
    if outputs.status != .running && outputs.status != .warning { broken(now, "balancing in \(outputs.status.word)") }
    for chain in ChainNumber.allCases where configuration.slaves(chain) > 0 {
      if now - lastScan[chain.index] > 3.5 { broken(now, "balancing on a scan \(now - lastScan[chain.index]) s old") }
    }
    for module in 0..<30 {
      let mask = outputs.balancing[module]
      if mask & mask << 1 != 0 { broken(now, "neighbours balanced on module slot \(module)") }
    }
  }

  private mutating func checkCharge(_ engine: Engine, _ now: Double) {
    let charge = engine.values.stateOfCharge
    if charge < 0 || charge > 10_000 { broken(now, "SOC \(charge) × 0.01 %") }
    var isSet = false
    for index in 0..<engine.events.count {
      switch engine.events[index].kind {
      case .stateOfChargeSet, .configurationAccepted: isSet = true
      default: break
      }
    }
    // The current that is counted is that of the measurement before: only a clear sign says which way it went.
    if let last = lastCharge, !isSet {
      if charge < last, lastCurrent >= 0, engine.values.current_mA >= 0 { broken(now, "SOC fell while charging") }
      if charge > last, lastCurrent <= 0, engine.values.current_mA <= 0 { broken(now, "SOC rose while discharging") }
    }
    lastCharge = charge
    lastCurrent = engine.values.current_mA
  }
  private var lastCurrent: Int32 = 0

  private mutating func checkStatus(_ engine: Engine, _ outputs: Outputs, _ now: Double) {
    if outputs.status != lastStatus {
      changes += 1
      var isTold = false
      for index in 0..<engine.events.count {
        if case .status(let from, let to, _) = engine.events[index].kind, from == lastStatus, to == outputs.status { isTold = true }
      }
      if !isTold { broken(now, "\(lastStatus.word) → \(outputs.status.word) without an event") }
      lastStatus = outputs.status
    }
    let mayRecover = isSound && isInsideAlarm && !isUnreadable && !engine.isPrechargeLatched && !engine.isHeld
    guard mayRecover, outputs.status != .running, outputs.status != .warning else {
      soundSince = nil
      return
    }
    let since = soundSince ?? now
    soundSince = since
    if now - since > 180 {
      broken(now, "\(outputs.status.word) for \(now - since) s though nothing is wrong any more")
      soundSince = now
    }
  }
}
