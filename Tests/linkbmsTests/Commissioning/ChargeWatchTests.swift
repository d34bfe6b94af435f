import Controller
import Simulation
import Testing

@testable import linkbms

/// The ten minutes, with one thing wrong at a time.
@Suite struct ChargeWatchTests {
  /// A battery on the inverter, and what happens to it.
  private func doubt(
    _ change: (inout Scenario) -> Void, isOnline: Bool? = true, current: Double = 5, rest: Double? = nil, seconds: Double = 600
  ) throws -> ChargeWatch.Doubt? {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    scenario.configuration[.chargeCurrentMax] = 5000
    scenario.configuration[.dischargeCurrentMax] = 10_000
    scenario.load.steps = [.init(at: 0, current: current)]
    change(&scenario)
    var simulator = Simulator(scenario)
    while simulator.now < 20 { simulator.step() }
    #expect(simulator.engine.outputs.status == .running)
    var watch = ChargeWatch(scenario.configuration, rest: rest)
    while simulator.now < 20 + seconds {
      simulator.step()
      let step = PlantStep(
        time: simulator.now, engine: simulator.engine, readings: simulator.readings, frames: [],
        isOnline: simulator.now > 60 ? isOnline : true)
      if let found = watch.take(step) { return found }
    }
    return watch.verdict()
  }

  @Test func aSoundChargeHasNoDoubt() throws { #expect(try doubt { _ in } == nil) }

  @Test func dischargingIsNoCharge() throws { #expect(try doubt({ _ in }, current: -8)?.failure == "discharged") }

  @Test(
    arguments: [
      // A cloud does no harm, a night does.
      ([(0, 5), (420, 0)], nil), ([(0, 5), (220, 0)], "none"), ([(0, 0), (300, 5), (310, 0)], "none"),
      // More has to go in than comes out.
      ([(0, 5), (420, -4)], nil), ([(0, 2), (420, -8)], "discharged"), ([(0, -8), (300, 5)], "discharged"),
    ] as [([(Double, Double)], String?)])
  func mostOfTheTimeIsCharging(load: [(Double, Double)], failure: String?) throws {
    let found = try doubt { $0.load.steps = load.map { .init(at: $0.0, current: $0.1) } }
    #expect(found?.failure == failure, "\(String(describing: found))")
  }

  /// 1 A is all that a small battery may be charged with.
  @Test func aSmallBatteryIsChargedBySmallCurrents() throws {
    #expect(try doubt { $0.configuration[.chargeCurrentMax] = 1000 } == nil)
    #expect(try doubt({ $0.configuration[.chargeCurrentMax] = 1000 }, current: 0.3)?.failure == "none")
  }

  @Test func eachDoubtIsFound() throws {
    #expect(try doubt { $0.faults = [Fault(at: 100, .inverterIgnoresLimits(amperes: 9))] }?.failure == "limits")
    #expect(try doubt { $0.faults = [Fault(at: 100, .cellVoltage(.bms1, module: 1, cell: 1, volts: 2.95))] }?.failure == "spread")
    #expect(try doubt { $0.faults = [Fault(at: 100, .temperature(.bms1, module: 1, celsius: 46))] }?.failure == "temperature")
    #expect(try doubt { $0.faults = [Fault(at: 100, .slaveDead(.bms1, module: 1))] }?.failure == "status")
    #expect(try doubt { $0.faults = [Fault(at: 100, .contactorStuckOpen(isPositive: true))] }?.failure == "output")
    #expect(try doubt({ _ in }, isOnline: false)?.failure == "link")
    #expect(try doubt({ _ in }, current: 0)?.failure == "none")
    // A reversed sensor: what is measured says discharging, the voltage rises.
    #expect(try doubt({ $0.installation.isCurrentReversed = true }, rest: 316.8)?.failure == "voltage")
  }

  @Test func theLimitIsFivePercentAndAnAmpereForFiveSeconds() throws {
    #expect(try doubt { $0.faults = [Fault(at: 100, .inverterIgnoresLimits(amperes: 6.1))] } == nil)
    #expect(try doubt { $0.faults = [Fault(at: 100, .inverterIgnoresLimits(amperes: 6.5))] }?.failure == "limits")
    #expect(try doubt { $0.faults = [Fault(at: 100, until: 104, .inverterIgnoresLimits(amperes: 12))] } == nil)
  }
}
