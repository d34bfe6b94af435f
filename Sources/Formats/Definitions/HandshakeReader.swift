public import Bus
import Protocols

/// Reads a sidecar's `handshake`, and `say` of a variant. Schema: Dissectors/README.md.
struct HandshakeReader {
  var problems: [DefinitionProblem] = []

  mutating func read(_ node: YAMLNode) -> Handshake {
    var handshake = Handshake()
    for (key, value) in node.pairs("handshake", &problems) {
      switch key {
      case "battery": handshake.battery = role(value, key)
      case "inverter": handshake.inverter = role(value, key)
      case "quirks":
        for (name, quirk) in value.pairs(key, &problems) {
          let text = quirk.text(name, &problems)
          handshake.quirks[name] = text == "true" ? 1 : text == "false" ? 0 : quirk.number("quirks.\(name)", &problems)?.value ?? 0
        }
      default: unknown(key, value, ["battery", "inverter", "quirks"])
      }
    }
    return handshake
  }

  private mutating func unknown(_ key: String, _ value: YAMLNode, _ known: [String]) {
    problems.append(value.problem(.unknownKey, "unknown key \"\(key)\"" + NearestName.hint(key, in: known)))
  }

  private mutating func role(_ node: YAMLNode, _ side: String) -> Handshake.Role {
    var role = Handshake.Role()
    role.line = node.line
    for (key, value) in node.pairs("handshake.\(side)", &problems) {
      switch key {
      case "say": role.say = say(value)
      case "needs":
        role.needs = value.text(key, &problems)
        checkQuantity(role.needs ?? "", value)
      case "bytes":
        for (message, bytes) in value.pairs(key, &problems) { role.bytes[message] = hex(bytes, message) }
      case "answers": for item in value.items(key, &problems) { role.answers.append(answer(item)) }
      case "states": for (name, state) in value.pairs(key, &problems) { role.states.append(self.state(name, state)) }
      default: unknown(key, value, ["say", "needs", "bytes", "answers", "states"])
      }
    }
    return role
  }

  /// `063710D9` or `06 37 10 D9`; the rest of the payload is 0.
  private mutating func hex(_ node: YAMLNode, _ message: String) -> [UInt8] {
    let digits = node.text("bytes.\(message)", &problems).filter { $0 != " " }
    var bytes: [UInt8] = []
    var rest = digits[...]
    while rest.count >= 2, let byte = UInt8(rest.prefix(2), radix: 16) {
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    if !rest.isEmpty || bytes.count > 8 {
      problems.append(
        node.problem(.value, "bytes.\(message): found \(node.found), expected up to eight bytes in hexadecimal, in quotes"))
    }
    return Array(bytes.prefix(8))
  }

  /// `say` of a role or a variant.
  mutating func say(_ node: YAMLNode) -> [(signal: String, source: Handshake.Say)] {
    var list: [(signal: String, source: Handshake.Say)] = []
    for (signal, value) in node.pairs("say", &problems) { list.append((signal, source(signal, value))) }
    return list
  }

  private mutating func source(_ signal: String, _ value: YAMLNode) -> Handshake.Say {
    guard value.isMapping else {
      let text = value.text("say.\(signal)", &problems)
      if value.isQuoted { return .text(text) }
      if let number = DBCNumber(text) { return .number(number.value) }
      if text.hasPrefix("0x"), let number = Int64(text.dropFirst(2), radix: 16) { return .number(Double(number)) }
      if text == "counter" { return .counter }
      if text == "address" { return .address }
      checkQuantity(text, value)
      return .quantity(text)
    }
    var choices: [(quantity: String, raw: Int64)] = []
    var otherwise: Int64 = 0
    for (name, raw) in value.pairs("say.\(signal)", &problems) {
      let number = Int64(raw.integer("say.\(signal).\(name)", &problems) ?? 0)
      if name == "otherwise" {
        otherwise = number
      } else {
        checkQuantity(name, raw)
        choices.append((name, number))
      }
    }
    return .choice(choices, otherwise: otherwise)
  }

  private mutating func checkQuantity(_ name: String, _ node: YAMLNode) {
    guard Quantity(name: name) == nil else { return }
    let hint = NearestName.hint(name, in: Quantity.allCases.map(\.name))
    problems.append(node.problem(.unknownSignal, "\"\(name)\" is no quantity" + hint))
  }

  private mutating func answer(_ node: YAMLNode) -> Handshake.Answer {
    var answer = Handshake.Answer()
    answer.line = node.line
    for (key, value) in node.pairs("answers", &problems) {
      switch key {
      case "to": answer.to = value.text(key, &problems)
      case "when": answer.when = conditions(value)
      case "with": answer.with = emissions(value)
      case "optional": answer.optional = emissions(value)
      case "copy": for (to, from) in value.pairs(key, &problems) { answer.copy.append((to, from.text(key, &problems))) }
      case "after": answer.after = time(key, value)
      case "spacing": answer.spacing = time(key, value)
      case "within": answer.within = time(key, value)
      case "display": answer.isOptional = value.text(key, &problems) == "true"
      default: unknown(key, value, ["to", "when", "with", "optional", "copy", "after", "spacing", "within", "display"])
      }
    }
    return answer
  }

  /// Milliseconds, 0 … a day.
  private mutating func time(_ key: String, _ node: YAMLNode) -> Double {
    guard let value = node.number(key, &problems)?.value else { return 0 }
    guard value >= 0, value <= 86_400_000 else {
      problems.append(node.problem(.value, "\(key): found \(node.found), expected milliseconds, 0…86400000"))
      return 0
    }
    return value
  }

  /// Raw values by signal; `address` is the battery's own.
  private mutating func conditions(_ node: YAMLNode) -> [(signal: String, values: [Int64?])] {
    var list: [(signal: String, values: [Int64?])] = []
    for (signal, values) in node.pairs("when", &problems) {
      var wanted: [Int64?] = []
      for item in values.items("when.\(signal)", &problems) {
        if item.text("when.\(signal)", &problems) == "address" {
          wanted.append(.none)
        } else if let number = item.integer("when.\(signal)", &problems) {
          wanted.append(Int64(number))
        }
      }
      list.append((signal, wanted))
    }
    return list
  }

  /// Names of messages, or `{ message: Name, set: { Signal: raw } }`.
  private mutating func emissions(_ node: YAMLNode) -> [Handshake.Emission] {
    var list: [Handshake.Emission] = []
    for item in node.items("messages", &problems) {
      guard item.isMapping else {
        list.append(Handshake.Emission(message: item.text("messages", &problems)))
        continue
      }
      var emission = Handshake.Emission(message: "")
      for (key, value) in item.pairs("messages", &problems) {
        switch key {
        case "message": emission.message = value.text(key, &problems)
        case "set": emission.set = raws(value)
        default: unknown(key, value, ["message", "set"])
        }
      }
      list.append(emission)
    }
    return list
  }

  private mutating func raws(_ node: YAMLNode) -> [(signal: String, raw: Int64)] {
    var list: [(signal: String, raw: Int64)] = []
    for (signal, raw) in node.pairs("set", &problems) {
      list.append((signal, Int64(raw.integer("set.\(signal)", &problems) ?? 0)))
    }
    return list
  }

  private mutating func state(_ name: String, _ node: YAMLNode) -> Handshake.State {
    var state = Handshake.State(name: name, title: name, line: node.line)
    for (key, value) in node.pairs("states.\(name)", &problems) {
      switch key {
      case "title": state.title = value.text(key, &problems)
      case "phase":
        let word = value.text(key, &problems)
        if let phase = LinkPhase(word: word) {
          state.phase = phase
        } else {
          let words = LinkPhase.allCases.map(\.word).joined(separator: ", ")
          problems.append(value.problem(.value, "phase: found \(value.found), expected \(words)"))
        }
      case "send": for item in value.items(key, &problems) { state.send.append(send(item)) }
      case "next": for item in value.items(key, &problems) { if let way = transition(item) { state.next.append(way) } }
      default: unknown(key, value, ["title", "phase", "send", "next"])
      }
    }
    return state
  }

  private mutating func send(_ node: YAMLNode) -> Handshake.Send {
    var send = Handshake.Send()
    send.line = node.line
    var set: [(signal: String, raw: Int64)] = []
    for (key, value) in node.pairs("send", &problems) {
      switch key {
      case "messages": send.messages = emissions(value)
      case "set": set = raws(value)
      case "every": send.every = time(key, value)
      case "spacing": send.spacing = time(key, value)
      case "offset": send.offset = time(key, value)
      case "onChange": send.onChange = time(key, value)
      case "optional": send.isOptional = value.text(key, &problems) == "true"
      default: unknown(key, value, ["messages", "set", "every", "spacing", "offset", "onChange", "optional"])
      }
    }
    for index in send.messages.indices where send.messages[index].set.isEmpty { send.messages[index].set = set }
    return send
  }

  private mutating func transition(_ node: YAMLNode) -> Handshake.Transition? {
    var heard: [String]?
    var complete: [String]?
    var silence: Double?
    var of: [String] = []
    var when: [(signal: String, values: [Int64?])] = []
    var within = 3000.0
    var quantity: (String, Bool)?
    var to = ""
    for (key, value) in node.pairs("next", &problems) {
      switch key {
      case "on": heard = value.texts(key, &problems)
      case "when": when = conditions(value)
      case "complete": complete = value.texts(key, &problems)
      case "within": within = time(key, value)
      case "silence": silence = time(key, value)
      case "of": of = value.texts(key, &problems)
      case "is", "not":
        let name = value.text(key, &problems)
        checkQuantity(name, value)
        quantity = (name, key == "is")
      case "to": to = value.text(key, &problems)
      default: unknown(key, value, ["on", "when", "complete", "within", "silence", "of", "is", "not", "to"])
      }
    }
    if let heard { return .init(trigger: .heard(heard, when: when), to: to, line: node.line) }
    if let complete { return .init(trigger: .complete(complete, within: within), to: to, line: node.line) }
    if let silence { return .init(trigger: .silence(of, time: silence), to: to, line: node.line) }
    if let quantity { return .init(trigger: .quantity(quantity.0, is: quantity.1), to: to, line: node.line) }
    problems.append(node.problem(.missing, "next: expected on, complete, silence, is or not"))
    return nil
  }
}

extension Quantity {
  /// As a sidecar writes it: `packVoltage`.
  public var name: String { Quantity.names[Int(rawValue)] }

  /// By raw value: asking the runtime for the name of a case takes it microseconds, and definitions hold hundreds.
  private static let names: [String] = {
    var names = [String](repeating: "", count: Int(allCases.map(\.rawValue).max() ?? 0) + 1)
    for quantity in allCases { names[Int(quantity.rawValue)] = String(describing: quantity) }
    return names
  }()
  private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) })

  /// The quantity of that name.
  public init?(name: String) {
    guard let found = Quantity.byName[name] else { return nil }
    self = found
  }

  /// The unit of a whole, for people; empty for counts and yes-or-no.
  public var unit: String {
    switch self {
    case .packVoltage, .chargeVoltageLimit, .dischargeVoltageLimit, .cellVoltageMax, .cellVoltageMin, .moduleVoltageMax,
      .moduleVoltageMin, .nominalVoltage, .inverterVoltage:
      "V"
    case .packCurrent, .chargeCurrentLimit, .dischargeCurrentLimit, .inverterCurrent: "A"
    case .packTemperature, .cellTemperatureMax, .cellTemperatureMin, .moduleTemperatureMax, .moduleTemperatureMin,
      .inverterTemperature:
      "°C"
    case .soc, .soh: "%"
    case .capacity, .remainingCapacity: "Ah"
    case .energyCapacity: "kWh"
    case .inverterTime: "s"
    default: ""
    }
  }

  /// Whether its size counts and not its sign.
  public var isMagnitude: Bool { self == .chargeCurrentLimit || self == .dischargeCurrentLimit }
}
