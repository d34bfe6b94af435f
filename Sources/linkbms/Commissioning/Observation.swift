import Bus
import Controller
import Simulation

extension Configuration {
  /// From which current on (A) it counts as flowing: `most`, or half of what is allowed in its direction where that is less, and never
  /// what a sensor may show at rest (0.3 A).
  func leastFlow(_ most: Double, like current: Double) -> Double {
    let limit = Double(self[current < 0 ? .dischargeCurrentMax : .chargeCurrentMax]) / 1000
    return min(most, max(0.35, limit / 2))
  }
}

/// What a stage of watching saw: gathered step by step, judged at its end.
struct Observation: Sendable {
  /// A point of the precharge curve.
  struct Point: Sendable, Equatable {
    /// s from the precharge relay's closing.
    var time: Double
    /// V.
    var output: Double
    /// V.
    var input: Double
  }

  let watch: Guide.Watch
  /// s, of the plant.
  private(set) var began: Double?
  private(set) var last: PlantStep?
  private(set) var statuses: Set<SystemStatus> = []
  private(set) var isPDUHeard = false
  /// Steps in which a PDU measurement came, and their sums, for means.
  private var count = 0.0
  private var currentSum = 0.0
  private var inputSum = 0.0
  private var outputSum = 0.0
  private var packSum = 0.0
  private(set) var curve: [Point] = []
  /// s of the plant when the precharge relay closed, and when the positive contactor did.
  private(set) var prechargeAt: Double?
  private(set) var positiveAt: Double?
  /// The first event that says why precharge failed.
  private(set) var prechargeFailure: Reason?
  /// Whether the inverter was ever online.
  private(set) var wasOnline = false
  private(set) var isOnline: Bool?
  /// The status' reason when it was not RUNNING.
  private(set) var trouble: (SystemStatus, Reason)?
  /// V at rest, before current flowed, and what the sum of cells did under current.
  private(set) var restVoltage: Double?
  private var loadedCount = 0.0
  private var loadedCurrent = 0.0
  private var loadedVoltage = 0.0

  /// - Parameter rest: V of the battery at rest, where a watch before this one saw it.
  init(_ watch: Guide.Watch, rest: Double? = nil) {
    self.watch = watch
    restVoltage = rest
  }

  /// s that passed.
  var elapsed: Double { (last?.time ?? 0) - (began ?? last?.time ?? 0) }
  var meanCurrent: Double { count > 0 ? currentSum / count : 0 }
  var meanInput: Double { count > 0 ? inputSum / count : 0 }
  var meanOutput: Double { count > 0 ? outputSum / count : 0 }
  var meanPack: Double { count > 0 ? packSum / count : 0 }
  /// A and V, means of the moments in which current flowed; `nil` = never so much.
  var loaded: (current: Double, voltage: Double)? {
    loadedCount >= 10 ? (loadedCurrent / loadedCount, loadedVoltage / loadedCount) : nil
  }

  mutating func take(_ step: PlantStep) {
    if began == nil { began = step.time }
    last = step
    let values = step.engine.values
    let status = step.engine.outputs.status
    statuses.insert(status)
    if status != .running, status != .checking, trouble == nil { trouble = (status, step.engine.reason) }
    if let online = step.isOnline {
      isOnline = online
      if online { wasOnline = true }
    }
    let pack = Double(values.cellSum_mV) / 1000
    let current = Double(values.current_mA) / 1000
    if step.readings.arrived.contains(.pdu) {
      isPDUHeard = true
      // Means over the last part only: what came before belongs to the change before.
      if elapsed > 1 {
        count += 1
        currentSum += current
        inputSum += Double(values.input_mV) / 1000
        outputSum += Double(values.output_mV) / 1000
        packSum += Double(values.voltage_mV) / 1000
      }
    }
    if values.hasCells {
      // By the limits in force: a small battery never sees the currents of a large one.
      let configuration = step.engine.configuration
      if abs(current) < configuration.leastFlow(0.5, like: current) {
        if loadedCount == 0 { restVoltage = pack }
      } else if abs(current) > configuration.leastFlow(2, like: current) {
        loadedCount += 1
        loadedCurrent += current
        loadedVoltage += pack
      }
    }
    if watch == .close { followContactors(step) }
  }

  private mutating func followContactors(_ step: PlantStep) {
    let contactors = step.engine.outputs.contactors
    for index in 0..<step.engine.events.count {
      if case .prechargeFailed = step.engine.events[index].kind, prechargeFailure == nil { prechargeFailure = step.engine.reason }
    }
    for case .prechargeFailed in step.events where prechargeFailure == nil { prechargeFailure = step.engine.reason }
    if contactors.contains(.precharge), prechargeAt == nil { prechargeAt = step.time }
    if contactors.contains(.positive), positiveAt == nil { positiveAt = step.time }
    // A second attempt would draw a second curve over the first.
    guard let start = prechargeAt, prechargeFailure == nil, step.readings.arrived.contains(.pdu), curve.count < 4000 else { return }
    if let positive = positiveAt, step.time - positive > 0.5 { return }
    curve.append(
      Point(
        time: step.time - start, output: Double(step.engine.values.output_mV) / 1000,
        input: Double(step.engine.values.input_mV) / 1000))
  }

  /// Whether there is nothing more to see before its time is over.
  var isOver: Bool {
    switch watch {
    case .close:
      if prechargeFailure != nil { return true }
      guard let status = last?.engine.outputs.status else { return false }
      if let positive = positiveAt, status == .running || status == .warning { return (last?.time ?? 0) - positive > 3 }
      // It will not close in these; after a failed precharge it tries again when the resistor has cooled down, 30 s later.
      return elapsed > 15 && status != .checking && status != .prechargeError
    case .open:
      guard let step = last, step.engine.outputs.contactors.isEmpty else { return false }
      return Int64(step.engine.values.output_mV) * 2 < Int64(step.engine.values.input_mV)
    case .talk: return wasOnline && elapsed > 3
    case .direction: return loadedCount >= 100
    case .settle, .listen, .charge: return false
    }
  }
}
