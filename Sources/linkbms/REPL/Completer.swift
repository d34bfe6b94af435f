import HostIO

/// What TAB offers at the prompt.
struct Completer {
  private let commands: CommandInfo
  private let aliases: [String]
  private let names: any CompletionSource

  init(_ session: ShellSession) {
    self.init(commands: session.commands, aliases: session.aliases.keys.sorted(), names: session.names)
  }

  init(commands: CommandInfo, aliases: [String], names: any CompletionSource) {
    self.commands = commands
    self.aliases = aliases
    self.names = names
  }

  /// - Parameters:
  ///   - line: the line up to the cursor.
  ///   - wordStart: byte offset of the word to complete, as readline cuts it: behind a quote, a blank, `>`, `|` or `=`.
  func completion(of line: String, wordStart: Int) -> Completion {
    let bytes = Array(line.utf8)
    let start = min(max(0, wordStart), bytes.count)
    let word = String(decoding: bytes[start...], as: UTF8.self)
    var before = Self.statement(bytes[..<start])
    if before.first == UInt8(ascii: "!") { return .files }
    if before.contains(UInt8(ascii: "|")) { return .files }
    if before.last(where: { $0 != 0x20 }) == UInt8(ascii: ">"), !Self.isInsideQuotes(before) { return .files }
    // The quote that the word stands in belongs to it.
    if let quote = before.last, Self.isQuote(quote) { before.removeLast() }
    let isValueOfOption = before.last == UInt8(ascii: "=")
    if isValueOfOption { before.removeLast() }
    var words = Self.words(before)
    if words.first == "linkbms" { words.removeFirst() }
    guard let name = words.first else { return commandNames() }
    guard let command = commands.subcommand(name) ?? only(name) else { return .files }
    let rest = Array(words.dropFirst())
    if command.commandName == "set", Self.positionalsGiven(rest, command) == 1 { return settingValues(rest.last ?? "") }
    return completion(of: word, in: command, after: rest)
  }

  private func only(_ beginning: String) -> CommandInfo? {
    let found = commands.shownSubcommands.filter { $0.commandName.hasPrefix(beginning) }
    return found.count == 1 ? found.first : nil
  }

  private func commandNames() -> Completion {
    .words(commands.shownSubcommands.map(\.commandName) + aliases.filter { $0.count > 1 })
  }

  private func completion(of word: String, in command: CommandInfo, after words: [String]) -> Completion {
    // `config set capacity=…`: the words behind a subcommand are its own.
    if let first = words.first(where: { !$0.hasPrefix("-") }), let below = command.subcommand(first) {
      return completion(of: word, in: below, after: Array(words.drop { $0 != first }.dropFirst()))
    }
    if let last = words.last, last.hasPrefix("-"), let option = command.option(last), option.kind == .option {
      return values(of: option, word: word, words: words)
    }
    if word.hasPrefix("-") {
      return .words(command.shownOptions.flatMap { ($0.names ?? []).map(\.written) }.filter { $0.hasPrefix("--") || word == "-" })
    }
    if command.commandName == "help" { return commandNames() }
    let position = Self.positionalsGiven(words, command)
    if position == 0, !command.shownSubcommands.isEmpty { return .words(command.shownSubcommands.map(\.commandName)) }
    let places = command.positionals
    guard let place = position < places.count ? places[position] : places.last(where: \.isRepeating) else { return .words([]) }
    return values(of: place, word: word, words: words)
  }

  private func settingValues(_ name: String) -> Completion {
    switch name {
    case "format": .words(SetBuiltIn.formats)
    case "onerror": .words(ShellSession.ErrorReaction.allCases.map(\.rawValue))
    case "protocol": .words(names.names(.protocols))
    case "variant": .words(names.names(.variants(ofProtocol: nil)))
    default: .files
    }
  }

  private func values(of argument: ArgumentInfo, word: String, words: [String]) -> Completion {
    // `capacity=` goes on with its value.
    if let values = argument.fixedValues { return .words(values, continues: values.allSatisfy { $0.hasSuffix("=") }) }
    switch argument.preferredName?.name ?? argument.valueName ?? "" {
    case "protocol": return .words(names.names(.protocols))
    case "variant": return .words(names.names(.variants(ofProtocol: Self.value(of: "--protocol", in: words))))
    case "message", "messages": return .words(names.names(.messages))
    case "signal", "signals": return .words(names.names(.signals))
    case "bus", "buses": return .words(names.names(.buses))
    case "iface", "interface", "live", "can": return .words(names.names(.interfaces))
    case "where", "expression", "filter", "if": return expression(word)
    default: break
    }
    switch argument.completionKind {
    case .file, .directory: return .files
    default: return argument.kind == .positional ? .files : .words([])
    }
  }

  /// The last name of an expression; what stands before it stays.
  private func expression(_ word: String) -> Completion {
    let name = word.reversed().prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }.count
    let kept = String(word.dropLast(name))
    return .words((names.names(.signals) + names.names(.messages)).map { kept + $0 }, continues: true)
  }
}

extension Completer {
  /// The statement that the cursor stands in: what follows the last `;` outside quotes, without leading blanks.
  private static func statement(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var start = bytes.startIndex
    var quote: UInt8?
    for (index, byte) in zip(bytes.indices, bytes) {
      if let open = quote {
        if byte == open { quote = nil }
      } else if isQuote(byte) {
        quote = byte
      } else if byte == UInt8(ascii: ";") {
        start = index + 1
      }
    }
    return Array(bytes[start...].drop { $0 == 0x20 })
  }

  private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") }

  private static func isInsideQuotes(_ bytes: [UInt8]) -> Bool {
    var quote: UInt8?
    for byte in bytes {
      if let open = quote {
        if byte == open { quote = nil }
      } else if isQuote(byte) {
        quote = byte
      }
    }
    return quote != nil
  }

  /// Words so far; a line that cannot be cut (a quote still open) is cut at blanks.
  private static func words(_ bytes: [UInt8]) -> [String] {
    let text = String(decoding: bytes, as: UTF8.self)
    var scanner = PromptScanner(text)
    let statement = (try? scanner.next(variable: { _ in "" })) ?? nil
    if case .command(let words, _) = statement { return words.map(\.text) }
    return text.split(separator: " ").map(String.init)
  }

  /// How many values without an option name stand among `words`.
  private static func positionalsGiven(_ words: [String], _ command: CommandInfo) -> Int {
    var count = 0
    var isValue = false
    for word in words {
      if isValue {
        isValue = false
      } else if word.hasPrefix("-") {
        isValue = command.option(word)?.kind == .option
      } else {
        count += 1
      }
    }
    return count
  }

  private static func value(of option: String, in words: [String]) -> String? {
    guard let index = words.lastIndex(of: option), index + 1 < words.count else { return nil }
    return words[index + 1]
  }
}
