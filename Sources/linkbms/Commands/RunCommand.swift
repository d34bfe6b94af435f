import ArgumentParser
import Controller
import Dispatch
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
        + "configuration again and takes it over where that is safe, and a renewed certificate of the pages; a changed section gpio waits for the next start. With --simulate the chains, the PDU and the battery are a "
        + "scenario's; the CAN side stays real. With --http the master's pages are served beside it: what people "
        + "ask for there is checked as SIGHUP is, saved in the configuration's file first, and never makes a control step wait; --can "
        + "and --can2 are shown each for itself. With --record each start records into a file of its own (run-0001.pcapng), which a kill "
        + "leaves readable; a recording that cannot be written ends the run, so in a service limit it with --rotate and --keep. At the prompt the inverter's bus has to be armed first. "
        + "Standard output gets a line with the state each --status-every; the log goes to standard error. Exit status: 0 ended in order; 2 something failed that does not pass by itself.",
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
        (
          "linkbms run --config bms.yaml --can can0 --chain tap+tcp://tap:2000 --record run.pcapng --rotate 100M --keep 50",
          "the latest 5 GB of what passes"
        ),
        (
          "linkbms run --config /var/lib/linkbms/bms.yaml --can can0 --chain tap+tcp://tap:2000 --http :80 --history history.sqlite --print-unit",
          "a unit for systemd; what it writes is in /var/lib/linkbms"
        ),
      ]))

  @Option(help: ArgumentHelp("The controller's configuration.", valueName: "file"), completion: .file(extensions: ["yaml"]))
  var config: String?
  @Option(help: ArgumentHelp("Where the state is kept; CONFIG.state unless named.", valueName: "file"), completion: .file())
  var state: String?
  @Option(
    help: ArgumentHelp(
      "A scenario instead of taps: its battery, slaves and PDU, and its configuration unless --config names one.", valueName: "file"
    ),
    completion: .file(extensions: ["yaml"]))
  var simulate: String?
  @Option(name: .customLong("for"), help: ArgumentHelp("End after this time of the run: 90s, 10m, 24h.", valueName: "time"))
  var length: String?
  @Option(help: ArgumentHelp("A line with the state this often; 0 = none.", valueName: "time"))
  var statusEvery = RunCommand.usualStatus
  @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
  var logLevel = "info"
  @Flag(help: "Print a unit file for systemd that starts exactly this, and end.")
  var printUnit = false
  @OptionGroup var system: SystemOptions
  @OptionGroup var gpio: GPIOOptions
  @OptionGroup var pages: PagesOptions

  private static let usualStatus = "1s"

  func validate() throws {
    try gpio.check(hasFile: config != nil)
    if config == nil, simulate == nil { throw ValidationError("--config: found none, expected a configuration, or --simulate") }
    try system.check(isSimulated: simulate != nil)
    for (option, text) in [("--for", length), ("--status-every", statusEvery)] {
      if let text, RunTime.microseconds(text) == nil {
        throw ValidationError("\(option): found \"\(text)\", expected a time such as 90s, 10m or 24h")
      }
    }
    guard Logger.Level(rawValue: logLevel) != nil else {
      throw ValidationError(
        "--log-level: found \"\(logLevel)\", expected \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if printUnit {
      let port = pages.http.flatMap { GatewayAddress($0) }?.port
      try world.print(
        ServiceUnit.text(
          arguments: try unitArguments(), secrets: pages.secrets, usesGPIO: usesGPIO, port: port,
          ports: [system.can, system.can2].compactMap { $0 }, written: written))
      return .done
    }
    try system.checkArmed(world.live)
    Signals.install(onSecondStop: .isRemembered)
    ProcessMemory.keep()
    let isJournal = ServiceEnvironment.isJournal(descriptor: 2, stream: FileNames.environment("JOURNAL_STREAM"))
    let output = BackgroundOutput(descriptor: 1, name: "standard output")
    let mark = isJournal ? "<\(Logger.Level.warning.priority)>" : ""
    let errors = BackgroundOutput(descriptor: 2, name: "standard error", mark: mark)
    defer {
      // A terminal that nobody reads may keep the last lines, not the end.
      let end = DispatchTime.now() + 2.0
      output.finish(by: end)
      errors.finish(by: end)
    }
    let sink = RunLogHandler.Sink(isJournal: isJournal) { errors.write($0) }
    var handler = RunLogHandler(sink)
    handler.logLevel = Logger.Level(rawValue: logLevel) ?? .info
    let logger = Logger(label: "linkbms.run") { _ in handler }

    sink.setTime(PortPoller.wallClock_ns)
    let (settings, scenario, names, section, digital) = try settings(in: &world, logger)
    let lines = try gpio.open(digital, of: config ?? "")
    // Before anything can be closed: pages that cannot be served end the run here.
    let feed = try pages.feed(passwords: statePath + ".password", names: statePath + ".name", ports: system.buses, in: &world)
    defer { feed?.stop() }
    let wifi = try pages.wifiReset(feed?.server)
    var parts = try system.parts(scenario)
    parts.service = ServiceNotifier(path: FileNames.environment("NOTIFY_SOCKET"))
    parts.watchdog_us = ServiceEnvironment.watchdog_us(
      interval: FileNames.environment("WATCHDOG_USEC"), process: FileNames.environment("WATCHDOG_PID")
    ).map { $0 / 3 }
    let text = RunText(settings.configuration ?? Configuration()) { part in names[part] ?? "a part" }
    var loop = RunLoop(
      settings, parts, clock: RunClock(speed: system.speed), statePath: statePath, logger: logger, sink: sink, text: text,
      portNames: parts.ports.map(\.name))
    loop.gpio = lines
    loop.gpio?.wifi = wifi
    if let feed {
      var changes = try changes(isSimulated: scenario != nil, in: &world)
      changes.lines = section
      loop.pages = RunPages(
        feed.hub.publisher(), followsWallClock: system.speed == 1, changes: changes, news: feed.server.takeNews
      ) { feed.server.problem }
    }
    if loop.runtime.lacksConfiguration {
      // Out of CONFIG ERR: what the link is made of is read before it is wanted, for then nothing may be waited for.
      let (library, system, isSimulated) = (try RunCommand.library(in: &world), system, scenario != nil)
      loop.makeSessions = { configuration in
        try RunCommand.sessions(configuration, system, isSimulated: isSimulated) { () throws(WorldError) in library }
      }
    }
    let (config, server, gpio) = (config, feed?.server, gpio)
    loop.reload = { loop in
      server?.renewCertificate()
      guard let config else { return loop.say(.warning, "SIGHUP: the configuration is the scenario's: nothing to read again") }
      if !loop.reader.begin(config) {
        loop.say(.error, "\(config): is still being read since the last time: it is read once more behind that")
      }
    }
    loop.hasRead = { loop, outcome in
      RunCommand.reload(config ?? "", outcome, &loop) { section in
        (try? gpio.lines(over: section, of: config ?? "")) == digital
      }
    }
    logger.notice("linkbms \(Version.text) runs: \(names.values.sorted().joined(separator: ", "))")
    if let name = parts.recording?.firstName { logger.notice("recording: \(name), lines and events in \(name).log") }
    return run(&loop, output)
  }

  private func run(_ loop: inout RunLoop, _ output: BackgroundOutput) -> ExitStatus {
    let end = length.flatMap(RunTime.microseconds) ?? .max
    let every = RunTime.microseconds(statusEvery) ?? 0
    var nextStatus: Int64 = every
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
    let state = loop.isStateStored ? "state stored" : failed == nil ? "no state to store" : "state not stored"
    if let failed { loop.say(.error, failed) }
    if let why = loop.failure { loop.say(.error, "ended: \(why)") }
    // Whatever else has failed: who reads the last line may be about to touch something.
    guard loop.runtime.isOpenConfirmed else {
      loop.say(
        .error, "ended: contactors ordered open, \(state); the PDU has not said that they are: measure before you touch anything")
      return .failed
    }
    if failed != nil || loop.failure != nil {
      loop.say(.notice, "contactors open, \(state)")
      return .failed
    }
    loop.say(.notice, "ended in order: contactors open, \(state)")
    return .done
  }

  // MARK: What it is made of

  private var statePath: String { state ?? (config ?? simulate ?? "linkbms") + ".state" }

  private func settings(
    in world: inout some World, _ logger: Logger
  ) throws -> (RunSettings, Scenario?, [Part: String], section: GPIOSection?, digital: GPIOSection?) {
    var scenario: Scenario?
    var section: GPIOSection?
    if let simulate { scenario = try RunCommand.scenario(simulate, in: &world) }
    var configuration = scenario?.configuration
    if let config {
      let reading = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: config), as: UTF8.self), path: config)
      for complaint in reading.complaints { logger.error("\(config): \(complaint)") }
      if let problem = reading.gpioProblem { throw WorldError(message: RunCommand.unknownLines(config, problem)) }
      section = reading.gpio
      configuration = reading.problems.isEmpty ? reading.configuration : nil
      if let configuration { scenario?.configuration = configuration }
    }
    let digital = try gpio.lines(over: section, of: config ?? "")
    var (settings, names) = system.settings(configuration, isSimulated: scenario != nil)
    settings.state = SystemOptions.storedState(statePath, logger) ?? scenario?.state
    names[.gpio] = digital?.chip
    settings.sessions = try sessions(configuration, scenario, in: &world)
    return (settings, scenario, names, section, digital)
  }

  /// Why a run does not begin, not even in CONFIG ERR: a page could save another configuration there, and what an input was to keep open
  /// would close.
  private static func unknownLines(_ path: String, _ problem: ConfigurationFile.Problem) -> String {
    "\(path): \(problem): which digital lines are meant is not known, and without them nothing is begun; "
      + "'linkbms config check' names everything"
  }

  private static func scenario(_ path: String, in world: inout some World) throws -> Scenario {
    let text = String(decoding: try InputFile.bytes(of: path), as: UTF8.self)
    let (scenario, problems) = ScenarioFile.parse(text, path: path)
    for problem in problems { world.note("linkbms: \(problem)") }
    guard problems.isEmpty else { throw WorldError(message: "\(path): expected a scenario") }
    return scenario
  }

  /// The battery's end of the inverter's protocol, once a bus.
  private func sessions(
    _ configuration: Configuration?, _ scenario: Scenario?, in world: inout some World
  ) throws -> [Session] {
    guard let configuration else { return [] }
    return try RunCommand.sessions(configuration, system, isSimulated: scenario != nil) { () throws(WorldError) in
      try RunCommand.library(in: &world)
    }
  }

  /// What may be changed on the pages: other protocols as far as this command line goes with them, for the next start will have it, too.
  private func changes(isSimulated: Bool, in world: inout some World) throws(WorldError) -> RunChanges {
    let library = try RunCommand.library(in: &world)
    var changes = RunChanges(path: config)
    for spoken in InverterProtocol.allCases {
      var wanted = Configuration()
      wanted[.inverterProtocol] = spoken.rawValue
      do throws(WorldError) {
        _ = try RunCommand.sessions(wanted, system, isSimulated: isSimulated) { () throws(WorldError) in library }
      } catch { changes.unfitting[spoken] = error.message }
    }
    return changes
  }

  private static func library(in world: inout some World) throws(WorldError) -> DefinitionLibrary {
    var options = DefinitionOptions()
    options.dissectors = nil
    return try world.library(options)
  }

  private static func sessions(
    _ configuration: Configuration, _ system: SystemOptions, isSimulated: Bool, library: () throws(WorldError) -> DefinitionLibrary
  ) throws(WorldError) -> [Session] {
    let buses = system.buses
    let spoken = InverterProtocol(rawValue: configuration[.inverterProtocol]) ?? .none
    guard spoken != .none else {
      if !buses.isEmpty { throw WorldError(message: "--can: the configuration has protocol: none; expected no bus, or a protocol") }
      return []
    }
    guard !buses.isEmpty else {
      // A scenario may be looked at alone.
      if isSimulated { return [] }
      throw WorldError(message: "--can: found none, expected the bus of the inverter, which speaks \(spoken.word)")
    }
    return try SystemOptions.sessions(
      configuration, buses: buses.count, variant: system.variant, address: system.address, try library())
  }

  /// - Parameter keepsLines: whether a file with this section names the digital lines that are in use.
  private static func reload(
    _ path: String, _ outcome: ConfigurationReader.Outcome, _ loop: inout RunLoop, keepsLines: (GPIOSection?) -> Bool
  ) {
    let reading: ConfigurationFile.Reading
    switch outcome {
    case .failed(let why): return loop.say(.error, "\(why): nothing is changed")
    case .read(let read): reading = read
    }
    guard reading.complaints.isEmpty else {
      for complaint in reading.complaints { loop.say(.error, "\(path): \(complaint): nothing is changed") }
      return
    }
    loop.tellReloading()
    loop.configure(reading.configuration)
    if !keepsLines(reading.gpio) {
      loop.say(.warning, "\(path): the section gpio has changed: its lines are used when the program is started again, not before")
    }
  }

  /// Whether the service needs the right to use a chip. Of a file that is not there yet nobody knows.
  private var usesGPIO: Bool {
    if gpio.gpio != nil { return true }
    guard let config, InputFile.exists(config), let bytes = try? InputFile.bytes(of: config) else { return false }
    let reading = ConfigurationFile.parse(String(decoding: bytes, as: UTF8.self), path: config)
    return reading.gpio != nil || reading.gpioProblem != nil
  }

  /// What the service writes, by option.
  private var written: [(option: String, path: String)] {
    var written: [(option: String, path: String?)] = [("--state", state), ("--record", system.record)] + pages.written
    // What is changed on the pages is saved there.
    if pages.http != nil { written.append(("--config", config.map(FileNames.absolute))) }
    return written.compactMap { option, path in path.map { (option, $0) } }
  }

  private func unitArguments() throws -> [String] {
    var words = ["run"]
    let usual = try SystemOptions.parse([])
    let deadline: String? = system.deadline == usual.deadline ? nil : system.deadline
    let speed: String? = system.speed == usual.speed ? nil : String(system.speed)
    let isUnlimited = system.record != nil && system.rotate == nil
    let rotate: String? = isUnlimited ? ServiceUnit.recording.rotate : system.rotate
    let keep: Int? = isUnlimited ? ServiceUnit.recording.keep : system.keep
    let state = state ?? ServiceUnit.folder + "/state"
    for (option, value) in [
      ("--config", config.map(FileNames.absolute)), ("--state", state as String?), ("--can", system.can), ("--can2", system.can2),
      ("--pdu", system.pdu),
      ("--simulate", simulate.map(FileNames.absolute)), ("--record", system.record), ("--rotate", rotate),
      ("--keep", keep.map { String($0) }),
      ("--variant", system.variant),
      ("--deadline", deadline), ("--speed", speed), ("--for", length),
    ] {
      if let value { words += [option, value] }
    }
    for case (let option, let value?) in pages.given { words += [option, value] }
    for tap in system.chain { words += ["--chain", tap] }
    words += gpio.given
    if let address = system.address { words += ["--address", String(address)] }
    // The journal is no place for a line a second, unless somebody wants it there.
    let status = statusEvery == RunCommand.usualStatus ? "0s" : statusEvery
    return words + ["--status-every", status, "--log-level", logLevel]
  }
}
