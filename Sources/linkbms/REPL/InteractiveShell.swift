import HostIO

/// The prompt: lines from a person, one after the other.
struct InteractiveShell {
  private let session: ShellSession
  private let editor: LineEditor
  private let history: HistoryFile?

  init(session: ShellSession) {
    self.session = session
    history = HistoryFile.standardPath.map(HistoryFile.init)
    editor = LineEditor(program: "linkbms") { [unowned session] line, wordStart in
      Completer(session).completion(of: line, wordStart: wordStart)
    }
    editor.limitHistory(to: HistoryFile.limit)
    let lines = history?.load() ?? []
    for line in lines { editor.addToHistory(line) }
    history?.prepare(keeping: lines)
    session.history = { [unowned editor] in editor.history }
    session.world.asked = AskedLines(editor)
  }

  /// Runs until the end; the exit status.
  func run() -> Int32 {
    session.onError = .continue
    while true {
      switch editor.readLine(prompt: prompt, waits: { session.live.waits }, idle: session.news) {
      case .end:
        session.world.note("")
        return 0
      case .stopped(let signal):
        session.world.note("")
        return 128 + signal
      case .line(let text):
        // Several lines where more than one was pasted.
        for line in text.split(whereSeparator: \.isNewline) {
          remember(String(line))
          if case .ends(let status, _) = session.run(line: String(line)) { return status ?? 0 }
          if let signal = Signals.stopRequest {
            guard signal == 2 else { return 128 + signal }
            break
          }
        }
      }
    }
  }

  private var prompt: String {
    let capture = session.world.openCapture.map { capture in capture.split(separator: "/").last.map(String.init) ?? capture }
    // Whoever may send by a slip of the hand should see it.
    let armed = session.live.armed.isEmpty ? nil : "armed: " + session.live.armed.sorted().joined(separator: " ")
    return (["linkbms"] + [capture, session.bus?.name, armed].compactMap { $0 }).joined(separator: " ") + "> "
  }

  /// A line that begins with a blank is not remembered, as in other shells.
  private func remember(_ line: String) {
    guard let first = line.first, first != " ", first != "\t" else { return }
    editor.addToHistory(line)
    history?.append(line)
  }
}
