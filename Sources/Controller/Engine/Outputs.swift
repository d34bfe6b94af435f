/// Which of the PDU's switches are to be closed.
public struct Contactors: OptionSet, Hashable, Sendable {
  /// Bits of the set.
  public var rawValue: UInt8
  /// A set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// The negative contactor.
  public static let negative = Contactors(rawValue: 1)
  /// The precharge relay.
  public static let precharge = Contactors(rawValue: 2)
  /// The positive contactor: with the negative one the battery is on the inverter.
  public static let positive = Contactors(rawValue: 4)
}

/// The four sinking outputs of the controller. The manual gives them no meaning; these are ours.
public struct DigitalOutputs: OptionSet, Hashable, Sendable {
  /// Bits of the set.
  public var rawValue: UInt8
  /// A set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Output 1: the contactors are closed.
  public static let closed = DigitalOutputs(rawValue: 1)
  /// Output 2: WARNING.
  public static let warning = DigitalOutputs(rawValue: 2)
  /// Output 3: an error keeps the contactors open.
  public static let error = DigitalOutputs(rawValue: 4)
  /// Output 4: cells are being balanced.
  public static let balancing = DigitalOutputs(rawValue: 8)
}

/// What a step decided.
public struct Outputs: Equatable, Sendable {
  /// The status of the system.
  public var status = SystemStatus.checking
  /// BMS1's own status.
  public var bms1 = ChainStatus.off
  /// BMS2's own status.
  public var bms2 = ChainStatus.off
  /// What the PDU is to close.
  public var contactors: Contactors = []
  /// The charge current allowed to the inverter, mA.
  public var chargeLimit_mA: Int32 = 0
  /// The discharge current allowed to the inverter, mA, positive.
  public var dischargeLimit_mA: Int32 = 0
  /// The protocol's mark "charging forbidden".
  public var isChargingForbidden = true
  /// The protocol's mark "discharging forbidden".
  public var isDischargingForbidden = true
  /// What the four outputs are to show.
  public var digital: DigitalOutputs = []
  /// Cells to balance by module, lowest cell in bit 0: 0…14 on BMS1, 15…29 on BMS2.
  public var balancing: InlineArray<30, UInt16> = InlineArray(repeating: 0)

  /// Everything open and nothing allowed.
  public init() {}

  /// Alike in everything a step decides.
  public static func == (one: Outputs, other: Outputs) -> Bool {
    for module in 0..<30 where one.balancing[module] != other.balancing[module] { return false }
    return one.status == other.status && one.bms1 == other.bms1 && one.bms2 == other.bms2 && one.contactors == other.contactors
      && one.chargeLimit_mA == other.chargeLimit_mA && one.dischargeLimit_mA == other.dischargeLimit_mA
      && one.isChargingForbidden == other.isChargingForbidden && one.isDischargingForbidden == other.isDischargingForbidden
      && one.digital == other.digital
  }
}

/// The numbers of the manual's parameter page. Source: spec/controller.md §3.
public struct DerivedValues: Sendable {
  /// Calibrated, positive while charging, mA.
  public var current_mA: Int32 = 0
  /// Sum of the module voltages, mV.
  public var voltage_mV: Int64 = 0
  /// Sum of the cells, mV.
  public var cellSum_mV: Int64 = 0
  /// Extreme cells, 0.1 mV, with their slots in `Readings`; meaningless before the first scan.
  public var lowestCell = Extreme(value: 0, slot: 0)
  /// Highest cell, 0.1 mV, and its slot.
  public var highestCell = Extreme(value: 0, slot: 0)
  /// Extreme enabled sensors, 0.1 °C; `nil` where none is enabled.
  public var coldest: Extreme?
  /// Hottest enabled sensor, 0.1 °C; `nil` where none is enabled.
  public var hottest: Extreme?
  /// V-in, mV.
  public var input_mV: Int32 = 0
  /// V-out, mV.
  public var output_mV: Int32 = 0
  /// The controller's own supply, mV.
  public var supply_mV: Int32 = 0
  /// State of charge, 0.01 %.
  public var stateOfCharge: Int32 = 0
  /// Whether that is an estimate from the open-circuit voltage.
  public var isEstimate = true
  /// Charge in the battery, mAh.
  public var charge_mAh: Int32 = 0
  /// Whole equivalents: discharged Ah over capacity.
  public var cycles: Int32 = 0
  /// Whether every enabled chain has delivered a scan.
  public var hasCells = false

  /// Power in mW from the unrounded values.
  public var power_mW: Int64 { voltage_mV * Int64(current_mA) / 1000 }
  /// Highest minus lowest cell, 0.1 mV.
  public var difference: Int32 { highestCell.value - lowestCell.value }

  /// A value and where it stands.
  public struct Extreme: Equatable, Sendable {
    /// In the unit of what it belongs to.
    public var value: Int32
    /// Slot in `Readings`.
    public var slot: UInt16
  }
}
