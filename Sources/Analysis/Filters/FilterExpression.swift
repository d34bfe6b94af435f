/// An expression over signals and fields: `PackVoltage > 400 and CellVoltageMin < 3`, `message = "Totals"`, `any fault`.
///
/// Grammar, loosest first: `or`, `and`, `not`, comparisons (`= == != < <= > >=`), `+ -`, `* /`, numbers, `0x…`, texts in quotes, names,
/// `byte[n]`, `flag`, `any fault|protection|alarm|warning|notice`, brackets.
public indirect enum FilterExpression: Sendable, Equatable {
  case number(Double)
  case text(String)
  /// A signal or one of the fields of `Field`; the column is for messages.
  case name(String, column: Int)
  case byte(Int)
  /// Any flag set, or one of that severity.
  case flag(String?)
  case not(FilterExpression)
  case binary(Operator, FilterExpression, FilterExpression)

  /// How two numbers are compared.
  public enum Operator: String, Sendable, CaseIterable {
    case or, and
    case equal = "=", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case plus = "+", minus = "-", times = "*", divided = "/"
  }

  /// Fields of a record that are no signals.
  public enum Field: String, Sendable, CaseIterable {
    case id, bus, dir, message, sender, length, address, error, remote, fd, extended
    case protocolName = "protocol"
  }

  /// What is wrong with an expression: where, what was found, what was expected.
  public struct Mistake: Error, Sendable, Equatable, CustomStringConvertible {
    /// From 1.
    public var column: Int
    /// What stood there.
    public var found: String
    /// What would have been right.
    public var expected: String
    /// `column 5: found …, expected …`.
    public var description: String { "column \(column): found \(found), expected \(expected)" }
  }

  /// Reads an expression.
  public static func parse(_ text: String) throws(Mistake) -> FilterExpression {
    var parser = FilterParser(text)
    return try parser.whole()
  }

  /// Every name in it, with its column.
  public var names: [(name: String, column: Int)] {
    switch self {
    case .name(let name, let column): [(name, column)]
    case .not(let inner): inner.names
    case .binary(_, let left, let right): left.names + right.names
    case .number, .text, .byte, .flag: []
    }
  }

  /// Whether `any` stands in it.
  public var asksForFlags: Bool {
    switch self {
    case .flag: true
    case .not(let inner): inner.asksForFlags
    case .binary(_, let left, let right): left.asksForFlags || right.asksForFlags
    case .number, .text, .name, .byte: false
    }
  }

  /// The first thing in it that belongs to one frame: a field, or a byte.
  public var partOfOneFrame: String? {
    switch self {
    case .byte(let index): "byte[\(index)]"
    case .name(let name, _): Field(rawValue: name) == nil ? nil : name
    case .not(let inner): inner.partOfOneFrame
    case .binary(_, let left, let right): left.partOfOneFrame ?? right.partOfOneFrame
    case .number, .text, .flag: nil
    }
  }
}

/// Reads expressions by recursive descent; nesting is bounded, so that no input exhausts the stack.
struct FilterParser {
  private struct Token: Equatable {
    enum Kind: Equatable { case number(Double), word, text, sign, end }
    var kind: Kind
    var text: String
    var column: Int
  }

  private let tokens: [Token]
  private let mistake: FilterExpression.Mistake?
  private var place = 0
  private var depth = 0
  private static let deepest = 64

  init(_ text: String) {
    (tokens, mistake) = FilterParser.tokenise(Array(text))
  }

  mutating func whole() throws(FilterExpression.Mistake) -> FilterExpression {
    if let mistake { throw mistake }
    let expression = try either()
    guard current.kind == .end else { throw wrong("and, or, a comparison, or the end") }
    return expression
  }

  // MARK: Grammar

  private mutating func either() throws(FilterExpression.Mistake) -> FilterExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= FilterParser.deepest else { throw wrong("an expression nested at most \(FilterParser.deepest) deep") }
    var left = try both()
    while takeWord("or") || takeSign("||") { left = .binary(.or, left, try both()) }
    return left
  }

  private mutating func both() throws(FilterExpression.Mistake) -> FilterExpression {
    var left = try negation()
    while takeWord("and") || takeSign("&&") { left = .binary(.and, left, try negation()) }
    return left
  }

  private mutating func negation() throws(FilterExpression.Mistake) -> FilterExpression {
    var isNegated = false
    while takeWord("not") || takeSign("!") { isNegated.toggle() }
    let inner = try comparison()
    return isNegated ? .not(inner) : inner
  }

  private mutating func comparison() throws(FilterExpression.Mistake) -> FilterExpression {
    let left = try sum()
    let operators: [(String, FilterExpression.Operator)] = [
      ("==", .equal), ("=", .equal), ("!=", .notEqual), ("<=", .lessOrEqual), ("<", .less), (">=", .greaterOrEqual),
      (">", .greater),
    ]
    for (sign, kind) in operators where takeSign(sign) { return .binary(kind, left, try sum()) }
    return left
  }

  private mutating func sum() throws(FilterExpression.Mistake) -> FilterExpression {
    var left = try product()
    while true {
      if takeSign("+") {
        left = .binary(.plus, left, try product())
      } else if takeSign("-") {
        left = .binary(.minus, left, try product())
      } else {
        return left
      }
    }
  }

  private mutating func product() throws(FilterExpression.Mistake) -> FilterExpression {
    var left = try primary()
    while true {
      if takeSign("*") {
        left = .binary(.times, left, try primary())
      } else if takeSign("/") {
        left = .binary(.divided, left, try primary())
      } else {
        return left
      }
    }
  }

  private mutating func primary() throws(FilterExpression.Mistake) -> FilterExpression {
    let token = current
    switch token.kind {
    case .number(let value):
      place += 1
      return .number(value)
    case .text:
      place += 1
      return .text(token.text)
    case .sign where token.text == "-":
      place += 1
      guard case .number(let value) = current.kind else { throw wrong("a number behind -") }
      place += 1
      return .number(-value)
    case .sign where token.text == "(":
      place += 1
      let inner = try either()
      guard takeSign(")") else { throw wrong(")") }
      return inner
    case .word: return try name(token)
    case .sign, .end: throw wrong("a signal, a field, a number, a text in quotes or (")
    }
  }

  private mutating func name(_ token: Token) throws(FilterExpression.Mistake) -> FilterExpression {
    if ["and", "or", "not"].contains(token.text) { throw wrong("a signal, a field, a number, a text in quotes or (") }
    place += 1
    switch token.text {
    case "flag": return .flag(nil)
    case "any":
      let severities = ["fault", "protection", "alarm", "warning", "notice", "flag"]
      guard current.kind == .word, severities.contains(current.text) else { throw wrong(severities.joined(separator: ", ")) }
      place += 1
      return .flag(tokens[place - 1].text == "flag" ? nil : tokens[place - 1].text)
    case "byte":
      guard takeSign("["), case .number(let index) = current.kind, index >= 0, index < 64, index == index.rounded() else {
        throw wrong("[0] … [63] behind byte")
      }
      place += 1
      guard takeSign("]") else { throw wrong("]") }
      return .byte(Int(index))
    case "true": return .number(1)
    case "false": return .number(0)
    default: return .name(token.text, column: token.column)
    }
  }

  // MARK: Tokens

  private var current: Token { tokens[min(place, tokens.count - 1)] }

  private mutating func takeWord(_ word: String) -> Bool {
    guard current.kind == .word, current.text == word else { return false }
    place += 1
    return true
  }

  private mutating func takeSign(_ sign: String) -> Bool {
    guard current.kind == .sign, current.text == sign else { return false }
    place += 1
    return true
  }

  private func wrong(_ expected: String) -> FilterExpression.Mistake {
    .init(column: current.column, found: current.kind == .end ? "the end" : "\"\(current.text)\"", expected: expected)
  }

  private static func tokenise(_ text: [Character]) -> ([Token], FilterExpression.Mistake?) {
    var tokens: [Token] = []
    var place = 0
    while place < text.count {
      let start = place
      let character = text[place]
      if character.isWhitespace {
        place += 1
        continue
      }
      if character.isLetter || character == "_" {
        while place < text.count, text[place].isLetter || text[place].isNumber || text[place] == "_" || text[place] == "." {
          place += 1
        }
        tokens.append(Token(kind: .word, text: String(text[start..<place]), column: start + 1))
      } else if character.isASCII, character.isNumber || character == "." {
        while place < text.count, text[place].isASCII, text[place].isLetter || text[place].isNumber || text[place] == "." {
          place += 1
        }
        let word = String(text[start..<place])
        guard
          let value = word.lowercased().hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16).map({ Double($0) }) : Double(word),
          value.isFinite
        else {
          return (
            tokens + [Token(kind: .end, text: "", column: start + 1)],
            .init(column: start + 1, found: "\"\(word)\"", expected: "a number")
          )
        }
        tokens.append(Token(kind: .number(value), text: word, column: start + 1))
      } else if character == "'" || character == "\"" {
        place += 1
        while place < text.count, text[place] != character { place += 1 }
        guard place < text.count else {
          return (
            tokens + [Token(kind: .end, text: "", column: start + 1)],
            .init(column: start + 1, found: "a text without its closing quote", expected: String(character))
          )
        }
        tokens.append(Token(kind: .text, text: String(text[start + 1..<place]), column: start + 1))
        place += 1
      } else {
        let two = place + 1 < text.count ? String(text[place...place + 1]) : ""
        let sign = ["==", "!=", "<=", ">=", "&&", "||"].contains(two) ? two : String(character)
        place += sign.count
        tokens.append(Token(kind: .sign, text: sign, column: start + 1))
      }
    }
    return (tokens + [Token(kind: .end, text: "", column: text.count + 1)], nil)
  }
}
