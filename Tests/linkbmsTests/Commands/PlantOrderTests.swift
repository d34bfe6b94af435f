import Formats
import Simulation
import Testing

@testable import linkbms

/// What may be typed to `virtual slaves`.
@Suite struct PlantOrderTests {
  /// Two modules on BMS1 and three on BMS2, of eight cells each.
  private func plant() -> VirtualPlant {
    let text = "configuration: {preset: lfp, bms1-slaves: 2, bms1-cells-per-module: 8, bms2-slaves: 3, bms2-cells-per-module: 8}\n"
    let (scenario, problems) = ScenarioFile.parse(text, path: "test", allowsViolations: true)
    #expect(problems.isEmpty, "\(problems)")
    return VirtualPlant(scenario)
  }

  @Test(arguments: [
    "slave-dead 2", "slave-dead 1:2", "cut 2:3", "sense-wire 2 8", "ntc-open 1 5", "ntc-shorted 2:1 1", "cell 1 4 3.9", "hot 1 70",
    "noise 20", "ignore-limits -60", "weld positive", "stuck negative", "pdu-silent", "output-shorted",
  ])
  func whatCanBeIsDone(order: String) {
    var plant = plant()
    let answer = PlantOrder.obey(order, &plant)
    #expect(answer == "fault: \(order)" && plant.faults.count == 1, "\(answer)")
  }

  @Test(arguments: [
    ("sense-wire 2 999", "sense-wire: found \"999\", expected a cell, 1 to 8"),
    ("sense-wire 1 0", "sense-wire: found \"0\", expected a cell, 1 to 8"),
    ("cell 1 0 3", "cell: found \"0\", expected a cell, 1 to 8"), ("cell 1 4 6", "cell: found \"6\", expected 0 to 5 V"),
    ("ntc-open 1 -1", "ntc-open: found \"-1\", expected a sensor, 1 to 5"),
    ("ntc-shorted 1 6", "ntc-shorted: found \"6\", expected a sensor, 1 to 5"),
    ("slave-dead 3", "slave-dead: found \"3\", expected a module, 1 to 2 or 2:1 to 2:3"),
    ("slave-dead 3:1", "slave-dead: found \"3:1\", expected a module, 1 to 2 or 2:1 to 2:3"),
    ("cut 2:4", "cut: found \"2:4\", expected a module, 1 to 2 or 2:1 to 2:3"),
    ("hot 1 900", "hot: found \"900\", expected -60 to 200 °C"), ("noise 101", "noise: found \"101\", expected 0 to 100 %"),
    ("ignore-limits nan", "ignore-limits: found \"nan\", expected -500 to 500 A"),
    ("weld left", "\"weld left\" is no order: "), ("cell 1 4", "\"cell 1 4\" is no order: "),
  ])
  func whatCannotActIsRefusedWithWhatIsExpected(order: String, words: String) {
    var plant = plant()
    let answer = PlantOrder.obey(order, &plant)
    #expect(answer.hasPrefix(words) && plant.faults.isEmpty, "\(answer)")
  }
}
