import Glibc

/// Files in folders.
public enum FolderListing {
  /// Deeper folders are not entered: definitions lie one or two down, and a link may lead round in a circle.
  private static let deepest = 4

  /// Every regular file below `folder`, sorted, as paths from there.
  public static func files(below folder: String) throws(HostError) -> [String] {
    var found: [String] = []
    try list(folder, prefix: "", depth: 0, into: &found)
    return found.sorted()
  }

  private static func list(_ folder: String, prefix: String, depth: Int, into found: inout [String]) throws(HostError) {
    guard let directory = opendir(folder) else { throw HostError(folder, attempt: "list", code: errno) }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard !name.hasPrefix(".") else { continue }
      var status = stat()
      guard stat(folder + "/" + name, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        if depth < deepest { try list(folder + "/" + name, prefix: prefix + name + "/", depth: depth + 1, into: &found) }
      } else if status.st_mode & S_IFMT == S_IFREG {
        found.append(prefix + name)
      }
    }
  }
}
