import ArgumentParser
import HostIO

/// What the prompt keeps from one line to the next, and how it runs a line.
///
/// A class, because readline's completer and the built-in commands look at the same session.
final class ShellSession {
  /// What a script does when a command could not do it.
  enum ErrorReaction: String, CaseIterable { case stop, `continue` }

  /// What comes after a line.
  enum Outcome: Equatable {
    /// The next line. The status is the worst of the line's commands.
    case goesOn(Int32)
    /// Nothing: `quit`, with the status to end with if one was given, and the worst of what ran so far.
    case ends(Int32?, worst: Int32)

    /// The worst status of what ran.
    var worst: Int32 {
      switch self {
      case .goesOn(let worst), .ends(_, let worst): worst
      }
    }
  }

  var world: ShellWorld
  /// Values of `$NAME`.
  var variables: [String: String] = [:]
  /// Short names for the beginning of a line.
  var aliases: [String: String] = ["q": "quit", "exit": "quit", "h": "help", "?": "help", ".": "source"]
  /// Values that commands get for these options where a line gives none, by long name.
  var optionDefaults: [String: String] = [:]
  var onError: ErrorReaction = .stop
  /// The status of the last command, `$?`.
  private(set) var lastStatus: Int32 = 0
  /// Set by `quit`.
  var wantsToQuit: Quit?
  /// Earlier lines, oldest first.
  var history: () -> [String] = { [] }
  /// Names that TAB offers beside commands and options.
  let names: any CompletionSource
  /// The open capture as it was when last looked at.
  var knownFacts: FileFacts?
  /// Scripts being run, outermost first.
  var scriptsRunning: [String] = []
  /// Whether an expectation of the last command was not met: that stops a script, too.
  var hasUnmetExpectation = false
  /// Whether the statement that runs only looks at what came: what it may look at, the next one may, too.
  var onlyLooks = false
  /// The words of the statement that runs, as they were typed.
  private(set) var typed: [PromptWord] = []
  /// How long `let` waits for the value of a signal, with the time that it takes to find out what the bus speaks.
  var valuePatience_ns: Int64 = LiveIdentifier.patience_ns + 2_000_000_000

  /// A wish to end the session, with this status or with that of what ran so far.
  struct Quit: Equatable { var status: Int32? }

  /// Everything that can be typed, with its options; made when first asked for.
  private(set) lazy var commands: CommandInfo = CommandTree.of(Prompt.self)

  init(world: ShellWorld, names: any CompletionSource) {
    self.world = world
    self.names = names
  }

  /// The values a line may use: the session's own, the last status, the environment.
  func variable(_ name: String) -> String? {
    name == "?" ? String(lastStatus) : variables[name] ?? FileNames.environment(name)
  }

  /// Live buses of this session.
  var live: LiveHub { world.live }
  /// The one that `wait`, `expect`, `assert` and `let` look at.
  var bus: BusListener? { live.listener }

  /// Findings (1) are a result; everything above is a command that could not do its work.
  static func isFailure(_ status: Int32) -> Bool { status > ExitStatus.findings.rawValue }

  /// Whether a script ends behind a command that came to this.
  func stops(after status: Int32) -> Bool { onError == .stop && (Self.isFailure(status) || hasUnmetExpectation) }
}

extension ShellSession {
  /// Runs what stands on one line. Errors have been said when this returns.
  /// - Parameter place: put before error messages, `site.lbx:3: `, for scripts.
  func run(line: String, place: String = "") -> Outcome {
    var scanner = PromptScanner(line)
    var worst: Int32 = 0
    do throws(PromptLineError) {
      while let statement = try scanner.next(alias: { aliases[$0] }, variable: variable) {
        hasUnmetExpectation = false
        onlyLooks = false
        let (before, heard) = (bus, bus?.heard ?? 0)
        live.statementBegins(.now)
        lastStatus = run(statement, place: place)
        worst = max(worst, lastStatus)
        serveJobs()
        tellStandstill(statement)
        // Of a bus that was opened meanwhile everything counts.
        if let before, bus === before, !onlyLooks { before.statementEnded(beganAt: heard) }
        if let wantsToQuit { return .ends(wantsToQuit.status, worst: worst) }
        if Signals.stopRequest != nil || stops(after: lastStatus) { break }
      }
    } catch {
      world.note("linkbms: \(place)\(error.text)")
      lastStatus = ExitStatus.failed.rawValue
      worst = max(worst, lastStatus)
    }
    return .goesOn(worst)
  }

  private func run(_ statement: PromptStatement, place: String) -> Int32 {
    do {
      switch statement {
      case .system(let command): return try runSystem(command)
      case .command(let words, let target): return try run(words, target)
      case .background(let words, let target): return try start(words, target)
      }
    } catch {
      return CommandRunner.report(error, of: Prompt.self, in: &world, place: place)
    }
  }

  private func run(_ words: [PromptWord], _ target: OutputTarget) throws -> Int32 {
    typed = words
    let arguments = try resolved(words)
    guard let command = arguments.first else { return 0 }
    let asksForHelp = arguments.contains("--help") || arguments.contains("-h")
    guard target == .standard || asksForHelp || !ShellSession.saysNothing.contains(command) else {
      throw WorldError(
        message: "\(command): prints nothing that could go to a file or a program: an expression with > or | in it needs quotes")
    }
    try world.beginRedirection(to: target, variables: variables)
    let result = outcome(of: arguments)
    do throws(WorldError) { try world.endRedirection(to: target) } catch {
      // A command that failed has its own, nearer reason.
      if case .success = result { throw error }
    }
    return try result.get()
  }

  /// Commands that print nothing: behind them `>` was meant as a part of the expression.
  private static let saysNothing: Set<String> = ["assert", "expect", "wait"]

  private func outcome(of arguments: [String]) -> Result<Int32, any Error> {
    do { return .success(try run(try Prompt.parseAsRoot(arguments))) } catch {
      // Help is an answer the parser throws; it goes where the command's output goes.
      let isAnswer = !(error is WorldError) && Prompt.exitCode(for: error) == .success
      return isAnswer ? .success(CommandRunner.report(error, of: Prompt.self, in: &world)) : .failure(error)
    }
  }

  private func run(_ command: any ParsableCommand) throws -> Int32 {
    guard var builtIn = command as? any BuiltInCommand else { return try CommandRunner.run(command, in: &world) }
    return try builtIn.run(in: self).rawValue
  }

  private func runSystem(_ command: String) throws -> Int32 {
    guard !command.isEmpty else { throw WorldError(message: "expected a program after !, for example: ! ls") }
    try world.flush()
    let child: ChildProcess
    do throws(OutputError) { child = try ChildProcess(shell: command, variables: variables) } catch {
      throw WorldError(message: "cannot start '\(command)': \(error.text)")
    }
    switch ChildWait.end(of: child, servingJobsOf: live) {
    case .exited(0): return 0
    case .exited(let status): throw WorldError(message: "'\(command)' ended with status \(status)")
    case .signalled(2): return 128 + 2
    case .signalled(let number): throw WorldError(message: "'\(command)' was ended by signal \(number)")
    }
  }
}
