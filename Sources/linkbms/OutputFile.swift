import HostIO

/// A small file that a command writes whole.
enum OutputFile {
  static func write(_ text: String, to path: String) throws(WorldError) {
    do throws(OutputError) {
      let output = try ByteOutput(path: path, appending: false)
      try output.write(text)
      try output.flush()
      output.close()
    } catch { throw WorldError(error, writing: path) }
  }

  /// Finds out whether a file can be written, so that the answer comes when it is named and not when there is something to write.
  /// Changes nothing.
  static func check(_ path: String) throws(WorldError) {
    do throws(OutputError) {
      guard let facts = try? FileFacts(path: path) else {
        // A link that leads nowhere is left for later.
        if let file = try ByteOutput(newFile: path) {
          file.close()
          FileNames.remove(path)
        }
        return
      }
      if facts.isFolder { throw .failed(errno: 21) }
      // Whoever reads a pipe would take this for the end.
      if facts.isRegular { try ByteOutput(path: path, appending: true).close() }
    } catch { throw WorldError(error, writing: path) }
  }

  /// Makes an empty file under the first name that nothing has, so that nobody else takes it.
  /// - Parameter name: the names by number, from 1.
  static func takeFirstFree(_ name: (Int) -> String) throws(WorldError) -> String {
    for number in 1..<1_000_000 {
      let path = name(number)
      do throws(OutputError) {
        if let file = try ByteOutput(newFile: path) {
          file.close()
          return path
        }
      } catch { throw WorldError(error, writing: path) }
    }
    throw WorldError(message: "\(name(1)): every number up to 999999 is taken: choose another name")
  }
}
