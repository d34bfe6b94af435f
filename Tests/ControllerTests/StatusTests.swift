import Testing

@testable import Controller

/// spec/controller.md §4.
@Suite struct StatusTests {
  @Test func aGoodStartFollowsTheOrderAndItsTimes() {
    var rig = EngineRig()
    var seen: [(Contactors, Int64)] = []
    for _ in 0..<60 {
      rig.tick()
      if seen.last?.0 != rig.engine.outputs.contactors { seen.append((rig.engine.outputs.contactors, rig.milliseconds)) }
    }
    #expect(
      seen.map(\.0) == [[], [.negative], [.negative, .precharge], [.negative, .precharge, .positive], [.negative, .positive]])
    #expect(seen[2].1 - seen[1].1 == 100 && seen[4].1 - seen[3].1 == 100)
    #expect(rig.status == .running && rig.engine.reason == .recovered)
    #expect(rig.lastStatus?.from == .checking)
    let contactors = rig.events.compactMap { if case .contactors(let value) = $0 { value } else { nil } }
    #expect(contactors == Array(seen.map(\.0).dropFirst()))
  }

  @Test func withoutAnyReadingItIsNoDataAfterTenSeconds() {
    var rig = EngineRig()
    rig.scans = false
    rig.pdu = false
    rig.run(10)
    #expect(rig.status == .checking)
    rig.run(0.2)
    #expect(rig.status == .noData && rig.lastStatus?.reason == .noReading)
    rig.run(60)
    #expect(rig.status == .noData && rig.engine.outputs.contactors.isEmpty && rig.engine.outputs.bms1 == .noData)
    rig.scans = true
    rig.pdu = true
    rig.run(1.1)
    #expect(rig.status != .noData)
    #expect(rig.until(20) { $0.outputs.status == .running } != nil)
  }

  @Test func noDataComesBeforeConfigError() {
    var rig = EngineRig(nil)
    rig.scans = false
    rig.pdu = false
    rig.run(9)
    #expect(rig.status == .configError)
    rig.run(2)
    #expect(rig.status == .noData)
  }

  @Test func aBadConfigurationKeepsOpenUntilAGoodOneIsSaved() {
    var rig = EngineRig.running()
    var bad = EngineRig.configuration()
    bad[.cellCount] = 31
    rig.tick(.configure(bad))
    #expect(rig.status == .configError && rig.lastStatus?.reason == .configuration(violations: 1))
    #expect(rig.engine.configuration == EngineRig.configuration(), "nothing is overwritten")
    rig.run(2)
    #expect(rig.engine.outputs.contactors.isEmpty)
    rig.run(30)
    #expect(rig.status == .configError)
    rig.tick(.configure(EngineRig.configuration()))
    #expect(rig.events.contains(.configurationAccepted) && rig.events.contains(.configurationRejected(violations: 1)))
    #expect(rig.until(20) { $0.outputs.status == .running } != nil)
    rig.tick(.configurationUnreadable)
    #expect(rig.status == .configError)
    var start = EngineRig(bad)
    start.run(20)
    #expect(start.status == .configError && start.engine.outputs.contactors.isEmpty)
  }

  @Test func threeFailedScansAreComErrAndFiveGoodOnesLeaveIt() {
    var rig = EngineRig.running()
    rig.fails = true
    rig.readings.lostModules[0] = 2
    rig.run(2)
    #expect(rig.status == .running)
    rig.run(1)
    #expect(rig.status == .communicationError && rig.lastStatus?.reason == .scansFail(.bms1, module: 2))
    #expect(rig.engine.outputs.bms1 == .communicationError && rig.engine.outputs.bms2 == .off)
    rig.run(1.5)
    #expect(rig.engine.outputs.contactors.isEmpty)
    rig.fails = false
    rig.run(4)
    #expect(rig.status == .communicationError)
    rig.run(1.1)
    #expect(rig.status != .communicationError)
    #expect(rig.until(10) { $0.outputs.status == .running } != nil)
  }

  @Test func failuresThatAreNotInARowAreNone() {
    var rig = EngineRig.running()
    for _ in 0..<5 {
      rig.fails = true
      rig.run(2)
      rig.fails = false
      rig.run(1)
    }
    #expect(rig.status == .running)
  }

  @Test func silenceOfAChainOrThePDUIsComErr() {
    var rig = EngineRig.running()
    rig.scans = false
    rig.run(2.9)
    #expect(rig.status == .running)
    rig.run(1.5)
    #expect(rig.status == .communicationError && rig.lastStatus?.reason == .chainSilent(.bms1))
    rig.scans = true
    #expect(rig.until(30) { $0.outputs.status == .running } != nil)
    rig.pdu = false
    rig.run(2.9)
    #expect(rig.status == .running)
    rig.run(0.3)
    #expect(rig.status == .communicationError && rig.lastStatus?.reason == .pduSilent)
    rig.pdu = true
    #expect(rig.until(30) { $0.outputs.status == .running } != nil)
  }

  @Test func aChainThatNeverSpeaksIsComErrAfterTheStartUp() {
    var rig = EngineRig()
    rig.scans = false
    rig.run(9.9)
    #expect(rig.status == .checking)
    rig.run(0.4)
    #expect(rig.status == .communicationError)
    var mute = EngineRig()
    mute.pdu = false
    mute.run(9.9)
    #expect(mute.status == .checking && mute.engine.outputs.contactors.isEmpty)
    mute.run(0.4)
    #expect(mute.status == .communicationError && mute.lastStatus?.reason == .pduSilent)
  }

  @Test func overcurrentOpensAfterTenSecondsAndReleasesThirtyAfterOpening() {
    var rig = EngineRig.running()
    rig.current = 55_000
    rig.run(15)
    #expect(rig.status == .running, "at the limit nothing happens")
    rig.current = -55_001
    rig.run(10)
    #expect(rig.status == .running)
    rig.run(0.2)
    #expect(rig.status == .overcurrent && rig.lastStatus?.reason == .overcurrent(milliamperes: -55_001, limit: 55_000))
    #expect(rig.isClosed, "limits go to 0 first")
    #expect(rig.engine.outputs.chargeLimit_mA == 0 && rig.engine.outputs.dischargeLimit_mA == 0)
    let opened = rig.until(2) { $0.outputs.contactors.isEmpty }
    #expect(opened ?? 0 >= 800 && opened ?? 9000 <= 1000)
    rig.current = 0
    let back = rig.until(60) { $0.outputs.status == .checking }
    #expect((29_900...30_100).contains(back ?? 0))
    #expect(rig.until(5) { $0.outputs.status == .running } != nil)
  }

  @Test func anInterruptedOvercurrentCountsAnew() {
    var rig = EngineRig.running()
    for _ in 0..<3 {
      rig.current = 60_000
      rig.run(9)
      rig.current = 50_000
      rig.run(0.1)
    }
    #expect(rig.status == .running)
  }

  @Test func above120PercentItOpensAtOnce() {
    var rig = EngineRig.running()
    rig.current = 66_000
    rig.tick()
    #expect(rig.isClosed, "120 % is the limit, not beyond it")
    rig.current = 66_001
    rig.tick()
    #expect(rig.engine.outputs.contactors.isEmpty && rig.status == .overcurrent)
  }

  @Test(arguments: [
    (LimitKind.overvoltage, UInt16(36_500), UInt16(36_501), UInt16(36_000), UInt16(36_001)),
    (.undervoltage, 25_000, 24_999, 28_000, 27_999),
  ])
  func cellLimits(kind: LimitKind, atProtect: UInt16, beyond: UInt16, atAlarm: UInt16, pastAlarm: UInt16) {
    var configuration = EngineRig.configuration()
    // Cells are far apart here: that is another limit.
    configuration[.differenceAlarm] = 19_000
    configuration[.differenceProtect] = 20_000
    var rig = EngineRig.running(configuration)
    rig.readings.cells[11] = atAlarm
    rig.run(1)
    #expect(rig.status == .running)
    rig.readings.cells[11] = pastAlarm
    rig.run(1)
    #expect(rig.status == .warning && rig.isClosed)
    #expect(
      rig.lastStatus?.reason
        == .limit(kind, isProtect: false, slot: 11, value: Int32(pastAlarm), limit: Int32(atAlarm)))
    #expect(rig.engine.outputs.bms1 == .warning)
    rig.readings.cells[11] = atProtect
    rig.run(1)
    #expect(rig.status == .warning)
    rig.readings.cells[11] = beyond
    rig.run(1)
    #expect(rig.status == .protect && rig.engine.outputs.bms1 == .protect)
    #expect(
      rig.lastStatus?.reason == .limit(kind, isProtect: true, slot: 11, value: Int32(beyond), limit: Int32(atProtect)))
    rig.run(1.1)
    #expect(rig.engine.outputs.contactors.isEmpty)
    // Inside protect, not inside the alarm limit: it stays.
    rig.readings.cells[11] = pastAlarm
    rig.run(30)
    #expect(rig.status == .protect)
    rig.readings.cells[11] = atAlarm
    rig.run(1)
    let back = rig.until(20) { $0.outputs.status == .checking }
    #expect((9_000...10_200).contains(back ?? 0))
    #expect(rig.until(5) { $0.outputs.status == .running || $0.outputs.status == .warning } != nil)
  }

  @Test func differenceLimits() {
    var rig = EngineRig.running()
    rig.readings.cells[3] = 33_000 + 3000
    rig.run(1)
    #expect(rig.status == .running)
    rig.readings.cells[3] = 33_000 + 3001
    rig.readings.cells[4] = 32_999
    rig.run(1)
    #expect(rig.status == .warning)
    rig.fill(31_000)
    rig.readings.cells[3] = 36_000
    rig.run(1)
    #expect(rig.status == .warning)
    rig.readings.cells[4] = 30_999
    rig.run(1)
    #expect(rig.status == .protect)
    #expect(rig.lastStatus?.reason == .limit(.difference, isProtect: true, slot: 3, value: 5001, limit: 5000))
  }

  @Test(arguments: [
    (LimitKind.overtemperature, Int16(500), Int16(600), Int16(1)), (.undertemperature, 0, -200, -1),
  ])
  func temperatureLimits(kind: LimitKind, alarm: Int16, protect: Int16, step: Int16) {
    var rig = EngineRig.running()
    // T3 of the first module and T1 of the second are not enabled: they do not matter.
    rig.readings.temperatures[2] = protect + 100 * step
    rig.readings.temperatures[5] = protect + 100 * step
    rig.readings.temperatures[1] = alarm
    rig.run(1)
    #expect(rig.status == .running)
    rig.readings.temperatures[1] = alarm + step
    rig.run(1)
    #expect(rig.status == .warning)
    rig.readings.temperatures[1] = protect
    rig.run(1)
    #expect(rig.status == .warning)
    rig.readings.temperatures[1] = protect + step
    rig.run(1)
    #expect(rig.status == .protect)
    #expect(
      rig.lastStatus?.reason == .limit(kind, isProtect: true, slot: 1, value: Int32(protect + step), limit: Int32(protect)))
    rig.readings.temperatures[1] = alarm
    rig.run(12)
    #expect(rig.until(5) { $0.outputs.status.mayBeClosed } != nil)
  }

  @Test func warningIsLeftTwentyMillivoltsAndTwoDegreesInside() {
    var rig = EngineRig.running()
    rig.readings.cells[0] = 36_100
    rig.run(1)
    rig.readings.cells[0] = 35_801
    rig.run(2)
    #expect(rig.status == .warning)
    rig.readings.cells[0] = 35_800
    rig.run(1)
    #expect(rig.status == .running)
    rig.readings.temperatures[0] = 510
    rig.run(1)
    rig.readings.temperatures[0] = 481
    rig.run(2)
    #expect(rig.status == .warning)
    rig.readings.temperatures[0] = 480
    rig.run(1)
    #expect(rig.status == .running)
    // A margin as wide as the limit itself could never be left: half of it then.
    var narrow = EngineRig.configuration()
    narrow[.differenceAlarm] = 100
    var other = EngineRig.running(narrow)
    other.readings.cells[0] = 33_101
    other.run(1)
    #expect(other.status == .warning)
    other.readings.cells[0] = 33_051
    other.run(1)
    #expect(other.status == .warning)
    other.readings.cells[0] = 33_050
    other.run(1)
    #expect(other.status == .running)
  }

  @Test func aWrongCountOrAnEnabledSensorThatIsOpenOrShortedIsProtect() {
    var rig = EngineRig.running()
    rig.readings.openSensors[0] = 0b100
    rig.readings.shortedSensors[1] = 0b1
    rig.run(2)
    #expect(rig.status == .running, "sensors that are not enabled do not matter")
    rig.readings.openSensors[0] = 0b110
    rig.run(1)
    #expect(rig.status == .protect && rig.lastStatus?.reason == .sensorOpen(slot: 1))
    rig.readings.openSensors[0] = 0
    rig.run(12)
    #expect(rig.until(5) { $0.outputs.status == .running } != nil)
    rig.readings.shortedSensors[0] = 0b1
    rig.run(1)
    #expect(rig.lastStatus?.reason == .sensorShorted(slot: 0))
    rig.readings.shortedSensors[0] = 0
    rig.run(15)
    rig.readings.cellCounts[0] = 31
    rig.run(1)
    #expect(rig.status == .protect && rig.lastStatus?.reason == .cellCount(found: 31, expected: 32))
    rig.readings.cellCounts[0] = 32
    rig.run(15)
    #expect(rig.status == .running)
    rig.readings.moduleCounts[0] = 5
    rig.run(1)
    #expect(rig.status == .protect)
  }

  @Test func protectIsLeftByFreshValuesOnly() {
    var rig = EngineRig.running()
    rig.readings.cells[0] = 37_000
    rig.run(3)
    rig.readings.cells[0] = 33_000
    rig.run(6)
    rig.readings.cells[0] = 36_001
    rig.run(1)
    rig.readings.cells[0] = 33_000
    rig.run(9)
    #expect(rig.status == .protect, "ten seconds in a row")
    rig.run(2)
    #expect(rig.status != .protect)
  }

  @Test func precedenceIsThatOfTheSpecification() {
    var rig = EngineRig.running()
    rig.readings.cells[0] = 37_000
    rig.run(1)
    #expect(rig.status == .protect)
    rig.current = 80_000
    rig.tick()
    #expect(rig.status == .overcurrent)
    rig.fails = true
    rig.run(4)
    #expect(rig.status == .communicationError)
    rig.tick(.configurationUnreadable)
    #expect(rig.status == .configError)
    #expect(
      SystemStatus.allCases.map(\.word) == [
        "NO DATA", "CONFIG ERR", "COM ERR", "OCP", "PROTECT", "PRECHARGE_ERR", "CHECKING", "WARNING", "RUNNING",
      ])
  }

  @Test func checkingWaitsForAllAlarmLimits() {
    var rig = EngineRig()
    rig.readings.cells[7] = 36_001
    rig.run(30)
    #expect(rig.status == .checking && rig.engine.outputs.contactors.isEmpty)
    rig.readings.cells[7] = 36_000
    #expect(rig.until(5) { $0.outputs.status.mayBeClosed } != nil)
  }

  @Test func prechargeHasFiveSecondsThreeTriesAndAReset() {
    var rig = EngineRig()
    rig.outputFollows = false
    _ = rig.until(5) { $0.outputs.contactors.contains(.precharge) }
    let time = rig.until(10) { !$0.outputs.contactors.contains(.precharge) }
    #expect((4_900...5_100).contains(time ?? 0))
    #expect(rig.status == .prechargeError && rig.engine.outputs.contactors.isEmpty)
    #expect(rig.lastStatus?.reason == .prechargeTimeout(output: 0, input: 105_600))
    let retry = rig.until(60) { $0.outputs.status == .checking }
    #expect((29_900...30_100).contains(retry ?? 0))
    _ = rig.until(200) { $0.isPrechargeLatched }
    #expect(rig.events.contains(.prechargeFailed(attempts: 3, isLatched: true)))
    #expect(rig.events.contains(.prechargeFailed(attempts: 2, isLatched: false)))
    rig.outputFollows = true
    rig.run(200)
    #expect(rig.status == .prechargeError && rig.engine.outputs.contactors.isEmpty)
    rig.tick(.reset)
    #expect(rig.until(10) { $0.outputs.status == .running } != nil)
    rig.outputFollows = false
    rig.run(2.5)
    #expect(rig.events.contains(.prechargeFailed(attempts: 1, isLatched: false)), "a good start clears the count")
  }

  @Test func prechargeWantsNinetyFivePercentOfAVInThatFitsThePack() {
    var sequence = ContactorSequence()
    func now(_ uptime: Int64, input: Int32, output: Int32, pack: Int64 = 100_000) -> ContactorSequence.Situation {
      .init(
        uptime: uptime, mustOpen: false, atOnce: false, mayClose: true, hasMeasurement: true, current: 0, input: input,
        output: output, pack: pack)
    }
    _ = sequence.step(now(0, input: 100_000, output: 0))
    _ = sequence.step(now(100_000, input: 100_000, output: 0))
    #expect(sequence.contactors == [.negative, .precharge])
    _ = sequence.step(now(200_000, input: 100_000, output: 94_999))
    #expect(!sequence.contactors.contains(.positive))
    _ = sequence.step(now(300_000, input: 79_999, output: 79_999))
    #expect(!sequence.contactors.contains(.positive), "V-in has to fit the pack")
    _ = sequence.step(now(300_000, input: 0, output: 0, pack: 0))
    #expect(!sequence.contactors.contains(.positive), "0 of 0 V is no precharge")
    _ = sequence.step(now(400_000, input: 80_000, output: 76_000))
    #expect(sequence.contactors.contains(.positive))
  }

  @Test func conditionsThatGoWhileClosingOpenAgain() {
    for ticks in 0..<5 {
      var rig = EngineRig()
      rig.outputFollows = ticks > 2
      _ = rig.until(5) { !$0.outputs.contactors.isEmpty }
      for _ in 0..<ticks { rig.tick() }
      guard rig.status == .checking else { continue }
      rig.tick(.hold)
      #expect(rig.engine.outputs.contactors.isEmpty && rig.status == .checking, "\(ticks)")
      #expect(rig.engine.reason == .held)
    }
  }

  @Test func openingUnderLoadWaitsForOneAmpereOrASecond() {
    var rig = EngineRig.running()
    rig.current = -20_000
    rig.run(2)
    rig.tick(.hold)
    #expect(rig.isClosed && rig.engine.outputs.dischargeLimit_mA == 0 && rig.engine.outputs.isDischargingForbidden)
    #expect(rig.status == .checking && rig.engine.reason == .held)
    rig.current = -1001
    rig.tick()
    #expect(rig.isClosed)
    rig.current = -1000
    rig.tick()
    #expect(rig.engine.outputs.contactors.isEmpty)
    rig.tick(.release)
    #expect(rig.until(5) { $0.outputs.status == .running } != nil)
    rig.current = 20_000
    rig.tick(.hold)
    let time = rig.until(5) { $0.outputs.contactors.isEmpty }
    #expect((900...1000).contains(time ?? 0))
  }

  @Test func aWeldIsReportedOnceAfterThirtySeconds() {
    var rig = EngineRig.running()
    rig.tick(.hold)
    rig.run(1)
    rig.isWelded = true
    rig.run(28)
    #expect(!rig.events.contains { if case .weldSuspected = $0 { true } else { false } })
    rig.run(30)
    let welds = rig.events.filter { if case .weldSuspected = $0 { true } else { false } }
    #expect(welds == [.weldSuspected(output: 105_600, input: 105_600)])
    var good = EngineRig.running()
    good.tick(.hold)
    good.run(60)
    #expect(!good.events.contains { if case .weldSuspected = $0 { true } else { false } })
  }

  @Test func anOutputThatFallsAwayBehindClosedContactorsOpens() {
    var rig = EngineRig.running()
    rig.outputFollows = false
    rig.run(1.9)
    #expect(rig.isClosed)
    rig.run(0.3)
    #expect(rig.engine.outputs.contactors.isEmpty && rig.status == .prechargeError)
    #expect(rig.lastStatus?.reason == .outputLost(output: 0, input: 105_600))
  }

  @Test func aResetOpensUntilCommunicationIsThereAgain() {
    var rig = EngineRig.running()
    rig.scans = false
    rig.tick(.reset)
    rig.run(1.5)
    #expect(rig.engine.outputs.contactors.isEmpty && rig.status == .checking)
    rig.scans = true
    #expect(rig.until(4) { $0.outputs.status == .running } != nil)
  }

  @Test func heldFromTheStartNothingCloses() {
    var rig = EngineRig(isHeld: true)
    rig.run(60)
    #expect(rig.engine.outputs.contactors.isEmpty && rig.status == .checking && rig.engine.isHeld)
    rig.tick(.release)
    #expect(rig.until(4) { $0.outputs.status == .running } != nil)
  }

  @Test func twoChainsAreJudgedByThemselvesAndTogether() {
    let configuration = EngineRig.configuration {
      $0[.bms2Slaves] = 2
      $0[.bms2Cells] = 10
      $0[.cellCount] = 52
      $0.setSensors(1, ofModule: 16)
    }
    var rig = EngineRig.running(configuration)
    for slot in 15..<17 { rig.readings.stacks[slot] = 33_000 }
    rig.run(1)
    #expect(rig.status == .running && rig.engine.outputs.bms1 == .ok && rig.engine.outputs.bms2 == .ok)
    #expect(rig.engine.values.cellSum_mV == 52 * 3300 && rig.engine.values.voltage_mV == 4 * 26_400 + 2 * 33_000)
    rig.readings.cells[210 + 15] = 36_100
    rig.readings.temperatures[16 * 5] = 300
    rig.readings.temperatures[0] = 200
    rig.run(1)
    #expect(rig.engine.outputs.bms1 == .ok && rig.engine.outputs.bms2 == .warning && rig.status == .warning)
    #expect(rig.engine.values.highestCell == .init(value: 36_100, slot: 225))
    #expect(rig.engine.values.hottest == .init(value: 300, slot: 80) && rig.engine.values.coldest == .init(value: 200, slot: 0))
    rig.readings.cells[210 + 15] = 33_000
    rig.readings.cells[5] = 32_900
    rig.run(1)
    #expect(rig.engine.values.lowestCell == .init(value: 32_900, slot: 5))
    // Only BMS2 is lost.
    rig.events = []
    for _ in 0..<4 {
      rig.now_ns += 1_000_000_000
      rig.readings.arrived = [.scan1, .failure2, .pdu]
      rig.engine.step(now_ns: rig.now_ns, rig.readings)
    }
    #expect(rig.status == .communicationError && rig.engine.outputs.bms1 == .ok && rig.engine.outputs.bms2 == .communicationError)
  }

  @Test func theClockMayLeap() {
    var rig = EngineRig.running()
    rig.now_ns -= 3_600_000_000_000
    rig.tick()
    #expect(rig.events.contains(.clockJump(milliseconds: -3_599_900)))
    rig.run(5)
    #expect(rig.status == .running)
    rig.events = []
    rig.now_ns += 100_000_000_000
    rig.tick()
    #expect(rig.events.contains(.clockJump(milliseconds: 100_100)))
    #expect(rig.until(30) { $0.outputs.status == .running } != nil)
    rig.now_ns = .min
    rig.engine.step(now_ns: .max, rig.readings)
    rig.engine.step(now_ns: .min, rig.readings)
    #expect(rig.engine.events.count > 0)
  }

  @Test func digitalOutputsSayTheState() {
    var rig = EngineRig()
    rig.tick()
    #expect(rig.engine.outputs.digital.isEmpty)
    rig.run(12)
    #expect(rig.engine.outputs.digital == [.closed])
    rig.readings.cells[0] = 36_100
    rig.run(1)
    #expect(rig.engine.outputs.digital.contains([.closed, .warning]))
    rig.readings.cells[0] = 37_000
    rig.run(3)
    #expect(rig.engine.outputs.digital == [.error])
  }

  @Test func aModuleWhoseSumDiffersByMoreThanTwoPercentIsReportedOnce() {
    var rig = EngineRig.running()
    rig.readings.stacks[1] = 26_400 - 528
    rig.run(2)
    #expect(!rig.events.contains { if case .moduleSum = $0 { true } else { false } })
    rig.readings.stacks[1] = 26_400 - 529
    rig.run(5)
    let found = rig.events.filter { if case .moduleSum = $0 { true } else { false } }
    #expect(found == [.moduleSum(module: 1, stack: 25_871, cells: 26_400)])
  }
}
