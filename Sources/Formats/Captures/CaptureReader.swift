public import Bus

/// Reads one capture, whatever its format: hand in bytes as they come, get records.
public enum CaptureReader: Sendable {
  case candump(CandumpReader)

  /// A reader for `format`.
  public init(_ format: CaptureFormat) { self = .candump(CandumpReader()) }

  /// Reads from `bytes` and says how many it took; hand the rest in again with more behind it. With `isEnd` everything is taken.
  @inlinable public mutating func read<Sink: RecordSink>(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink) -> Int {
    switch self {
    case .candump(var reader):
      let taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .candump(reader)
      return taken
    }
  }

  /// Lines, blocks or packets that held no record and were no damage: comments, headers, prose.
  public var ignored: UInt64 { 0 }
}
