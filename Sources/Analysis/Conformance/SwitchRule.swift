import Bus
import Formats
import Protocols

/// The battery side was set to another protocol, and the inverter goes on as if nothing had happened: R08 (diagnostics.md §5, rank 27).
extension BusJudge {
  mutating func latched() {
    guard let definition = watch.link?.definition, definition.sidecar.handshake.quirks["needsPowerCycle", default: 0] > 0 else {
      return
    }
    let own = watch.ids.filter { watch.sender($0) == .battery }
    guard let began = own.map(\.first).min(by: { $0.time < $1.time }), let earlier = earlierProtocol(before: began) else { return }
    let asking = watch.ids.filter { watch.sender($0) == .inverter }
    let before = asking.filter { $0.first.time < earlier.last.time }
    // A question that is new since then says that it has looked.
    guard !before.isEmpty, before.count == asking.count, let loudest = before.max(by: { $0.count < $1.count }) else { return }
    let since = loudest.last.time &- began.time
    guard Double(since) >= threshold(.R08, "seconds") * 1e9 else { return }
    let current = watch.values.extent(.packCurrent)
    let most = Int64(threshold(.R08, "amperes") * 1000)
    guard current.count == 0 || (current.lowest >= -most && current.highest <= most) else { return }
    add(
      .R08,
      "the battery side changed from \(title(earlier.name)) to \(title(protocolName)) at \(moment(began)); for \(seconds(since)) the inverter asks as before and takes no current",
      first: began, last: loudest.last, count: loudest.count, facts: loudest,
      expected: "an inverter that begins anew once it is answered in its own protocol")
  }

  /// What the battery side spoke before, and had stopped speaking when it began with what it speaks now.
  private func earlierProtocol(before began: IDFacts.Mark) -> (name: String, last: IDFacts.Mark)? {
    for verdict in watch.identification.others where verdict.sides.contains(.battery) {
      guard let name = verdict.protocolName, let definition = library.definition(name) else { continue }
      let ids = Set(
        definition.dbc.messages.filter { $0.sender.flatMap { definition.sidecar.roles[$0] } == .battery }.flatMap {
          definition.slots(of: $0, variant: nil)
        }.map(\.id))
      let seen = watch.ids.filter { $0.slot < 0 && ids.contains($0.id) }
      guard seen.count >= 3, let last = seen.map(\.last).max(by: { $0.time < $1.time }) else { continue }
      // A cycle of a slow battery may still be under way when the new one begins.
      if last.time <= began.time &+ 1_000_000_000 { return (name, last) }
    }
    return nil
  }
}
