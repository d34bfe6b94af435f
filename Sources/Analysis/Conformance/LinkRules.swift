import Bus
import Formats
import Protocols

/// Is anybody there, and do both mean the same protocol: R01, R02, R03, R04, R04a, R09, R09b (diagnostics.md §5).
extension BusJudge {
  mutating func linkRules() {
    errorRules()
    width()
    fingerprint()
    unanswered()
    incompleteSet()
    address()
    foreignTraffic()
    doubleSender()
    latched()
  }

  // MARK: R02a, R02b, R02c

  private mutating func errorRules() {
    let errors = watch.errors
    guard errors.count > 0 else { return }
    let frameText = errors.firstFrame.map(ErrorFrameText.describe) ?? ""
    if errors.protocolViolations >= UInt64(threshold(.R02b, "errors")), Double(watch.frames) <= threshold(.R02b, "goodFrames") {
      add(
        .R02b, "\(errors.protocolViolations) error frames and not one good frame: the bits do not fit the rate (\(frameText))",
        first: errors.first, last: errors.last, count: errors.count, expected: rates)
    } else if errors.mostNoAcknowledge >= UInt64(threshold(.R02a, "frames")) {
      add(
        .R02a, "nobody acknowledges: \(errors.noAcknowledge) times, \(errors.mostNoAcknowledge) of them within a second",
        first: errors.firstNoAcknowledge, last: errors.last, count: errors.noAcknowledge)
    } else if errors.busOff > 0 || errors.highestCounter >= UInt8(clamping: Int(threshold(.R02c, "counter")))
      || isMuch(errors.protocolViolations)
    {
      let off = errors.busOff > 0 ? "bus-off \(errors.busOff) ×, first at \(moment(errors.firstBusOff)); " : ""
      let counter = errors.highestCounter > 0 ? ", counters up to \(errors.highestCounter)" : ""
      add(
        .R02c, "\(off)\(errors.count) error frames beside \(watch.frames) good ones\(counter) (\(frameText))",
        severity: errors.busOff > 0 || errors.highestCounter >= 128 ? nil : .warning, first: errors.first, last: errors.last,
        count: errors.count)
    }
  }

  private func isMuch(_ errors: UInt64) -> Bool {
    Double(errors) >= threshold(.R02c, "errors") && Double(errors) > threshold(.R02c, "share") * Double(watch.frames)
  }

  private var rates: String {
    let rates = protocolName.flatMap { library.definition($0)?.sidecar.bitRates } ?? [500_000, 250_000]
    return rates.map { "\($0 / 1000) kbit/s" }.joined(separator: " or ")
  }

  // MARK: R01

  private mutating func fingerprint() {
    let all = [watch.identification] + watch.identification.others
    let speakers = all.filter { $0.protocolName != nil && $0.sides.contains(.battery) }
    // A battery that has an inverter to talk with is served, whatever else is asked (Growatt asks in two protocols).
    if let speaker = speakers.first(where: { !$0.sides.contains(.inverter) }),
      !speakers.contains(where: { $0.sides.contains(.inverter) }),
      let asker = likeliest(asked.filter { !isSameFamily($0, speaker.protocolName) })
    {
      let facts = watch.ids.filter { isFromInverter($0, of: asker) }.max { $0.count < $1.count }
      add(
        .R01, "the inverter asks in \(title(asker)), the battery side speaks \(title(speaker.protocolName))",
        count: facts?.count ?? 1, facts: facts, expected: "both sides in one protocol",
        fix: "set the battery side to \(asker) or the inverter's battery type to \(speaker.protocolName ?? ""); "
          + "then power-cycle the inverter")
      return
    }
    guard let name = site.inverter, let inverter = book.inverters[name], let spoken = protocolName,
      !inverter.protocols.contains(spoken), speakers.contains(where: { $0.protocolName == spoken })
    else { return }
    add(
      .R01,
      "the battery side speaks \(title(spoken)); a \(inverter.title) understands \(inverter.protocols.map(title).joined(separator: ", "))",
      expected: inverter.protocols.joined(separator: " or "), fix: inverter.fix)
  }

  /// Of protocols that share an inverter's ID, the one that identification held likeliest.
  private func likeliest(_ names: [String]) -> String? {
    let verdict = watch.identification
    let confidence = { (name: String) -> Double in
      let named = verdict.others.first { $0.protocolName == name }?.confidence ?? 0
      return max(named, verdict.alternatives.first { $0.protocolName == name }?.confidence ?? 0)
    }
    return names.max { confidence($0) < confidence($1) }
  }

  private func isFromInverter(_ facts: IDFacts, of name: String?) -> Bool {
    guard let definition = name.flatMap({ library.definition($0) }) else { return false }
    return definition.dbc.messages.contains { message in
      guard message.sender.flatMap({ definition.sidecar.roles[$0] }) == .inverter else { return false }
      let others = definition.sidecar.variants.filter { $0.ids != nil }
      return definition.slots(of: message, variant: nil).contains { $0.id == facts.id }
        || others.contains { variant in definition.slots(of: message, variant: variant).contains { $0.id == facts.id } }
    }
  }

  // MARK: R04a

  /// Numbers of a protocol under the other width, or cut to 11 bits, where that protocol's own are missing.
  private mutating func width() {
    let asked = self.asked
    // Without a word of an inverter only frames that no protocol explains can be suspected.
    let candidates = site.protocolName.map { [$0] } ?? (asked.isEmpty && protocolName == nil ? library.protocolNames : asked)
    var best: (definition: Definition, seen: [IDFacts], isCut: Bool, side: Side)?
    for definition in candidates.compactMap({ library.definition($0) })
    where definition.sidecar.extends == nil || asked.contains(definition.protocolName) {
      for side in [Side.battery, .inverter] {
        guard let found = otherWidth(definition, side), found.seen.count > (best?.seen.count ?? 0) else { continue }
        best = (definition, found.seen, found.isCut, side)
      }
    }
    guard let best, let first = best.seen.first else { return }
    let count = best.seen.reduce(UInt64(0)) { $0 + $1.count }
    let sent = first.id.isExtended ? "29-bit" : "11-bit"
    let meant = first.id.isExtended ? "11-bit" : "29-bit"
    let who = best.side == .battery ? "the battery side" : "the inverter"
    let how = best.isCut ? "cut to 11 bits" : "sent as \(sent) frames"
    add(
      .R04a,
      "\(hex(first.id)) and \(best.seen.count - 1) more IDs of \(who) are \(how); \(title(best.definition.protocolName)) has them as \(meant)",
      count: count, facts: first, expected: "\(meant) IDs (\(best.definition.protocolName))")
  }

  /// Protocols of which an inverter's own messages are seen, under IDs that the battery's protocol does not use.
  private var asked: [String] {
    let spoken = protocolName.flatMap { library.definition($0) }
    let used = Set(
      spoken.map { definition in definition.dbc.messages.flatMap { definition.slots(of: $0, variant: nil) }.map(\.id) } ?? [])
    return library.definitions.filter { definition in
      let isOwn = definition.protocolName == protocolName
      return watch.ids.contains { facts in
        facts.count >= UInt64(threshold(.R01, "frames")) && (isOwn || !used.contains(facts.id))
          && isFromInverter(facts, of: definition.protocolName)
      }
    }.map(\.protocolName)
  }

  private func otherWidth(_ definition: Definition, _ side: Side) -> (seen: [IDFacts], isCut: Bool)? {
    let variant =
      watch.identification.protocolName == definition.protocolName ? definition.variant(watch.identification.variant) : nil
    let messages = definition.dbc.messages.filter { $0.sender.flatMap { definition.sidecar.roles[$0] } == side }
    let expected = Set(messages.flatMap { definition.slots(of: $0, variant: variant) }.map(\.id))
    // IDs of one's own variants are no mistake, unless the other side uses the other width.
    let present = watch.ids.filter { expected.contains($0.id) }
    guard present.isEmpty, !expected.isEmpty else { return nil }
    let explained = Set(
      ([watch.identification] + watch.identification.others).filter { $0.sides.contains(side) && $0.sides.count == 2 }.compactMap(
        \.protocolName))
    guard !explained.contains(definition.protocolName) || site.protocolName != nil else { return nil }
    let flipped = watch.ids.filter {
      expected.contains(ArbitrationID(rawValue: $0.id.rawValue ^ 0x8000_0000)) && !isKnown($0, beside: definition)
    }
    let least = UInt64(threshold(.R04a, "frames"))
    if flipped.count >= 2, flipped.reduce(UInt64(0), { $0 + $1.count }) >= least { return (flipped, false) }
    guard asked.contains(definition.protocolName) || site.protocolName == definition.protocolName else { return nil }
    let cuts = Set(expected.filter { $0.isExtended && $0.number > 0x7FF }.map { ArbitrationID.standard($0.number) })
    let cut = watch.ids.filter { !$0.id.isExtended && cuts.contains($0.id) && !isKnown($0, beside: definition) }
    if cut.count >= 3, cut.reduce(UInt64(0), { $0 + $1.count }) >= least { return (cut, true) }
    return nil
  }

  /// Whether another protocol with both of its sides on this bus has this ID.
  private func isKnown(_ facts: IDFacts, beside definition: Definition) -> Bool {
    for verdict in [watch.identification] + watch.identification.others {
      guard let name = verdict.protocolName, name != definition.protocolName, !isSameFamily(name, definition.protocolName),
        let other = library.definition(name), verdict.sides.count == 2
      else { continue }
      if other.dbc.messages.contains(where: { other.slots(of: $0, variant: nil).contains { $0.id == facts.id } }) { return true }
    }
    return false
  }

  // MARK: R02

  private mutating func unanswered() {
    guard watch.errors.count == 0 || watch.frames > 0 else { return }
    guard watch.frames > 0 else {
      add(
        .R02, "no frame at all on this bus: nobody speaks", first: watch.first, last: watch.last,
        expected: "an inverter that asks, or a battery that speaks by itself")
      return
    }
    let sides = ([watch.identification] + watch.identification.others).flatMap(\.sides)
    guard watch.identification.protocolName != nil else { return }
    if !sides.contains(.battery) { return onlyInverter() }
    if !sides.contains(.inverter) { return onlyBattery() }
    lapses()
  }

  private mutating func onlyInverter() {
    let asking = watch.ids.filter { watch.sender($0) == .inverter }.max { $0.count < $1.count }
    guard let asking, asking.count >= UInt64(threshold(.R02, "requests")) || Double(asking.span) >= threshold(.R02, "seconds") * 1e9
    else {
      return
    }
    let period = asking.meanPeriod > 0 ? ", every \(seconds(asking.meanPeriod))" : ""
    add(
      .R02, "the inverter asks in \(title(protocolName)) (\(hex(asking.id)) \(asking.count) ×\(period)), and no battery answers",
      count: asking.count, facts: asking, expected: answerText)
  }

  /// What the first answer would be.
  private var answerText: String? {
    guard let link = watch.link, let battery = link.handshake.battery else { return nil }
    let range =
      battery.answers.first?.emissions
      ?? battery.states.first { $0.phase == .online }.flatMap { state in battery.sends[state.sends].first?.emissions }
    guard let range, let first = range.first else { return nil }
    let message = battery.emissions[first].message
    guard
      let slot = link.dissection.plan.slots.first(where: { $0.message == message && (!$0.hasAddress || $0.address == link.address) }
      )
    else { return nil }
    let name = link.dissection.messages[Int(message)].name
    let within = battery.answers.first.map { " within \(seconds($0.within_us &* 1000))" } ?? ""
    return "\(hex(slot.id)) \(name) and \(range.count - 1) more\(within)"
  }

  private mutating func onlyBattery() {
    let speaking = watch.ids.filter { watch.sender($0) == .battery }.max { $0.count < $1.count }
    guard let speaking, speaking.count >= 3 else { return }
    // A nearly silent inverter is normal where the battery speaks by itself and nothing is asked regularly (sofar.md §5).
    let isQuietByDesign = threshold(.R05, "missing") > 600
    add(
      .R02, "only the battery side speaks (\(hex(speaking.id)) \(speaking.count) ×): nothing of an inverter on this bus",
      severity: isQuietByDesign ? .note : .warning, count: speaking.count, facts: speaking,
      expected: "the inverter's side as well, unless the log was made by the battery side itself",
      fix: isQuietByDesign
        ? "this inverter says little; that frames are acknowledged is all that can be seen here"
        : "check that the inverter is on, set to this protocol, and on this pair of wires")
  }

  /// Both sides are there, and for some time no answer came.
  private mutating func lapses() {
    guard let monitor = watch.monitor, let link = watch.link, let battery = link.handshake.battery else { return }
    for (index, tally) in monitor.tallies.enumerated() {
      let answer = battery.answers[index]
      guard answer.optionalCount < answer.emissions.count, tally.mostUnansweredInRow >= UInt64(threshold(.R02, "requests")),
        let first = tally.firstUnanswered
      else { continue }
      let request = link.dissection.messages[Int(answer.request)].name
      let isNever = tally.complete == 0 && tally.incomplete == 0
      // Where the battery speaks by itself, its identity is asked for: another matter (R07).
      let speaksUnasked = battery.states.contains { $0.phase == .online && !$0.sends.isEmpty }
      if speaksUnasked {
        add(
          .R07, "\(request) asked \(tally.asked) ×, the identity was sent \(tally.complete) ×", first: convert(first),
          last: tally.lastUnanswered.map(convert), count: tally.unanswered, facts: watch.facts(request).first,
          expected: "the whole identity within \(seconds(answer.within_us &* 1000)) of each question")
        continue
      }
      add(
        .R02,
        "\(request) is \(isNever ? "never" : "not") answered: \(tally.unanswered) of \(tally.asked) ×, "
          + "\(tally.mostUnansweredInRow) in a row, first at \(moment(convert(first)))",
        first: convert(first), last: tally.lastUnanswered.map(convert), count: tally.unanswered, facts: watch.facts(request).first,
        expected: "an answer within \(seconds(answer.within_us &* 1000))")
    }
  }

  func convert(_ mark: HandshakeMonitor.Mark) -> IDFacts.Mark { .init(record: mark.record, time: mark.time_us &* 1000) }

  // MARK: R04

  private mutating func address() {
    guard let link = watch.link, link.definition.sidecar.address != nil else { return repeatedSearch() }
    let addresses = watch.addressCounts()
    let used = (0..<16).filter { addresses[$0] > 0 }
    let isCyclic = link.handshake.battery?.states.contains { !$0.sends.isEmpty } ?? false
    if used.count > 1, !isCyclic, watch.mixedAddresses > 0 {
      add(
        .R04,
        "answers of two addresses in one burst: \(used.map { "\($0) (\(addresses[$0]) frames)" }.joined(separator: ", "))",
        first: watch.firstMixed, count: watch.mixedAddresses, expected: "one address on a bus")
      return
    }
    let wanted = (0..<16).filter { watch.askedAddresses[$0] >= 2 }
    let missing = wanted.filter { addresses[$0] == 0 }
    if let missing = missing.first, !used.isEmpty, !wanted.contains(where: { used.contains($0) }) {
      add(
        .R04, "the inverter asks battery \(missing), the battery side is \(used.map(String.init).joined(separator: ", "))",
        first: watch.firstAsked, count: watch.askedAddresses[missing],
        expected: "address \(missing)",
        fix: "set the battery side to address \(missing), or the inverter's battery address to \(used[0])")
      return
    }
    if let name = site.inverter, let inverter = book.inverters[name], let want = inverter.address, !used.isEmpty,
      !used.contains(Int(want))
    {
      add(
        .R04, "answers carry address \(used[0]), a \(inverter.title) uses \(want)", expected: "address \(want)",
        fix: "set the battery side's address (group) to \(want)")
      return
    }
    repeatedSearch()
  }

  /// The inverter goes on searching although everything is answered: it does not take these answers for its own.
  private mutating func repeatedSearch() {
    guard !findings.contains(where: { $0.rule == .R03 || $0.rule == .R07 }) else { return }
    guard let link = watch.link, let monitor = watch.monitor, let battery = link.handshake.battery,
      let inverter = link.handshake.inverter
    else { return }
    let answered = monitor.tallies.enumerated().filter {
      $0.element.asked > 0 && battery.answers[$0.offset].optionalCount < battery.answers[$0.offset].emissions.count
    }
    let complete = answered.map(\.element.complete).min() ?? batteryCycles
    guard complete >= UInt64(threshold(.R04, "answers")) else { return }
    // What the inverter says only while it searches, and how long it goes on with it after all is there.
    let online = inverter.states.filter { $0.phase == .online }.flatMap { inverter.sends[$0.sends] }
    for state in inverter.states where state.phase == .opening {
      for send in inverter.sends[state.sends] where send.every_us > 0 {
        for emission in inverter.emissions[send.emissions] {
          let later = online.filter {
            inverter.emissions[$0.emissions].contains { $0.message == emission.message && $0.template == emission.template }
          }
          let slow = later.map(\.every_us).min() ?? .max
          guard slow > send.every_us &* 3, let seen = searching(emission, link, battery, monitor), seen.span > 0 else { continue }
          // What it said before the first complete answers is as it should be.
          let online = monitor.changes.first { $0.side == .inverter && $0.phase == .online }?.mark.time_us ?? 0
          guard seen.last.time / 1000 - online > max(5_000_000, send.every_us &* 3) else { continue }
          // Some hosts ask for everything in turn; a search repeats as fast as the plan says.
          guard seen.span / Int64(max(1, seen.count)) < send.every_us &* 1500 else { continue }
          let allowed = slow == .max ? 5.0 : Double(seen.span) / 1000 / Double(slow) * 3 + 5
          guard Double(seen.count) > allowed, Double(seen.span) >= Double(send.every_us) * 5_000 else { continue }
          let name = link.dissection.messages[Int(emission.message)].name
          let address =
            link.definition.sidecar.address == nil ? "" : " under address \(watch.addressCounts().firstIndex { $0 > 0 } ?? 0)"
          add(
            .R04,
            "the inverter goes on searching (\(name) \(seen.count) ×) although \(complete) answers were complete\(address): it does not take them",
            first: seen.first, last: seen.last, count: seen.count, facts: watch.facts(name).first,
            expected: "after the first complete answers the inverter stops searching")
          return
        }
      }
    }
  }

  /// How often the inverter said what it says while searching: from the tally of that question, or from the ID alone.
  private func searching(
    _ emission: EmissionPlan, _ link: CompiledLink, _ battery: RolePlan, _ monitor: HandshakeMonitor
  ) -> (count: UInt64, span: Int64, first: IDFacts.Mark, last: IDFacts.Mark)? {
    let name = link.dissection.messages[Int(emission.message)].name
    guard let facts = watch.facts(name).first else { return nil }
    for (index, answer) in battery.answers.enumerated() where answer.request == emission.message {
      let isThis = answer.conditions.allSatisfy { place in
        let condition = battery.conditions[place]
        let signal = link.dissection.plan.signals[Int(condition.signal)]
        return condition.isAddress || signal.raw(emission.template, swapped: emission.template.byteSwapped) == condition.raw
      }
      guard isThis else { continue }
      return (monitor.tallies[index].asked, facts.span, facts.first, facts.last)
    }
    // A message with several contents cannot be counted by its ID.
    let isShared =
      link.handshake.inverter?.emissions.contains { $0.message == emission.message && $0.template != emission.template } ?? false
    return isShared ? nil : (facts.count, facts.span, facts.first, facts.last)
  }

  /// Whole bursts of a battery that speaks by itself.
  private var batteryCycles: UInt64 {
    guard let link = watch.link, let battery = link.handshake.battery else { return 0 }
    let messages = battery.states.first { $0.phase == .online }.flatMap { battery.sends[$0.sends].first?.emissions } ?? 0..<0
    return messages.map { watch.facts(link.dissection.messages[Int(battery.emissions[$0].message)].name).first?.count ?? 0 }.min()
      ?? 0
  }

  // MARK: R03

  private mutating func incompleteSet() {
    guard let link = watch.link, let battery = link.handshake.battery, let monitor = watch.monitor else { return }
    let cycles = UInt64(threshold(.R03, "cycles"))
    for (index, tally) in monitor.tallies.enumerated() {
      let answer = battery.answers[index]
      let concluded = tally.complete + tally.incomplete
      guard concluded >= cycles || tally.incomplete >= 1 && tally.complete == 0 && tally.asked <= 4 && concluded >= 1 else {
        continue
      }
      let required = answer.emissions.count - answer.optionalCount
      let names = (0..<min(32, required)).filter { UInt64(tally.missing[$0]) == concluded }.map { place in
        (place, Int(battery.emissions[answer.emissions.lowerBound + place].message))
      }
      missing(names.map(\.1), link, count: tally.incomplete, first: tally.firstIncomplete.map(convert))
    }
    for state in battery.states where state.phase == .online {
      for (index, send) in battery.sends[state.sends].enumerated() where send.every_us > 0 {
        let source = link.state(.battery, battery.states.firstIndex { $0.sends == state.sends } ?? 0)?.send
        if let source, index < source.count, source[index].isOptional { continue }
        let messages = battery.emissions[send.emissions].map { Int($0.message) }
        let seen = messages.map { watch.facts(link.dissection.messages[$0].name).reduce(UInt64(0)) { $0 + $1.count } }
        let span = watch.last.time &- (watch.first?.time ?? 0)
        guard (seen.max() ?? 0) >= cycles || Double(span) > Double(send.every_us) * 1000 * Double(cycles) else { continue }
        // Nothing at all of a whole burst, where others of the battery are there, is missing as well.
        guard batterySpeaks(span) else { continue }
        missing(zip(messages, seen).filter { $0.1 == 0 }.map(\.0), link, count: seen.max() ?? 1, first: watch.first)
      }
    }
  }

  private func batterySpeaks(_ span: Int64) -> Bool { watch.ids.contains { watch.sender($0) == .battery && $0.count >= 3 } }

  private mutating func missing(_ messages: [Int], _ link: CompiledLink, count: UInt64, first: IDFacts.Mark?) {
    // What is only late, or comes outside of an answer, is sent.
    let messages = messages.filter { watch.facts(link.dissection.messages[$0].name).isEmpty }
    guard !messages.isEmpty, !findings.contains(where: { $0.rule == .R03 }) else { return }
    let names = messages.map { message -> String in
      let slot = link.dissection.plan.slots.first { Int($0.message) == message && (!$0.hasAddress || $0.address == link.address) }
      return (slot.map { hex($0.id) + " " } ?? "") + link.dissection.messages[message].name
    }
    add(
      .R03, "never sent: \(names.joined(separator: ", "))", first: first, last: watch.last, count: count,
      expected: "\(title(protocolName)) needs \(names.count == 1 ? "it" : "them") in each answer or cycle")
  }

  // MARK: R09

  private mutating func foreignTraffic() {
    let span = max(1, watch.last.time &- (watch.first?.time ?? 0))
    let others = watch.identification.others.compactMap { $0.protocolName.flatMap { library.definition($0) } }
    let known = Set(
      others.flatMap { definition in definition.dbc.messages.flatMap { definition.slots(of: $0, variant: nil) }.map(\.id) })
    guard protocolName != nil else { return }
    let strange = watch.ids.filter {
      $0.slot < 0 && !known.contains($0.id) && Double($0.count) / (Double(span) / 1e9) > threshold(.R09, "perSecond")
        && $0.count >= 5
    }
    guard strange.count >= Int(threshold(.R09, "ids")), let loudest = strange.max(by: { $0.count < $1.count }) else { return }
    let list = strange.prefix(6).map { hex($0.id) }.joined(separator: " ")
    add(
      .R09, "\(strange.count) IDs of something else share the bus: \(list)\(strange.count > 6 ? " …" : "")",
      first: strange.map(\.first).min { $0.time < $1.time }, count: strange.reduce(0) { $0 + $1.count }, facts: loudest,
      expected: "only \(title(protocolName))")
  }

  // MARK: R09b

  /// Whether more frames come than should: frames that are only late come close to others as well.
  private func isTooMany(_ facts: IDFacts) -> Bool {
    guard let link = watch.link, facts.slot >= 0, let nominal = link.periods[Int(link.dissection.plan.slots[facts.slot].message)]
    else { return true }
    return Double(facts.meanPeriod) < 0.75 * Double(nominal)
  }

  private mutating func doubleSender() {
    let least = UInt64(threshold(.R09b, "cycles"))
    let share = threshold(.R09b, "share")
    for facts in watch.ids where watch.sender(facts) == .battery && facts.count >= least * 2 {
      let near = max(facts.nearOther, facts.nearSame)
      guard near >= least, Double(near) >= share * Double(facts.count) / 2, isTooMany(facts) else { continue }
      let isSame = facts.nearSame > facts.nearOther
      let what = isSame ? "with the same content" : "with other content"
      add(
        .R09b, "\(hex(facts.id)) \(watch.message(facts) ?? "") comes twice, \(what) (\(near) ×)", first: facts.firstNear,
        count: near,
        facts: facts, expected: "once each \(seconds(facts.meanPeriod * 2))")
      return
    }
    guard let monitor = watch.monitor, let link = watch.link, let battery = link.handshake.battery else { return }
    for (index, tally) in monitor.tallies.enumerated()
    where tally.asked >= least && tally.repeated >= least && Double(tally.repeated) >= share * Double(tally.asked) {
      let message = battery.emissions[battery.answers[index].emissions.lowerBound].message
      let name = link.dissection.messages[Int(message)].name
      // Late answers fall into the next question, but there are not more of them.
      let count = watch.facts(name).reduce(UInt64(0)) { $0 + $1.count }
      guard Double(count) > (1 + share) * Double(tally.asked) else { continue }
      add(
        .R09b, "\(name) and others come twice for one question (\(tally.repeated) frames too many in \(tally.asked) answers)",
        count: tally.repeated, facts: watch.facts(name).first, expected: "each message once an answer")
      return
    }
  }
}
