import Analysis
import Controller
import Formats
import Foundation
import Testing

@testable import Simulation

/// The dozen scenarios, and what the simulation itself has to keep.
@Suite struct SimulatorTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Captures/scenarios")
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".yaml") }
    .sorted()

  static func scenario(_ name: String) throws -> Scenario {
    let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    let (scenario, problems) = ScenarioFile.parse(text, path: name)
    #expect(problems.isEmpty, "\(problems)")
    return scenario
  }

  @Test func thereAreADozen() { #expect(Self.names.count >= 12) }

  @Test(arguments: names) func everyScenarioKeepsItsRules(name: String) throws {
    let scenario = try Self.scenario(name)
    #expect(!scenario.expectations.isEmpty)
    var simulator = Simulator(scenario)
    if let link = scenario.link {
      let definition = try #require(Shipped.library.definition(link.protocolName))
      let isConnected = simulator.connect(definition.link(variant: link.variant))
      #expect(isConnected)
    }
    var judge = ScenarioJudge(scenario)
    let texts = EventText(scenario.configuration)
    while simulator.now < scenario.duration {
      let seconds = simulator.step()
      let events = (0..<simulator.engine.events.count).map { texts.event(simulator.engine.events[$0].kind) }
      judge.observe(simulator.engine, now: simulator.now, seconds: seconds, events: events)
    }
    #expect(judge.failures.isEmpty, "\(judge.failures)")
    #expect(simulator.auditor.count == 0, "\(simulator.auditor.violations)")
    #expect(simulator.auditor.steps > 10)
  }

  @Test func theSameSeedGivesTheSameRun() {
    func run(_ seed: UInt64) -> [Int32] {
      let scenario = Scenario.random(seed: seed, days: 0.05)
      var simulator = Simulator(scenario)
      var trace: [Int32] = []
      while simulator.now < scenario.duration {
        simulator.step()
        trace.append(simulator.engine.values.current_mA &+ simulator.engine.outputs.chargeLimit_mA)
      }
      return trace
    }
    #expect(run(5) == run(5) && run(5) != run(6))
  }

  @Test func chanceFindsNoBrokenRule() {
    for seed in UInt64(1)...6 {
      let scenario = Scenario.random(seed: seed, days: 0.1)
      var simulator = Simulator(scenario)
      while simulator.now < scenario.duration { simulator.step() }
      #expect(simulator.auditor.count == 0, "seed \(seed): \(simulator.auditor.violations)")
    }
  }

  /// An auditor that sees nothing would let everything pass: it is shown broken rules.
  @Test func theAuditorSeesWhatIsWrong() throws {
    let configuration = try Self.scenario("start.yaml").configuration
    func audit(_ change: (inout Readings) -> Void, seconds: Int = 5, afterwards: Bool = true) -> [String] {
      var scenario = Scenario()
      scenario.configuration = configuration
      scenario.pack = CellPack.Build(modules: [12, 12, 12, 12])
      scenario.duration = 20
      var simulator = Simulator(scenario)
      while simulator.now < 10 { simulator.step() }
      // The engine stays where it was, as if it had not noticed: readings change, outputs do not.
      var auditor = simulator.auditor
      var readings = simulator.readings
      change(&readings)
      readings.arrived = [.scan1, .pdu]
      for second in 0..<seconds { auditor.check(simulator.engine, readings, now: 11 + Double(second), seconds: 1) }
      return auditor.violations.map(\.text)
    }
    #expect(audit { _ in }.isEmpty)
    #expect(audit { $0.cells[3] = 40_000 }.contains { $0.contains("with a protect limit passed") })
    #expect(audit { $0.cells[3] = 36_000 }.contains { $0.contains("above charge disable") })
    #expect(audit { $0.cells[3] = 28_000 }.contains { $0.contains("below discharge disable") })
  }

  @Test func aFailureShrinksToTheFaultThatMatters() {
    var scenario = Scenario.random(seed: 3, days: 1)
    scenario.faults = (0..<6).map { Fault(at: Double(100 * $0), until: nil, $0 == 4 ? .pduSilent : .outputShorted) }
    let shrunk = scenario.shrunk { tried in tried.faults.contains { $0.kind == .pduSilent } ? 400 : nil }
    #expect(shrunk.faults.map(\.kind) == [.pduSilent] && shrunk.duration == 401)
  }

  @Test func damagedScenariosAreRefusedWithTheirLine() {
    for (text, part) in [
      ("faults: [{at: 1, fault: slave-ded}]", "did you mean \"slave-dead\""), ("durration: 5", "unknown key \"durration\""),
      ("expect: [{at: 5}]", "an expectation without status"), ("configuration: {preset: lead}", "expected lfp, li-ion"),
      ("configuration: {bms1-slaves: 99}", "bms1-slaves: found 99"), ("configuration: {bms1-slaves: -6}", "bms1-slaves: found -6"),
      ("configuration: {bms1-slaves: 2000000000, bms1-cells-per-module: 2000000000}", "bms1-slaves: found 2000000000"),
      ("expect: [{at: 5, status: RUNING}]", "expected NO DATA"),
      (
        "link: {protocol: deye-hv, faults: [{fault: frames-dropped, amount: 2}]}",
        "amount: found \"2\", expected a share of the frames, 0 to 1"
      ),
      ("link: {protocol: deye-hv, faults: [{fault: frames-delayed, amount: -1}]}", "amount: found \"-1\", expected 0 or more"),
      ("load: [{at: x}]", "found \"x\", expected a number"), ("duration: 1e300", "expected a number of at most 1e9"),
    ] {
      let problems = ScenarioFile.parse(text, path: "s.yaml").problems
      #expect(problems.contains { "\($0)".contains(part) }, "\(part): \(problems)")
    }
  }

  @Test func cellsFollowTheirCharge() {
    var random = SplitMix64(seed: 1)
    var build = CellPack.Build(modules: [8, 8])
    build.stateOfChargeSpread = 0
    build.capacitySpread = 0
    build.capacity = 10
    var pack = CellPack(build, random: &random)
    let before = pack.total
    for _ in 0..<3600 { pack.step(current: 2, seconds: 1, balancing: []) }
    #expect(abs(pack.charge[0] - 0.7) < 1e-9, "2 Ah into 10 Ah from a half")
    #expect(pack.total > before)
    for _ in 0..<3600 { pack.step(current: 0, seconds: 1, balancing: [0b1, 0]) }
    #expect(pack.charge[0] < 0.7 - 0.005 && abs(pack.charge[1] - 0.7) < 1e-9, "about 0.1 A through the resistor")
  }
}
