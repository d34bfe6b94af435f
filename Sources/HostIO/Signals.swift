private import CSignals
private import Glibc

/// The signals the tool lives with, as flags to look at between two pieces of work.
///
/// A handler only sets a flag (Sources/CSignals); blocked reads and writes return `EINTR`, so that their loop gets to look.
public enum Signals {
  /// What a second Ctrl-C does before the first was looked at.
  public enum SecondStop: Sendable {
    /// Ends the process with 128 + n: on the command line a command that never looks must still be stoppable.
    case endsProcess
    /// Nothing more: at the prompt Ctrl-C stops a command, never the shell.
    case isRemembered
  }

  /// Takes SIGINT, SIGTERM and SIGHUP, unless the parent had them ignored, and ignores SIGPIPE: a reader that went away is an
  /// ordinary error of `write`.
  public static func install(onSecondStop second: SecondStop) { signals_install(second == .endsProcess) }

  /// The number of the signal that asked to stop (2 = Ctrl-C), `nil` if none since `clearStop`.
  @inline(__always) public static var stopRequest: Int32? {
    let number = signals_stop()
    return number == 0 ? nil : number
  }

  /// `stopRequest`, which is forgotten with that: a signal that comes meanwhile is not.
  public static func takeStop() -> Int32? {
    let number = signals_take_stop()
    return number == 0 ? nil : number
  }

  /// Forgets a Ctrl-C that has been acted upon.
  public static func clearStop() { signals_clear_stop() }

  /// Wakes a `LineEditor` that waits for keys; callable from any thread.
  public static func wake() { signals_wake() }
}

extension Signals {
  /// Waits, at most until a stop signal comes.
  /// - Parameter seconds: 0 or more.
  public static func sleep(seconds: Double) {
    let end = ContinuousClock.now + .seconds(seconds)
    while stopRequest == nil, ContinuousClock.now < end {
      let left = (end - ContinuousClock.now) / .milliseconds(1)
      // The pipe is readable from the moment a signal came, even one before this line.
      var source = pollfd(fd: signals_wake_descriptor(), events: Int16(POLLIN), revents: 0)
      if poll(&source, 1, Int32(clamping: Int(max(1, min(left, 60_000))))) > 0 { signals_drain() }
    }
  }
}
