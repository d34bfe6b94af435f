public import Controller
private import Formats

/// Why a configuration is not taken over.
public struct ConfigurationRefusal: Sendable, Equatable {
  /// The item that stands in the way; `nil` = not one alone.
  public var item: ConfigurationItem?
  /// For a person.
  public var reason: String

  /// A reason, and the item that it is about.
  public init(item: ConfigurationItem? = nil, reason: String) {
    self.item = item
    self.reason = reason
  }
}

/// What may be changed while a controller runs. The runtime goes by it, and whoever asks a person beforehand goes by it first.
/// Source: spec/controller.md §2, §8.
public struct ChangeRules: Sendable {
  /// What is in force.
  public var configuration: Configuration
  /// What was measured last.
  public var readings: Readings
  /// Whether there is none that the battery could be read with: CONFIG ERR.
  public var lacksConfiguration = false
  /// Whether a contactor is closed, or is to be.
  public var isClosed = false
  /// Whether V-in and V-out are one voltage: see `connects`.
  public var isConnected = false
  /// Whether a person lets the contactors close: a commissioning.
  public var isPersonHeld = false
  /// What was in force when the contactors were open for the last time. Calibrations are held against this one, so that many small ones
  /// are no way to a large one.
  public var closedWith: Configuration

  /// Rules for open contactors.
  public init(_ configuration: Configuration, _ readings: Readings) {
    self.configuration = configuration
    self.readings = readings
    closedWith = configuration
  }

  /// What makes the battery or its inverter another one: chains and links are made for it at the start.
  public static let ofTheBattery: Set<ConfigurationItem> = [
    .bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount, .inverterProtocol,
  ]
  /// What protects nothing, and may be changed under load.
  private static let harmless: Set<ConfigurationItem> = [
    .usedCells, .chargeCurrentMax, .dischargeCurrentMax, .balanceStart, .balanceDifference,
  ]
  /// Points that can be measured behind closed contactors only: there a current flows, and V-out is the battery's.
  private static let measuredClosed: Set<ConfigurationItem> = [.currentHighRaw, .currentHigh, .outputHighRaw, .outputHigh]
  /// By so much a calibration behind closed contactors may change what is measured, percent.
  static let calibrationShare: UInt64 = 10
  /// V-in and V-out are one voltage behind closed contactors; so far they may be apart after a calibration, percent.
  static let agreement: UInt64 = 2

  /// Whether these contactors make V-in and V-out one voltage: both main contactors, and the precharge is over.
  public static func connects(_ contactors: Contactors) -> Bool {
    contactors.isSuperset(of: [.negative, .positive]) && !contactors.contains(.precharge)
  }

  /// Items that make the battery or its inverter another one, in the table's order: none of them is ever taken over in a run.
  public func otherBattery(_ wanted: Configuration) -> [ConfigurationItem] {
    ConfigurationItem.allCases.filter { ChangeRules.ofTheBattery.contains($0) && wanted[$0] != configuration[$0] }
  }

  /// Why a configuration may not be taken over now; `nil` = it may.
  /// - Parameter isCalibration: it is what is in force with one more point, given by a person who has seen the result and confirmed it.
  public func refusal(of wanted: Configuration, isCalibration: Bool = false) -> ConfigurationRefusal? {
    if lacksConfiguration, isCalibration {
      return ConfigurationRefusal(reason: "there is no configuration to calibrate; save one first")
    }
    if !lacksConfiguration, let item = otherBattery(wanted).first {
      return ConfigurationRefusal(
        item: item, reason: "\(item.row.key) differs: the battery or its inverter is another; stop and start again")
    }
    let broken = wanted.violationCount
    guard broken == 0 else { return ConfigurationRefusal(reason: "it breaks \(broken) rules") }
    guard !lacksConfiguration, isClosed else { return nil }
    return refusalUnderLoad(of: wanted, isCalibration: isCalibration)
  }

  /// What protects is not changed under load. A point that can be measured there only is no change but a correction, as long as it is one;
  /// in a commissioning the person who confirms it stands beside it.
  private func refusalUnderLoad(of wanted: Configuration, isCalibration: Bool) -> ConfigurationRefusal? {
    let free = isCalibration || isPersonHeld ? ChangeRules.harmless.union(ChangeRules.measuredClosed) : ChangeRules.harmless
    if let item = ConfigurationItem.allCases.first(where: { wanted[$0] != configuration[$0] && !free.contains($0) }) {
      let reason =
        isCalibration
        ? "this point is calibrated with open contactors, and they are closed; 'linkbms commission' holds them open"
        : "\(item.row.key) differs and the contactors are closed: it may be changed with open contactors only"
      return ConfigurationRefusal(item: item, reason: reason)
    }
    for module in 0..<30 where wanted.sensors[module] != configuration.sensors[module] {
      return ConfigurationRefusal(
        reason: "sensors differs and the contactors are closed: it may be changed with open contactors only")
    }
    return isCalibration ? implausibility(of: wanted) : nil
  }

  // MARK: Calibration under load

  private func differs(_ wanted: Configuration, _ one: ConfigurationItem, _ other: ConfigurationItem) -> Bool {
    wanted[one] != configuration[one] || wanted[other] != configuration[other]
  }

  private func implausibility(of wanted: Configuration) -> ConfigurationRefusal? {
    if differs(wanted, .currentHighRaw, .currentHigh) {
      // The line turns around its low point, which stays.
      let (was, becomes) = (Calibration.current(wanted[.currentHighRaw], closedWith), wanted[.currentHigh])
      let low = Int64(wanted[.currentLow])
      if ChangeRules.areApart(Int64(was) - low, Int64(becomes) - low, ChangeRules.calibrationShare) {
        return tooFar(.currentHigh, was, becomes, "A")
      }
    }
    guard differs(wanted, .outputHighRaw, .outputHigh) else { return nil }
    guard isConnected else {
      return ConfigurationRefusal(
        item: .outputHigh,
        reason: "the contactors are closing or opening: V-out is V-in only when both main contactors are closed and the precharge "
          + "is over; try again then")
    }
    let (was, becomes) = (Calibration.output(wanted[.outputHighRaw], closedWith), wanted[.outputHigh])
    if ChangeRules.areApart(Int64(was), Int64(becomes), ChangeRules.calibrationShare) {
      return tooFar(.outputHigh, was, becomes, "V")
    }
    let (input, output) = (Calibration.input(readings.inputRaw, wanted), Calibration.output(readings.outputRaw, wanted))
    guard ChangeRules.areApart(Int64(input), Int64(output), ChangeRules.agreement) else { return nil }
    // Too low, and the next precharge never ends; too high, and it ends before the voltages are alike.
    let (shown, beside) = (FixedDecimal.text(output, decimals: 3), FixedDecimal.text(input, decimals: 3))
    return ConfigurationRefusal(
      item: .outputHigh,
      reason:
        "V-out would be \(shown) V beside a V-in of \(beside) V: behind closed contactors they are one voltage, and more than "
        + "\(ChangeRules.agreement) % between them is refused; measure again, or calibrate V-in first, with open contactors "
        + "('linkbms commission')")
  }

  /// Whether the second is further from the first than so many percent of the first.
  private static func areApart(_ one: Int64, _ other: Int64, _ percent: UInt64) -> Bool {
    (other - one).magnitude * 100 > one.magnitude * percent
  }

  private func tooFar(_ item: ConfigurationItem, _ was: Int32, _ becomes: Int32, _ unit: String) -> ConfigurationRefusal {
    let (before, after) = (FixedDecimal.text(was, decimals: 3), FixedDecimal.text(becomes, decimals: 3))
    return ConfigurationRefusal(
      item: item,
      reason: "found \(after) \(unit) for what was \(before) \(unit) when the contactors closed: until they open a calibration may "
        + "change that by at most \(ChangeRules.calibrationShare) %; look at the instrument, its sign and the decimal point, "
        + "or calibrate with 'linkbms commission'")
  }
}
