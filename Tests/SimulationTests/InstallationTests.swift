import Controller
import Formats
import Testing

@testable import Simulation

/// What each mistake of an installation does to what is read.
@Suite struct InstallationTests {
  /// Four modules of twelve LFP cells, with sensors, and a mistake; as it reads after so many seconds.
  private func read(_ keys: String, seconds: Double = 5, isFrameLevel: Bool = false) throws -> Simulator {
    let text = """
      configuration:
        preset: lfp
        bms1-slaves: 4
        bms1-cells-per-module: 12
        bms1-sensors: [[1, 2], [1, 2], [1, 2], [1, 2]]
      chain: \(isFrameLevel ? "frames" : "scans")
      plant: {soc: 50, ambient: 6}
      installation: {\(keys)}
      """
    let (scenario, problems) = ScenarioFile.parse(text, path: "x")
    #expect(problems.isEmpty, "\(problems)")
    var simulator = Simulator(scenario, isHeld: true)
    while simulator.now < seconds { simulator.step() }
    return simulator
  }

  @Test func nothingIsWrongWithoutAMistake() throws {
    let simulator = try read("")
    #expect(simulator.engine.outputs.bms1 == .ok && simulator.engine.outputs.contactors.isEmpty)
    #expect(Installation() == Installation())
  }

  @Test func exchangedWires() throws {
    let readings = try read("swapped-sense-wires: {module: 2, cell: 4}").readings
    let cells = (0..<12).map { readings.cells[12 + $0] }
    #expect(cells[3] == 50_000 && cells[4] == 0 && cells[5] == 50_000, "\(cells)")
    #expect(cells[2] > 32_000 && cells[2] < 34_000 && cells[6] < 34_000)
    // The topmost has no cell above.
    let top = try read("swapped-sense-wires: {module: 1, cell: 11}").readings
    #expect(top.cells[10] == 50_000 && top.cells[11] == 0 && top.cells[12] < 34_000)
  }

  @Test func fewerOrMoreCellsThanConfigured() throws {
    // Eight use CT1–4 and CT11–14; twelve are looked for at CT1–4 and CT7–14.
    let fewer = try read("bms1-cells-per-module: 8").readings
    #expect(
      (0..<12).map { fewer.cells[$0] > 30_000 } == [true, true, true, true, false, false, false, false, true, true, true, true])
    #expect(fewer.stacks[0] > 26_000 && fewer.stacks[0] < 27_000)
    let more = try read("bms1-cells-per-module: 14").readings
    #expect((0..<12).allSatisfy { more.cells[$0] > 30_000 } && more.stacks[0] > 45_000)
  }

  @Test(arguments: [false, true]) func modulesThatAreNotReached(isFrameLevel: Bool) throws {
    let missing = try read("missing-module: {module: 3}", isFrameLevel: isFrameLevel)
    #expect(missing.engine.outputs.bms1 == .communicationError && missing.readings.lostModules[0] == 2)
    let reversed = try read("chain-reversed: 1", isFrameLevel: isFrameLevel)
    #expect(reversed.engine.outputs.bms1 == .communicationError && reversed.readings.lostModules[0] == 0)
  }

  @Test func sensors() throws {
    #expect(try read("open-sensor: {module: 2, sensor: 2}").readings.openSensors[1] & 0b10 != 0)
    // Beta 3380 read as 3950 at 6 °C: 8.6 °C.
    let shown = try read("ntc-beta: 3380").readings.temperatures[0]
    #expect((84...88).contains(shown), "\(shown)")
    let resistance = try read("ntc-resistance: 47000").readings.temperatures[0]
    #expect(resistance < -150, "\(resistance)")
    #expect(abs(Int(try read("").readings.temperatures[0]) - 60) <= 1)
  }

  @Test func gainsAndChemistry() throws {
    let sound = try read("").readings
    #expect(abs(Int(try read("v-in-gain: 0.9").readings.inputRaw) - Int(sound.inputRaw) * 9 / 10) < 20)
    let liIon = try read("cells: li-ion").readings
    #expect(liIon.cells[0] > 35_000)
  }

  @Test func whatIsOrderedIsDoneInTheNextSteps() throws {
    var simulator = try read("")
    var configuration = simulator.scenario.configuration
    configuration[.chargeCurrentMax] = 7000
    simulator.order(.configure(configuration))
    simulator.order(.release)
    simulator.step()
    #expect(simulator.engine.configuration[.chargeCurrentMax] == 7000 && simulator.engine.isHeld)
    simulator.step()
    #expect(!simulator.engine.isHeld)
    // And an installation that is wrong stays wrong: what is configured does not change what is mounted.
    while simulator.now < 20 { simulator.step() }
    #expect(simulator.engine.outputs.status == .running && simulator.auditor.count == 0, "\(simulator.auditor.violations)")
  }

  @Test(arguments: [
    ("nonsense: 1", "unknown key"), ("cells: lead", "expected lfp, li-ion"), ("v-in-gain: 0", "0.01…100"),
    ("chain-reversed: 3", "1…2"), ("current-reversed: maybe", "expected true, false"), ("open-sensor: {place: 2}", "unknown key"),
    ("ntc-beta: 1", "2000…6000"), ("missing-module: {module: 16}", "1…15"), ("missing-module: {module: 2, cell: 1}", "unknown key"),
  ])
  func whatIsWrongIsToldSo(keys: String, part: String) {
    let (_, problems) = ScenarioFile.parse("configuration: {bms1-slaves: 1}\ninstallation: {\(keys)}", path: "x")
    #expect(problems.contains { $0.description.contains(part) }, "\(problems)")
  }
}
