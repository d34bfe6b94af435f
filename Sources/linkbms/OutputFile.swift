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
}
