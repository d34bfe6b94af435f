/// A contact that bounces, as what it means: a level counts once it has stayed for 50 ms.
public struct Debounced: Sendable {
  /// For so long a level has to stay, µs.
  public static let time_us: Int64 = 50_000

  /// What counts; `nil` before anything has stayed.
  public private(set) var isActive: Bool?
  private var seen: Bool?
  private var since_us: Int64 = 0

  /// Nothing is known.
  public init() {}

  /// Takes what a line says now. Returns what counts from now on, where that has changed.
  public mutating func take(_ level: Bool, now_us: Int64) -> Bool? {
    if level != seen {
      seen = level
      since_us = now_us
    }
    guard level != isActive, now_us - since_us >= Debounced.time_us else { return nil }
    isActive = level
    return level
  }
}
