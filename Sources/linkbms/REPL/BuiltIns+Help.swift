import ArgumentParser

/// Lists all commands, or explains one.
struct HelpBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "help", abstract: "List the commands, or explain one.",
    discussion: HelpText.discussion(examples: [("help", "all commands"), ("help open", "one of them")]))

  @Argument(help: "The command.") var command: String?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let command else {
      try shell.world.print(Self.overview(shell))
      return .done
    }
    let name = shell.aliases[command].map { String($0.prefix { $0 != " " }) } ?? command
    let info = try shell.command(named: name)
    guard let type = Prompt.configuration.subcommands.first(where: { $0._commandName == info.commandName }) else { return .failed }
    try shell.world.print(Prompt.asTyped(Prompt.helpMessage(for: type, columns: max(40, shell.world.terminal.columns))))
    return .done
  }

  private static func overview(_ shell: ShellSession) -> String {
    let builtIn = Set(Prompt.builtIns.map { $0._commandName })
    let shown = shell.commands.shownSubcommands
    let width = max("! COMMAND".count, shown.map(\.commandName.count).max() ?? 0) + 2
    func list(_ commands: [CommandInfo]) -> String {
      commands.map { "  \($0.commandName.padded(to: width))\($0.abstract ?? "")" }.joined(separator: "\n")
    }
    return """
      \(list(shown.filter { !builtIn.contains($0.commandName) }))

      At the prompt:
      \(list(shown.filter { builtIn.contains($0.commandName) }))
        \("! COMMAND".padded(to: width))Run a command of the system.

      Any command may end in '| PROGRAM', '> FILE' or '>> FILE'; ';' separates commands, '#' begins a comment.
      'help COMMAND' says more, 'apropos WORD' searches, TAB completes. A beginning is enough where only one command has it.
      """
  }
}

/// Searches names and help texts.
struct AproposBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "apropos", abstract: "Find commands and options by a word of their help.",
    discussion: HelpText.discussion(examples: [("apropos format", "which commands have to do with formats")]))

  @Argument(help: "What to look for, in any case of letters.") var word: String

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    var hasFound = false
    for line in Self.lines(matching: word, in: shell.commands) {
      hasFound = true
      try shell.world.print(line)
    }
    if !hasFound { shell.world.note("linkbms: nothing about '\(word)'; 'help' lists the commands") }
    return hasFound ? .done : .findings
  }

  /// Matching commands and options, in the order of the help.
  static func lines(matching word: String, in root: CommandInfo) -> [String] {
    let wanted = word.lowercased()
    func matches(_ texts: [String?]) -> Bool { texts.contains { $0?.lowercased().contains(wanted) ?? false } }
    return root.shownSubcommands.flatMap { command -> [String] in
      let options = command.shownOptions.filter { $0.preferredName?.name != "help" }
      let found = options.filter { matches([$0.abstract, $0.discussion, $0.preferredName?.written] + ($0.fixedValues ?? [])) }
      let lines = found.map { "\(command.commandName) \($0.preferredName?.written ?? "") - \($0.abstract ?? "")" }
      let isItself = matches([command.commandName, command.abstract, command.discussion])
      return (isItself ? ["\(command.commandName) - \(command.abstract ?? "")"] : []) + lines
    }
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
