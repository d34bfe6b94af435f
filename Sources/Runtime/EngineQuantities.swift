public import Bus
public import Controller

extension QuantityValues {
  /// What the controller tells an inverter: the rules of spec/controller.md §3 and §5 in the protocols' terms.
  public init(_ engine: Engine) {
    self.init()
    let values = engine.values
    let configuration = engine.configuration
    let outputs = engine.outputs
    let cells = Int64(configuration[.cellCount])
    let modules = Int64(configuration[.bms1Slaves] + configuration[.bms2Slaves])
    self[.packVoltage] = values.voltage_mV
    self[.packCurrent] = Int64(values.current_mA)
    self[.soc] = Int64(values.stateOfCharge) * 10
    // Not measured yet: as new (goodwe.md §2).
    self[.soh] = 100_000
    self[.cycleCount] = Int64(values.cycles) * 1000
    self[.capacity] = Int64(configuration[.capacity])
    self[.remainingCapacity] = Int64(values.charge_mAh)
    self[.chargeVoltageLimit] = cells * Int64(configuration[.cellChargeDisable]) / 10
    self[.dischargeVoltageLimit] = cells * Int64(configuration[.cellDischargeDisable]) / 10
    self[.chargeCurrentLimit] = Int64(outputs.chargeLimit_mA)
    self[.dischargeCurrentLimit] = Int64(outputs.dischargeLimit_mA)
    self[.cellCount] = cells * 1000
    self[.moduleCount] = modules * 1000
    self[.cellsPerModule] = Int64(configuration.cellsPerModule(.bms1)) * 1000
    self[.nominalVoltage] = cells * (configuration.isLFP ? 3200 : 3700)
    self[.energyCapacity] = Int64(configuration[.capacity]) * cells * (configuration.isLFP ? 32 : 37) / 10_000
    self[.modulesOf48V] = QuantityValues.modulesOf48V(cells) * 1000
    if values.hasCells {
      self[.cellVoltageMax] = Int64(values.highestCell.value) / 10
      self[.cellVoltageMin] = Int64(values.lowestCell.value) / 10
      self[.cellVoltageMaxNumber] = Int64(values.highestCell.slot) * 1000 + 1000
      self[.cellVoltageMinNumber] = Int64(values.lowestCell.slot) * 1000 + 1000
      let perModule = Int64(configuration.cellsPerModule(.bms1))
      self[.moduleVoltageMax] = Int64(values.highestCell.value) * perModule / 10
      self[.moduleVoltageMin] = Int64(values.lowestCell.value) * perModule / 10
    }
    // No sensor is enabled: 20 °C, as the protocol pages decide.
    let hot = Int64(values.hottest?.value ?? 200) * 100
    let cold = Int64(values.coldest?.value ?? 200) * 100
    self[.cellTemperatureMax] = hot
    self[.cellTemperatureMin] = cold
    self[.moduleTemperatureMax] = hot
    self[.moduleTemperatureMin] = cold
    self[.packTemperature] = (hot + cold) / 2
    let isClosed = outputs.contactors.contains(.positive)
    set(.live, values.hasCells && outputs.status != .configError && outputs.status != .noData)
    set(.ready, isClosed && (outputs.status == .running || outputs.status == .warning))
    set(.charging, values.current_mA > 100)
    set(.discharging, values.current_mA < -100)
    set(.idle, abs(values.current_mA) <= 100)
    set(.chargeForbidden, outputs.isChargingForbidden)
    set(.dischargeForbidden, outputs.isDischargingForbidden)
    marks(engine)
  }

  /// goodwe.md A.3: so many modules of 48 V that the limits lie in 50–60 V and 40–48 V a module.
  public static func modulesOf48V(_ cells: Int64) -> Int64 {
    let nominal = max(1, (cells * 32 + 240) / 480)
    for tried in [nominal, nominal + 1, nominal - 1] where tried > 0 {
      let top = cells * 355 / tried
      let bottom = cells * 290 / tried
      if (5000...6000).contains(top), (4000...4800).contains(bottom) { return tried }
    }
    return nominal
  }

  /// Alarms and protections by the limits that are passed (spec/controller.md §4; goodwe.md §2).
  private mutating func marks(_ engine: Engine) {
    let values = engine.values
    let configuration = engine.configuration
    if values.hasCells {
      set(.overvoltageAlarm, values.highestCell.value > configuration[.overvoltageAlarm])
      set(.overvoltageProtection, values.highestCell.value > configuration[.overvoltageProtect])
      set(.undervoltageAlarm, values.lowestCell.value < configuration[.undervoltageAlarm])
      set(.undervoltageProtection, values.lowestCell.value < configuration[.undervoltageProtect])
      set(.differenceAlarm, values.difference > configuration[.differenceAlarm])
      set(.differenceProtection, values.difference > configuration[.differenceProtect])
    }
    if let hot = values.hottest?.value, let cold = values.coldest?.value {
      set(.overtemperatureAlarm, hot > configuration[.overtemperatureAlarm])
      set(.overtemperatureProtection, hot > configuration[.overtemperatureProtect])
      set(.undertemperatureAlarm, cold < configuration[.undertemperatureAlarm])
      set(.undertemperatureProtection, cold < configuration[.undertemperatureProtect])
    }
    set(.chargeOvercurrent, engine.outputs.status == .overcurrent && values.current_mA >= 0)
    set(.dischargeOvercurrent, engine.outputs.status == .overcurrent && values.current_mA < 0)
    set(.communicationFault, engine.outputs.status == .communicationError)
    set(.prechargeFault, engine.outputs.status == .prechargeError)
  }
}
