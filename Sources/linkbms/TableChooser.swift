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
    if let said = try TableChooser.said(options, in: &world) {
      self = said
      return
    }
    let library = try world.library(options)
    var census = TrafficCensus()
    try capture.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    self.init(ProtocolIdentifier(library).identify(census), library)
  }

  /// The tables where a person said what is spoken; `nil` where it has to be found out.
  static func said(_ options: DefinitionOptions, in world: inout some World) throws(WorldError) -> TableChooser? {
    if !options.dbc.isEmpty {
      var compiler = PlanCompiler()
      for path in options.dbc { compiler.add(try world.loadDBC(path), PlanCompiler.Context()) }
      for omission in compiler.omissions { world.note("linkbms: \(omission)") }
      return TableChooser(fallback: DecodeTable(compiler.finish()))
    }
    guard let name = options.protocolName else { return nil }
    let definition = try TableChooser.definition(name, try world.library(options))
    let variant = try TableChooser.variant(options.variant, of: definition)
    return TableChooser(fallback: DecodeTable(definition.plan(variant: variant)))
  }

  /// What identification looks at before decoding begins: minutes of a busy bus. A live source is not waited for so long.
  static let identifyingBytes = 4 << 20

  /// The tables that identified buses need.
  init(_ verdicts: [BusIdentification], _ library: DefinitionLibrary) {
    var byBus: [String: DecodeTable] = [:]
    var all = PlanCompiler()
    var known: [String: DecodeTable] = [:]
    for verdict in verdicts {
      // Buses that speak alike share a table.
      let key =
        "\(verdict.protocolName ?? "") \(verdict.variant ?? "") \(verdict.readings.sorted { $0.key < $1.key }) \(verdict.others.map { "\($0.protocolName ?? "") \($0.variant ?? "")" })"
      if let table = known[key] {
        byBus[verdict.bus] = table
        continue
      }
      var compiler = PlanCompiler()
      TableChooser.add(verdict, library, to: &compiler)
      TableChooser.add(verdict, library, to: &all)
      let table = DecodeTable(compiler.finish())
      known[key] = table
      byBus[verdict.bus] = table
    }
    // A bus that is first seen later most likely speaks what the others do.
    self.init(byBus: byBus, fallback: DecodeTable(all.finish()))
  }

  private static func add(_ verdict: BusIdentification, _ library: DefinitionLibrary, to compiler: inout PlanCompiler) {
    guard let name = verdict.protocolName, let definition = library.definition(name) else { return }
    definition.add(to: &compiler, variant: verdict.variant.flatMap { definition.variant($0) }, readings: verdict.readings)
    for other in verdict.others { add(other, library, to: &compiler) }
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
