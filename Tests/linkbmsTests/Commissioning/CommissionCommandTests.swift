import Foundation
import Testing

@testable import linkbms

/// The command as scripts use it: answers from a file, status and reports out.
@Suite struct CommissionCommandTests {
  private let home = FileManager.default.temporaryDirectory.appendingPathComponent("commission-\(UUID().uuidString)")
  private var plant: String { CommissioningRig.folder.appendingPathComponent("good-one-chain.yaml").path }
  private var answers: String {
    get throws {
      try String(contentsOf: CommissioningRig.folder.appendingPathComponent("good-one-chain.answers"), encoding: .utf8)
    }
  }

  private func commission(_ arguments: [String], input: String = "") throws -> (status: Int32, output: String, errors: String) {
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    return try run(
      BuiltProgram.path, ["commission", "--state", home.appendingPathComponent("state.json").path] + arguments, input: input)
  }

  @Test func aWholeDayFromAFile() throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let path = CommissioningRig.folder.appendingPathComponent("good-one-chain.answers").path
    let report = home.appendingPathComponent("r.json").path
    let result = try commission(["--simulate", plant, "--answers", path, "--report", report])
    #expect(result.status == 0 && result.output.contains("Congratulations"), "\(result)")
    #expect(try String(contentsOfFile: report, encoding: .utf8).contains("\"finished\":true"))
    // Done is done: the next begins anew without being told to.
    #expect(try commission(["--simulate", plant, "--answers", path]).status == 0)
  }

  @Test func answersInOrderFromStandardInput() throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let lines = try answers.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
      String($0[$0.index(after: $0.firstIndex(of: ":") ?? $0.startIndex)...]).trimmed
    }
    let result = try commission(["--simulate", plant, "--answers", "-"], input: lines.joined(separator: "\n"))
    #expect(result.status == 0, "\(result)")
    // And without --answers a pipe is somebody who types.
    #expect(try commission(["--simulate", plant], input: lines.joined(separator: "\n")).status == 0)
  }

  @Test func yesNeverConfirmsWhatIsDangerous() throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let text = try answers.split(separator: "\n").filter { !$0.hasPrefix("contactors") && !$0.hasPrefix("switch-on") }
    var result = try commission(["--simulate", plant, "--yes", "--answers", "-"], input: text.joined(separator: "\n"))
    #expect(result.status == 2 && result.errors.contains("no answer to 15.switch-on"), "\(result)")
    result = try commission(["--simulate", plant, "--yes", "--resume", "--answers", "-"], input: "switch-on: switched on\n")
    #expect(result.status == 2 && result.errors.contains("no answer to 16.contactors"), "\(result)")
    #expect(!result.output.contains("V-out during precharge"))
    // What a script says has to be the words as well.
    let wrong = "contactors: yes\ncontactors: Close contactors\ncontactors: quit\n"
    result = try commission(["--simulate", plant, "--resume", "--answers", "-"], input: wrong)
    #expect(result.status == 1 && !result.output.contains("V-out during precharge"), "\(result)")
  }

  @Test func aFailureIsFindingsAndReported() throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let faulty = CommissioningRig.folder.appendingPathComponent("open-ntc.yaml").path
    let report = home.appendingPathComponent("r.md").path
    let result = try commission(["--simulate", faulty, "--answers", "-", "--report", report], input: try answers)
    #expect(result.status == 1 && result.output.contains("Step 8 failed"), "\(result)")
    #expect(try String(contentsOfFile: report, encoding: .utf8).hasPrefix("# Not commissioned: step 8"))
  }

  @Test func configurationsAreWrittenOnConfirmationOnly() throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let faulty = CommissioningRig.folder.appendingPathComponent("wrong-preset.yaml").path
    let config = home.appendingPathComponent("config.yaml").path
    var result = try commission(
      ["--simulate", faulty, "--answers", "-", "--config", config], input: try answers + "offer-configuration: no\n")
    #expect(result.status == 1 && !FileManager.default.fileExists(atPath: config), "\(result)")
    result = try commission(
      ["--simulate", faulty, "--restart", "--answers", "-", "--config", config], input: try answers + "offer-configuration: yes\n")
    #expect(result.status == 0, "\(result)")
    #expect(try String(contentsOfFile: config, encoding: .utf8).contains("cell-charge-disable: 3.55"))
  }

  @Test(
    arguments: [
      (["--simulate", "/no/such/plant.yaml"], "No such file"), ([], "name a plant"), (["--list", "--step", "17"], "expected 1…16"),
      (["--dry-run", "--report", "x.pdf"], ".md, .json or .html"), (["--dry-run", "--resume", "--restart"], "one of them"),
      (["--simulate", "PLANT", "--resume"], "nothing to go on with"),
    ] as [([String], String)])
  func saysWhatIsWrong(arguments: [String], part: String) throws {
    defer { try? FileManager.default.removeItem(at: home) }
    let result = try commission(arguments.map { $0 == "PLANT" ? plant : $0 })
    #expect(result.status == 2 && result.errors.contains(part), "\(result)")
  }
}
