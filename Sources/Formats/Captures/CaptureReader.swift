public import Bus

/// Reads one capture, whatever its format: hand in bytes as they come, get records.
///
/// A case a format, so that the reader's loop is compiled together with the sink's. Every parser takes what it can and leaves the
/// rest for the next call, so that files, pipes and decompressors of any length run in constant memory.
public enum CaptureReader: Sendable {
  case batteryEmulator

  /// A reader for `format`.
  public init(_ format: CaptureFormat) { self = .batteryEmulator }

  /// Reads from `bytes` and says how many it took; hand the rest in again with more behind it. With `isEnd` everything is taken.
  public mutating func read(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout some RecordSink) -> Int { bytes.count }

  /// Lines, blocks or packets that held no record and were no damage: comments, headers, prose.
  public var ignored: UInt64 { 0 }
}
