public import Formats
public import Protocols

/// Values as people read them. Not for the per-frame path of plain numbers, which renderers do themselves.
public enum ValueText {
  /// A signal's value without its unit: its label, its ASCII text, or its number.
  public static func text(of raw: Int64, _ dissection: DissectionPlan, _ signal: Int) -> String {
    let info = dissection.signals[signal]
    let plan = dissection.plan.signals[signal]
    if info.isText { return quotedASCII(raw, plan) }
    let number = number(of: raw, plan)
    guard let label = info.labels[raw] else { return number }
    return label
  }

  /// A signal's value as a decimal number: exact where the definition is.
  public static func number(of raw: Int64, _ plan: SignalPlan) -> String {
    if plan.isExact { return decimal(raw &* plan.numerator &+ plan.addend, decimals: Int(plan.decimals)) }
    let isInteger = plan.encoding.rawValue < 2 && plan.factor == 1 && plan.offset == 0
    if isInteger { return plan.encoding == .unsigned ? String(UInt64(bitPattern: raw)) : String(raw) }
    return binary(plan.physical(raw))
  }

  /// `mantissa × 10^−decimals` with exactly that many decimals.
  public static func decimal(_ mantissa: Int64, decimals: Int) -> String {
    var digits = String(mantissa.magnitude)
    if decimals > 0 {
      if digits.utf8.count <= decimals { digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits }
      digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -decimals))
    }
    return mantissa < 0 ? "-" + digits : digits
  }

  /// A binary number in the fewest digits that give it back; a JSON number unless it is not finite.
  public static func binary(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let text = "\(value)"
    return text.hasSuffix(".0") && abs(value) < 1e15 ? String(text.dropLast(2)) : text
  }

  /// The payload bytes of an ASCII signal up to the first zero, without trailing blanks.
  public static func ascii(_ raw: Int64, _ plan: SignalPlan) -> String {
    let count = Int(plan.width) / 8
    let bits = UInt64(bitPattern: raw) & plan.mask
    var bytes = (0..<count).map { UInt8(truncatingIfNeeded: bits &>> UInt64($0 * 8)) }
    if plan.isBigEndian { bytes.reverse() }
    bytes = Array(bytes.prefix { $0 != 0 })
    while let last = bytes.last, last == 0x20 { bytes.removeLast() }
    return bytes.map { $0 >= 0x20 && $0 < 0x7F ? String(UnicodeScalar($0)) : "\\x" + hexByte($0) }.joined()
  }

  private static func quotedASCII(_ raw: Int64, _ plan: SignalPlan) -> String { "\"" + ascii(raw, plan) + "\"" }

  /// Two digits, upper case.
  public static func hexByte(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "0" + text : text
  }
}
