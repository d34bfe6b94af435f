/// What has been measured, with a mark for what is new. The owner keeps one value and writes into it: the engine looks at it in each
/// step and keeps no copy.
///
/// Slots: module `m` (0…14) of chain `c` has cells `c × 210 + m × cellsPerModule …`, sensors `(c × 15 + m) × 5 …`, stack voltage
/// `c × 15 + m`.
public struct Readings: Sendable {
  /// What arrived since the last step.
  public struct Arrivals: OptionSet, Sendable {
    /// Bits of the set.
    public var rawValue: UInt8
    /// A set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A complete scan of BMS1, every module answering.
    public static let scan1 = Arrivals(rawValue: 1)
    /// A complete scan of BMS2.
    public static let scan2 = Arrivals(rawValue: 2)
    /// A scan of BMS1 failed or lacks a module.
    public static let failure1 = Arrivals(rawValue: 4)
    /// A scan of BMS2 failed or lacks a module.
    public static let failure2 = Arrivals(rawValue: 8)
    /// Current, V-in and V-out.
    public static let pdu = Arrivals(rawValue: 16)
    /// BMS1 is measuring cells just now: balancing pauses.
    public static let measuring1 = Arrivals(rawValue: 32)
    /// BMS2 is measuring cells just now.
    public static let measuring2 = Arrivals(rawValue: 64)

    /// The mark of a complete scan of a chain.
    public static func scan(_ chain: ChainNumber) -> Arrivals { chain == .bms1 ? .scan1 : .scan2 }
    /// The mark of a failed scan of a chain.
    public static func failure(_ chain: ChainNumber) -> Arrivals { chain == .bms1 ? .failure1 : .failure2 }
    /// The mark of a chain that is measuring.
    public static func measuring(_ chain: ChainNumber) -> Arrivals { chain == .bms1 ? .measuring1 : .measuring2 }
  }

  /// Cell slots of a chain.
  public static let chainCells = 210
  /// What is new in this step.
  public var arrived: Arrivals = []
  /// Cell voltages, 0.1 mV; 420 slots.
  public var cells: [UInt16]
  /// Module voltages as the slaves measure them, mV; 30 slots.
  public var stacks: [Int32]
  /// Sensor temperatures, 0.1 °C; 150 slots.
  public var temperatures: [Int16]
  /// Sensors whose code says open: T1 in bit 0, by module (linkslave-chain.md §9.3).
  public var openSensors: [UInt8]
  /// Sensors whose code says shorted.
  public var shortedSensors: [UInt8]
  /// Modules that answered in the last scan of each chain.
  public var moduleCounts: InlineArray<2, UInt8> = [0, 0]
  /// Cells that the last scan of each chain held.
  public var cellCounts: InlineArray<2, UInt16> = [0, 0]
  /// The first module (from 0) that did not answer in a failed scan; 255 = none in particular.
  public var lostModules: InlineArray<2, UInt8> = [255, 255]
  /// Raw reading of the current sensor.
  public var currentRaw: Int32 = 0
  /// Raw reading of V-in.
  public var inputRaw: Int32 = 0
  /// Raw reading of V-out.
  public var outputRaw: Int32 = 0
  /// Voltage of the controller's own supply, mV ("BMS voltage").
  public var supply_mV: Int32 = 0

  /// Nothing measured yet.
  public init() {
    cells = [UInt16](repeating: 0, count: 420)
    stacks = [Int32](repeating: 0, count: 30)
    temperatures = [Int16](repeating: 0, count: 150)
    openSensors = [UInt8](repeating: 0, count: 30)
    shortedSensors = [UInt8](repeating: 0, count: 30)
  }
}
