import Bus
import Formats
import Protocols

/// What the frames of a bus say for one definition under one set of arbitration IDs.
struct EvidenceScore {
  let definition: Definition
  /// The variant whose IDs these are; `nil` for the definition's own.
  let idVariant: Sidecar.Variant?
  private(set) var weight = 0.0
  /// Messages seen: name → traffic under all its addresses.
  private(set) var seen: [String: [SeenID]] = [:]
  /// Sentences for each piece of evidence.
  private(set) var sentences: [(weight: Double, text: String)] = []
  private(set) var sides: Set<Side> = []

  /// One ID of a message.
  struct SeenID {
    var id: ArbitrationID
    var address: UInt8?
    var traffic: TrafficCensus.IDTraffic
  }

  init(_ definition: Definition, idVariant: Sidecar.Variant?, _ bus: TrafficCensus.BusTraffic) {
    self.definition = definition
    self.idVariant = idVariant
    for message in definition.dbc.messages {
      let found = definition.slots(of: message, variant: idVariant).compactMap { slot -> SeenID? in
        bus.ids[slot.id.rawValue].map { SeenID(id: slot.id, address: slot.hasAddress ? slot.address : nil, traffic: $0) }
      }
      if !found.isEmpty { seen[message.name] = found }
    }
    guard !seen.isEmpty else { return }
    let table = DecodeTable(reducedPlan())
    for evidence in definition.sidecar.identify { weight += add(evidence, table) }
  }

  /// The fraction of the bus's data frames that this definition knows.
  func explained(of bus: TrafficCensus.BusTraffic) -> Double {
    let known = seen.values.flatMap { $0 }.reduce(UInt64(0)) { $0 &+ $1.traffic.count }
    let all = bus.ids.values.reduce(UInt64(0)) { $0 &+ $1.count }
    return all == 0 ? 0 : Double(known) / Double(all)
  }

  var isNamed: Bool { weight >= definition.sidecar.needs && !seen.isEmpty }

  /// 0…0.99: half at the least that is needed, full at `certain`; below that, in proportion.
  var confidence: Double {
    let needs = definition.sidecar.needs
    let certain = max(definition.sidecar.certain, needs + 0.001)
    guard weight > 0 else { return 0 }
    guard weight >= needs else { return 0.45 * weight / needs }
    return min(0.99, 0.5 + 0.49 * (weight - needs) / (certain - needs))
  }

  /// IDs of all messages seen.
  var ids: Set<UInt32> { Set(seen.values.flatMap { $0.map(\.id.rawValue) }) }

  /// Messages seen of one side, in the definition's order.
  func messages(of side: Side) -> [String] {
    definition.dbc.messages.filter { seen[$0.name] != nil && sender($0.name) == side }.map(\.name)
  }

  func sender(_ message: String) -> Side? {
    definition.dbc.messages.first { $0.name == message }?.sender.flatMap { definition.sidecar.roles[$0] }
  }

  /// How often a message was seen.
  func count(_ message: String) -> UInt64 { seen[message]?.reduce(0) { $0 &+ $1.traffic.count } ?? 0 }

  /// The plan of the messages seen only: quick to make.
  func reducedPlan(readings: [String: String] = [:]) -> DissectionPlan {
    reduced.plan(variant: idVariant, readings: readings)
  }

  private var reduced: Definition {
    var dbc = definition.dbc
    dbc.messages = dbc.messages.filter { seen[$0.name] != nil }
    return Definition(sidecar: definition.sidecar, dbc: dbc, overlays: definition.overlays)
  }

  // MARK: Evidence

  /// The weight of one piece of evidence, counted for every message that shows it.
  private mutating func add(_ evidence: Sidecar.Evidence, _ table: DecodeTable) -> Double {
    var found: [String] = []
    for message in evidence.messages where holds(evidence, for: message, table) { found.append(message) }
    guard !found.isEmpty else { return 0 }
    let total = evidence.weight * Double(found.count)
    for message in found {
      if let side = evidence.side ?? sender(message) { sides.insert(side) }
    }
    sentences.append((total, sentence(evidence, found)))
    return total
  }

  func holds(_ evidence: Sidecar.Evidence, for message: String, _ table: DecodeTable) -> Bool {
    guard let traffic = seen[message] else { return false }
    let frames = traffic.flatMap(\.traffic.samples)
    guard !frames.isEmpty else { return false }
    if let length = evidence.length, !frames.allSatisfy({ Int($0.length) == length }) { return false }
    if let text = evidence.text, !frames.contains(where: { EvidenceScore.contains($0, text) }) { return false }
    for (signal, values) in evidence.when {
      for frame in frames {
        guard let slot = table.slot(of: frame) else { return false }
        let range = Int(table.slots[slot].first)..<Int(table.slots[slot].end)
        guard let index = range.first(where: { table.dissection.signals[$0].name == signal }),
          let raw = table.raw(index, slot: slot, in: frame), values.contains(raw)
        else { return false }
      }
    }
    return true
  }

  private static func contains(_ frame: CANFrame, _ text: String) -> Bool {
    let bytes = (0..<frame.payloadLength).map { frame.byte($0) }
    let wanted = Array(text.utf8)
    guard !wanted.isEmpty, bytes.count >= wanted.count else { return false }
    return (0...bytes.count - wanted.count).contains { bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
  }

  private func sentence(_ evidence: Sidecar.Evidence, _ found: [String]) -> String {
    let names = found.prefix(4).map { message -> String in
      let id = seen[message]?.first.map { FrameText.text($0.id) } ?? ""
      return "\(message) (\(id)) \(count(message)) ×"
    }
    let more = found.count > 4 ? " and \(found.count - 4) more" : ""
    let text = evidence.text.map { " with the text \"\($0)\"" } ?? ""
    let side = evidence.side.map { ", the \($0.rawValue)'s side" } ?? ""
    let against = evidence.weight < 0 ? "against it: " : ""
    return "\(against)\(names.joined(separator: ", "))\(more)\(text)\(side)"
  }
}
