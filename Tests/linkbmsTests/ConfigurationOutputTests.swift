import Controller
import Formats
import Foundation
import Simulation
import Testing

@testable import linkbms

/// Whatever saves a configuration keeps the digital lines of its file. The pages do so in `RunPagesTests`.
@Suite struct ConfigurationOutputTests {
  private let folder: TestFolder
  private var config: String { folder.file("bms.yaml") }
  private static let lines =
    "# the cabinet's computer\ngpio:\n  chip: gpiochip0  # the header\n  outputs:\n    - running=17\n    - fault=4:low\n"
    + "  reset-button: 27:low\n"

  init() throws { folder = try TestFolder() }

  private func file() throws -> String { try String(contentsOfFile: config, encoding: .utf8) }
  private func put(_ text: String) throws { try text.write(toFile: config, atomically: true, encoding: .utf8) }
  private func command(_ words: String...) throws -> (status: Int32, output: String, errors: String) {
    try run(BuiltProgram.path, ["config"] + words + ["--file", config])
  }

  @Test func aFileIsWrittenWithItsLinesOrNotAtAll() throws {
    try ConfigurationOutput.write(Configuration(), to: config)
    #expect(try file() == ConfigurationFile.text(Configuration()))
    try put("version: 1\n" + Self.lines)
    try ConfigurationOutput.write(Configuration(preset: .liIon), to: config)
    #expect(try file() == ConfigurationFile.text(Configuration(preset: .liIon)) + "\n" + Self.lines)
    let broken = try file().replacing("running=17", with: "runing=17")
    try put(broken)
    let error = #expect(throws: WorldError.self) { try ConfigurationOutput.write(Configuration(), to: config) }
    #expect(error?.message.contains("gpio, outputs: found \"runing=17\"") ?? false, "\(error?.message ?? "")")
    #expect(error?.message.contains("nothing is overwritten") ?? false, "\(error?.message ?? "")")
    #expect(try file() == broken)
    // The file is gone: whoever has read its lines writes them again.
    try FileManager.default.removeItem(atPath: config)
    let section = try #require(ConfigurationFile.parse("version: 1\n" + Self.lines).gpio)
    try ConfigurationOutput.write(Configuration(), to: config, lines: section)
    let reading = ConfigurationFile.parse(try file())
    #expect(reading.gpio == section && reading.hasChecksum && reading.complaints.isEmpty, "\(reading)")
  }

  @Test func theCommandKnowsTheSection() throws {
    #expect(try command("set", "charge-current-max=7").status == 0)
    try put(try file() + "\n" + Self.lines)
    let checked = try command("check")
    #expect(checked.status == 0 && checked.output == "\(config): valid\n", "\(checked)")
    #expect(try command("set", "charge-current-max=8").status == 0 && file().hasSuffix("\n" + Self.lines))
    #expect(try command("preset", "li-ion").status == 0 && file().hasSuffix("\n" + Self.lines))
    #expect(try file().contains("charge-current-max: 8"))

    let shown = try command("show")
    #expect(shown.status == 0 && shown.output.contains("\ngpio.chip gpiochip0\ngpio.outputs running=17,fault=4:low\n"), "\(shown)")
    #expect(shown.output.contains("\ngpio.reset-button 27:low\n") && !shown.output.contains("gpio.inputs"), "\(shown)")
    let object = try command("show", "--format", "json")
    let part =
      "\"gpio\":{\"chip\":\"gpiochip0\",\"outputs\":[\"running=17\",\"fault=4:low\"],\"inputs\":[],\"reset-button\":\"27:low\"}"
    #expect(object.output.contains("," + part + "}"), "\(object)")
    #expect(try JSONSerialization.jsonObject(with: Data(object.output.utf8)) is [String: Any])
    #expect(try command("show", "gpio").errors.contains("the section gpio is written into the file by hand"))

    // Other lines are a difference; a section that is broken is named, and stays.
    try put(try file().replacing("running=17", with: "running=18"))
    try ConfigurationOutput.write(Configuration(preset: .liIon), to: folder.file("other.yaml"))
    let compared = try command("diff", folder.file("other.yaml"), config)
    #expect(compared.status == 1, "\(compared)")
    #expect(
      compared.output.contains("gpio: none → chip gpiochip0, outputs running=18,fault=4:low, reset-button 27:low"), "\(compared)")
    let broken = try file().replacing("fault=4", with: "fault=18")
    try put(broken)
    let wrong = try command("check")
    #expect(wrong.status == 1 && wrong.output.contains(": GPIO line 18: is named twice, expected each line once"), "\(wrong)")
    #expect(try command("set", "charge-current-max=9").status == 2 && file() == broken)
  }

  @Test func aCommissioningKeepsTheLines() throws {
    let scenario = try CommissioningRig.scenario("wrong-preset")
    try put(ConfigurationFile.text(scenario.configuration) + "\n" + Self.lines)
    let plant = CommissioningRig.folder.appendingPathComponent("wrong-preset.yaml").path
    let answers = try String(contentsOf: CommissioningRig.folder.appendingPathComponent("good-one-chain.answers"), encoding: .utf8)
    let result = try run(
      BuiltProgram.path,
      ["commission", "--state", folder.file("state.json"), "--simulate", plant, "--answers", "-", "--config", config],
      input: answers + "offer-configuration: yes\n")
    #expect(result.status == 0, "\(result)")
    let written = try file()
    #expect(written.contains("cell-charge-disable: 3.55") && written.hasSuffix("\n" + Self.lines), "\(written)")
  }
}
