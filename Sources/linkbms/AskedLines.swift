import HostIO

/// Lines that a command asks for: from the line editor on a terminal, plain otherwise. A class, because readline's editor and the
/// reader's buffer exist once.
final class AskedLines {
  private let lineEditor: LineEditor?
  private var reader = LineReader(descriptor: 0)

  /// Takes them from an editor that is there already.
  init(_ editor: LineEditor?) { lineEditor = editor }

  /// A line editor of its own, for a command started from the command line.
  static var editor: AskedLines { AskedLines(LineEditor(program: "linkbms") { _, _ in .words([]) }) }
  /// Lines of standard input.
  static var plain: AskedLines { AskedLines(nil) }

  /// The next line; `nil` at the end of the input, on Ctrl-C and on a signal that ends the process.
  /// - Parameters:
  ///   - waits: what else the line editor is to wait for.
  ///   - above: what is to be shown while nothing is typed.
  func next(
    _ prompt: String, waits: () -> (descriptors: [Int32], until_ns: Int64) = { ([], .max) }, above: () -> String
  ) throws(WorldError) -> String? {
    guard let lineEditor else {
      while !reader.hasLine {
        if Signals.stopRequest != nil { return nil }
        let isReady = PortPoller.wait([0], until_ns: PortPoller.now_ns + 1_000_000_000).first ?? false
        let text = above()
        if !text.isEmpty { PatientlessOutput(descriptor: 1).write(text) }
        if isReady { break }
      }
      do throws(OutputError) { return try reader.next() } catch {
        if case .interrupted = error { return nil }
        throw WorldError(message: "standard input: \(error.text)")
      }
    }
    switch lineEditor.readLine(prompt: prompt, endsOnInterrupt: true, waits: waits, idle: above) {
    case .line(let text): return text
    case .end, .stopped: return nil
    }
  }
}
