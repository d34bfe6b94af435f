/// Which format a capture has, judged by its content alone.
public struct FormatGuess: Sendable, Equatable {
  public var format: CaptureFormat
  /// 0…1.
  public var confidence: Double
  /// Why, for people: `first 12 lines are "(seconds) interface id#data"`.
  public var reason: String
  public init(format: CaptureFormat, confidence: Double, reason: String) {
    self.format = format
    self.confidence = confidence
    self.reason = reason
  }
}

/// Judges the head of a capture.
public enum FormatDetector {
  /// All formats that the first bytes (64 KiB are plenty) could be, best first; empty if none fits.
  public static func guesses(_ head: UnsafeRawBufferPointer) -> [FormatGuess] { [] }
}
