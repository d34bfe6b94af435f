import Bus
import Formats
import Protocols

/// One protocol as the plugin's tables hold it: every layout that its messages have in any reading, and which choice of readings means
/// which layout. All of it comes out of compiled plans, so that the plugin cuts and scales as `decode` does.
struct WiresharkProtocol {
  /// A dimension in which senders differ.
  struct Reading {
    var name: String
    var options: [String]
  }

  /// A named combination of readings and IDs.
  struct Variant {
    var name: String
    var title: String
    /// Index into `idSets`.
    var idSet: Int
    /// Option of each reading, from 0.
    var choice: [Int]
  }

  /// The IDs of a message: one, or one for each address.
  struct IDRow: Equatable {
    var message: Int
    var id: ArbitrationID
    /// First and last address and the distance of their IDs; `nil` for an ID without an address.
    var addresses: (first: Int, last: Int, step: UInt32)?

    static func == (one: IDRow, other: IDRow) -> Bool {
      one.message == other.message && one.id == other.id && one.addresses?.first == other.addresses?.first
        && one.addresses?.last == other.addresses?.last && one.addresses?.step == other.addresses?.step
    }
  }

  let definition: Definition
  let readings: [Reading]
  private(set) var idSets: [[IDRow]] = []
  private(set) var variants: [Variant] = []
  private(set) var messages: [WiresharkMessage] = []
  /// By index of `messages`: the name, with a number behind it where it occurs again.
  private var keys: [String] = []
  /// What the plugin cannot hold, for people.
  private(set) var omissions: [String] = []

  /// Beyond so many combinations only the first option of a dimension is taken.
  static let mostCombinations = 4096

  init(_ definition: Definition) {
    self.definition = definition
    var kept: [Sidecar.Reading] = []
    var count = 1
    for reading in definition.sidecar.readings where !reading.options.isEmpty {
      guard count * reading.options.count <= WiresharkProtocol.mostCombinations else {
        omissions.append("\(definition.protocolName): reading \(reading.name) is left out, there are too many combinations")
        continue
      }
      count *= reading.options.count
      kept.append(reading)
    }
    readings = kept.map { Reading(name: $0.name, options: $0.options.map(\.name)) }
    compileMessages(kept, count)
    compileVariants(kept)
  }

  // MARK: Messages

  private mutating func compileMessages(_ readings: [Sidecar.Reading], _ count: Int) {
    var builders: [WiresharkMessage.Builder] = []
    var places: [String: Int] = [:]
    for combination in 0..<count {
      var compiler = PlanCompiler()
      compiler.add(definition.dbc(readings: choice(readings, combination)), context)
      if combination == 0 { omissions += compiler.omissions.map { "\(definition.protocolName): \($0)" } }
      let dissection = compiler.finish()
      var names = UniqueNames()
      for (index, info) in dissection.messages.enumerated() {
        // A DBC may have one name twice, under two IDs.
        let key = names.take(info.name)
        let place = places[key] ?? builders.count
        if place == builders.count {
          places[key] = place
          keys.append(key)
          builders.append(WiresharkMessage.Builder(info, combinations: count))
        }
        builders[place].add(dissection, message: index, combination: combination)
      }
    }
    let sizes = readings.map(\.options.count)
    messages = builders.map { $0.finish(sizes: sizes) }
  }

  private var context: PlanCompiler.Context {
    var context = PlanCompiler.Context()
    context.roles = definition.sidecar.roles
    context.flags = definition.sidecar.flags
    context.textSignals = definition.sidecar.textSignals
    context.ids = { _ in [] }
    return context
  }

  /// The choice of a combination's number: the first reading changes slowest.
  private func choice(_ readings: [Sidecar.Reading], _ combination: Int) -> [String: String] {
    var rest = combination
    var result: [String: String] = [:]
    for reading in readings.reversed() {
      result[reading.name] = reading.options[rest % reading.options.count].name
      rest /= reading.options.count
    }
    return result
  }

  // MARK: Variants

  private mutating func compileVariants(_ readings: [Sidecar.Reading]) {
    idSets = [idRows(nil)]
    for variant in definition.sidecar.variants {
      let rows = idRows(variant)
      let place = idSets.firstIndex(of: rows) ?? idSets.count
      if place == idSets.count { idSets.append(rows) }
      let choice = readings.map { reading in
        let name = definition.option(of: reading, in: variant.readings)?.name
        return reading.options.firstIndex { $0.name == name } ?? 0
      }
      variants.append(Variant(name: variant.name, title: variant.title, idSet: place, choice: choice))
    }
  }

  private func idRows(_ variant: Sidecar.Variant?) -> [IDRow] {
    var rows: [IDRow] = []
    var known: [String: DBCMessage] = [:]
    for file in [definition.dbc] + definition.overlays.sorted(by: { $0.key < $1.key }).map(\.value) {
      var names = UniqueNames()
      for message in file.messages where !message.isOrphanBin {
        let key = names.take(message.name)
        if known[key] == nil { known[key] = message }
      }
    }
    for (index, key) in keys.enumerated() {
      guard let dbc = known[key] else { continue }
      let slots = definition.slots(of: dbc, variant: variant)
      guard let first = slots.first else { continue }
      if !first.hasAddress {
        rows += slots.map { IDRow(message: index, id: $0.id) }
      } else {
        let step = slots.count > 1 ? slots[1].id.rawValue &- first.id.rawValue : 1
        rows.append(
          IDRow(
            message: index, id: first.id,
            addresses: (Int(first.address), Int(first.address) + slots.count - 1, step)))
      }
    }
    return rows
  }
}
