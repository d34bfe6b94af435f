import HostIO

/// The run's time: µs from its start, at the wall clock's pace or a multiple of it. The wall clock being set changes nothing.
struct RunClock {
  /// Virtual seconds in a second.
  let speed: Double
  private var origin_ns: Int64
  /// The time that was given out last.
  private(set) var now_us: Int64 = 0

  init(speed: Double) {
    self.speed = speed
    origin_ns = PortPoller.now_ns
  }

  private var wanted_us: Int64 { Int64(Double(PortPoller.now_ns - origin_ns) / 1000 * speed) }

  /// The time now. At another pace than the wall clock's, what is due at `next_us` gets exactly that time, and a machine that is too
  /// slow makes time pass more slowly: only in real time is late late.
  mutating func advance(due next_us: Int64) -> Int64 {
    var now = wanted_us
    if speed != 1, next_us < now {
      let behind = now - max(now_us, next_us)
      // More than a tenth of a second of the wall clock: it is not caught up.
      let most = Int64(speed * 100_000)
      if behind > most { origin_ns += Int64(Double(behind - most) * 1000 / speed) }
      // What is due at once again and again must not stop time.
      now = max(next_us, now_us + 1)
    }
    now_us = max(now_us, now)
    return now_us
  }

  /// When a time of the run has come, on the monotonic clock.
  func monotonic_ns(_ time_us: Int64) -> Int64 {
    time_us == .max ? .max : origin_ns &+ Int64(min(9e17, Double(time_us) * 1000 / speed))
  }
}
