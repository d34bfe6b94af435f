/// All definitions in use, by protocol, and what is wrong with them.
public struct DefinitionLibrary: Sendable {
  /// In the order of the protocols' names.
  public private(set) var definitions: [Definition] = []
  /// What was wrong with the files, in their order.
  public private(set) var problems: [DefinitionProblem] = []

  /// A library without definitions.
  public init() {}

  /// Reads definitions.
  /// - Parameter files: path below the definitions' folder and text of every `.yaml` and `.dbc` file.
  public init(files: [(path: String, text: String)]) {
    var dbcs: [String: DBCFile] = [:]
    for file in files where file.path.hasSuffix(".dbc") {
      let result = DBCParser.parse(text: file.text)
      dbcs[file.path] = result.file
      for problem in result.problems {
        problems.append(
          DefinitionProblem(
            .dbc, file.path, line: problem.line, "\(problem.rule.rawValue): found \(problem.found), expected \(problem.expected)"))
      }
    }
    var sidecars: [Sidecar] = []
    for file in files
    where file.path.hasSuffix(".yaml") && !["rules.yaml", "commissioning.yaml"].contains(where: file.path.hasSuffix) {
      let (sidecar, found) = SidecarReader.read(file.text, path: file.path)
      problems += found
      guard !sidecar.protocolName.isEmpty else { continue }
      if let other = sidecars.first(where: { $0.protocolName == sidecar.protocolName }) {
        problems.append(
          DefinitionProblem(.duplicate, file.path, line: 1, "protocol \(sidecar.protocolName) is defined in \(other.path) too"))
        continue
      }
      sidecars.append(sidecar)
    }
    for sidecar in sidecars {
      if let definition = resolve(sidecar, sidecars, dbcs) { definitions.append(definition) }
    }
    definitions.sort { $0.protocolName < $1.protocolName }
  }

  /// The definition of a protocol.
  public func definition(_ protocolName: String) -> Definition? { definitions.first { $0.protocolName == protocolName } }

  /// Names of all protocols.
  public var protocolNames: [String] { definitions.map(\.protocolName) }

  // MARK: Joining

  private mutating func resolve(_ sidecar: Sidecar, _ all: [Sidecar], _ dbcs: [String: DBCFile]) -> Definition? {
    var chain = [sidecar]
    var next = sidecar.extends
    while let name = next {
      guard let base = all.first(where: { $0.protocolName == name }), !chain.contains(where: { $0.protocolName == name }) else {
        problems.append(
          DefinitionProblem(
            .unknownBase, sidecar.path, line: 1,
            "extends \"\(name)\": expected another definition"
              + NearestName.hint(name, in: all.map(\.protocolName))))
        break
      }
      chain.append(base)
      next = base.extends
    }
    var result = chain[chain.count - 1]
    var dbc = load(result, result.dbc, dbcs) ?? DBCFile()
    var overlays = loadOverlays(result, dbcs)
    for extending in chain.dropLast().reversed() {
      let base = result
      result = extending
      DefinitionLibrary.inherit(&result, from: base)
      overlays.merge(loadOverlays(extending, dbcs)) { $1 }
      if let own = load(extending, extending.dbc, dbcs) { DefinitionLibrary.join(own, into: &dbc) }
    }
    return Definition(sidecar: result, dbc: dbc, overlays: overlays)
  }

  private mutating func load(_ sidecar: Sidecar, _ name: String, _ dbcs: [String: DBCFile]) -> DBCFile? {
    guard !name.isEmpty else { return nil }
    let folder = sidecar.path.split(separator: "/").dropLast().joined(separator: "/")
    let path = folder.isEmpty ? name : folder + "/" + name
    if let dbc = dbcs[path] { return dbc }
    problems.append(
      DefinitionProblem(.missingFile, sidecar.path, line: 1, "no file \(path)" + NearestName.hint(path, in: dbcs.keys)))
    return nil
  }

  private mutating func loadOverlays(_ sidecar: Sidecar, _ dbcs: [String: DBCFile]) -> [String: DBCFile] {
    var overlays: [String: DBCFile] = [:]
    for name in sidecar.readings.flatMap({ $0.options.compactMap(\.overlay) }) { overlays[name] = load(sidecar, name, dbcs) }
    return overlays
  }

  /// What a definition takes over from the one it extends; what it says itself wins.
  private static func inherit(_ sidecar: inout Sidecar, from base: Sidecar) {
    for reading in base.readings.reversed() where !sidecar.readings.contains(where: { $0.name == reading.name }) {
      sidecar.readings.insert(reading, at: 0)
    }
    sidecar.flags.merge(base.flags) { own, _ in own }
    sidecar.textSignals.formUnion(base.textSignals)
    sidecar.quantities.merge(base.quantities) { own, _ in own }
    sidecar.plausible.merge(base.plausible) { own, _ in own }
    sidecar.handshake.inherit(from: base.handshake)
    if sidecar.address == nil { sidecar.address = base.address }
    if sidecar.agreements.isEmpty { sidecar.agreements = base.agreements }
  }

  private static func join(_ own: DBCFile, into base: inout DBCFile) {
    for message in own.messages {
      base.messages.removeAll { $0.name == message.name || $0.id == message.id }
      base.messages.append(message)
    }
    for node in own.nodes where !base.nodes.contains(node) { base.nodes.append(node) }
  }
}
