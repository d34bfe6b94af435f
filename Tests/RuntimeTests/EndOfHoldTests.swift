import Bus
import Controller
import Formats
import Protocols
import Simulation
import Testing

@testable import Runtime

/// A hold ends only where the engine, and the PDU by its own words, have opened everything.
@Suite struct EndOfHoldTests {
  /// Answers for the PDU, which itself says nothing, for so long or until nothing is held any more: fresh, with measurements, and with these words of what it holds.
  private func answer(_ world: inout RunWorld, _ held: Contactors, _ flags: PDULine.AnswerFlags, seconds: Double) {
    for _ in 0..<Int(seconds * 20) where world.runtime.isHeld {
      world.withRuntime { runtime, now_us in
        let measured = runtime.readings
        let raw = (measured.currentRaw, measured.supply_mV, measured.inputRaw, measured.outputRaw)
        runtime.receive(.pdu(.current(raw: raw.0, supply_mV: raw.1)), line: RunWorld.pduLine, now_us: now_us)
        runtime.receive(.pdu(.voltages(inputRaw: raw.2, outputRaw: raw.3)), line: RunWorld.pduLine, now_us: now_us)
        let check = PDULine.measuredCheck(currentRaw: raw.0, supply_mV: raw.1, inputRaw: raw.2, outputRaw: raw.3)
        runtime.receive(
          .pdu(.answer(contactors: held.rawValue, flags: flags, sequence: runtime.pdu.sequence, measuredCheck: check)),
          line: RunWorld.pduLine, now_us: now_us)
      }
      world.run(seconds: 0.05)
    }
  }

  /// What a PDU may say that is not "open, by your order".
  private static let notOpen: [(held: Contactors, flags: PDULine.AnswerFlags)] = [
    ([.negative], []), ([.positive], []), ([.precharge], []), ([], .isLatched),
  ]

  @Test(arguments: notOpen.indices) func notBeforeThePDUSaysThatAllIsOpen(index: Int) {
    let (held, flags) = Self.notOpen[index]
    var world = RunRig.running()
    let now = Double(world.now_us) / 1e6
    world.add(RunFault(at: now, until: now + 1000, .pduSilent))
    world.withRuntime { $0.doubt(.fault("x"), now_us: $1) }
    let releases = world.notes.count { $0.kind == .released }
    answer(&world, held, flags, seconds: 10)
    #expect(world.runtime.isHeld && world.notes.count { $0.kind == .released } == releases)
    // What stays closed behind an order to open is a doubt of its own; what has opened by itself only has to be told once.
    #expect(world.runtime.standingDoubts == (held.isEmpty ? [] : [.pduDisagrees]))
    answer(&world, [], [], seconds: 3)
    #expect(!world.runtime.isHeld && world.notes.count { $0.kind == .released } == releases + 1)
  }

  /// An inverter that goes on taking its current: the engine opens after a second, and what is measured until then ends nothing.
  @Test func notBeforeTheEngineHasOpened() {
    var world = RunWorld(RunRig.scenario(), battery: RunRig.deye?.session(.battery)) { $0.scan_us = 200_000 }
    world.run(seconds: 20)
    world.withPlant { $0.heardLimits_A = (25, 25) }
    #expect(world.plant.current > 19)
    world.withRuntime { $0.doubt(.writeFailed(.port(0), "EIO"), now_us: $1) }
    world.run(seconds: 0.9)
    #expect(world.plant.switches.isConnected && world.plant.current > 19, "opened before its time: this test sees nothing")
    let notes = world.notes.count
    world.run(seconds: 30)
    let later = world.notes.dropFirst(notes).map(\.kind)
    let opened = later.firstIndex(of: .ordered([])) ?? .max
    let released = later.firstIndex(of: .released) ?? .max
    #expect(opened < released && released < .max, "\(later)")
    #expect(world.status == .running)
  }

  /// A PDU whose line is gone has said nothing: an end is not confirmed by what it said before.
  @Test func whatALostPDUHasSaidCountsNoMore() {
    var world = RunRig.running()
    #expect(world.runtime.pdu.confirmed_us != nil && !world.runtime.pdu.isLatched)
    world.withRuntime { $0.lost(.line(0), "gone", now_us: $1) }
    #expect(world.runtime.pdu.confirmed_us != nil, "another line")
    world.withRuntime { $0.lost(.line(RunWorld.pduLine), "gone", now_us: $1) }
    #expect(world.runtime.pdu.confirmed_us == nil && world.runtime.pdu.isLatched)
  }

  /// The hold is about to end when the next doubt comes, before the step that would have ended it.
  @Test func aDoubtTakesBackTheEndOfTheHoldBefore() {
    var world = RunRig.running()
    world.withRuntime { $0.doubt(.fault("first"), now_us: $1) }
    var releases = world.notes.count { $0.kind == .released }
    let before = releases
    while releases == before {
      world.run(seconds: 0.01)
      releases = world.notes.count { $0.kind == .released }
    }
    // In the same moment, before anything was closed.
    world.withRuntime { $0.doubt(.fault("second"), now_us: $1) }
    world.run(seconds: 0.9)
    #expect(world.runtime.isHeld && world.runtime.ordered.isEmpty && world.status != .running)
  }
}
