/// What those who listen to a port were told of why it is away: each reason is told once, so that an adapter which is plugged in again, and
/// down, asks to be set up.
struct LossReason {
  private var told: PortError?

  /// Takes note of why it is away now.
  /// - Returns: what is to be told; `nil` = that was said.
  mutating func news(_ error: PortError) -> PortError? {
    // It was there, and so it has gone.
    let found: PortError = if case .absent(let name) = error { .vanished(name) } else { error }
    guard found != told else { return nil }
    told = found
    return found
  }

  /// It is there again.
  mutating func end() { told = nil }
}
