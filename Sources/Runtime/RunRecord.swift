public import Bus
public import Formats

/// Something that went into or came out of a run, for recordings.
public struct RunRecord: Sendable {
  /// What.
  public enum Content: Sendable {
    /// The engine's start, a scan, a step's inputs or outputs.
    case engine(EngineRecord)
    /// A line to or from a tap.
    case line(TapLine)
    /// A frame on a CAN port.
    case frame(port: Int, CANFrame, Direction)
    /// A line of the log.
    case note(Note.Kind)
  }
  /// The engine's time, ns since 1970.
  public var time_ns: Int64
  /// What.
  public var content: Content
}
