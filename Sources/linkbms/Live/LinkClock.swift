/// The time of one end of a link: µs from its beginning, at the wall clock's pace or a multiple of it.
///
/// Two ends that run at the same speed keep the protocol's times between each other: only how fast both pass is different.
struct LinkClock {
  /// Seconds of the link in a second.
  let speed: Double
  private var begin_ns: Int64?

  /// The protocols' shortest answers are due after 5 to 20 ms and missed after 1 to 3 s. Up to here a loop that is late by half a
  /// millisecond still answers within twice the time.
  static let exactSpeed = 20.0
  /// From here a loop that is late by some milliseconds, as any is now and then, misses seconds: the link would break by itself.
  static let mostSpeed = 600.0
  /// What to expect, for the help of the commands.
  static let expectation =
    "Up to about \(Int(exactSpeed)) answers are as fast as the protocol wants them; above that they are late by what the machine is "
    + "late, times N. More than \(Int(mostSpeed)) is refused: a time-out of 3 s is over after 5 ms there. A capture of the bus has the "
    + "wall clock's times, one of 'run --record' those of the run."

  init(speed: Double) { self.speed = speed }

  /// Time begins to pass.
  mutating func begin(_ now: LiveTime) { begin_ns = now.monotonic_ns }

  /// µs since the beginning; 0 before it.
  func microseconds(_ now: LiveTime) -> Int64 {
    guard let begin_ns else { return 0 }
    let passed_ns = max(0, now.monotonic_ns &- begin_ns)
    return speed == 1 ? passed_ns / 1000 : Int64(min(9e15, Double(passed_ns) * speed / 1000))
  }

  /// When a time of the link has come, on the monotonic clock; `.max` = never.
  func monotonic_ns(_ time_us: Int64) -> Int64 {
    guard time_us < 9_000_000_000_000_000 else { return .max }
    let begin_ns = begin_ns ?? 0
    guard speed != 1 else { return begin_ns &+ time_us &* 1000 }
    return begin_ns &+ Int64(min(9e18, (Double(time_us) * 1000 / speed).rounded(.up)))
  }

  /// For people: `12.5 s` since the beginning.
  func text(_ now: LiveTime) -> String { DurationText.seconds(microseconds(now) &* 1000) }
}
