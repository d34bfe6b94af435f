import ArgumentParser
import Controller
import Formats
import Gateway
import HostIO
import Logging
import Protocols
import Runtime
import Simulation

/// `run`: the controller for real.
struct RunCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run the controller: chains and PDU behind a tap, the inverter on CAN. It switches contactors.",
    discussion: HelpText.discussion(
      "Reads the LinkSlaves and the LinkPDU through a tap (Dissectors/TAP.md), tells the inverter what it may do, and closes the "
        + "contactors when everything is as the configuration wants it. Whatever is not as it should be (a lost port or line, a late "
        + "control step, a write that fails) opens them, is logged with its reason, and everything is measured anew before they close "
        + "again. SIGTERM and Ctrl-C end it in order: limits to 0, contactors open, state stored, exit status 0. SIGHUP reads the "
        + "configuration again and takes it over where that is safe. With --simulate the chains, the PDU and the battery are a "
        + "scenario's; the CAN side stays real. With --http the master's pages are served beside it: what people "
        + "ask for there is checked as SIGHUP is, saved in the configuration's file first, and never makes a control step wait; --can "
        + "and --can2 are shown each for itself. Standard output gets a line with the state each --status-every; the log goes to standard error. Exit status: 0 ended in order; 2 something failed that does not pass by itself.",
      examples: [
        (
          "linkbms run --config bms.yaml --can can0 --chain tap+tcp://192.168.4.1:2000",
          "a tap in the network, the inverter on can0"
        ),
        ("linkbms run --config bms.yaml --can can0 --chain tap+serial:///dev/ttyUSB0@921600", "a tap on a serial line"),
        (
          "linkbms run --simulate Captures/scenarios/deye-link.yaml --can udp:// --for 1h",
          "a simulated battery, an inverter on a bus"
        ),
        ("linkbms run --config bms.yaml --can can0 --chain tap+tcp://tap:2000 --http :8080 --history run.sqlite", "with its pages"),
        ("linkbms run --config /etc/linkbms.yaml --can can0 --chain tap+tcp://tap:2000 --print-unit", "a unit for systemd"),
      ]))

  @Option(help: ArgumentHelp("The controller's configuration.", valueName: "file"), completion: .file(extensions: ["yaml"]))
  var config: String?
  @Option(help: ArgumentHelp("Where the state is kept; CONFIG.state unless named.", valueName: "file"), completion: .file())
  var state: String?
  @Option(help: ArgumentHelp("The bus of the inverter: \(PortAddress.expected).", valueName: "bus"))
  var can: String?
  @Option(help: ArgumentHelp("A second bus, on which the same is said.", valueName: "bus"))
  var can2: String?
  @Option(help: ArgumentHelp("The tap of the chains: \(LineAddress.expected); a second one is that of BMS2.", valueName: "tap"))
  var chain: [String] = []
  @Option(help: ArgumentHelp("The tap of the PDU; the first --chain unless named.", valueName: "tap"))
  var pdu: String?
  @Option(
    help: ArgumentHelp(
      "A scenario instead of taps: its battery, slaves and PDU, and its configuration unless --config names one.", valueName: "file"
    ),
    completion: .file(extensions: ["yaml"]))
  var simulate: String?
  @Option(
    help: ArgumentHelp(
      "Virtual seconds in a second, with --simulate; with --can at most \(Int(LinkClock.mostSpeed)), and an inverter of the same speed.",
      valueName: "n"))
  var speed = 1.0
  @Option(
    help: ArgumentHelp(
      "Keep everything that goes in and comes out, as pcapng; lines and events as text in FILE.log.", valueName: "file"))
  var record: String?
  @Option(name: .customLong("for"), help: ArgumentHelp("End after this time of the run: 90s, 10m, 24h.", valueName: "time"))
  var length: String?
  @Option(
    help: ArgumentHelp("A control step that comes so much after its time opens the contactors; at most 900ms.", valueName: "time"))
  var deadline = "500ms"
  @Option(help: ArgumentHelp("A line with the state this often; 0 = none.", valueName: "time"))
  var statusEvery = "1s"
  @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
  var logLevel = "info"
  @Option(help: ArgumentHelp("Use this variant of the inverter's protocol.", valueName: "name"))
  var variant: String?
  @Option(help: ArgumentHelp("The battery's address, where the variant's is not wanted.", valueName: "n"))
  var address: UInt8?
  @Flag(help: "Print a unit file for systemd that starts exactly this, and end.")
  var printUnit = false
  @OptionGroup var gpio: GPIOOptions
  @OptionGroup var pages: PagesOptions

  func validate() throws {
    _ = try gpio.wiring()
    if config == nil, simulate == nil { throw ValidationError("--config: found none, expected a configuration, or --simulate") }
    if chain.isEmpty == (simulate == nil) { throw ValidationError("name a tap with --chain, or a scenario with --simulate") }
    guard chain.count <= 2 else { throw ValidationError("--chain: found \(chain.count), expected one or two") }
    guard speed > 0, speed <= 100_000 else { throw ValidationError("--speed: found \(speed), expected more than 0") }
    if can != nil, speed > LinkClock.mostSpeed {
      throw ValidationError(
        "--speed: found \(speed), expected at most \(Int(LinkClock.mostSpeed)) with --can: the other end is another program. "
          + LinkClock.expectation)
    }
    if speed != 1, simulate == nil { throw ValidationError("--speed: real slaves know one speed only; it needs --simulate") }
    for (option, text) in [("--for", length), ("--status-every", statusEvery)] {
      if let text, RunTime.microseconds(text) == nil {
        throw ValidationError("\(option): found \"\(text)\", expected a time such as 90s, 10m or 24h")
      }
    }
    guard let deadline = RunTime.microseconds(deadline), (100_000...900_000).contains(deadline) else {
      throw ValidationError("--deadline: found \"\(deadline)\", expected 100ms to 900ms: the PDU opens by itself after 1 s")
    }
    guard Logger.Level(rawValue: logLevel) != nil else {
      throw ValidationError(
        "--log-level: found \"\(logLevel)\", expected \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if printUnit {
      try world.print(ServiceUnit.text(arguments: try unitArguments(), secrets: pages.secrets, usesGPIO: gpio.gpio != nil))
      return .done
    }
    Signals.install(onSecondStop: .isRemembered)
    let isJournal = FileNames.environment("JOURNAL_STREAM") != nil
    let errors = ErrorOutput()
    let sink = RunLogHandler.Sink(isJournal: isJournal) { errors.write($0) }
    var handler = RunLogHandler(sink)
    handler.logLevel = Logger.Level(rawValue: logLevel) ?? .info
    let logger = Logger(label: "linkbms.run") { _ in handler }

    sink.setTime(PortPoller.wallClock_ns)
    let (settings, scenario, names) = try settings(in: &world, logger)
    let lines = try gpio.open()
    // Before anything can be closed: pages that cannot be served end the run here.
    let feed = try pages.feed(passwords: statePath + ".password", names: statePath + ".name", ports: buses, in: &world)
    defer { feed?.stop() }
    var parts = try self.parts(scenario)
    parts.service = ServiceNotifier(path: FileNames.environment("NOTIFY_SOCKET"))
    parts.watchdog_us = FileNames.environment("WATCHDOG_USEC").flatMap { Int64($0) }.map { $0 / 3 }
    if let record {
      parts.recording = try RunLoop.Recording(capture: GrowingFile(record), log: GrowingFile(record + ".log"))
    }
    let text = RunText(settings.configuration ?? Configuration()) { part in names[part] ?? "a part" }
    var loop = RunLoop(
      settings, parts, clock: RunClock(speed: speed), statePath: statePath, logger: logger, sink: sink, text: text,
      portNames: parts.ports.map(\.name))
    loop.gpio = lines
    loop.configurationPath = config
    loop.pages = feed.map { feed in RunPages(feed.hub.publisher(), followsWallClock: speed == 1) { feed.server.problem } }
    if let config {
      loop.reload = { loop in RunCommand.reload(config, &loop) }
    } else {
      loop.reload = { $0.say(.warning, "SIGHUP: the configuration is the scenario's: nothing to read again") }
    }
    logger.notice("linkbms \(Version.text) runs: \(names.values.sorted().joined(separator: ", "))")
    return try run(&loop, settings, in: &world)
  }

  private func run(_ loop: inout RunLoop, _ settings: RunSettings, in world: inout some World) throws -> ExitStatus {
    let end = length.flatMap(RunTime.microseconds) ?? .max
    let every = RunTime.microseconds(statusEvery) ?? 0
    var nextStatus: Int64 = every
    let output = PatientlessOutput(descriptor: 1)
    while loop.turn(until_us: min(loop.now_us < end ? end : .max, every > 0 ? nextStatus : .max)) {
      if every > 0, loop.now_us >= nextStatus {
        nextStatus = loop.now_us / every * every + every
        let line = StatusLine.text(loop.runtime)
        output.write(RunTime.stamp(loop.now_us) + "  " + line + "\n")
        loop.tell("STATUS=\(line)")
      }
      if loop.now_us >= end { loop.stop("--for \(length ?? "")") }
    }
    let failed = loop.finish()
    loop.say(.notice, "control steps late: \(loop.lateness.text); answers to frames: \(loop.answers.text)")
    if let slowness = loop.slowness { loop.say(.warning, slowness) }
    if let failed {
      loop.say(.error, failed)
      return .failed
    }
    if let why = loop.failure {
      loop.say(.error, "ended: \(why)")
      return .failed
    }
    loop.say(.notice, "ended in order: contactors open, state stored")
    return .done
  }

  // MARK: What it is made of

  private var statePath: String { state ?? (config ?? simulate ?? "linkbms") + ".state" }

  private func settings(
    in world: inout some World, _ logger: Logger
  ) throws -> (RunSettings, Scenario?, [Part: String]) {
    var scenario: Scenario?
    if let simulate { scenario = try RunCommand.scenario(simulate, in: &world) }
    var configuration = scenario?.configuration
    if let config {
      let reading = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: config), as: UTF8.self), path: config)
      for complaint in reading.complaints { logger.error("\(config): \(complaint)") }
      configuration = reading.problems.isEmpty ? reading.configuration : nil
      if let configuration { scenario?.configuration = configuration }
    }
    var settings = RunSettings(configuration: configuration)
    settings.state = try storedState(logger) ?? scenario?.state
    settings.start_ns = PortPoller.wallClock_ns
    settings.firstOrder = UInt16(truncatingIfNeeded: PortPoller.wallClock_ns >> 20)
    settings.late_us = Int64(Double(RunTime.microseconds(deadline) ?? 500_000) * max(1, speed))
    settings.isRecorded = record != nil
    // At 115200 baud a module's 24 lines take 50 ms.
    settings.allowance_us = scenario != nil ? 0 : chain.contains { $0.hasPrefix("tap+serial") } ? 300_000 : 100_000
    var names: [Part: String] = [.line(0): scenario == nil ? chain[0] : "the simulated battery"]
    if chain.count == 2 {
      settings.chainLines = (0, 1)
      names[.line(1)] = chain[1]
    }
    if let pdu {
      if let place = chain.firstIndex(of: pdu) {
        settings.pduLine = place
      } else {
        settings.pduLine = max(1, chain.count)
        names[.line(settings.pduLine)] = pdu
      }
    }
    for (place, name) in buses.enumerated() { names[.port(place)] = name }
    names[.gpio] = gpio.gpio
    settings.sessions = try sessions(configuration, scenario, in: &world)
    return (settings, scenario, names)
  }

  private var buses: [String] { [can, can2].compactMap { $0 } }

  private static func scenario(_ path: String, in world: inout some World) throws -> Scenario {
    let text = String(decoding: try InputFile.bytes(of: path), as: UTF8.self)
    let (scenario, problems) = ScenarioFile.parse(text, path: path)
    for problem in problems { world.note("linkbms: \(problem)") }
    guard problems.isEmpty else { throw WorldError(message: "\(path): expected a scenario") }
    return scenario
  }

  /// A state that is not whole is not used; the one before it is at most a minute older.
  private func storedState(_ logger: Logger) throws -> PersistentState? {
    for path in [statePath, statePath + ".previous"] where InputFile.exists(path) {
      do throws(ConfigurationFile.Problem) {
        return try StateFile.parse(String(decoding: (try? InputFile.bytes(of: path)) ?? [], as: UTF8.self))
      } catch { logger.error("\(path): \(error)") }
    }
    logger.notice("\(statePath): no state is stored: the SOC is estimated from the cells' voltage")
    return nil
  }

  /// The battery's end of the inverter's protocol, once a bus.
  private func sessions(
    _ configuration: Configuration?, _ scenario: Scenario?, in world: inout some World
  ) throws -> [Session] {
    guard let configuration else { return [] }
    let spoken = InverterProtocol(rawValue: configuration[.inverterProtocol]) ?? .none
    guard spoken != .none else {
      if !buses.isEmpty { throw WorldError(message: "--can: the configuration has protocol: none; expected no bus, or a protocol") }
      return []
    }
    guard !buses.isEmpty else {
      // A scenario may be looked at alone.
      if scenario != nil { return [] }
      throw WorldError(message: "--can: found none, expected the bus of the inverter, which speaks \(spoken.word)")
    }
    let (name, usual): (String, String?) =
      switch spoken {
      case .none, .deye: ("deye-hv", nil)
      case .goodwe: ("goodwe", nil)
      case .pylontech: ("pylontech-hv", nil)
      case .sofar1: ("sofar", "sofar1")
      case .sofar2: ("sofar", "sofar2")
      }
    var options = DefinitionOptions()
    options.dissectors = nil
    let definition = try TableChooser.definition(name, try world.library(options))
    let chosen = try TableChooser.variant(variant ?? usual, of: definition)
    guard let session = definition.link(variant: chosen?.name).session(.battery, address: address) else {
      throw WorldError(message: "\(name): has no handshake for a battery: expected a protocol in which one can be played")
    }
    return buses.map { _ in session }
  }

  private func parts(_ scenario: Scenario?) throws -> RunLoop.Parts {
    var parts = RunLoop.Parts()
    do throws(PortError) {
      for bus in buses { parts.ports.append(try PortOpener.open(try PortAddress(bus))) }
      for tap in chain { parts.lines.append((tap, try LinePort(LineAddress(tap)))) }
      if let pdu, !chain.contains(pdu) { parts.lines.append((pdu, try LinePort(LineAddress(pdu)))) }
    } catch { throw WorldError(message: error.description) }
    if let scenario { parts.plant = VirtualPlant(scenario) }
    return parts
  }

  private static func reload(_ path: String, _ loop: inout RunLoop) {
    guard let bytes = try? InputFile.bytes(of: path) else { return loop.say(.error, "\(path): cannot be read: nothing is changed") }
    let reading = ConfigurationFile.parse(String(decoding: bytes, as: UTF8.self), path: path)
    guard reading.complaints.isEmpty else {
      for complaint in reading.complaints { loop.say(.error, "\(path): \(complaint): nothing is changed") }
      return
    }
    loop.tell("RELOADING=1")
    loop.configure(reading.configuration)
    loop.tell("READY=1")
  }

  private func unitArguments() throws -> [String] {
    var words = ["run"]
    // Under a unit only this folder may be written to.
    let state = state ?? "/var/lib/linkbms/state"
    for (option, value) in [
      ("--config", config), ("--state", state as String?), ("--can", can), ("--can2", can2), ("--pdu", pdu),
      ("--simulate", simulate), ("--record", record), ("--variant", variant),
    ] {
      if let value { words += [option, value] }
    }
    for case (let option, let value?) in pages.given { words += [option, value] }
    for tap in chain { words += ["--chain", tap] }
    words += gpio.given
    if let address { words += ["--address", String(address)] }
    return words + ["--status-every", "0s", "--log-level", logLevel]
  }
}

/// Standard error for the log.
private final class ErrorOutput: @unchecked Sendable {  // one thread writes: the loop's
  private let output = PatientlessOutput(descriptor: 2)
  func write(_ text: String) { output.write(text) }
}
