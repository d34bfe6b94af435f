public import Controller

/// A simulated system and what is expected of it.
public struct Scenario: Sendable {
  /// Short name.
  public var name = ""
  /// What it shows, for people.
  public var about = ""
  /// Where all chance comes from.
  public var seed: UInt64 = 1
  /// s.
  public var duration = 600.0
  /// What the controller is set to.
  public var configuration = Configuration()
  /// What it had stored; `nil` = a first start.
  public var state: PersistentState?
  /// The cells.
  public var pack = CellPack.Build(modules: [8])
  /// Modules that are really there, where it is not what the configuration says.
  public var installedModules: [Int]?
  /// Readings that stay as given.
  public var pinned: Pinned?
  /// Whether the chains run frame by frame, with the real master and virtual nodes; else scan by scan.
  public var isFrameLevel = false
  /// A, positive while charging.
  public var load = LoadProfile()
  /// Offset of the current sensor from the start, A.
  public var currentOffset = 0.0
  /// The controller's own supply, V.
  public var supply = 12.0
  /// How it was put together, where that is not what the configuration says.
  public var installation = Installation()
  /// What goes wrong.
  public var faults: [Fault] = []
  /// The inverter's protocol and variant, where it is on a bus and hears what the controller allows; `nil` = it knows by itself.
  public var link: Link?

  /// An inverter on a bus.
  public struct Link: Sendable, Equatable {
    /// Name of the definition.
    public var protocolName: String
    /// Its variant; `nil` = the first.
    public var variant: String?
    /// In which ways the inverter is no model pupil: names of the definition's `quirks`, or `all` alone.
    public var quirks: [String] = []
    /// Addresses of further batteries on the same bus.
    public var furtherBatteries: [UInt8] = []
    /// Battery ports of the inverter, each with a bus and a battery of its own.
    public var ports = 1

    /// A protocol and its variant, without quirks, one battery at one port.
    public init(protocolName: String, variant: String? = nil) {
      self.protocolName = protocolName
      self.variant = variant
    }
  }
  /// What goes wrong on that bus.
  public var linkFaults: [LinkFault] = []
  /// What has to come out.
  public var expectations: [Expectation] = []

  /// An empty scenario: eight LFP cells for ten minutes.
  public init() {}

  /// Modules on a chain in fact.
  public func installed(_ chain: ChainNumber) -> Int {
    if let installedModules, chain.index < installedModules.count { return installedModules[chain.index] }
    return configuration.slaves(chain)
  }

  /// Cells on each module of a chain in fact.
  public func installedCells(_ chain: ChainNumber) -> Int {
    let own = installation.cellsPerModule[chain.index]
    return own > 0 ? own : configuration.cellsPerModule(chain)
  }

  /// Readings that do not come from a plant, such as those of a photographed page.
  public struct Pinned: Sendable {
    /// One module's readings.
    public struct Module: Sendable {
      /// V.
      public var stack = 0.0
      /// V.
      public var cells: [Double] = []
      /// °C, T1 first.
      public var temperatures: [Double] = []
    }
    /// V at the PDU's input.
    public var input: Double?
    /// BMS1's modules, then BMS2's.
    public var modules: [Module] = []
  }

  /// Something that has to be so at a time, or at some moment of a span.
  public struct Expectation: Sendable {
    /// s; one moment, or from … to.
    public var from = 0.0
    /// s.
    public var to = 0.0
    /// Line of the file, for messages.
    public var line = 0
    /// What.
    public var condition = Condition.status(.running)

    /// What is looked at.
    public enum Condition: Sendable {
      case status(SystemStatus)
      /// At no moment of the span this status.
      case never(SystemStatus)
      case chain(ChainNumber, ChainStatus)
      case isConnected(Bool)
      /// A value of the page, within a tolerance.
      case value(PageValue, Double, tolerance: Double)
      /// An event whose text holds this; judged where the texts are made.
      case event(String)
    }
  }

  /// Values of the page that an expectation can name.
  public enum PageValue: String, CaseIterable, Sendable {
    case voltage, current, power, soc, vmin, vmax, dv, tmin, tmax, capacity
    case vIn = "v-in", vOut = "v-out", chargeLimit = "charge-limit", dischargeLimit = "discharge-limit"
    case chargeVoltage = "charge-voltage", dischargeVoltage = "discharge-voltage", cellCount = "cell-count"
    case totalAh = "total-ah", cycles, bmsVoltage = "bms-voltage", balancing
  }
}

/// What the inverter wants over time: steps, repeated where a period is given.
public struct LoadProfile: Sendable {
  /// From this second on, this current, A.
  public struct Step: Sendable {
    /// s from the start of the profile.
    public var at: Double
    /// A, positive while charging.
    public var current: Double
    /// A step of a profile.
    public init(at: Double, current: Double) {
      self.at = at
      self.current = current
    }
  }
  /// In the order of time.
  public var steps: [Step] = []
  /// s after which it begins again; `nil` = never.
  public var period: Double?

  /// No current.
  public init() {}

  /// A wanted at a time.
  public func current(at time: Double) -> Double {
    var moment = time
    if let period, period > 0 { moment = time - (time / period).rounded(.down) * period }
    var current = 0.0
    for step in steps {
      if step.at > moment { break }
      current = step.current
    }
    return current
  }
}

extension Engine {
  /// A value of the page in the unit that the page shows; `nil` where it shows a dash.
  public func pageValue(_ name: Scenario.PageValue) -> Double? {
    let cells = Double(configuration[.cellCount])
    switch name {
    case .voltage: return Double(values.voltage_mV) / 1000
    case .current: return Double(values.current_mA) / 1000
    case .power: return Double(values.power_mW) / 1000
    case .soc: return Double(values.stateOfCharge) / 100
    case .vmin: return values.hasCells ? Double(values.lowestCell.value) / 10_000 : nil
    case .vmax: return values.hasCells ? Double(values.highestCell.value) / 10_000 : nil
    case .dv: return values.hasCells ? Double(values.difference) / 10_000 : nil
    case .tmin: return values.coldest.map { Double($0.value) / 10 }
    case .tmax: return values.hottest.map { Double($0.value) / 10 }
    case .capacity: return Double(configuration[.capacity]) / 1000
    case .vIn: return Double(values.input_mV) / 1000
    case .vOut: return Double(values.output_mV) / 1000
    case .chargeLimit: return Double(outputs.chargeLimit_mA) / 1000
    case .dischargeLimit: return Double(outputs.dischargeLimit_mA) / 1000
    case .chargeVoltage: return cells * Double(configuration[.cellChargeDisable]) / 10_000
    case .dischargeVoltage: return cells * Double(configuration[.cellDischargeDisable]) / 10_000
    case .cellCount: return cells
    case .totalAh: return Double(values.charge_mAh) / 1000
    case .cycles: return Double(values.cycles)
    case .bmsVoltage: return Double(values.supply_mV) / 1000
    case .balancing:
      var count = 0
      for module in 0..<30 { count += outputs.balancing[module].nonzeroBitCount }
      return Double(count)
    }
  }
}
