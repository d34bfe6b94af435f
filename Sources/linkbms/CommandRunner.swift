import ArgumentParser

/// Parses words as a command, runs it in a world and says how it ended: the same for the command line and the prompt.
enum CommandRunner {
  /// Runs one command line of the process.
  /// - Parameter arguments: the words without the program's name.
  /// - Returns: the exit status, 0 to 255.
  static func run(_ arguments: [String], of root: any ParsableCommand.Type, in world: inout some World) -> Int32 {
    do {
      if let mistake = mistakenCommand(arguments, root) { throw mistake }
      return try run(try root.parseAsRoot(arguments), in: &world)
    } catch {
      return report(error, of: root, in: &world)
    }
  }

  /// Words as the command that they are, without running it.
  static func parse(_ arguments: [String], of root: any ParsableCommand.Type) throws -> any ParsableCommand {
    try root.parseAsRoot(arguments)
  }

  /// Runs a parsed command.
  static func run(_ command: any ParsableCommand, in world: inout some World) throws -> Int32 {
    guard var tool = command as? any ToolCommand else {
      // The parser's own: `help` and what it answers by throwing.
      var command = command
      try command.run()
      return ExitStatus.done.rawValue
    }
    let status = try tool.run(in: &world)
    try world.flush()
    return status.rawValue
  }

  /// Says why it could not be done, and with which status that ends.
  /// - Parameter place: where in a script the command stands, `site.lbx:3: `.
  static func report(
    _ error: any Error, of root: any ParsableCommand.Type, in world: inout some World, place: String = ""
  ) -> Int32 {
    if let error = error as? WorldError {
      if !error.message.isEmpty { world.note("linkbms: \(place)\(error.message)") }
      return error.status.rawValue
    }
    if let exit = error as? ExitCode { return exit.rawValue }
    var text = root.fullMessage(for: error, columns: max(40, world.terminal.columns))
    if root == Prompt.self { text = Prompt.asTyped(text) }
    guard root.exitCode(for: error) == .success else {
      let name = "linkbms: "
      if text.hasPrefix(name) { text = name + place + text.dropFirst(name.count) }
      for line in text.split(separator: "\n", omittingEmptySubsequences: false) { world.note(String(line)) }
      return ExitStatus.failed.rawValue
    }
    do throws(WorldError) {
      try world.print(text)
      try world.flush()
      return ExitStatus.done.rawValue
    } catch {
      return report(error, of: root, in: &world)
    }
  }

  /// A first word that is neither command nor option nor, where the prompt would open it, a file: said plainly, because the parser
  /// would take it for a value of the default command.
  private static func mistakenCommand(_ arguments: [String], _ root: any ParsableCommand.Type) -> WorldError? {
    guard let word = arguments.first, !word.hasPrefix("-") else { return nil }
    let names = root.configuration.subcommands.flatMap { [$0._commandName] + $0.configuration.aliases } + ["help"]
    if names.contains(word) || (root.configuration.defaultSubcommand != nil && InputFile.exists(word)) { return nil }
    let hint = Suggestion.closest(to: word, in: names).map { "; did you mean '\($0)'?" } ?? "; 'linkbms help' lists them"
    return WorldError(message: "there is no command or file '\(word)'\(hint)")
  }
}
