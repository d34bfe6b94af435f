public import Formats

/// A message's bits as a grid: a row a byte, most significant bit left, each signal a letter.
public struct BitDrawing {
  private let message: DBCMessage
  /// `A`, `B`, … `a`, … by signal.
  public let letters: [Character]

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

  /// A drawing of a message's bits.
  public init(_ message: DBCMessage) {
    self.message = message
    letters = message.signals.indices.map { BitDrawing.alphabet[$0 % BitDrawing.alphabet.count] }
  }

  /// The grid, a line a byte: ` 0  A A A A A A A A`; a `*` where several signals lie (multiplexes).
  public var lines: [String] {
    let bytes = max(1, message.length)
    var cells = [Character](repeating: "·", count: bytes * 8)
    for (signal, letter) in zip(message.signals, letters) {
      for place in BitDrawing.places(signal) where place < cells.count { cells[place] = cells[place] == "·" ? letter : "*" }
    }
    var lines = ["byte  7 6 5 4 3 2 1 0"]
    for byte in 0..<bytes {
      let number = byte < 10 ? "   \(byte)" : "  \(byte)"
      lines.append(number + "  " + cells[byte * 8..<byte * 8 + 8].map(String.init).joined(separator: " "))
    }
    return lines
  }

  /// The cells of a signal: byte × 8 + column, column 0 = most significant bit.
  static func places(_ signal: DBCSignal) -> [Int] {
    switch signal.byteOrder {
    case .bigEndian: (0..<signal.bitLength).map { signal.linearStart + $0 }
    case .littleEndian: (0..<signal.bitLength).map { (signal.startBit + $0) / 8 * 8 + 7 - (signal.startBit + $0) % 8 }
    }
  }
}
