import HostIO

/// Files that a person names.
enum InputFile {
  /// Whether there is a file; a folder is none.
  static func exists(_ path: String) -> Bool { (try? FileFacts(path: path))?.isFolder == false }

  /// Checks that a file can be read, so that the answer comes when it is named and not when it is used.
  static func check(_ path: String) throws(WorldError) {
    do throws(OutputError) {
      let facts = try FileFacts(path: path)
      guard !facts.isFolder else { throw .failed(errno: 21) }
      guard FileFacts.isReadable(path) else { throw .failed(errno: 13) }
    } catch {
      throw WorldError(message: "\(path): \(error.text)")
    }
  }

  /// Opens a text file.
  static func lines(of path: String) throws(WorldError) -> LineReader {
    try check(path)
    do throws(OutputError) { return try LineReader(path: path) } catch {
      throw WorldError(message: "\(path): \(error.text)")
    }
  }
}
