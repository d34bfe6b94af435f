import Bus
import Formats
import HostIO
import Protocols
import Simulation

/// `virtual battery`, `virtual inverter`: one end of a link on a live bus, with faults on demand.
final class VirtualJob: LiveJob {
  let context: JobContext
  private let link: CompiledLink
  private var end: LinkEnd
  private var scene: LinkScene
  private var wanted: [(quantity: Quantity, value: Int64)]
  private var values = QuantityValues()
  /// What could not be sent in time is over: after a bus was away nobody is to hear old questions and old limits.
  private var queue = SendQueue(maxAge_ns: SendQueue.inTime_ns)
  private var clock: LinkClock
  private var nextStep_us: Int64 = 0
  private var nextTalk_ns: Int64 = 0
  private var state = 0

  /// From step to step of battery and inverter.
  static let step_us: Int64 = 100_000
  /// Steps that are made up for at once: a loop that was held up for longer lets the battery wait.
  private static let mostSteps = 100

  /// - Parameters:
  ///   - wanted: values that are set instead of the scene's.
  ///   - speed: seconds of the link in a second.
  init(
    _ context: JobContext, _ link: CompiledLink, _ end: LinkEnd, _ scene: LinkScene,
    wanted: [(quantity: Quantity, value: Int64)], speed: Double = 1
  ) {
    self.context = context
    clock = LinkClock(speed: speed)
    self.link = link
    self.end = end
    self.scene = scene
    self.wanted = wanted
    context.input = .lines
  }

  var nextWake_ns: Int64 { min(clock.monotonic_ns(nextStep_us), nextTalk_ns, queue.nextWake_ns) }

  func begin(_ now: LiveTime) {
    clock.begin(now)
    tell(0, now)
    wake(now)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    end.receive(record.frame, now_us: clock.microseconds(now))
    // What is to be answered in time is looked at once more behind the last frame.
    nextTalk_ns = now.monotonic_ns
  }

  func wake(_ now: LiveTime) {
    let now_us = clock.microseconds(now)
    for _ in 0..<VirtualJob.mostSteps where now_us >= nextStep_us {
      step()
      nextStep_us += VirtualJob.step_us
    }
    nextStep_us = max(nextStep_us, now_us)
    if now.monotonic_ns >= nextTalk_ns { talk(now) }
    do throws(PortError) { try queue.flush(to: context.ports[0], now.monotonic_ns) } catch { context.fail("\(error)") }
    if end.session.state != state {
      state = end.session.state
      tell(state, now)
    }
  }

  func finish(_ now: LiveTime) {
    context.output.note(
      "linkbms: \(context.title): \(end.session.sentFrames) frames sent, \(context.ports[0].counters.received) heard"
        + (queue.dropped &+ queue.stale > 0 ? ", \(queue.dropped &+ queue.stale) had no room on the bus in time" : ""))
  }

  private func step() {
    let isOnline = end.session.phase == .online
    let both = scene.live(heard: end.side == .inverter ? end.session.heard : values, isOnline: isOnline)
    if end.side == .battery {
      values = both.battery
    } else {
      values = both.inverter
      // An inverter measures at its terminals what the battery has there.
      if let voltage = end.session.heard[.packVoltage], values[.inverterVoltage] != nil { values[.inverterVoltage] = voltage }
      if let current = end.session.heard[.packCurrent], current != .min { values[.inverterCurrent] = -current }
      if let charge = end.session.heard[.soc] { values[.soc] = charge }
    }
    for (quantity, value) in wanted { values[quantity] = value }
  }

  private func talk(_ now: LiveTime) {
    let now_us = clock.microseconds(now)
    for _ in 0..<256 {
      switch end.next(now_us: now_us, values: values) {
      case .send(let frame): queue.add(frame, since_ns: now.monotonic_ns)
      case .wait(let until):
        nextTalk_ns = clock.monotonic_ns(max(until, now_us + 1))
        return
      }
    }
    nextTalk_ns = now.monotonic_ns &+ 1_000_000
  }

  private func tell(_ state: Int, _ now: LiveTime) {
    guard let words = link.state(end.side, state) else { return }
    let at = clock.text(now)
    context.output.print("\(at)  \(words.phase.word): \(words.title)")
  }

  // MARK: Lines

  /// What may be typed while it runs.
  static let help =
    "fault KIND [AMOUNT], fault off [KIND], fault, set QUANTITY=VALUE, unset QUANTITY, state; kinds: "
    + LinkFault.Kind.allCases.map(\.rawValue).joined(separator: ", ")

  func take(line: String, _ now: LiveTime) throws(WorldError) {
    let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
    guard let first = words.first else { return }
    switch first {
    case "fault": try fault(Array(words.dropFirst()), now)
    case "set":
      // All of a line or nothing.
      for value in try VirtualValues.each(Array(words.dropFirst())) {
        wanted.removeAll { $0.quantity == value.quantity }
        wanted.append(value)
      }
      step()
    case "unset":
      var quantities: Set<Quantity> = []
      for word in words.dropFirst() { quantities.insert(try VirtualValues.quantity(word)) }
      wanted.removeAll { quantities.contains($0.quantity) }
    case "state":
      tell(end.session.state, now)
      showFaults()
    case "quit", "stop": context.isDone = true
    default: throw WorldError(message: "found \"\(line)\", expected \(VirtualJob.help)")
    }
    nextTalk_ns = now.monotonic_ns
  }

  private func showFaults() {
    let kinds = end.faults.sorted { $0.key.rawValue < $1.key.rawValue }
    context.output.print(kinds.isEmpty ? "no fault" : kinds.map { "\($0.key.rawValue) \($0.value)" }.joined(separator: ", "))
  }

  private func fault(_ words: [String], _ now: LiveTime) throws(WorldError) {
    guard let first = words.first else { return showFaults() }
    if first == "off" { return try endFault(Array(words.dropFirst()), now) }
    let (kind, amount) = try VirtualValues.fault(words)
    try begin(kind, amount, now)
    context.output.print("\(clock.text(now))  fault \(kind.rawValue) \(end.faults[kind] ?? 0)")
  }

  /// Ends the fault that is named, or all.
  private func endFault(_ words: [String], _ now: LiveTime) throws(WorldError) {
    let kind = words.first.flatMap { LinkFault.Kind(word: $0) }
    if !words.isEmpty {
      guard words.count == 1, let kind, end.faults[kind] != nil else {
        let acting = end.faults.keys.map(\.rawValue).sorted().joined(separator: ", ")
        let expected = acting.isEmpty ? "nothing: no fault acts" : "one that acts: \(acting)"
        throw WorldError(message: "fault off: found \"\(words.joined(separator: " "))\", expected \(expected)")
      }
    }
    do throws(LinkEnd.Refusal) { try end.end(kind) } catch {
      throw WorldError(message: "fault off: the definition does not say how this end behaves then")
    }
    context.output.print("\(clock.text(now))  fault off")
  }

  /// Lets a fault act; says why where it cannot.
  func begin(_ kind: LinkFault.Kind, _ amount: Double?, _ now: LiveTime) throws(WorldError) {
    do throws(LinkEnd.Refusal) { try end.begin(kind, amount: amount, now_us: clock.microseconds(now)) } catch {
      let own = end.side == .battery ? "battery" : "inverter"
      switch error {
      case .otherSide: throw WorldError(message: "fault \(kind.rawValue): is one of the other end, not of the \(own)")
      case .needsProtocol: throw WorldError(message: "fault \(kind.rawValue): needs --other PROTOCOL, which it then speaks")
      case .noSession: throw WorldError(message: "fault \(kind.rawValue): the definition does not say how the \(own) behaves then")
      }
    }
  }
}

/// Words for quantities and faults.
enum VirtualValues {
  /// `PackVoltage=380`, in the quantity's own unit.
  static func parse(_ word: String) throws(WorldError) -> (quantity: Quantity, value: Int64) {
    guard let place = word.firstIndex(of: "=") else {
      throw WorldError(message: "set: found \"\(word)\", expected QUANTITY=VALUE such as PackVoltage=380")
    }
    let quantity = try quantity(String(word[..<place]))
    let text = word[word.index(after: place)...]
    if text == "yes" || text == "true" { return (quantity, 1000) }
    if text == "no" || text == "false" { return (quantity, 0) }
    guard let number = Double(text), abs(number) < 9e12 else {
      let unit = quantity.unit.isEmpty ? "" : " in \(quantity.unit)"
      throw WorldError(message: "set: found \"\(text)\", expected a number\(unit), yes or no")
    }
    return (quantity, Int64((number * 1000).rounded()))
  }

  /// Several of them; none twice.
  static func each(_ words: [String]) throws(WorldError) -> [(quantity: Quantity, value: Int64)] {
    var seen: Set<Quantity> = []
    return try words.map { word throws(WorldError) in
      let wanted = try parse(word)
      guard seen.insert(wanted.quantity).inserted else {
        throw WorldError(message: "set: found \"\(word)\", expected one value for each quantity: it has one already")
      }
      return wanted
    }
  }

  /// The quantity of a name, whatever its capitals.
  static func quantity(_ name: String) throws(WorldError) -> Quantity {
    if let found = Quantity.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) { return found }
    let names = Quantity.allCases.map { $0.name.prefix(1).uppercased() + $0.name.dropFirst() }
    throw WorldError(message: "set: found \"\(name)\", expected a quantity such as PackVoltage" + NearestName.hint(name, in: names))
  }

  /// `dropped 0.1`.
  static func fault(_ words: [String]) throws(WorldError) -> (kind: LinkFault.Kind, amount: Double?) {
    guard let name = words.first, let kind = LinkFault.Kind(word: name) else {
      let names = LinkFault.Kind.allCases.map(\.rawValue)
      throw WorldError(
        message: "fault: found \"\(words.first ?? "")\", expected \(names.joined(separator: ", "))"
          + NearestName.hint(words.first ?? "", in: names))
    }
    guard words.count > 1 else { return (kind, nil) }
    guard words.count == 2, let amount = Double(words[1]), amount >= 0, amount <= (kind.isShare ? 1 : 1e9) else {
      let found = words.dropFirst().joined(separator: " ")
      let expected = kind.isShare ? "a share of frames, 0 to 1" : "seconds, at most 1e9"
      throw WorldError(message: "fault \(kind.rawValue): found \"\(found)\", expected \(expected)")
    }
    return (kind, amount)
  }
}

extension LinkFault.Kind {
  /// The kind of a word, with or without the `frames-` in front.
  init?(word: String) {
    let word = word.lowercased()
    guard let kind = LinkFault.Kind.allCases.first(where: { $0.rawValue == word || $0.rawValue == "frames-" + word }) else {
      return nil
    }
    self = kind
  }
}
