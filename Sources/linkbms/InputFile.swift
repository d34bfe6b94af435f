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

  /// The whole of a small file, such as a definition: at most 64 MiB.
  static func bytes(of path: String) throws(WorldError) -> [UInt8] {
    do throws(HostError) {
      // Not mapped: who replaces a small file while it is read must not end a controller.
      let stream = try ByteStream(path: path)
      var bytes: [UInt8] = []
      let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
      defer { chunk.deallocate() }
      while bytes.count < 64 << 20 {
        let count = try stream.read(into: chunk)
        if count == 0 { break }
        bytes += chunk[..<count]
      }
      return bytes
    } catch {
      throw WorldError(message: error.description)
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
