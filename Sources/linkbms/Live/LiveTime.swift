import HostIO

/// A moment on both clocks: waiting goes by the one that never steps, captures by the wall's.
struct LiveTime: Equatable {
  /// Never goes back.
  var monotonic_ns: Int64
  /// Since 1970, UTC.
  var wall_ns: Int64

  /// This moment.
  static var now: LiveTime { LiveTime(monotonic_ns: PortPoller.now_ns, wall_ns: PortPoller.wallClock_ns) }

  /// The same clocks so much later.
  func adding(_ nanoseconds: Int64) -> LiveTime {
    LiveTime(monotonic_ns: monotonic_ns &+ nanoseconds, wall_ns: wall_ns &+ nanoseconds)
  }
}

/// Lengths of time as people type them: `500ms`, `10s`, `1.5m`, `2h`, `1d`; a bare number is seconds.
enum DurationText {
  /// What may be typed, for messages.
  static let expected = "a time such as 500ms, 10s, 5m or 1h"

  /// Nanoseconds; `nil` for anything else, for times below 0 and above 100 years.
  static func nanoseconds(_ text: String) -> Int64? {
    let units: [(String, Double)] = [("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86_400e9)]
    let (suffix, unit) = units.first { text.hasSuffix($0.0) } ?? ("", 1e9)
    guard let number = Double(text.dropLast(suffix.count)), number >= 0, number * unit < 3.2e18 else { return nil }
    return Int64(number * unit)
  }

  /// The time that an option gives.
  static func required(_ text: String, _ option: String) throws(WorldError) -> Int64 {
    guard let time = nanoseconds(text) else {
      throw WorldError(message: "\(option): found \"\(text)\", expected \(expected)")
    }
    return time
  }

  /// For people: `12.5 s`.
  static func seconds(_ nanoseconds: Int64) -> String { DiagnosisText.seconds(nanoseconds) }
}
