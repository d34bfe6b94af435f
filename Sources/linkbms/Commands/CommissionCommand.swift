import Analysis
import ArgumentParser
import Bus
import Controller
import Formats
import HostIO
import Simulation

/// `commission`: the manual's sixteen steps, from the first 5 V to the first charge.
struct CommissionCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "commission",
    abstract: "Put a system into service, step by step, with checks at each.",
    discussion: HelpText.discussion(
      "The manual's sixteen steps: what to do, what is measured, and what to do about each failure. A contactor never closes before "
        + "\"close contactors\" was typed for it; on any doubt they open. The state is kept after every answer: after a crash --resume "
        + "goes on at the same step. At any question: help, note TEXT, photo NAME, repeat, back, skip REASON, quit. A scripted answer "
        + "is a line NAME: ANSWER, or a plain line for the next question; --dry-run shows the names. Exit status: 0 all steps passed; "
        + "1 a step failed or was left; 2 could not do it.",
      examples: [
        ("linkbms commission --list", "the sixteen steps"),
        ("linkbms commission --dry-run", "everything that would be asked, measured and done"),
        ("linkbms commission --simulate plant.yaml", "practise on a simulated system"),
        ("linkbms commission --simulate plant.yaml --answers day.txt --report day.html", "scripted, with a report"),
        ("linkbms commission --simulate plant.yaml --resume", "go on after a crash"),
      ]))

  @Option(
    help: ArgumentHelp("Commission this simulated system (a scenario), in virtual time.", valueName: "file"),
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
  @Flag(help: "Go on with the kept state.")
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
    help: ArgumentHelp("Write changes of the configuration to this file, after each is confirmed.", valueName: "file"),
    completion: .file(extensions: ["yaml"]))
  var config: String?

  func validate() throws {
    if resume, restart { throw ValidationError("--resume, --restart: give one of them") }
    if let step { guard (1...16).contains(step) else { throw ValidationError("--step: found \(step), expected 1…16") } }
    for path in report where CommissionReport.Format(path) == nil {
      throw ValidationError("--report: found \"\(path)\", expected a name that ends in .md, .json or .html")
    }
    guard list || step != nil || dryRun || simulate != nil else {
      throw ValidationError("name a plant with --simulate FILE, or give --dry-run, --list or --step N")
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
    guard let simulate else { return .failed }
    let content = String(decoding: try InputFile.bytes(of: simulate), as: UTF8.self)
    // A configuration that breaks rules is what step 7 is there to find.
    let (scenario, problems) = ScenarioFile.parse(content, path: simulate, allowsViolations: true)
    guard problems.isEmpty else {
      for problem in problems { world.note("linkbms: \(problem)") }
      throw WorldError(
        message: "\(simulate): \(problems.count) problem\(problems.count == 1 ? "" : "s"), expected a scenario")
    }
    var options = DefinitionOptions()
    options.dissectors = nil
    let library = try world.library(options)
    let path = try statePath()
    let kept = try keptState(path, plant: simulate)
    var set = scenario.configuration
    if let kept, !kept.configuration.isEmpty {
      let reading = ConfigurationFile.parse(kept.configuration, path: path)
      if let complaint = reading.complaints.first {
        throw WorldError(message: "\(path): the configuration in it: \(complaint); --restart begins anew")
      }
      set = reading.configuration
    }
    var plant = try SimulatedPlant(scenario, name: simulate, library: library, configuration: set)
    var start = kept ?? CommissioningState()
    start.plant = simulate
    let run = CommissioningRun(guide, library: library, configuration: set, state: start, isResumed: kept != nil)
    var session = CommissioningSession(
      run: run, text: text, statePath: path, configurationPath: config, saysYes: yes,
      script: try script(guide))
    let result: Result<ExitStatus, any Error>
    do { result = .success(try session.go(&plant, in: &world)) } catch { result = .failure(error) }
    // What was done until then is worth a report, however it ended.
    let date = "\(CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns))) UTC"
    let record = CommissionReport(session.run.state, session.run.configuration, plant: plant.name, date: date)
    for path in report {
      try OutputFile.write(record.text(CommissionReport.Format(path) ?? .markdown), to: path)
      world.note("linkbms: wrote \(path)")
    }
    return try result.get()
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
