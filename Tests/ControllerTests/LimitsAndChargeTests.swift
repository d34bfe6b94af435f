import Testing

@testable import Controller

/// spec/controller.md §5.
@Suite struct CurrentLimitTests {
  @Test func limitsRiseByFiveAmperesASecondAndFallAtOnce() {
    var rig = EngineRig()
    _ = rig.until(10) { $0.outputs.status == .running }
    let start = rig.engine.outputs.chargeLimit_mA
    rig.run(1)
    #expect(rig.engine.outputs.chargeLimit_mA - start == 5000)
    rig.run(15)
    #expect(rig.engine.outputs.chargeLimit_mA == 25_000 && rig.engine.outputs.dischargeLimit_mA == 50_000)
    rig.readings.cells[0] = 35_501
    rig.run(1)
    #expect(rig.engine.outputs.chargeLimit_mA == 0 && rig.engine.outputs.isChargingForbidden)
    #expect(rig.engine.outputs.dischargeLimit_mA == 50_000 && !rig.engine.outputs.isDischargingForbidden)
  }

  @Test func chargingStopsAboveDisableAndResumesBelowEnable() {
    var rig = EngineRig.running()
    rig.readings.cells[0] = 35_500
    rig.run(1)
    #expect(!rig.engine.outputs.isChargingForbidden)
    rig.readings.cells[0] = 35_501
    rig.run(1)
    #expect(rig.engine.outputs.isChargingForbidden)
    rig.readings.cells[0] = 34_000
    rig.run(1)
    #expect(rig.engine.outputs.isChargingForbidden)
    rig.readings.cells[0] = 33_999
    rig.run(1)
    #expect(!rig.engine.outputs.isChargingForbidden)
    #expect(rig.events.contains(.charging(isAllowed: false)) && rig.events.contains(.charging(isAllowed: true)))
  }

  @Test func dischargingStopsBelowDisableAndResumesAboveEnable() {
    var rig = EngineRig.running()
    rig.fill(30_000)
    rig.readings.cells[9] = 29_000
    rig.run(1)
    #expect(!rig.engine.outputs.isDischargingForbidden)
    rig.readings.cells[9] = 28_999
    rig.run(1)
    #expect(rig.engine.outputs.isDischargingForbidden && rig.engine.outputs.dischargeLimit_mA == 0)
    rig.fill(31_000)
    rig.run(1)
    #expect(rig.engine.outputs.isDischargingForbidden)
    rig.fill(31_001)
    rig.run(1)
    #expect(!rig.engine.outputs.isDischargingForbidden)
    #expect(rig.events.contains(.discharging(isAllowed: false)) && rig.events.contains(.discharging(isAllowed: true)))
  }

  @Test(arguments: [
    (Int16(49), true, false), (50, false, false), (450, false, false), (451, true, false), (-100, true, false), (-101, true, true),
  ])
  func temperaturesForbid(celsius: Int16, charging: Bool, discharging: Bool) {
    var configuration = EngineRig.configuration()
    configuration[.undertemperatureAlarm] = -190
    var rig = EngineRig.running(configuration)
    rig.readings.temperatures[0] = celsius
    rig.run(1)
    #expect(rig.engine.outputs.isChargingForbidden == charging && rig.engine.outputs.isDischargingForbidden == discharging)
  }

  @Test func hotDischargingStopsToo() {
    var configuration = EngineRig.configuration()
    configuration[.overtemperatureAlarm] = 590
    var rig = EngineRig.running(configuration)
    rig.readings.temperatures[0] = 550
    rig.run(1)
    #expect(!rig.engine.outputs.isDischargingForbidden)
    rig.readings.temperatures[0] = 551
    rig.run(1)
    #expect(rig.engine.outputs.isDischargingForbidden)
  }

  @Test func withoutEnabledSensorsTemperatureForbidsNothing() {
    var configuration = EngineRig.configuration()
    configuration.setSensors(0, ofModule: 0)
    var rig = EngineRig.running(configuration)
    for slot in 0..<150 { rig.readings.temperatures[slot] = 900 }
    rig.run(2)
    #expect(rig.status == .running && !rig.engine.outputs.isChargingForbidden)
    #expect(rig.engine.values.hottest == nil && rig.engine.values.coldest == nil)
  }

  /// From 50 % at the alarm limit to 0 % at the protect limit, the smallest over all limits passed.
  @Test func warningsReduceLinearly() {
    var rig = EngineRig.running()
    rig.run(10)
    rig.fill(27_000)
    rig.readings.cells[0] = 26_500
    rig.run(1)
    #expect(rig.engine.outputs.chargeLimit_mA == 6250, "half way from 2.80 to 2.50 V: a quarter")
    rig.readings.temperatures[0] = 580
    rig.run(1)
    #expect(rig.engine.outputs.isChargingForbidden)
    rig.readings.temperatures[0] = 250
    rig.readings.cells[0] = 25_000
    rig.run(1)
    #expect(rig.engine.outputs.chargeLimit_mA == 0)
    var hot = EngineRig.running(
      EngineRig.configuration {
        $0[.chargeTemperatureMax] = 1000; $0[.dischargeTemperatureMax] = 1000
      })
    hot.run(10)
    hot.readings.temperatures[0] = 550
    hot.run(1)
    #expect(hot.engine.outputs.chargeLimit_mA == 6250 && hot.engine.outputs.dischargeLimit_mA == 12_500)
    hot.readings.cells[0] = 33_000 + 4500
    hot.readings.cells[1] = 36_300
    #expect(hot.status == .warning)
    // Back inside by less than the margin: half.
    hot.readings.cells[0] = 33_000
    hot.readings.cells[1] = 33_000
    hot.readings.temperatures[0] = 490
    hot.run(20)
    #expect(hot.status == .warning && hot.engine.outputs.chargeLimit_mA == 12_500)
  }
}

/// spec/controller.md §6.
@Suite struct ChargeCounterTests {
  @Test func anHourAtAnAmpereIsAnAmpereHour() {
    var counter = ChargeCounter(capacity_mAh: 100_000)
    _ = counter.set(5000, isEstimate: false)
    for _ in 0..<3600 { counter.count(1000, 1_000_000) }
    #expect(counter.charge_mAh == 51_000 && counter.stateOfCharge == 5100)
    for _ in 0..<7200 { counter.count(-1000, 1_000_000) }
    #expect(counter.charge_mAh == 49_000 && counter.discharged_mAh == 2000)
  }

  @Test func itIsClampedAndCycles() {
    var counter = ChargeCounter(capacity_mAh: 1000)
    _ = counter.set(10_000, isEstimate: false)
    counter.count(50_000, 10_000_000)
    #expect(counter.stateOfCharge == 10_000)
    for _ in 0..<1000 { counter.count(-50_000, 10_000_000) }
    #expect(counter.stateOfCharge == 0 && counter.charge_mAh == 0)
    #expect(counter.discharged_mAh == 138_888 && counter.cycles == 138)
  }

  @Test func anotherCapacityKeepsTheStateOfCharge() {
    var counter = ChargeCounter(capacity_mAh: 100_000)
    _ = counter.set(4321, isEstimate: false)
    counter.setCapacity(50_000)
    #expect(counter.stateOfCharge == 4321)
    #expect(counter.set(4321, isEstimate: false) == false && counter.set(4322, isEstimate: false))
    #expect(counter.set(20_000, isEstimate: true) && counter.stateOfCharge == 10_000)
  }

  /// A capacity that is a guess would clamp what is counted, and cycles would be of another battery.
  @Test func nothingIsCountedWhileTheCapacityIsAGuess() {
    var counter = ChargeCounter(capacity_mAh: 1000, isCapacityKnown: false)
    counter.restore(charge_mAs: 36_000_000, isEstimate: false, discharged_mAh: 5)
    let before = counter.charge
    for current in [-50_000, 50_000] as [Int32] { for _ in 0..<100 { counter.count(current, 10_000_000) } }
    #expect(counter.charge == before && counter.discharged_mAh == 5)
    counter.setCapacity(100_000)
    counter.count(-1000, 10_000_000)
    #expect(counter.charge == 10_000 * ChargeCounter.milliampereHour - 10_000_000_000)
  }

  @Test func fullAndEmptyCellsSetIt() {
    var rig = EngineRig.running()
    #expect(rig.engine.values.isEstimate)
    rig.readings.cells[0] = 35_501
    rig.run(1)
    #expect(rig.engine.values.stateOfCharge == 10_000 && !rig.engine.values.isEstimate)
    #expect(rig.events.contains(.stateOfChargeSet(10_000, isEstimate: false)))
    rig.fill(30_000)
    rig.readings.cells[0] = 28_999
    rig.run(1)
    #expect(rig.engine.values.stateOfCharge == 0)
  }

  @Test func aFirstStartEstimatesFromTheOpenCircuitVoltage() {
    var rig = EngineRig()
    rig.run(1.5)
    #expect(rig.events.contains(.stateOfChargeSet(5000, isEstimate: true)), "3.30 V of LFP is half")
    #expect(rig.engine.values.stateOfCharge == 5000 && rig.engine.values.isEstimate)
    for isLFP in [true, false] {
      let table = OpenCircuitVoltage.table(isLFP: isLFP)
      for step in 0..<11 { #expect(OpenCircuitVoltage.stateOfCharge(table[step], isLFP: isLFP) == Int32(step) * 1000) }
      #expect(OpenCircuitVoltage.stateOfCharge(table[10] + 1, isLFP: isLFP) == 10_000)
      #expect(OpenCircuitVoltage.stateOfCharge((table[3] + table[4]) / 2, isLFP: isLFP) / 100 == 35)
    }
  }

  @Test func whatIsStoredComesBack() {
    var rig = EngineRig.running()
    rig.current = -36_000
    rig.run(60)
    var state = rig.engine.persistentState
    state.isFull = true
    state.isPrechargeLatched = true
    state.balanceTimes[7] = 99
    var other = EngineRig()
    other.engine.restore(state)
    other.scans = false
    other.run(1)
    #expect(other.engine.values.charge_mAh == rig.engine.values.charge_mAh)
    #expect(other.engine.persistentState.discharged_mAh == state.discharged_mAh && state.discharged_mAh >= 590)
    #expect(other.engine.isPrechargeLatched && other.engine.balanceTime(slot: 7) == 99)
    #expect(other.engine.persistentState.isFull && other.status == .prechargeError)
    #expect(!other.events.contains { if case .stateOfChargeSet = $0 { true } else { false } })
  }

  @Test func theCurrentIsTheCalibratedOneAndPowerComesFromUnroundedValues() {
    var rig = EngineRig.running(EngineRig.configuration { $0[.currentHighRaw] = 100_000 })
    rig.current = 20_001
    rig.tick()
    #expect(rig.engine.values.current_mA == 10_001, "half of the raw reading, rounded to the nearest")
    #expect(rig.engine.values.power_mW == Int64(105_600) * 10_001 / 1000)
  }
}

/// spec/controller.md §7.
@Suite struct BalancingTests {
  @Test func highestFirstAndNoNeighbours() {
    let cells: [UInt16] = [100, 140, 150, 130, 100, 111, 112, 113]
    #expect(Balancer.mask(cells, 0, 8, 110) == 0b1010_0100)
    #expect(Balancer.mask(cells, 0, 8, 150) == 0)
    #expect(Balancer.mask(cells, 0, 8, 149) == 0b100)
    #expect(Balancer.mask([9, 9, 9, 9], 0, 4, 1) == 0b0101)
    #expect(Balancer.mask(cells, 4, 4, 110) == 0b1010, "a module's own cells only")
  }

  @Test func itRunsOnlyAboveItsStartAndBeyondItsDifference() {
    var rig = EngineRig.running()
    rig.fill(33_900)
    rig.readings.cells[10] = 34_000
    rig.run(1)
    #expect(!rig.engine.outputs.digital.contains(.balancing), "at the start voltage and at the difference")
    rig.readings.cells[10] = 34_001
    rig.run(1)
    #expect(rig.engine.outputs.digital.contains(.balancing) && rig.engine.outputs.balancing[1] == 0b100)
    rig.fill(33_950)
    rig.readings.cells[10] = 34_001
    rig.run(1)
    #expect(!rig.engine.outputs.digital.contains(.balancing), "less than 10 mV above the lowest")
    rig.fill(33_000)
    rig.readings.cells[10] = 33_990
    rig.run(1)
    #expect(!rig.engine.outputs.digital.contains(.balancing), "far above the lowest, below the start")
  }

  @Test func itStopsInEveryOtherStateAndWithoutFreshScans() {
    func balancing() -> EngineRig {
      var rig = EngineRig.running()
      rig.readings.cells[10] = 34_500
      rig.run(1)
      #expect(rig.engine.outputs.balancing[1] == 0b100)
      return rig
    }
    var hold = balancing()
    hold.tick(.hold)
    #expect(hold.engine.outputs.balancing[1] == 0)
    var protect = balancing()
    protect.readings.cells[0] = 37_000
    protect.run(1)
    #expect(protect.engine.outputs.balancing[1] == 0)
    var silent = balancing()
    silent.scans = false
    silent.run(2.4)
    #expect(silent.engine.outputs.balancing[1] != 0)
    silent.run(0.3)
    #expect(silent.engine.outputs.balancing[1] == 0 && silent.status == .running)
    var warning = balancing()
    warning.readings.cells[10] = 36_001
    warning.run(1)
    #expect(warning.status == .warning && warning.engine.outputs.balancing[1] == 0b100)
  }

  @Test func timesAddUpForTheCellsThatRun() {
    var rig = EngineRig.running()
    rig.readings.cells[10] = 34_500
    rig.run(61)
    rig.readings.cells[10] = 33_000
    rig.run(10)
    #expect((595...610).contains(rig.engine.balanceTime(slot: 10)), "\(rig.engine.balanceTime(slot: 10))")
    #expect(rig.engine.balanceTime(slot: 9) == 0 && rig.engine.balanceTime(slot: -1) == 0)
  }
}
