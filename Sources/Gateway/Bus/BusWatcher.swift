public import Analysis
private import Dispatch
public import Formats
private import Synchronization

/// Follows the inverter's bus from the mailbox, twice a second, whether or not somebody looks: a finding may be hours old.
public final class BusWatcher: Sendable {
  private struct State {
    var book: BusPorts
    var seen: UInt64 = 0
    var ticks = 0
  }
  private let hub: SnapshotHub
  private let state: Mutex<State>
  private let queue = DispatchQueue(label: "linkbms.bus", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to follow.
  /// - Parameter ports: names of the inverter's ports, by the place that their frames carry.
  public init(hub: SnapshotHub, library: DefinitionLibrary, book: RuleBook, ports: [String] = []) {
    self.hub = hub
    state = Mutex(State(book: BusPorts(ports, library, book)))
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now(), repeating: .milliseconds(500), leeway: .milliseconds(50))
    timer.setEventHandler { [weak self] in self?.look() }
    timer.activate()
  }

  /// Ends.
  public func stop() {
    timer.cancel()
    queue.sync {}
  }

  private func look() {
    state.withLock { state in
      let (frames, count) = hub.frames(after: state.seen)
      state.seen = count
      state.book.take(frames)
      state.ticks += 1
      // The judgement is of the whole: every two seconds is often enough.
      if state.ticks % 4 == 1 { state.book.judge() }
    }
  }

  /// Lines of a port after `number`, and how it stands there; `nil` where there is no such port.
  func view(port place: Int, after number: UInt64) -> BusView? {
    state.withLock { state in
      guard state.book.ports.indices.contains(place) else { return nil }
      let port = state.book.ports[place]
      return BusView(
        ports: state.book.ports.map(\.name), place: place, lines: port.analysis.lines.filter { $0.number > number },
        report: port.report)
    }
  }
}
