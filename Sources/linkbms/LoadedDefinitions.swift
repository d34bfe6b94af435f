import Formats
import HostIO

/// The definitions that options choose, read once and kept while the options stay the same.
struct LoadedDefinitions {
  private var loaded: (folder: String?, library: DefinitionLibrary)?

  /// The built-in definitions, or those of `--dissectors`.
  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary {
    try library(folder: options.dissectors)
  }

  /// The definitions in a folder; the built-in ones if that is `nil`.
  mutating func library(folder: String?) throws(WorldError) -> DefinitionLibrary {
    if let loaded, loaded.folder == folder { return loaded.library }
    let library = try LoadedDefinitions.read(folder)
    loaded = (folder, library)
    return library
  }

  private static func read(_ folder: String?) throws(WorldError) -> DefinitionLibrary {
    guard let folder else { return DefinitionLibrary(files: embeddedDissectors) }
    let files = try definitionFiles(below: folder)
    guard files.contains(where: { $0.path.hasSuffix(".yaml") }) else {
      throw WorldError(message: "\(folder): found no definition, expected NAME.yaml with NAME.dbc in it or in folders below it")
    }
    return DefinitionLibrary(files: files)
  }

  /// Every `.yaml` and `.dbc` file in a folder and the folders below it, by path from there.
  static func definitionFiles(below folder: String) throws(WorldError) -> [(path: String, text: String)] {
    let names: [String]
    do throws(HostError) { names = try FolderListing.files(below: folder) } catch { throw WorldError(message: error.description) }
    var files: [(path: String, text: String)] = []
    for name in names where name.hasSuffix(".yaml") || name.hasSuffix(".dbc") {
      let bytes = try InputFile.bytes(of: folder + "/" + name)
      files.append((name, String(decoding: bytes, as: UTF8.self)))
    }
    return files
  }
}
