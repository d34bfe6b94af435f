import Bus

/// Joins what stands apart in the text: values, comments, attributes and multiplexing to their messages and signals.
extension DBCParser {
  mutating func assemble() -> DBCFile {
    resolveMarks()
    for item in multiplexing {
      withSignal(item.message, item.signal, item.token) { signal in
        var isSelector = signal.multiplexing == .selector
        if case .selected(_, _, let also) = signal.multiplexing { isSelector = also }
        signal.multiplexing = .selected(by: item.selector, ranges: item.ranges, isSelector: isSelector)
      }
    }
    for item in values {
      let table = item.table.flatMap { name in file.valueTables.first { $0.name == name }?.values }
      if let name = item.table, table == nil {
        note(.syntax, "\"\(name)\"", "values, or the name of a VAL_TABLE_", at: item.token)
      }
      withSignal(item.message, item.signal, item.token) { $0.values = table ?? item.values }
    }
    for item in valueTypes {
      withSignal(item.message, item.signal, item.token) { signal in
        signal.encoding = item.type == "1" ? .float32 : item.type == "2" ? .float64 : .integer
      }
    }
    for item in comments { attach(comment: item.text, to: item.target, item.token) }
    for item in attributes { attach(item.name, item.value, to: item.target, item.token) }
    for index in file.messages.indices { settle(&file.messages[index]) }
    return file
  }

  /// `m3` names no selector: it is the message's only `M`. Where there are several, `SG_MUL_VAL_` must say.
  private mutating func resolveMarks() {
    for message in file.messages.indices {
      let selector = file.messages[message].signals.first { $0.multiplexing == .selector }?.name ?? ""
      for signal in file.messages[message].signals.indices {
        guard case .selected(_, let ranges, let also) = file.messages[message].signals[signal].multiplexing else { continue }
        file.messages[message].signals[signal].multiplexing = .selected(by: selector, ranges: ranges, isSelector: also)
      }
    }
  }

  private mutating func messageIndex(_ id: UInt32, _ token: Token) -> Int? {
    if let index = file.messages.firstIndex(where: { $0.id == ArbitrationID(rawValue: id) }) { return index }
    note(.unknownMessage, "message \(id)", "a message that BO_ defines", at: token, .warning)
    return nil
  }

  private mutating func withSignal(_ message: UInt32, _ name: String, _ token: Token, _ body: (inout DBCSignal) -> Void) {
    guard let index = messageIndex(message, token) else { return }
    guard let signal = file.messages[index].signals.firstIndex(where: { $0.name == name }) else {
      return note(.unknownSignal, "\"\(name)\"", "a signal of \(file.messages[index].name)", at: token, .warning)
    }
    body(&file.messages[index].signals[signal])
  }

  private mutating func attach(comment text: String, to target: Target, _ token: Token) {
    switch target {
    case .network: file.comment = text
    case .node(let node): file.nodeComments[node] = text
    case .message(let id): if let index = messageIndex(id, token) { file.messages[index].comment = text }
    case .signal(let id, let name): withSignal(id, name, token) { $0.comment = text }
    case .environment(let name): file.unknownSections.append("CM_ EV_ \(name) \(DBCWriter.quoted(text)) ;")
    }
  }

  private mutating func attach(_ name: String, _ value: DBCAttributeValue, to target: Target, _ token: Token) {
    if !file.attributeDefinitions.contains(where: { $0.name == name }) {
      note(.attribute, "\"\(name)\"", "an attribute that BA_DEF_ defines", at: token, .warning)
    }
    switch target {
    case .network: file.attributes[name] = value
    case .node(let node): file.nodeAttributes[node, default: [:]][name] = value
    case .message(let id): if let index = messageIndex(id, token) { file.messages[index].attributes[name] = value }
    case .signal(let id, let signal): withSignal(id, signal, token) { $0.attributes[name] = value }
    case .environment(let variable):
      file.unknownSections.append("BA_ \(DBCWriter.quoted(name)) EV_ \(variable) \(DBCWriter.text(value));")
    }
  }

  /// What attributes say of a message: period, frame format, long names.
  private func settle(_ message: inout DBCMessage) {
    if let number = number("GenMsgCycleTime", of: message.attributes), number > 0, number < 1e9 {
      message.cycleTime_ms = Int(number)
    }
    if let format = text("VFrameFormat", of: message.attributes) { message.isFD = format.contains("FD") }
    if message.length > 8, !file.attributeDefinitions.contains(where: { $0.name == "VFrameFormat" }) { message.isFD = true }
    if let long = ownText("SystemMessageLongSymbol", message.attributes), !long.isEmpty { message.name = long }
    var longNames: [String: String] = [:]
    for index in message.signals.indices {
      guard let long = ownText("SystemSignalLongSymbol", message.signals[index].attributes), !long.isEmpty else { continue }
      longNames[message.signals[index].name] = long
      message.signals[index].name = long
    }
    for index in message.signals.indices {
      guard case .selected(let selector, let ranges, let also) = message.signals[index].multiplexing, let long = longNames[selector]
      else {
        continue
      }
      message.signals[index].multiplexing = .selected(by: long, ranges: ranges, isSelector: also)
    }
  }

  private func ownText(_ name: String, _ attributes: [String: DBCAttributeValue]) -> String? {
    if case .text(let text)? = attributes[name] { return text }
    return nil
  }

  private func number(_ name: String, of attributes: [String: DBCAttributeValue]) -> Double? {
    guard case .number(let number)? = attributes[name] ?? file.attributeDefinitions.first(where: { $0.name == name })?.defaultValue
    else {
      return nil
    }
    return number.value
  }

  /// The text of an enumeration, given by index or by name, own or by default.
  private func text(_ name: String, of attributes: [String: DBCAttributeValue]) -> String? {
    guard let definition = file.attributeDefinitions.first(where: { $0.name == name }),
      let value = attributes[name] ?? definition.defaultValue
    else { return nil }
    switch value {
    case .text(let text): return text
    case .number(let number):
      guard case .enumeration(let names) = definition.kind, let index = Int(exactly: number.value), names.indices.contains(index)
      else {
        return nil
      }
      return names[index]
    }
  }
}
