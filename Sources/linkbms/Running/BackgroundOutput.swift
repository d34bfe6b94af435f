import Dispatch
import HostIO
import Synchronization

/// Lines for people, written beside the control loop: whoever gives one never waits. Nothing says beforehand whether a write will wait:
/// a terminal that nobody reads says that it takes more and then does not, and a file always says so, however slow its disk is.
final class BackgroundOutput: Sendable {
  private let descriptor: Int32
  /// Who is to take the lines, in words.
  private let taker: String
  private let mark: String
  private let queue: DispatchQueue
  private let state = Mutex(State())

  private struct State {
    var lines: [String] = []
    /// Of all that wait.
    var bytes = 0
    /// Lines that were not taken since one was.
    var lost = 0
    /// The last one that was refused had begun.
    var isTorn = false
    var isWriting = false
  }

  /// Bytes that may wait.
  static let most = 64 << 10

  /// Writes to a descriptor that it does not own.
  /// - Parameters:
  ///   - name: of the descriptor, where it is no terminal.
  ///   - mark: begins the line that says how many were lost.
  init(descriptor: Int32, name: String, mark: String = "") {
    self.descriptor = descriptor
    self.mark = mark
    taker = TerminalDevice(descriptor: descriptor).isTerminal ? "the terminal" : name
    queue = DispatchQueue(label: "output")
  }

  /// Takes a line with its end, and returns at once. Where too many wait, the oldest make room: the last say how it is now.
  func write(_ line: String) {
    let begins = state.withLock { state in
      state.lines.append(line)
      state.bytes += line.utf8.count
      while state.bytes > BackgroundOutput.most {
        state.bytes -= state.lines.removeFirst().utf8.count
        state.lost += 1
      }
      guard !state.isWriting, !state.lines.isEmpty else { return false }
      state.isWriting = true
      return true
    }
    if begins { queue.async { [self] in work() } }
  }

  /// Waits until nothing is left to write, at most until `end`.
  /// - Returns: whether nothing is left.
  @discardableResult
  func finish(by end: DispatchTime) -> Bool {
    let isDone = DispatchSemaphore(value: 0)
    queue.async { isDone.signal() }
    return isDone.wait(timeout: end) == .success
  }

  private func work() {
    while let (line, lost, isTorn) = takeLine() {
      let note = lost == 0 ? "" : "\(mark)(\(lost) \(lost == 1 ? "line was" : "lines were") not taken by \(taker))\n"
      let bytes = Array("\(isTorn ? "\n" : "")\(note)\(line)".utf8)
      let taken = ByteOutput.writeWaiting(bytes, to: descriptor)
      state.withLock { state in
        // A reader that has left or a full disk ends nothing: there may be another one, or room again.
        guard taken == bytes.count else {
          state.lost += 1
          state.isTorn = state.isTorn || taken > 0
          return
        }
        state.lost -= lost
        state.isTorn = false
      }
    }
  }

  /// The next line, how many before it were lost, and whether the last one has an end.
  private func takeLine() -> (line: String, lost: Int, isTorn: Bool)? {
    state.withLock { state in
      guard !state.lines.isEmpty else {
        state.isWriting = false
        return nil
      }
      let line = state.lines.removeFirst()
      state.bytes -= line.utf8.count
      return (line: line, lost: state.lost, isTorn: state.isTorn)
    }
  }
}
