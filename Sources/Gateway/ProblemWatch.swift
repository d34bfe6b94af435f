private import Dispatch
private import Synchronization

/// What is wrong beside the pages (the history, the cloud), as lines for whoever started them: each change once, and a word when it is
/// over. It is looked at on a thread of its own, for a disk or a network may hold up who asks; who takes the lines never waits.
public final class ProblemWatch: Sendable {
  /// Something that may have a problem.
  public struct Source: Sendable {
    let name: String
    let problem: @Sendable () -> String?

    /// - Parameters:
    ///   - name: stands before its lines.
    ///   - problem: what is wrong with it now; `nil` while all is well.
    public init(_ name: String, problem: @Sendable @escaping () -> String?) {
      self.name = name
      self.problem = problem
    }
  }

  private struct State {
    var told: [String?]
    var news: [String] = []
  }

  /// Lines that are kept for somebody who does not take them.
  static let room = 100

  private let sources: [Source]
  private let state: Mutex<State>
  private let queue = DispatchQueue(label: "linkbms.problems", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to look, each second.
  public init(_ sources: [Source]) {
    self.sources = sources
    state = Mutex(State(told: [String?](repeating: nil, count: sources.count)))
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(200))
    timer.setEventHandler { [weak self] in self?.look() }
    timer.activate()
  }

  deinit { timer.cancel() }

  /// Ends.
  public func stop() { timer.cancel() }

  /// What is to be said, once. Never waits: what just comes is given the next time.
  public func takeNews() -> [String] {
    state.withLockIfAvailable { state in
      defer { state.news = [] }
      return state.news
    } ?? []
  }

  /// Looks now.
  func lookNow() { queue.sync { look() } }

  private func look() {
    let problems = sources.map { $0.problem() }
    state.withLock { state in
      for (index, problem) in problems.enumerated() where ProblemWatch.kind(problem) != ProblemWatch.kind(state.told[index]) {
        state.told[index] = problem
        state.news.append("\(sources[index].name): \(problem ?? "all is well again")")
      }
      if state.news.count > ProblemWatch.room { state.news.removeFirst(state.news.count - ProblemWatch.room) }
    }
  }

  /// A problem without its numbers: one more message that was lost is no news.
  private static func kind(_ problem: String?) -> String? { problem.map { $0.filter { !$0.isNumber } } }
}
