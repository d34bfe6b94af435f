import HostIO

/// Where the commands of a script come from.
enum ScriptOrigin: Equatable {
  /// `-c`, with lines in it.
  case text(String)
  /// `-x`, `source`.
  case file(String)
  /// Commands from a pipe.
  case standardInput
}

extension ShellSession {
  /// Runs a script up to its end, `quit`, Ctrl-C or, unless `onerror` is `continue`, its first error.
  func run(script origin: ScriptOrigin) throws(WorldError) -> Outcome {
    switch origin {
    case .text(let text):
      var lines = text.split(whereSeparator: \.isNewline)[...]
      return try run(name: "-c") { () throws(OutputError) in lines.popFirst().map(String.init) }
    case .standardInput:
      var reader = LineReader(descriptor: 0)
      return try run(name: "-") { () throws(OutputError) in
        if !reader.hasLine { serveJobsUntilReadable(0) }
        return try reader.next()
      }
    case .file(let path):
      guard !scriptsRunning.contains(path) else { throw WorldError(message: "\(path): this script is running already") }
      scriptsRunning.append(path)
      defer { scriptsRunning.removeLast() }
      var reader = try InputFile.lines(of: path)
      return try run(name: path) { () throws(OutputError) in try reader.next() }
    }
  }

  private func run(name: String, _ next: () throws(OutputError) -> String?) throws(WorldError) -> Outcome {
    var number = 0
    var worst: Int32 = 0
    while true {
      let line: String?
      do throws(OutputError) { line = try next() } catch {
        if case .interrupted = error { return .goesOn(worst) }
        throw WorldError(message: "\(name): \(error.text)")
      }
      guard let line else { return .goesOn(worst) }
      number += 1
      switch run(line: line, place: "\(name):\(number): ") {
      case .ends(let wanted, let status): return .ends(wanted, worst: max(worst, status))
      case .goesOn(let status):
        worst = max(worst, status)
        if Signals.stopRequest != nil || stops(after: status) { return .goesOn(worst) }
      }
    }
  }
}
