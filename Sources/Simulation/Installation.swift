public import Controller

/// How a simulated system was put together, where that is not what its configuration says: the mistakes of an installation. Chains,
/// modules, cells and sensors count from 1, as people do.
public struct Installation: Equatable, Sendable {
  /// A cell or a sensor of a module.
  public struct Place: Equatable, Sendable {
    /// Which chain.
    public var chain: ChainNumber
    /// From 1.
    public var module: Int
    /// Cell or sensor, from 1.
    public var number: Int

    /// A place.
    public init(_ chain: ChainNumber, module: Int, _ number: Int) {
      self.chain = chain
      self.module = module
      self.number = number
    }
  }

  /// Cells that are soldered to each module of a chain in fact; 0 = as configured.
  public var cellsPerModule: InlineArray<2, Int> = [0, 0]
  /// The sense wires above this cell and above the next are exchanged: one cell reads 0, its neighbours read two.
  public var swappedSenseWires: [Place] = []
  /// The first module of each chain that is not on it; 0 = all are.
  public var missingModule: InlineArray<2, Int> = [0, 0]
  /// Whether the LinkMaster is on a chain's output instead of its input.
  public var isChainReversed: InlineArray<2, Bool> = [false, false]
  /// Whether the current sensor is the wrong way round.
  public var isCurrentReversed = false
  /// Whether the cells are LFP; `nil` = as the configuration has it.
  public var isLFP: Bool?
  /// Whether the inverter's cable is in a socket that has no CAN.
  public var isCANOnWrongPort = false
  /// Sensors whose wire is not connected, though they are enabled.
  public var openSensors: [Place] = []
  /// The sensors that are mounted, Ω at 25 °C; 0 = as configured.
  public var ntcResistance: Int32 = 0
  /// The sensors that are mounted, K; 0 = as configured.
  public var ntcBeta: Int32 = 0
  /// Whether the output is shorted.
  public var isOutputShorted = false
  /// V-in is measured so much too high, as a factor.
  public var inputGain = 1.0
  /// V-out is measured so much too high, as a factor.
  public var outputGain = 1.0
  /// The current is measured so much too high, as a factor.
  public var currentGain = 1.0

  /// Everything as configured.
  public init() {}

  /// Alike in every mistake.
  public static func == (one: Installation, other: Installation) -> Bool {
    for chain in 0..<2
    where one.cellsPerModule[chain] != other.cellsPerModule[chain] || one.missingModule[chain] != other.missingModule[chain]
      || one.isChainReversed[chain] != other.isChainReversed[chain]
    {
      return false
    }
    return one.swappedSenseWires == other.swappedSenseWires && one.isCurrentReversed == other.isCurrentReversed
      && one.isLFP == other.isLFP && one.isCANOnWrongPort == other.isCANOnWrongPort && one.openSensors == other.openSensors
      && one.ntcResistance == other.ntcResistance && one.ntcBeta == other.ntcBeta && one.isOutputShorted == other.isOutputShorted
      && one.inputGain == other.inputGain && one.outputGain == other.outputGain && one.currentGain == other.currentGain
  }
}
