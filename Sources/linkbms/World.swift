import ArgumentParser
import Formats

/// How a command ended (design.md "Exit status"); 128 + n stands for a signal.
enum ExitStatus: Int32, Sendable, Comparable {
  /// Done, and nothing wrong.
  case done = 0
  /// Done, and there are findings, differences or damage.
  case findings = 1
  /// Could not do it: usage, input or device.
  case failed = 2

  static func < (a: ExitStatus, b: ExitStatus) -> Bool { a.rawValue < b.rawValue }
}

/// Everything a command may touch. The same command runs from the command line and at the prompt; only its world differs.
protocol World {
  /// Data, to standard output or wherever the prompt redirects it.
  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(WorldError)
  /// Lets written data go out now; needed by commands that show something while they wait.
  mutating func flush() throws(WorldError)
  /// A line for a person, to standard error.
  mutating func note(_ line: String)
  /// What the output can show.
  var terminal: Terminal { get }
  /// Whether standard input is a terminal, so that nothing can be read from it as a capture.
  var inputIsTerminal: Bool { get }
  /// `--format` where a command is not told: text, unless the prompt's `set format` says otherwise.
  var defaultFormat: OutputFormat { get }
  /// Shows a line of progress in place of the one before; `nil` clears it.
  mutating func showProgress(_ line: String?)
  /// The definitions in use.
  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary
  /// The capture that the prompt has open; commands without a FILE work on it.
  var openCapture: String? { get set }
  /// Asks the person, or whoever writes to standard input, for a line; `nil` where nothing more comes, and on Ctrl-C.
  /// - Parameter above: asked again and again for what is to be shown meanwhile: whole lines.
  mutating func ask(_ prompt: String, above: () -> String) throws(WorldError) -> String?
  /// Whether the person pressed Ctrl-C since the command began.
  var isInterrupted: Bool { get }
  /// Live buses: how they are opened, who may send, jobs in the background.
  var live: LiveHub { get }
  /// Whether standard input holds the commands themselves, so that none may read lines from it.
  var inputHoldsCommands: Bool { get }
}

extension World {
  /// Nothing to do where nothing is gathered.
  mutating func flush() throws(WorldError) {}

  /// Where nobody sits.
  mutating func ask(_ prompt: String, above: () -> String) throws(WorldError) -> String? {
    throw WorldError(message: "nobody can be asked here: give the answers in a file")
  }

  /// Writes a line of text as data.
  mutating func print(_ line: String) throws(WorldError) {
    var text = line + "\n"
    var failure: WorldError?
    text.withUTF8 { bytes in
      do throws(WorldError) { try write(UnsafeRawBufferPointer(bytes)) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

/// What the output can show.
struct Terminal: Sendable, Equatable {
  /// Whether a person looks at the output.
  var isTerminal = false
  /// Width in columns, 80 if unknown.
  var columns = 80
  /// Height in rows, 24 if unknown.
  var rows = 24
  /// Whether colour is wanted: a terminal, and `NO_COLOR` is not set.
  var usesColour = false
  /// Whether standard error is a terminal, where progress may be shown.
  var progressIsWanted = false
  /// Whose window it is, where that may change its size.
  var descriptor: Int32?
}

/// Why a command could not do it. `message` names the file or option, what was found, what was expected, what to do.
struct WorldError: Error, CustomStringConvertible {
  var message: String
  var status: ExitStatus = .failed
  var description: String { message }
  /// The reader of the output has gone away (`| head`): end silently.
  static let brokenPipe = WorldError(message: "", status: .done)
  /// Ctrl-C came while the output waited: end silently, the front end knows the signal.
  static let interrupted = WorldError(message: "", status: .failed)
}

/// A command of the tool: from the command line and at the prompt.
protocol ToolCommand: ParsableCommand {
  mutating func run(in world: inout some World) throws -> ExitStatus
}

/// Options that choose definitions; shared by all commands that decode.
struct DefinitionOptions: ParsableArguments {
  @Option(
    name: .customLong("protocol"), help: ArgumentHelp("Decode as this protocol instead of identifying it.", valueName: "name"))
  var protocolName: String?
  @Option(help: ArgumentHelp("Use this variant of the protocol.", valueName: "name"))
  var variant: String?
  @Option(help: ArgumentHelp("Decode with this DBC file only; repeatable.", valueName: "file"))
  var dbc: [String] = []
  @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?

  /// The definitions that came with the program.
  static var builtIn: DefinitionOptions {
    var options = DefinitionOptions()
    options.protocolName = nil
    options.variant = nil
    options.dbc = []
    options.dissectors = nil
    return options
  }
}
