/// Lua's strings, numbers and names. Everything that comes out of a definition goes through here: a definition can hold any text, and
/// what it holds must stay data.
enum LuaText {
  /// A string literal. Control characters become decimal escapes, which every Lua reads alike; units such as °C stay readable.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22: result += "\\\""
      case 0x5C: result += "\\\\"
      case 0x0A: result += "\\n"
      // With the rest of the control characters those that could make an editor show other code than Lua runs.
      case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: result += String(scalar).utf8.map(escape).joined()
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func escape(_ byte: UInt8) -> String {
    let digits = String(byte)
    return "\\" + String(repeating: "0", count: 3 - digits.utf8.count) + digits
  }

  /// `PackVoltage` → `pack_voltage`: what Wireshark takes as a part of a field's name, and people type.
  static func fieldName(_ name: String) -> String {
    var result = ""
    let scalars = Array(name.unicodeScalars)
    for (index, scalar) in scalars.enumerated() {
      let isUpper = ("A"..."Z").contains(scalar)
      let isWord = isUpper || ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
      guard isWord else {
        if !result.isEmpty, result.last != "_" { result += "_" }
        continue
      }
      if isUpper, index > 0, result.last != "_", !result.isEmpty {
        let before = scalars[index - 1]
        let after = index + 1 < scalars.count ? scalars[index + 1] : " "
        if !("A"..."Z").contains(before) || ("a"..."z").contains(after) { result += "_" }
      }
      result += isUpper ? String(scalar).lowercased() : String(scalar)
    }
    while result.last == "_" { result.removeLast() }
    return result.isEmpty ? "unnamed" : result
  }

  /// A list of values in braces.
  static func list(_ values: [String]) -> String { values.isEmpty ? "{}" : "{ " + values.joined(separator: ", ") + " }" }

  /// A list of numbers in braces.
  static func list(_ values: [Int]) -> String { list(values.map(String.init)) }

  /// A double in digits that give it back exactly.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "0/0" : value < 0 ? "-math.huge" : "math.huge" }
    return "\(value)"
  }

  /// One line of a comment.
  static func comment(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? " " : $0 }))
  }
}
