import Dispatch
import HostIO
import Synchronization

/// Waits for the end of another program while the jobs of the prompt go on.
enum ChildWait {
  /// So much later the end is noticed at most; nothing that a job waits for has to wait for that.
  private static let step_ns: Int64 = 20_000_000

  /// How a program ended. What jobs have to say on the terminal comes then: until then the terminal is the program's.
  static func end(of child: ChildProcess, servingJobsOf live: LiveHub) -> ChildProcess.End {
    guard live.isBusy else { return child.wait() }
    let result = EndOfChild()
    DispatchQueue(label: "child").async { result.tell(child.wait()) }
    while true {
      live.pump(.now)
      live.writeFiles()
      if let end = result.end { return end }
      _ = live.wait([], until_ns: PortPoller.now_ns &+ step_ns)
    }
  }
}

/// Where the thread that waits leaves what it learns.
private final class EndOfChild: Sendable {
  private let place = Mutex<ChildProcess.End?>(nil)

  var end: ChildProcess.End? { place.withLock { $0 } }
  func tell(_ end: ChildProcess.End) { place.withLock { $0 = end } }
}
