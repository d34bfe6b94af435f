import Controller
public import Formats

/// Scenarios as YAML files: `Captures/scenarios/README.md` describes the keys.
public enum ScenarioFile {
  /// Reads one; problems name the line, what was found and what was expected.
  /// - Parameter allowsViolations: whether the configuration may break rules: finding that out is what somebody is there for.
  public static func parse(
    _ text: String, path: String, allowsViolations: Bool = false
  ) -> (scenario: Scenario, problems: [DefinitionProblem]) {
    var reader = Reader()
    guard let root = YAMLNode.parse(text, path: path, problems: &reader.problems) else { return (Scenario(), reader.problems) }
    reader.read(root)
    for violation in allowsViolations ? [] : reader.scenario.configuration.violations {
      reader.problems.append(root.problem(.value, "configuration: \(violation)"))
    }
    return (reader.scenario, reader.problems)
  }

  /// What reading builds up.
  private struct Reader {
    var scenario = Scenario()
    var problems: [DefinitionProblem] = []

    mutating func read(_ root: YAMLNode) {
      let pairs = root.pairs("the scenario", &problems)
      // The configuration says how large the battery is: first.
      for (key, value) in pairs where key == "configuration" { configuration(value) }
      scenario.pack.isLFP = scenario.configuration.isLFP
      scenario.pack.capacity = Double(scenario.configuration[.capacity]) / 1000
      for (key, value) in pairs {
        switch key {
        case "configuration": break
        case "name": scenario.name = value.text(key, &problems)
        case "about": scenario.about = value.text(key, &problems)
        case "seed": scenario.seed = UInt64(value.integer(key, in: 0...Int.max, &problems) ?? 1)
        case "duration": scenario.duration = number(value, key) ?? 600
        case "state": state(value)
        case "plant": plant(value)
        case "installation": scenario.installation = InstallationReader.read(value, &problems)
        case "pinned": pinned(value)
        case "load": for step in value.items(key, &problems) { load(step) }
        case "chain":
          switch value.text(key, &problems) {
          case "frames": scenario.isFrameLevel = true
          case "scans": scenario.isFrameLevel = false
          default: problems.append(value.problem(.value, "chain: found \(value.found), expected scans, frames"))
          }
        case "link": link(value)
        case "load-period": scenario.load.period = number(value, key)
        case "faults": for fault in value.items(key, &problems) { self.fault(fault) }
        case "expect": for expectation in value.items(key, &problems) { expect(expectation) }
        default: unknown(value, key)
        }
      }
      let installed = ChainNumber.allCases.map { scenario.installed($0) }
      scenario.pack.modules = ChainNumber.allCases.flatMap { chain in
        [Int](repeating: scenario.installedCells(chain), count: installed[chain.index])
      }
      if let isLFP = scenario.installation.isLFP { scenario.pack.isLFP = isLFP }
    }

    /// `{ protocol: deye-hv, variant: deye-hv, quirks: all, ports: 2, faults: [{ fault: byte-order, at: 5, until: 9, amount: 0.3 }] }`
    private mutating func link(_ node: YAMLNode) {
      var link = Scenario.Link(protocolName: "")
      for (key, value) in node.pairs("link", &problems) {
        switch key {
        case "protocol": link.protocolName = value.text(key, &problems)
        case "variant": link.variant = value.text(key, &problems)
        case "quirks": link.quirks = value.texts(key, &problems)
        case "further-batteries":
          for address in value.items(key, &problems) {
            link.furtherBatteries.append(UInt8(address.integer(key, in: 0...15, &problems) ?? 1))
          }
        case "ports": link.ports = value.integer(key, in: 1...2, &problems) ?? 1
        case "faults": for fault in value.items(key, &problems) { linkFault(fault) }
        default: unknown(value, key)
        }
      }
      if link.protocolName.isEmpty { problems.append(node.problem(.missing, "link: expected protocol")) }
      scenario.link = link
    }

    private mutating func linkFault(_ node: YAMLNode) {
      var fault: LinkFault?
      var (at, until, amount): (Double, Double?, Double?) = (0, nil, nil)
      var amountNode: YAMLNode?
      for (key, value) in node.pairs("link fault", &problems) {
        switch key {
        case "fault":
          let word = value.text(key, &problems)
          fault = LinkFault.Kind(rawValue: word).map { LinkFault($0) }
          if fault == nil {
            let words = LinkFault.Kind.allCases.map(\.rawValue)
            problems.append(
              value.problem(
                .value, "fault: found \(value.found), expected \(words.joined(separator: ", "))" + NearestName.hint(word, in: words)
              ))
          }
        case "at": at = number(value, key) ?? 0
        case "until": until = number(value, key)
        case "amount": (amount, amountNode) = (number(value, key), value)
        default: unknown(value, key)
        }
      }
      if let fault, let amount, let amountNode, amount < 0 || fault.kind.isShare && amount > 1 {
        let expected = fault.kind.isShare ? "a share of the frames, 0 to 1" : "0 or more"
        problems.append(amountNode.problem(.value, "amount: found \(amountNode.found), expected \(expected)"))
      }
      if let fault { scenario.linkFaults.append(LinkFault(fault.kind, at: at, until: until, amount: amount)) }
    }

    private mutating func unknown(_ node: YAMLNode, _ key: String) {
      problems.append(node.problem(.unknownKey, "unknown key \"\(key)\""))
    }

    private mutating func number(_ node: YAMLNode, _ key: String) -> Double? {
      let text = node.text(key, &problems)
      if let value = Double(text), value.isFinite, abs(value) <= 1e9 { return value }
      problems.append(node.problem(.value, "\(key): found \(node.found), expected a number of at most 1e9"))
      return nil
    }

    private mutating func configuration(_ node: YAMLNode) {
      var configuration = Configuration()
      let pairs = node.pairs("configuration", &problems)
      for (key, value) in pairs where key == "preset" {
        switch value.text(key, &problems) {
        case "lfp": configuration = Configuration(preset: .lfp)
        case "li-ion": configuration = Configuration(preset: .liIon)
        default: problems.append(value.problem(.value, "preset: found \(value.found), expected lfp, li-ion"))
        }
      }
      for (key, value) in pairs where key != "preset" {
        if key == "bms1-sensors" || key == "bms2-sensors" {
          for (module, list) in value.items(key, &problems).prefix(15).enumerated() {
            var mask: UInt8 = 0
            for sensor in list.items(key, &problems) {
              if let number = sensor.integer(key, in: 1...5, &problems) { mask |= 1 << UInt8(number - 1) }
            }
            configuration.setSensors(mask, ofModule: (key == "bms1-sensors" ? 0 : 15) + module)
          }
          continue
        }
        guard let item = ConfigurationItem(key: key) else { unknown(value, key); continue }
        guard let number = item.value(value.text(key, &problems)) else {
          problems.append(value.problem(.value, "\(key): found \(value.found), expected \(item.rangeText)"))
          continue
        }
        configuration[item] = number
      }
      // What follows from the rest need not be written.
      if !pairs.contains(where: { $0.key == "cell-count" }) {
        configuration[.cellCount] =
          configuration[.bms1Slaves] &* configuration[.bms1Cells] &+ configuration[.bms2Slaves] &* configuration[.bms2Cells]
      }
      scenario.configuration = configuration
    }

    private mutating func state(_ node: YAMLNode) {
      var state = PersistentState()
      for (key, value) in node.pairs("state", &problems) {
        switch key {
        case "soc":
          let percent = number(value, key) ?? 0
          state.charge_mAs = Int64(percent * Double(scenario.configuration[.capacity]) * 36)
          state.isEstimate = false
        case "discharged-ah": state.discharged_mAh = Int64((number(value, key) ?? 0) * 1000)
        default: unknown(value, key)
        }
      }
      scenario.state = state
    }

    private mutating func plant(_ node: YAMLNode) {
      for (key, value) in node.pairs("plant", &problems) {
        switch key {
        case "soc": scenario.pack.stateOfCharge = (number(value, key) ?? 50) / 100
        case "soc-spread": scenario.pack.stateOfChargeSpread = (number(value, key) ?? 0) / 100
        case "capacity": scenario.pack.capacity = number(value, key) ?? 100
        case "capacity-spread": scenario.pack.capacitySpread = (number(value, key) ?? 0) / 100
        case "resistance": scenario.pack.resistance = number(value, key) ?? 0.001
        case "ambient": scenario.pack.ambient = number(value, key) ?? 22
        case "current-offset": scenario.currentOffset = number(value, key) ?? 0
        case "supply": scenario.supply = number(value, key) ?? 12
        case "modules":
          scenario.installedModules = value.items(key, &problems).compactMap { $0.integer(key, in: 0...15, &problems) }
        default: unknown(value, key)
        }
      }
    }

    private mutating func pinned(_ node: YAMLNode) {
      var pinned = Scenario.Pinned()
      for (key, value) in node.pairs("pinned", &problems) {
        switch key {
        case "v-in": pinned.input = number(value, key)
        case "modules":
          for module in value.items(key, &problems) {
            var read = Scenario.Pinned.Module()
            for (name, field) in module.pairs("a module", &problems) {
              switch name {
              case "stack": read.stack = number(field, name) ?? 0
              case "cells": for cell in field.items(name, &problems) { read.cells.append(number(cell, name) ?? 0) }
              case "temperatures":
                for sensor in field.items(name, &problems) { read.temperatures.append(number(sensor, name) ?? 0) }
              default: unknown(field, name)
              }
            }
            pinned.modules.append(read)
          }
        default: unknown(value, key)
        }
      }
      scenario.pinned = pinned
    }

    private mutating func load(_ node: YAMLNode) {
      var step = LoadProfile.Step(at: 0, current: 0)
      for (key, value) in node.pairs("a load step", &problems) {
        switch key {
        case "at": step.at = number(value, key) ?? 0
        case "current": step.current = number(value, key) ?? 0
        default: unknown(value, key)
        }
      }
      scenario.load.steps.append(step)
    }

    private mutating func fault(_ node: YAMLNode) {
      var at = 0.0
      var until: Double?
      var name = ""
      var chain = ChainNumber.bms1
      var module = 1
      var place = 1
      var amount = 0.0
      var isPositive = true
      for (key, value) in node.pairs("a fault", &problems) {
        switch key {
        case "at": at = number(value, key) ?? 0
        case "until": until = number(value, key)
        case "fault": name = value.text(key, &problems)
        case "chain": chain = value.integer(key, in: 1...2, &problems) == 2 ? .bms2 : .bms1
        case "module": module = value.integer(key, in: 1...15, &problems) ?? 1
        case "cell", "sensor": place = value.integer(key, in: 1...14, &problems) ?? 1
        case "volts", "celsius", "percent", "amperes", "seconds", "factor": amount = number(value, key) ?? 0
        case "contactor": isPositive = value.text(key, &problems) != "negative"
        default: unknown(value, key)
        }
      }
      guard let kind = Reader.kind(name, chain, module, place, amount, isPositive) else {
        problems.append(
          node.problem(
            .value,
            "fault: found \"\(name)\", expected \(Reader.names.joined(separator: ", "))"
              + NearestName.hint(name, in: Reader.names)))
        return
      }
      scenario.faults.append(Fault(at: at, until: until, kind))
    }

    static let names = [
      "cell-voltage", "broken-sense-wire", "sensor-open", "sensor-shorted", "temperature", "slave-dead", "chain-cut", "noise",
      "pdu-silent", "contactor-welded", "contactor-stuck-open", "output-shorted", "current-drift", "output-gain", "supply-dip",
      "configuration-corrupted", "clock-jump", "inverter-ignores-limits", "reset",
    ]

    private static func kind(
      _ name: String, _ chain: ChainNumber, _ module: Int, _ place: Int, _ amount: Double, _ isPositive: Bool
    ) -> Fault.Kind? {
      switch name {
      case "cell-voltage": .cellVoltage(chain, module: module, cell: place, volts: amount)
      case "broken-sense-wire": .brokenSenseWire(chain, module: module, cell: place)
      case "sensor-open": .sensorOpen(chain, module: module, sensor: place)
      case "sensor-shorted": .sensorShorted(chain, module: module, sensor: place)
      case "temperature": .temperature(chain, module: module, celsius: amount)
      case "slave-dead": .slaveDead(chain, module: module)
      case "chain-cut": .chainCut(chain, module: module)
      case "noise": .noise(chain, percent: amount)
      case "pdu-silent": .pduSilent
      case "contactor-welded": .contactorWelded(isPositive: isPositive)
      case "contactor-stuck-open": .contactorStuckOpen(isPositive: isPositive)
      case "output-shorted": .outputShorted
      case "current-drift": .currentDrift(amperes: amount)
      case "output-gain": .outputGain(amount)
      case "supply-dip": .supplyDip
      case "configuration-corrupted": .configurationCorrupted
      case "clock-jump": .clockJump(seconds: amount)
      case "inverter-ignores-limits": .inverterIgnoresLimits(amperes: amount)
      case "reset": .reset
      default: nil
      }
    }

    private mutating func expect(_ node: YAMLNode) {
      var expectation = Scenario.Expectation()
      expectation.line = node.line
      var value: Scenario.PageValue?
      var amount = 0.0
      var tolerance = 0.0
      var condition: Scenario.Expectation.Condition?
      for (key, field) in node.pairs("an expectation", &problems) {
        switch key {
        case "at":
          expectation.from = number(field, key) ?? 0
          expectation.to = expectation.from
        case "within":
          let bounds = field.items(key, &problems)
          if bounds.count == 2 {
            expectation.from = number(bounds[0], key) ?? 0
            expectation.to = number(bounds[1], key) ?? 0
          } else {
            problems.append(field.problem(.value, "within: found \(bounds.count) numbers, expected [from, to] in seconds"))
          }
        case "status", "never":
          if let status = word(field, key, SystemStatus.allCases, \.word) {
            condition = key == "never" ? .never(status) : .status(status)
          }
        case "bms1", "bms2":
          if let status = word(field, key, ChainStatus.allCases, \.word) {
            condition = .chain(key == "bms1" ? .bms1 : .bms2, status)
          }
        case "connected": condition = .isConnected(field.text(key, &problems) == "true")
        case "event": condition = .event(field.text(key, &problems))
        case "value": value = word(field, key, Scenario.PageValue.allCases, \.rawValue)
        case "is": amount = number(field, key) ?? 0
        case "tolerance": tolerance = number(field, key) ?? 0
        default: unknown(field, key)
        }
      }
      if let value { condition = .value(value, amount, tolerance: tolerance) }
      guard let condition else { return problems.append(node.problem(.missing, "an expectation without status, value or event")) }
      expectation.condition = condition
      scenario.expectations.append(expectation)
    }

    private mutating func word<Value>(_ node: YAMLNode, _ key: String, _ all: [Value], _ name: KeyPath<Value, String>) -> Value? {
      let text = node.text(key, &problems)
      if let found = all.first(where: { $0[keyPath: name] == text }) { return found }
      problems.append(
        node.problem(.value, "\(key): found \(node.found), expected \(all.map { $0[keyPath: name] }.joined(separator: ", "))"))
      return nil
    }
  }
}
