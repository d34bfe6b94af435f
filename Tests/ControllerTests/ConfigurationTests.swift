import Testing

@testable import Controller

/// spec/controller.md §2.
@Suite struct ConfigurationTests {
  @Test func presetsAreValidAndAsTheSpecificationHasThem() {
    for preset in Configuration.Preset.allCases { #expect(Configuration(preset: preset).violationCount == 0) }
    let lfp = Configuration(preset: .lfp)
    #expect(lfp[.cellChargeDisable] == 35_500 && lfp[.overvoltageProtect] == 36_500 && lfp[.differenceProtect] == 5000)
    #expect(lfp[.overtemperatureProtect] == 600 && lfp[.undertemperatureProtect] == -200 && lfp[.overcurrentProtect] == 55_000)
    var changed = lfp
    changed[.capacity] = 200_000
    changed.apply(.liIon)
    #expect(changed[.cellChargeDisable] == 41_000 && changed[.balanceDifference] == 100 && changed[.capacity] == 200_000)
    #expect(changed[.bms1Cells] == 8, "a preset fills cell voltages only")
  }

  @Test func everyItemIsInItsTableOnce() {
    #expect(ConfigurationItem.allCases.count == ConfigurationItem.count)
    #expect(Set(ConfigurationItem.allCases.map(\.row.key)).count == ConfigurationItem.count)
    for item in ConfigurationItem.allCases {
      let row = item.row
      #expect(row.least <= row.lfp && row.lfp <= row.most && row.least <= row.liIon && row.liIon <= row.most, "\(row.key)")
      #expect(row.help.hasSuffix("."))
    }
  }

  @Test(arguments: ConfigurationItem.allCases) func eachRangeEndsWhereTheTableSays(item: ConfigurationItem) {
    func isInRange(_ value: Int32) -> Bool {
      var configuration = Configuration()
      configuration[item] = value
      var isIn = true
      configuration.eachViolation { if case .outOfRange(item, _) = $0 { isIn = false } }
      return isIn
    }
    #expect(isInRange(item.row.least) && isInRange(item.row.most))
    #expect(!isInRange(item.row.least - 1) && !isInRange(item.row.most + 1))
  }

  @Test func eachOrderIsJudgedAtItsBoundary() {
    for (lower, upper, orEqual) in Configuration.orders {
      func isBroken(_ difference: Int32) -> Bool {
        var configuration = Configuration()
        configuration[lower] = configuration[upper] + difference
        var isBroken = false
        configuration.eachViolation {
          if case .order(let one, _, let other, _, _) = $0, one == lower, other == upper { isBroken = true }
        }
        return isBroken
      }
      #expect(isBroken(1) && isBroken(0) == !orEqual && !isBroken(-1), "\(lower) \(upper)")
    }
    // The rules by name, so that none is lost: §2 "Consistency rules".
    let named = Configuration.orders.map { "\($0.0) \($0.1) \($0.orEqual)" }
    for rule in [
      "cellDischargeDisable cellDischargeEnable false", "cellDischargeEnable cellChargeEnable false",
      "cellChargeEnable cellChargeDisable false", "undervoltageProtect undervoltageAlarm false",
      "undervoltageAlarm cellDischargeDisable true", "cellChargeDisable overvoltageAlarm true",
      "overvoltageAlarm overvoltageProtect false", "differenceAlarm differenceProtect false",
      "overtemperatureAlarm overtemperatureProtect false", "undertemperatureProtect undertemperatureAlarm false",
      "chargeCurrentMax overcurrentProtect true", "dischargeCurrentMax overcurrentProtect true",
    ] { #expect(named.contains(rule), "\(rule)") }
  }

  @Test func countsVoltageAndSensorsAreJudged() {
    func first(_ change: (inout Configuration) -> Void) -> ConfigurationViolation? {
      var configuration = Configuration()
      change(&configuration)
      var found: ConfigurationViolation?
      configuration.eachViolation { if found == nil { found = $0 } }
      return found
    }
    #expect(first { $0[.cellCount] = 9 } == .cellCount(configured: 9, fromModules: 8))
    #expect(
      first {
        $0[.bms1Slaves] = 0; $0[.cellCount] = 7
      } == .noSlaves)
    // 224 cells × 3.55 V = 795.2 V; 232 are 823.6 V.
    #expect(
      first {
        $0[.bms1Slaves] = 14; $0[.bms2Slaves] = 14; $0[.cellCount] = 224
      } == nil)
    #expect(
      first {
        $0[.bms1Slaves] = 15; $0[.bms2Slaves] = 14; $0[.cellCount] = 232
      } == .packVoltage(millivolts: 823_600))
    #expect(first { $0.setSensors(1, ofModule: 1) } == .sensorOnAbsentModule(.bms1, module: 2))
    #expect(first { $0.setSensors(1, ofModule: 15) } == .sensorOnAbsentModule(.bms2, module: 1))
    #expect(first { $0.setSensors(0xFF, ofModule: 0) } == nil)
    #expect(first { $0[.currentHigh] = 3999 } == .calibrationPoints(.currentLow, .currentHigh))
    #expect(first { $0[.currentHigh] = 4000 } == nil)
    #expect(first { $0[.inputHigh] = 39_999 } == .calibrationPoints(.inputHighRaw, .inputHigh))
    #expect(first { $0[.outputHighRaw] = 0 } == .calibrationPoints(.outputHighRaw, .outputHigh))
  }
}

/// spec/controller.md §8.
@Suite struct CalibrationTests {
  @Test func twoPointsGiveALineAndRoundToTheNearest() {
    #expect(Calibration.linear(50, 0, 0, 100, 1000) == 500)
    #expect(Calibration.linear(-50, 0, 0, 100, 1000) == -500)
    #expect(Calibration.linear(1, 0, 0, 3, 2) == 1 && Calibration.linear(-1, 0, 0, 3, 2) == -1)
    #expect(Calibration.linear(5, 10, 100, 20, 200) == 50)
    #expect(Calibration.linear(5, 7, 42, 7, 50) == 42)
    #expect(Calibration.linear(.max, .min, .min, .max, .max) == .max)
  }

  @Test func onlyLowShiftsTheOffset() throws {
    let changed = try #require(Calibration.applying(.currentLow(raw: 120, milliamperes: 0), to: Configuration()))
    #expect(Calibration.current(120, changed) == 0 && Calibration.current(1120, changed) == 1000)
    #expect(Calibration.current(50_120, changed) == 50_000)
  }

  @Test func pointsCloserThanFivePercentAreRefused() throws {
    let configuration = Configuration()
    #expect(Calibration.applying(.currentHigh(raw: 3000, milliamperes: 3999), to: configuration) == nil)
    let good = try #require(Calibration.applying(.currentHigh(raw: 2000, milliamperes: 4000), to: configuration))
    #expect(Calibration.current(1000, good) == 2000)
    #expect(Calibration.applying(.currentHigh(raw: 0, milliamperes: 5000), to: configuration) == nil)
    #expect(Calibration.applying(.input(raw: 100, millivolts: 39_999), to: configuration) == nil)
    let input = try #require(Calibration.applying(.input(raw: 1000, millivolts: 40_000), to: configuration))
    #expect(Calibration.input(500, input) == 20_000)
    let output = try #require(Calibration.applying(.output(raw: -1000, millivolts: 40_000), to: configuration))
    #expect(Calibration.output(-500, output) == 20_000)
    #expect(Calibration.applying(.output(raw: 0, millivolts: 40_000), to: configuration) == nil)
    #expect(Calibration.applying(.input(raw: 0, millivolts: 40_000), to: configuration) == nil)
    #expect(Calibration.applying(.output(raw: 9, millivolts: 39_999), to: configuration) == nil)
  }
}
