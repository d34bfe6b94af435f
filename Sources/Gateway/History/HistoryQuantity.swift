import Controller

/// A main value that is kept each second. The raw values stand in files: a new one goes to the end.
public enum HistoryQuantity: Int, CaseIterable, Sendable {
  case voltage, current, stateOfCharge, cellMin, cellMax, temperatureMin, temperatureMax, input, output, chargeLimit,
    dischargeLimit,
    status, balancing

  /// The word in queries and exports.
  public var key: String {
    switch self {
    case .voltage: "voltage"
    case .current: "current"
    case .stateOfCharge: "soc"
    case .cellMin: "cell-min"
    case .cellMax: "cell-max"
    case .temperatureMin: "temperature-min"
    case .temperatureMax: "temperature-max"
    case .input: "v-in"
    case .output: "v-out"
    case .chargeLimit: "charge-limit"
    case .dischargeLimit: "discharge-limit"
    case .status: "status"
    case .balancing: "balancing"
    }
  }

  /// Its unit; empty for plain numbers.
  public var unit: String {
    switch self {
    case .voltage, .cellMin, .cellMax, .input, .output: "V"
    case .current, .chargeLimit, .dischargeLimit: "A"
    case .stateOfCharge: "%"
    case .temperatureMin, .temperatureMax: "°C"
    case .status, .balancing: ""
    }
  }

  /// What is kept is in units of 10^−decimals.
  public var decimals: Int {
    switch self {
    case .voltage, .current, .input, .output, .chargeLimit, .dischargeLimit: 3
    case .cellMin, .cellMax: 4
    case .stateOfCharge: 2
    case .temperatureMin, .temperatureMax: 1
    case .status, .balancing: 0
    }
  }

  /// Its value in a snapshot; `nil` where it is not known.
  func value(_ snapshot: Snapshot) -> Int32? {
    let (values, outputs) = (snapshot.values, snapshot.outputs)
    let hasCells = values.hasCells
    switch self {
    case .voltage: return hasCells ? Int32(clamping: values.voltage_mV) : nil
    case .current: return snapshot.knowsPDU ? values.current_mA : nil
    case .stateOfCharge: return snapshot.knowsCharge ? values.stateOfCharge : nil
    case .cellMin: return hasCells ? values.lowestCell.value : nil
    case .cellMax: return hasCells ? values.highestCell.value : nil
    case .temperatureMin: return values.coldest?.value
    case .temperatureMax: return values.hottest?.value
    case .input: return snapshot.knowsPDU ? values.input_mV : nil
    case .output: return snapshot.knowsPDU ? values.output_mV : nil
    case .chargeLimit: return outputs.chargeLimit_mA
    case .dischargeLimit: return outputs.dischargeLimit_mA
    case .status: return Int32(outputs.status.rawValue)
    case .balancing:
      var count: Int32 = 0
      for module in 0..<30 { count += Int32(outputs.balancing[module].nonzeroBitCount) }
      return count
    }
  }
}
