import Bus
import Controller
import Formats
import Protocols
import Simulation
import Testing

@testable import Runtime

/// Every way in which a run has to open the contactors, and how it comes back.
@Suite struct RunTests {
  @Test func startsHeldMeasuresEverythingAndRuns() throws {
    var world = RunRig.world()
    world.run(seconds: 0.9)
    #expect(world.runtime.ordered.isEmpty && world.doubts == [.starting])
    world.run(seconds: 19)
    #expect(world.status == .running)
    #expect(world.plant.switches.isConnected)
    #expect(world.runtime.values[.chargeCurrentLimit] == 25_000)
    #expect(world.plant.current > 19)
    #expect(world.inverter?.phase == .online)
    // The order of closing, as it was told to the PDU.
    let orders = world.notes.compactMap { if case .ordered(let contactors) = $0.kind { contactors } else { nil } }
    #expect(orders == [[.negative], [.negative, .precharge], [.negative, .precharge, .positive], [.negative, .positive]])
    #expect(world.auditor.count == 0, "\(world.auditor.violations)")
  }

  @Test func aModuleBehindTheLastThatIsConfiguredKeepsEverythingOpen() {
    let scenario = RunRig.scenario {
      $0.installedModules = [3, 0]
      $0.pack = CellPack.Build(modules: [8, 8, 8])
    }
    var world = RunWorld(
      scenario, battery: RunRig.deye?.session(.battery), inverter: RunRig.deye?.session(.inverter), faults: []
    ) { $0.scan_us = 500_000 }
    world.run(seconds: 20)
    #expect(world.status == .protect && !world.plant.switches.isConnected)
    let reasons = world.notes.compactMap { note -> Reason? in
      if case .event(.status(_, .protect, let reason)) = note.kind { reason } else { nil }
    }
    #expect(reasons == [.cellCount(found: 24, expected: 16)])
  }

  /// What goes wrong, the longest time until the battery is off the inverter, and whether a doubt is logged that fits.
  static let faults: [(RunFault.Kind, length: Double, most: Double, fits: @Sendable (Doubt) -> Bool)] = [
    (.portLost, 5, 1.3, { $0 == .lost(.port(0), "unplugged") }),
    (.chainLineLost, 5, 1.3, { $0 == .lost(.line(0), "gone") }),
    (.pduLineLost, 5, 0.3, { $0 == .lost(.line(1), "gone") }),
    (.pduHeldUp, 5, 1.3, { $0 == .pduUnconfirmed }),
    (.pduSilent, 5, 1.3, { $0 == .pduUnconfirmed }),
    (.queueFull, 8, 4.5, { $0 == .queueFull(port: 0) }),
    (.unheard, 8, 4.5, { $0 == .queueFull(port: 0) }),
    (.stalled, 0.7, 2.1, { if case .lateStep = $0 { true } else { false } }),
    (.stalled, 1.5, 1.3, { if case .lateStep = $0 { true } else { false } }),
    (.stalled, 5, 1.3, { if case .lateStep = $0 { true } else { false } }),
    (.clockJump(30), 1, 0.3, { if case .lateStep = $0 { true } else { false } }),
  ]

  @Test(arguments: faults.indices)
  func everyLostPartOpensInTimeWithAReasonAndComesBackThroughChecking(index: Int) throws {
    let (kind, length, most, fits) = Self.faults[index]
    var world = RunRig.running()
    #expect(world.status == .running)
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now + 0.013, until: now + 0.013 + length, kind))
    let opened = world.secondsToOpen(most + 0.02)
    let seconds = try #require(opened, "\(kind): still closed")
    #expect(seconds <= most + 0.02)
    world.run(seconds: length)
    #expect(world.doubts.contains(where: fits), "\(kind): \(world.doubts)")
    world.run(seconds: 30)
    #expect(world.status == .running && world.plant.switches.isConnected, "\(kind): \(world.status), \(world.doubts)")
    // By its own way: held, then checked, never straight back.
    let ways = world.notes.compactMap { note -> SystemStatus? in
      if case .event(.status(_, let to, _)) = note.kind { to } else { nil }
    }
    #expect(ways.suffix(2) == [.checking, .running], "\(kind): \(ways)")
    #expect(world.notes.contains { $0.kind == .released })
    #expect(world.auditor.count == 0, "\(kind): \(world.auditor.violations)")
  }

  @Test func aStepThatIsALittleLateIsNoDoubt() {
    var world = RunRig.running()
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now + 0.01, until: now + 0.45, .stalled))
    world.run(seconds: 3)
    #expect(world.plant.switches.isConnected && world.doubts == [.starting])
    #expect(world.runtime.latest_us > 200_000)
  }

  @Test(arguments: [
    Doubt.fault("an error that nobody expected"), .pduDisagrees, .writeFailed(.port(0), "EIO"), .writeFailed(.line(1), "EPIPE"),
    .storeFailed("no space left"), .lateStep(milliseconds: 700),
  ])
  func everyOtherDoubtOpens(doubt: Doubt) throws {
    var world = RunRig.running()
    world.withRuntime { $0.doubt(doubt, now_us: $1) }
    let opened = world.secondsToOpen(1.4)
    let seconds = try #require(opened)
    if doubt.isAtOnce || doubt == .writeFailed(.line(1), "EPIPE") { #expect(seconds < 0.3) }
    #expect(world.doubts.last == doubt)
    #expect(world.runtime.values[.chargeCurrentLimit] == 0)
    if doubt.isStanding { world.withRuntime { runtime, _ in runtime.stored(nil) } }
    world.run(seconds: 20)
    #expect(world.status == .running)
  }

  @Test func underLoadTheLimitsGoToZeroFirst() throws {
    var world = RunRig.running()
    #expect(world.plant.current > 19)
    world.withRuntime { $0.lost(.line(0), "unplugged", now_us: $1) }
    world.run(seconds: 0.05)
    #expect(world.runtime.values[.chargeCurrentLimit] == 0)
    #expect(world.plant.switches.isConnected, "opened under load without waiting")
    let opened = world.secondsToOpen(1.3)
    let seconds = try #require(opened)
    #expect(seconds > 0.3)
  }

  @Test func aPDUThatOpensByItselfIsNotClosedStraightAgain() throws {
    var world = RunRig.running()
    world.withPlant { $0.disconnected() }
    world.run(seconds: 0.5)
    #expect(world.doubts.contains(.pduDisagrees))
    #expect(world.runtime.ordered.isEmpty && !world.plant.switches.isConnected)
    world.run(seconds: 20)
    #expect(world.status == .running && world.plant.switches.isConnected)
  }

  @Test func stopsWithLimitsFirstThenOpenThenDone() throws {
    var world = RunRig.running()
    #expect(!world.runtime.isStopped)
    world.withRuntime { $0.stop("SIGTERM", now_us: $1) }
    world.run(seconds: 0.05)
    #expect(world.runtime.values[.chargeCurrentLimit] == 0 && !world.runtime.isStopped)
    world.run(seconds: 2)
    #expect(!world.plant.switches.isConnected && world.runtime.isStopped && world.runtime.isOpenConfirmed)
    #expect(world.inverter?.heard[.chargeCurrentLimit] == 0, "the inverter was not told")
    // Nothing closes any more.
    world.run(seconds: 60)
    #expect(!world.plant.switches.isConnected && world.runtime.isStopped)
  }

  @Test func aStopWithoutAPDUEndsToo() {
    var world = RunRig.running()
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now + 0.1, until: now + 100, .pduLineLost))
    world.run(seconds: 1)
    world.withRuntime { $0.stop("SIGTERM", now_us: $1) }
    world.run(seconds: 3)
    #expect(world.runtime.isStopped && !world.runtime.isOpenConfirmed)
  }

  /// linux/can/error.h: off the bus, and on it again. In between the kernel takes frames and drops them.
  @Test func aControllerThatGoesOffTheBusIsALostPort() throws {
    // Without an inverter: a controller that is off the bus hears nobody.
    var world = RunWorld(RunRig.scenario(), battery: RunRig.deye?.session(.battery)) { $0.scan_us = 500_000 }
    world.run(seconds: 20)
    #expect(world.plant.switches.isConnected)
    func error(_ kind: UInt32) -> CANFrame {
      var frame = CANFrame(id: ArbitrationID(rawValue: kind), length: 8, head: 0)
      frame.flags.insert(.error)
      return frame
    }
    // Warnings and bus errors are none of a lost port.
    for kind: UInt32 in [0x04, 0x08, 0x80, 0x88] { world.withRuntime { $0.receive(error(kind), port: 0, now_us: $1) } }
    world.run(seconds: 1)
    #expect(world.runtime.standingDoubts.isEmpty && world.plant.switches.isConnected)
    world.withRuntime { $0.receive(error(0x40), port: 0, now_us: $1) }
    let opened = world.secondsToOpen(1.3)
    #expect(opened != nil)
    #expect(
      world.runtime.standingDoubts.contains { if case .lost(.port(0), let why) = $0 { why.contains("off the bus") } else { false } }
    )
    #expect(world.runtime.frame(for: 0) == nil)
    world.run(seconds: 20)
    #expect(world.runtime.isHeld)
    world.withRuntime { $0.receive(error(0x100), port: 0, now_us: $1) }
    world.run(seconds: 30)
    #expect(world.status == .running && world.plant.switches.isConnected)
    // A driver that starts by itself and only tells of its counters, and one that says nothing of it.
    for isSilent in [false, true] {
      world.withRuntime { $0.receive(error(0x40), port: 0, now_us: $1) }
      world.withRuntime { $0.receive(error(0x04), port: 0, now_us: $1) }
      #expect(!world.runtime.standingDoubts.isEmpty)
      var back = error(0x04)
      back.setByte(1, 0x40)
      if isSilent { back = CANFrame(id: .extended(0x4200), length: 8, head: 2) }
      world.withRuntime { $0.receive(back, port: 0, now_us: $1) }
      #expect(world.runtime.standingDoubts.isEmpty)
      world.run(seconds: 30)
      #expect(world.status == .running && world.plant.switches.isConnected)
    }
    #expect(world.auditor.count == 0, "\(world.auditor.violations)")
  }

  @Test func doesNotCloseWithoutAFreshScanOfEveryChain() {
    let scenario = RunRig.scenario {
      $0.configuration[.bms2Slaves] = 1
      $0.configuration[.cellCount] = 24
      $0.pack = CellPack.Build(modules: [8, 8, 8])
    }
    var world = RunWorld(scenario)
    world.withPlant { $0.begin(.slaveDead(.bms2, module: 1)) }
    world.run(seconds: 30)
    #expect(world.runtime.ordered.isEmpty && world.runtime.isHeld)
    world.withPlant { $0.repair() }
    world.run(seconds: 30)
    #expect(world.status == .running)
  }

  @Test func aModuleThatDiesIsNamedAndOpensBeforeItsChainCountsAsSilent() {
    var world = RunRig.running()
    world.withPlant { $0.begin(.slaveDead(.bms1, module: 2)) }
    #expect(world.secondsToOpen(20) != nil)
    #expect(world.status == .communicationError)
    let reasons = world.notes.compactMap { note -> Reason? in
      if case .event(.status(_, .communicationError, let reason)) = note.kind { reason } else { nil }
    }
    #expect(reasons == [.scansFail(.bms1, module: 1)])
  }

  @Test func withoutAConfigurationNothingCloses() {
    var world = RunWorld(RunRig.scenario(), change: { $0.configuration = nil })
    world.run(seconds: 60)
    #expect(world.status == .configError && world.runtime.ordered.isEmpty)
  }

  /// Out of CONFIG ERR by a good configuration, as the specification says: one that did not parse, and one that broke a rule.
  @Test(arguments: [true, false]) func aGoodConfigurationEndsConfigError(hadNone: Bool) throws {
    var good = RunRig.scenario().configuration
    var broken = good
    broken[.overvoltageAlarm] = broken[.overvoltageProtect] + 100
    #expect(broken.violationCount > 0)
    let session = try #require(RunRig.deye?.session(.battery))
    // 168 of 280 Ah: more than the capacity of no configuration at all.
    good[.capacity] = 280_000
    broken[.capacity] = 280_000
    var state = PersistentState()
    state.charge_mAs = 168_000 * 3600
    state.isEstimate = false
    var world = RunWorld(RunRig.scenario(), battery: session, inverter: RunRig.deye?.session(.inverter)) { settings in
      settings.configuration = hadNone ? nil : broken
      settings.state = state
      settings.scan_us = 500_000
    }
    world.run(seconds: 20)
    #expect(world.status == .configError && world.runtime.lacksConfiguration)
    // A port that goes and comes back meanwhile.
    world.withRuntime { $0.lost(.port(0), "down", now_us: $1) }
    world.withRuntime { $0.returned(.port(0), now_us: $1) }
    world.withRuntime { runtime, _ in
      #expect(runtime.takeStore() == nil, "what was stored stands")
      #expect(runtime.configure(broken, sessions: [session]) != nil)
      #expect(runtime.configure(good, sessions: [session]) == nil)
    }
    world.run(seconds: 30)
    #expect(world.status == .running && world.plant.switches.isConnected, "\(world.status), \(world.doubts)")
    // A minute at 20 A is no percent of it.
    #expect((5990...6100).contains(world.runtime.engine.values.stateOfCharge), "\(world.runtime.engine.values.stateOfCharge)")
    #expect(!world.runtime.lacksConfiguration && world.auditor.count == 0, "\(world.auditor.violations)")
  }

  @Test func aLateAnswerOfAnotherTimeIsNoMeasurement() {
    var link = PDULink(sequence: 65_530)
    func set(_ sequence: UInt16) -> [PDULine] {
      [
        .current(raw: 5000, supply_mV: 12_000), .voltages(inputRaw: 4000, outputRaw: 4000),
        .answer(
          contactors: 0, flags: [], sequence: sequence,
          measuredCheck: PDULine.measuredCheck(currentRaw: 5000, supply_mV: 12_000, inputRaw: 4000, outputRaw: 4000)),
      ]
    }
    func take(_ sequence: UInt16, _ now_us: Int64) -> Bool {
      var isMeasured = false
      for line in set(sequence) where link.take(line, now_us: now_us) != nil { isMeasured = true }
      return isMeasured
    }
    _ = link.order([], now_us: 0)
    #expect(take(65_531, 100_000))
    #expect(take(65_531, 1_000_000))
    #expect(!take(65_531, 1_000_001), "answers to an order that is older than a second")
    #expect(!take(77, 100_000), "an order that was never given")
    for step in 1...10 { _ = link.order([], now_us: 1_000_000 + Int64(step)) }
    #expect(take(5, 1_000_100), "the number goes round")
    // Measured values that changed on the way.
    _ = link.take(.current(raw: 5001, supply_mV: 12_000), now_us: 1_000_200)
    _ = link.take(.voltages(inputRaw: 4000, outputRaw: 4000), now_us: 1_000_200)
    #expect(link.take(set(5)[2], now_us: 1_000_200) == nil)
    #expect(link.discarded == 3)
  }

  @Test func answersAPollInTheSameMomentAndNotAtTheNextStep() throws {
    var world = RunRig.running()
    var inverter = try #require(RunRig.deye?.session(.inverter))
    var frames = 0
    world.withRuntime { runtime, now in
      // Between two steps.
      let asked = now + 37_000
      guard case .send(let poll) = inverter.next(now_us: asked, values: QuantityValues()) else { return }
      runtime.receive(poll, port: 0, now_us: asked)
      #expect(runtime.wake_us <= asked + 20_000)
      for time in stride(from: asked, to: asked + 30_000, by: 1000) {
        runtime.advance(now_us: time)
        while runtime.frame(for: 0) != nil {
          frames += 1
          runtime.sent(0)
        }
      }
    }
    #expect(frames >= 3)
  }

  @Test func storesEachMinuteAndAgainSoonAfterAFailure() {
    var runtime = RunRig.world().runtime
    #expect(runtime.takeStore() == nil, "nothing is known yet")
    var settings = RunSettings(configuration: RunRig.scenario().configuration)
    settings.state = PersistentState()
    runtime = ControllerRuntime(settings)
    #expect(runtime.takeStore() != nil, "whether it can be stored is known before anything closes")
    settings.configuration = nil
    var unread = ControllerRuntime(settings)
    #expect(unread.takeStore() == nil, "in CONFIG ERR what was stored stands")
    var stores = 0
    for step in 0..<1800 {
      runtime.advance(now_us: Int64(step) * 100_000)
      if runtime.takeStore() != nil {
        stores += 1
        runtime.stored(nil)
      }
    }
    #expect(stores == 2)
    runtime.stored("no space left")
    #expect(runtime.standingDoubts.contains(.storeFailed("no space left")))
    runtime.advance(now_us: 191_000_000)
    #expect(runtime.takeStore() != nil)
    runtime.stored(nil)
    #expect(!runtime.standingDoubts.contains(.storeFailed("no space left")))
  }

  @Test func takesAConfigurationOnlyWhenThatIsSafe() throws {
    var world = RunRig.running()
    var other = world.runtime.engine.configuration
    other[.chargeCurrentMax] = 10_000
    world.withRuntime { runtime, _ in #expect(runtime.configure(other) == nil) }
    world.run(seconds: 1)
    #expect(world.runtime.values[.chargeCurrentLimit] == 10_000)
    other[.overvoltageProtect] = 37_000
    world.withRuntime { runtime, _ in #expect(runtime.configure(other)?.contains("cell-overvoltage-protect") == true) }
    other[.overvoltageProtect] = 36_500
    other[.bms1Slaves] = 3
    world.withRuntime { runtime, _ in #expect(runtime.configure(other)?.contains("bms1-slaves") == true) }
    other[.bms1Slaves] = 2
    other[.chargeCurrentMax] = 90_000
    world.withRuntime { runtime, _ in #expect(runtime.configure(other) != nil) }
    #expect(world.plant.switches.isConnected)
  }

  @Test func aRecordingHasEverythingThatTheEngineWasGiven() {
    var world = RunRig.world { $0.isRecorded = true }
    var engine: Engine?
    var readings = Readings()
    var steps = 0
    for _ in 0..<200 {
      world.run(seconds: 0.1)
      world.withRuntime { runtime, _ in
        for record in runtime.takeRecords() {
          guard case .engine(let content) = record.content else { continue }
          switch content {
          case .start(let configuration, _): engine = Engine(configuration: ConfigurationFile.parse(configuration).configuration)
          case .scan(let scan): scan.write(to: &readings)
          case .input(let input):
            let command = input.write(to: &readings)
            engine?.step(now_ns: record.time_ns, readings, command)
          case .output(let output):
            steps += 1
            if let engine { #expect(EngineRecord.Output(engine) == output) }
          case .event: break
          }
        }
      }
    }
    #expect(steps > 190)
    #expect(engine?.outputs.status == .running)
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func whateverGoesWrongTheRulesHold(seed: UInt64) {
    var world = RunWorld.random(
      seed: seed, seconds: 300, battery: RunRig.deye?.session(.battery), inverter: RunRig.deye?.session(.inverter))
    world.run(seconds: 300)
    #expect(world.auditor.count == 0, "seed \(seed): \(world.auditor.violations)\n\(world.faults)")
    #expect(world.auditor.closings > 0, "seed \(seed): never closed")
  }
}
