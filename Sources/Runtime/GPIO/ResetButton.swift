/// How long the reset button was held, as what the person wants. Source: spec/controller.md §4 and the manual: 5–6 s for the WiFi, 20 s
/// for a hard reset.
public struct ResetButton: Sendable {
  /// What a press means.
  public enum Press: Sendable, Equatable {
    /// Too short, or between the two: nothing. Held for so long, ms.
    case nothing(milliseconds: Int64)
    /// The WiFi's settings are to be forgotten.
    case wifi
    /// Everything is to begin anew.
    case reset
  }

  /// The WiFi's press: people count seconds in their heads, so up to 10 s are as good as 6.
  public static let wifi_us: Range<Int64> = 5_000_000..<10_000_000
  /// The hard reset comes while the button is still held: one sees that it was long enough.
  public static let reset_us: Int64 = 20_000_000

  private enum State: Sendable {
    /// Not seen released yet: a button that hangs from the start is no press.
    case unknown
    case released
    case pressed(since_us: Int64)
    /// The hard reset has been; the rest of the press means nothing.
    case done
  }
  private var state = State.unknown
  private var looked_us: Int64 = 0
  /// Nobody looked for so long: how long the button was held is not known, µs.
  private static let gap_us: Int64 = 1_000_000

  /// Not seen yet.
  public init() {}

  /// Takes whether it is pressed, debounced. Returns what that means, once a press.
  public mutating func take(_ isPressed: Bool, now_us: Int64) -> Press? {
    if now_us - looked_us > ResetButton.gap_us, case .pressed = state { state = .done }
    looked_us = now_us
    switch (state, isPressed) {
    case (.unknown, false), (.done, false): state = .released
    case (.released, true): state = .pressed(since_us: now_us)
    case (.pressed(let since), true):
      guard now_us - since >= ResetButton.reset_us else { return nil }
      state = .done
      return .reset
    case (.pressed(let since), false):
      state = .released
      let held = now_us - since
      return ResetButton.wifi_us.contains(held) ? .wifi : .nothing(milliseconds: held / 1000)
    case (.unknown, true), (.released, false), (.done, true): break
    }
    return nil
  }
}
