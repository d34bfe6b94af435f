private import CReadline
private import CSignals
private import Glibc

/// What TAB offers for one word.
public enum Completion: Sendable, Equatable {
  /// These words, completed further after choosing one (`--format=`) if `continues`.
  case words([String], continues: Bool = false)
  /// Names of files.
  case files
}

/// A prompt with line editing, on GNU readline's callback interface.
///
/// Its loop waits for keys and for a pipe that signals and other threads write to, so output appears above the prompt while a line is
/// being typed. One at a time in a process: readline has one state.
public final class LineEditor {
  /// What came from the person.
  public enum Event: Sendable, Equatable {
    /// A complete line; with newlines inside where several were pasted.
    case line(String)
    /// Ctrl-D on an empty line, or the terminal went away.
    case end
    /// A signal that ends the process: SIGTERM 15, SIGHUP 1.
    case stopped(signal: Int32)
  }

  /// Chooses what TAB offers: the line up to the cursor, and the byte offset where the word begins.
  public typealias Completer = (_ line: String, _ wordStart: Int) -> Completion

  private let completer: Completer
  private let input = TerminalDevice(descriptor: STDIN_FILENO)
  private let settings: TerminalDevice.Settings?

  /// Takes the terminal on standard input.
  /// - Parameter program: name for conditional lines in the person's `~/.inputrc`.
  public init(program: StaticString, completer: @escaping Completer) {
    self.completer = completer
    settings = input.keepInputOnInterrupt()
    signals_install_prompt()
    let promptOnError = !TerminalDevice(descriptor: STDOUT_FILENO).isTerminal
    program.withUTF8Buffer { name in
      name.withMemoryRebound(to: CChar.self) { name in
        prompt_begin(name.baseAddress, Unmanaged.passUnretained(self).toOpaque(), Self.complete, promptOnError)
      }
    }
  }

  deinit {
    prompt_end()
    if let settings { input.restore(settings) }
  }

  /// Shows the prompt and waits for a line. Ctrl-C drops the line being typed and stays here.
  /// - Parameters:
  ///   - waits: what else to wait for: descriptors, and a monotonic time in ns.
  ///   - endsOnInterrupt: Ctrl-C ends the question instead of the line being typed; `Signals.stopRequest` keeps it.
  ///   - idle: asked once a second, after `Signals.wake()` and when one of `waits` came, for text to show above the prompt: whole lines.
  public func readLine(
    prompt: String, endsOnInterrupt: Bool = false,
    waits: () -> (descriptors: [Int32], until_ns: Int64) = { ([], .max) }, idle: () -> String
  ) -> Event {
    if endsOnInterrupt {
      // It came while the question was printed, and is meant for it.
      let stop = signals_stop()
      if stop != 0 { return .stopped(signal: stop) }
    } else {
      signals_clear_stop()
    }
    signals_catch_suspend(true)
    prompt_take(prompt, endsOnInterrupt)
    defer {
      prompt_release()
      signals_catch_suspend(false)
    }
    while true {
      switch prompt_current_state() {
      case prompt_line: return .line(prompt_finished_line().map { String(cString: $0) } ?? "")
      case prompt_eof: return .end
      default: break
      }
      let (descriptors, until_ns) = waits()
      let hasKeys = waitForKeys(descriptors, until_ns)
      if let signal = handleSignals(endsOnInterrupt) { return .stopped(signal: signal) }
      let text = idle()
      if !text.isEmpty { writeAbove(text) }
      // After a signal the keys are looked for again, or those typed right behind Ctrl-C would wait for the next key.
      if hasKeys { prompt_feed() }
    }
  }

  /// Shows text above the line being typed, which stays as it is. `text` ends with a newline.
  public func writeAbove(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { prompt_write_above($0.baseAddress, Int32(clamping: $0.count)) }
    }
  }

  /// Waits at most a second; whether the terminal is readable, or gone (which reading then tells).
  private func waitForKeys(_ descriptors: [Int32], _ until_ns: Int64) -> Bool {
    let second = PortPoller.now_ns &+ 1_000_000_000
    return PortPoller.wait([STDIN_FILENO] + descriptors, until_ns: min(second, until_ns)).first ?? false
  }

  /// Acts on what came; the signal that ends the process, if one did.
  private func handleSignals(_ endsOnInterrupt: Bool) -> Int32? {
    let stop = signals_stop()
    if stop == SIGINT, !endsOnInterrupt {
      signals_clear_stop()
      prompt_discard_line()
    } else if stop != 0 {
      if stop == SIGINT { prompt_interrupted() }
      return stop
    }
    if signals_take_resize() { prompt_resized() }
    if signals_take_suspend() { suspend() }
    return nil
  }

  /// Ctrl-Z: gives the terminal back, stops as every program does, and takes it again when continued.
  private func suspend() {
    prompt_suspend()
    signals_catch_suspend(false)
    kill(getpid(), SIGTSTP)
    signals_catch_suspend(true)
    _ = input.keepInputOnInterrupt()
    prompt_resume()
  }

  private static let complete: prompt_completer = { context, line, _, start, end, candidates in
    guard let context, let line else { return }
    let editor = Unmanaged<LineEditor>.fromOpaque(context).takeUnretainedValue()
    let bytes = UnsafeRawBufferPointer(start: line, count: max(0, Int(end)))
    switch editor.completer(String(decoding: bytes, as: UTF8.self), Int(start)) {
    case .files: prompt_candidates_use_files(candidates)
    case .words(let words, let continues):
      for word in words { prompt_candidates_add(candidates, word) }
      if continues { prompt_candidates_continue_word(candidates) }
    }
  }
}

extension LineEditor {
  /// Lines typed before, oldest first.
  public var history: [String] {
    (0..<prompt_history_count()).compactMap { index in prompt_history_line(index).map { String(cString: $0) } }
  }

  /// Remembers a line; an equal earlier one goes away.
  public func addToHistory(_ line: String) { prompt_history_add(line) }

  /// Keeps at most so many lines.
  public func limitHistory(to lines: Int) { prompt_history_limit(Int32(clamping: lines)) }
}
