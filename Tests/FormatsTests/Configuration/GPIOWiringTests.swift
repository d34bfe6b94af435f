import Testing

@testable import Formats

@Suite struct GPIOWiringTests {
  @Test func wordsBecomeLines() throws {
    let wiring = try GPIOWiring(
      outputs: ["running=17", "fault=4:low"], inputs: ["open=22:low:pull-up", "watch=23:pull-down"], button: "27:pull-up:low")
    #expect(wiring.outputs.map(\.use) == [.running, .fault])
    #expect(wiring.outputs.map(\.line) == [.init(number: 17), .init(number: 4, isActiveLow: true)])
    #expect(wiring.inputs[0].line == .init(number: 22, isActiveLow: true, pull: .up))
    #expect(wiring.inputs[1] == (use: .watch, line: .init(number: 23, pull: .down)))
    #expect(wiring.lines.map(\.number) == [17, 4, 22, 23, 27])
    #expect(try GPIOWiring(outputs: [], inputs: [], button: nil).isEmpty)
    // And back.
    #expect(wiring.outputWords == ["running=17", "fault=4:low"])
    #expect(wiring.inputWords == ["open=22:low:pull-up", "watch=23:pull-down"])
    #expect(wiring.buttonWord == "27:low:pull-up")
    #expect(try GPIOWiring(outputs: wiring.outputWords, inputs: wiring.inputWords, button: wiring.buttonWord) == wiring)
  }

  @Test(
    arguments: [
      (["running"], [], nil, "--gpio-output: found \"running\", expected USE=LINE with one of running, charge, discharge, fault"),
      (["open=1"], [], nil, "expected USE=LINE"), ([], ["running=1"], nil, "one of open, watch"),
      ([], ["open=x"], nil, "the number of a line"),
      ([], ["open=-1"], nil, "the number of a line"), ([], ["open=4096"], nil, "the number of a line"),
      ([], ["open="], nil, "the number of a line"),
      ([], ["open=1:high"], nil, "found \"high\""), ([], ["open=1:low:low"], nil, "each once"),
      ([], ["open=1:pull-up:pull-down"], nil, "each once"),
      (["running=1", "fault=1"], [], nil, "GPIO line 1: is named twice"), (["running=1"], [], "1", "GPIO line 1: is named twice"),
      (["running=1", "running=2"], [], nil, "running is named twice"), (["running=1:pull-up"], [], nil, "at inputs only"),
      ([], ["watch=1", "watch=2", "watch=3", "watch=4", "open=5"], nil, "found 5, expected at most 4"),
    ] as [([String], [String], String?, String)])
  func whatIsNoWiringIsNamed(outputs: [String], inputs: [String], button: String?, words: String) {
    let problem = #expect(throws: GPIOWiring.Problem.self) { try GPIOWiring(outputs: outputs, inputs: inputs, button: button) }
    #expect(problem?.description.contains(words) ?? false, "\(problem?.description ?? "")")
  }

  @Test func everythingThatIsWrongIsCollectedWithItsPlace() {
    let names = GPIOWiring.Names(outputs: "lamps", inputs: "contacts", button: "knob")
    let (_, problems) = GPIOWiring.read(
      outputs: ["running=1", "runing=2", "fault=1"], inputs: ["open=3", "watch=3"], button: "x", as: names)
    #expect(problems.map(\.place) == [.output(1), .button, .output(2), .input(1)])
    #expect(problems.first?.description.hasPrefix("lamps: found \"runing=2\"") ?? false, "\(problems)")
    #expect(GPIOWiring.read(outputs: [], inputs: ["open=1"], button: "2", as: names).problems.isEmpty)
  }
}
