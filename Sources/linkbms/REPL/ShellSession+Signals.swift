import Analysis
import Formats
import HostIO

extension ShellSession {
  /// Whether the last word of the statement stands as it was typed: no quotes, no variable, no pattern of file names.
  var endsBare: Bool { typed.last.map { $0.isBare && $0.pattern == nil } ?? false }

  /// What a word stands for that is all there is behind the `=` of a `let`, and in no quotes: the value of the signal of that name, else
  /// the word itself.
  ///
  /// A name that could be meant as a signal is never taken for text because its value is missing: a script would go on with it. Any
  /// other is text, with a live bus as without one.
  /// - Returns: `nil` if Ctrl-C came while the value was waited for.
  func value(ofBareWord word: String) throws -> String? {
    guard Self.isName(word), Double(word) == nil else { return word }
    guard let signal = try signalMeant(by: word) else { return word }
    if bus != nil { return try awaitValue(ofSignal: word) }
    let found = signal == word ? "\(word) is a signal" : "\(word) could be meant as the signal \(signal)"
    throw WorldError(
      message: "let: \(found), and no live bus is open that could say its value: 'open --live IFACE' first; "
        + Self.textHint(word))
  }

  /// Letters, digits and `_`, as signals are named; `night.log` and `deye-hv` are none.
  private static func isName(_ word: String) -> Bool {
    guard let first = word.first, !first.isNumber else { return false }
    return word.allSatisfy { $0 == "_" || ($0.isASCII && ($0.isLetter || $0.isNumber)) }
  }

  private static func textHint(_ word: String) -> String { "in quotes it is text: \"\(word)\"" }

  // MARK: With a live bus

  private func awaitValue(ofSignal name: String) throws -> String? {
    let bus = try openBus()
    let end = PortPoller.now_ns &+ valuePatience_ns
    try world.flush()
    while true {
      live.pump(.now)
      try live.drain(into: &world)
      guard live.listener === bus else { throw WorldError(message: "let: the bus is gone") }
      if let value = try? bus.value(ofSignal: name) { return value }
      // It is not waited for what cannot come. Where nothing was recognised yet, it still may be.
      if bus.isIdentified, !bus.signalNames.isEmpty, !bus.signalNames.contains(name) { throw unknownSignal(name, bus) }
      if world.isInterrupted { return nil }
      if PortPoller.now_ns >= end { break }
      _ = live.wait([], until_ns: end)
    }
    throw missingValue(of: name, bus)
  }

  private func unknownSignal(_ name: String, _ bus: BusListener) -> WorldError {
    WorldError(
      message: "let: found \"\(name)\", expected a signal of \(bus.name)\(NearestName.hint(name, in: bus.signalNames)); "
        + Self.textHint(name))
  }

  private func missingValue(of name: String, _ bus: BusListener) -> WorldError {
    let time = DurationText.seconds(valuePatience_ns)
    guard bus.signalNames.isEmpty else {
      return WorldError(
        message: "let: \(name): no value has come on \(bus.name) within \(time); 'wait for' a message that carries it; "
          + Self.textHint(name))
    }
    let heard = bus.heard == 0 ? "no frame has come" : "nothing of a known protocol has come"
    return WorldError(
      message: "let: \(name): \(heard) on \(bus.name) within \(time); 'open --live IFACE --protocol NAME' says what it speaks; "
        + Self.textHint(name))
  }

  // MARK: What is meant

  /// The signal that a name is or was most likely meant to be: one of the live bus, or of the definitions in use. Signals are written
  /// with a capital letter, and other words that only resemble one are text.
  private func signalMeant(by word: String) throws -> String? {
    var names = try signalNames()
    if let bus { names.formUnion(bus.signalNames) }
    if names.contains(word) { return word }
    guard word.first?.isUppercase == true else { return nil }
    return NearestName.find(word, in: names.sorted())
  }

  private func signalNames() throws -> Set<String> {
    var options = DefinitionOptions.builtIn
    options.dissectors = optionDefaults["dissectors"]
    options.dbc = optionDefaults["dbc"].map { [$0] } ?? []
    var names: Set<String> = []
    if let said = try TableChooser.said(options, in: &world) { names.formUnion(said.fallback.dissection.signals.map(\.name)) }
    for definition in try world.library(options).definitions {
      for dbc in [definition.dbc] + definition.overlays.values {
        for message in dbc.messages { names.formUnion(message.signals.map(\.name)) }
      }
    }
    return names
  }
}
