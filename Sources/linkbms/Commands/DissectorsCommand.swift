import Analysis
import ArgumentParser
import Formats

/// `dissectors`: what the tool knows, and how good it is.
struct DissectorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dissectors",
    abstract: "List, show, check and export the protocol definitions.",
    discussion: """
      EXAMPLES
        linkbms dissectors                              list them
        linkbms dissectors show pylontech-hv            variants, readings, messages
        linkbms dissectors show pylontech-hv Totals     one message with its bits drawn
        linkbms dissectors check my/folder other.dbc    apply the rules to definitions and DBC files
        linkbms dissectors export sofar --variant sofar2 --to dbc > sofar2.dbc
        linkbms export wireshark linkbms.lua            all of them as a plugin for Wireshark

      EXIT STATUS
        0  done, and nothing wrong; 1  a definition breaks a rule; 2  could not do it.
      """,
    subcommands: [List.self, Show.self, Check.self, Export.self], defaultSubcommand: List.self)

  struct List: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Every protocol with its variants.")
    @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
    var dissectors: String?
    @Option(help: ArgumentHelp("Output: text or json.", valueName: "format"))
    var format: OutputFormat?

    mutating func run(in world: inout some World) throws -> ExitStatus {
      let library = try world.library(folder: dissectors)
      for definition in library.definitions {
        let sidecar = definition.sidecar
        let variants = sidecar.variants.map(\.name)
        if (format ?? world.defaultFormat) == .json {
          let list = variants.map(JSONText.quoted).joined(separator: ",")
          try world.print(
            "{\"protocol\":\(JSONText.quoted(sidecar.protocolName)),\"title\":\(JSONText.quoted(sidecar.title)),\"use\":\"\(sidecar.use.rawValue)\",\"messages\":\(definition.dbc.messages.count),\"samples\":\(sidecar.samples.count),\"variants\":[\(list)]}"
          )
        } else {
          let style = TextStyle(usesColour: world.terminal.usesColour)
          let kind = sidecar.use == .identify ? " (to identify)" : ""
          try world.print(
            "\(style.strong(sidecar.protocolName))  \(sidecar.title)\(kind), \(definition.dbc.messages.count) messages, \(sidecar.samples.count) samples"
          )
          if !variants.isEmpty { try world.print("  \(variants.joined(separator: ", "))") }
        }
      }
      return .done
    }
  }

  struct Show: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "One protocol, or one message with its bits drawn.")
    @Argument(help: ArgumentHelp("The protocol.", valueName: "protocol")) var name: String
    @Argument(help: ArgumentHelp("Only these messages, with their bits.", valueName: "message")) var messages: [String] = []
    @Option(help: ArgumentHelp("In this variant.", valueName: "name")) var variant: String?
    @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
    var dissectors: String?

    mutating func run(in world: inout some World) throws -> ExitStatus {
      let definition = try TableChooser.definition(name, try world.library(folder: dissectors))
      let chosen = try TableChooser.variant(variant, of: definition)
      let page = DefinitionPage(definition, variant: chosen)
      if messages.isEmpty {
        try world.write(page.text)
        return .done
      }
      let dbc = definition.dbc(variant: chosen)
      for wanted in messages {
        guard let message = dbc.messages.first(where: { $0.name == wanted || FrameText.text($0.id) == wanted.uppercased() }) else {
          throw WorldError(
            message:
              "\(name) has no message \"\(wanted)\"\(NearestName.hint(wanted, in: dbc.messages.map(\.name))); 'dissectors show \(name)' lists them"
          )
        }
        try world.write(page.text(of: message))
      }
      return .done
    }
  }

  struct Check: ToolCommand {
    static let configuration = CommandConfiguration(
      abstract: "Apply the rules to the built-in definitions, a folder of definitions, or DBC files.")
    @Argument(
      help: ArgumentHelp("Folders of definitions and DBC files; the built-in definitions if none.", valueName: "path"),
      completion: .file())
    var paths: [String] = []

    mutating func run(in world: inout some World) throws -> ExitStatus {
      var status = ExitStatus.done
      if paths.isEmpty {
        status = try report(DefinitionChecker.check(try world.library(folder: nil)), "the built-in definitions", in: &world)
      }
      for path in paths {
        let result = path.hasSuffix(".dbc") ? try checkDBC(path, in: &world) : try checkFolder(path, in: &world)
        status = max(status, result)
      }
      return status
    }

    private func checkFolder(_ path: String, in world: inout some World) throws -> ExitStatus {
      let library = try world.library(folder: path)
      let count = library.definitions.flatMap(\.sidecar.samples).count
      return try report(
        DefinitionChecker.check(library), "\(path): \(library.definitions.count) definitions with \(count) samples", in: &world)
    }

    private func report(_ problems: [DefinitionProblem], _ what: String, in world: inout some World) throws -> ExitStatus {
      for problem in problems { try world.print("\(problem)") }
      try world.print("\(what): \(problems.isEmpty ? "no rule broken" : "\(problems.count) problems")")
      return problems.isEmpty ? .done : .findings
    }

    private func checkDBC(_ path: String, in world: inout some World) throws -> ExitStatus {
      let result = DBCParser.parse(try InputFile.bytes(of: path))
      let problems = result.problems + DBCRules.check(result.file)
      for problem in problems { try world.print("\(path):\(problem)") }
      try world.print(
        "\(path): \(result.file.messages.count) messages, \(problems.isEmpty ? "no rule broken" : "\(problems.count) problems")")
      return problems.contains { $0.severity == .error } || result.file.messages.isEmpty ? .findings : .done
    }
  }

  struct Export: ToolCommand {
    enum Target: String, ExpressibleByArgument, CaseIterable { case dbc, markdown, mermaid }
    static let configuration = CommandConfiguration(abstract: "A variant as DBC file, Markdown page or handshake diagram.")
    @Argument(help: ArgumentHelp("The protocol.", valueName: "protocol")) var name: String
    @Option(help: ArgumentHelp("The variant; the protocol's first if not given.", valueName: "name")) var variant: String?
    @Option(help: ArgumentHelp("dbc, markdown or mermaid.", valueName: "target")) var to: Target = .dbc
    @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
    var dissectors: String?

    mutating func run(in world: inout some World) throws -> ExitStatus {
      let definition = try TableChooser.definition(name, try world.library(folder: dissectors))
      let chosen = try TableChooser.variant(variant, of: definition)
      switch to {
      case .dbc: try world.write(DBCWriter.text(definition.dbc(variant: chosen)))
      case .markdown: try world.write(DefinitionPage(definition, variant: chosen).markdown)
      case .mermaid: try world.write(DefinitionPage(definition, variant: chosen).mermaid)
      }
      return .done
    }
  }
}

extension World {
  /// The definitions of a folder, or the built-in ones.
  mutating func library(folder: String?) throws(WorldError) -> DefinitionLibrary {
    var options = DefinitionOptions()
    options.dissectors = folder
    return try library(options)
  }
}
