import Analysis
import ArgumentParser
import Bus
import Controller
import Formats
import HostIO
import Logging
import Protocols
import Runtime
import Simulation

/// `commission`: the manual's sixteen steps, from the first 5 V to the first charge.
struct CommissionCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "commission",
    abstract: "Put a system into service, step by step, with checks at each.",
    discussion: HelpText.discussion(
      "The manual's sixteen steps: what to do, what is measured, and what to do about each failure. A contactor never closes before "
        + "\"close contactors\" was typed for it; on any doubt they open. The state is kept after every answer: after a crash --resume "
        + "goes on at the same step. With --can and --chain the system is real, as for 'linkbms run': the inverter's bus is only listened to "
        + "until the step that says otherwise, and a lost port or line, a late step, Ctrl-C, SIGTERM or a crash open the contactors, "
        + "which stay open until the words are typed again. At the prompt the inverter's bus has to be armed first ('arm can0'), and no "
        + "job may go on beside it. The file of --config is read at the start, at repeat and back, and before anything is written to it: "
        + "what was edited there meanwhile is shown and counts, and steps that were judged by it are done again. The report keeps every "
        + "attempt of a step with its times, and what contactors did. At any question: help, note TEXT, photo NAME, repeat, back, skip "
        + "REASON, quit. A scripted answer is a line NAME: ANSWER, or a plain line for the next question; --dry-run shows the names. Exit "
        + "status: 0 all steps passed; 1 a step failed or was left; 2 could not do it.",
      examples: [
        ("linkbms commission --list", "the sixteen steps"),
        ("linkbms commission --dry-run", "everything that would be asked, measured and done"),
        ("linkbms commission --simulate plant.yaml", "practise on a simulated system"),
        ("linkbms commission --simulate plant.yaml --answers day.txt --report day.html", "scripted, with a report"),
        ("linkbms commission --config bms.yaml --can can0 --chain tap+tcp://192.168.4.1:2000", "a real system"),
        ("linkbms commission --config bms.yaml --can can0 --chain tap+tcp://192.168.4.1:2000 --resume", "go on after a crash"),
        ("linkbms commission --simulate plant.yaml --can udp:// --speed 20", "a simulated battery, an inverter on a bus"),
      ]))

  @Option(
    help: ArgumentHelp(
      "Commission this simulated system (a scenario), in virtual time; with --can at --speed, and the bus is real.",
      valueName: "file"),
    completion: .file(extensions: ["yaml"]))
  var simulate: String?
  @Flag(help: "Say what would be asked, measured and done; nothing is.")
  var dryRun = false
  @Flag(help: "List the steps.")
  var list = false
  @Option(help: ArgumentHelp("Show one step with all its checks and hints.", valueName: "n"))
  var step: Int?
  @Option(help: ArgumentHelp("Take the answers from this file; - is standard input.", valueName: "file"), completion: .file())
  var answers: String?
  @Flag(help: "Where no answer is given take yes, or the default. Never confirms contactors or high voltage.")
  var yes = false
  @Flag(help: "Go on with the kept state, by what --config's file says now.")
  var resume = false
  @Flag(help: "Throw a kept state away and begin anew.")
  var restart = false
  @Option(help: ArgumentHelp("Where the state is kept.", valueName: "file"), completion: .file(extensions: ["json"]))
  var state: String?
  @Option(
    help: ArgumentHelp("Write a report at the end: .md, .json or .html; repeatable.", valueName: "file"),
    completion: .file(extensions: ["md", "json", "html"]))
  var report: [String] = []
  @Option(
    help: ArgumentHelp(
      "The configuration: read from here if the file is there. Changes are written to it, after each is confirmed.",
      valueName: "file"),
    completion: .file(extensions: ["yaml"]))
  var config: String?
  @OptionGroup var system: SystemOptions

  /// Whether anything of it is real.
  private var isLive: Bool { system.can != nil || !system.chain.isEmpty }

  func validate() throws {
    if resume, restart { throw ValidationError("--resume, --restart: give one of them") }
    if let step { guard (1...16).contains(step) else { throw ValidationError("--step: found \(step), expected 1…16") } }
    for path in report where CommissionReport.Format(path) == nil {
      throw ValidationError("--report: found \"\(path)\", expected a name that ends in .md, .json or .html")
    }
    if isLive {
      try system.check(isSimulated: simulate != nil)
      guard system.can != nil else { throw ValidationError("--can: found none, expected the bus of the inverter") }
      guard config != nil || simulate != nil else {
        throw ValidationError("--config: found none, expected the file of the configuration; it may be a new one")
      }
    }
    guard list || step != nil || dryRun || simulate != nil || isLive else {
      throw ValidationError(
        "name a plant: --can and --chain of a real one, or --simulate FILE; or give --dry-run, --list or --step N")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    let guide = try GuideFile.read()
    let text = CommissionText(world.terminal)
    if list {
      for step in guide.steps {
        let mark = step.isSafety ? "  safety: cannot be skipped" : step.isOptional ? "  optional" : ""
        try world.print("\(step.number < 10 ? " " : "")\(step.number)  \(step.title)\(text.style.dim(mark))")
      }
      return .done
    }
    if step != nil || dryRun {
      for line in DryRun.lines(guide, only: step, hasHints: step != nil, text) { try world.print(line) }
      return .done
    }
    var options = DefinitionOptions()
    options.dissectors = nil
    let library = try world.library(options)
    let scenario = try scenario(in: &world)
    let plantName = simulate ?? system.chain.joined(separator: " + ")
    let path = try statePath()
    if isLive { try checkPrompt(world.live) }
    let lock = try CommissioningSession.lock(path)
    defer { lock.release() }
    let kept = try keptState(path, plant: plantName)
    let (set, before, lines) = try configuration(kept, scenario, path, in: &world)
    var start = kept ?? CommissioningState()
    start.plant = plantName
    // From here on it can be told whether somebody edits the file.
    if start.configuration.isEmpty, let config, scenario == nil || InputFile.exists(config) {
      start.configuration = ConfigurationFile.text(before ?? set)
    }
    var run = CommissioningRun(guide, library: library, configuration: before ?? set, state: start, isResumed: kept != nil)
    run.isBasisUnknown = kept != nil && before == nil
    let isEdited = before.map { !ConfigurationChange(from: $0, to: set).isEmpty } ?? false
    var session = CommissioningSession(
      run: run, text: text, statePath: path, configurationPath: config, saysYes: yes,
      script: try script(guide), edited: isEdited ? set : nil, lines: lines)
    if isLive {
      var plant = try live(plantName, set, lines, scenario, statePath: path, library)
      let result: Result<ExitStatus, any Error>
      do { result = .success(try session.go(&plant, in: &world)) } catch { result = .failure(error) }
      let ending: Result<Void, any Error>
      do {
        ending = .success(try plant.finish(session.run.end == .finished ? "commissioned" : "the commissioning was left"))
      } catch { ending = .failure(error) }
      try report(session, plant, in: &world)
      // What ended the session says more than what follows from it.
      if case .success = result { try ending.get() }
      if session.run.end == .finished { try world.print("The contactors are open again: 'linkbms run' takes over.") }
      return try result.get()
    }
    guard let scenario else { return .failed }
    var plant = try SimulatedPlant(scenario, name: plantName, library: library, configuration: set)
    let result: Result<ExitStatus, any Error>
    do { result = .success(try session.go(&plant, in: &world)) } catch { result = .failure(error) }
    try report(session, plant, in: &world)
    return try result.get()
  }

  /// What was done until then is worth a report, however it ended.
  private func report(
    _ session: CommissioningSession, _ plant: some CommissioningPlant, in world: inout some World
  ) throws {
    let date = "\(CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns))) UTC"
    let record = CommissionReport(
      session.run.state, session.run.configuration, plant: plant.name, date: date, identity: plant.identity)
    for path in report {
      try OutputFile.write(record.text(CommissionReport.Format(path) ?? .markdown), to: path)
      world.note("linkbms: wrote \(path)")
    }
  }

  private func scenario(in world: inout some World) throws -> Scenario? {
    guard let simulate else { return nil }
    let content = String(decoding: try InputFile.bytes(of: simulate), as: UTF8.self)
    // A configuration that breaks rules is what step 7 is there to find.
    let (scenario, problems) = ScenarioFile.parse(content, path: simulate, allowsViolations: true)
    guard problems.isEmpty else {
      for problem in problems { world.note("linkbms: \(problem)") }
      throw WorldError(
        message: "\(simulate): \(problems.count) problem\(problems.count == 1 ? "" : "s"), expected a scenario")
    }
    return scenario
  }

  /// At the prompt sending has to be allowed, and nothing may want the thread that stands at questions and in watches for minutes.
  private func checkPrompt(_ hub: LiveHub) throws(WorldError) {
    try system.checkArmed(hub)
    guard hub.needsArm, hub.isBusy else { return }
    throw WorldError(
      message: "found jobs or an open live bus, expected nothing beside the commissioning of a real system: 'stop' and 'close' end "
        + "them; --record keeps everything that passes")
  }

  /// What the controller is set to at the start: as the file says, for a person has edited it last; else as it was left; else as the
  /// scenario has it. `before`: what it was set to when the state was kept, where that is known. `lines`: the file's digital lines.
  private func configuration(
    _ kept: CommissioningState?, _ scenario: Scenario?, _ path: String, in world: inout some World
  ) throws -> (set: Configuration, before: Configuration?, lines: GPIOSection?) {
    let isThere = config.map { InputFile.exists($0) } ?? false
    let before = try configuration(in: kept, scenario, path, isNeeded: !isThere)
    if let config, isThere {
      let reading = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: config), as: UTF8.self), path: config)
      if let problem = reading.problems.first {
        throw WorldError(message: "\(config): \(problem); 'linkbms config check' names everything")
      }
      if kept == nil, !isLive { world.note("linkbms: the configuration is that of \(config), not the scenario's") }
      return (reading.configuration, before, reading.gpio)
    }
    if let before {
      if let config {
        world.note("linkbms: \(config) is not there: it goes on with what the state keeps, written when a change is confirmed")
      }
      return (before, before, nil)
    }
    if let scenario { return (scenario.configuration, nil, nil) }
    world.note("linkbms: \(config ?? "") is not there: it begins with the preset LFP and is written when a change is confirmed")
    return (Configuration(), nil, nil)
  }

  /// What was in force when the state was kept; `nil` = not known.
  /// - Parameter isNeeded: whether nothing else says what the controller is set to.
  private func configuration(
    in kept: CommissioningState?, _ scenario: Scenario?, _ path: String, isNeeded: Bool
  ) throws(WorldError) -> Configuration? {
    guard let kept else { return nil }
    // As the plant came. Of a real one an older program has kept nothing then.
    guard !kept.configuration.isEmpty else { return scenario?.configuration }
    let reading = ConfigurationFile.parse(kept.configuration, path: path)
    guard let problem = reading.problems.first else { return reading.configuration }
    guard isNeeded else { return nil }
    throw WorldError(message: "\(path): the configuration in it: \(problem); --restart begins anew")
  }

  /// The controller on its ports, held open and mute.
  private func live(
    _ name: String, _ configuration: Configuration, _ lines: GPIOSection?, _ scenario: Scenario?, statePath: String,
    _ library: DefinitionLibrary
  ) throws -> LivePlant {
    let digital = try open(lines)
    let feed = PlantFeed(waits: system.speed != 1)
    let sink = RunLogHandler.Sink(isJournal: false) { line in feed.say(line.trimmed) }
    var handler = RunLogHandler(sink)
    handler.logLevel = .warning
    let logger = Logger(label: "linkbms.commission") { [handler] _ in handler }
    // The state that 'linkbms run' goes on with.
    let engineState = (config ?? statePath) + ".state"
    var (settings, names) = system.settings(configuration, isSimulated: scenario != nil)
    names[.gpio] = lines?.chip
    settings.isPersonHeld = true
    settings.isMute = true
    settings.state = SystemOptions.storedState(engineState, logger) ?? scenario?.state
    let (buses, variant, address) = (system.buses.count, system.variant, system.address)
    let links: @Sendable (Configuration) throws(WorldError) -> [Session] = { configuration throws(WorldError) in
      try SystemOptions.sessions(configuration, buses: buses, variant: variant, address: address, library)
    }
    settings.sessions = try links(configuration)
    var parts = try system.parts(scenario)
    parts.ignoresSignals = true
    let text = RunText(configuration) { [names] part in names[part] ?? "a part" }
    var loop = RunLoop(
      settings, parts, clock: RunClock(speed: system.speed), statePath: engineState, logger: logger, sink: sink, text: text,
      portNames: parts.ports.map(\.name))
    loop.gpio = digital
    loop.feed = feed
    return LivePlant(name, loop, feed, configuration, links: links)
  }

  /// An input of the file keeps the contactors open here, too. The button is left alone: what it forgets and resets is a run's.
  private func open(_ lines: GPIOSection?) throws(WorldError) -> RunGPIO? {
    guard var lines else { return nil }
    lines.wiring = lines.wiring.withoutButton
    if lines.wiring.isEmpty { return nil }
    return try GPIOOptions.open(lines, at: "\(config ?? ""): \(GPIOSection.key)")
  }

  private func script(_ guide: Guide) throws -> AnswerScript? {
    guard let answers else { return nil }
    return AnswerScript(String(decoding: try InputFile.bytes(of: answers), as: UTF8.self), names: guide.questionNames)
  }

  private func statePath() throws(WorldError) -> String {
    if let state { return state }
    guard let history = HistoryFile.standardPath else {
      throw WorldError(message: "--state: needed, since neither XDG_STATE_HOME nor HOME is set")
    }
    return history.dropLast("history".count) + "commission.json"
  }

  /// The state to go on with; `nil` = begin anew.
  private func keptState(_ path: String, plant: String) throws(WorldError) -> CommissioningState? {
    guard InputFile.exists(path) else {
      if resume { throw WorldError(message: "--resume: \(path) is not there: nothing to go on with") }
      return nil
    }
    if restart { return nil }
    let kept = try CommissioningStateFile.parse(String(decoding: try InputFile.bytes(of: path), as: UTF8.self), path: path)
    if !resume {
      // One that is finished is no work that could be lost.
      guard kept.step <= 16 else { return nil }
      throw WorldError(
        message: "\(path): a commissioning of \(kept.plant) stands at step \(kept.step): --resume goes on, --restart begins anew")
    }
    guard kept.plant == plant else {
      throw WorldError(
        message: "--resume: \(path) is of \(kept.plant), not of \(plant); --restart begins anew, --state names another file")
    }
    return kept
  }
}

/// The guide that this program was built with.
enum GuideFile {
  static func read() throws(WorldError) -> Guide {
    let path = "commissioning.yaml"
    let (guide, problems) = Guide.parse(embeddedDissectors.first { $0.path == path }?.text ?? "", path: path)
    if let problem = problems.first { throw WorldError(message: "\(problem)") }
    return guide
  }
}

extension Guide {
  /// Names that a scripted answer may have.
  var questionNames: Set<String> {
    var names: Set<String> = ["contactors", "again"]
    for offer in Offer.allCases { names.insert("offer-\(offer.rawValue)") }
    for step in steps {
      for case .ask(let question) in step.stages { names.insert(question.id) }
    }
    return names
  }
}
