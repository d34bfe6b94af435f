import Formats

/// The definitions that options choose, read once and kept while the options stay the same.
struct LoadedDefinitions {
  private var loaded: (options: [String], library: DefinitionLibrary)?

  /// The library for `options`.
  mutating func library(_ options: DefinitionOptions) throws(WorldError) -> DefinitionLibrary {
    let key = [options.protocolName ?? "", options.variant ?? "", options.dissectors ?? ""] + options.dbc
    if let loaded, loaded.options == key { return loaded.library }
    let library = DefinitionLibrary()
    loaded = (key, library)
    return library
  }
}
