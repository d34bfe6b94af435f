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
    self.init(fallback: DecodeTable(PlanCompiler().finish()))
  }
}
