import Bus
import Controller
import Formats
import Protocols
import Simulation
import Testing

@testable import Runtime

/// A run in which only a person lets the contactors close: what commissioning stands on.
@Suite struct PersonHoldTests {
  private static func world(isMute: Bool = false) -> RunWorld {
    RunRig.world {
      $0.isPersonHeld = true
      $0.isMute = isMute
    }
  }

  /// One in which the contactors have closed by permission.
  private static func closed() -> RunWorld {
    var world = world()
    world.run(seconds: 10)
    world.withRuntime { $0.release(now_us: $1) }
    world.run(seconds: 20)
    return world
  }

  @Test func nothingClosesUntilSomebodySaysSo() {
    var world = Self.world()
    world.run(seconds: 120)
    #expect(!world.plant.switches.isConnected && world.runtime.ordered.isEmpty)
    #expect(world.runtime.engine.isHeld && !world.notes.contains { $0.kind == .released })
    #expect(world.runtime.engine.values.hasCells && world.inverter?.phase == .online)
    world.withRuntime { $0.release(now_us: $1) }
    world.run(seconds: 20)
    #expect(world.plant.switches.isConnected && world.status == .running)
    #expect(world.runtime.revokedBy == nil && world.auditor.count == 0, "\(world.auditor.violations)")
  }

  @Test func aPersonsHoldOpensAndStays() {
    var world = Self.closed()
    #expect(world.plant.switches.isConnected)
    world.withRuntime { $0.hold("enough", now_us: $1) }
    world.run(seconds: 120)
    #expect(!world.plant.switches.isConnected && world.runtime.ordered.isEmpty && world.runtime.revokedBy == nil)
    world.withRuntime { $0.release(now_us: $1) }
    world.run(seconds: 20)
    #expect(world.plant.switches.isConnected)
  }

  @Test(arguments: RunTests.faults.indices) func whatComesBackDoesNotCloseAgain(index: Int) {
    let (kind, length, most, fits) = RunTests.faults[index]
    var world = Self.closed()
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now + 0.013, until: now + 0.013 + length, kind))
    let opened = world.secondsToOpen(most + 0.02)
    #expect(opened != nil, "\(kind): still closed")
    let before = world.notes.count
    world.run(seconds: length + 120)
    #expect(!world.plant.switches.isConnected && world.runtime.ordered.isEmpty, "\(kind)")
    #expect(!world.notes[before...].contains { $0.kind == .released }, "\(kind)")
    #expect(world.runtime.revokedBy.map(fits) == true, "\(kind): \(String(describing: world.runtime.revokedBy))")
    #expect(world.auditor.count == 0, "\(kind): \(world.auditor.violations)")
    world.withRuntime { $0.release(now_us: $1) }
    world.run(seconds: 30)
    #expect(world.plant.switches.isConnected, "\(kind)")
  }

  @Test(arguments: [
    Doubt.fault("x"), .pduDisagrees, .writeFailed(.port(0), "EIO"), .storeFailed("full"), .lateStep(milliseconds: 700),
  ])
  func everyOtherDoubtTakesThePermissionBack(doubt: Doubt) {
    var world = Self.closed()
    world.withRuntime { $0.doubt(doubt, now_us: $1) }
    // The next file is stored: what stood is over.
    world.withRuntime { runtime, _ in runtime.stored(nil) }
    world.run(seconds: 120)
    #expect(!world.plant.switches.isConnected && world.runtime.ordered.isEmpty && world.runtime.revokedBy == doubt)
  }

  @Test func aDoubtThatIsNoNewsTakesItBackToo() {
    var world = Self.world()
    world.run(seconds: 10)
    world.withRuntime { $0.doubt(.lateStep(milliseconds: 700), now_us: $1) }
    world.withRuntime { $0.release(now_us: $1) }
    world.withRuntime { $0.doubt(.lateStep(milliseconds: 700), now_us: $1) }
    world.run(seconds: 60)
    #expect(!world.plant.switches.isConnected && world.runtime.revokedBy == .lateStep(milliseconds: 700))
  }

  /// PROTECT, and all is well again: a run closes by itself, a commissioning does not.
  @Test func aPermissionIsGoodForOneClosing() {
    var world = Self.closed()
    world.withPlant { $0.begin(.temperature(.bms1, module: 1, celsius: 70)) }
    world.run(seconds: 20)
    #expect(!world.plant.switches.isConnected && world.status == .protect)
    world.withPlant {
      $0.repair()
      $0.begin(.temperature(.bms1, module: 1, celsius: 25))
    }
    world.run(seconds: 120)
    #expect(world.runtime.revokedBy == .opened(.protect))
    #expect(!world.plant.switches.isConnected && world.status == .checking)
    world.withRuntime { $0.release(now_us: $1) }
    world.run(seconds: 30)
    #expect(world.plant.switches.isConnected)
  }

  @Test func nobodyLetsItCloseWhileSomethingStands() {
    var world = Self.world()
    world.run(seconds: 10)
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now, until: now + 5, .portLost))
    world.run(seconds: 1)
    world.withRuntime { $0.release(now_us: $1) }
    #expect(world.runtime.revokedBy == .lost(.port(0), "unplugged") && !world.runtime.isPermitted)
    world.run(seconds: 60)
    #expect(!world.plant.switches.isConnected)
  }

  @Test func aMuteRunSaysNothingToTheInverter() {
    var world = Self.world(isMute: true)
    world.run(seconds: 30)
    #expect(world.runtime.sessions.allSatisfy { $0.sentFrames == 0 } && world.inverter?.phase != .online)
    world.withRuntime { runtime, _ in runtime.mute(false) }
    world.run(seconds: 10)
    #expect(world.inverter?.phase == .online)
    world.withRuntime { runtime, _ in runtime.mute(true) }
    world.run(seconds: 30)
    #expect(world.inverter?.phase != .online && world.runtime.sessions.allSatisfy { $0.sentFrames == 0 })
  }

  @Test func anotherBatteryIsConfiguredWithHeldContactorsOnly() {
    var world = Self.closed()
    var other = world.runtime.engine.configuration
    other[.bms1Slaves] = 1
    other[.cellCount] = 8
    let sessions = world.runtime.settings.sessions
    var refused: String?
    world.withRuntime { runtime, _ in refused = runtime.rebuild(other, sessions: sessions) }
    #expect(refused?.contains("held open only") == true)
    world.withRuntime { $0.hold("to configure", now_us: $1) }
    world.run(seconds: 3)
    world.withRuntime { runtime, _ in refused = runtime.rebuild(other, sessions: sessions) }
    #expect(refused == nil)
    world.run(seconds: 10)
    // The chain is measured anew: the second module, still there, is one too many now.
    #expect(world.runtime.engine.configuration[.bms1Slaves] == 1 && world.runtime.readings.moduleCounts[0] == 2)
    var broken = other
    broken[.cellCount] = 9
    world.withRuntime { runtime, _ in refused = runtime.rebuild(broken, sessions: sessions) }
    #expect(refused?.contains("breaks") == true && world.runtime.engine.configuration == other)
    #expect(!world.plant.switches.isConnected && world.auditor.count == 0, "\(world.auditor.violations)")
  }

  /// Where nobody holds anything the new orders change nothing.
  @Test func aRunThatIsItsOwnMasterKnowsNoPermission() {
    var world = RunRig.world()
    world.withRuntime { $0.release(now_us: $1) }
    #expect(!world.runtime.isPermitted && world.runtime.engine.isHeld == false)
  }
}
