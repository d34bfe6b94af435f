import Formats
import HostIO

/// The world of a command started from the command line: standard output and error of this process.
struct ProcessWorld: World {
  private let output: ByteOutput
  private let errors = ByteOutput(descriptor: 2, buffering: .none)
  private let terminalAtStart: Terminal
  var openCapture: String?
  private var definitions = LoadedDefinitions()
  /// A command line that names a bus to send on is explicit enough.
  let live = LiveHub(needsArm: false)
  let inputHoldsCommands = false

  init() {
    let device = TerminalDevice(descriptor: 1)
    var terminal = Terminal(device)
    terminal.progressIsWanted = TerminalDevice(descriptor: 2).isTerminal
    terminalAtStart = terminal
    output = ByteOutput(descriptor: 1, buffering: terminal.isTerminal ? .none : .full)
  }

  var terminal: Terminal { terminalAtStart.asItIsNow }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(WorldError) {
    do { try output.write(bytes) } catch { throw WorldError(error, writing: "standard output") }
  }

  mutating func flush() throws(WorldError) {
    do { try output.flush() } catch { throw WorldError(error, writing: "standard output") }
  }

  mutating func note(_ line: String) {
    // What came before stands before it, where both go to one terminal or file.
    try? output.flush()
    try? errors.write(line + "\n")
  }

  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary { try definitions.library(options) }

  /// Made when somebody is asked for the first time: it takes the terminal.
  private var lines: AskedLines?

  mutating func ask(_ prompt: String, above: () -> String) throws(WorldError) -> String? {
    let source = lines ?? (inputIsTerminal ? .editor : .plain)
    lines = source
    try flush()
    return try source.next(prompt, above: above)
  }

  var isInterrupted: Bool { Signals.stopRequest != nil }

  var inputIsTerminal: Bool { TerminalDevice(descriptor: 0).isTerminal }

  var defaultFormat: OutputFormat { .text }

  mutating func showProgress(_ line: String?) {
    // Back to the first column, and what the line before left is wiped.
    try? errors.write("\r\u{1B}[K" + (line.map { String($0.prefix(max(20, terminal.columns - 1))) } ?? ""))
  }
}

extension Terminal {
  /// What `device` can show, given `COLUMNS`, `NO_COLOR` and `TERM`.
  init(_ device: TerminalDevice) {
    isTerminal = device.isTerminal
    descriptor = device.descriptor
    takeSize(of: device)
    let refusesColour = !(FileNames.environment("NO_COLOR") ?? "").isEmpty || FileNames.environment("TERM") == "dumb"
    usesColour = isTerminal && !refusesColour
  }

  /// With the size that its window has by now.
  var asItIsNow: Terminal {
    guard isTerminal, let descriptor else { return self }
    var terminal = self
    terminal.takeSize(of: TerminalDevice(descriptor: descriptor))
    return terminal
  }

  private mutating func takeSize(of device: TerminalDevice) {
    let wanted = FileNames.environment("COLUMNS").flatMap { Int($0) }.flatMap { $0 > 0 ? min($0, 10_000) : nil }
    columns = wanted ?? device.columns ?? 80
    rows = FileNames.environment("LINES").flatMap { Int($0) }.flatMap { $0 > 0 ? min($0, 10_000) : nil } ?? device.rows ?? 24
  }
}

extension WorldError {
  /// An output that failed, for a person.
  init(_ error: OutputError, writing name: String) {
    switch error {
    case .brokenPipe: self = .brokenPipe
    case .interrupted: self = .interrupted
    case .failed: self.init(message: "cannot write \(name): \(error.text)")
    }
  }
}
