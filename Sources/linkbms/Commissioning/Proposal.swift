import Controller
import Formats

/// A change of the configuration, shown before anything is changed.
struct Proposal: Sendable {
  var offer: Guide.Offer
  /// What would change, line by line: raw reading, value now, value then.
  var lines: [String]
  /// With the change in it.
  var configuration: Configuration
}

extension Checks {
  /// What would put something right; `nil` where nothing is wrong, or a line that says why it cannot be offered.
  func proposal(_ offer: Guide.Offer) -> (proposal: Proposal?, refusal: String?) {
    switch offer {
    case .bench: benchOffer()
    case .configuration: configurationOffer()
    case .sensors: sensorsOffer()
    case .protocol: protocolOffer()
    case .vIn: inputOffer()
    case .zeroCurrent: zeroOffer()
    case .vOut: outputOffer()
    case .current: currentOffer()
    }
  }

  /// The answers put into the configuration.
  private func configurationOffer() -> (Proposal?, String?) {
    var wanted = configuration
    for chain in ChainNumber.allCases {
      let name = chain.word.lowercased()
      guard let modules = state.number("\(name)-modules") else { continue }
      wanted[chain == .bms1 ? .bms1Slaves : .bms2Slaves] = Number.int32(modules)
      if modules > 0, let cells = state.number("\(name)-cells"), cells >= 7 {
        wanted[chain == .bms1 ? .bms1Cells : .bms2Cells] = Number.int32(cells)
      }
    }
    wanted[.cellCount] = wanted[.bms1Slaves] &* wanted[.bms1Cells] &+ wanted[.bms2Slaves] &* wanted[.bms2Cells]
    for module in 0..<30 {
      // What the bench has taken away comes back with its module: an enabled sensor that is open may have a broken wire.
      let isThere = module % 15 < wanted.slaves(module < 15 ? .bms1 : .bms2)
      wanted.setSensors(isThere ? wanted.sensors[module] | state.keptSensors(module) : 0, ofModule: module)
    }
    if let chemistry = state.answer("chemistry"), (chemistry == "lfp") != wanted.isLFP {
      wanted.apply(chemistry == "lfp" ? .lfp : .liIon)
      wanted[.differenceAlarm] = Configuration(preset: chemistry == "lfp" ? .lfp : .liIon)[.differenceAlarm]
    }
    if let capacity = state.number("capacity"), abs(capacity * 1000 - Double(wanted[.capacity])) > Double(wanted[.capacity]) * 0.02
    {
      wanted[.capacity] = Number.int32(capacity * 1000)
    }
    if let resistance = state.number("ntc-resistance"), resistance >= 1000 { wanted[.ntcResistance] = Number.int32(resistance) }
    if let beta = state.number("ntc-beta"), beta >= 2000 { wanted[.ntcBeta] = Number.int32(beta) }
    return changed(.configuration, to: wanted)
  }

  /// One module alone on BMS1.
  private func benchOffer() -> (Proposal?, String?) {
    guard let cells = state.number("bench-cells") else { return (nil, nil) }
    var wanted = configuration
    wanted[.bms1Slaves] = 1
    wanted[.bms2Slaves] = 0
    wanted[.bms1Cells] = Number.int32(cells)
    wanted[.cellCount] = wanted[.bms1Cells]
    for module in 1..<30 { wanted.setSensors(0, ofModule: module) }
    return changed(.bench, to: wanted)
  }

  /// The sensors that are connected. One that is enabled is never taken away: if it is open, its wire may be broken.
  private func sensorsOffer() -> (Proposal?, String?) {
    guard isMatrixThere else { return (nil, nil) }
    var wanted = configuration
    for (chain, module) in allModules {
      let slot = chain.index * 15 + module
      wanted.setSensors(configuration.sensors[slot] | connectedSensors(slot), ofModule: slot)
    }
    return changed(.sensors, to: wanted)
  }

  /// Sensors that change: neighbouring modules with the same change in one line.
  private func sensorLines(to wanted: Configuration) -> [String] {
    func names(_ mask: UInt8) -> String {
      let names = (0..<5).filter { mask & 1 << UInt8($0) != 0 }.map { "T\($0 + 1)" }
      return names.isEmpty ? "none" : names.joined(separator: ", ")
    }
    var lines: [String] = []
    for chain in ChainNumber.allCases {
      var groups: [(first: Int, last: Int, change: String)] = []
      for module in 0..<15 {
        let slot = chain.index * 15 + module
        guard configuration.sensors[slot] != wanted.sensors[slot] else { continue }
        let change = "\(names(configuration.sensors[slot])) → \(names(wanted.sensors[slot]))"
        if let before = groups.last, before.last == module - 1, before.change == change {
          groups[groups.count - 1].last = module
        } else {
          groups.append((module, module, change))
        }
      }
      for group in groups {
        let place = group.first == group.last ? "module \(group.first + 1)" : "modules \(group.first + 1)–\(group.last + 1)"
        lines.append("\(chain.word) \(place), sensors enabled: \(group.change)")
      }
    }
    return lines
  }

  private func changed(_ offer: Guide.Offer, to wanted: Configuration) -> (Proposal?, String?) {
    let items = ConfigurationItem.allCases.filter { configuration[$0] != wanted[$0] }.map {
      "\($0.row.key): \($0.textWithUnit(configuration[$0])) → \($0.textWithUnit(wanted[$0]))"
    }
    let lines = items + sensorLines(to: wanted)
    guard !lines.isEmpty else { return (nil, nil) }
    if let violation = wanted.violations.first {
      return (nil, "Your answers cannot be put into the configuration as they are: \(violation)")
    }
    return (Proposal(offer: offer, lines: lines, configuration: wanted), nil)
  }

  private func protocolOffer() -> (Proposal?, String?) {
    guard let heard, let fits = heard.fitting.first else { return (nil, nil) }
    let now = InverterProtocol(rawValue: configuration[.inverterProtocol]) ?? .none
    guard !heard.fitting.contains(now) else { return (nil, nil) }
    var wanted = configuration
    // Of the two Sofar batteries the one the inverter asks for.
    wanted[.inverterProtocol] = (heard.sofarAddress == 1 ? .sofar2 : fits).rawValue
    let found = changed(.protocol, to: wanted)
    guard var proposal = found.0 else { return found }
    let others = heard.fitting.count > 1 ? " (\(heard.fitting.map(\.word).joined(separator: " or ")))" : ""
    proposal.lines.insert("heard before anything was sent: \(heard.protocolName ?? "")\(others); \(heard.evidence)", at: 0)
    return (proposal, nil)
  }

  // MARK: Calibration

  private func calibrated(
    _ offer: Guide.Offer, _ point: Calibration.Point, raw: Int32, now: String, then: (Configuration) -> String, refusal: String
  ) -> (Proposal?, String?) {
    guard let wanted = Calibration.applying(point, to: configuration), wanted.violationCount == 0 else { return (nil, refusal) }
    return (Proposal(offer: offer, lines: ["raw reading \(raw): \(now) → \(then(wanted))"], configuration: wanted), nil)
  }

  /// V-in by the multimeter, where the multimeter agrees with the modules and V-in does not.
  private func inputOffer() -> (Proposal?, String?) {
    guard let step = observation?.last, let meter = state.number("pack-meter"), let observation, observation.meanInput > 20 else {
      return (nil, nil)
    }
    guard abs(observation.meanInput - meter) > meter * 0.01, abs(meter - observation.meanPack) <= observation.meanPack * 0.02 else {
      return (nil, nil)
    }
    let raw = step.readings.inputRaw
    return calibrated(
      .vIn, .input(raw: raw, millivolts: Number.int32(meter * 1000)), raw: raw,
      now: "V-in \(volts(Calibration.input(raw, configuration)))",
      then: { "\(volts(Calibration.input(raw, $0))) (the multimeter's)" },
      refusal: "V-in cannot be calibrated at \(Number.text(meter, 1, "V")): the point is closer than 5 % of full scale to 0.")
  }

  private func outputOffer() -> (Proposal?, String?) {
    guard let step = observation?.last, step.engine.outputs.contactors.contains(.positive) else { return (nil, nil) }
    let values = step.engine.values
    guard values.input_mV > 0, (Int64(values.output_mV) - Int64(values.input_mV)).magnitude * 100 > values.input_mV.magnitude else {
      return (nil, nil)
    }
    let raw = step.readings.outputRaw
    return calibrated(
      .vOut, .output(raw: raw, millivolts: values.input_mV), raw: raw, now: "V-out \(volts(values.output_mV))",
      then: { "\(volts(Calibration.output(raw, $0))) (V-in, behind closed contactors)" },
      refusal: "V-out cannot be calibrated here: the point is closer than 5 % of full scale to 0.")
  }

  private func zeroOffer() -> (Proposal?, String?) {
    guard let step = observation?.last, step.engine.outputs.contactors.isEmpty, let observation, abs(observation.meanCurrent) > 0.3
    else { return (nil, nil) }
    let raw = step.readings.currentRaw
    return calibrated(
      .zeroCurrent, .currentLow(raw: raw, milliamperes: 0), raw: raw, now: amperes(Calibration.current(raw, configuration)),
      then: { "\(amperes(Calibration.current(raw, $0))) (contactors open)" },
      refusal: "The low point cannot be set here: the two points would be closer than 5 % of full scale.")
  }

  private func currentOffer() -> (Proposal?, String?) {
    guard let step = observation?.last, let shown = state.number("clamp"), shown != 0 else { return (nil, nil) }
    let raw = step.readings.currentRaw
    let own = Double(Calibration.current(raw, configuration)) / 1000
    // Another sign is no matter of calibration: the sensor is reversed.
    guard own * shown > 0, abs(own - shown) > 0.3 + abs(shown) * 0.05 else { return (nil, nil) }
    return calibrated(
      .current, .currentHigh(raw: raw, milliamperes: Number.int32(shown * 1000)), raw: raw,
      now: amperes(Number.int32(own * 1000)),
      then: { "\(amperes(Calibration.current(raw, $0))) (the instrument's)" },
      refusal:
        "The high point cannot be set at \(Number.text(shown, 1, "A")): closer than 5 % of full scale to the low one. Take a higher current."
    )
  }

  private func volts(_ value: Int32) -> String { Number.text(Double(value) / 1000, 1, "V") }
  private func amperes(_ value: Int32) -> String { Number.text(Double(value) / 1000, 2, "A") }
}
