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

  /// The next line; `nil` at the end of the input and on a signal that ends the process.
  func next(_ prompt: String) throws(WorldError) -> String? {
    guard let lineEditor else {
      do throws(OutputError) { return try reader.next() } catch {
        if case .interrupted = error { return nil }
        throw WorldError(message: "standard input: \(error.text)")
      }
    }
    switch lineEditor.readLine(prompt: prompt, idle: { "" }) {
    case .line(let text): return text
    case .end, .stopped: return nil
    }
  }
}
