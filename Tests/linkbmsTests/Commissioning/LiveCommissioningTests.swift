import Bus
import Controller
import Formats
import Foundation
import Simulation
import Testing

@testable import linkbms

/// `linkbms commission` on real ports: inverters and taps are other processes.
@Suite(.serialized) struct LiveCommissioningTests {
  private let bus = NetworkBus()
  private let folder: TestFolder
  private var state: String { folder.file("state.json") }
  private var config: String { folder.file("bms.yaml") }

  init() throws { folder = try TestFolder() }

  private static func plant(_ name: String) -> String {
    CommissioningRig.folder.appendingPathComponent(name + ".yaml").path
  }

  private static func answers(_ changes: [String: String] = [:], without: Set<String> = []) -> String {
    CommissioningRig.answers.merging(["clamp": "0"]) { $1 }.merging(changes) { $1 }.filter { !without.contains($0.key) }
      .map { $0.key == "contactors" ? "contactors: \($0.value)\ncontactors: \($0.value)\n" : "\($0.key): \($0.value)\n" }.joined()
  }

  /// Without the breaks of lines.
  private static func joined(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }

  private func script(_ text: String) throws -> String {
    let path = folder.file("answers-\(UUID().uuidString.prefix(4)).txt")
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  /// A simulated battery, the real bus, time forty times as fast.
  private func commission(_ plant: String, _ answers: String, _ more: [String] = []) throws -> (status: Int32, text: String) {
    let program = try LiveProcess(
      BuiltProgram.path,
      [
        "commission", "--simulate", Self.plant(plant), "--can", bus.address, "--speed", "40", "--state", state, "--config", config,
        "--answers", try script(answers),
      ] + more)
    // Half a minute where nothing else runs.
    return (program.end(within: 300), program.text)
  }

  private func inverter(_ profile: String, speed: String = "40") throws -> LiveProcess {
    let program = try bus.start("virtual", "inverter", "--profile", profile, "--can", "@", "--speed", speed)
    #expect(program.printed(" s  "), "\(program.text)")
    return program
  }

  // MARK: Sound systems

  @Test func aSoundSystemOnOneChain() throws {
    let inverter = try inverter("deye-hv")
    defer { inverter.signal(SIGTERM) }
    let report = folder.file("r.json")
    let result = try commission("good-one-chain", Self.answers(), ["--report", report, "--record", folder.file("run.pcapng")])
    #expect(result.status == 0 && result.text.contains("Congratulations"), "\(result.text)")
    let written = try String(contentsOfFile: report, encoding: .utf8)
    #expect(written.contains("\"finished\":true") && written.contains("12 LinkSlaves, spoken to as MC33771B"), "\(written)")
    #expect(written.contains("\"part\":\"controller\",\"text\":\"linkbms "))
    // What was done is what a run's controller does: the log says each order, and the last one is to open.
    let log = try String(contentsOfFile: folder.file("run-0001.pcapng.log"), encoding: .utf8)
    let orders = log.split(separator: "\n").filter { $0.contains("PDU ordered") }
    #expect(orders.count(where: { $0.contains("negative + positive closed") }) == 2, "\(orders)")
    #expect(orders.last?.contains("open") == true, "\(orders)")
  }

  @Test func aSoundSystemOnTwoChainsBehindGoodWe() throws {
    let inverter = try inverter("goodwe")
    defer { inverter.signal(SIGTERM) }
    let result = try commission(
      "good-two-chains",
      Self.answers([
        "bms1-cells": "12", "bms2-cells": "12", "pin-low": "3.6", "pin-high": "3.75", "bms1-modules": "8", "bms2-modules": "7",
        "chemistry": "li-ion", "capacity": "150", "ambient": "20", "pack-meter": "652",
      ]))
    #expect(result.status == 0 && result.text.contains("Congratulations"), "\(result.text)")
  }

  // MARK: Mistakes of installation

  @Test(arguments: [
    ("swapped-sense-wires", 8, "Two sense wires are exchanged"), ("open-ntc", 8, "An enabled sensor is open"),
    ("chain-reversed", 9, "not even the first module answers"), ("precharge-short", 16, "V-out did not rise"),
    ("current-reversed", 16, "The current sensor is reversed"),
  ])
  func aMistakeFailsAtItsStepWithOpenContactors(plant: String, step: Int, hint: String) throws {
    let inverter = try inverter("deye-hv")
    defer { inverter.signal(SIGTERM) }
    let result = try commission(plant, Self.answers(), ["--record", folder.file("run.pcapng")])
    let text = Self.joined(result.text)
    #expect(result.status == 1 && text.contains("Step \(step) failed"), "\(result.text)")
    #expect(text.contains(hint), "\(result.text)")
    let log = try String(contentsOfFile: folder.file("run-0001.pcapng.log"), encoding: .utf8)
    let orders = log.split(separator: "\n").filter { $0.contains("PDU ordered") }
    #expect(step == 16 ? orders.last?.contains("open") == true : orders.isEmpty, "\(orders)")
  }

  /// The controller is set to GoodWe, the inverter speaks Deye: it is heard before a frame was sent, and then answered.
  @Test func nothingIsSentBeforeTheStepThatAsksForIt() throws {
    let capture = folder.file("bus.log")
    let recorder = try bus.start("capture", "@", "--write", capture)
    let inverter = try inverter("deye-hv")
    defer { inverter.signal(SIGTERM) }
    var configuration = try CommissioningRig.scenario("good-one-chain").configuration
    configuration[.inverterProtocol] = InverterProtocol.goodwe.rawValue
    try ConfigurationFile.text(configuration).write(toFile: config, atomically: true, encoding: .utf8)
    var result = try commission("good-one-chain", Self.answers())
    #expect(result.status == 2 && result.text.contains("no answer to 12.offer-protocol"), "\(result.text)")
    recorder.signal(SIGINT)
    _ = recorder.end()
    let ids = Set(try records(inFile: capture).map(\.frame.id))
    #expect(ids == [.extended(0x4200)], "\(ids)")
    result = try commission(
      "good-one-chain", Self.answers(["offer-protocol": "yes"], without: ["name"]), ["--resume"])
    #expect(result.text.contains("Step 12 passed"), "\(result.text)")
    #expect(inverter.printed("online"), "\(inverter.text)")
    #expect(try String(contentsOfFile: config, encoding: .utf8).contains("protocol: deye"))
  }

  /// The file knows of no sensor; T4 and T5 of each module are connected.
  @Test func sensorsThatAreConnectedAreOffered() throws {
    var configuration = try CommissioningRig.scenario("good-one-chain").configuration
    for module in 0..<12 { configuration.setSensors(0, ofModule: module) }
    try ConfigurationFile.text(configuration).write(toFile: config, atomically: true, encoding: .utf8)
    var result = try commission("good-one-chain", Self.answers())
    #expect(result.status == 2 && result.text.contains("no answer to 8.offer-sensors"), "\(result.text)")
    #expect(Self.joined(result.text).contains("BMS1 modules 1–12, sensors enabled: none → T4, T5"), "\(result.text)")
    result = try commission(
      "good-one-chain", Self.answers(["offer-sensors": "yes"], without: ["switch-voltage"]), ["--resume"])
    #expect(result.status == 2 && result.text.contains("no answer to 10.switch-voltage"), "\(result.text)")
    #expect(Self.joined(result.text).contains("24 enabled, all connected"), "\(result.text)")
    let written = ConfigurationFile.parse(try String(contentsOfFile: config, encoding: .utf8), path: config).configuration
    #expect((0..<12).allSatisfy { written.sensors[$0] == 0b11000 })
  }

  /// The tap has LinkSlaves behind it and no LinkPDU, as in the first eleven steps.
  @Test func withoutALinkPDUTheSupplyIsNoFailure() throws {
    let plant = folder.file("no-pdu.yaml")
    let sound = try String(contentsOfFile: Self.plant("good-one-chain"), encoding: .utf8)
    try (sound + "faults: [{at: 0, fault: pdu-silent}]\n").write(toFile: plant, atomically: true, encoding: .utf8)
    let (slaves, tap) = try slaves(plant)
    defer { slaves.send(SIGTERM) }
    try ConfigurationFile.text(CommissioningRig.scenario("good-one-chain").configuration)
      .write(toFile: config, atomically: true, encoding: .utf8)
    let result = try run(
      BuiltProgram.path,
      [
        "commission", "--config", config, "--can", bus.address, "--chain", tap, "--deadline", "900ms", "--state", state,
        "--answers",
        try script(Self.answers(without: ["capacity"])),
      ])
    let text = Self.joined(result.output)
    #expect(result.status == 2 && result.errors.contains("no answer to 7.capacity"), "\(result)")
    #expect(text.contains("Step 1 passed") && text.contains("Step 6 passed") && !text.contains("✗"), "\(result)")
    #expect(text.components(separatedBy: "cannot be told before the LinkPDU is connected").count == 3, "\(result)")
  }

  // MARK: What goes wrong meanwhile

  /// Everything up to the contactors is done; the system is behind a tap.
  private func atTheContactors(_ tap: String) throws {
    let scenario = try CommissioningRig.scenario("good-one-chain")
    var rig = try CommissioningRig(scenario)
    #expect(rig.go(until: "contactors")?.id == "contactors")
    var kept = rig.run.state
    kept.plant = tap
    kept.configuration = ConfigurationFile.text(scenario.configuration)
    try CommissioningStateFile.text(kept).write(toFile: state, atomically: true, encoding: .utf8)
    try ConfigurationFile.text(scenario.configuration).write(toFile: config, atomically: true, encoding: .utf8)
  }

  private func behind(_ tap: String) throws -> RunningProgram {
    try RunningProgram([
      "commission", "--config", config, "--can", bus.address, "--chain", tap, "--deadline", "900ms", "--state", state, "--resume",
    ])
  }

  private func slaves(_ plant: String? = nil) throws -> (program: RunningProgram, tap: String) {
    let program = try RunningProgram(
      ["virtual", "slaves", "--plant", plant ?? Self.plant("good-one-chain"), "--chain", "tap+tcp://127.0.0.1:0"])
    #expect(program.says("ready tap"))
    let line = program.text.split(separator: "\n").first { $0.hasPrefix("ready ") } ?? ""
    return (program, String(line.dropFirst(6)))
  }

  private var kept: String { (try? String(contentsOfFile: state, encoding: .utf8)) ?? "" }

  @Test func aKilledCommissioningOpensAndGoesOnHeld() throws {
    let (slaves, tap) = try slaves()
    defer { slaves.send(SIGTERM) }
    try atTheContactors(tap)
    let first = try behind(tap)
    #expect(first.says("To let them, type the words"), "\(first.text)")
    // A second one stays away from the same state.
    let second = try behind(tap)
    #expect(second.end() == 2, "\(second.text)")
    #expect(second.text.contains("another commissioning works with it (process \(first.pid), since "), "\(second.text)")
    first.tell("Close contactors")
    first.tell("close contactors")
    #expect(slaves.says("battery on the inverter"), "\(first.text)")
    first.send(SIGKILL)
    #expect(slaves.says("battery off the inverter"))
    _ = first.end()
    #expect(kept.contains("contactors: closing confirmed") && !kept.contains("contactors: opened"), "\(kept)")
    // The lock went with the process. Somebody comes back, and says nothing for longer than closing would take.
    let again = try behind(tap)
    #expect(again.says("To let them, type the words"), "\(again.text)")
    again.tell("note nobody is here")
    #expect(again.says("Kept with step 16") && kept.contains("contactors: opened, the program had ended"), "\(kept)")
    again.tell("close contactors")
    #expect(slaves.says("battery on the inverter", count: 2), "\(again.text)")
    again.send(SIGTERM)
    #expect(again.end() == 143, "\(again.text)")
    #expect(slaves.says("battery off the inverter", count: 2))
    #expect(kept.contains("contactors: opened, a signal ended the program"), "\(kept)")
  }

  /// What cannot be kept is not done: a crash after it would leave a file that knows nothing of closed contactors.
  @Test func aStateThatCannotBeKeptClosesNothing() throws {
    let (slaves, tap) = try slaves()
    defer { slaves.send(SIGTERM) }
    try atTheContactors(tap)
    let run = try behind(tap)
    #expect(run.says("To let them, type the words"), "\(run.text)")
    try FileManager.default.createDirectory(atPath: state + ".new", withIntermediateDirectories: false)
    run.tell("close contactors")
    let isRefused = run.says("state.json.new: cannot open")
    #expect(isRefused, "\(run.text)")
    if !isRefused { run.send(SIGKILL) }
    #expect(run.end() == 2, "\(run.text)")
    #expect(!slaves.text.contains("battery on the inverter"), "\(slaves.text)")
  }

  /// Whoever leads stands still in a write of the state, as on a disk that hangs: a signal opens them all the same.
  @Test func aSignalOpensWhileADiskHangs() throws {
    let inverter = try inverter("deye-hv")
    defer { inverter.signal(SIGTERM) }
    let plant = Self.plant("good-one-chain")
    try atTheContactors(plant)
    let run = try RunningProgram([
      "commission", "--simulate", plant, "--can", bus.address, "--speed", "40", "--state", state, "--resume", "--record",
      folder.file("run.pcapng"),
    ])
    defer { run.send(SIGKILL) }
    run.tell("close contactors")
    run.tell("close contactors")
    try #require(run.says("Clamp meter or inverter display"), "\(run.text)")
    func lastOrder() -> String {
      let log = (try? String(contentsOfFile: folder.file("run-0001.pcapng.log"), encoding: .utf8)) ?? ""
      return log.split(separator: "\n").last { $0.contains("PDU ordered") }.map(String.init) ?? ""
    }
    // The file that is written aside is a pipe that is full.
    try #require(mkfifo(state + ".new", 0o600) == 0)
    let pipe = open(state + ".new", O_RDWR | O_NONBLOCK)
    try #require(pipe >= 0)
    defer { close(pipe) }
    let bytes = [UInt8](repeating: 0x20, count: 4096)
    for size in [4096, 1] { while write(pipe, bytes, size) > 0 {} }
    run.tell("note this is never kept")
    // The number of `write` among the kernel's calls, where it can be seen.
    LiveProcess.wait(5) { (try? String(contentsOfFile: "/proc/\(run.pid)/syscall", encoding: .utf8))?.hasPrefix("1 ") ?? false }
    #expect(lastOrder().contains("closed"), "\(run.text)")
    run.send(SIGTERM)
    #expect(LiveProcess.wait { lastOrder().contains("open") }, "\(run.text)")
    #expect(!kept.contains("this is never kept"))
  }

  @Test func aLineThatComesBackClosesNothing() throws {
    let (slaves, tap) = try slaves()
    defer { slaves.send(SIGTERM) }
    try atTheContactors(tap)
    let run = try behind(tap)
    #expect(run.says("To let them, type the words"), "\(run.text)")
    run.tell("close contactors")
    #expect(slaves.says("battery on the inverter"), "\(run.text)")
    slaves.tell("hang-up")
    #expect(slaves.says("battery off the inverter"))
    #expect(run.says("Nothing is in doubt while contactors are closed") && run.says("What now?"), "\(run.text)")
    #expect(kept.contains("contactors: opened, \(tap) is gone"), "\(kept)")
    // Again, from the words on: only they close, and only when the line is there again.
    for attempt in 2...20 {
      run.tell("repeat")
      #expect(run.says("To let them, type the words", count: attempt), "\(run.text)")
      #expect(slaves.text.components(separatedBy: "battery on the inverter").count == 2)
      run.tell("close contactors")
      guard run.says("What now?", count: attempt, within: 5) else { break }
    }
    #expect(slaves.says("battery on the inverter", count: 2), "\(run.text)")
    run.send(SIGINT)
    #expect(slaves.says("battery off the inverter", count: 2))
    #expect(run.end() == 130, "\(run.text)")
  }

  /// A person thinks at the clamp meter, the contactors are closed: a signal opens them all the same.
  @Test func aSignalWhileSomebodyThinksOpens() throws {
    let inverter = try inverter("deye-hv")
    defer { inverter.signal(SIGTERM) }
    let plant = Self.plant("good-one-chain")
    try atTheContactors(plant)
    let run = try RunningProgram([
      "commission", "--simulate", plant, "--can", bus.address, "--speed", "40", "--state", state, "--resume", "--record",
      folder.file("run.pcapng"),
    ])
    run.tell("close contactors")
    run.tell("close contactors")
    #expect(run.says("Clamp meter or inverter display"), "\(run.text)")
    run.send(SIGTERM)
    #expect(run.end() == 143, "\(run.text)")
    #expect(kept.contains("contactors: opened, a signal ended the program"), "\(kept)")
    let log = try String(contentsOfFile: folder.file("run-0001.pcapng.log"), encoding: .utf8)
    #expect(log.split(separator: "\n").last { $0.contains("PDU ordered") }?.contains("open") == true, "\(log.suffix(2000))")
  }

  @Test(arguments: [
    (["--can", "udp://"], "name a tap with --chain"), (["--chain", "tap+tcp://x:1", "--config", "c"], "--can: found none"),
    (["--chain", "tap+tcp://x:1", "--can", "udp://"], "--config: found none"),
    (["--chain", "tap+tcp://x:1", "--can", "udp://", "--simulate", "p"], "name a tap with --chain, or"),
    (["--chain", "tap+tcp://x:1", "--can", "udp://", "--config", "c", "--speed", "2"], "--speed: real slaves"),
  ])
  func mistakesAreNamed(arguments: [String], text: String) throws {
    let result = try run(BuiltProgram.path, ["commission", "--state", state] + arguments)
    #expect(result.status == 2 && result.errors.contains(text), "\(result)")
  }
}
