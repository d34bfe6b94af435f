public import Formats
import Bus

/// Documentation of a definition, made from it: never out of date.
public struct DefinitionPage {
  private let definition: Definition
  private let variant: Sidecar.Variant?
  private let dbc: DBCFile

  /// A page of a definition, in one of its variants or in none.
  public init(_ definition: Definition, variant: Sidecar.Variant?) {
    self.definition = definition
    self.variant = variant
    dbc = definition.dbc(variant: variant)
  }

  // MARK: Text

  /// One message with its bits drawn.
  public func text(of message: DBCMessage) -> String {
    let drawing = BitDrawing(message)
    var lines = ["\(message.name)  \(idText(message))  \(message.length) bytes\(senderText(message))\(cycleText(message))"]
    if let comment = message.comment { lines.append("  " + comment) }
    lines += drawing.lines.map { "  " + $0 }
    let width = message.signals.map(\.name.utf8.count).max() ?? 0
    for (signal, letter) in zip(message.signals, drawing.letters) {
      lines.append("  \(letter)  " + signal.name.padded(to: width) + "  " + describe(signal))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Everything: what it is, variants, readings, messages.
  public var text: String {
    let sidecar = definition.sidecar
    var lines = ["\(sidecar.protocolName): \(sidecar.title)", "", sidecar.summary]
    lines.append(
      "Bus: \(sidecar.bitRates.map { "\($0 / 1000)" }.joined(separator: " or ")) kbit/s, \(sidecar.width == .standard ? "11" : "29")-bit IDs"
    )
    if !sidecar.variants.isEmpty {
      lines += ["", "Variants:"]
      let width = sidecar.variants.map(\.name.utf8.count).max() ?? 0
      lines += sidecar.variants.map {
        "  " + $0.name.padded(to: width) + "  \($0.title)" + ($0.address.map { ", address \($0)" } ?? "")
      }
    }
    for reading in sidecar.readings {
      lines += ["", "\(reading.name): \(reading.title)"]
      lines += reading.options.map { "  \($0.name): \($0.title)" }
    }
    lines += ["", "Messages:"]
    let width = dbc.messages.map(\.name.utf8.count).max() ?? 0
    lines += dbc.messages.map { "  " + idText($0).padded(to: 9) + $0.name.padded(to: width) + senderText($0) + cycleText($0) }
    return lines.joined(separator: "\n") + "\n"
  }

  private func idText(_ message: DBCMessage) -> String { FrameText.text(message.id) }
  private func side(_ message: DBCMessage) -> Side? { message.sender.flatMap { definition.sidecar.roles[$0] } }
  private func senderText(_ message: DBCMessage) -> String { side(message).map { "  from the \($0.rawValue)" } ?? "" }
  private func cycleText(_ message: DBCMessage) -> String { message.cycleTime_ms.map { ", every \($0) ms" } ?? "" }

  private func describe(_ signal: DBCSignal) -> String {
    let order =
      signal.bitLength <= 8
      ? "" : signal.byteOrder == .littleEndian ? ", least significant byte first" : ", most significant byte first"
    var parts = ["\(signal.bitLength) bit\(signal.bitLength == 1 ? "" : "s")\(signal.isSigned ? " signed" : "")\(order)"]
    if signal.factor.value != 1 || signal.offset.value != 0 {
      let offset =
        signal.offset.value == 0
        ? "" : signal.offset.value < 0 ? " − \(String(signal.offset.description.dropFirst()))" : " + \(signal.offset)"
      parts.append("raw × \(signal.factor)\(offset)\(signal.unit.isEmpty ? "" : " \(signal.unit)")")
    } else if !signal.unit.isEmpty {
      parts.append(signal.unit)
    }
    if case .selected(let selector, let ranges, _) = signal.multiplexing {
      let values = ranges.map { $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)…\($0.upperBound)" }
      parts.append("when \(selector) = \(values.joined(separator: ", "))")
    }
    if !signal.values.isEmpty { parts.append(signal.values.map { "\($0.raw) \($0.label)" }.joined(separator: ", ")) }
    if let flag = definition.sidecar.flags[signal.name] { parts.append("\(flag.severity.rawValue): \(flag.text)") }
    if definition.sidecar.textSignals.contains(signal.name) { parts.append("ASCII") }
    if let comment = signal.comment { parts.append(comment) }
    return parts.joined(separator: "; ")
  }

  // MARK: Markdown

  /// A page with a table a message.
  public var markdown: String {
    let sidecar = definition.sidecar
    var lines = [
      "# \(sidecar.title) (`\(sidecar.protocolName)`\(variant.map { ", variant `\($0.name)`" } ?? ""))", "", sidecar.summary, "",
    ]
    lines += ["| ID | message | sender | period | bytes |", "|---|---|---|---|---|"]
    for message in dbc.messages {
      lines.append(
        "| `\(idText(message))` | \(message.name) | \(side(message)?.rawValue ?? "") | \(message.cycleTime_ms.map { "\($0) ms" } ?? "") | \(message.length) |"
      )
    }
    for message in dbc.messages {
      lines += ["", "## \(message.name) `\(idText(message))`", ""]
      if let comment = message.comment { lines += [comment, ""] }
      lines += ["```"] + BitDrawing(message).lines + ["```", ""]
      guard !message.signals.isEmpty else { continue }
      lines += ["| | signal | meaning |", "|---|---|---|"]
      for (signal, letter) in zip(message.signals, BitDrawing(message).letters) {
        lines.append("| \(letter) | \(signal.name) | \(describe(signal).replacing("|", with: "\\|")) |")
      }
    }
    if !sidecar.sources.isEmpty {
      lines += ["", "## Sources", ""]
      lines += sidecar.sources.map { "- **\($0.id)** \($0.title) (\($0.confidence)) \($0.place)" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: Diagram

  /// Who sends what, as a Mermaid sequence diagram: requests of the inverter, answers and broadcasts of the battery.
  public var mermaid: String {
    var lines = ["sequenceDiagram", "  participant I as inverter", "  participant B as battery"]
    for message in dbc.messages {
      guard let side = side(message) else { continue }
      let arrow = side == .inverter ? "I->>B" : "B->>I"
      lines.append("  \(arrow): \(message.name) (\(idText(message)))\(cycleText(message))")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension String {
  /// With blanks behind it up to `width` characters.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - utf8.count)) }
}
