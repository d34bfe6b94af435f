/// Values against the alarm and protect limits. Source: spec/controller.md §2 and §4.
struct LimitCheck: Sendable {
  /// A bit for each `LimitKind`.
  struct Kinds: OptionSet, Sendable {
    var rawValue: UInt8
    static func one(_ kind: LimitKind) -> Kinds { Kinds(rawValue: 1 << kind.rawValue) }
  }

  /// Alarm limits passed now.
  private(set) var alarms: Kinds = []
  /// Alarm limits passed, or not yet left by the margin: WARNING.
  private(set) var warnings: Kinds = []
  /// The first protect limit passed.
  private(set) var protect: Reason?
  /// The first alarm limit that is passed or held.
  private(set) var warning: Reason?
  /// What is left of the currents, in 1/1000: 1000 without a warning, 500 at an alarm limit, 0 at a protect limit.
  private(set) var share: Int32 = 1000

  /// Judges one set of values; `warnings` of the last call hold on until the value is inside by the margin.
  mutating func update(_ values: Extremes, _ configuration: Configuration) {
    alarms = []
    protect = nil
    warning = nil
    share = 1000
    let volts = Timing.voltageMargin
    let difference = configuration[.differenceAlarm]
    judge(.overvoltage, values.high, configuration[.overvoltageAlarm], configuration[.overvoltageProtect], volts)
    judge(.undervoltage, values.low, configuration[.undervoltageAlarm], configuration[.undervoltageProtect], volts)
    // A margin wider than the limit itself could never be left.
    judge(
      .difference, .init(value: values.high.value &- values.low.value, slot: values.high.slot), difference,
      configuration[.differenceProtect], min(volts, difference / 2))
    if let hottest = values.hottest, let coldest = values.coldest {
      judge(
        .overtemperature, hottest, configuration[.overtemperatureAlarm], configuration[.overtemperatureProtect],
        Timing.temperatureMargin)
      judge(
        .undertemperature, coldest, configuration[.undertemperatureAlarm], configuration[.undertemperatureProtect],
        Timing.temperatureMargin)
    } else {
      warnings.subtract([.one(.overtemperature), .one(.undertemperature)])
    }
  }

  /// One limit; protect lies beyond alarm, upward or downward.
  private mutating func judge(
    _ kind: LimitKind, _ extreme: DerivedValues.Extreme, _ alarm: Int32, _ protect: Int32, _ margin: Int32
  ) {
    let isUpper = protect > alarm
    // How far the value is beyond the alarm limit.
    let beyond = isUpper ? extreme.value &- alarm : alarm &- extreme.value
    let room = isUpper ? protect &- alarm : alarm &- protect
    let bit = Kinds.one(kind)
    if beyond > 0 {
      alarms.insert(bit)
      warnings.insert(bit)
    } else if beyond <= 0 &- margin {
      warnings.remove(bit)
    }
    if warnings.contains(bit) {
      let passed = max(0, min(beyond, room))
      share = min(share, room > 0 ? 500 &* (room &- passed) / room : 0)
      if warning == nil { warning = .limit(kind, isProtect: false, slot: extreme.slot, value: extreme.value, limit: alarm) }
    }
    if beyond > room, self.protect == nil {
      self.protect = .limit(kind, isProtect: true, slot: extreme.slot, value: extreme.value, limit: protect)
    }
  }

  /// The extremes of a chain or of the system.
  struct Extremes {
    var low: DerivedValues.Extreme
    var high: DerivedValues.Extreme
    var coldest: DerivedValues.Extreme?
    var hottest: DerivedValues.Extreme?
  }
}
