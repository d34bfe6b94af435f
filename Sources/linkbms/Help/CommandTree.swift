import ArgumentParser
import FoundationEssentials

/// What the argument parser knows about a command: the one source of completion, `apropos` and the manual, so none is ever out of
/// date. It is read from the parser's own JSON (`--experimental-dump-help`), the only form in which it tells.
struct CommandTree: Decodable {
  var command: CommandInfo

  /// The tree below `root`; an empty one if the parser's format should change under us (a test would fail).
  static func of(_ root: any ParsableCommand.Type) -> CommandInfo {
    let json = root._dumpHelp()
    guard let tree = try? JSONDecoder().decode(CommandTree.self, from: Data(json.utf8)) else {
      return CommandInfo(commandName: root.configuration.commandName ?? "")
    }
    return tree.command
  }
}

/// One command with its options and the commands below it.
struct CommandInfo: Decodable {
  var commandName: String
  var aliases: [String]?
  var abstract: String?
  var discussion: String?
  var shouldDisplay: Bool? = true
  var subcommands: [CommandInfo]?
  var arguments: [ArgumentInfo]?

  /// Commands below this one that help shows, each name once.
  var shownSubcommands: [CommandInfo] {
    var seen: Set<String> = []
    return (subcommands ?? []).filter { $0.shouldDisplay != false && seen.insert($0.commandName).inserted }
  }

  /// Options and flags that help shows.
  var shownOptions: [ArgumentInfo] { (arguments ?? []).filter { $0.kind != .positional && $0.shouldDisplay } }

  /// Values without an option name, in order.
  var positionals: [ArgumentInfo] { (arguments ?? []).filter { $0.kind == .positional && $0.shouldDisplay } }

  func subcommand(_ name: String) -> CommandInfo? {
    (subcommands ?? []).first { $0.commandName == name || ($0.aliases ?? []).contains(name) }
  }

  /// The option written like `word`: `--format`, `-f`.
  func option(_ word: String) -> ArgumentInfo? {
    (arguments ?? []).first { argument in argument.names?.contains { $0.written == word } ?? false }
  }
}

/// One option, flag or value.
struct ArgumentInfo: Decodable {
  enum Kind: String, Decodable { case positional, option, flag }

  struct Name: Decodable {
    enum Kind: String, Decodable { case long, short, longWithSingleDash }
    var kind: Kind
    var name: String

    /// As a person writes it.
    var written: String { kind == .long ? "--\(name)" : "-\(name)" }
  }

  enum CompletionKind: Decodable {
    case list(values: [String])
    case file(extensions: [String])
    case directory
    case shellCommand(command: String)
    case custom
    case customAsync
    case customDeprecated
  }

  var kind: Kind
  var shouldDisplay: Bool
  var isOptional: Bool
  var isRepeating: Bool
  var names: [Name]?
  var preferredName: Name?
  var valueName: String?
  var defaultValue: String?
  var allValues: [String]?
  var completionKind: CompletionKind?
  var abstract: String?
  var discussion: String?

  /// The values it accepts, if they are a fixed set.
  var fixedValues: [String]? {
    if let allValues, !allValues.isEmpty { return allValues }
    if case .list(let values) = completionKind { return values }
    return nil
  }
}
