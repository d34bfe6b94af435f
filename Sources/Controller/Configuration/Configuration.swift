/// The values of every `ConfigurationItem` and which sensors are enabled. Any combination can be held; `violations` judges it.
public struct Configuration: Equatable, Sendable {
  private var values: InlineArray<41, Int32>
  /// T1 in bit 0 … T5 in bit 4 for each module: 0…14 on BMS1, 15…29 on BMS2.
  public private(set) var sensors: InlineArray<30, UInt8>

  /// What fills the cell voltages.
  public enum Preset: Sendable, CaseIterable { case lfp, liIon }

  /// Every item as the preset has it, no sensor enabled.
  public init(preset: Preset = .lfp) {
    values = InlineArray(repeating: 0)
    sensors = InlineArray(repeating: 0)
    for item in ConfigurationItem.allCases { self[item] = preset == .lfp ? item.row.lfp : item.row.liIon }
  }

  /// An item's value in units of 10^−decimals of its unit.
  public subscript(item: ConfigurationItem) -> Int32 {
    get { values[Int(item.rawValue)] }
    set { values[Int(item.rawValue)] = newValue }
  }

  /// Fills every cell voltage; the rest stays.
  public mutating func apply(_ preset: Preset) {
    for item in ConfigurationItem.allCases where item.isCellVoltage {
      self[item] = preset == .lfp ? item.row.lfp : item.row.liIon
    }
  }

  /// Enables exactly the sensors of `mask` on a module; modules outside 0…29 and bits above T5 are left out.
  public mutating func setSensors(_ mask: UInt8, ofModule module: Int) {
    guard (0..<30).contains(module) else { return }
    sensors[module] = mask & 0x1F
  }

  /// LinkSlaves on a chain, 0…15 whatever is written: a value outside is a violation, never a size.
  public func slaves(_ chain: ChainNumber) -> Int { Int(min(15, max(0, self[chain == .bms1 ? .bms1Slaves : .bms2Slaves]))) }
  /// Cells on each module of a chain, 7…14 whatever is written.
  public func cellsPerModule(_ chain: ChainNumber) -> Int { Int(min(14, max(7, self[chain == .bms1 ? .bms1Cells : .bms2Cells]))) }

  /// Whether the cells are LFP, by their full voltage: the table of open-circuit voltages depends on it.
  public var isLFP: Bool { self[.cellChargeDisable] < 38_500 }

  /// Alike in every item and sensor.
  public static func == (one: Configuration, other: Configuration) -> Bool {
    for item in ConfigurationItem.allCases where one[item] != other[item] { return false }
    for module in 0..<30 where one.sensors[module] != other.sensors[module] { return false }
    return true
  }
}

/// One of the two daisy chains of LinkSlaves.
public enum ChainNumber: UInt8, CaseIterable, Sendable {
  case bms1, bms2
  /// 0 or 1.
  public var index: Int { Int(rawValue) }
}
