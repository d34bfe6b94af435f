/// What a person is asked.
struct Question: Sendable, Equatable {
  /// How it can be answered.
  enum Kind: Sendable, Equatable {
    case yesNo
    case number(ClosedRange<Double>, unit: String, decimals: Int)
    case choice([String])
    case text
    /// Only these very words, typed: what `--yes` never answers.
    case word(String)
  }

  var id: String
  var text: String
  var kind: Kind
  /// What an empty line means; `nil` = an answer is wanted.
  var standard: String?
  /// Answers that pass; empty = every one.
  var wanted: [String] = []
  /// Said to an answer that does not pass.
  var hint = ""

  /// What may be answered, in brackets behind the question.
  var expected: String {
    let answers =
      switch kind {
      case .yesNo: "yes/no"
      case .number(let range, let unit, let decimals):
        "\(Number.text(range.lowerBound, decimals))…\(Number.text(range.upperBound, decimals))\(unit.isEmpty ? "" : " " + unit)"
      case .choice(let choices): choices.joined(separator: "/")
      case .text: "text"
      case .word(let word): "type: \(word)"
      }
    return standard.map { "\(answers), empty = \($0)" } ?? answers
  }

  /// The answer as it is kept; `nil` if this is none.
  func answer(_ line: String) -> String? {
    let typed = line.trimmed
    let given = typed.isEmpty ? standard ?? "" : typed
    switch kind {
    case .yesNo:
      switch given.lowercased() {
      case "yes", "y": return "yes"
      case "no", "n": return "no"
      default: return nil
      }
    case .number(let range, let unit, let decimals):
      guard let value = Number.value(given, unit: unit), range.contains(value) else { return nil }
      return Number.text(value, decimals)
    case .choice(let choices):
      if choices.contains(given) { return given }
      let near = choices.filter { $0.hasPrefix(given.lowercased()) }
      return given.isEmpty || near.count != 1 ? nil : near[0]
    case .text: return given.isEmpty ? nil : given
    // No beginning, no other case of letters, no default: it is meant, or it is not.
    case .word(let word): return typed == word ? word : nil
    }
  }

  /// Whether nobody but a person may answer it.
  var isConfirmation: Bool { if case .word = kind { true } else { false } }
}

/// Numbers as people write and read them.
enum Number {
  /// A finite number with a point or a comma, with or without its unit.
  static func value(_ text: String, unit: String = "") -> Double? {
    var rest = text.trimmed
    if !unit.isEmpty, rest.hasSuffix(unit) { rest = String(rest.dropLast(unit.count)).trimmed }
    rest = String(rest.map { $0 == "," ? "." : $0 == "−" ? "-" : $0 })
    guard !rest.isEmpty, rest.count < 30, rest.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == "." || $0 == "-" || $0 == "+") }),
      let value = Double(rest), value.isFinite
    else { return nil }
    return value
  }

  /// The nearest whole number that fits.
  static func int32(_ value: Double) -> Int32 { value.isFinite ? Int32(max(-2e9, min(2e9, value.rounded()))) : 0 }

  /// So many decimals, zeros at the end kept away.
  static func text(_ value: Double, _ decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<max(0, min(6, decimals)) { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.isFinite, abs(scaled) < 9e15 else { return "–" }
    let whole = Int64(scaled)
    var digits = String(whole.magnitude)
    let width = max(0, min(6, decimals))
    guard width > 0 else { return (whole < 0 ? "-" : "") + digits }
    if digits.count <= width { digits = String(repeating: "0", count: width + 1 - digits.count) + digits }
    var fraction = digits.suffix(width)
    while fraction.last == "0" { fraction = fraction.dropLast() }
    return (whole < 0 ? "-" : "") + digits.dropLast(width) + (fraction.isEmpty ? "" : "." + fraction)
  }

  /// With its unit.
  static func text(_ value: Double, _ decimals: Int, _ unit: String) -> String { "\(text(value, decimals)) \(unit)" }
}

extension String {
  /// Without blanks at both ends.
  var trimmed: String {
    var rest = self[...]
    while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
    while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
    return String(rest)
  }
}
