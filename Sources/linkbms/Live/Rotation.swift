import HostIO

/// When a capture goes on in a new file, and which old ones go away.
struct Rotation: Equatable {
  /// Bytes that a file may hold.
  var bytes: UInt64?
  /// Time that a file may cover.
  var time_ns: Int64?
  /// Files to keep; `nil` = all.
  var keep: Int?

  /// What may be typed, for messages.
  static let expected = "a size such as 100M (k, M, G) or a time such as 10m or 1h"

  /// Reads `--rotate`.
  static func parse(_ text: String, keep: Int?) throws(WorldError) -> Rotation {
    let units: [(Character, Double)] = [("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9)]
    if let last = text.last, let unit = units.first(where: { $0.0 == last }), let number = Double(text.dropLast()),
      number * unit.1 >= 1000, number * unit.1 < 1e15
    {
      return Rotation(bytes: UInt64(number * unit.1), keep: keep)
    }
    guard let last = text.last, last.isLetter, let time = DurationText.nanoseconds(text), time >= 1_000_000_000 else {
      throw WorldError(message: "--rotate: found \"\(text)\", expected \(expected), at least 1k or 1s")
    }
    return Rotation(time_ns: time, keep: keep)
  }

  /// Whether a file that holds so much and began so long ago is full.
  func isFull(bytes written: UInt64, age_ns: Int64) -> Bool {
    if let bytes, written >= bytes { return true }
    if let time_ns, age_ns >= time_ns { return true }
    return false
  }

  /// `site.pcapng`, 3 → `site-0003.pcapng`.
  static func name(_ path: String, _ number: Int) -> String {
    let digits = String(number)
    let suffix = "-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    let file = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    guard let dot = file.lastIndex(of: "."), dot > file.startIndex else { return path + suffix }
    return String(path[..<dot]) + suffix + String(path[dot...])
  }

  /// Numbers up to here are read from names.
  private static let mostNumber = 1_000_000

  /// The numbers of the files that are there under a name that `name` gives, in order.
  /// - Parameter ending: what stands behind each name: ".log" for the lines beside a recording.
  static func numbers(_ path: String, ending: String = "") -> [Int] {
    // The number goes in where both names part.
    let stem = String(zip(path, name(path, 1)).prefix { $0.0 == $0.1 }.map { $0.0 })
    let suffix = String(path.dropFirst(stem.count))
    var found: Set<Int> = []
    for file in FileNames.matching(literal(stem) + "-*" + literal(suffix + ending)) {
      let digits = file.dropFirst(stem.count + 1).dropLast(suffix.count + ending.count)
      guard let number = Int(digits), number <= mostNumber else { continue }
      guard name(path, number) == "\(stem)-\(digits)\(suffix)" else { continue }
      if (try? FileFacts(path: file))?.isRegular == true { found.insert(number) }
    }
    return found.sorted()
  }

  /// A text that stands for itself in a pattern.
  private static func literal(_ text: String) -> String {
    text.map { "*?[\\".contains($0) ? "\\\($0)" : String($0) }.joined()
  }
}
