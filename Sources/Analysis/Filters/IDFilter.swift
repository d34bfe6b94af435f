public import Bus

/// candump's filter words: `id:mask`, `id~mask` (inverted), `#errormask`, `j` (all must hold).
///
/// IDs of eight digits carry their flags as candump's do: `80004210:9FFFFFFF` is an extended ID. A word of exactly eight digits
/// without a flag matches by number alone, as the kernel does. Source: candump(1).
public struct IDFilter: Sendable, Equatable {
  /// One `id:mask`.
  struct Word: Sendable, Equatable {
    var id: UInt32
    var mask: UInt32
    var isInverted: Bool
  }

  private var words: [Word] = []
  private var errorMask: UInt32 = 0
  private var joins = false

  /// What is wrong with a word.
  public struct Mistake: Error, Sendable, Equatable {
    /// The word that is none.
    public var word: String
    /// What would have been right.
    public var expected: String
  }

  /// Reads words; each may hold several with commas between.
  public init(_ texts: [String]) throws(Mistake) {
    for text in texts.flatMap({ $0.split(separator: ",").map(String.init) }) { try add(text) }
  }

  /// Whether nothing is filtered.
  public var isEmpty: Bool { words.isEmpty && errorMask == 0 }

  private mutating func add(_ text: String) throws(Mistake) {
    if text.lowercased() == "j" {
      joins = true
      return
    }
    if text.hasPrefix("#") {
      guard let mask = UInt32(text.dropFirst(), radix: 16) else {
        throw Mistake(word: text, expected: "# and an error mask in hexadecimal, such as #FFFFFFFF")
      }
      errorMask |= mask
      return
    }
    let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "~" }.map(String.init)
    guard (1...2).contains(parts.count), let id = UInt32(parts[0], radix: 16), parts[0].count <= 8 else {
      throw Mistake(word: text, expected: "id:mask or id~mask in hexadecimal, such as 351:7FF or 80004210:9FFFFFF0")
    }
    // An ID alone means exactly that one; its width is its number of digits, as in a log.
    var word = Word(id: id, mask: 0, isInverted: text.contains("~"))
    if parts.count == 1 {
      word.mask = 0x9FFF_FFFF
      if parts[0].count > 4 || id > 0x7FF { word.id |= 0x8000_0000 }
    } else {
      guard let mask = UInt32(parts[1], radix: 16), parts[1].count <= 8 else {
        throw Mistake(word: text, expected: "a mask in hexadecimal behind : or ~")
      }
      word.mask = mask & 0xDFFF_FFFF
    }
    words.append(word)
  }

  /// Whether a frame passes.
  public func takes(_ frame: CANFrame) -> Bool {
    if frame.flags.contains(.error) { return errorMask & frame.id.number != 0 || (words.isEmpty && errorMask == 0) }
    if words.isEmpty { return errorMask == 0 }
    let id = frame.id.rawValue | (frame.flags.contains(.remote) ? 0x4000_0000 : 0)
    func matches(_ word: Word) -> Bool { (id & word.mask == word.id & word.mask) != word.isInverted }
    return joins ? words.allSatisfy(matches) : words.contains(where: matches)
  }
}
