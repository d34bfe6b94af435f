import Foundation

enum FileManagerFiles {
  /// Every file below `folder` with one of these extensions, sorted, so that the generated file does not depend on the file system's order.
  static func texts(below folder: URL, _ extensions: [String]) -> [URL] {
    let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    var found: [URL] = []
    while let url = all?.nextObject() as? URL {
      if extensions.contains(url.pathExtension) { found.append(url) }
    }
    return found.sorted { $0.path() < $1.path() }
  }
}
