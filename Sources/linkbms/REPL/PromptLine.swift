/// One word of a line at the prompt.
struct PromptWord: Equatable {
  /// The word itself, quotes and variables resolved.
  var text: String
  /// The same as a pattern for file names, with what was quoted escaped; `nil` if it has no `*`, `?` or `[` outside quotes.
  var pattern: String?
  /// Whether it stands as it was typed: nothing of it was quoted, escaped or put in for a variable or the home folder.
  var isBare = true
}

/// Where a command's output goes.
enum OutputTarget: Equatable {
  case standard
  /// `> file`, or `>> file`.
  case file(String, appending: Bool)
  /// `| program …`, handed to the system's shell as written.
  case program(String)
}

/// One command of a line.
enum PromptStatement: Equatable {
  case command([PromptWord], OutputTarget)
  /// `command … &`: it goes on while the next one is typed.
  case background([PromptWord], OutputTarget)
  /// `! command …`, handed to the system's shell as written.
  case system(String)

  /// Which one it is, for messages: its first word, and the program behind `|`.
  var title: String {
    switch self {
    case .system(let command): "! \(command)"
    case .background(let words, _), .command(let words, .standard), .command(let words, .file): words.first?.text ?? ""
    case .command(let words, .program(let program)): "\(words.first?.text ?? "") | \(program)"
    }
  }
}

/// What is wrong with how a line is written. `column` counts from 1.
enum PromptLineError: Error, Equatable {
  case unclosedQuote(Character, column: Int)
  case undefinedVariable(String)
  case unclosedBrace(column: Int)
  case noCommand(before: String)
  case noFileName(after: String)
  case wordsAfterFileName(String)
  case noProgram

  /// For a person: what was found, what was expected.
  var text: String {
    switch self {
    case .unclosedQuote(let quote, let column): "the \(quote) in column \(column) is not closed"
    case .undefinedVariable(let name):
      "there is no variable $\(name); 'let \(name) VALUE' makes one, and \\$ is a plain dollar sign"
    case .unclosedBrace(let column): "the ${ in column \(column) is not closed by }"
    case .noCommand(let sign): "there is no command before \(sign)"
    case .noFileName(let sign): "expected a file name after \(sign)"
    case .wordsAfterFileName(let word):
      "expected one file name after >, found '\(word)' as well; an expression with > in it needs quotes"
    case .noProgram: "expected a program after |, for example: | less"
    }
  }
}

/// Cuts a line into statements and words.
///
/// Statements are separated by `;`; a `&` that stands alone ends one that goes on in the background. Words are separated by blanks; `'…'` keeps everything, `"…"` everything but `$` and `\`, and `\`
/// keeps the next character. `$NAME` and `${NAME}` stand for a variable's value, which is never cut again. `~` and `~/` at the
/// beginning stand for the home folder; `#` at the beginning of a word makes the rest a comment.
///
/// One statement at a time, because an earlier one may set a variable that a later one uses.
struct PromptScanner {
  private var bytes: [UInt8]
  private var position = 0

  /// Starts at the beginning of `line`.
  init(_ line: String) { bytes = Array(line.utf8) }

  /// The next statement; `nil` at the end of the line.
  /// - Parameters:
  ///   - alias: what a first word stands for; each counts once, so that `alias echo echo -n` comes to an end.
  ///   - variable: the value of a name, `nil` if there is none.
  mutating func next(
    alias: (String) -> String? = { _ in nil }, variable: (String) -> String?
  ) throws(PromptLineError) -> PromptStatement? {
    skip { $0.isBlank || $0 == UInt8(ascii: ";") }
    expandAlias(alias)
    guard let first = peek else { return nil }
    if first == UInt8(ascii: "!") {
      position += 1
      return .system(takeRest())
    }
    var words: [PromptWord] = []
    while true {
      skip(\.isBlank)
      switch peek {
      case nil, UInt8(ascii: ";"):
        return words.isEmpty ? nil : .command(words, .standard)
      case UInt8(ascii: "#"):
        position = bytes.count
      case UInt8(ascii: "&") where isBackgroundSign:
        guard !words.isEmpty else { throw .noCommand(before: "&") }
        position += 1
        return .background(words, .standard)
      case UInt8(ascii: "|"):
        return try pipe(words)
      case UInt8(ascii: ">"):
        return try redirect(words, variable)
      default:
        words.append(try word(variable))
      }
    }
  }

  private mutating func pipe(_ words: [PromptWord]) throws(PromptLineError) -> PromptStatement {
    guard !words.isEmpty else { throw .noCommand(before: "|") }
    position += 1
    let program = takeRest()
    guard !program.isEmpty else { throw .noProgram }
    return .command(words, .program(program))
  }
}

extension PromptScanner {
  private mutating func expandAlias(_ alias: (String) -> String?) {
    var used: Set<String> = []
    while true {
      let end = bytes[position...].firstIndex(where: \.endsWord) ?? bytes.count
      let word = String(decoding: bytes[position..<end], as: UTF8.self)
      guard let meaning = alias(word), used.insert(word).inserted else { return }
      bytes.replaceSubrange(position..<end, with: meaning.utf8)
      skip(\.isBlank)
    }
  }

  /// Whether a `&` stands here that is a word of its own; `a && b` is something else.
  private var isBackgroundSign: Bool {
    guard peek == UInt8(ascii: "&") else { return false }
    return position + 1 >= bytes.count || bytes[position + 1].isBlank || bytes[position + 1] == UInt8(ascii: ";")
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(_ matches: (UInt8) -> Bool) {
    while let byte = peek, matches(byte) { position += 1 }
  }

  private mutating func takeRest() -> String {
    skip(\.isBlank)
    var rest = bytes[position...]
    while let last = rest.last, last.isBlank { rest.removeLast() }
    position = bytes.count
    return String(decoding: rest, as: UTF8.self)
  }

  private mutating func redirect(
    _ words: [PromptWord], _ variable: (String) -> String?
  ) throws(PromptLineError) -> PromptStatement {
    var sign = ">"
    position += 1
    if peek == UInt8(ascii: ">") {
      sign = ">>"
      position += 1
    }
    guard !words.isEmpty else { throw .noCommand(before: sign) }
    skip(\.isBlank)
    guard let next = peek, !next.endsWord else { throw .noFileName(after: sign) }
    let name = try word(variable).text
    skip(\.isBlank)
    if isBackgroundSign {
      position += 1
      return .background(words, .file(name, appending: sign == ">>"))
    }
    if let next = peek, next != UInt8(ascii: ";"), next != UInt8(ascii: "#") {
      throw .wordsAfterFileName(next.endsWord ? String(UnicodeScalar(next)) : try word(variable).text)
    }
    return .command(words, .file(name, appending: sign == ">>"))
  }

  private mutating func word(_ variable: (String) -> String?) throws(PromptLineError) -> PromptWord {
    var word = WordInTheMaking()
    if isHomeSign, let home = variable("HOME") {
      position += 1
      word.add(quoted: home)
    }
    while let byte = peek, !byte.endsWord {
      switch byte {
      case UInt8(ascii: "'"): try singleQuotes(into: &word)
      case UInt8(ascii: "\""): try doubleQuotes(into: &word, variable)
      case UInt8(ascii: "\\"):
        position += 1
        if let escaped = peek {
          word.add(quoted: escaped)
          position += 1
        } else {
          word.add(quoted: byte)
        }
      case UInt8(ascii: "$"): word.add(quoted: try value(variable))
      default:
        word.add(plain: byte)
        position += 1
      }
    }
    return word.finished
  }

  /// Whether a `~` stands here that is a word of its own or begins a path.
  private var isHomeSign: Bool {
    guard peek == UInt8(ascii: "~") else { return false }
    guard position + 1 < bytes.count else { return true }
    return bytes[position + 1] == UInt8(ascii: "/") || bytes[position + 1].endsWord
  }

  private mutating func singleQuotes(into word: inout WordInTheMaking) throws(PromptLineError) {
    word.isBare = false
    let column = position + 1
    position += 1
    while let byte = peek {
      position += 1
      if byte == UInt8(ascii: "'") { return }
      word.add(quoted: byte)
    }
    throw .unclosedQuote("'", column: column)
  }

  private mutating func doubleQuotes(into word: inout WordInTheMaking, _ variable: (String) -> String?) throws(PromptLineError) {
    word.isBare = false
    let column = position + 1
    position += 1
    while let byte = peek {
      if byte == UInt8(ascii: "$") {
        word.add(quoted: try value(variable))
        continue
      }
      position += 1
      if byte == UInt8(ascii: "\"") { return }
      if byte == UInt8(ascii: "\\"), let next = peek, "\"\\$".utf8.contains(next) {
        word.add(quoted: next)
        position += 1
      } else {
        word.add(quoted: byte)
      }
    }
    throw .unclosedQuote("\"", column: column)
  }

  /// The value of the variable at the `$`; the sign itself where no name follows.
  private mutating func value(_ variable: (String) -> String?) throws(PromptLineError) -> String {
    let column = position + 1
    position += 1
    var name: ArraySlice<UInt8> = []
    if peek == UInt8(ascii: "{") {
      guard let close = bytes[position...].firstIndex(of: UInt8(ascii: "}")) else { throw .unclosedBrace(column: column) }
      name = bytes[(position + 1)..<close]
      position = close + 1
    } else if peek == UInt8(ascii: "?") {
      name = bytes[position...position]
      position += 1
    } else {
      let start = position
      skip(\.isInName)
      name = bytes[start..<position]
    }
    guard !name.isEmpty else { return "$" }
    let text = String(decoding: name, as: UTF8.self)
    guard let value = variable(text) else { throw .undefinedVariable(text) }
    return value
  }
}

/// A word's bytes as they are and as a pattern.
private struct WordInTheMaking {
  private var text: [UInt8] = []
  private var pattern: [UInt8] = []
  private var isPattern = false
  var isBare = true

  mutating func add(plain byte: UInt8) {
    text.append(byte)
    pattern.append(byte)
    if byte.isPatternSign { isPattern = true }
  }

  mutating func add(quoted byte: UInt8) {
    isBare = false
    text.append(byte)
    if byte.isPatternSign || byte == UInt8(ascii: "\\") { pattern.append(UInt8(ascii: "\\")) }
    pattern.append(byte)
  }

  mutating func add(quoted string: String) {
    isBare = false
    for byte in string.utf8 { add(quoted: byte) }
  }

  var finished: PromptWord {
    PromptWord(
      text: String(decoding: text, as: UTF8.self), pattern: isPattern ? String(decoding: pattern, as: UTF8.self) : nil,
      isBare: isBare)
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == 0x20 || (0x09...0x0d).contains(self) }
  fileprivate var endsWord: Bool { isBlank || self == UInt8(ascii: ";") || self == UInt8(ascii: "|") || self == UInt8(ascii: ">") }
  fileprivate var isPatternSign: Bool { self == UInt8(ascii: "*") || self == UInt8(ascii: "?") || self == UInt8(ascii: "[") }
  fileprivate var isInName: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || self == UInt8(ascii: "_")
  }
}
