import Bus

/// Writes a DBC. Reading the text back gives an equal model; sections the tool has no use for stand in it as they were.
public struct DBCWriter {
  /// The text with LF line ends.
  public static func text(_ file: DBCFile) -> String {
    var writer = DBCWriter(file)
    writer.run()
    return writer.lines.joined(separator: "\n") + "\n"
  }

  /// The bytes in the file's own encoding and line ends; UTF-8 where CP1252 lacks a character.
  public static func bytes(_ file: DBCFile) -> [UInt8] {
    let text =
      file.usesCRLF ? text(file).split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") : text(file)
    return file.isUTF8 ? Array(text.utf8) : CP1252.fromText(text) ?? Array(text.utf8)
  }

  private let file: DBCFile
  private var lines: [String] = []
  /// Short names of messages and signals whose own are longer than DBC allows.
  private var shortMessages: [Int: String] = [:]
  private var shortSignals: [Int: [String: String]] = [:]

  private init(_ file: DBCFile) { self.file = file }

  static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  static func text(_ value: DBCAttributeValue) -> String {
    switch value {
    case .number(let number): number.description
    case .text(let text): quoted(text)
    }
  }

  private mutating func run() {
    shortenNames()
    lines.append("VERSION \(DBCWriter.quoted(file.version))")
    lines.append("")
    let front = file.unknownSections.filter { $0.hasPrefix("NS_") || $0.hasPrefix("BS_") }
    if !front.contains(where: { $0.hasPrefix("NS_") }) { lines += ["NS_ :", ""] }
    if !front.contains(where: { $0.hasPrefix("BS_") }) { lines += ["BS_:", ""] }
    for section in front { lines += [section, ""] }
    lines.append(file.nodes.isEmpty ? "BU_:" : "BU_: " + file.nodes.joined(separator: " "))
    for table in file.valueTables { lines.append("VAL_TABLE_ \(table.name) \(values(table.values));") }
    lines.append("")
    for index in file.messages.indices { message(index) }
    for section in file.unknownSections where !front.contains(section) { lines.append(section) }
    comments()
    definitions()
    attributes()
    for index in file.messages.indices { tails(index) }
  }

  private mutating func shortenNames() {
    for index in file.messages.indices {
      let message = file.messages[index]
      if message.name.utf8.count > 32 { shortMessages[index] = String(message.name.prefix(26)) + "_\(index)" }
      for (place, signal) in message.signals.enumerated() where signal.name.utf8.count > 32 {
        shortSignals[index, default: [:]][signal.name] = String(signal.name.prefix(26)) + "_\(place)"
      }
    }
  }

  private func name(_ index: Int) -> String { shortMessages[index] ?? file.messages[index].name }
  private func name(_ signal: String, _ index: Int) -> String { shortSignals[index]?[signal] ?? signal }
  private func id(_ index: Int) -> UInt32 {
    // The orphan bin's number has bit 30, which no arbitration ID has.
    file.messages[index].isOrphanBin ? 0xC000_0000 : file.messages[index].id.rawValue
  }

  private func values(_ values: [DBCValue]) -> String { values.map { "\($0.raw) \(DBCWriter.quoted($0.label)) " }.joined() }

  private mutating func message(_ index: Int) {
    let message = file.messages[index]
    lines.append("BO_ \(id(index)) \(name(index)): \(message.length) \(message.sender ?? "Vector__XXX")")
    for signal in message.signals {
      let order = signal.byteOrder == .littleEndian ? 1 : 0
      let receivers = signal.receivers.isEmpty ? "Vector__XXX" : signal.receivers.joined(separator: ",")
      lines.append(
        " SG_ \(name(signal.name, index))\(mark(signal)) : \(signal.startBit)|\(signal.bitLength)@\(order)\(signal.isSigned ? "-" : "+")"
          + " (\(signal.factor),\(signal.offset)) [\(signal.minimum)|\(signal.maximum)] \(DBCWriter.quoted(signal.unit)) \(receivers)"
      )
    }
    lines.append("")
  }

  private func mark(_ signal: DBCSignal) -> String {
    switch signal.multiplexing {
    case .always: ""
    case .selector: " M"
    case .selected(_, let ranges, let also): " m\(ranges.first?.lowerBound ?? 0)\(also ? "M" : "")"
    }
  }

  private mutating func comments() {
    if let comment = file.comment { lines.append("CM_ \(DBCWriter.quoted(comment));") }
    for (node, comment) in file.nodeComments.sorted(by: { $0.key < $1.key }) {
      lines.append("CM_ BU_ \(node) \(DBCWriter.quoted(comment));")
    }
    for (index, message) in file.messages.enumerated() {
      if let comment = message.comment { lines.append("CM_ BO_ \(id(index)) \(DBCWriter.quoted(comment));") }
      for signal in message.signals {
        if let comment = signal.comment {
          lines.append("CM_ SG_ \(id(index)) \(name(signal.name, index)) \(DBCWriter.quoted(comment));")
        }
      }
    }
  }

  private mutating func definitions() {
    var definitions = file.attributeDefinitions
    if !shortMessages.isEmpty, !definitions.contains(where: { $0.name == "SystemMessageLongSymbol" }) {
      definitions.append(.init(name: "SystemMessageLongSymbol", scope: .message, kind: .string, defaultValue: .text("")))
    }
    if !shortSignals.isEmpty, !definitions.contains(where: { $0.name == "SystemSignalLongSymbol" }) {
      definitions.append(.init(name: "SystemSignalLongSymbol", scope: .signal, kind: .string, defaultValue: .text("")))
    }
    for definition in definitions {
      let scope = definition.scope == .network ? "" : definition.scope.rawValue + " "
      lines.append("BA_DEF_ \(scope)\(DBCWriter.quoted(definition.name)) \(kind(definition.kind));")
    }
    for definition in definitions {
      if let value = definition.defaultValue {
        lines.append("BA_DEF_DEF_ \(DBCWriter.quoted(definition.name)) \(DBCWriter.text(value));")
      }
    }
  }

  private func kind(_ kind: DBCAttributeDefinition.Kind) -> String {
    switch kind {
    case .integer(let range): "INT \(range?.lowerBound ?? 0) \(range?.upperBound ?? 0)"
    case .hex(let range): "HEX \(range?.lowerBound ?? 0) \(range?.upperBound ?? 0)"
    case .float(let range): "FLOAT \(range?.lowerBound ?? 0) \(range?.upperBound ?? 0)"
    case .string: "STRING"
    case .enumeration(let names): "ENUM " + names.map(DBCWriter.quoted).joined(separator: ",")
    }
  }

  private mutating func attributes() {
    attributes(file.attributes, of: "")
    for (node, own) in file.nodeAttributes.sorted(by: { $0.key < $1.key }) { attributes(own, of: "BU_ \(node) ") }
    for (index, message) in file.messages.enumerated() {
      var own = message.attributes
      if shortMessages[index] != nil { own["SystemMessageLongSymbol"] = .text(message.name) }
      attributes(own, of: "BO_ \(id(index)) ")
      for signal in message.signals {
        var own = signal.attributes
        if shortSignals[index]?[signal.name] != nil { own["SystemSignalLongSymbol"] = .text(signal.name) }
        attributes(own, of: "SG_ \(id(index)) \(name(signal.name, index)) ")
      }
    }
  }

  private mutating func attributes(_ attributes: [String: DBCAttributeValue], of owner: String) {
    for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
      lines.append("BA_ \(DBCWriter.quoted(name)) \(owner)\(DBCWriter.text(value));")
    }
  }

  private mutating func tails(_ index: Int) {
    let message = file.messages[index]
    for signal in message.signals {
      let short = name(signal.name, index)
      if !signal.values.isEmpty { lines.append("VAL_ \(id(index)) \(short) \(values(signal.values));") }
      if signal.encoding != .integer {
        lines.append("SIG_VALTYPE_ \(id(index)) \(short) : \(signal.encoding == .float32 ? 1 : 2);")
      }
      if case .selected(let selector, let ranges, _) = signal.multiplexing, needsRanges(message, ranges) {
        let list = ranges.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
        lines.append("SG_MUL_VAL_ \(id(index)) \(short) \(name(selector, index)) \(list);")
      }
    }
  }

  /// `m3` says it all where the message has one plain selector and the signal one value.
  private func needsRanges(_ message: DBCMessage, _ ranges: [ClosedRange<UInt64>]) -> Bool {
    let selectors = message.signals.filter { signal in
      if case .selected(_, _, true) = signal.multiplexing { return true }
      return signal.multiplexing == .selector
    }
    return selectors.count > 1 || ranges.count != 1 || ranges.first.map { $0.lowerBound != $0.upperBound } ?? true
  }
}
