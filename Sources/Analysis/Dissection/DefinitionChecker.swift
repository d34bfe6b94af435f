public import Formats
import Bus
import Protocols

/// Checks a definition against itself: names that must exist, and samples that must decode to their values and back.
public enum DefinitionChecker {
  /// All problems of a library: those found while reading and those of meaning.
  public static func check(_ library: DefinitionLibrary) -> [DefinitionProblem] {
    library.problems + library.definitions.flatMap(check)
  }

  /// Problems of one definition.
  public static func check(_ definition: Definition) -> [DefinitionProblem] {
    var checker = Checker(definition)
    checker.run()
    return checker.problems
  }

  private struct Checker {
    let definition: Definition
    let messages: Set<String>
    let signals: Set<String>
    var problems: [DefinitionProblem] = []

    init(_ definition: Definition) {
      self.definition = definition
      let files = [definition.dbc] + definition.overlays.values
      messages = Set(files.flatMap { $0.messages.map(\.name) })
      signals = Set(files.flatMap { $0.messages.flatMap { $0.signals.map(\.name) } })
    }

    /// Names in the handshake, in every variant, and quantities that do not exist.
    mutating func checkHandshake() {
      for name in definition.sidecar.quantities.keys.sorted() where Quantity(name: name) == nil {
        note(
          .unknownSignal, 0, "quantities: \"\(name)\" is no quantity" + NearestName.hint(name, in: Quantity.allCases.map(\.name)))
      }
      for problem in definition.sidecar.variants.flatMap({ definition.link(variant: $0.name).problems })
      where !problems.contains(problem) {
        problems.append(problem)
      }
    }

    mutating func run() {
      let sidecar = definition.sidecar
      for problem in DBCRules.check(definition.dbc) where problem.severity == .error {
        note(.dbc, 0, "\(sidecar.dbc):\(problem)")
      }
      for node in sidecar.roles.keys.sorted() where !definition.dbc.nodes.contains(node) {
        note(.unknownNode, 0, "roles: unknown node \"\(node)\"" + NearestName.hint(node, in: definition.dbc.nodes))
      }
      for name in sidecar.address?.messages ?? [] { need(message: name, sidecar.address?.line ?? 0) }
      checkEvidence(sidecar.identify)
      for name in sidecar.plausible.keys.sorted() { need(signal: name, 0) }
      for agreement in sidecar.agreements {
        for name in agreement.left.signals + agreement.right.signals { need(signal: name, agreement.line) }
      }
      for reading in sidecar.readings {
        for change in reading.options.flatMap(\.changes) { for name in change.signals { need(signal: name, change.line) } }
      }
      for variant in sidecar.variants {
        check(choice: variant.readings, variant.line)
        checkEvidence(variant.identify)
        for name in Array(variant.ids?.map.keys ?? [:].keys) + Array(variant.ids?.omit ?? []) { need(message: name, variant.line) }
      }
      for name in sidecar.flags.keys.sorted() + sidecar.textSignals.sorted() + sidecar.quantities.values.sorted() {
        need(signal: name, 0)
      }
      checkNames()
      checkHandshake()
      for sample in sidecar.samples { check(sample) }
    }

    private mutating func note(_ rule: DefinitionProblem.Rule, _ line: Int, _ text: String) {
      problems.append(DefinitionProblem(rule, definition.sidecar.path, line: line, text))
    }

    private mutating func need(message name: String, _ line: Int) {
      if !messages.contains(name) {
        note(.unknownMessage, line, "unknown message \"\(name)\"" + NearestName.hint(name, in: messages))
      }
    }

    private mutating func need(signal name: String, _ line: Int) {
      if !signals.contains(name) { note(.unknownSignal, line, "unknown signal \"\(name)\"" + NearestName.hint(name, in: signals)) }
    }

    private mutating func checkEvidence(_ list: [Sidecar.Evidence]) {
      for evidence in list {
        for name in evidence.messages { need(message: name, evidence.line) }
        for name in evidence.when.keys.sorted() { need(signal: name, evidence.line) }
      }
    }

    private mutating func check(choice: [String: String], _ line: Int) {
      for (name, option) in choice.sorted(by: { $0.key < $1.key }) {
        guard let reading = definition.sidecar.readings.first(where: { $0.name == name }) else {
          note(
            .unknownReading, line,
            "unknown reading \"\(name)\"" + NearestName.hint(name, in: definition.sidecar.readings.map(\.name)))
          continue
        }
        if !reading.options.contains(where: { $0.name == option }) {
          note(
            .unknownReading, line,
            "unknown option \"\(option)\" of \(name)" + NearestName.hint(option, in: reading.options.map(\.name)))
        }
      }
    }

    /// A signal's name occurs once in a definition, so that the sidecar can mean one.
    private mutating func checkNames() {
      var seen: [String: String] = [:]
      for message in definition.dbc.messages {
        for signal in message.signals {
          if let other = seen.updateValue(message.name, forKey: signal.name) {
            note(.ambiguous, 0, "signal \(signal.name) stands in \(other) and in \(message.name)")
          }
        }
      }
    }

    // MARK: Samples

    private mutating func check(_ sample: Sidecar.Sample) {
      guard let frame = FrameText.parse(sample.frame) else {
        return note(.sampleFrame, sample.line, "\"\(sample.frame)\": expected ID#DATA such as 00004210#A50930759D042E64")
      }
      let variant = definition.variant(sample.variant)
      if variant == nil, let name = sample.variant { return note(.unknownReading, sample.line, "unknown variant \"\(name)\"") }
      check(choice: sample.readings, sample.line)
      let dissection = definition.plan(variant: variant, readings: sample.readings)
      let table = DecodeTable(dissection)
      guard let slot = table.slot(of: frame) else {
        return note(.sampleDecode, sample.line, "\(sample.frame): no message has this ID, expected \(sample.message)")
      }
      let message = dissection.messages[table.messageIndex(ofSlot: slot)].name
      guard message == sample.message else {
        return note(.sampleDecode, sample.line, "\(sample.frame): decodes as \(message), expected \(sample.message)")
      }
      for (name, expected) in sample.expect { checkDecode(name, expected, frame, table, slot, sample) }
      checkEncode(sample, frame, table, slot)
    }

    private mutating func checkDecode(
      _ name: String, _ expected: Sidecar.Expected, _ frame: CANFrame, _ table: DecodeTable, _ slot: Int, _ sample: Sidecar.Sample
    ) {
      let range = Int(table.slots[slot].first)..<Int(table.slots[slot].end)
      guard let index = range.first(where: { table.dissection.signals[$0].name == name }) else {
        return note(.unknownSignal, sample.line, "\(sample.message) has no signal \"\(name)\"")
      }
      guard let raw = table.raw(index, slot: slot, in: frame) else {
        return note(.sampleDecode, sample.line, "\(sample.frame): \(name) is not in the frame")
      }
      let plan = table.dissection.plan.signals[index]
      let info = table.dissection.signals[index]
      switch expected {
      case .number(let number):
        let found = plan.physical(raw)
        if abs(found - number) > max(1e-9, abs(number) * 1e-9) {
          note(
            .sampleDecode, sample.line, "\(sample.frame): \(name) decodes to \(ValueText.number(of: raw, plan)), expected \(number)"
          )
        }
      case .text(let text):
        let found = info.isText ? ValueText.ascii(raw, plan) : info.labels[raw] ?? ""
        if found != text {
          note(.sampleDecode, sample.line, "\(sample.frame): \(name) decodes to \"\(found)\", expected \"\(text)\"")
        }
      }
    }

    /// Expected values encode to the frame's own bits, wherever their signals lie.
    private mutating func checkEncode(_ sample: Sidecar.Sample, _ frame: CANFrame, _ table: DecodeTable, _ slot: Int) {
      let place = table.dissection.plan.slots[slot]
      let encoder = MessageEncoder(table.dissection)
      guard
        let (encoded, issues) = encoder.frame(
          sample.message, values: sample.expect, address: place.hasAddress ? place.address : nil, length: Int(frame.length))
      else { return }
      for issue in issues {
        // A byte that is no character stands with four in a sample: whether a text is the frame's own was told above.
        if case .tooLong = issue { continue }
        note(.sampleEncode, sample.line, "\(sample.frame): \(issue)")
      }
      if encoded.id != frame.id { note(.sampleEncode, sample.line, "\(sample.frame): encodes under another ID") }
      for (name, _) in sample.expect {
        let range = Int(table.slots[slot].first)..<Int(table.slots[slot].end)
        guard let index = range.first(where: { table.dissection.signals[$0].name == name }) else { continue }
        let plan = table.dissection.plan.signals[index]
        // Trailing blanks are padding that a text does not keep.
        if table.dissection.signals[index].isText { continue }
        let word = DecodeTable.window(of: encoded, from: Int(plan.byteOffset))
        let original = DecodeTable.window(of: frame, from: Int(plan.byteOffset))
        if plan.raw(word, swapped: word.byteSwapped) != plan.raw(original, swapped: original.byteSwapped) {
          note(.sampleEncode, sample.line, "\(sample.frame): \(name) encodes to other bits")
        }
      }
    }
  }
}
