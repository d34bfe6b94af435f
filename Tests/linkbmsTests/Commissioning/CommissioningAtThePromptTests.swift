import Controller
import Formats
import Foundation
import Testing

@testable import linkbms

/// `commission` at the prompt, on a real bus: what it wants first, and that the prompt is there again afterwards.
@Suite(.serialized) struct CommissioningAtThePromptTests {
  private let bus = NetworkBus()
  private let folder: TestFolder
  private let plant = CommissioningRig.folder.appendingPathComponent("good-one-chain.yaml").path

  init() throws { folder = try TestFolder() }

  private var command: String {
    "commission --simulate \(plant) --can \(bus.address) --speed 40 --state \(folder.file("state.json"))"
  }

  private func prompt(_ lines: String...) throws -> (status: Int32, text: String) {
    let program = try LiveProcess(BuiltProgram.path, ["shell", "-c", lines.joined(separator: "\n")])
    return (program.end(within: 300), program.text)
  }

  @Test func nothingIsSentOnABusThatIsNotArmed() throws {
    let result = try prompt(command)
    #expect(result.status == 2 && result.text.contains("\(bus.address) is not armed"), "\(result)")
    #expect(!FileManager.default.fileExists(atPath: folder.file("state.json")))
  }

  @Test func norDoesARunSend() throws {
    let run = "run --simulate \(plant) --can \(bus.address) --speed 40 --for 2s --state \(folder.file("run.state"))"
    let refused = try prompt(run)
    #expect(refused.status == 2 && refused.text.contains("\(bus.address) is not armed"), "\(refused)")
    let allowed = try prompt("arm \(bus.address)", run)
    #expect(allowed.status == 0 && allowed.text.contains("ended in order"), "\(allowed)")
  }

  @Test(arguments: ["capture BUS --write FILE &", "open --live BUS --protocol deye-hv"])
  func nothingGoesOnBesideIt(other: String) throws {
    let line = other.replacingOccurrences(of: "BUS", with: bus.address)
      .replacingOccurrences(of: "FILE", with: folder.file("x.pcapng"))
    let result = try prompt("arm \(bus.address)", line, command)
    #expect(result.status == 2 && result.text.contains("found jobs or an open live bus"), "\(result)")
    #expect(!FileManager.default.fileExists(atPath: folder.file("state.json")))
  }

  @Test func aScriptCommissionsAfterArming() throws {
    let inverter = try inverter()
    defer { inverter.signal(SIGTERM) }
    let answers = folder.file("answers.txt")
    let lines = CommissioningRig.answers.filter { $0.key != "name" }.map { "\($0.key): \($0.value)\n" }
    try lines.joined().write(toFile: answers, atomically: true, encoding: .utf8)
    let result = try prompt("arm \(bus.address)", "\(command) --answers \(answers)")
    #expect(result.status == 2 && result.text.contains("Step 12 passed"), "\(result)")
    #expect(result.text.contains("no answer to 13.name"), "\(result)")
  }

  /// Contactors are closed, somebody types Ctrl-C: they open, and the prompt is there again. The keys are in
  /// `PseudoTerminal/commission_prompt.py`.
  @Test func controlCOpensAndLeadsBackToThePrompt() throws {
    guard try run("/usr/bin/env", ["python3", "-c", "import pexpect"]).status == 0 else {
      print("SKIPPED: commissioning was not tried at the prompt; install python3-pexpect")
      #expect(ProcessInfo.processInfo.environment["CI"] == nil, "python3-pexpect is missing")
      return
    }
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    #expect(rig.go(until: "contactors")?.id == "contactors")
    var kept = rig.run.state
    kept.plant = plant
    try CommissioningStateFile.text(kept).write(toFile: folder.file("state.json"), atomically: true, encoding: .utf8)
    let inverter = try inverter()
    defer { inverter.signal(SIGTERM) }
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("PseudoTerminal/commission_prompt.py").path
    let commission = "\(command) --resume --record \(folder.file("run.pcapng"))"
    let result = try run("/usr/bin/env", ["python3", script, BuiltProgram.path, bus.address, commission])
    #expect(result.status == 0, "\(result)")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".pcapng.log") }
    let log = try String(contentsOfFile: folder.file(try #require(names.first)), encoding: .utf8)
    let orders = log.split(separator: "\n").filter { $0.contains("PDU ordered") }
    #expect(orders.contains { $0.contains("negative + positive closed") }, "\(orders)")
    #expect(orders.last?.contains("open") == true, "\(orders)")
    let state = try CommissioningStateFile.parse(
      try String(contentsOfFile: folder.file("state.json"), encoding: .utf8), path: "state")
    #expect(state[16]?.actions.last == "contactors: opened, a signal ended the program", "\(String(describing: state[16]))")
  }

  private func inverter() throws -> LiveProcess {
    let program = try bus.start("virtual", "inverter", "--profile", "deye-hv", "--can", "@", "--speed", "40")
    #expect(program.printed(" s  "), "\(program.text)")
    return program
  }
}
