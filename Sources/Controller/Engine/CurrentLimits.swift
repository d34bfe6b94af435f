/// The charge and discharge currents allowed to the inverter. Source: spec/controller.md §5.
struct CurrentLimits: Sendable {
  /// Latched by a full cell until the highest is below "charge enable".
  var isFull = false
  /// Latched by an empty cell until the lowest is above "discharge enable".
  var isEmpty = false
  private(set) var charge_mA: Int32 = 0
  private(set) var discharge_mA: Int32 = 0
  private(set) var isChargingForbidden = true
  private(set) var isDischargingForbidden = true
  /// What the limited rise has not spent yet, mA·µs.
  private var chargeRise: Int64 = 0
  private var dischargeRise: Int64 = 0

  mutating func take(_ values: LimitCheck.Extremes, _ configuration: Configuration) {
    if values.high.value > configuration[.cellChargeDisable] { isFull = true }
    if values.high.value < configuration[.cellChargeEnable] { isFull = false }
    if values.low.value < configuration[.cellDischargeDisable] { isEmpty = true }
    if values.low.value > configuration[.cellDischargeEnable] { isEmpty = false }
  }

  mutating func step(
    isClosed: Bool, share: Int32, coldest: Int32?, hottest: Int32?, _ configuration: Configuration, elapsed: Int64
  ) {
    let cold = coldest ?? .max
    let hot = hottest ?? .min
    isChargingForbidden =
      !isClosed || isFull || cold < configuration[.chargeTemperatureMin] || hot > configuration[.chargeTemperatureMax]
    isDischargingForbidden =
      !isClosed || isEmpty || cold < configuration[.dischargeTemperatureMin] || hot > configuration[.dischargeTemperatureMax]
    let charge = isChargingForbidden ? 0 : CurrentLimits.part(configuration[.chargeCurrentMax], share)
    let discharge = isDischargingForbidden ? 0 : CurrentLimits.part(configuration[.dischargeCurrentMax], share)
    charge_mA = CurrentLimits.approach(charge_mA, charge, &chargeRise, elapsed)
    discharge_mA = CurrentLimits.approach(discharge_mA, discharge, &dischargeRise, elapsed)
  }

  private static func part(_ current: Int32, _ share: Int32) -> Int32 {
    Int32(clamping: Int64(max(0, current)) * Int64(share) / 1000)
  }

  /// Down at once, up at the limited rate.
  private static func approach(_ now: Int32, _ target: Int32, _ rise: inout Int64, _ elapsed: Int64) -> Int32 {
    guard target > now else {
      rise = 0
      return target
    }
    rise += elapsed * Timing.rise_mA
    let step = rise / 1_000_000
    rise -= step * 1_000_000
    return Int32(clamping: min(Int64(target), Int64(now) + step))
  }
}
