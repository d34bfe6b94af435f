import Controller
import Formats
import Foundation
import Simulation
import Testing

@testable import linkbms

/// The configuration's file, changed by a person while a commissioning goes on or rests.
@Suite struct CommissioningEditTests {
  private func rig(until question: String) throws -> CommissioningRig {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    #expect(rig.go(until: question)?.id == question)
    return rig
  }

  /// The run's configuration with one item changed.
  private func changed(_ rig: CommissioningRig, _ item: ConfigurationItem, _ value: Int32) -> CommissioningRun.Edit {
    var wanted = rig.run.configuration
    wanted[item] = value
    return .init(configuration: wanted, file: "c.yaml")
  }

  private func settle(_ rig: inout CommissioningRig) { while rig.run.isWatching { rig.step() } }

  // MARK: What was judged by what

  @Test func whatDiffersIsNamed() throws {
    let old = try CommissioningRig.scenario("good-one-chain").configuration
    var new = old
    #expect(ConfigurationChange(from: old, to: new).isEmpty)
    new[.capacity] = 77_000
    new.setSensors(0b1000, ofModule: 2)
    let change = ConfigurationChange(from: old, to: new)
    #expect(change.lines == ["capacity: 100 Ah → 77 Ah", "bms1-sensors.3: T4,T5 → T4"], "\(change.lines)")
    #expect(change.names == "capacity, sensors")
    // What no file can name is no difference.
    new = old
    new.setSensors(1, ofModule: 20)
    #expect(ConfigurationChange(from: old, to: new).isEmpty)
  }

  @Test(
    arguments: [
      (.capacity, 77_000, [7, 16]), (.inverterProtocol, 2, [12, 16]), (.chargeCurrentMax, 20_000, [10, 16]),
      (.currentHigh, 49_000, [15, 16]), (.ntcBeta, 3900, [7, 8, 16]), (.usedCells, 13, []), (.balanceDifference, 120, [16]),
      (.bms1Cells, 9, [7, 8, 9, 10, 12, 14, 15, 16]),
    ] as [(ConfigurationItem, Int32, Set<Int>)])
  func stepsAreConcernedByWhatTheyWereJudgedBy(item: ConfigurationItem, value: Int32, steps: Set<Int>) throws {
    let old = try CommissioningRig.scenario("good-one-chain").configuration
    var new = old
    new[item] = value
    if item == .bms1Cells { new[.cellCount] = 12 * value }
    #expect(new.violationCount == 0)
    let change = ConfigurationChange(from: old, to: new)
    let concerned = try CommissioningRig.guide().steps.filter { change.concerns($0) }.map(\.number)
    #expect(Set(concerned) == steps, "\(concerned)")
  }

  // MARK: While it goes on

  @Test func whatWasEditedCountsAndIsJudgedAgain() throws {
    var rig = try rig(until: "switch-voltage")
    rig.obey(rig.run.edited(changed(rig, .capacity, 77_000)))
    settle(&rig)
    #expect(rig.run.state.step == 7 && rig.run.question?.id == "chemistry")
    #expect(rig.texts.contains { $0.contains("capacity: 100 Ah → 77 Ah") })
    #expect(rig.texts.contains { $0.contains("done again: step 7.") }, "\(rig.texts.suffix(6))")
    #expect(rig.run.state[7]?.earlier.last?.reason == "c.yaml was edited (capacity)")
    #expect(rig.run.state[7]?.actions == ["c.yaml was edited: capacity: 100 Ah → 77 Ah"])
    #expect(ConfigurationFile.parse(rig.run.state.configuration).configuration[.capacity] == 77_000)
    // Step 7 again, then where it stood; nothing was written over the file.
    #expect(rig.go(["capacity": "77"], until: "switch-voltage")?.id == "switch-voltage")
    #expect(rig.run.state[7]?.verdict == .passed && rig.run.state[7]?.attempts == 2 && rig.run.state[8]?.attempts == 1)
    // Obeyed in the next step.
    _ = rig.plant.step(isFine: false)
    #expect(rig.plant.configuration[.capacity] == 77_000 && rig.written.isEmpty)
  }

  @Test func anotherProtocolIsNotSpokenBeforeItWasHeard() throws {
    var rig = try rig(until: "name")
    #expect(rig.run.mayTalk)
    rig.obey(rig.run.edited(changed(rig, .inverterProtocol, InverterProtocol.goodwe.rawValue)))
    settle(&rig)
    #expect(!rig.run.mayTalk && rig.run.state.step == 12 && rig.run.state[12]?.verdict == .begun)
  }

  /// A real controller takes over what it is built of with open contactors only.
  @Test func contactorsOpenBeforeAnEditIsTakenOver() throws {
    var rig = try rig(until: "clamp")
    #expect(rig.plant.step(isFine: false).engine.outputs.contactors == [.negative, .positive])
    let outputs = rig.run.edited(changed(rig, .overcurrentProtect, 54_000))
    let first = outputs.first { if case .order = $0 { true } else { false } }
    if case .order(.hold)? = first {} else { Issue.record("\(outputs)") }
    rig.obey(outputs)
    var isConfigured = false
    while rig.run.isWatching, !isConfigured {
      let step = rig.plant.step(isFine: false)
      let outputs = rig.run.take(step)
      isConfigured = outputs.contains { if case .order(.configure) = $0 { true } else { false } }
      #expect(!isConfigured || step.engine.outputs.contactors.isEmpty)
      rig.obey(outputs)
    }
    #expect(isConfigured && rig.run.state.step == 16 && rig.run.state[16]?.attempts == 2)
    #expect(rig.run.state[16]?.actions.contains("contactors: opened, c.yaml was edited") == true)
    #expect(rig.run.question?.id == "contactors")
  }

  @Test func backGoesBackByWhatTheFileSays() throws {
    var rig = try rig(until: "polarity")
    var edit = changed(rig, .usedCells, 13)
    edit.goesBack = true
    rig.obey(rig.run.edited(edit))
    settle(&rig)
    #expect(rig.run.state.step == 10 && rig.run.configuration[.usedCells] == 13)
    #expect(rig.texts.contains { $0.contains("No step that is passed was judged by that") })
  }

  /// After a jump back an accepted offer changes what later steps were judged by.
  @Test func anOfferSendsLaterStepsBack() throws {
    var rig = try rig(until: "name")
    rig.run.state.step = 8
    rig.obey(rig.run.answer("back"))
    #expect(rig.run.state.step == 7)
    #expect(rig.go(["ntc-beta": "3900", "offer-configuration": "yes"], until: "ambient")?.id == "ambient")
    #expect(rig.run.configuration[.ntcBeta] == 3900 && rig.run.state[7]?.verdict == .passed)
    #expect(rig.run.state[8]?.attempts == 2 && rig.run.state[9]?.verdict == .passed)
    let reason = rig.run.state[8]?.earlier.last?.reason
    #expect(reason?.hasPrefix("step 7 changed the configuration (") == true, "\(String(describing: reason))")
  }

  /// A state that does not tell by what its steps were judged: what was checked is checked again, what was said stands.
  @Test func withoutABasisEverythingIsCheckedAgain() throws {
    let before = try rig(until: "series")
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"), state: before.run.state)
    rig.run.isBasisUnknown = true
    rig.obey(rig.run.start())
    let checked = rig.run.guide.steps.filter { step in
      step.number < 14 && step.stages.contains { if case .check = $0 { true } else { false } }
    }
    #expect(rig.run.state.step == checked.first?.number)
    for step in rig.run.guide.steps where step.number < 14 && step.number != rig.run.state.step {
      let isChecked = checked.contains { $0.number == step.number }
      #expect(isChecked == (rig.run.state[step.number]?.verdict == .deferred), "step \(step.number)")
    }
    #expect(!rig.run.state.configuration.isEmpty && !rig.run.mayTalk)
  }

  @Test func aFileThatCannotBeUsedFailsTheStep() throws {
    var rig = try rig(until: "switch-voltage")
    rig.obey(rig.run.refused("c.yaml: line 3: capacity: found \"much\""))
    #expect(rig.run.question?.id == "again" && rig.failed?.record.measured.hasPrefix("c.yaml: line 3") == true)
    #expect(rig.written.isEmpty)
  }

  // MARK: While it rests

  @Test func aResumedRunBeginsByWhatTheFileSays() throws {
    let before = try rig(until: "series")
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"), state: before.run.state)
    let edit = changed(rig, .chargeCurrentMax, 20_000)
    rig.plant.perform(.configure(edit.configuration))
    rig.obey(rig.run.start(edit))
    #expect(rig.run.state.step == 10 && rig.run.question?.id == "switch-voltage")
    #expect(rig.texts.contains { $0.contains("charge-current-max: 25 A → 20 A") })
    #expect(rig.run.state[14]?.verdict == .begun)
  }

  /// What was known of contactors is told first, whatever step comes then.
  @Test func anEditLosesNoContactorAction() throws {
    var before = try rig(until: "contactors")
    before.obey(before.run.answer(ContactorPermission.words))
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"), state: before.run.state)
    rig.obey(rig.run.start(changed(rig, .capacity, 77_000)))
    #expect(rig.run.state.step == 7)
    let last = rig.run.state[16]?.actions.last
    #expect(last?.hasPrefix("contactors: opened, the program had ended") == true, "\(String(describing: last))")
  }

  // MARK: The program

  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("commission-edit-\(UUID().uuidString)")
  private var state: String { folder.appendingPathComponent("state.json").path }
  private var config: String { folder.appendingPathComponent("c.yaml").path }
  private var plant: String { CommissioningRig.folder.appendingPathComponent("good-one-chain.yaml").path }

  /// At a question, with a file that says what the plant is set to.
  private func standing(at question: String) throws -> RunningProgram {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let scenario = try CommissioningRig.scenario("good-one-chain")
    var kept = try rig(until: question).run.state
    kept.plant = plant
    try CommissioningStateFile.text(kept).write(toFile: state, atomically: true, encoding: .utf8)
    try ConfigurationFile.text(scenario.configuration).write(toFile: config, atomically: true, encoding: .utf8)
    return try RunningProgram(["commission", "--simulate", plant, "--config", config, "--state", state, "--resume"])
  }

  private func set(_ item: String) throws {
    let result = try run(BuiltProgram.path, ["config", "set", "--file", config, item])
    #expect(result.status == 0, "\(result)")
  }

  private var written: Configuration {
    get throws { ConfigurationFile.parse(try String(contentsOfFile: config, encoding: .utf8)).configuration }
  }

  @Test func repeatReadsTheFileAgain() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let program = try standing(at: "chemistry")
    for line in ["lfp", "120", "10000", "3950"] { program.tell(line) }
    #expect(program.says("Change that?"), "\(program.text)")
    program.tell("no")
    #expect(program.says("What now?"), "\(program.text)")
    try set("capacity=120")
    program.tell("repeat")
    #expect(program.says("capacity: 100 Ah → 120 Ah", count: 2), "\(program.text)")
    for line in ["lfp", "120", "10000", "3950"] { program.tell(line) }
    #expect(program.says("Step 7 passed, attempt 2."), "\(program.text)")
    #expect(program.says("attempt 1: failed"), "\(program.text)")
    program.tell("quit")
    #expect(program.end() == 1)
    #expect(try written[.capacity] == 120_000)
  }

  @Test func nothingIsWrittenOverAnEdit() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let program = try standing(at: "chemistry")
    for line in ["lfp", "120", "10000", "3950"] { program.tell(line) }
    #expect(program.says("Change that?"), "\(program.text)")
    try set("capacity=90")
    program.tell("yes")
    #expect(program.says("capacity: 100 Ah → 90 Ah"), "\(program.text)")
    program.tell("quit")
    #expect(program.end() == 1)
    #expect(try written[.capacity] == 90_000, "\(program.text)")
  }

  @Test func aBrokenFileIsLeftAlone() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let program = try standing(at: "chemistry")
    for line in ["lfp", "120", "10000", "3950"] { program.tell(line) }
    #expect(program.says("Change that?"), "\(program.text)")
    try "version: 1\ncapacity: much\n".write(toFile: config, atomically: true, encoding: .utf8)
    program.tell("yes")
    #expect(program.says("What now?") && program.text.contains("The configuration's file"), "\(program.text)")
    program.tell("quit")
    #expect(program.end() == 1)
    #expect(try String(contentsOfFile: config, encoding: .utf8) == "version: 1\ncapacity: much\n")
  }

  /// An accepted offer, an edit, and the state goes on: by the edit, and it says so.
  @Test func resumeTakesTheFilesValues() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    func commission(_ more: [String], _ changes: [String: String], without: String? = nil) throws -> (status: Int32, text: String) {
      let answers = CommissioningRig.answers.merging(changes) { $1 }.filter { $0.key != without }
      let lines = answers.flatMap { answer in
        [String](repeating: "\(answer.key): \(answer.value)\n", count: answer.key == "contactors" ? 2 : 1)
      }
      let result = try run(
        BuiltProgram.path,
        ["commission", "--simulate", plant, "--config", config, "--state", state, "--answers", "-"] + more, input: lines.joined())
      return (result.status, result.output + result.errors)
    }
    let offer = ["capacity": "120", "offer-configuration": "yes"]
    var result = try commission([], offer, without: "switch-voltage")
    #expect(result.status == 2 && result.text.contains("no answer to 10.switch-voltage"), "\(result)")
    #expect(try written[.capacity] == 120_000)
    try set("capacity=77")
    result = try commission(["--resume"], ["capacity": "77"])
    #expect(result.text.contains("capacity: 120 Ah → 77 Ah") && result.text.contains("step 7."), "\(result)")
    #expect(result.status == 0, "\(result)")
    #expect(try written[.capacity] == 77_000)
  }
}
