/// What the kernel lets through to a port, in candump's words with commas between: `351:7FF`, `355~7FF` (all others), `#40` (classes of
/// error frames), `j` (all words must hold, not one). Numbers are hexadecimal, one of eight digits is a 29-bit ID. An ID alone means
/// exactly that one.
///
/// Unlike candump, error frames come as long as no `#` says otherwise: whoever sends has to hear that the controller went off the bus. With
/// `j` and two words or more the kernel keeps them back all the same.
public struct KernelFilter: Hashable, Sendable, CustomStringConvertible {
  /// Which frames pass; none of these = all.
  public var words: [SocketCANPort.Filter] = []
  /// Whether a frame must pass all of them, instead of one.
  public var isJoined = false
  /// Classes of error frames that pass (linux/can/error.h); `nil` = all.
  public var errorMask: UInt32?

  /// Lets everything through.
  public init() {}

  /// What can be typed, for messages.
  static let expected =
    "candump's filters behind the comma, in hexadecimal: 351:7FF, 351~7FF, 351, #ERRORMASK or j, at most \(most) of them, "
    + "no ID with the bit 20000000 (all others: ~)"
  /// The kernel takes no more (CAN_RAW_FILTER_MAX).
  private static let most = 512

  /// Reads words; `nil` where one is none.
  init?(_ text: Substring) {
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard add(word) else { return nil }
    }
    guard words.count <= KernelFilter.most else { return nil }
  }

  private mutating func add(_ word: Substring) -> Bool {
    if word == "j" || word == "J" {
      isJoined = true
      return true
    }
    if word.first == "#" {
      guard let mask = HexText.number(word.dropFirst().utf8) else { return false }
      errorMask = (errorMask ?? 0) | mask & 0x1FFF_FFFF
      return true
    }
    let mark = word.firstIndex { $0 == ":" || $0 == "~" } ?? word.endIndex
    let id = word[..<mark]
    // The kernel would take this bit of the ID for a filter of all others.
    guard var number = HexText.number(id.utf8), number & 0x2000_0000 == 0 else { return false }
    guard mark < word.endIndex else {
      if id.utf8.count > 4 || number > 0x7FF { number |= 0x8000_0000 }
      words.append(.init(id: number, mask: 0x9FFF_FFFF))
      return true
    }
    guard let mask = HexText.number(word[word.index(after: mark)...].utf8) else { return false }
    if id.utf8.count == 8 { number |= 0x8000_0000 }
    words.append(.init(id: number, mask: mask & 0xDFFF_FFFF, isInverted: word[mark] == "~"))
    return true
  }

  /// As it is typed, in full.
  public var description: String {
    var parts = words.map { word in
      let digits = String(word.id, radix: 16, uppercase: true)
      let id = String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
      return id + (word.isInverted ? "~" : ":") + String(word.mask, radix: 16, uppercase: true)
    }
    if let errorMask { parts.append("#" + String(errorMask, radix: 16, uppercase: true)) }
    if isJoined { parts.append("j") }
    return parts.joined(separator: ",")
  }
}
