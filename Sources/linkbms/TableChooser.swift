import Analysis
import Formats
import HostIO

/// Which table decodes the frames of a bus.
struct TableChooser: Sendable {
  /// Tables by bus name, from identification.
  var byBus: [String: DecodeTable] = [:]
  /// For buses that are not named there.
  var fallback: DecodeTable

  func table(forBus name: String) -> DecodeTable { byBus[name] ?? fallback }
}

extension TableChooser {
  /// The definitions for one capture: DBC files or a protocol that were named, else what its first records say.
  init(for capture: inout CaptureInput, _ options: DefinitionOptions, in world: inout some World) throws {
    if !options.dbc.isEmpty {
      var compiler = PlanCompiler()
      for path in options.dbc { compiler.add(try world.loadDBC(path), PlanCompiler.Context()) }
      for omission in compiler.omissions { world.note("linkbms: \(omission)") }
      self.init(fallback: DecodeTable(compiler.finish()))
      return
    }
    let library = try world.library(options)
    if let name = options.protocolName {
      let definition = try TableChooser.definition(name, library)
      let variant = try TableChooser.variant(options.variant, of: definition)
      self.init(fallback: DecodeTable(definition.plan(variant: variant)))
      return
    }
    self.init(fallback: DecodeTable(PlanCompiler().finish()))
  }

  /// The definition that `--protocol` names.
  static func definition(_ name: String, _ library: DefinitionLibrary) throws(WorldError) -> Definition {
    if let definition = library.definition(name) { return definition }
    throw WorldError(
      message: "--protocol: found \"\(name)\", expected one of \(library.protocolNames.joined(separator: ", "))"
        + NearestName.hint(name, in: library.protocolNames))
  }

  /// The variant that `--variant` names; the protocol's first if it names none.
  static func variant(_ name: String?, of definition: Definition) throws(WorldError) -> Sidecar.Variant? {
    if let variant = definition.variant(name) { return variant }
    guard let name else { return nil }
    let names = definition.sidecar.variants.map(\.name)
    throw WorldError(
      message: "--variant: found \"\(name)\", expected one of \(names.joined(separator: ", "))" + NearestName.hint(name, in: names))
  }
}
