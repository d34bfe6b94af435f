/// What a battery and an inverter tell one another, whatever the protocol: the meeting point of controller and protocols. The names are
/// those of a sidecar's `quantities` and `say`.
public enum Quantity: UInt8, CaseIterable, Sendable {
  // Measured or counted by the battery.
  case packVoltage, packCurrent, packTemperature, soc, soh, cycleCount, capacity, remainingCapacity, energyCapacity
  case chargeVoltageLimit, dischargeVoltageLimit, chargeCurrentLimit, dischargeCurrentLimit
  case cellVoltageMax, cellVoltageMin, cellVoltageMaxNumber, cellVoltageMinNumber
  case cellTemperatureMax, cellTemperatureMin, cellTemperatureMaxNumber, cellTemperatureMinNumber
  case moduleVoltageMax, moduleVoltageMin, moduleVoltageMaxNumber, moduleVoltageMinNumber
  case moduleTemperatureMax, moduleTemperatureMin, moduleTemperatureMaxNumber, moduleTemperatureMinNumber
  case cellCount, moduleCount, cellsPerModule, nominalVoltage, modulesOf48V
  // True or not.
  case live, ready, charging, discharging, idle, chargeForbidden, dischargeForbidden, forceCharge
  case overvoltageAlarm, overvoltageProtection, undervoltageAlarm, undervoltageProtection
  case overtemperatureAlarm, overtemperatureProtection, undertemperatureAlarm, undertemperatureProtection
  case chargeOvercurrent, dischargeOvercurrent, differenceAlarm, differenceProtection, communicationFault, prechargeFault
  // Measured by the inverter.
  case inverterVoltage, inverterCurrent, inverterTemperature, inverterTime
}

/// A value for each quantity that is known, in thousandths of its unit (mV, mA, m°C, m%, mAh, Wh, …); yes is 1000.
public struct QuantityValues: Sendable {
  @usableFromInline var values: InlineArray<64, Int64> = InlineArray(repeating: 0)
  @usableFromInline var known: UInt64 = 0

  /// Nothing known.
  public init() {}

  /// The value, if there is one.
  @inlinable public subscript(quantity: Quantity) -> Int64? {
    get { value(Int(quantity.rawValue)) }
    set { set(Int(quantity.rawValue), newValue) }
  }

  @inlinable func value(_ place: Int) -> Int64? { known & 1 << UInt64(place) != 0 ? values[place] : nil }
  @inlinable mutating func set(_ place: Int, _ value: Int64?) {
    values[place] = value ?? 0
    known = value == nil ? known & ~(1 << UInt64(place)) : known | 1 << UInt64(place)
  }

  /// Whether a yes-or-no quantity is yes; no where it is not known.
  @inlinable public func isTrue(_ quantity: Quantity) -> Bool { (self[quantity] ?? 0) != 0 }

  /// Notes yes or no.
  @inlinable public mutating func set(_ quantity: Quantity, _ isTrue: Bool) { self[quantity] = isTrue ? 1000 : 0 }
}
