/// Cuts a DBC text into words, numbers, strings and signs, with line and column of each.
struct DBCTokenizer {
  /// One token.
  struct Token: Equatable {
    enum Kind: Equatable {
      /// Letters, digits, `_`: keywords, names; also numbers, which DBC writes in many ways.
      case word
      /// A quoted string; `text` is what stands between the quotes, `\"` resolved.
      case string
      /// One of `: ; , | @ ( ) [ ] + -` where it is no part of a number.
      case sign
      case end
    }
    var kind: Kind
    var text: String
    var line: Int
    var column: Int
    /// Where it begins in the text.
    var offset: Int
  }

  private let bytes: [UInt8]
  private(set) var place = 0
  private var line = 1
  private var lineStart = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The text between two offsets, verbatim.
  func slice(_ range: Range<Int>) -> String {
    String(decoding: bytes[max(0, range.lowerBound)..<min(bytes.count, max(range.lowerBound, range.upperBound))], as: UTF8.self)
  }

  /// The next token.
  mutating func next() -> Token {
    skipBlanks()
    let column = place - lineStart + 1
    let start = place
    guard place < bytes.count else { return Token(kind: .end, text: "", line: line, column: column, offset: start) }
    let byte = bytes[place]
    if byte == 0x22 { return string(column: column) }
    if DBCTokenizer.isWordByte(byte) || (DBCTokenizer.isNumberSign(byte) && startsNumber(place)) {
      place += 1
      while place < bytes.count, DBCTokenizer.isWordByte(bytes[place]) || continuesNumber(from: start) { place += 1 }
      return Token(kind: .word, text: slice(start..<place), line: line, column: column, offset: start)
    }
    place += 1
    // A byte beyond ASCII outside a string: taken with what belongs to it, so that the text stays valid.
    while byte >= 0x80, place < bytes.count, bytes[place] & 0xC0 == 0x80 { place += 1 }
    return Token(kind: .sign, text: slice(start..<place), line: line, column: column, offset: start)
  }

  private mutating func skipBlanks() {
    while place < bytes.count, bytes[place] <= 0x20 {
      if bytes[place] == 0x0A {
        line += 1
        lineStart = place + 1
      }
      place += 1
    }
  }

  private mutating func string(column: Int) -> Token {
    let start = place
    let startLine = line
    var content: [UInt8] = []
    place += 1
    while place < bytes.count, bytes[place] != 0x22 {
      if bytes[place] == 0x5C, place + 1 < bytes.count, bytes[place + 1] == 0x22 || bytes[place + 1] == 0x5C { place += 1 }
      if bytes[place] == 0x0A {
        line += 1
        lineStart = place + 1
      }
      content.append(bytes[place])
      place += 1
    }
    // An unterminated string ends with the file; the statement it stands in then misses its end and says so.
    let isClosed = place < bytes.count
    place += 1
    place = min(place, bytes.count)
    return Token(
      kind: isClosed ? .string : .end, text: String(decoding: content, as: UTF8.self), line: startLine, column: column,
      offset: start)
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x5F || byte == 0x2E
  }

  private static func isNumberSign(_ byte: UInt8) -> Bool { byte == 0x2B || byte == 0x2D }

  /// A sign belongs to a number if a digit or a point follows and no digit of a `@1+`-like form stands before.
  private func startsNumber(_ index: Int) -> Bool {
    guard index + 1 < bytes.count, bytes[index + 1] &- 0x30 < 10 || bytes[index + 1] == 0x2E else { return false }
    return index == 0 || !DBCTokenizer.isWordByte(bytes[index - 1])
  }

  /// The sign of an exponent: `1.5E-3`.
  private func continuesNumber(from start: Int) -> Bool {
    guard DBCTokenizer.isNumberSign(bytes[place]), place > start, bytes[place - 1] | 0x20 == 0x65 else { return false }
    let first = DBCTokenizer.isNumberSign(bytes[start]) ? start + 1 : start
    return first < bytes.count && (bytes[first] &- 0x30 < 10 || bytes[first] == 0x2E)
      && bytes[first..<place - 1].allSatisfy { $0 &- 0x30 < 10 || $0 == 0x2E }
  }
}
