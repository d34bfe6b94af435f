import Bus
public import Formats

/// Says from a capture alone which protocol each bus speaks, in which variant, from which address and from which sides.
///
/// What is unknown is said to be unknown: a protocol is named only where its definition's evidence reaches what the definition needs.
public struct ProtocolIdentifier: Sendable {
  private let library: DefinitionLibrary

  /// Identifies by the definitions of a library.
  public init(_ library: DefinitionLibrary) { self.library = library }

  /// One verdict a bus.
  public func identify(_ census: TrafficCensus) -> [BusIdentification] { census.buses.map(identify) }

  /// The verdict on one bus.
  public func identify(_ bus: TrafficCensus.BusTraffic) -> BusIdentification {
    var result = BusIdentification(bus: bus.name)
    guard !bus.ids.isEmpty else {
      result.doubts = silence(bus)
      return result
    }
    let scores = self.scores(bus)
    let named = scores.filter(\.isNamed)
    if let best = named.first {
      let others = others(best, named.dropFirst())
      describe(best, bus, known: others.reduce(best.ids) { $0.union($1.ids) }, &result)
      result.others = others.map { score in
        var other = BusIdentification(bus: bus.name)
        describe(score, bus, known: Set(bus.ids.keys), &other)
        return other
      }
      result.doubts += conflicts(best, others)
    } else {
      result.evidence = ["\(bus.ids.count) arbitration IDs, none of a protocol that is known: \(idList(Array(bus.ids.keys)))"]
      result.confidence = 0
    }
    let spoken = Set([result.protocolName] + result.others.map(\.protocolName))
    result.alternatives += scores.filter { !spoken.contains($0.definition.protocolName) && $0.confidence >= 0.05 }
      .prefix(4).map {
        .init(protocolName: $0.definition.protocolName, variant: $0.idVariant?.name, confidence: rounded($0.confidence))
      }
    result.doubts += widthDoubts(bus, named.first, named.reduce(into: Set<UInt32>()) { $0.formUnion($1.ids) })
    if bus.errors > 0 { result.doubts.append(errorDoubt(bus)) }
    return result
  }

  /// Every definition under every set of IDs it has, best first; a definition once.
  private func scores(_ bus: TrafficCensus.BusTraffic) -> [EvidenceScore] {
    var scores: [EvidenceScore] = []
    for definition in library.definitions {
      var candidates = [EvidenceScore(definition, idVariant: nil, bus)]
      for variant in definition.sidecar.variants where variant.ids != nil {
        candidates.append(EvidenceScore(definition, idVariant: variant, bus))
      }
      if let best = candidates.max(by: { ($0.weight, $0.explained(of: bus)) < ($1.weight, $1.explained(of: bus)) }), best.weight > 0
      {
        scores.append(best)
      }
    }
    return scores.sorted {
      ($0.isNamed ? 1 : 0, $0.confidence, $0.explained(of: bus)) > ($1.isNamed ? 1 : 0, $1.confidence, $1.explained(of: bus))
    }
  }

  // MARK: The best

  /// - Parameter known: IDs that this protocol or another one on the bus explains.
  private func describe(
    _ best: EvidenceScore, _ bus: TrafficCensus.BusTraffic, known: Set<UInt32>, _ result: inout BusIdentification
  ) {
    result.protocolName = best.definition.protocolName
    result.confidence = rounded(best.confidence)
    result.sides = [Side.inverter, .battery].filter { best.sides.contains($0) || !best.messages(of: $0).isEmpty }
    result.evidence = best.sentences.sorted { $0.weight > $1.weight }.filter { $0.weight > 0 }.map(\.text)
    result.doubts += best.sentences.filter { $0.weight < 0 }.map(\.text)
    let strange = bus.ids.filter { !known.contains($0.key) }
    if !strange.isEmpty {
      let frames = strange.values.reduce(UInt64(0)) { $0 &+ $1.count }
      let all = bus.ids.values.reduce(UInt64(0)) { $0 &+ $1.count }
      result.doubts.append("\(frames) of \(all) frames are of no known protocol: \(idList(Array(strange.keys)))")
    }
    result.address = address(best, &result)
    if !best.messages(of: .battery).isEmpty { readings(best, &result) } else { result.variant = variantByEvidence(best, bus) }
    result.doubts += oneSided(best)
  }

  /// The battery's address, from the IDs that carry one.
  private func address(_ best: EvidenceScore, _ result: inout BusIdentification) -> UInt8? {
    var counts: [UInt8: UInt64] = [:]
    for message in best.messages(of: .battery) {
      for place in best.seen[message] ?? [] {
        if let address = place.address { counts[address, default: 0] &+= place.traffic.count }
      }
    }
    let ordered = counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
    if ordered.count > 1 {
      let list = ordered.map { "\($0.key) (\($0.value) frames)" }.joined(separator: ", ")
      result.doubts.append("frames of several addresses: \(list): several batteries, or one whose address was set halfway")
    }
    return ordered.first?.key
  }

  /// The variant whose readings fit, and what the traffic says of each dimension.
  private func readings(_ best: EvidenceScore, _ result: inout BusIdentification) {
    let definition = best.definition
    let score = ReadingScore(best)
    for margin in score.margins where margin.lead > 0.005 {
      result.evidence.append(
        "\(margin.reading.title): \(margin.chosen.title) (\(percent(margin.plausible)) of the values plausible, with"
          + " \"\(margin.rival.title)\" \(percent(margin.rivalPlausible)))")
    }
    let candidates = definition.sidecar.variants.filter { ($0.ids == nil) == (best.idVariant == nil) }
      .map { (variant: $0, fit: score.fit(of: $0, definition), rank: rank($0, best, result.address)) }
    // Readings that are as plausible may be meant if something else speaks for the variant.
    let possible = candidates.filter { $0.fit == .same || ($0.fit == .tied && $0.rank > 1) }
    var chosen = possible.first
    for candidate in possible.dropFirst() {
      guard let current = chosen else { break }
      let bonus = { (fit: ReadingScore.Fit) in fit == .same ? 0.1 : 0 }
      if candidate.rank + bonus(candidate.fit) > current.rank + bonus(current.fit) { chosen = candidate }
    }
    if let chosen {
      result.variant = chosen.variant.name
      if let wanted = chosen.variant.address, let found = result.address, Int(found) != wanted {
        result.doubts.append("address \(found), where \(chosen.variant.name) has \(wanted)")
      }
      for other in possible where other.variant.name != chosen.variant.name && other.rank >= chosen.rank {
        result.alternatives.append(
          .init(protocolName: definition.protocolName, variant: other.variant.name, confidence: rounded(best.confidence * 0.5)))
      }
    } else {
      odd(score, best, &result)
    }
    result.doubts += tieDoubts(score, definition, chosen: chosen?.variant.readings ?? score.choice)
    if score.plausibility < 0.6 {
      result.doubts.append("only \(percent(score.plausibility)) of the values are plausible in the best reading")
    }
  }

  /// Readings that would be as plausible as the one taken.
  private func tieDoubts(_ score: ReadingScore, _ definition: Definition, chosen: [String: String]) -> [String] {
    var doubts: [String] = []
    for reading in definition.sidecar.readings {
      let taken = definition.option(of: reading, in: chosen)
      for choice in [score.choice] + score.ties where choice[reading.name] != taken?.name {
        // Only where that one dimension makes the difference: combinations would say the same again.
        let others = definition.sidecar.readings.filter { $0.name != reading.name && choice[$0.name] != score.choice[$0.name] }
        guard others.isEmpty, let rival = reading.options.first(where: { $0.name == choice[reading.name] }) else { continue }
        doubts.append("as plausible: \(reading.title): \(rival.title)")
      }
    }
    return doubts
  }

  /// What speaks for a variant beside its readings: evidence of its own, and the address.
  private func rank(_ variant: Sidecar.Variant, _ best: EvidenceScore, _ address: UInt8?) -> Double {
    var rank = best.weight(of: variant.identify)
    if let wanted = variant.address, let address { rank += Int(address) == wanted ? 1.5 : -1 }
    return rank
  }

  /// No named variant decodes so: the nearest one, with the readings in which the traffic differs.
  private func odd(_ score: ReadingScore, _ best: EvidenceScore, _ result: inout BusIdentification) {
    let definition = best.definition
    let candidates = definition.sidecar.variants.filter { ($0.ids == nil) == (best.idVariant == nil) }
    // Of those that differ in as much the first of the file: they stand there as they are met.
    let distances = candidates.map { (variant: $0, distance: score.differences(from: $0, of: definition).count) }
    guard let nearest = distances.min(by: { $0.distance < $1.distance })?.variant else { return }
    let differences = score.differences(from: nearest, of: definition)
    result.variant = nearest.name
    result.readings = differences
    for reading in definition.sidecar.readings {
      guard let option = differences[reading.name].flatMap({ name in reading.options.first { $0.name == name } }) else { continue }
      result.doubts.append("no known variant: like \(nearest.name), but \(reading.title): \(option.title)")
    }
  }

  /// With only the inverter's side there are no values: a variant is named only if something of its own was seen.
  private func variantByEvidence(_ best: EvidenceScore, _ bus: TrafficCensus.BusTraffic) -> String? {
    if let variant = best.idVariant { return variant.name }
    return best.definition.sidecar.variants.filter { best.weight(of: $0.identify) > 0 }
      .max { best.weight(of: $0.identify) < best.weight(of: $1.identify) }?.name
  }

  // MARK: Doubts

  private func oneSided(_ best: EvidenceScore) -> [String] {
    let battery = best.messages(of: .battery)
    let inverter = best.messages(of: .inverter)
    if battery.isEmpty, let request = inverter.first {
      return ["only the inverter's side: \(request) \(best.count(request)) ×, and no answer of a battery"]
    }
    if inverter.isEmpty, !battery.isEmpty { return ["only the battery's side: nothing of an inverter"] }
    return []
  }

  /// Other protocols with frames of their own on the same bus.
  private func others(_ best: EvidenceScore, _ rest: ArraySlice<EvidenceScore>) -> [EvidenceScore] {
    var known = best.ids
    var result: [EvidenceScore] = []
    for score in rest where score.ids.subtracting(known).count >= 2 {
      known.formUnion(score.ids)
      result.append(score)
    }
    return result
  }

  /// An inverter that asks in one protocol and a battery that speaks another: the commonest failure of all (diagnostics.md §3).
  private func conflicts(_ best: EvidenceScore, _ others: [EvidenceScore]) -> [String] {
    let all = [best] + others
    var doubts: [String] = []
    for asking in all where asking.messages(of: .battery).isEmpty && !asking.messages(of: .inverter).isEmpty {
      for speaking in all where !speaking.messages(of: .battery).isEmpty && speaking.messages(of: .inverter).isEmpty {
        doubts.append(
          "the inverter asks in \(asking.definition.protocolName), the battery speaks \(speaking.definition.protocolName): set both to one"
        )
      }
    }
    return doubts
  }

  /// Numbers of a protocol under the other width: 11-bit where 29-bit is expected, or the reverse.
  private func widthDoubts(_ bus: TrafficCensus.BusTraffic, _ best: EvidenceScore?, _ known: Set<UInt32>) -> [String] {
    var doubts: [String] = []
    for definition in library.definitions {
      let expected = Set(definition.dbc.messages.flatMap { definition.slots(of: $0, variant: nil) }.map(\.id.rawValue))
      let other = bus.ids.keys.sorted().filter { raw in
        !expected.contains(raw) && expected.contains(raw ^ 0x8000_0000) && !known.contains(raw)
      }
      guard other.count >= (best == nil ? 2 : 3), definition.sidecar.extends == nil else { continue }
      let sent = other[0] & 0x8000_0000 != 0 ? "29-bit" : "11-bit"
      let meant = other[0] & 0x8000_0000 != 0 ? "11-bit" : "29-bit"
      doubts.append("\(idList(other)): sent with \(sent) IDs; \(definition.protocolName) has these numbers as \(meant) IDs")
    }
    return doubts + twinDoubts(bus, best)
  }

  /// The 11-bit twin on one side and 29-bit frames on the other.
  private func twinDoubts(_ bus: TrafficCensus.BusTraffic, _ best: EvidenceScore?) -> [String] {
    guard let best else { return [] }
    var doubts: [String] = []
    for variant in best.definition.sidecar.variants {
      guard let ids = variant.ids else { continue }
      let twin = EvidenceScore(best.definition, idVariant: best.idVariant == nil ? variant : nil, bus)
      let extra = twin.ids.subtracting(best.ids)
      guard !extra.isEmpty else { continue }
      let width = (best.idVariant == nil) == (ids.width == .standard) ? "11-bit" : "29-bit"
      let side = twin.messages(of: .battery).isEmpty ? "the inverter" : "the battery"
      doubts.append("\(side) sends \(idList(Array(extra))) with \(width) IDs, the other side does not: both must use one width")
      break
    }
    return doubts
  }

  private func silence(_ bus: TrafficCensus.BusTraffic) -> [String] {
    if bus.errors > 0 {
      return ["only error frames, no good one: wrong bit rate, crossed wires or missing termination", errorDoubt(bus)]
    }
    return ["no data frames"]
  }

  private func errorDoubt(_ bus: TrafficCensus.BusTraffic) -> String {
    var kinds: [String] = []
    if bus.errorClasses & 0x20 != 0 { kinds.append("no acknowledgement: nobody else on the bus hears these frames") }
    if bus.errorClasses & 0x40 != 0 { kinds.append("bus-off") }
    if bus.errorClasses & 0x8 != 0 { kinds.append("protocol violations: bit rate, wiring or termination") }
    if bus.errorClasses & 0x4 != 0 { kinds.append("controller warnings") }
    return "\(bus.errors) error frames" + (kinds.isEmpty ? "" : " (" + kinds.joined(separator: "; ") + ")")
  }

  private func idList(_ ids: [UInt32]) -> String {
    let sorted = ids.sorted { ($0 & 0x1FFF_FFFF, $0) < ($1 & 0x1FFF_FFFF, $1) }.map { FrameText.text(ArbitrationID(rawValue: $0)) }
    return sorted.prefix(6).joined(separator: " ") + (sorted.count > 6 ? " … (\(sorted.count))" : "")
  }

  private func percent(_ fraction: Double) -> String { "\(Int((fraction * 100).rounded())) %" }

  private func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

extension EvidenceScore {
  /// What evidence of a variant adds.
  func weight(of list: [Sidecar.Evidence]) -> Double {
    guard !list.isEmpty else { return 0 }
    let table = DecodeTable(reducedPlan())
    return list.reduce(0) { total, evidence in
      total + evidence.weight * Double(evidence.messages.filter { holds(evidence, for: $0, table) }.count)
    }
  }
}
