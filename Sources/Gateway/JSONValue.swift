/// A JSON value that writes itself with sorted keys, so that the same content is the same bytes.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// Digits as they are to stand there: the caller decides how many are behind the point.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// A whole number.
  static func int(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }
  /// A number in units of 10^−`decimals`, written with `digits` behind the point; `nil` is null.
  static func scaled(_ value: (some BinaryInteger)?, _ decimals: Int, digits: Int) -> JSONValue {
    value.map { .number(ScaledNumber.text(Int64(clamping: $0), decimals, digits: digits)) } ?? .null
  }

  /// The text, without blanks or line ends.
  public var text: String {
    var result = ""
    write(into: &result)
    return result
  }

  private func write(into result: inout String) {
    switch self {
    case .null: result += "null"
    case .bool(let value): result += value ? "true" : "false"
    case .number(let digits): result += digits
    case .string(let text): JSONValue.quote(text, into: &result)
    case .array(let values):
      result += "["
      for (index, value) in values.enumerated() {
        if index > 0 { result += "," }
        value.write(into: &result)
      }
      result += "]"
    case .object(let members):
      result += "{"
      for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { result += "," }
        JSONValue.quote(member.key, into: &result)
        result += ":"
        member.value.write(into: &result)
      }
      result += "}"
    }
  }

  private static func quote(_ text: String, into result: inout String) {
    result += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _ where scalar.value < 0x20 || scalar.value == 0x2028 || scalar.value == 0x2029:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    result += "\""
  }
}

/// Fixed-point numbers as people and programs read them.
enum ScaledNumber {
  /// `value` is in units of 10^−`decimals`; the text has exactly `digits` behind the point, rounded to the nearest.
  static func text(_ value: Int64, _ decimals: Int, digits: Int) -> String {
    var scaled = value
    for _ in 0..<max(0, digits - decimals) {
      let (product, overflow) = scaled.multipliedReportingOverflow(by: 10)
      scaled = overflow ? (scaled < 0 ? .min : .max) : product
    }
    var divisor: Int64 = 1
    for _ in 0..<min(18, max(0, decimals - digits)) { divisor *= 10 }
    if divisor > 1 {
      let whole = scaled / divisor
      let rest = scaled % divisor
      scaled = rest.magnitude * 2 >= divisor.magnitude ? whole + (scaled < 0 ? -1 : 1) : whole
    }
    guard digits > 0 else { return String(scaled) }
    var text = String(scaled.magnitude)
    if text.utf8.count <= digits { text = String(repeating: "0", count: digits + 1 - text.utf8.count) + text }
    return (scaled < 0 ? "-" : "") + text.dropLast(digits) + "." + text.suffix(digits)
  }
}
