/// Finding words and numbers in text that follows no grammar.
extension ByteCursor {
  /// Moves behind the first `text` (lower case) whatever its case; `false`, and nothing moved, if it does not come.
  mutating func find(ignoringCase text: StaticString) -> Bool {
    var copy = self
    while copy.remaining >= text.utf8CodeUnitCount {
      if copy.hasPrefix(ignoringCase: text) {
        copy.skip(text.utf8CodeUnitCount)
        self = copy
        return true
      }
      copy.skip()
    }
    return false
  }

  /// The same for a word of its own: no letter before or behind it.
  mutating func find(wordIgnoringCase text: StaticString) -> Bool {
    var copy = self
    var isAfterLetter = false
    while copy.remaining >= text.utf8CodeUnitCount {
      if !isAfterLetter, copy.hasPrefix(ignoringCase: text), !ByteCursor.isLetter(copy.peek(text.utf8CodeUnitCount)) {
        copy.skip(text.utf8CodeUnitCount)
        self = copy
        return true
      }
      isAfterLetter = ByteCursor.isLetter(copy.peek())
      copy.skip()
    }
    return false
  }

  /// Whether `text` (lower case) comes anywhere.
  func contains(ignoringCase text: StaticString) -> Bool {
    var copy = self
    return copy.find(ignoringCase: text)
  }

  /// Whether `byte` comes anywhere.
  func contains(_ byte: UInt8) -> Bool { rest.contains(byte) }

  private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte == 0x5F }

  /// Skips blanks, `:`, `=`, `,`, brackets and `|`; says how many.
  @discardableResult
  mutating func skip(separators: Bool) -> Int {
    let before = offset
    while !isAtEnd {
      switch peek() {
      case 0x20, 0x09, 0x3A, 0x3D, 0x2C, 0x5B, 0x5D, 0x28, 0x29, 0x7B, 0x7D, 0x22, 0x27, 0x7C: skip()
      default: return offset - before
      }
    }
    return offset - before
  }

  /// A number with or without `0x`; its digits are hexadecimal if it has the prefix or `defaultBase` is 16.
  mutating func number(defaultBase: Int) -> (value: UInt64, digits: Int)? {
    var copy = self
    let isPrefixed = copy.peek() == 0x30 && copy.peek(1) | 0x20 == 0x78
    if isPrefixed { copy.skip(2) }
    let before = copy.offset
    let value = isPrefixed || defaultBase == 16 ? copy.hexadecimal(most: 8)?.value : copy.decimal()
    guard let value, !ByteCursor.isLetter(copy.peek()) else { return nil }
    let digits = copy.offset - before
    self = copy
    return (value, digits)
  }

  /// Two hexadecimal digits.
  mutating func pair() -> UInt8? {
    let high = hexDigitValue(peek())
    let low = hexDigitValue(peek(1))
    guard remaining >= 2, high < 16, low < 16 else { return nil }
    skip(2)
    return high << 4 | low
  }

  /// Bytes with blanks, commas or nothing between them, with or without `0x`, with one digit or two, up to the first thing that is no
  /// byte.
  mutating func bytes(most: Int = 64, pairsOnly: Bool = false) -> [UInt8] {
    var result: [UInt8] = []
    while result.count < most {
      var copy = self
      copy.skipByteSeparators()
      let isPrefixed = copy.peek() == 0x30 && copy.peek(1) | 0x20 == 0x78
      if isPrefixed { copy.skip(2) }
      let before = copy.offset
      var digits = 0
      while hexDigitValue(copy.peek()) < 16, !copy.isAtEnd {
        copy.skip()
        digits += 1
      }
      guard digits > 0, !ByteCursor.isLetter(copy.peek()) else { break }
      copy.offset = before
      if digits == 1, !pairsOnly || isPrefixed {
        result.append(hexDigitValue(copy.peek()))
        copy.skip()
      } else if digits % 2 == 0, digits <= 2 || (result.isEmpty && digits <= most * 2) {
        for _ in 0..<digits / 2 { if let value = copy.pair() { result.append(value) } }
      } else {
        break
      }
      self = copy
    }
    return result
  }

  private mutating func skipByteSeparators() {
    while peek() == 0x20 || peek() == 0x09 || peek() == 0x2C { skip() }
  }
}
