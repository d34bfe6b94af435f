import Bus
public import Protocols

/// Turns a definition's handshake into flat tables for one variant. Names that mean nothing become problems.
public struct HandshakeCompiler {
  /// What was wrong, with its line in the sidecar.
  public private(set) var problems: [DefinitionProblem] = []
  private let definition: Definition
  private let dissection: DissectionPlan
  private let variant: Sidecar.Variant?

  /// A variant's handshake.
  public static func compile(_ definition: Definition, variant: Sidecar.Variant?, readings: [String: String] = [:]) -> CompiledLink
  {
    var compiler = HandshakeCompiler(definition, variant, readings)
    return compiler.link()
  }

  private init(_ definition: Definition, _ variant: Sidecar.Variant?, _ readings: [String: String]) {
    self.definition = definition
    self.variant = variant
    dissection = definition.plan(variant: variant, readings: readings)
  }

  private mutating func link() -> CompiledLink {
    var plan = HandshakePlan()
    let source = definition.sidecar.handshake
    plan.battery = source.battery.map { role($0, say: variant?.say ?? []) }
    plan.inverter = source.inverter.map { role($0, say: []) }
    for (name, signalName) in definition.sidecar.quantities.sorted(by: { $0.key < $1.key }) {
      guard let quantity = Quantity(name: name) else { continue }
      for (message, signal) in places(of: signalName) {
        plan.bindings.append(
          QuantityBinding(
            message: Int32(message), signal: Int32(signal), quantity: quantity, scale: scale(signal),
            isMagnitude: quantity.isMagnitude))
      }
    }
    let address = variant?.address ?? definition.sidecar.address?.defaultAddress ?? 0
    return CompiledLink(
      definition: definition, variant: variant?.name, dissection: dissection, handshake: plan, address: UInt8(clamping: address),
      problems: problems)
  }

  private mutating func complain(_ text: String, line: Int) {
    problems.append(DefinitionProblem(.unknownSignal, definition.sidecar.path, line: line, text))
  }

  // MARK: Names

  private func message(_ name: String) -> Int? { dissection.messages.firstIndex { $0.name == name } }

  /// Signals of a message.
  private func signals(of message: Int) -> Range<Int> {
    let plan = dissection.plan.messages[message]
    return Int(plan.firstSignal)..<Int(plan.firstSignal + plan.signalCount)
  }

  private func places(of signal: String) -> [(message: Int, signal: Int)] {
    dissection.messages.indices.flatMap { message in
      signals(of: message).filter { dissection.signals[$0].name == signal }.map { (message, $0) }
    }
  }

  private func place(of signal: String, in message: Int) -> Int? {
    signals(of: message).first { dissection.signals[$0].name == signal }
  }

  /// Thousandths of the quantity in one unit of the signal.
  private func scale(_ signal: Int) -> Int64 { dissection.signals[signal].unit.hasPrefix("m") ? 1 : 1000 }

  // MARK: Roles

  private mutating func role(_ source: Handshake.Role, say more: [(signal: String, source: Handshake.Say)]) -> RolePlan {
    var role = RolePlan()
    role.needs = source.needs.flatMap { Quantity(name: $0) }
    let say = source.say + more
    for (signal, _) in say where places(of: signal).isEmpty && !isOmitted(signal) {
      complain("say: no message has a signal \(signal)", line: source.line)
    }
    for answer in source.answers {
      // A variant without the request has no answer to it.
      guard let request = message(answer.to) else {
        if definition.dbc.messages.contains(where: { $0.name == answer.to }) { continue }
        complain("answers: no message \(answer.to)", line: answer.line)
        continue
      }
      let first = role.emissions.count
      add(answer.with, source, say, copy: (request, answer.copy), line: answer.line, to: &role)
      let required = role.emissions.count
      add(answer.optional, source, say, copy: (request, answer.copy), line: answer.line, to: &role)
      guard role.emissions.count > first else { continue }
      role.answers.append(
        AnswerPlan(
          request: Int32(request), conditions: conditions(answer.when, in: [request], line: answer.line, to: &role),
          emissions: first..<role.emissions.count,
          optionalCount: answer.isOptional ? role.emissions.count - first : role.emissions.count - required,
          after_us: micro(answer.after), spacing_us: micro(answer.spacing), within_us: micro(answer.within)))
    }
    for state in source.states { add(state, source, say, to: &role) }
    return role
  }

  private func micro(_ milliseconds: Double) -> Int64 { Int64((milliseconds * 1000).rounded()) }

  /// A signal of the definition that this variant lacks.
  private func isOmitted(_ signal: String) -> Bool {
    definition.dbc.messages.contains { $0.signals.contains { $0.name == signal } }
  }

  private mutating func add(
    _ state: Handshake.State, _ source: Handshake.Role, _ say: [(signal: String, source: Handshake.Say)], to role: inout RolePlan
  ) {
    let firstSend = role.sends.count
    for send in state.send {
      let first = role.emissions.count
      add(send.messages, source, say, copy: nil, line: send.line, to: &role)
      guard role.emissions.count > first else { continue }
      role.sends.append(
        SendPlan(
          emissions: first..<role.emissions.count, every_us: micro(send.every), spacing_us: micro(send.spacing),
          offset_us: micro(send.offset), onChange_us: micro(send.onChange)))
    }
    let firstTransition = role.transitions.count
    for way in state.next {
      guard let target = source.states.firstIndex(where: { $0.name == way.to }) else {
        let hint = NearestName.hint(way.to, in: source.states.map(\.name))
        complain("next: no state \(way.to)\(hint)", line: way.line)
        continue
      }
      role.transitions.append(TransitionPlan(trigger: trigger(way, to: &role), target: target))
    }
    role.states.append(
      StatePlan(phase: state.phase, sends: firstSend..<role.sends.count, transitions: firstTransition..<role.transitions.count))
  }

  private mutating func trigger(_ way: Handshake.Transition, to role: inout RolePlan) -> TransitionPlan.Trigger {
    switch way.trigger {
    case .heard(let names, let when):
      let messages = list(names, line: way.line, to: &role)
      let indices = role.messages[messages].map(Int.init)
      return .heard(messages: messages, conditions: conditions(when, in: indices, line: way.line, to: &role))
    case .complete(let names, let within):
      return .complete(messages: list(names, line: way.line, to: &role), within_us: micro(within))
    case .silence(let names, let time): return .silence(messages: list(names, line: way.line, to: &role), for_us: micro(time))
    case .quantity(let name, let isTrue): return .quantity(Quantity(name: name) ?? .live, is: isTrue)
    }
  }

  private mutating func list(_ names: [String], line: Int, to role: inout RolePlan) -> Range<Int> {
    let first = role.messages.count
    for name in names {
      if let message = message(name) {
        role.messages.append(Int32(message))
      } else if !definition.dbc.messages.contains(where: { $0.name == name }) {
        complain("no message \(name)", line: line)
      }
    }
    return first..<role.messages.count
  }

  private mutating func conditions(
    _ when: [(signal: String, values: [Int64?])], in messages: [Int], line: Int, to role: inout RolePlan
  ) -> Range<Int> {
    let first = role.conditions.count
    for (name, values) in when {
      var found: Int?
      for message in messages where found == nil { found = place(of: name, in: message) }
      guard let signal = found else {
        complain("when: no signal \(name) in these messages", line: line)
        continue
      }
      for (index, value) in values.enumerated() {
        role.conditions.append(
          ConditionPlan(signal: Int32(signal), raw: value ?? 0, isAddress: value == nil, isAlternative: index > 0))
      }
    }
    return first..<role.conditions.count
  }

  // MARK: Frames

  private mutating func add(
    _ emissions: [Handshake.Emission], _ source: Handshake.Role, _ say: [(signal: String, source: Handshake.Say)],
    copy: (request: Int, pairs: [(to: String, from: String)])?, line: Int, to role: inout RolePlan
  ) {
    for emission in emissions {
      guard let message = message(emission.message) else {
        if !definition.dbc.messages.contains(where: { $0.name == emission.message }) {
          complain("no message \(emission.message)", line: line)
        }
        continue
      }
      add(emission, message, source, say, copy, line, to: &role)
    }
  }

  private mutating func add(
    _ emission: Handshake.Emission, _ message: Int, _ source: Handshake.Role, _ say: [(signal: String, source: Handshake.Say)],
    _ copy: (request: Int, pairs: [(to: String, from: String)])?, _ line: Int, to role: inout RolePlan
  ) {
    var template: UInt64 = 0
    for (place, byte) in (source.bytes[emission.message] ?? []).enumerated() { template |= UInt64(byte) << UInt64(place * 8) }
    // What the definition sets is chosen first: multiplexed signals depend on it.
    for (name, raw) in emission.set {
      guard let signal = place(of: name, in: message) else {
        complain("set: \(emission.message) has no signal \(name)", line: line)
        continue
      }
      template = dissection.plan.signals[signal].storing(raw, in: template)
    }
    let firstFiller = role.fillers.count
    for signal in signals(of: message) {
      let name = dissection.signals[signal].name
      guard !emission.set.contains(where: { $0.signal == name }), isPresent(signal, message, template) else { continue }
      if let own = say.last(where: { $0.signal == name }) {
        fill(signal, own.source, &template, &role)
      } else if let quantity = definition.sidecar.quantities.filter({ $0.value == name }).keys.min().flatMap({ Quantity(name: $0) })
      {
        role.fillers.append(Filler(signal: Int32(signal), source: .value(quantity), scale: scale(signal)))
      }
    }
    let firstCopy = role.copies.count
    for (to, from) in copy?.pairs ?? [] {
      guard let target = place(of: to, in: message), let origin = copy.flatMap({ place(of: from, in: $0.request) }) else {
        continue
      }
      role.copies.append(CopyPlan(from: Int32(origin), to: Int32(target)))
    }
    role.emissions.append(
      EmissionPlan(
        message: Int32(message), template: template, fillers: firstFiller..<role.fillers.count,
        copies: firstCopy..<role.copies.count))
  }

  /// Whether the multiplexor selects the signal.
  private func isPresent(_ signal: Int, _ message: Int, _ template: UInt64) -> Bool {
    let plan = dissection.plan.signals[signal]
    guard plan.multiplexor >= 0 else { return true }
    let selector = dissection.plan.signals[signals(of: message).lowerBound + Int(plan.multiplexor)]
    let raw = UInt64(bitPattern: selector.raw(template, swapped: template.byteSwapped))
    return dissection.plan.multiplexRanges[Int(plan.firstRange)..<Int(plan.firstRange + plan.rangeCount)].contains {
      $0.contains(raw)
    }
  }

  private func fill(_ signal: Int, _ source: Handshake.Say, _ template: inout UInt64, _ role: inout RolePlan) {
    let plan = dissection.plan.signals[signal]
    switch source {
    case .number(let number):
      let wanted = plan.factor == 0 ? 0 : ((number - plan.offset) / plan.factor).rounded()
      template = plan.storing(Int64(max(-9e15, min(9e15, wanted))), in: template)
    case .text(let text):
      let count = Int(plan.width) / 8
      for (place, byte) in text.utf8.prefix(count).enumerated() {
        let first = plan.isBigEndian ? 8 - Int(plan.shift) / 8 - count : Int(plan.shift) / 8
        guard (0..<8).contains(first + place) else { continue }
        template = template & ~(0xFF << UInt64((first + place) * 8)) | UInt64(byte) << UInt64((first + place) * 8)
      }
    case .quantity(let name):
      if let quantity = Quantity(name: name) {
        role.fillers.append(Filler(signal: Int32(signal), source: .value(quantity), scale: scale(signal)))
      }
    case .choice(let choices, let otherwise):
      template = plan.storing(otherwise, in: template)
      // The first that is true wins: it is filled in last.
      for choice in choices.reversed() {
        guard let quantity = Quantity(name: choice.quantity) else { continue }
        role.fillers.append(Filler(signal: Int32(signal), source: .raw(choice.raw, while: quantity)))
      }
    case .counter: role.fillers.append(Filler(signal: Int32(signal), source: .counter))
    case .address: role.fillers.append(Filler(signal: Int32(signal), source: .address))
    }
  }
}

/// A protocol variant with its handshake, ready for sessions and checks.
public struct CompiledLink: Sendable {
  /// Where it comes from.
  public let definition: Definition
  /// The variant's name.
  public let variant: String?
  /// Plan and names.
  public let dissection: DissectionPlan
  /// What both sides do.
  public let handshake: HandshakePlan
  /// The battery's address in this variant.
  public let address: UInt8
  /// What the handshake refers to and is not there.
  public let problems: [DefinitionProblem]

  /// The addresses that a battery can have; `nil` where no ID carries one.
  public var addresses: ClosedRange<UInt8>? { dissection.plan.slots.addresses }

  /// One end of the link.
  public func session(_ side: Session.Side, address: UInt8? = nil) -> Session? {
    Session(dissection.plan, handshake, side: side, address: address ?? self.address)
  }

  /// A state's name and words.
  public func state(_ side: Session.Side, _ index: Int) -> Handshake.State? {
    let role = side == .battery ? definition.sidecar.handshake.battery : definition.sidecar.handshake.inverter
    guard let role, role.states.indices.contains(index) else { return nil }
    return role.states[index]
  }
}

extension Definition {
  /// The handshake of a variant, the first for `nil`.
  public func link(variant name: String? = nil, readings: [String: String] = [:]) -> CompiledLink {
    HandshakeCompiler.compile(self, variant: variant(name), readings: readings)
  }
}
