import Testing

@testable import Controller

/// Boundaries and ties that the tests by section do not stand on; each was found by a change of the code that nothing noticed.
@Suite struct BoundaryTests {
  @Test func eightHundredVoltsAreAllowed() {
    var configuration = Configuration()
    configuration[.bms1Slaves] = 10
    configuration[.bms2Slaves] = 10
    configuration[.bms1Cells] = 10
    configuration[.bms2Cells] = 10
    configuration[.cellCount] = 200
    configuration[.overvoltageAlarm] = 40_500
    configuration[.overvoltageProtect] = 41_000
    configuration[.cellChargeDisable] = 40_000
    #expect(configuration.violationCount == 0)
    configuration[.cellChargeDisable] = 40_001
    #expect(configuration.violationCount == 1)
  }

  @Test func calibrationPointsOnBothSidesOfZero() throws {
    #expect(!Calibration.areTooClose(-2000, 2000, fullScale: 80_000) && Calibration.areTooClose(-2000, 1999, fullScale: 80_000))
    var configuration = Configuration()
    configuration[.currentLowRaw] = 100
    configuration[.currentLow] = 200
    configuration[.currentHighRaw] = 50_100
    configuration[.currentHigh] = 50_200
    let moved = try #require(Calibration.applying(.currentLow(raw: 300, milliamperes: 0), to: configuration))
    #expect(Calibration.current(300, moved) == 0 && Calibration.current(50_300, moved) == 50_000)
  }

  @Test func theHighestOfARunComesFirst() { #expect(Balancer.mask([10, 30, 20, 15], 0, 4, 1) == 0b1010) }

  @Test func hundredsOfFailuresAndOfGoodScansAreNoOverflow() {
    var rig = EngineRig.running()
    rig.run(300)
    #expect(rig.status == .running)
    rig.fails = true
    rig.run(300)
    #expect(rig.status == .communicationError)
  }

  @Test func slotsBehindTheLastCellDoNotMatter() {
    var rig = EngineRig.running()
    rig.readings.cells[32] = 1
    rig.readings.cells[33] = 65_535
    rig.readings.temperatures[20] = 2000
    rig.run(2)
    #expect(rig.status == .running && rig.engine.values.lowestCell.value == 33_000 && rig.engine.values.highestCell.value == 33_000)
  }

  @Test func theFirstFaultySensorSaysWhichKind() {
    var rig = EngineRig.running()
    rig.readings.shortedSensors[0] = 0b01
    rig.readings.openSensors[0] = 0b10
    rig.run(1)
    #expect(rig.lastStatus?.reason == .sensorShorted(slot: 0))
  }

  @Test func everySensorEnabledOrSomeTheExtremesStandWhereTheyAre() {
    for mask in [UInt8(0x1F), 0x1E] {
      let configuration = EngineRig.configuration { for module in 0..<4 { $0.setSensors(mask, ofModule: module) } }
      var rig = EngineRig.running(configuration)
      rig.readings.temperatures[8] = 200
      rig.readings.temperatures[13] = 200
      rig.readings.temperatures[14] = 200
      rig.readings.temperatures[17] = 300
      rig.readings.temperatures[18] = 300
      rig.run(1)
      #expect(rig.engine.values.coldest == .init(value: 200, slot: 8) && rig.engine.values.hottest == .init(value: 300, slot: 17))
      #expect(rig.status == .running)
    }
  }

  @Test func aKnownChargeThatBecomesSureIsAChange() {
    var counter = ChargeCounter(capacity_mAh: 1000)
    #expect(counter.set(5000, isEstimate: true) && counter.set(5000, isEstimate: false) && !counter.set(5000, isEstimate: false))
  }

  @Test func aStoredChargeIsNotEstimatedAgain() {
    var rig = EngineRig()
    var state = PersistentState()
    state.charge_mAs = 36_000_000
    rig.engine.restore(state)
    rig.run(3)
    #expect(rig.engine.values.stateOfCharge == 1000)
    #expect(!rig.events.contains { if case .stateOfChargeSet = $0 { true } else { false } })
  }

  @Test func anchorsStandBeyondTheirLimitsNotOnThem() {
    var rig = EngineRig.running()
    rig.fill(35_500)
    rig.run(2)
    #expect(rig.engine.values.stateOfCharge < 10_000)
    rig.fill(29_000)
    rig.run(2)
    #expect(rig.engine.values.stateOfCharge > 0)
  }

  @Test func readingsBeyondProtectDoNotSetTheCharge() {
    var rig = EngineRig.running()
    let before = rig.engine.values.stateOfCharge
    rig.readings.cells[6] = 49_998
    rig.run(2)
    rig.readings.cells[6] = 300
    rig.run(2)
    rig.readings.cells[6] = 35_900
    rig.readings.cellCounts[0] = 31
    rig.run(2)
    #expect(rig.engine.values.stateOfCharge == before && rig.engine.values.isEstimate)
  }

  @Test func outputsAreAlikeInEverythingOrNot() {
    let changes: [(inout Outputs) -> Void] = [
      { $0.status = .running }, { $0.bms1 = .ok }, { $0.bms2 = .ok }, { $0.contactors = .negative }, { $0.chargeLimit_mA = 1 },
      { $0.dischargeLimit_mA = 1 }, { $0.isChargingForbidden = false }, { $0.isDischargingForbidden = false },
      { $0.digital = .error }, { $0.balancing[29] = 1 },
    ]
    #expect(Outputs() == Outputs())
    for change in changes {
      var other = Outputs()
      change(&other)
      #expect(other != Outputs())
    }
    var values = DerivedValues()
    #expect(!values.hasCells)
    values.highestCell = .init(value: 34_000, slot: 1)
    values.lowestCell = .init(value: 33_000, slot: 0)
    #expect(values.difference == 1000)
    var configuration = Configuration()
    configuration[.cellChargeDisable] = 38_499
    #expect(configuration.isLFP)
    configuration[.cellChargeDisable] = 38_500
    #expect(!configuration.isLFP)
  }

  @Test func noWeldIsToldWhileContactorsMove() {
    var rig = EngineRig()
    rig.run(10)
    rig.current = 20_000
    rig.tick(.hold)
    rig.run(2)
    rig.current = 0
    rig.tick(.release)
    rig.run(5)
    #expect(rig.status == .running)
    #expect(!rig.events.contains { if case .weldSuspected = $0 { true } else { false } })
  }

  @Test func valuesComeWithTheScansOfBothChains() {
    var rig = EngineRig(
      EngineRig.configuration {
        $0[.bms2Slaves] = 4; $0[.cellCount] = 64
      })
    for _ in 0..<3 {
      rig.now_ns += 500_000_000
      rig.readings.arrived = [.scan1, .pdu]
      rig.engine.step(now_ns: rig.now_ns, rig.readings)
      #expect(!rig.engine.values.hasCells && rig.engine.outputs.bms2 == .noData && rig.engine.outputs.contactors.isEmpty)
    }
  }

  private func now(_ uptime: Int64, mustOpen: Bool = false, mayClose: Bool = true, output: Int32 = 100_000)
    -> ContactorSequence.Situation
  {
    .init(
      uptime: uptime, mustOpen: mustOpen, atOnce: false, mayClose: mayClose, hasMeasurement: true, current: 0, input: 100_000,
      output: output, pack: 100_000)
  }

  @Test func eitherConditionOpensInEachPhaseOfClosing() {
    for steps in 1...3 {
      for (mustOpen, mayClose) in [(true, true), (false, false)] {
        var sequence = ContactorSequence()
        for step in 0..<steps { _ = sequence.step(now(Int64(step) * 100_000)) }
        #expect(!sequence.contactors.isEmpty)
        _ = sequence.step(now(Int64(steps) * 100_000, mustOpen: mustOpen, mayClose: mayClose))
        #expect(sequence.contactors.isEmpty, "\(steps)")
      }
    }
  }

  @Test func eachPhaseLastsAsLongAsItHasTo() {
    var sequence = ContactorSequence()
    _ = sequence.step(now(1_000_000))
    _ = sequence.step(now(1_099_999))
    #expect(sequence.contactors == [.negative])
    _ = sequence.step(now(1_100_000))
    _ = sequence.step(now(1_150_000))
    #expect(sequence.contactors.contains(.positive))
    _ = sequence.step(now(1_249_999))
    #expect(sequence.contactors.contains(.precharge))
    _ = sequence.step(now(1_250_000))
    #expect(sequence.contactors == [.negative, .positive])
    _ = sequence.step(now(2_000_000, mustOpen: true))
    #expect(sequence.contactors.isEmpty)
    #expect(sequence.step(now(31_999_999, mustOpen: true)) == .nothing)
    #expect(sequence.step(now(32_000_000, mustOpen: true)) == .weldSuspected)
    #expect(sequence.step(now(40_000_000, mustOpen: true)) == .nothing)
  }

  /// A line broken on purpose showed that nothing stood on this threshold: 95 % of V-in, and at most 1 A.
  @Test(arguments: [(Int32(94_999), Int32(0), false), (95_000, 0, true), (95_000, 1000, true), (95_000, -1001, false)])
  func aWeldIsNinetyFivePercentWithoutCurrent(output: Int32, current: Int32, isWeld: Bool) {
    var sequence = ContactorSequence()
    for step in 0..<4 { _ = sequence.step(now(Int64(step) * 100_000)) }
    _ = sequence.step(now(1_000_000, mustOpen: true))
    var later = now(40_000_000, mustOpen: true, output: output)
    later.current = current
    #expect(sequence.contactors.isEmpty && (sequence.step(later) == .weldSuspected) == isWeld)
  }

  @Test func aDipOfTheOutputIsNoWeldAndNoLoss() {
    var rig = EngineRig.running()
    for _ in 0..<5 {
      rig.outputFollows = false
      rig.run(1)
      rig.outputFollows = true
      rig.run(1)
    }
    #expect(rig.status == .running && rig.events.isEmpty, "\(rig.events)")
  }

  @Test func everythingIsForbiddenAtFirst() {
    let outputs = Outputs()
    #expect(outputs.isChargingForbidden && outputs.isDischargingForbidden && outputs.contactors.isEmpty)
    var rig = EngineRig()
    #expect(!Engine(configuration: nil).isHeld && rig.engine.outputs.isChargingForbidden)
    rig.tick()
    let told = rig.events.contains { if case .charging = $0 { true } else { false } }
    #expect(!told && rig.engine.outputs.isChargingForbidden && rig.engine.outputs.isDischargingForbidden)
  }

  @Test func aSteadyRunHasNoEvents() {
    var rig = EngineRig.running()
    rig.run(30)
    #expect(rig.events.isEmpty)
  }

  @Test func stepsOfNoTimeAndOfTenSecondsAreNoJumps() {
    var rig = EngineRig.running()
    rig.tick(milliseconds: 0)
    rig.tick(milliseconds: 10_000)
    let jumps = rig.events.filter { if case .clockJump = $0 { true } else { false } }
    #expect(jumps.isEmpty)
  }

  @Test func partsOfAMicrosecondAddUp() {
    var rig = EngineRig.running()
    rig.current = 50_000
    rig.tick()
    let before = rig.engine.persistentState.charge_mAs
    for _ in 0..<5000 {
      rig.now_ns += 1999
      rig.readings.arrived = [.pdu]
      rig.engine.step(now_ns: rig.now_ns, rig.readings)
    }
    #expect((498...500).contains(rig.engine.persistentState.charge_mAs - before), "50 A for 9.995 ms")
  }

  @Test func anotherThresholdRunsOnAnotherBatteryOpens() {
    var rig = EngineRig.running()
    var configuration = EngineRig.configuration()
    configuration[.capacity] = 50_000
    rig.tick(.configure(configuration))
    for _ in 0..<20 {
      rig.tick()
      #expect(rig.status == .running && rig.isClosed)
    }
    configuration[.bms1Slaves] = 3
    configuration[.cellCount] = 24
    rig.readings.moduleCounts = [3, 0]
    rig.readings.cellCounts = [24, 0]
    rig.tick(.configure(configuration))
    rig.run(0.3)
    #expect(!rig.isClosed)
    #expect(rig.until(5) { $0.outputs.status == .running } != nil)
  }

  @Test func aScanOfTheResetsOwnStepIsNotYetCommunication() {
    var rig = EngineRig.running()
    while (rig.milliseconds + 100) % 1000 != 0 { rig.tick() }
    rig.tick(.reset)
    rig.run(0.7)
    #expect(rig.engine.outputs.contactors.isEmpty)
    #expect(rig.until(3) { $0.outputs.status == .running } != nil)
  }

  @Test func onlyTheSecondChain() {
    let configuration = EngineRig.configuration {
      $0[.bms1Slaves] = 0
      $0[.bms2Slaves] = 4
      $0.setSensors(0, ofModule: 0)
      $0.setSensors(1, ofModule: 16)
    }
    var rig = EngineRig.running(configuration)
    #expect(rig.status == .running && rig.engine.outputs.bms1 == .off && rig.engine.outputs.bms2 == .ok)
    rig.readings.stacks[16] = 20_000
    for cell in 218..<226 { rig.readings.cells[cell] = 33_100 }
    rig.run(1)
    #expect(rig.events.contains(.moduleSum(module: 16, stack: 20_000, cells: 26_480)))
    rig.readings.cells[210 + 9] = 36_500
    rig.run(1)
    #expect(rig.engine.outputs.balancing[16] == 0b10 && rig.engine.outputs.balancing[1] == 0)
    rig.run(20)
    #expect(rig.engine.balanceTime(slot: 219) > 100)
  }

  @Test func tiesBetweenChainsGoToTheFirstAndOneStaleChainStopsBalancing() {
    let configuration = EngineRig.configuration {
      $0[.bms2Slaves] = 4
      $0[.cellCount] = 64
      $0.setSensors(1, ofModule: 15)
    }
    var rig = EngineRig.running(configuration)
    rig.readings.cells[3] = 34_500
    rig.readings.cells[213] = 34_500
    rig.readings.cells[4] = 32_500
    rig.readings.cells[214] = 32_500
    rig.run(1)
    let values = rig.engine.values
    #expect(values.highestCell.slot == 3 && values.lowestCell.slot == 4)
    #expect(values.hottest?.slot == 0 && values.coldest?.slot == 0)
    #expect(rig.engine.outputs.digital.contains(.balancing))
    for _ in 0..<26 {
      rig.now_ns += 100_000_000
      rig.readings.arrived = [.scan1, .pdu]
      rig.engine.step(now_ns: rig.now_ns, rig.readings)
    }
    #expect(!rig.engine.outputs.digital.contains(.balancing) && rig.status == .running)
  }
}
