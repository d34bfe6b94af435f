import Analysis
import ArgumentParser
import Formats

/// `export`: what the tool knows, for other programs.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write what the definitions know in a form that other programs use.",
    discussion: HelpText.discussion(
      "DBC files, Markdown pages and diagrams of one protocol: `linkbms dissectors export`.",
      examples: [("linkbms export wireshark linkbms.lua", "a plugin with which Wireshark names every message and signal")]),
    subcommands: [WiresharkCommand.self])
}

/// `export wireshark`: a Lua plugin.
struct WiresharkCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "wireshark",
    abstract: "A Lua plugin for Wireshark and tshark: every message, signal, unit and fault by name.",
    discussion: HelpText.discussion(
      """
      Install it with `mkdir -p ~/.local/lib/wireshark/plugins` and `linkbms export wireshark ~/.local/lib/wireshark/plugins/linkbms.lua`; \
      Wireshark shows the folder under About, Folders, Personal Lua Plugins. Analyze, Reload Lua Plugins loads it into a Wireshark that \
      runs. One run of tshark alone: `-X lua_script:linkbms.lua`.

      All definitions are in it unless --protocol names one. What a bus speaks is a preference (Edit, Preferences, Protocols, LINKBMS): \
      linkbms.profile is one protocol/variant for all buses, linkbms.buses says it by bus, with readings if need be. Until somebody \
      chooses, the plugin tells protocols apart by IDs and contents; variants of one protocol look alike to it and are read as the first. \
      --for CAPTURE lets identification decide: the preferences then stand at what it found.

      Fields are linkbms.PROTOCOL.MESSAGE.SIGNAL, numeric, in the unit shown; beside them linkbms.message, linkbms.sender, \
      linkbms.address, linkbms.flag, linkbms.chain.… for LinkSlave chains (link type 147) and linkbms.pdu.… for the controller's \
      records (148). Faults and alarms that are set are expert infos.
      """,
      examples: [
        ("linkbms export wireshark ~/.local/lib/wireshark/plugins/linkbms.lua", "install it, with all protocols"),
        ("linkbms export wireshark --protocol sofar --variant sofar2 sofar.lua", "one protocol, in this variant"),
        ("linkbms export wireshark --for site.log site.lua", "set as this capture needs it"),
        (
          "tshark -X lua_script:site.lua -r site.pcapng -Y 'linkbms.pylontech_hv.totals.pack_voltage > 380'",
          "filter by value"
        ),
        ("tshark -X lua_script:linkbms.lua -o linkbms.profile:pylontech-hv/pylon-std -r site.pcapng", "choose for one run"),
      ]))

  @Argument(help: ArgumentHelp("Where to; - is standard output.", valueName: "output"), completion: .file(extensions: ["lua"]))
  var output = "-"
  @Option(
    name: .customLong("protocol"),
    help: ArgumentHelp("Only this protocol; repeatable. All if none is named.", valueName: "name"))
  var protocols: [String] = []
  @Option(help: ArgumentHelp("The variant that is chosen until somebody chooses another; with one --protocol.", valueName: "name"))
  var variant: String?
  @Option(
    name: .customLong("for"), help: ArgumentHelp("Identify this capture and set the preferences for it.", valueName: "capture"),
    completion: .file())
  var capture: String?
  @Option(
    help: ArgumentHelp("Messages of this DBC file only; repeatable.", valueName: "file"), completion: .file(extensions: ["dbc"]))
  var dbc: [String] = []
  @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?

  func validate() throws {
    if variant != nil, protocols.count != 1 {
      throw ValidationError("--variant: needs the protocol it belongs to, expected one --protocol, found \(protocols.count)")
    }
    if !dbc.isEmpty, !protocols.isEmpty || capture != nil {
      throw ValidationError("--dbc: a plain DBC has no protocols; leave out --protocol and --for")
    }
    if capture != nil, variant != nil { throw ValidationError("--for: identification finds the variant; leave out --variant") }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    var defaults = WiresharkPlugin.Defaults()
    var definitions: [Definition] = []
    for path in dbc {
      var sidecar = Sidecar()
      sidecar.protocolName = String(path.split(separator: "/").last?.split(separator: ".").first ?? "dbc")
      sidecar.title = path
      definitions.append(Definition(sidecar: sidecar, dbc: try world.loadDBC(path)))
    }
    if dbc.isEmpty {
      let library = try world.library(folder: dissectors)
      definitions = library.definitions
      if !protocols.isEmpty {
        definitions = try protocols.map { name throws(WorldError) in try TableChooser.definition(name, library) }
      }
      if protocols.count == 1, let only = definitions.first {
        let chosen = try TableChooser.variant(variant, of: only)
        defaults.profile = only.protocolName + (chosen.map { "/\($0.name)" } ?? "")
      }
      if let capture { try identify(capture, library, &defaults) }
    }
    let plugin = WiresharkPlugin(definitions, defaults: defaults, version: Version.text)
    for omission in plugin.omissions { world.note("linkbms: \(omission)") }
    if output == "-" {
      try world.write(plugin.text)
    } else {
      try OutputFile.write(plugin.text, to: output)
    }
    return .done
  }

  /// The preferences as `decode` would read this capture.
  private func identify(_ path: String, _ library: DefinitionLibrary, _ defaults: inout WiresharkPlugin.Defaults) throws {
    var input = try CaptureInput(path: path, format: nil)
    var census = TrafficCensus()
    try input.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    defaults.buses = WiresharkPlugin.buses(ProtocolIdentifier(library).identify(census))
  }
}
