import HostIO

extension ShellSession {
  /// Makes `path` the capture that later commands work on.
  func open(_ path: String) throws(WorldError) {
    try InputFile.check(path)
    world.openCapture = path
    knownFacts = try? FileFacts(path: path)
  }

  /// Forgets it.
  func close() {
    world.openCapture = nil
    knownFacts = nil
  }

  /// What to show above the prompt: what jobs have to say, and what happened to the open capture.
  func news() -> String {
    live.pump(.now)
    return live.takeNews() + newsOfCapture().map { $0 + "\n" }.joined()
  }

  /// Whether the open capture changed behind our back, once per change.
  func newsOfCapture() -> [String] {
    guard let path = world.openCapture, let known = knownFacts else { return [] }
    guard let now = try? FileFacts(path: path) else {
      knownFacts = nil
      return ["linkbms: \(path) is gone"]
    }
    guard now != known else { return [] }
    knownFacts = now
    let difference = now.size - known.size
    return ["linkbms: \(path) has changed: \(now.size) bytes (\(difference < 0 ? "" : "+")\(difference))"]
  }
}
