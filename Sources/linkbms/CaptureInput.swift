import Formats
import HostIO

/// One capture being read: opens it, unpacks it, recognises its format and hands its records to a sink, in constant memory.
struct CaptureInput {
  /// For messages: the path, or "standard input".
  let name: String
  /// The format in use.
  let format: CaptureFormat
  /// How it was recognised; empty if `--from` said so.
  let guesses: [FormatGuess]
  /// Whether the bytes were compressed.
  let isCompressed: Bool

  private var window: ByteWindow
  private var reader: CaptureReader

  /// How many bytes of a mapped file are read at once: enough that the loop between windows costs nothing, few enough that Ctrl-C
  /// and progress come soon.
  static let windowLength = 4 << 20

  /// Opens a capture.
  /// - Parameters:
  ///   - path: a file, or `-` for standard input.
  ///   - format: what `--from` says; `nil` = by content.
  init(path: String, format: CaptureFormat? = nil) throws(WorldError) {
    name = path == "-" ? "standard input" : path
    do throws(HostError) {
      window = try ByteWindow(ByteSource(path: path))
    } catch {
      throw WorldError(message: error.description)
    }
    isCompressed = window.isCompressed
    let head = try window.peek(atLeast: 1 << 16)
    if let format {
      self.format = format
      guesses = []
    } else {
      guesses = FormatDetector.guesses(head)
      guard let best = guesses.first else {
        throw WorldError(
          message: head.isEmpty
            ? "\(name): is empty: expected a capture"
            : "\(name): not recognised as a capture: it begins with \(quoted(head, limit: 32)); say what it is with --from "
              + CaptureFormat.allCases.map(\.rawValue).joined(separator: "|"))
      }
      self.format = best.format
    }
    reader = CaptureReader(self.format)
  }

  /// The whole capture in memory, if it is an uncompressed file: what may be read in parts and in parallel.
  var mapped: UnsafeRawBufferPointer? { window.mapped }

  /// Whether more may come at any time: what is rendered must go out at once, not when a buffer is full.
  var isLive: Bool { window.isLive }

  /// Bytes of the source and how many of them are read.
  var progress: (done: Int, total: Int?) { window.progress }

  /// Lines, blocks or packets that held no record.
  var ignored: UInt64 { reader.ignored }

  /// Reads the first records without taking them: what identification looks at before decoding begins.
  mutating func peekRecords(bytes: Int, into sink: inout some RecordSink) throws(WorldError) {
    let head = try window.peek(atLeast: bytes)
    var ahead = CaptureReader(format)
    _ = ahead.read(head, isEnd: window.isAtEnd, into: &sink)
  }

  /// Reads everything up to the end or until `isInterrupted`.
  /// - Parameter between: is called between windows with what has been done.
  mutating func read(
    into sink: inout some RecordSink, isInterrupted: () -> Bool, between: (_ done: Int, _ total: Int?) throws -> Void = { _, _ in }
  ) throws {
    while !isInterrupted() {
      guard try readWindow(into: &sink) else { return }
      let state = progress
      try between(state.done, state.total)
    }
  }

  /// Reads one window; `false` at the end.
  mutating func readWindow(into sink: inout some RecordSink) throws(WorldError) -> Bool {
    let (bytes, isEnd) = try window.next()
    let taken = reader.read(bytes, isEnd: isEnd, into: &sink)
    window.consume(taken)
    if isEnd, let problem = window.problem { sink.report(problem) }
    return !isEnd
  }
}
