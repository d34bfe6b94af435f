/// Numbers with a fixed count of decimals, held as whole numbers: what the configuration table uses.
public enum FixedDecimal {
  /// `35_500` with 4 decimals is `3.55`; zeros at the end go.
  public static func text(_ value: Int32, decimals: UInt8) -> String {
    guard decimals > 0 else { return String(value) }
    var digits = String(value.magnitude)
    let width = Int(decimals)
    if digits.utf8.count <= width { digits = String(repeating: "0", count: width + 1 - digits.utf8.count) + digits }
    let whole = digits.dropLast(width)
    var fraction = digits.suffix(width)
    while fraction.last == "0" { fraction = fraction.dropLast() }
    return (value < 0 ? "-" : "") + whole + (fraction.isEmpty ? "" : "." + fraction)
  }

  /// Reads `3.55`, `-0.5`, `25`; `nil` if it is no number, has more decimals than are kept, or does not fit.
  public static func value(_ text: some StringProtocol, decimals: UInt8) -> Int32? {
    var rest = Substring(text)
    let isNegative = rest.hasPrefix("-") || rest.hasPrefix("−")
    if isNegative || rest.hasPrefix("+") { rest = rest.dropFirst() }
    let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first, !whole.isEmpty, whole.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    var fraction = parts.count > 1 ? parts[1] : ""
    guard parts.count == 1 || !fraction.isEmpty, fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    while fraction.last == "0" { fraction = fraction.dropLast() }
    guard fraction.count <= Int(decimals) else { return nil }
    let digits = String(whole) + String(fraction) + String(repeating: "0", count: Int(decimals) - fraction.count)
    guard let magnitude = Int64(digits) else { return nil }
    return Int32(exactly: isNegative ? -magnitude : magnitude)
  }
}
