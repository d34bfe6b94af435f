import ArgumentParser
import HostIO

/// Opens a capture for the commands that follow.
struct OpenBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Open a capture for commands without a FILE, or a live bus for 'wait' and 'expect'.",
    discussion: HelpText.discussion(examples: [
      ("open site.log", "then 'decode', 'identify' and 'info' need no file"),
      ("open --live can0", "then 'wait', 'expect', 'assert' and 'let x = PackVoltage' look at that bus"),
    ]))

  @Argument(help: "The capture.", completion: .file()) var file: String?
  @Option(help: ArgumentHelp("Listen to this live bus.", valueName: "iface")) var live: String?
  @OptionGroup(title: "Definitions of a live bus") var definitions: DefinitionOptions

  func validate() throws {
    guard (file == nil) != (live == nil) else { throw ValidationError("expected a capture, or --live IFACE") }
  }

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    if let file { try shell.open(file) }
    if let live { try shell.listen(live, definitions) }
    return .done
  }
}

/// Closes the capture.
struct CloseBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "close", abstract: "Close the capture and the live bus.")

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard shell.world.openCapture != nil || shell.bus != nil else { throw WorldError(message: "no capture is open") }
    shell.close()
    shell.live.listen(with: nil, .now)
    return .done
  }
}

/// Changes how the session behaves.
struct SetBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Show or change settings.",
    discussion: HelpText.discussion(
      """
      onerror stop|continue: what a script does when a command could not do it.
      format, protocol, variant, dissectors, dbc: used by every command that has such an option, unless the line gives one. \
      Without a VALUE a setting goes back to what it was at the start.
      """,
      examples: [
        ("set format json", "every command answers in JSON lines"),
        ("set onerror continue", "scripts go on after errors"),
      ]))

  /// Settings that stand for an option of that name.
  static let optionNames = ["format", "protocol", "variant", "dissectors", "dbc"]
  static let formats = ["text", "json", "csv"]
  static let names = optionNames + ["onerror"]

  @Argument(help: "The setting.", completion: .list(names)) var name: String?
  @Argument(help: "Its value.") var value: String?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    switch name {
    case nil: try Self.show(shell)
    case "onerror": shell.onError = try Self.reaction(value)
    case "format": shell.optionDefaults["format"] = try Self.format(value)
    case .some(let name) where Self.optionNames.contains(name): shell.optionDefaults[name] = value
    case .some(let name):
      let near = Suggestion.closest(to: name, in: Self.names).map { "did you mean '\($0)'" }
      let hint = near ?? "there are \(Self.names.joined(separator: ", "))"
      throw WorldError(message: "there is no setting '\(name)'; \(hint); 'let \(name) VALUE' makes a variable")
    }
    return .done
  }

  private static func show(_ shell: ShellSession) throws {
    for name in optionNames {
      let value = shell.optionDefaults[name] ?? (name == "format" ? "text" : "-")
      try shell.world.print("\(name.padded(to: 12))\(value)")
    }
    try shell.world.print("\("onerror".padded(to: 12))\(shell.onError.rawValue)")
  }

  private static func format(_ value: String?) throws -> String? {
    guard let value, value != "text" else { return nil }
    guard formats.contains(value) else { throw WorldError(message: "format is \(formats.joined(separator: ", ")), not '\(value)'") }
    return value
  }

  private static func reaction(_ value: String?) throws -> ShellSession.ErrorReaction {
    guard let value else { return .stop }
    guard let reaction = ShellSession.ErrorReaction(rawValue: value) else {
      throw WorldError(message: "onerror is stop or continue, not '\(value)'")
    }
    return reaction
  }
}

/// Gives a variable its value.
struct LetBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "let", abstract: "Show variables, or give one a value.",
    discussion: HelpText.discussion(
      """
      $NAME or ${NAME} stands for the value; $? is the status of the last command. What is not set comes from the environment, \
      and programs behind ! and | find variables in theirs. With = and the name of a signal, without quotes, the variable gets the \
      latest value that came on the bus of 'open --live'; 'let' waits up to 5 s until it is known what the bus speaks and a value has \
      come. A name that could be meant as a signal and has no value is an error, never text; in quotes any word is text.
      """,
      examples: [
        ("let site captures/site.log", "then: open $site"), ("let before = PackVoltage", "the value of this moment"),
        ("let title = \"PackVoltage\"", "the word itself"),
      ]))

  @Argument(help: "Name: letters, digits and _.") var name: String?
  @Argument(parsing: .captureForPassthrough, help: "Its value.") var value: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    shell.onlyLooks = true
    guard let name else {
      for (name, value) in shell.variables.sorted(by: { $0.key < $1.key }) { try shell.world.print("\(name) \(value)") }
      return .done
    }
    guard !name.isEmpty, name.allSatisfy({ $0 == "_" || ($0.isASCII && ($0.isLetter || $0.isNumber)) }) else {
      throw WorldError(message: "'\(name)' is no name for a variable: letters, digits and _")
    }
    let words = value.first == "=" ? value.dropFirst() : value[...]
    guard value.first == "=", words.count == 1, let word = words.first, shell.endsBare else {
      shell.variables[name] = words.joined(separator: " ")
      return .done
    }
    guard let meaning = try shell.value(ofBareWord: word) else { return .failed }
    shell.variables[name] = meaning
    return .done
  }
}

/// Makes a short name.
struct AliasBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "alias", abstract: "Show short names, make one, or drop one.",
    discussion: HelpText.discussion(examples: [
      ("alias dj decode --format json", "then 'dj site.log'"), ("alias dj", "drop it again"),
    ]))

  @Argument(help: "The short name.") var name: String?
  @Argument(parsing: .captureForPassthrough, help: "What it stands for.") var meaning: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let name else {
      for (name, meaning) in shell.aliases.sorted(by: { $0.key < $1.key }) {
        try shell.world.print("\(name.padded(to: 8)) \(meaning)")
      }
      return .done
    }
    guard !name.contains(where: { " \t;|>!'\"$\\#".contains($0) }) else {
      throw WorldError(message: "'\(name)' is no name for a command")
    }
    if meaning.isEmpty, shell.aliases[name] == nil { throw WorldError(message: "there is no alias '\(name)'") }
    shell.aliases[name] = meaning.isEmpty ? nil : meaning.map(\.quotedForPrompt).joined(separator: " ")
    return .done
  }
}

/// Prints its words.
struct EchoBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "echo", abstract: "Print words.")

  @Argument(parsing: .captureForPassthrough, help: "The words.") var words: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    shell.onlyLooks = true
    try shell.world.print(words.joined(separator: " "))
    return .done
  }
}

/// Runs a file of commands.
struct SourceBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "source", abstract: "Run the commands in a file; it stops at the first error.",
    discussion: HelpText.discussion(examples: [("source morning.lbx", "one command a line, '#' begins a comment")]))

  @Argument(help: "The file.", completion: .file()) var file: String

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    let outcome = try shell.run(script: .file(file))
    if case .ends(let wanted, _) = outcome { shell.wantsToQuit = ShellSession.Quit(status: wanted) }
    if outcome.worst != 0 { throw ExitCode(outcome.worst) }
    return .done
  }
}

/// Shows earlier lines.
struct HistoryBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "history", abstract: "Show the lines typed before.")

  @Argument(help: "How many, the latest; all if not given.") var count: Int?

  mutating func validate() throws {
    if let count, count < 0 { throw ValidationError("COUNT is 0 or more, not \(count)") }
  }

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    let lines = shell.history()
    for (number, line) in lines.enumerated().suffix(count ?? lines.count) {
      try shell.world.print("\(String(number + 1).leftPadded(to: 5))  \(line)")
    }
    return .done
  }
}

/// Changes the folder that relative names start from.
struct CdBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "cd", abstract: "Change the current folder.")

  @Argument(help: "The folder; home if not given.", completion: .directory) var folder: String?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let folder = folder ?? FileNames.environment("HOME") else { throw WorldError(message: "HOME is not set") }
    // The open capture was named from here.
    if let capture = shell.world.openCapture, !capture.hasPrefix("/"), let here = FileNames.currentFolder {
      shell.world.openCapture = "\(here)/\(capture)"
    }
    do throws(OutputError) { try FileNames.enter(folder) } catch { throw WorldError(message: "\(folder): \(error.text)") }
    return .done
  }
}

/// Prints the current folder.
struct PwdBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "pwd", abstract: "Print the current folder.")

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let folder = FileNames.currentFolder else { throw WorldError(message: "the current folder is gone") }
    try shell.world.print(folder)
    return .done
  }
}

/// Waits, for scripts.
struct SleepBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "sleep", abstract: "Wait some seconds; Ctrl-C ends it.")

  @Argument(help: "How long, for example 0.5.") var seconds: Double

  mutating func validate() throws {
    guard (0...1_000_000).contains(seconds) else { throw ValidationError("SECONDS is 0 to 1000000, not \(seconds)") }
  }

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    try shell.world.flush()
    _ = try LiveLoop.sleep(until_ns: PortPoller.now_ns &+ Int64(seconds * 1e9), in: &shell.world)
    return .done
  }
}

/// Ends the session.
struct QuitBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(commandName: "quit", abstract: "End the session; so does Ctrl-D.")

  @Argument(help: "The exit status, 0 to 255; without it a script ends with the highest that came.") var status: UInt8?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    shell.wantsToQuit = ShellSession.Quit(status: status.map(Int32.init))
    return .done
  }
}

extension String {
  fileprivate func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

  /// As a person would have to type it to get this one word.
  fileprivate var quotedForPrompt: String {
    let isPlain = !isEmpty && !contains { " \t\n;|>'\"$\\#*?[~".contains($0) }
    return isPlain ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
