import HostIO

extension ShellSession {
  /// Words as the argument parser gets them: patterns become file names, the command gets its full name and the option defaults.
  func resolved(_ words: [PromptWord]) throws(WorldError) -> [String] {
    var arguments = words.flatMap(fileNames)
    // Command lines out of a manual or a forum work as they are.
    if arguments.first == "linkbms" { arguments.removeFirst() }
    guard let word = arguments.first else { return [] }
    let command = try command(named: word)
    arguments[0] = command.commandName
    arguments.insert(contentsOf: defaults(for: command, given: arguments), at: 1)
    return arguments
  }

  /// The command that a name or an unambiguous beginning of one stands for.
  func command(named word: String) throws(WorldError) -> CommandInfo {
    if let exact = commands.subcommand(word) { return exact }
    let names = commands.shownSubcommands.map(\.commandName)
    let beginnings = names.filter { $0.hasPrefix(word) }
    if beginnings.count == 1, let name = beginnings.first, let command = commands.subcommand(name) { return command }
    if beginnings.count > 1 {
      throw WorldError(message: "'\(word)' could be \(beginnings.sorted().joined(separator: ", "))")
    }
    let hint = Suggestion.closest(to: word, in: names + aliases.keys).map { "did you mean '\($0)'?" } ?? "'help' lists them"
    throw WorldError(message: "there is no command '\(word)'; \(hint)")
  }

  private func fileNames(_ word: PromptWord) -> [String] {
    guard let pattern = word.pattern else { return [word.text] }
    let matches = FileNames.matching(pattern)
    return matches.isEmpty ? [word.text] : matches
  }

  /// `set format json` becomes `--format json` for every command that has the option and the value.
  func defaults(for command: CommandInfo, given arguments: [String]) -> [String] {
    optionDefaults.sorted { $0.key < $1.key }.flatMap { name, value -> [String] in
      let written = "--\(name)"
      guard let option = command.option(written), option.fixedValues?.contains(value) ?? true else { return [] }
      let isGiven = arguments.contains { word in
        word.hasPrefix(written + "=") || (option.names ?? []).contains { $0.written == word }
      }
      return isGiven ? [] : [written, value]
    }
  }
}
