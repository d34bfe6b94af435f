public import Analysis
private import Dispatch
public import Formats
private import Synchronization

/// Follows the inverter's bus from the mailbox, twice a second, whether or not somebody looks: a finding may be hours old.
public final class BusWatcher: Sendable {
  private struct State {
    var analysis: BusAnalysis
    var seen: UInt64 = 0
    var report = BusAnalysis.Report()
    var ticks = 0
  }
  private let hub: SnapshotHub
  private let state: Mutex<State>
  private let queue = DispatchQueue(label: "linkbms.bus", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to follow.
  public init(hub: SnapshotHub, library: DefinitionLibrary, book: RuleBook) {
    self.hub = hub
    state = Mutex(State(analysis: BusAnalysis(library, book)))
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
      state.analysis.take(frames)
      state.ticks += 1
      // The judgement is of the whole: every two seconds is often enough.
      if state.ticks % 4 == 1 { state.report = state.analysis.report }
    }
  }

  /// Lines after `number`, and how it stands.
  func view(after number: UInt64) -> (lines: [BusAnalysis.Line], report: BusAnalysis.Report) {
    state.withLock { ($0.analysis.lines.filter { $0.number > number }, $0.report) }
  }
}
