import Bus
import Formats
import Protocols
import Testing

@testable import Simulation

/// Inverters as they are: a limit of 0 A that is skipped, a limit that makes it fault, a link that comes back only after a power cycle.
@Suite struct InverterReactionTests {
  private func world(_ variant: String, quirks: [String: Double] = [:]) throws -> LinkWorld {
    let link = try #require(Shipped.links.first { $0.name == variant }?.link)
    var world = try #require(LinkWorld(link, seed: 1))
    world.adopt(quirks: quirks)
    return world
  }

  private func run(_ world: inout LinkWorld, until seconds: Double, _ change: (inout QuantityValues) -> Void = { _ in }) {
    var values = LinkTests.page
    change(&values)
    world.run(until: Int64(seconds * 1e6), battery: values, inverter: QuantityValues())
  }

  @Test func withoutQuirksALimitIsALimit() throws {
    var world = try world("deye-hv")
    #expect(world.current(wanted: 60) == 0, "nothing before the link is there")
    run(&world, until: 20)
    #expect(world.current(wanted: 60) == 25 && world.current(wanted: -80) == -50 && world.current(wanted: 7) == 7)
    run(&world, until: 30) { $0[.chargeCurrentLimit] = 0 }
    #expect(world.current(wanted: 60) == 0 && world.current(wanted: -80) == -50)
  }

  @Test func aDeyeSkipsALimitOfZero() throws {
    let link = try #require(Shipped.links.first { $0.name == "deye-hv" }?.link)
    var world = try world("deye-hv", quirks: link.definition.sidecar.handshake.quirks)
    run(&world, until: 20)
    #expect(world.current(wanted: 60) == 25)
    run(&world, until: 30) { $0[.chargeCurrentLimit] = 0 }
    #expect(world.current(wanted: 60) == 25, "as before: the zero is skipped")
    run(&world, until: 40) { $0[.chargeCurrentLimit] = 5_000 }
    #expect(world.current(wanted: 60) == 5, "any other limit is taken")
  }

  @Test func tooHighALimitIsAFaultUntilItIsSwitchedOffAndOn() throws {
    var world = try world("deye-hv", quirks: ["faultsAboveAmperes": 149.9])
    run(&world, until: 20) { $0[.chargeCurrentLimit] = 149_000 }
    #expect(world.current(wanted: 60) == 60 && !world.reaction.isFaulted)
    run(&world, until: 30) { $0[.chargeCurrentLimit] = 150_000 }
    #expect(world.current(wanted: 60) == 0 && world.reaction.isFaulted)
    run(&world, until: 40)
    #expect(world.current(wanted: 60) == 0, "a sane limit does not clear it")
    world.restart(.inverter)
    run(&world, until: 60)
    #expect(world.current(wanted: 60) == 25 && !world.reaction.isFaulted)
  }

  @Test func aLostLinkNeedsAPowerCycle() throws {
    for (quirks, expected) in [([:], 25.0), (["needsPowerCycle": 1.0], 0)] {
      var world = try world("deye-hv", quirks: quirks)
      run(&world, until: 20)
      #expect(world.current(wanted: 60) == 25)
      var time = 20.0
      while world.inverter.phase != .lost, time < 400 {
        time += 1
        run(&world, until: time) { $0.set(.live, false) }
        _ = world.current(wanted: 60)
      }
      #expect(world.inverter.phase == .lost)
      run(&world, until: time + 60)
      #expect(world.inverter.phase == .online && world.current(wanted: 60) == expected, "\(quirks)")
    }
  }

  @Test func twoBatteriesOnOneBusAnswerOnlyWhatIsTheirs() throws {
    var world = try world("sofar1")
    #expect(world.addBattery(address: 1) && !world.addBattery(address: 1) && !world.addBattery(address: world.battery.address))
    run(&world, until: 60)
    #expect(world.inverter.phase == .online && world.pairs[0].inverter.phase == .online)
    #expect(world.battery.phase == .online && world.pairs[0].battery.phase == .online)
    let limits = Set(world.takeRecords().map(\.frame.id.number).filter { $0 & 0xFFF == 0x351 })
    #expect(limits == [0x351, 0x1351])
  }

  @Test func theSecondPortHasABusOfItsOwn() throws {
    var scenario = Scenario()
    scenario.link = Scenario.Link(protocolName: "deye-hv")
    scenario.link?.ports = 2
    var simulator = Simulator(scenario)
    #expect(simulator.connect(try #require(Shipped.links.first { $0.name == "deye-hv" }?.link)))
    while simulator.now < 30 { simulator.step() }
    let records = simulator.takeFrames()
    for bus in [0, 1] {
      #expect(records.contains { Int($0.bus.index) == bus && $0.frame.id.number == 0x4200 })
      #expect(records.contains { Int($0.bus.index) == bus && $0.frame.id.number == 0x4210 })
    }
    #expect(zip(records, records.dropFirst()).allSatisfy { $0.time <= $1.time })
    #expect(simulator.otherPorts[0].inverter.phase == .online)
  }
}
