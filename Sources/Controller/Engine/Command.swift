/// What a person or the surroundings ask of the engine in a step.
public enum Command: Sendable {
  case none
  /// "Reset BMS": opens the contactors until communication is established again, and clears a latched precharge error.
  case reset
  /// Keeps the contactors open until `release`: commissioning, service, a missed deadline.
  case hold
  /// Ends a hold. The contactors close only when every other condition holds as well.
  case release
  /// A new configuration; one that breaks a rule is CONFIG ERR.
  case configure(Configuration)
  /// The stored configuration cannot be read or fails its checksum: CONFIG ERR.
  case configurationUnreadable
}
