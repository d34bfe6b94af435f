import Controller
import Formats
import Simulation
import Testing

@testable import Runtime

@Suite struct ResetButtonTests {
  /// Presses and releases, at times in ms, looked at each 100 ms; what it meant and when.
  private func presses(_ changes: [(ms: Int64, isPressed: Bool)], until: Int64) -> [(ms: Int64, press: ResetButton.Press)] {
    var button = ResetButton()
    var found: [(Int64, ResetButton.Press)] = []
    for ms in stride(from: Int64(0), to: until, by: 100) {
      let isPressed = changes.last { $0.ms <= ms }?.isPressed ?? false
      if let press = button.take(isPressed, now_us: ms * 1000) { found.append((ms, press)) }
    }
    return found
  }

  @Test(
    arguments: [
      (300, .nothing(milliseconds: 300)), (4900, .nothing(milliseconds: 4900)), (5000, .wifi), (6000, .wifi), (9900, .wifi),
      (10_000, .nothing(milliseconds: 10_000)), (19_900, .nothing(milliseconds: 19_900)),
    ] as [(Int64, ResetButton.Press)])
  func theLengthOfAPressSaysWhatIsWanted(length: Int64, meant: ResetButton.Press) {
    let found = presses([(1000, true), (1000 + length, false)], until: 40_000)
    #expect(found.map(\.press) == [meant] && found.first?.ms == 1000 + length)
  }

  @Test func theHardResetComesOnceWhileItIsHeld() {
    let found = presses([(1000, true), (60_000, false)], until: 90_000)
    #expect(found.map(\.press) == [.reset] && found.first?.ms == 21_000)
    // And it can be pressed again.
    #expect(
      presses([(0, true), (1000, false), (2000, true), (30_000, false), (31_000, true), (36_500, false)], until: 40_000).map(
        \.press) == [.reset, .wifi])
  }

  @Test func aButtonThatHangsFromTheStartIsNoPress() {
    #expect(presses([(0, true)], until: 60_000).isEmpty)
    #expect(presses([(0, true), (5500, false), (7000, true), (12_500, false)], until: 60_000).map(\.press) == [.wifi])
  }

  @Test func aPressThatNobodyWatchedMeansNothing() {
    var button = ResetButton()
    _ = button.take(false, now_us: 0)
    _ = button.take(true, now_us: 100_000)
    // The loop slept for 21 s: whether it was held all the time nobody knows.
    #expect(button.take(true, now_us: 21_100_000) == nil)
    #expect(button.take(false, now_us: 21_200_000) == nil)
    _ = button.take(true, now_us: 21_300_000)
    for ms in stride(from: Int64(21_400), to: 26_800, by: 100) { _ = button.take(true, now_us: ms * 1000) }
    #expect(button.take(false, now_us: 26_800_000) == .wifi)
  }
}

@Suite struct GPIOLogicTests {
  private func logic() throws -> GPIOLogic {
    GPIOLogic(
      try GPIOWiring(outputs: ["running=1", "charge=2", "discharge=3", "fault=4"], inputs: ["open=5", "watch=6"], button: "7"))
  }

  @Test func bouncesAreNoLevels() throws {
    var logic = try logic()
    #expect(logic.take([false, false, false], now_us: 0).isEmpty)
    #expect(logic.take([false, false, false], now_us: 50_000) == [.input(0, isActive: false), .input(1, isActive: false)])
    // Bounces for 200 ms, each 10 ms.
    for step in 0..<20 { #expect(logic.take([false, step % 2 == 0, false], now_us: 100_000 + Int64(step) * 10_000).isEmpty) }
    #expect(logic.take([false, true, false], now_us: 300_000).isEmpty)
    #expect(logic.take([false, true, false], now_us: 349_999).isEmpty)
    #expect(logic.take([false, true, false], now_us: 350_000) == [.input(1, isActive: true)])
    // Fewer levels than lines: nothing is made up.
    #expect(logic.take([], now_us: 400_000).isEmpty)
  }

  @Test func whatIsNotKnownKeepsOpen() throws {
    var logic = try logic()
    #expect(logic.keepsOpen(0) && !logic.keepsOpen(1) && !logic.keepsOpen(2))
    for time in [0, 50_000] as [Int64] { _ = logic.take([false, true, false], now_us: time) }
    #expect(!logic.keepsOpen(0) && !logic.keepsOpen(1))
    for time in [100_000, 150_000] as [Int64] { _ = logic.take([true, true, false], now_us: time) }
    #expect(logic.keepsOpen(0))
    logic.forget()
    #expect(logic.keepsOpen(0))
  }

  @Test func outputsShowWhatARunDoes() throws {
    let logic = try logic()
    var world = RunRig.world()
    #expect(logic.outputs(.init()) == [false, false, false, false])
    #expect(logic.outputs(.init(world.runtime)) == [false, false, false, false])
    world.run(seconds: 20)
    #expect(logic.outputs(.init(world.runtime)) == [true, true, true, false])
    world.withRuntime { $0.lost(.gpio, "gone", now_us: $1) }
    world.run(seconds: 3)
    #expect(logic.outputs(.init(world.runtime)) == [false, false, false, true])
  }

  @Test func anInputOpensAndOnlyTheEngineClosesAgain() throws {
    var world = RunRig.running()
    #expect(world.plant.switches.isConnected)
    world.withRuntime { $0.input(0, keepsOpen: true, now_us: $1) }
    // Current falls first, at most a second, as at every doubt.
    let seconds = world.secondsToOpen(1.4)
    #expect(try #require(seconds) <= 1.3)
    #expect(world.runtime.standingDoubts == [.input(0)])
    world.run(seconds: 30)
    #expect(!world.plant.switches.isConnected && world.runtime.isHeld)
    world.withRuntime { $0.input(0, keepsOpen: false, now_us: $1) }
    world.run(seconds: 0.5)
    #expect(!world.plant.switches.isConnected)
    world.run(seconds: 30)
    #expect(world.plant.switches.isConnected && world.status == .running)
    let ways = world.notes.compactMap { note -> SystemStatus? in
      if case .event(.status(_, let to, _)) = note.kind { to } else { nil }
    }
    #expect(ways.suffix(2) == [.checking, .running], "\(ways)")
    #expect(world.auditor.count == 0, "\(world.auditor.violations)")
  }

  @Test func aLostChipOpensUntilItIsBack() throws {
    var world = RunRig.running()
    world.withRuntime { $0.lost(.gpio, "gone", now_us: $1) }
    let seconds = world.secondsToOpen(1.4)
    #expect(try #require(seconds) <= 1.3)
    world.withRuntime { $0.returned(.gpio, now_us: $1) }
    world.run(seconds: 30)
    #expect(world.plant.switches.isConnected)
  }
}
