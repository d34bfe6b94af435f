import Formats
import Foundation
import Glibc
import Testing

@testable import linkbms

/// Digital lines of the configuration's file, beside those of the command line. Real lines are in tools/vm-test.d/gpio.sh.
@Suite(.serialized) struct RunGPIOTests {
  private static func options(
    _ chip: String? = nil, outputs: [String] = [], inputs: [String] = [], button: String? = nil
  ) -> GPIOOptions {
    var options = GPIOOptions()
    options.gpio = chip
    options.gpioOutput = outputs
    options.gpioInput = inputs
    options.gpioResetButton = button
    return options
  }

  private static func section(
    _ chip: String = "gpiochip0", outputs: [String] = ["running=1"], inputs: [String] = ["open=2"], button: String? = "3"
  ) throws -> GPIOSection {
    GPIOSection(chip: chip, wiring: try GPIOWiring(outputs: outputs, inputs: inputs, button: button))
  }

  @Test func anOptionWinsOverTheSameOfTheSectionAndNothingElse() throws {
    func used(_ options: GPIOOptions) throws -> GPIOSection? { try options.lines(over: Self.section(), of: "bms.yaml") }
    #expect(try used(Self.options()) == Self.section())
    #expect(try used(Self.options("gpiochip4")) == Self.section("gpiochip4"))
    #expect(try used(Self.options(outputs: ["fault=7", "charge=8"])) == Self.section(outputs: ["fault=7", "charge=8"]))
    // An input that keeps the contactors open does not get lost because a lamp is named.
    #expect(try used(Self.options("gpiochip4", outputs: ["fault=7"], button: "9"))?.wiring.inputWords == ["open=2"])
    #expect(try used(Self.options(inputs: ["open=2:low", "watch=5"])) == Self.section(inputs: ["open=2:low", "watch=5"]))
    for inputs in [["watch=2"], ["watch=23"], ["open=5"]] {
      let lost = #expect(throws: WorldError.self) { try used(Self.options(inputs: inputs)) }
      #expect(lost?.message.contains("of bms.yaml; expected open=2 among them") == true, "\(lost?.message ?? "")")
    }
    // One that is only watched may go.
    let watched = try Self.section(inputs: ["watch=2"])
    #expect(try Self.options(inputs: ["watch=5"]).lines(over: watched, of: "bms.yaml") == Self.section(inputs: ["watch=5"]))
    #expect(try used(Self.options(button: "9:low")) == Self.section(button: "9:low"))
    // Without a section the options are all there is.
    #expect(try Self.options().lines(over: nil, of: "bms.yaml") == nil)
    #expect(
      try Self.options("gpiochip1", button: "5").lines(over: nil, of: "bms.yaml")
        == Self.section("gpiochip1", outputs: [], inputs: [], button: "5"))
  }

  @Test func whatDoesNotGoTogetherIsNamed() throws {
    let clash = #expect(throws: WorldError.self) {
      try Self.options(outputs: ["fault=2"]).lines(over: Self.section(), of: "bms.yaml")
    }
    #expect(
      clash?.message
        == "GPIO line 2: is named twice, expected each line once; the options and the section gpio of bms.yaml do not go together")
    let half = #expect(throws: WorldError.self) { try Self.options(outputs: ["fault=2"]).lines(over: nil, of: "bms.yaml") }
    #expect(half?.message == "--gpio: found none, expected the chip of these lines; bms.yaml has no section gpio")
    // Before any file is read: words that are none, and with no file what is missing.
    #expect(throws: (any Error).self) { try Self.options(outputs: ["closed=2"]).check(hasFile: true) }
    #expect(throws: (any Error).self) { try Self.options(outputs: ["fault=2"]).check(hasFile: false) }
    try Self.options(outputs: ["fault=2"]).check(hasFile: true)
  }

  // MARK: As a process

  /// A chip that no machine has.
  private static let lines = "# the cabinet's computer\ngpio:\n  chip: gpiochip4711\n  inputs: [open=22:low]\n"

  private static func add(_ lines: String, to folder: RunFolder) throws {
    let text = try String(contentsOfFile: folder.config, encoding: .utf8)
    try (text + "\n" + lines).write(toFile: folder.config, atomically: true, encoding: .utf8)
  }

  @Test func theFilesChipIsAskedForUnlessAnOptionNamesAnother() throws {
    let folder = try RunFolder()
    try Self.add(Self.lines, to: folder)
    let start = ["run", "--config", folder.config, "--chain", "tap+tcp://127.0.0.1:1"]
    let file = try run(BuiltProgram.path, start)
    #expect(file.status == 2 && file.errors.contains("\(folder.config): gpio: gpiochip4711"), "\(file)")
    let option = try run(BuiltProgram.path, start + ["--gpio", "gpiochip4712"])
    #expect(option.status == 2 && option.errors.contains("--gpio: gpiochip4712"), "\(option)")
    // The service gets the right to use it.
    let unit = try run(BuiltProgram.path, start + ["--print-unit"])
    #expect(unit.output.contains("SupplementaryGroups=dialout gpio\n"), "\(unit)")
    let without = try RunFolder()
    let other = try run(BuiltProgram.path, ["run", "--config", without.config, "--chain", "tap+tcp://t:1", "--print-unit"])
    #expect(other.output.contains("SupplementaryGroups=dialout\n"), "\(other)")
  }

  /// An input that keeps the contactors open in a run does so in a commissioning; without it none begins.
  @Test func aCommissioningTakesTheFilesLines() throws {
    let folder = try RunFolder()
    let bus = NetworkBus()
    func commission() throws -> (status: Int32, output: String, errors: String) {
      try run(
        BuiltProgram.path,
        [
          "commission", "--config", folder.config, "--can", bus.address, "--chain", "tap+tcp://127.0.0.1:1", "--state",
          folder.path + "/commission.json", "--answers", "/dev/null",
        ])
    }
    try Self.add(Self.lines, to: folder)
    let result = try commission()
    #expect(result.status == 2 && result.errors.contains("\(folder.config): gpio: gpiochip4711"), "\(result)")
    // What the button does belongs to a run: it takes no line here.
    let text = try String(contentsOfFile: folder.config, encoding: .utf8)
    try text.replacing("inputs: [open=22:low]", with: "reset-button: 27").write(
      toFile: folder.config, atomically: true, encoding: .utf8)
    let button = try commission()
    #expect(!button.errors.contains("gpiochip4711"), "\(button)")
    #expect(try GPIOWiring(outputs: ["fault=4"], inputs: ["open=22"], button: "27").withoutButton.lines.count == 2)
  }

  /// In CONFIG ERR a page could save another configuration, and the contactors would close without the input.
  @Test(arguments: [
    ("open=22", "opn=22", "gpio, inputs: found \"opn=22:low\", expected USE=LINE"),
    ("gpio:", "gpoi:", "gpoi: found an unknown key"),
    ("gpio:\n  chip: gpiochip4711\n  inputs: [open=22:low]", "gpio-input: open=22:low", "gpio-input: found an unknown key"),
    ("[open=22:low]", "[open=22:low", "which digital lines are meant is not known"),
  ])
  func linesThatAreNotKnownLetNothingBegin(right: String, wrong: String, words: String) throws {
    let folder = try RunFolder()
    try Self.add(Self.lines.replacing(right, with: wrong), to: folder)
    for more in [[], ["--gpio", "gpiochip4711"]] {
      let result = try run(BuiltProgram.path, ["run", "--config", folder.config, "--chain", "tap+tcp://127.0.0.1:1"] + more)
      #expect(result.status == 2, "\(result)")
      #expect(result.errors.contains("\(folder.config): line ") && result.errors.contains(words), "\(result)")
      #expect(result.errors.contains("without them nothing is begun") && !result.errors.contains("CONFIG ERR"), "\(result)")
    }
  }

  @Test func aHangUpSaysThatOtherLinesWaitForTheNextStart() throws {
    let folder = try RunFolder()
    let scenario = folder.path + "/small.yaml"
    try "configuration: {preset: lfp, bms1-slaves: 2, bms1-cells-per-module: 8, protocol: none}\nload: [{at: 0, current: 5}]\n"
      .write(toFile: scenario, atomically: true, encoding: .utf8)
    let program = try RunningProgram(["run", "--simulate", scenario, "--config", folder.config, "--deadline", "900ms"])
    #expect(program.says("→ RUNNING"), "\(program.text)")
    try folder.set("charge-current-max=7")
    program.send(SIGHUP)
    #expect(program.says("configuration in force"), "\(program.text)")
    #expect(!program.text.contains("section gpio"), "\(program.text)")
    try Self.add(Self.lines, to: folder)
    program.send(SIGHUP)
    #expect(
      program.says("\(folder.config): the section gpio has changed: its lines are used when the program is started again"),
      "\(program.text)")
    // One that is broken changes nothing at all.
    try Self.add("  inputs: [opn=1]\n", to: folder)
    program.send(SIGHUP)
    #expect(program.says("nothing is changed"), "\(program.text)")
    #expect(program.text.components(separatedBy: "→ RUNNING").count == 2, "\(program.text)")
    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
  }
}
