import Controller
import Simulation
import Testing

@testable import Runtime

/// What may be changed while a controller runs.
@Suite struct ChangeRulesTests {
  private static func rules(isClosed: Bool) -> ChangeRules {
    var readings = Readings()
    (readings.currentRaw, readings.inputRaw, readings.outputRaw) = (10_000, 5280, 5280)
    var rules = ChangeRules(Configuration(), readings)
    rules.isClosed = isClosed
    rules.isConnected = isClosed
    return rules
  }

  /// What becomes of a calibration.
  private static func refusal(of point: Calibration.Point, _ rules: ChangeRules) throws -> ConfigurationRefusal? {
    let wanted = try #require(Calibration.applying(point, to: rules.configuration))
    return rules.refusal(of: wanted, isCalibration: true)
  }

  @Test func whatProtectsIsChangedWithOpenContactorsOnly() {
    let items: [(ConfigurationItem, Bool)] = [
      (.overvoltageProtect, false), (.overcurrentProtect, false), (.ntcBeta, false), (.currentLow, false), (.currentHigh, false),
      (.inputHigh, false), (.outputHigh, false), (.balanceDifference, true), (.chargeCurrentMax, true), (.usedCells, true),
    ]
    for (item, isHarmless) in items {
      for isClosed in [false, true] {
        let rules = Self.rules(isClosed: isClosed)
        var wanted = rules.configuration
        wanted[item] -= 1
        #expect(rules.refusal(of: wanted)?.item == (isClosed && !isHarmless ? item : nil), "\(item.row.key), closed \(isClosed)")
      }
    }
    var wanted = Configuration()
    wanted.setSensors(1, ofModule: 0)
    #expect(Self.rules(isClosed: false).refusal(of: wanted) == nil)
    let reason = Self.rules(isClosed: true).refusal(of: wanted)?.reason
    #expect(reason?.hasPrefix("sensors differs and the contactors are closed") == true)
  }

  @Test func anotherBatteryIsNamedWhateverIsOpen() {
    for item in [ConfigurationItem.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount, .inverterProtocol] {
      for isClosed in [false, true] {
        let rules = Self.rules(isClosed: isClosed)
        var wanted = rules.configuration
        wanted[item] += 1
        #expect(rules.otherBattery(wanted) == [item])
        #expect(rules.refusal(of: wanted)?.item == item && rules.refusal(of: wanted, isCalibration: true)?.item == item)
      }
    }
    #expect(Self.rules(isClosed: true).otherBattery(Configuration()).isEmpty)
  }

  @Test func underLoadACalibrationOfTheCurrentIsACorrection() throws {
    for (value, isTaken) in [
      (Int32(10_000), true), (10_500, true), (11_000, true), (11_001, false), (9000, true), (8999, false), (-10_000, false),
      (50_000, false),
    ] {
      let point = Calibration.Point.currentHigh(raw: 10_000, milliamperes: value)
      let refusal = try Self.refusal(of: point, Self.rules(isClosed: true))
      #expect(refusal?.item == (isTaken ? nil : .currentHigh), "\(value): \(refusal?.reason ?? "taken")")
      #expect(try Self.refusal(of: point, Self.rules(isClosed: false)) == nil, "\(value)")
      // The same numbers without the page's order are no calibration.
      var rules = Self.rules(isClosed: true)
      let wanted = try #require(Calibration.applying(point, to: rules.configuration))
      #expect(rules.refusal(of: wanted)?.item == .currentHighRaw, "\(value)")
      // Where a person stands beside it, it is theirs to say.
      rules.isPersonHeld = true
      #expect(rules.refusal(of: wanted) == nil, "\(value)")
    }
  }

  /// The line turns around its low point: what counts is the change of what is above that.
  @Test func theLowPointNeedNotBeZero() throws {
    var rules = Self.rules(isClosed: true)
    (rules.configuration[.currentLow], rules.configuration[.currentHigh]) = (5000, 55_000)
    rules.closedWith = rules.configuration
    #expect(try Self.refusal(of: .currentHigh(raw: 4000, milliamperes: 9300), rules) == nil)
    #expect(try Self.refusal(of: .currentHigh(raw: 4000, milliamperes: 9500), rules)?.item == .currentHigh)
  }

  @Test func underLoadVOutIsVIn() throws {
    for (value, isTaken) in [
      (Int32(52_800), true), (53_300, true), (52_300, true), (54_000, false), (51_600, false), (60_000, false), (45_000, false),
    ] {
      let point = Calibration.Point.output(raw: 5280, millivolts: value)
      let refusal = try Self.refusal(of: point, Self.rules(isClosed: true))
      #expect(refusal?.item == (isTaken ? nil : .outputHigh), "\(value): \(refusal?.reason ?? "taken")")
      #expect(try Self.refusal(of: point, Self.rules(isClosed: false)) == nil, "\(value)")
    }
    // V-in is what it is now, not what it was when the point was taken.
    var rules = Self.rules(isClosed: true)
    (rules.readings.inputRaw, rules.readings.outputRaw) = (5400, 5400)
    #expect(try Self.refusal(of: .output(raw: 5280, millivolts: 53_000), rules) == nil)
    rules.readings.inputRaw = 0
    #expect(try Self.refusal(of: .output(raw: 5280, millivolts: 53_000), rules)?.item == .outputHigh)
  }

  /// At the end of the precharge V-out is nearly V-in, and no evidence.
  @Test func whileTheContactorsCloseVOutIsNotVIn() throws {
    #expect(ChangeRules.connects([.negative, .positive]))
    for contactors: Contactors in [[], [.negative], [.positive], [.negative, .precharge], [.negative, .precharge, .positive]] {
      #expect(!ChangeRules.connects(contactors), "\(contactors)")
    }
    var rules = Self.rules(isClosed: true)
    rules.isConnected = false
    let refusal = try Self.refusal(of: .output(raw: 5280, millivolts: 52_800), rules)
    #expect(refusal?.item == .outputHigh && refusal?.reason.contains("precharge") == true)
    #expect(try Self.refusal(of: .currentHigh(raw: 10_000, milliamperes: 10_500), rules) == nil)
  }

  @Test func otherPointsNeedOpenContactors() throws {
    for point in [Calibration.Point.currentLow(raw: 100, milliamperes: 0), .input(raw: 5280, millivolts: 53_000)] {
      let refusal = try Self.refusal(of: point, Self.rules(isClosed: true))
      #expect(refusal?.reason.contains("open contactors") == true && refusal?.reason.contains("linkbms commission") == true)
      #expect(try Self.refusal(of: point, Self.rules(isClosed: false)) == nil)
    }
  }

  @Test func withoutAConfigurationNothingIsCalibrated() throws {
    var rules = Self.rules(isClosed: false)
    rules.lacksConfiguration = true
    #expect(try Self.refusal(of: .currentHigh(raw: 10_000, milliamperes: 10_500), rules) != nil)
    var wanted = Configuration()
    wanted[.bms1Slaves] = 2
    #expect(rules.refusal(of: wanted)?.reason.contains("breaks") == true)
    wanted[.cellCount] = 16
    #expect(rules.refusal(of: wanted) == nil)
  }

  /// Many small corrections are no way to a large one while the contactors stay closed.
  @Test func correctionsUnderLoadAddUpToNoMoreThanOne() throws {
    var world = RunRig.running()
    #expect(world.plant.switches.isConnected)
    func calibrate(_ value: Int32, isCalibration: Bool = true) throws -> String? {
      let point = Calibration.Point.currentHigh(raw: 10_000, milliamperes: value)
      let wanted = try #require(Calibration.applying(point, to: world.runtime.engine.configuration))
      var answer: String?
      world.withRuntime { runtime, _ in answer = runtime.configure(wanted, isCalibration: isCalibration) }
      world.run(seconds: 1)
      return answer
    }
    let plain = try calibrate(10_900, isCalibration: false)
    #expect(plain != nil)
    let first = try calibrate(10_900)
    #expect(first == nil && world.runtime.engine.configuration[.currentHigh] == 10_900)
    // 8 % of what is in force, 18 % of what the contactors were closed with.
    let second = try calibrate(11_800)
    #expect(second?.contains("at most 10 %") == true && world.runtime.engine.configuration[.currentHigh] == 10_900)
    #expect(world.plant.switches.isConnected)
  }
}
