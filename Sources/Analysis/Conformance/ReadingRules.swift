import Bus
import Formats
import Protocols

/// Bytes that mean something else to the sender than to the reader: R10, R10b, R11, R12, R13a, R17 by reading (diagnostics.md §5). The
/// values of all other rules are those of the reading that fits.
extension BusJudge {
  mutating func readingRules() {
    guard let definition = watch.link?.definition, watch.identification.sides.contains(.battery) else { return }
    let variant = definition.variant(watch.identification.variant)
    let taken = (variant?.readings ?? [:]).merging(watch.identification.readings) { $1 }
    let inverter = site.inverter.flatMap { book.inverters[$0] }
    for reading in definition.sidecar.readings {
      guard let rule = book.readingRules[reading.name], let option = definition.option(of: reading, in: taken) else { continue }
      let cycles = watch.values.cycles
      guard cycles >= 3 || watch.values.extent(.packVoltage).count >= 1 else { continue }
      if let wanted = inverter?.readings[reading.name], wanted != option.name,
        let meant = reading.options.first(where: { $0.name == wanted })
      {
        differ(rule, reading, option, meant, definition, "a \(inverter?.title ?? "") reads")
      } else if inverter == nil, watch.identification.readings[reading.name] != nil {
        let own = definition.option(of: reading, in: variant?.readings ?? [:])
        guard let own, own.name != option.name else { continue }
        differ(rule, reading, option, own, definition, "\(variant?.name ?? protocolName ?? "") has")
      } else if inverter == nil, rule == .R10, option.name != reading.options.first?.name, let usual = reading.options.first {
        // A named dialect that most inverters do not read.
        differ(rule, reading, option, usual, definition, "most inverters read", severity: .note)
      }
    }
  }

  private mutating func differ(
    _ rule: RuleID, _ reading: Sidecar.Reading, _ found: Sidecar.Option, _ wanted: Sidecar.Option, _ definition: Definition,
    _ who: String, severity: FindingSeverity? = nil
  ) {
    guard !findings.contains(where: { $0.rule == rule }) else { return }
    let example = self.example(reading, wanted, definition)
    add(
      rule, "\(reading.title): sent is \"\(found.title)\", \(who) \"\(wanted.title)\"" + (example.map { ": \($0.text)" } ?? ""),
      severity: severity, count: example?.facts.count ?? 1, facts: example?.facts, expected: "\(reading.title): \(wanted.title)",
      fix: "switch the battery side to \"\(wanted.title)\"")
  }

  /// The first signal of a message seen whose value differs under the two readings.
  private func example(
    _ reading: Sidecar.Reading, _ wanted: Sidecar.Option, _ definition: Definition
  ) -> (text: String, facts: IDFacts)? {
    guard let link = watch.link else { return nil }
    var choice = watch.identification.readings
    choice[reading.name] = wanted.name
    let other = definition.plan(variant: definition.variant(watch.identification.variant), readings: choice)
    let changed = Set(reading.options.flatMap { $0.changes.flatMap(\.signals) })
    for facts in watch.ids where facts.slot >= 0 {
      guard let slot = other.plan.slot(of: facts.id) else { continue }
      let own = link.dissection.plan.messages[Int(link.dissection.plan.slots[facts.slot].message)]
      let message = other.plan.messages[Int(other.plan.slots[slot].message)]
      guard own.signalCount == message.signalCount else { continue }
      for offset in 0..<Int(own.signalCount) {
        let info = link.dissection.signals[Int(own.firstSignal) + offset]
        guard changed.contains(info.name) else { continue }
        let here = link.dissection.plan.signals[Int(own.firstSignal) + offset].thousandths(facts.head, scale: 1000)
        let there = other.plan.signals[Int(message.firstSignal) + offset].thousandths(facts.head, scale: 1000)
        guard here != there else { continue }
        return ("\(hex(facts.id)) \(info.name) means \(text(here, info.unit)) and is read as \(text(there, info.unit))", facts)
      }
    }
    return nil
  }
}
