import Formats
import HostIO

extension World {
  /// The captures a command works on: those named, else the one the prompt has open, else standard input if it is no terminal.
  mutating func captures(_ files: [String]) throws(WorldError) -> [String] {
    if !files.isEmpty { return files }
    if let openCapture { return [openCapture] }
    if !inputIsTerminal { return ["-"] }
    throw WorldError(message: "no capture: name a FILE, or - for standard input")
  }

  /// Says how a capture was recognised.
  mutating func explain(_ capture: CaptureInput) {
    guard let best = capture.guesses.first else {
      return note("\(capture.name): read as \(capture.format.title), as told")
    }
    note("\(capture.name): \(capture.isCompressed ? "gzip-compressed " : "")\(best.format.title): \(best.reason)")
    for other in capture.guesses.dropFirst() {
      note("\(capture.name): not \(other.format.title) (\(Int(other.confidence * 100)) %): \(other.reason)")
    }
  }

  /// Writes text as data.
  mutating func write(_ text: String) throws(WorldError) {
    var text = text
    var failure: WorldError?
    text.withUTF8 { bytes in
      do throws(WorldError) { try write(UnsafeRawBufferPointer(bytes)) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes a renderer's bytes and empties its buffer.
  mutating func drain(_ output: UnsafeMutablePointer<ByteBuffer>) throws(WorldError) {
    guard output.pointee.count > 0 else { return }
    try output.pointee.withBytes { (bytes) throws(WorldError) in try write(bytes) }
    output.pointee.removeAll()
  }

  /// Tells what was wrong with a capture.
  mutating func report(_ problems: ProblemLog, of name: String) -> ExitStatus {
    for line in problems.lines(of: name) { note("linkbms: " + line) }
    return problems.hasDamage ? .findings : .done
  }

  /// Reads a DBC file from disk; problems of single lines are noted, and what is good is used.
  mutating func loadDBC(_ path: String) throws(WorldError) -> DBCFile {
    let result = DBCParser.parse(try InputFile.bytes(of: path))
    for problem in result.problems { note("linkbms: \(path):\(problem)") }
    for problem in DBCRules.check(result.file) where problem.severity == .error { note("linkbms: \(path):\(problem)") }
    guard !result.file.messages.isEmpty else {
      throw WorldError(message: "\(path): found no message, expected a DBC file with BO_ lines")
    }
    return result.file
  }

  mutating func show(_ progress: inout Progress, _ state: (done: Int, total: Int?)) {
    if let line = progress.line(state) { showProgress(line) }
  }

  mutating func end(_ progress: inout Progress) { if progress.wasShown { showProgress(nil) } }
}

/// A line about how far a long reading is, from the second second on, on a terminal only.
struct Progress {
  private let name: String
  private let isWanted: Bool
  private let start = monotonicMilliseconds()
  private var last: Int64 = 0
  private(set) var wasShown = false

  init(of name: String, _ terminal: Terminal) {
    self.name = name
    isWanted = terminal.progressIsWanted
  }

  /// The line to show now; `nil` if it is too early for one.
  mutating func line(_ state: (done: Int, total: Int?)) -> String? {
    guard isWanted else { return nil }
    let now = monotonicMilliseconds()
    guard now - start > 1_000, now - last > 200 else { return nil }
    last = now
    wasShown = true
    guard let total = state.total, total > 0 else { return "\(name): \(state.done >> 20) MiB" }
    return "\(name): \(state.done * 100 / total) % of \(total >> 20) MiB"
  }
}
