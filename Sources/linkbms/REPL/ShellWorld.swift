import Formats
import HostIO

/// The world of a command typed at the prompt or standing in a script.
struct ShellWorld: World {
  /// Where data goes unless a command is redirected.
  private let standard: ByteOutput
  private let standardTerminal: Terminal
  private let errors: ByteOutput
  private var redirections: [Redirection] = []
  private var definitions = LoadedDefinitions()
  var openCapture: String?
  let live = LiveHub(needsArm: true)
  /// A script from a pipe must not be eaten by the command it starts.
  var inputHoldsCommands: Bool { !TerminalDevice(descriptor: 0).isTerminal }
  /// `set format`.
  var defaultFormat = OutputFormat.text

  /// - Parameters:
  ///   - output: data of commands that are not redirected.
  ///   - errors: lines for a person.
  init(output: ByteOutput, errors: ByteOutput, terminal: Terminal) {
    standard = output
    self.errors = errors
    standardTerminal = terminal
  }

  /// A file or a pager is no place for colour.
  var terminal: Terminal {
    let terminal = standardTerminal.asItIsNow
    return redirections.isEmpty ? terminal : Terminal(columns: terminal.columns)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(WorldError) {
    do { try (redirections.last?.output ?? standard).write(bytes) } catch { throw WorldError(error, writing: outputName) }
  }

  mutating func flush() throws(WorldError) {
    do { try (redirections.last?.output ?? standard).flush() } catch { throw WorldError(error, writing: outputName) }
  }

  mutating func note(_ line: String) {
    try? standard.flush()
    try? errors.write(line + "\n")
  }

  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary { try definitions.library(options) }

  /// The prompt's own line editor; `nil` in scripts, whose lines are commands and no answers.
  var asked: AskedLines?

  mutating func ask(_ prompt: String, above: () -> String) throws(WorldError) -> String? {
    guard let asked else { throw WorldError(message: "nobody can be asked in a script: give the answers in a file") }
    try flush()
    let live = live
    return try asked.next(prompt, waits: { live.waits }) {
      live.waited(.now)
      live.pump(.now)
      return live.takeNews() + above()
    }
  }

  var isInterrupted: Bool { Signals.stopRequest != nil }

  /// What is typed there are commands, never a capture.
  var inputIsTerminal: Bool { true }

  mutating func showProgress(_ line: String?) {
    guard standardTerminal.isTerminal else { return }
    try? errors.write("\r\u{1B}[K" + (line.map { String($0.prefix(max(20, standardTerminal.columns - 1))) } ?? ""))
  }

  private var outputName: String { redirections.last?.name ?? "standard output" }
}

extension ShellWorld {
  /// Sends data to `target` until `endRedirection`; nests, for `source FILE > LOG`.
  /// - Parameter variables: what a program behind `|` finds in its environment beside ours.
  mutating func beginRedirection(to target: OutputTarget, variables: [String: String]) throws(WorldError) {
    try flush()
    switch target {
    case .standard: break
    case .file(let path, let appending):
      do throws(OutputError) {
        redirections.append(Redirection(output: try ByteOutput(path: path, appending: appending), name: path, child: nil))
      } catch {
        throw WorldError(error, writing: path)
      }
    case .program(let command):
      do throws(OutputError) {
        let program = try ChildProcess.piped(shell: Self.withPager(command), variables: variables)
        redirections.append(Redirection(output: program.output, name: command, child: program.child))
      } catch {
        throw WorldError(message: "cannot start '\(command)': \(error.text)")
      }
    }
  }

  /// Writes out what is left and waits for the program behind `|`.
  mutating func endRedirection(to target: OutputTarget) throws(WorldError) {
    if case .standard = target { return try flush() }
    guard let ending = redirections.popLast() else { return }
    let result: Result<Void, OutputError>
    do throws(OutputError) { result = .success(try ending.output.flush()) } catch { result = .failure(error) }
    ending.output.close()
    // What the program made of it is its own matter: `grep` answers 1 for "nothing found".
    if let child = ending.child { _ = ChildWait.end(of: child, servingJobsOf: live) }
    if case .failure(let error) = result { throw WorldError(error, writing: ending.name) }
  }

  /// `| pager` means the person's own.
  private static func withPager(_ command: String) -> String {
    guard command == "pager", let pager = FileNames.environment("PAGER"), !pager.isEmpty else { return command }
    return pager
  }
}

/// Where output goes instead of standard output.
private struct Redirection {
  var output: ByteOutput
  var name: String
  var child: ChildProcess?
}
