import HostIO

/// The lines typed before, kept from one session to the next.
struct HistoryFile {
  /// More lines than this are not kept.
  static let limit = 5000

  /// `$XDG_STATE_HOME/linkbms/history`; `nil` if there is neither that nor a home.
  static var standardPath: String? {
    let state = FileNames.environment("XDG_STATE_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
    return (state ?? FileNames.environment("HOME").map { "\($0)/.local/state" }).map { "\($0)/linkbms/history" }
  }

  let path: String

  /// Earlier lines, oldest first, each once: the place of a line is that of its last use.
  func load() -> [String] {
    guard var reader = try? LineReader(path: path) else { return [] }
    var lines: [String] = []
    while let line = (try? reader.next()) ?? nil { lines.append(line) }
    var seen: Set<String> = []
    return Array(lines.reversed().filter { !$0.isEmpty && seen.insert($0).inserted }.prefix(Self.limit).reversed())
  }

  /// Adds one line at once, so that a session that is killed loses nothing and two sessions do not overwrite each other.
  func append(_ line: String) {
    guard let file = try? ByteOutput(path: path, appending: true) else { return }
    try? file.write(line + "\n")
  }

  /// Makes the folder, and the file short again when doubles have made it long.
  func prepare(keeping lines: [String]) {
    guard let slash = path.lastIndex(of: "/") else { return }
    try? FileNames.makeFolder(String(path[..<slash]))
    guard let facts = try? FileFacts(path: path), facts.size > Self.limit * 200 else { return }
    guard let file = try? ByteOutput(path: path, appending: false) else { return }
    for line in lines { try? file.write(line + "\n") }
  }
}
