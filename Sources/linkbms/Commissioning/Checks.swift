import Analysis
import Controller
import Formats

/// Judges measurements and answers. Everything it looks at is passed in; it keeps nothing.
struct Checks {
  let state: CommissioningState
  let configuration: Configuration
  /// What the last watch saw; `nil` before the first.
  let observation: Observation?
  let heard: BusHeard?
  let charge: ChargeWatch?
  /// Why the first charge was ended early.
  let doubt: ChargeWatch.Doubt?

  func result(_ id: CheckID) -> CheckResult {
    switch id {
    case .supply: supply()
    case .pins: pins()
    case .bench: bench()
    case .moduleVoltage: moduleVoltage()
    case .configuration: rules()
    case .modules: modules()
    case .cellsPerModule: cellsPerModule()
    case .preset: preset()
    case .capacity: capacity()
    case .ntc: ntc()
    case .packRange: packRange()
    case .switchRating: switchRating()
    case .scan: scan()
    case .cells: cells()
    case .sums: sums()
    case .spread: spread()
    case .chemistry: chemistry()
    case .sensors: sensors()
    case .ambient: ambient()
    case .bms1: channel(.bms1, .bms1)
    case .bms2: channel(.bms2, .bms2)
    case .pdu: pdu()
    case .can: can()
    case .protocol: protocolHeard()
    case .sofarAddress: sofarAddress()
    case .handshake, .online: online(id)
    case .packVoltage: packVoltage()
    case .vIn: vIn()
    case .bmsVoltage: bmsVoltage()
    case .vOutOpen: vOutOpen()
    case .zeroCurrent: zeroCurrent()
    case .precharge: precharge()
    case .vOut: vOut()
    case .opened: opened()
    case .direction: direction()
    case .clamp: clamp()
    case .firstCharge: firstCharge()
    }
  }

  /// Whether a part of a step comes.
  func holds(_ condition: Guide.Condition) -> Bool {
    switch condition {
    case .bench: state.answer("bench") == "yes"
    case .noSensors: isMatrixThere && allModules.allSatisfy { configuration.sensors[$0.chain.index * 15 + $0.module] == 0 }
    }
  }

  // MARK: What answers and configuration say

  private func pins() -> CheckResult {
    let expected = "all alike, 1.5–4.5 V"
    guard let low = state.number("pin-low"), let high = state.number("pin-high") else {
      return .failed(.pins, "range", "no answer", expected)
    }
    let measured = "\(Number.text(low, 3))…\(Number.text(high, 3, "V"))"
    if low < -0.05 { return .failed(.pins, "negative", measured, expected) }
    if low < 1.5 || high > 4.5 { return .failed(.pins, "range", measured, expected) }
    if high - low > 0.5 { return .failed(.pins, "uneven", measured, expected) }
    return .passed(.pins, measured, expected)
  }

  private func moduleVoltage() -> CheckResult {
    let cells = max(state.number("bms1-cells") ?? 0, state.number("bms2-cells") ?? 0)
    let volts = cells * (state.number("pin-high") ?? 0)
    let measured = "\(Number.text(cells, 0)) cells, \(Number.text(volts, 1, "V"))"
    return volts > 60
      ? .failed(.moduleVoltage, "high", measured, "at most 60 V") : .passed(.moduleVoltage, measured, "at most 60 V")
  }

  private func rules() -> CheckResult {
    let broken = configuration.violations
    guard let first = broken.first else { return .passed(.configuration, "all kept", "all kept") }
    let more = broken.count > 1 ? " (and \(broken.count - 1) more)" : ""
    return .failed(.configuration, "broken", first.description + more, "all kept")
  }

  private func modules() -> CheckResult {
    let counted = [state.count("bms1-modules") ?? 0, state.count("bms2-modules") ?? 0]
    let set = ChainNumber.allCases.map { configuration.slaves($0) }
    let measured = "configured \(set[0]) on BMS1, \(set[1]) on BMS2"
    let expected = "counted \(counted[0]) and \(counted[1])"
    return set == counted ? .passed(.modules, measured, expected) : .failed(.modules, "differs", measured, expected)
  }

  private func cellsPerModule() -> CheckResult {
    var isSame = true
    var (set, soldered) = ([String](), [String]())
    for chain in ChainNumber.allCases where (state.count("\(chain.word.lowercased())-modules") ?? 0) > 0 {
      let wanted = state.count("\(chain.word.lowercased())-cells") ?? 0
      let found = configuration.cellsPerModule(chain)
      if wanted != found { isSame = false }
      set.append("\(chain.word) \(found)")
      soldered.append("\(chain.word) \(wanted)")
    }
    let measured = "configured \(set.joined(separator: ", ")), \(configuration[.cellCount]) in series"
    let expected = "soldered \(soldered.joined(separator: ", "))"
    return isSame ? .passed(.cellsPerModule, measured, expected) : .failed(.cellsPerModule, "differs", measured, expected)
  }

  private func preset() -> CheckResult {
    let set = configuration.isLFP ? "lfp" : "li-ion"
    let wanted = state.answer("chemistry") ?? ""
    let full = ConfigurationItem.cellChargeDisable.textWithUnit(configuration[.cellChargeDisable])
    let measured = "configured \(set) (100 % at \(full))"
    return set == wanted ? .passed(.preset, measured, wanted) : .failed(.preset, "differs", measured, wanted)
  }

  private func capacity() -> CheckResult {
    let set = Double(configuration[.capacity]) / 1000
    let wanted = state.number("capacity") ?? 0
    let measured = "configured \(Number.text(set, 3, "Ah"))"
    let expected = Number.text(wanted, 3, "Ah")
    return abs(set - wanted) <= wanted * 0.02
      ? .passed(.capacity, measured, expected) : .failed(.capacity, "differs", measured, expected)
  }

  private func ntc() -> CheckResult {
    let resistance = state.number("ntc-resistance") ?? 0
    let beta = state.number("ntc-beta") ?? 0
    let measured = "configured \(configuration[.ntcResistance]) Ω, beta \(configuration[.ntcBeta]) K"
    guard resistance > 0 || beta > 0 else { return .passed(.ntc, measured, "not known") }
    let expected = "\(Number.text(resistance, 0, "Ω")), beta \(Number.text(beta, 0, "K"))"
    let isSame =
      (resistance == 0 || resistance == Double(configuration[.ntcResistance]))
      && (beta == 0 || beta == Double(configuration[.ntcBeta]))
    return isSame ? .passed(.ntc, measured, expected) : .failed(.ntc, "differs", measured, expected)
  }

  /// V of the full battery.
  var fullVoltage: Double { Double(configuration[.cellCount]) * Double(configuration[.cellChargeDisable]) / 10_000 }

  private func packRange() -> CheckResult {
    let empty = Double(configuration[.cellCount]) * Double(configuration[.cellDischargeDisable]) / 10_000
    let measured = "\(Number.text(empty, 1))…\(Number.text(fullVoltage, 1, "V")) with \(configuration[.cellCount]) cells"
    if fullVoltage > 800 { return .failed(.packRange, "high", measured, "250–800 V") }
    if empty < 250 { return .failed(.packRange, "low", measured, "250–800 V") }
    return .passed(.packRange, measured, "250–800 V")
  }

  private func switchRating() -> CheckResult {
    let voltage = state.number("switch-voltage") ?? 0
    let current = state.number("switch-current") ?? 0
    let most = Double(max(configuration[.chargeCurrentMax], configuration[.dischargeCurrentMax])) / 1000
    let measured = "\(Number.text(voltage, 0, "V")), \(Number.text(current, 0, "A"))"
    let expected = "at least \(Number.text(fullVoltage, 1, "V")) and \(Number.text(most, 1, "A"))"
    if voltage < fullVoltage { return .failed(.switchRating, "voltage", measured, expected) }
    if current < most { return .failed(.switchRating, "current", measured, expected) }
    return .passed(.switchRating, measured, expected)
  }

  private func clamp() -> CheckResult {
    let shown = state.number("clamp") ?? 0
    let measured = "\(Number.text(observation?.meanCurrent ?? 0, 2, "A")) by the sensor"
    let own = observation?.last.map { Double($0.engine.values.current_mA) / 1000 }
    // Where the voltage leaves the direction open nothing but an instrument tells a reversed sensor; within its tolerance it tells none.
    if direction().verdict == .open, abs(shown) <= 0.3 || abs(own ?? 0) <= 0.3 {
      let text = shown == 0 ? "not measured" : "\(Number.text(shown, 2, "A")) by the instrument"
      return .failed(.clamp, "needed", "\(text), \(measured)", "more than 0.3 A by both, since the voltage tells too little")
    }
    guard shown != 0, let own else { return .passed(.clamp, measured, "not measured") }
    let expected = "\(Number.text(shown, 2, "A")) by the instrument, 5 % and 0.3 A"
    let now = "\(Number.text(own, 2, "A")) by the sensor"
    if abs(own) > 0.3, abs(shown) > 0.3, own * shown < 0 { return .failed(.clamp, "sign", now, expected) }
    return abs(own - shown) <= 0.3 + abs(shown) * 0.05
      ? .passed(.clamp, now, expected) : .failed(.clamp, "differs", now, expected)
  }

  func firstCharge() -> CheckResult {
    let expected = "charging for half of the time and more than discharging, RUNNING, limits obeyed, cells together, SOC as counted"
    guard let charge else { return .failed(.firstCharge, "none", "not watched", expected) }
    if let doubt = doubt ?? charge.verdict() { return .failed(.firstCharge, doubt.failure, doubt.text, expected) }
    return .passed(.firstCharge, charge.text, expected)
  }
}
