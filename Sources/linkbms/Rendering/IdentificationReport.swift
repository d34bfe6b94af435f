import Analysis
import Formats

/// What `identify` prints.
enum IdentificationReport {
  /// Sentences.
  static func text(_ verdict: BusIdentification, _ style: TextStyle) -> String {
    var lines = [style.strong("\(verdict.bus): ") + headline(verdict, style)]
    for sentence in verdict.evidence { lines.append("  because  \(sentence)") }
    for other in verdict.others { lines.append("  " + style.warning("also on this bus: ") + headline(other, style)) }
    for other in verdict.alternatives { lines.append("  instead  \(name(other))") }
    for doubt in verdict.doubts { lines.append("  " + style.warning("doubt    \(doubt)")) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func headline(_ verdict: BusIdentification, _ style: TextStyle) -> String {
    guard let name = verdict.protocolName else { return style.warning("unknown") }
    var text = style.good(name)
    if let variant = verdict.variant { text += ", variant \(variant)" }
    if let address = verdict.address { text += ", address \(address)" }
    text += verdict.sides.isEmpty ? "" : ", \(verdict.sides.map(\.rawValue).joined(separator: " and ")) present"
    return text + ", \(percent(verdict.confidence)) sure"
  }

  private static func name(_ other: BusIdentification.Alternative) -> String {
    other.protocolName + (other.variant.map { " (\($0))" } ?? "") + ", \(percent(other.confidence))"
  }

  private static func percent(_ value: Double) -> String { "\(Int((value * 100).rounded())) %" }

  /// One object on one line.
  static func json(_ verdict: BusIdentification) -> String {
    let readings = verdict.readings.sorted { $0.key < $1.key }.map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }
    return "{\"bus\":\(JSONText.quoted(verdict.bus)),\"protocol\":\(JSONText.quotedOrNull(verdict.protocolName))"
      + ",\"variant\":\(JSONText.quotedOrNull(verdict.variant)),\"address\":\(verdict.address.map { "\($0)" } ?? "null")"
      + ",\"sides\":[\(verdict.sides.map { JSONText.quoted($0.rawValue) }.joined(separator: ","))]"
      + ",\"confidence\":\(number(verdict.confidence)),\"evidence\":\(list(verdict.evidence))"
      + ",\"alternatives\":[\(verdict.alternatives.map(json).joined(separator: ","))],\"doubts\":\(list(verdict.doubts))"
      + ",\"readings\":{\(readings.joined(separator: ","))},\"also\":[\(verdict.others.map(brief).joined(separator: ","))]}\n"
  }

  private static func brief(_ other: BusIdentification) -> String {
    json(.init(protocolName: other.protocolName ?? "", variant: other.variant, confidence: other.confidence))
  }

  private static func json(_ other: BusIdentification.Alternative) -> String {
    "{\"protocol\":\(JSONText.quoted(other.protocolName)),\"variant\":\(JSONText.quotedOrNull(other.variant)),\"confidence\":\(number(other.confidence))}"
  }

  private static func list(_ texts: [String]) -> String { "[" + texts.map(JSONText.quoted).joined(separator: ",") + "]" }

  private static func number(_ value: Double) -> String { ValueText.decimal(Int64((value * 100).rounded()), decimals: 2) }
}
