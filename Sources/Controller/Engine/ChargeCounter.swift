/// State of charge, ampere-hours and cycles by counting the calibrated current. Source: spec/controller.md §6.
struct ChargeCounter: Sendable {
  /// mA·µs in the battery.
  private(set) var charge: Int64 = 0
  private(set) var capacity_mAh: Int32
  /// Whether `charge` was ever set, from a store or by an estimate.
  private(set) var isKnown = false
  private(set) var isEstimate = true
  private(set) var discharged_mAh: Int64 = 0
  private var dischargedRest: Int64 = 0
  /// Without a configuration the capacity is a guess that nothing is measured by.
  private var isCapacityKnown: Bool
  /// What was restored while it was not known.
  private var stored: Int64?

  /// One mAh in mA·µs.
  static let milliampereHour: Int64 = 3_600_000_000

  init(capacity_mAh: Int32, isCapacityKnown: Bool = true) {
    self.capacity_mAh = max(1, capacity_mAh)
    self.isCapacityKnown = isCapacityKnown
  }

  private var full: Int64 { Int64(capacity_mAh) * ChargeCounter.milliampereHour }

  /// 0.01 %.
  var stateOfCharge: Int32 { Int32(clamping: charge / (full / 10_000)) }
  var charge_mAh: Int32 { Int32(clamping: charge / ChargeCounter.milliampereHour) }
  var cycles: Int32 { Int32(clamping: discharged_mAh / Int64(capacity_mAh)) }

  /// Counts a current over a time.
  mutating func count(_ current_mA: Int32, _ elapsed_us: Int64) {
    guard isCapacityKnown else { return }
    // At most 2 000 A over 10 s: 2 × 10^13.
    let step = Int64(current_mA) &* elapsed_us
    charge = min(full, max(0, charge &+ step))
    if step < 0 {
      dischargedRest &-= step
      discharged_mAh &+= dischargedRest / ChargeCounter.milliampereHour
      dischargedRest %= ChargeCounter.milliampereHour
    }
  }

  /// Sets it, in 0.01 %. Returns whether that changed anything.
  mutating func set(_ stateOfCharge: Int32, isEstimate: Bool) -> Bool {
    let clamped = Int64(min(10_000, max(0, stateOfCharge)))
    let target = clamped == 10_000 ? full : full / 10_000 * clamped
    let isChange = target != charge || isEstimate != self.isEstimate || !isKnown
    charge = target
    self.isEstimate = isEstimate
    isKnown = true
    return isChange
  }

  /// Another capacity keeps the state of charge; the first one that is known, the charge that was stored.
  mutating func setCapacity(_ mAh: Int32) {
    let capacity = max(1, mAh)
    guard isCapacityKnown else {
      isCapacityKnown = true
      capacity_mAh = capacity
      charge = min(full, stored ?? charge)
      stored = nil
      return
    }
    guard capacity != capacity_mAh else { return }
    let percent = stateOfCharge
    capacity_mAh = capacity
    charge = min(full, full / 10_000 * Int64(percent))
  }

  /// As it was stored.
  mutating func restore(charge_mAs: Int64, isEstimate: Bool, discharged_mAh: Int64) {
    let (charge, overflow) = charge_mAs.multipliedReportingOverflow(by: 1_000_000)
    self.charge = overflow ? full : min(full, max(0, charge))
    if !isCapacityKnown { stored = overflow ? .max : max(0, charge) }
    self.isEstimate = isEstimate
    self.discharged_mAh = max(0, discharged_mAh)
    isKnown = true
  }
}

/// Open-circuit voltage over state of charge, for a first estimate and for simulated cells: typical cells at rest, 25 °C.
public enum OpenCircuitVoltage {
  /// Cell voltage at 0, 10 … 100 %, 0.1 mV.
  public static func table(isLFP: Bool) -> InlineArray<11, Int32> {
    isLFP
      ? [29_000, 32_050, 32_500, 32_750, 32_900, 33_000, 33_050, 33_200, 33_300, 33_350, 34_500]
      : [31_000, 34_500, 35_500, 36_000, 36_400, 36_800, 37_500, 38_400, 39_400, 40_400, 41_500]
  }

  /// State of charge of a cell at rest, 0.01 %.
  public static func stateOfCharge(_ cell: Int32, isLFP: Bool) -> Int32 {
    let table = table(isLFP: isLFP)
    if cell <= table[0] { return 0 }
    for step in 1..<11 where cell <= table[step] {
      return Int32(step - 1) * 1000 + (cell - table[step - 1]) * 1000 / (table[step] - table[step - 1])
    }
    return 10_000
  }
}
