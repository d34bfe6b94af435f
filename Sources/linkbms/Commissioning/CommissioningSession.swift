import Analysis
import Bus
import Controller
import Formats
import HostIO

/// Runs a commissioning against a plant, a person or a script, and a state file.
struct CommissioningSession {
  private(set) var run: CommissioningRun
  let text: CommissionText
  let statePath: String
  let configurationPath: String?
  let saysYes: Bool
  var script: AnswerScript?
  /// What the configuration's file says at the start, where the state was kept with something else.
  private let edited: Configuration?
  /// The digital lines that the configuration's file named at the start.
  private let lines: GPIOSection?

  init(
    run: CommissioningRun, text: CommissionText, statePath: String, configurationPath: String?, saysYes: Bool,
    script: AnswerScript?, edited: Configuration? = nil, lines: GPIOSection? = nil
  ) {
    self.edited = edited
    self.lines = lines
    self.run = run
    self.text = text
    self.statePath = statePath
    self.configurationPath = configurationPath
    self.saysYes = saysYes
    self.script = script
  }

  /// Until all is done, or nobody answers any more.
  mutating func go(_ plant: inout some CommissioningPlant, in world: inout some World) throws -> ExitStatus {
    do {
      takeTime()
      try obey(run.start(edited.map { edit($0) }), &plant, in: &world)
      while run.end == nil {
        takeTime()
        if world.isInterrupted {
          try obey(run.leave("a signal ended the program"), &plant, in: &world)
          break
        }
        if run.isWatching {
          let step = try plant.step(isFine: run.wantsFineSteps)
          try tell(&plant, in: &world)
          try obey(run.take(step), &plant, in: &world)
          continue
        }
        guard let question = run.question else { break }
        plant.rest()
        guard let line = try answer(question, &plant, in: &world) else {
          let isSignal = world.isInterrupted
          try obey(run.leave(isSignal ? "a signal ended the program" : "nobody answered"), &plant, in: &world)
          // A step that failed, and a script that says nothing to that: the failure is the result.
          if question.id == "again" || isSignal { break }
          throw WorldError(
            message: "no answer to \(run.step.number).\(question.id): \(question.text) The state is kept; --resume goes on here")
        }
        takeTime()
        try tell(&plant, in: &world)
        if let outputs = edits(question, line) {
          try obey(outputs, &plant, in: &world)
        } else {
          try obey(run.answer(line), &plant, in: &world)
        }
      }
    } catch {
      // Whatever went wrong, the contactors open, and the state says so where it can be written.
      try? plant.perform(.hold)
      _ = run.leave("\(error)")
      try? save()
      throw error
    }
    guard run.end == .finished else { return .findings }
    let left = run.state.records.filter { $0.verdict == .skipped && $0.reason != "optional" }
    try world.print("")
    try world.print(
      left.isEmpty
        ? "All steps are passed. Congratulations: you have your own HV energy storage."
        : "Done; skipped: \(left.map { "step \($0.number) (\($0.reason))" }.joined(separator: ", ")).")
    return left.isEmpty ? .done : .findings
  }

  private mutating func obey(
    _ outputs: [CommissioningRun.Output], _ plant: inout some CommissioningPlant, in world: inout some World
  ) throws {
    for output in outputs {
      switch output {
      case .show(let block): for line in text.lines(block) { try world.print(line) }
      case .order(let order): try plant.perform(order)
      case .save: try save()
      case .write(let configuration): try write(configuration, in: &world)
      }
    }
    try world.flush()
  }

  /// The run itself reads no clock.
  private mutating func takeTime() { run.now = PortPoller.wallClock_ns / 1_000_000_000 }

  // MARK: The configuration's file

  private func edit(_ wanted: Configuration, goesBack: Bool = false) -> CommissioningRun.Edit {
    CommissioningRun.Edit(configuration: wanted, file: configurationPath ?? "the configuration", goesBack: goesBack)
  }

  /// What comes of an answer where the file says something else than what is in force; `nil` = the answer counts as it is. The file is
  /// looked at when a step begins again, and before anything is written to it.
  private mutating func edits(_ question: Question, _ line: String) -> [CommissioningRun.Output]? {
    let goesBack = line.trimmed == "back"
    let isWritten = question.id.hasPrefix("offer-") && question.answer(line) == "yes"
    guard goesBack || isWritten || line.trimmed == "repeat" else { return nil }
    guard let configurationPath, InputFile.exists(configurationPath) else { return nil }
    let wanted: Configuration
    do throws(WorldError) { wanted = try ConfigurationInput.read(configurationPath) } catch {
      return goesBack ? nil : run.refused(error.message)
    }
    guard !ConfigurationChange(from: run.configuration, to: wanted).isEmpty else { return nil }
    if let violation = wanted.violations.first { return goesBack ? nil : run.refused("\(configurationPath): \(violation)") }
    return run.edited(edit(wanted, goesBack: goesBack))
  }

  /// Keeps a second commissioning away from the state file.
  static func lock(_ path: String) throws(WorldError) -> FileLock {
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex { try? FileNames.makeFolder(String(path[..<slash])) }
    let since = CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns))
    do throws(FileLock.Failure) {
      return try FileLock(path, owner: "process \(FileLock.process), since \(since) UTC")
    } catch {
      switch error {
      case .taken(let owner):
        throw WorldError(
          message: "\(path): another commissioning works with it (\(owner)): end that one first, or name another file with --state")
      case .refused(let why): throw WorldError(message: why.description)
      }
    }
  }

  /// What the plant says by itself.
  private func tell(_ plant: inout some CommissioningPlant, in world: inout some World) throws(WorldError) {
    for note in plant.takeNotes() { try world.print("  ! " + note) }
  }

  private func save() throws(WorldError) {
    if let slash = statePath.lastIndex(of: "/"), slash > statePath.startIndex {
      try? FileNames.makeFolder(String(statePath[..<slash]))
    }
    do throws(HostError) { try AtomicFile.write(Array(CommissioningStateFile.text(run.state).utf8), to: statePath) } catch {
      throw WorldError(message: error.description)
    }
  }

  private func write(_ configuration: Configuration, in world: inout some World) throws {
    guard let configurationPath else {
      return try world.print("  In force; written to no file, since --config names none.")
    }
    try ConfigurationOutput.write(configuration, to: configurationPath, lines: lines)
    try world.print("  In force and written to \(configurationPath).")
  }

  /// From the script, by `--yes`, or from the person.
  private mutating func answer(
    _ question: Question, _ plant: inout some CommissioningPlant, in world: inout some World
  ) throws -> String? {
    let shown = text.question(question)
    if script != nil || saysYes {
      if let given = script?.answer(question.id, step: run.step.number) ?? assumed(question) {
        for line in text.wrapped("\(shown) \(given)", indent: 2) { try world.print(line) }
        return given
      }
      if script != nil { return nil }
    }
    for line in text.wrapped(shown, indent: 2) { try world.print(line) }
    return try world.ask("\(run.step.number)> ") { plant.takeNotes().map { "  ! \($0)\n" }.joined() }
  }

  /// What `--yes` answers: never a confirmation, and never what a step that failed is to do.
  private func assumed(_ question: Question) -> String? {
    guard saysYes, !question.isConfirmation, question.id != "again" else { return nil }
    if case .yesNo = question.kind { return question.standard ?? "yes" }
    return question.standard
  }
}
