import Controller

/// Watches the first charge: every doubt is a reason to open at once.
struct ChargeWatch: Sendable {
  /// Why the watch ends early: the failure's word and what was seen.
  struct Doubt: Sendable, Equatable {
    var failure: String
    var text: String
  }

  private let configuration: Configuration
  private let rest: Double?
  private(set) var samples: [ChargeSample] = []
  private(set) var largestDifference = 0.0
  private(set) var chargeMoved = 0.0
  private var began: Double?
  private var before: (time: Double, current: Double)?
  /// s in which the battery was charged, and discharged.
  private var charging = 0.0
  private var discharging = 0.0
  private var firstCharge_mAh: Int32?
  private var last: PlantStep?
  private var overSince: Double?
  private var outputSince: Double?
  private var offlineSince: Double?
  private var oppositeSince: Double?

  /// - Parameters:
  ///   - configuration: with the limits that hold during the watch.
  ///   - rest: V of the battery before current flowed.
  init(_ configuration: Configuration, rest: Double?) {
    self.configuration = configuration
    self.rest = rest
  }

  /// One step; a doubt if there is one.
  mutating func take(_ step: PlantStep) -> Doubt? {
    let start = began ?? step.time
    began = start
    let values = step.engine.values
    let current = Double(values.current_mA) / 1000
    if firstCharge_mAh == nil { firstCharge_mAh = values.charge_mAh }
    if let before { count(before.current, for: step.time - before.time) }
    before = (step.time, current)
    last = step
    let difference = Double(values.difference) / 10_000
    largestDifference = max(largestDifference, difference)
    if samples.last.map({ step.time - start - $0.time >= 5 }) ?? true {
      samples.append(
        ChargeSample(
          time: step.time - start, low: Double(values.lowestCell.value) / 10_000, high: Double(values.highestCell.value) / 10_000,
          current: current, soc: Double(values.stateOfCharge) / 100))
    }
    return cells(values) ?? limits(step, current) ?? contactors(step) ?? direction(step, current)
  }

  private mutating func count(_ current: Double, for seconds: Double) {
    chargeMoved += current * seconds / 3600
    guard abs(current) > configuration.leastFlow(1, like: current) else { return }
    if current > 0 { charging += seconds } else { discharging += seconds }
  }

  private func cells(_ values: DerivedValues) -> Doubt? {
    if values.difference > configuration[.differenceAlarm] {
      return Doubt(failure: "spread", text: "cells \(Number.text(Double(values.difference) / 10_000, 3, "V")) apart")
    }
    let hot = values.hottest?.value ?? configuration[.chargeTemperatureMax]
    let cold = values.coldest?.value ?? configuration[.chargeTemperatureMin]
    if hot > configuration[.chargeTemperatureMax] || cold < configuration[.chargeTemperatureMin] {
      return Doubt(
        failure: "temperature", text: "\(Number.text(Double(cold) / 10, 1))…\(Number.text(Double(hot) / 10, 1, "°C"))")
    }
    return nil
  }

  private mutating func limits(_ step: PlantStep, _ current: Double) -> Doubt? {
    let allowed = current >= 0 ? configuration[.chargeCurrentMax] : configuration[.dischargeCurrentMax]
    let limit = Double(allowed) / 1000
    guard abs(current) > limit * 1.05 + 1 else {
      overSince = nil
      return nil
    }
    let since = overSince ?? step.time
    overSince = since
    guard step.time - since > 5 else { return nil }
    return Doubt(failure: "limits", text: "\(Number.text(current, 1, "A")) for 5 s, allowed \(Number.text(limit, 1, "A"))")
  }

  private mutating func contactors(_ step: PlantStep) -> Doubt? {
    let values = step.engine.values
    let isLow = Int64(values.output_mV) * 10 < Int64(values.input_mV) * 9
    outputSince = isLow ? outputSince ?? step.time : nil
    if let since = outputSince, step.time - since > 1 {
      return Doubt(
        failure: "output",
        text:
          "V-out \(Number.text(Double(values.output_mV) / 1000, 1, "V")) of \(Number.text(Double(values.input_mV) / 1000, 1, "V"))")
    }
    offlineSince = step.isOnline == false ? offlineSince ?? step.time : nil
    if let since = offlineSince, step.time - since > 10 { return Doubt(failure: "link", text: "nothing accepted for 10 s") }
    let status = step.engine.outputs.status
    return status == .running ? nil : Doubt(failure: "status", text: status.word)
  }

  /// Charging lifts the voltage above that at rest, discharging lowers it: 1 mV a cell is more than noise.
  private mutating func direction(_ step: PlantStep, _ current: Double) -> Doubt? {
    guard let rest, step.engine.values.hasCells, abs(current) > configuration.leastFlow(2, like: current) else {
      oppositeSince = nil
      return nil
    }
    let rise = Double(step.engine.values.cellSum_mV) / 1000 - rest
    let noticeable = 0.001 * Double(max(1, configuration[.cellCount]))
    guard abs(rise) > noticeable, rise * current < 0 else {
      oppositeSince = nil
      return nil
    }
    // After a change of direction the cells follow slowly.
    let since = oppositeSince ?? step.time
    oppositeSince = since
    guard step.time - since > 30, (last.map { $0.time - (began ?? 0) } ?? 0) < 120 else { return nil }
    return Doubt(
      failure: "voltage", text: "\(Number.text(current, 1, "A")), and the battery went \(Number.text(rise, 2, "V")) the other way")
  }

  /// s that were watched.
  private var watched: Double { (last?.time ?? 0) - (began ?? last?.time ?? 0) }
  /// How much of the time the battery was charged, 0…1.
  private var share: Double { watched > 0 ? charging / watched : 0 }
  private var moved: String { "\(Number.text(chargeMoved, 2, "Ah")), charging \(Number.text(share * 100, 0, "%")) of the time" }

  /// A first charge is one: more went in than out, and at most of the time something went in.
  private var notCharged: Doubt? {
    guard chargeMoved <= 0 || share < 0.5 else { return nil }
    return Doubt(failure: chargeMoved < 0 && discharging > 0 ? "discharged" : "none", text: moved)
  }

  /// At the end: what only the whole tells.
  func verdict() -> Doubt? {
    guard let last, let first = firstCharge_mAh else { return Doubt(failure: "none", text: "no step") }
    if let notCharged { return notCharged }
    let counted = Double(Int64(last.engine.values.charge_mAh) - Int64(first)) / 1000
    if abs(chargeMoved) > 0.1, counted * chargeMoved < 0 || abs(counted - chargeMoved) > abs(chargeMoved) * 0.3 + 0.05 {
      return Doubt(
        failure: "soc", text: "\(Number.text(chargeMoved, 2, "Ah")) flowed, \(Number.text(counted, 2, "Ah")) were counted")
    }
    return nil
  }

  /// One line of what was seen.
  var text: String {
    let low = samples.map(\.low).min() ?? 0
    let high = samples.map(\.high).max() ?? 0
    return
      "\(moved), \(Number.text((samples.last?.time ?? 0) / 60, 0, "min")), cells \(Number.text(low, 3))…"
      + "\(Number.text(high, 3, "V")), at most \(Number.text(largestDifference, 3, "V")) apart, SOC \(Number.text(samples.first?.soc ?? 0, 1)) → "
      + Number.text(samples.last?.soc ?? 0, 1, "%")
  }
}
