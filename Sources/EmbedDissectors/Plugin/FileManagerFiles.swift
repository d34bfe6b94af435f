import Foundation

enum FileManagerFiles {
  /// Every `.dbc` and `.yaml` file below `folder`, sorted, so that the generated file does not depend on the file system's order.
  static func definitions(below folder: URL) -> [URL] {
    let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    var found: [URL] = []
    while let url = all?.nextObject() as? URL {
      if ["dbc", "yaml"].contains(url.pathExtension) { found.append(url) }
    }
    return found.sorted { $0.path() < $1.path() }
  }
}
