import Analysis
import Controller
import Formats

/// LinkPDU, inverter's bus, contactors and current.
extension Checks {
  private var step: PlantStep? { observation?.last }

  func pdu() -> CheckResult {
    observation?.isPDUHeard == true
      ? .passed(.pdu, "answers", "current and voltages") : .failed(.pdu, "silent", "nothing", "current and voltages")
  }

  // MARK: The inverter's bus

  private var configured: InverterProtocol { InverterProtocol(rawValue: configuration[.inverterProtocol]) ?? .none }

  func can() -> CheckResult {
    let expected = "frames of the inverter, nothing being sent"
    guard let heard, heard.frames > 0 else {
      let errors = heard?.errors ?? 0
      return errors > 0
        ? .failed(.can, "errors", "\(errors) error frames", expected) : .failed(.can, "silent", "nothing in 15 s", expected)
    }
    return .passed(.can, "\(heard.frames) frames", expected)
  }

  func protocolHeard() -> CheckResult {
    let expected = "configured \(configured.word)"
    guard let heard, heard.frames > 0 else { return .open(.protocol, "nothing heard", expected) }
    guard let name = heard.protocolName else { return .failed(.protocol, "unknown", "of no known protocol", expected) }
    let fitting = heard.fitting.map(\.word).joined(separator: " or ")
    let measured = "heard \(name)\(fitting.isEmpty ? "" : ": for \(fitting)")"
    if configured == .none { return .failed(.protocol, "none", measured, expected) }
    return heard.fitting.contains(configured)
      ? .passed(.protocol, measured, expected) : .failed(.protocol, "other", measured, expected)
  }

  func sofarAddress() -> CheckResult {
    guard configured == .sofar1 || configured == .sofar2, let asked = heard?.sofarAddress else {
      return .passed(.sofarAddress, "no Sofar asks", "–")
    }
    let own = configured == .sofar1 ? 0 : 1
    let measured = "the inverter asks battery 0\(asked)"
    let expected = "0\(own) for \(configured.word)"
    return asked == own ? .passed(.sofarAddress, measured, expected) : .failed(.sofarAddress, "other", measured, expected)
  }

  func online(_ id: CheckID) -> CheckResult {
    let failure = id == .online ? "offline" : "refused"
    let expected = "everything exchanged"
    switch observation?.isOnline {
    case nil: return .passed(id, "cannot be told here", expected)
    case true?: return .passed(id, "online", expected)
    case false?: return .failed(id, failure, "not accepted", expected)
    }
  }

  // MARK: Voltages

  func packVoltage() -> CheckResult {
    let meter = state.number("pack-meter") ?? 0
    let own = observation?.meanPack ?? 0
    let pack = own > 0 ? own : Double(step?.engine.values.voltage_mV ?? 0) / 1000
    let measured = "\(Number.text(meter, 1, "V")) by the multimeter"
    let expected = "\(Number.text(pack, 1, "V")) by the modules, 2 %"
    if meter < -1 { return .failed(.packVoltage, "polarity", measured, expected) }
    return pack > 0 && abs(meter - pack) <= pack * 0.02
      ? .passed(.packVoltage, measured, expected) : .failed(.packVoltage, "differs", measured, expected)
  }

  func vIn() -> CheckResult {
    let input = observation?.meanInput ?? 0
    let pack = observation?.meanPack ?? 0
    let measured = "Vmeas in \(Number.text(input, 1, "V"))"
    let expected = "Voltage \(Number.text(pack, 1, "V")), 2 %"
    if input < -5 { return .failed(.vIn, "polarity", measured, expected) }
    if input < 20 { return .failed(.vIn, "absent", measured, expected) }
    return pack > 0 && abs(input - pack) <= pack * 0.02
      ? .passed(.vIn, measured, expected) : .failed(.vIn, "differs", measured, expected)
  }

  func bmsVoltage() -> CheckResult {
    let volts = Double(step?.engine.values.supply_mV ?? 0) / 1000
    let measured = Number.text(volts, 1, "V")
    return (10...16).contains(volts)
      ? .passed(.bmsVoltage, measured, "around 12 V") : .failed(.bmsVoltage, "off", measured, "around 12 V")
  }

  func vOutOpen() -> CheckResult {
    let output = observation?.meanOutput ?? 0
    let limit = max(60, (observation?.meanInput ?? 0) * 0.2)
    let measured = Number.text(output, 1, "V")
    let expected = "below \(Number.text(limit, 0, "V"))"
    return output > limit ? .failed(.vOutOpen, "live", measured, expected) : .passed(.vOutOpen, measured, expected)
  }

  func zeroCurrent() -> CheckResult {
    let current = observation?.meanCurrent ?? 0
    let measured = Number.text(current, 2, "A")
    return abs(current) > 0.3
      ? .failed(.zeroCurrent, "offset", measured, "0 A, ±0.3 A") : .passed(.zeroCurrent, measured, "0 A, ±0.3 A")
  }

  // MARK: Contactors

  func precharge() -> CheckResult {
    let expected = "V-out at 95 % of V-in within 5 s, then RUNNING"
    guard let observation, let step = observation.last else { return .failed(.precharge, "refused", "nothing seen", expected) }
    let figures = PrechargeFigures(observation.curve)
    if observation.prechargeFailure != nil {
      let ratio = figures?.finalRatio ?? 0
      return .failed(.precharge, ratio > 0.5 ? "gain" : "timeout", figures?.text ?? "no measurement", expected)
    }
    guard observation.positiveAt != nil, step.engine.outputs.contactors.contains(.positive) else {
      let why = EventText(configuration).reason(step.engine.reason)
      let status = step.engine.outputs.status
      return .failed(
        .precharge, status == .checking ? "refused" : "status", "open: \(status.word) (\(why))", expected)
    }
    return .passed(.precharge, figures?.text ?? "closed", expected)
  }

  func vOut() -> CheckResult {
    let values = step?.engine.values
    let (output, input) = (Double(values?.output_mV ?? 0) / 1000, Double(values?.input_mV ?? 0) / 1000)
    let measured = "Vmeas out \(Number.text(output, 1, "V"))"
    let expected = "Vmeas in \(Number.text(input, 1, "V")), 2 %"
    return input > 0 && abs(output - input) <= input * 0.02
      ? .passed(.vOut, measured, expected) : .failed(.vOut, "differs", measured, expected)
  }

  func opened() -> CheckResult {
    guard let step else { return .failed(.opened, "closed", "nothing seen", "all open") }
    guard step.engine.outputs.contactors.isEmpty else {
      return .failed(.opened, "closed", EventText.contactors(step.engine.outputs.contactors), "all open")
    }
    let values = step.engine.values
    let (output, input) = (Double(values.output_mV) / 1000, Double(values.input_mV) / 1000)
    let measured = "V-out \(Number.text(output, 1, "V")) after \(Number.text(observation?.elapsed ?? 0, 0, "s"))"
    return output > input * 0.8
      ? .failed(.opened, "weld", measured, "falls from V-in \(Number.text(input, 1, "V"))")
      : .passed(.opened, measured, "falls from V-in \(Number.text(input, 1, "V"))")
  }

  // MARK: Current

  func direction() -> CheckResult {
    let expected = "the battery's voltage rises while charging"
    guard let observation, let step = observation.last else { return .failed(.direction, "none", "nothing seen", expected) }
    guard step.engine.outputs.contactors.contains(.positive) else {
      return .failed(
        .direction, "stopped", "\(step.engine.outputs.status.word): \(EventText(configuration).reason(step.engine.reason))",
        expected)
    }
    guard let loaded = observation.loaded, let rest = observation.restVoltage else {
      return .failed(.direction, "none", Number.text(observation.meanCurrent, 1, "A"), expected)
    }
    let rise = loaded.voltage - rest
    let measured = "\(Number.text(loaded.current, 1, "A")), battery \(rise < 0 ? "" : "+")\(Number.text(rise, 2, "V"))"
    // Less than 1 mV a cell is noise: then the clamp meter has to tell (`clamp`).
    if abs(rise) < 0.001 * Double(max(1, configuration[.cellCount])) {
      return .open(.direction, measured + ": too little to tell", expected, failure: "little")
    }
    return rise * loaded.current < 0 ? .failed(.direction, "reversed", measured, expected) : .passed(.direction, measured, expected)
  }
}
