public import Controller

/// Something that goes wrong in a simulated system at a given time. Chains, modules, cells and sensors count from 1, as people do.
public struct Fault: Equatable, Sendable {
  /// What goes wrong.
  public enum Kind: Equatable, Sendable {
    /// A cell's voltage reads so much, V, whatever the cell has.
    case cellVoltage(ChainNumber, module: Int, cell: Int, volts: Double)
    /// A sense wire is broken: the cell reads near 0, its neighbour double.
    case brokenSenseWire(ChainNumber, module: Int, cell: Int)
    case sensorOpen(ChainNumber, module: Int, sensor: Int)
    case sensorShorted(ChainNumber, module: Int, sensor: Int)
    /// A module is so hot or cold, °C.
    case temperature(ChainNumber, module: Int, celsius: Double)
    /// A slave does not answer: the scan fails there.
    case slaveDead(ChainNumber, module: Int)
    /// The chain is cut before this module: it and all behind it are gone.
    case chainCut(ChainNumber, module: Int)
    /// So many of 100 scans fail their checksums.
    case noise(ChainNumber, percent: Double)
    /// Nothing comes from the PDU.
    case pduSilent
    case contactorWelded(isPositive: Bool)
    case contactorStuckOpen(isPositive: Bool)
    case outputShorted
    /// The current sensor's offset, A.
    case currentDrift(amperes: Double)
    /// V-out is measured so much too high or low, as a factor.
    case outputGain(Double)
    /// The controller's supply dips: it starts again from its stored state.
    case supplyDip
    /// The stored configuration is damaged; ends with a good one.
    case configurationCorrupted
    /// The controller's clock leaps, s.
    case clockJump(seconds: Double)
    /// The inverter takes what it likes, A, whatever is allowed.
    case inverterIgnoresLimits(amperes: Double)
    /// A person presses "Reset BMS".
    case reset
  }

  /// Seconds from the start.
  public var at: Double
  /// When it is over; `nil` = never, or over at once for what has no length.
  public var until: Double?
  /// What.
  public var kind: Kind

  /// A fault from a time to another.
  public init(at: Double, until: Double? = nil, _ kind: Kind) {
    self.at = at
    self.until = until
    self.kind = kind
  }
}
