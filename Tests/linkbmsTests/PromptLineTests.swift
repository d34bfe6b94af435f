import Testing

@testable import linkbms

@Suite struct PromptLineTests {
  /// All statements of a line, with two variables set.
  private func statements(_ line: String) throws(PromptLineError) -> [PromptStatement] {
    let variables = ["name": "a b*", "HOME": "/home/x", "?": "2"]
    var scanner = PromptScanner(line)
    var result: [PromptStatement] = []
    while let next = try scanner.next(variable: { variables[$0] }) { result.append(next) }
    return result
  }

  private func words(_ line: String) throws(PromptLineError) -> [String] {
    guard case .command(let words, .standard)? = try statements(line).first else { return [] }
    return words.map(\.text)
  }

  @Test(arguments: [
    ("", []), ("   ", []), ("# all of it", []),
    ("decode x.log", ["decode", "x.log"]),
    ("  decode\t x.log  ", ["decode", "x.log"]),
    ("a 'b c' \"d e\"", ["a", "b c", "d e"]),
    ("a''b \"\"", ["ab", ""]),
    ("'$name \\ \"'", ["$name \\ \""]),
    ("\"$name\" $name ${name}x", ["a b*", "a b*", "a b*x"]),
    ("\"\\$name \\\" \\\\ \\n\"", ["$name \" \\ \\n"]),
    ("\\$name \\\\ a\\ b", ["$name", "\\", "a b"]),
    ("$ a$ $?", ["$", "a$", "2"]),
    ("~ ~/x a~b ~x '~'", ["/home/x", "/home/x/x", "a~b", "~x", "~"]),
    ("can0,0:0,#FFFFFFFF 305#R8 # rest", ["can0,0:0,#FFFFFFFF", "305#R8"]),
    ("'PackVoltage > 400; | x'", ["PackVoltage > 400; | x"]),
    ("größer ½", ["größer", "½"]),
    ("trailing\\", ["trailing\\"]),
  ])
  func cutsWords(line: String, expected: [String]) throws {
    #expect(try words(line) == expected)
  }

  @Test(
    arguments: [
      ("*.log", "*.log"), ("'*'.log", nil), ("a'*'?", "a\\*?"), ("x[0-9]", "x[0-9]"), ("\\*", nil), ("$name*", "a b\\**"),
      ("plain", nil),
    ] as [(String, String?)])
  func onlyWhatIsNotQuotedIsAPattern(line: String, expected: String?) throws {
    guard case .command(let words, _)? = try statements(line).first else {
      Issue.record("no command in \(line)")
      return
    }
    #expect(words.first?.pattern == expected)
  }

  @Test(arguments: [
    ("plain", true), ("*.log", true), ("'plain'", false), ("\"plain\"", false), ("pl''ain", false), ("pl\\ain", false),
    ("$name", false), ("~", false), ("a~b", true),
  ])
  func knowsWhatStandsAsItWasTyped(line: String, expected: Bool) throws {
    guard case .command(let words, _)? = try statements(line).first else {
      Issue.record("no command in \(line)")
      return
    }
    #expect(words.first?.isBare == expected)
  }

  @Test(arguments: [
    ("a; b c ;; d", ["a", "b c", "d"]),
    ("a > f", ["a > f"]),
    ("a >f; b >> 'g h'", ["a > f", "b >> g h"]),
    ("a>f # comment", ["a > f"]),
    ("a | grep 'x;y' | less > z", ["a | grep 'x;y' | less > z"]),
    ("a b|less", ["a b | less"]),
    ("! ls $HOME; pwd | cat ", ["! ls $HOME; pwd | cat"]),
    ("a; !b", ["a", "! b"]),
    ("!", ["! "]),
    ("a b & c", ["a b &", "c"]),
    ("a &; b&c && d &", ["a &", "b&c && d &"]),
    ("a '&'", ["a &"]),
    ("a > f & b", ["a > f &", "b"]),
  ])
  func separatesStatementsAndOutputs(line: String, expected: [String]) throws {
    #expect(try statements(line).map(\.shown) == expected)
  }

  @Test(arguments: [
    ("a 'b", PromptLineError.unclosedQuote("'", column: 3)),
    ("a \"b'", .unclosedQuote("\"", column: 3)),
    ("a $nobody", .undefinedVariable("nobody")),
    ("a ${x", .unclosedBrace(column: 3)),
    ("> f", .noCommand(before: ">")),
    ("& b", .noCommand(before: "&")),
    ("| less", .noCommand(before: "|")),
    ("a >", .noFileName(after: ">")),
    ("a >> ;", .noFileName(after: ">>")),
    ("a > f g", .wordsAfterFileName("g")),
    ("a > f > g", .wordsAfterFileName(">")),
    ("a | ", .noProgram),
  ])
  func saysWhatIsWrong(line: String, expected: PromptLineError) {
    #expect(throws: expected) { try statements(line) }
    #expect(!expected.text.isEmpty)
  }

  @Test(arguments: [UInt64(1), 2, 3, UInt64.random(in: 0...UInt64.max)])
  func anyBytesAreCutOrRefused(seed: UInt64) {
    var random = SplitMix(state: seed)
    let alphabet = Array(" \t'\"\\$>|;&#!*?[{}~ab?\u{0}é".unicodeScalars)
    for _ in 0..<3000 {
      let length = Int(random.next() % 12)
      var line = ""
      for _ in 0..<length { line.unicodeScalars.append(alphabet[Int(random.next() % UInt64(alphabet.count))]) }
      do { _ = try statements(line) } catch { #expect(!error.text.isEmpty, "seed \(seed), line \(line.debugDescription)") }
    }
  }
}

extension PromptStatement {
  /// The statement as a person would write it, without quotes.
  fileprivate var shown: String {
    switch self {
    case .system(let command): "! \(command)"
    case .background(let words, let target): PromptStatement.command(words, target).shown + " &"
    case .command(let words, let target):
      switch target {
      case .standard: words.map(\.text).joined(separator: " ")
      case .file(let path, let appending): words.map(\.text).joined(separator: " ") + (appending ? " >> " : " > ") + path
      case .program(let program): words.map(\.text).joined(separator: " ") + " | " + program
      }
    }
  }
}

/// A small random generator with a seed to print.
private struct SplitMix {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
