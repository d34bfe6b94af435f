import ArgumentParser
import HostIO

/// Opens the prompt, or runs a script of commands.
struct ShellCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "shell", abstract: "Explore captures at a prompt, or run a script of commands.",
    discussion: HelpText.discussion(
      """
      Every command of this program works there as well, and 'help' lists the rest. Commands come from -x, then -c; without \
      either from a pipe, or from you. A script stops at the first command that could not do its work, and ends with the highest \
      exit status that came.
      """,
      examples: [
        ("linkbms shell site.log", "open a capture, then type commands"),
        ("linkbms shell -c 'info; identify' site.log", "run commands and end"),
        ("linkbms shell -x morning.lbx", "run a file of commands"),
        ("echo version | linkbms", "run commands from a pipe"),
      ]))

  @Option(name: .customShort("c"), help: ArgumentHelp("Run these commands, separated by ';'; repeatable.", valueName: "commands"))
  var commands: [String] = []
  @Option(
    name: .customShort("x"), help: ArgumentHelp("Run the commands in this file; repeatable.", valueName: "file"),
    completion: .file())
  var scripts: [String] = []
  @Flag(name: .shortAndLong, help: "Stay at the prompt after -c and -x.")
  var interactive = false
  @Argument(help: "A capture to open.", completion: .file())
  var file: String?

  mutating func run(in world: inout some World) throws -> ExitStatus {
    try world.flush()
    // Here a second Ctrl-C must not end the process: it belongs to the next command.
    Signals.install(onSecondStop: .isRemembered)
    let session = ShellSession(world: .onStandardOutput, names: LibraryNames())
    if let file { try session.open(file) }
    let status = try run(session)
    _ = session.endJobs()
    try session.world.flush()
    throw ExitCode(status)
  }

  private func run(_ session: ShellSession) throws -> Int32 {
    var worst: Int32 = 0
    for origin in origins {
      let outcome = try session.run(script: origin)
      worst = max(worst, outcome.worst)
      switch outcome {
      case .ends(let wanted, _): return wanted ?? max(worst, session.endJobs())
      case .goesOn(let status):
        if Signals.stopRequest != nil || session.stops(after: status) { return max(worst, session.endJobs()) }
      }
    }
    // What jobs of a script came to counts; a person has seen it.
    guard interactive || (origins.isEmpty) else { return max(worst, session.endJobs()) }
    return InteractiveShell(session: session).run()
  }

  private var origins: [ScriptOrigin] {
    let given = scripts.map(ScriptOrigin.file) + commands.map(ScriptOrigin.text)
    return given.isEmpty && !TerminalDevice(descriptor: 0).isTerminal ? [.standardInput] : given
  }
}

extension ShellWorld {
  /// Standard output and error of this process.
  static var onStandardOutput: ShellWorld {
    let terminal = Terminal(TerminalDevice(descriptor: 1))
    return ShellWorld(
      output: ByteOutput(descriptor: 1, buffering: terminal.isTerminal ? .none : .full),
      errors: ByteOutput(descriptor: 2, buffering: .none), terminal: terminal)
  }
}
