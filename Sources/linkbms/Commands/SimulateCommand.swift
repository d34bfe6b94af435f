import Analysis
import ArgumentParser
import Bus
import Controller
import Formats
import Gateway
import HostIO
import Simulation

/// `simulate`: controller, chains, PDU, battery and load in virtual time.
struct SimulateCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run the controller on a simulated battery, and hold it against what a scenario expects.",
    discussion: HelpText.discussion(
      "A scenario is a YAML file: battery, configuration, load, faults at given times, and the status and values expected. "
        + "Captures/scenarios holds a dozen and describes the keys. Every step is checked against the rules that must always hold "
        + "(never closed past a protect limit, never without precharge, …).",
      examples: [
        ("linkbms simulate Captures/scenarios/manual-page.yaml", "the system of the manual's parameter page"),
        ("linkbms simulate --speed 60 Captures/scenarios/overload.yaml", "watch it, a minute a second"),
        ("linkbms simulate --record run.pcapng slave-lost.yaml", "keep everything that went in and came out"),
        ("linkbms simulate --http :8080 manual-page.yaml", "serve the master's pages, in real time, until Ctrl-C"),
        ("linkbms simulate --random --seeds 1-1000 --days 1", "random systems and faults; a failure is shrunk and printed"),
        ("linkbms simulate --random --runs --seeds 1-100 --days 0.02", "the same for ports, lines and late steps"),
      ]))

  @Argument(help: ArgumentHelp("Scenarios.", valueName: "scenario"), completion: .file(extensions: ["yaml"]))
  var files: [String] = []
  @Option(help: ArgumentHelp("Virtual seconds in a second, or max. Max, unless somebody watches.", valueName: "n|max"))
  var speed: String?
  @Option(
    help: ArgumentHelp(
      "Write everything that went in and came out to FILE (pcapng), and FILE.log in the shape of candump.", valueName: "file"),
    completion: .file())
  var record: String?
  @Flag(help: "Print no events, only the page at the end and what was not as expected.")
  var quiet = false
  @Flag(help: "Make systems, loads and faults by chance instead.")
  var random = false
  @Flag(help: "With --random: whole runs as 'linkbms run' makes them, with lost ports and lines, late steps, full queues.")
  var runs = false
  @Option(help: ArgumentHelp("Seeds of --random: one, or first-last.", valueName: "seeds"))
  var seeds = "1"
  @Option(help: ArgumentHelp("Virtual days for each seed of --random.", valueName: "days"))
  var days = 1.0

  @OptionGroup var pages: PagesOptions

  private var factor: Double? { speed.flatMap { $0 == "max" ? .infinity : Double($0) } }

  func validate() throws {
    if let speed, !(factor.map { $0 > 0 } ?? false) {
      throw ValidationError("--speed: found \"\(speed)\", expected a number above 0, or max")
    }
    if random != files.isEmpty { throw ValidationError("name a SCENARIO, or give --random") }
    if runs, !random { throw ValidationError("--runs: needs --random") }
    if random, seedRange == nil { throw ValidationError("--seeds: found \"\(seeds)\", expected a number or first-last") }
    if record != nil, files.count != 1 { throw ValidationError("--record: needs exactly one SCENARIO") }
    if pages.http != nil, files.count != 1 { throw ValidationError("--http: needs exactly one SCENARIO") }
    if pages.http != nil, record != nil { throw ValidationError("--http and --record: give one of the two") }
    guard days > 0, days <= 4000 else { throw ValidationError("--days: found \(days), expected more than 0, at most 4000") }
  }

  private var seedRange: ClosedRange<UInt64>? {
    let parts = seeds.split(separator: "-", omittingEmptySubsequences: false).map { UInt64($0) }
    guard let first = parts.first ?? nil, parts.count <= 2 else { return nil }
    guard parts.count == 2 else { return first...first }
    guard let last = parts[1], last >= first else { return nil }
    return first...last
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if random, runs, let seedRange { return try RandomRuns(seeds: seedRange, seconds: days * 86_400).run(in: &world) }
    if random { return try runRandom(in: &world) }
    var status = ExitStatus.done
    for file in files { status = max(status, try run(file, in: &world)) }
    return status
  }

  // MARK: One scenario

  private func run(_ path: String, in world: inout some World) throws -> ExitStatus {
    let text = String(decoding: try InputFile.bytes(of: path), as: UTF8.self)
    let (scenario, problems) = ScenarioFile.parse(text, path: path)
    guard problems.isEmpty else {
      for problem in problems { world.note("linkbms: \(problem)") }
      throw WorldError(message: "\(path): \(problems.count) problem\(problems.count == 1 ? "" : "s"), expected a scenario")
    }
    var simulator = Simulator(scenario)
    try connect(&simulator, path, in: &world)
    var judge = ScenarioJudge(scenario)
    if record != nil { for index in simulator.links.indices { simulator.links[index].isKept = true } }
    var recorder: SimulationRecorder?
    if let record { recorder = try SimulationRecorder(record, simulator) }
    let texts = EventText(scenario.configuration)
    let isLive = world.terminal.isTerminal && !quiet && (factor ?? 60) != .infinity
    let feed = try pages.feed(in: &world)
    defer { feed?.stop() }
    var publisher = feed?.hub.publisher()
    publisher?.shift_ns = PortPoller.wallClock_ns - simulator.time_ns
    // People look at it in real time, and for as long as they like.
    let pace = factor ?? (feed != nil ? 1 : isLive ? 60 : .infinity)
    let page = ParameterPage(style: TextStyle(usesColour: world.terminal.usesColour))
    let started = monotonicMilliseconds()
    var lastShown: Int64 = 0
    var recent: [String] = []
    var view = LiveView()
    while simulator.now < scenario.duration || feed != nil, !world.isInterrupted {
      let seconds = simulator.step()
      PagesFeed.exchange(&publisher, &simulator)
      for line in feed?.server.takeNews() ?? [] { world.note("linkbms: \(line)") }
      var events: [String] = []
      for index in 0..<simulator.engine.events.count { events.append(texts.event(simulator.engine.events[index].kind)) }
      judge.observe(simulator.engine, now: simulator.now, seconds: seconds, events: events)
      try recorder?.write(&simulator, events)
      for event in events {
        let line = "\(ScenarioTime.text(simulator.now))  \(event)"
        if isLive { recent.append(line) } else if !quiet { try world.print(line) }
      }
      if recent.count > 8 { recent.removeFirst(recent.count - 8) }
      guard pace != .infinity else { continue }
      let due = started + Int64(simulator.now / pace * 1000)
      let now = monotonicMilliseconds()
      if isLive, now - lastShown > 100 {
        lastShown = now
        try show(page.lines(simulator.engine, simulator.readings) + [""] + recent, &view, in: &world)
      }
      if due > now { pause(milliseconds: Int32(clamping: due - now)) }
    }
    try recorder?.close()
    if isLive {
      try show(page.lines(simulator.engine, simulator.readings) + [""] + recent, &view, in: &world)
    } else {
      try world.print("")
      for line in page.lines(simulator.engine, simulator.readings) { try world.print(line) }
    }
    return try verdict(path, scenario, simulator, judge, in: &world)
  }

  /// Puts controller and inverter on one bus where the scenario wants that.
  private func connect(_ simulator: inout Simulator, _ path: String, in world: inout some World) throws {
    guard let wanted = simulator.scenario.link else { return }
    var options = DefinitionOptions()
    options.dissectors = nil
    let library = try world.library(options)
    let definition = try TableChooser.definition(wanted.protocolName, library)
    let variant = try TableChooser.variant(wanted.variant, of: definition)
    let other = library.definition(definition.protocolName == "sofar" ? "goodwe" : "sofar")?.link()
    guard simulator.connect(definition.link(variant: variant?.name), other: other) else {
      throw WorldError(
        message: "\(path): link: \(wanted.protocolName) has no handshake for both sides: expected one that both can be played in")
    }
  }

  /// Draws the page where it stood before.
  private func show(_ lines: [String], _ view: inout LiveView, in world: inout some World) throws {
    try world.write(view.draw(lines, columns: world.terminal.columns, rows: world.terminal.rows))
    try world.flush()
  }

  private func verdict(
    _ path: String, _ scenario: Scenario, _ simulator: Simulator, _ judge: ScenarioJudge, in world: inout some World
  ) throws -> ExitStatus {
    let auditor = simulator.auditor
    for failure in judge.failures { world.note("linkbms: \(path):\(failure)") }
    for violation in auditor.violations { world.note("linkbms: \(path): rule broken \(violation)") }
    let isGood = judge.failures.isEmpty && auditor.count == 0
    try world.print(
      "\(scenario.name.isEmpty ? path : scenario.name): \(isGood ? "as expected" : "NOT as expected"): "
        + "\(scenario.expectations.count - judge.failures.count) of \(scenario.expectations.count) expectations, "
        + "\(auditor.steps) steps checked, \(auditor.count) rules broken")
    return isGood ? .done : .findings
  }

  // MARK: By chance

  private func runRandom(in world: inout some World) throws -> ExitStatus {
    guard let range = seedRange else { return .failed }
    var steps = 0
    var changes = 0
    var closings = 0
    var failed: [UInt64] = []
    let started = monotonicMilliseconds()
    for seed in range {
      if world.isInterrupted { break }
      let scenario = Scenario.random(seed: seed, days: days)
      var simulator = Simulator(scenario)
      while simulator.now < scenario.duration, simulator.auditor.count == 0 { simulator.step() }
      steps += simulator.auditor.steps
      changes += simulator.auditor.changes
      closings += simulator.auditor.closings
      guard let violation = simulator.auditor.violations.first else { continue }
      failed.append(seed)
      try world.print("seed \(seed): \(violation)")
      let shrunk = scenario.shrunk(Self.firstViolation)
      try world.print("  shrunk to \(shrunk.faults.count) faults in \(Int(shrunk.duration)) s: \(shrunk.faults)")
      if let at = Self.firstViolation(shrunk) {
        try world.print("  breaks at \(at) s; again with: simulate --random --seeds \(seed) --days \(days)")
      }
    }
    let seconds = Double(monotonicMilliseconds() - started) / 1000
    let virtual = Double(range.count) * days
    try world.print(
      "\(range.count) seeds, \(virtual) virtual days in \(seconds) s: \(steps) steps checked, \(changes) changes of status, "
        + "\(closings) closings, \(failed.count) seeds broke a rule")
    return failed.isEmpty ? .done : .findings
  }

  private static func firstViolation(_ scenario: Scenario) -> Double? {
    var simulator = Simulator(scenario)
    while simulator.now < scenario.duration {
      simulator.step()
      if let violation = simulator.auditor.violations.first { return violation.at }
    }
    return nil
  }
}
