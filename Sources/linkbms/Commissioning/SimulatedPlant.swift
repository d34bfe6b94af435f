import Controller
import Formats
import Protocols
import Simulation

/// A scenario as the plant: virtual time, no device.
struct SimulatedPlant: CommissioningPlant {
  let name: String
  private var simulator: Simulator
  private let library: DefinitionLibrary

  /// - Parameter configuration: what the controller is set to instead of what the scenario says: a run that was interrupted goes on.
  init(_ scenario: Scenario, name: String, library: DefinitionLibrary, configuration: Configuration? = nil) throws(WorldError) {
    self.name = name
    self.library = library
    var scenario = scenario
    // What is mounted stays as it is, whatever is configured later.
    scenario.installedModules = ChainNumber.allCases.map { scenario.installed($0) }
    for chain in ChainNumber.allCases { scenario.installation.cellsPerModule[chain.index] = scenario.installedCells(chain) }
    if scenario.installation.ntcResistance == 0 { scenario.installation.ntcResistance = scenario.configuration[.ntcResistance] }
    if scenario.installation.ntcBeta == 0 { scenario.installation.ntcBeta = scenario.configuration[.ntcBeta] }
    if let configuration { scenario.configuration = configuration }
    simulator = Simulator(scenario, isHeld: true)
    guard let link = scenario.link else { return }
    let definition = try TableChooser.definition(link.protocolName, library)
    let variant = try TableChooser.variant(link.variant, of: definition)
    let inverter = definition.link(variant: variant?.name)
    guard simulator.connect(inverter: inverter, battery: battery(scenario.configuration) ?? inverter) else {
      throw WorldError(message: "\(name): link: \(link.protocolName) has no handshake for both sides")
    }
    if battery(scenario.configuration) == nil { simulator.mute(true) }
  }

  var configuration: Configuration { simulator.scenario.configuration }
  /// A through the battery in fact.
  var current: Double { simulator.current }
  /// What the simulation's own auditor says: rules that must always hold.
  var brokenRules: [Auditor.Violation] { simulator.auditor.violations }

  /// What the controller speaks by its configuration; `nil` = nothing.
  private func battery(_ configuration: Configuration) -> CompiledLink? {
    guard let chosen = InverterProtocol(rawValue: configuration[.inverterProtocol]), let name = chosen.definition else {
      return nil
    }
    let definition = library.definition(name.protocolName)
    return definition?.link(variant: definition?.variant(name.variant)?.name)
  }

  mutating func perform(_ order: CommissioningOrder) {
    switch order {
    case .hold: simulator.order(.hold)
    case .close: simulator.order(.release)
    case .reset: simulator.order(.reset)
    case .mute(let isMute): simulator.mute(isMute || battery(configuration) == nil)
    case .configure(let configuration):
      let isOther = configuration[.inverterProtocol] != self.configuration[.inverterProtocol]
      simulator.order(.configure(configuration))
      guard isOther else { return }
      let battery = battery(configuration)
      if let battery { simulator.speak(battery) }
      simulator.mute(battery == nil)
    }
  }

  mutating func step(isFine: Bool) -> PlantStep {
    simulator.longestStep = isFine ? 0.01 : 1
    simulator.step()
    return PlantStep(
      time: simulator.now, engine: simulator.engine, readings: simulator.readings, frames: simulator.takeFrames(),
      isOnline: simulator.bus.map { $0.inverter.phase == .online })
  }
}

extension InverterProtocol {
  /// The definition that it means.
  var definition: (protocolName: String, variant: String?)? {
    switch self {
    case .none: nil
    case .deye: ("deye-hv", nil)
    case .goodwe: ("goodwe", nil)
    case .pylontech: ("pylontech-hv", nil)
    case .sofar1: ("sofar", "sofar1")
    case .sofar2: ("sofar", "sofar2")
    }
  }

  /// What may be configured for an inverter that was heard to speak this: Deye and Pylontech ask with the same frames.
  static func fitting(_ protocolName: String) -> [InverterProtocol] {
    switch protocolName {
    case "deye-hv", "pylontech-hv": [.deye, .pylontech]
    case "goodwe": [.goodwe]
    case "sofar": [.sofar1, .sofar2]
    default: []
    }
  }
}
