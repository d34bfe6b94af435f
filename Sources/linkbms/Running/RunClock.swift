import HostIO

/// The run's time: µs from its start, at the wall clock's pace or a multiple of it. The wall clock being set changes nothing.
struct RunClock {
  /// Virtual seconds in a second.
  let speed: Double
  private var origin_ns: Int64
  private let begin_ns: Int64
  /// ns of the wall clock that the machine was too slow for and that were not caught up.
  private(set) var lost_ns: Int64 = 0
  /// The time that was given out last.
  private(set) var now_us: Int64 = 0

  init(speed: Double) {
    self.speed = speed
    begin_ns = PortPoller.now_ns
    origin_ns = begin_ns
  }

  /// The time of this moment; in real time a turn may be behind it.
  var exact_us: Int64 { wanted_us }

  private var wanted_us: Int64 { Int64(Double(PortPoller.now_ns - origin_ns) / 1000 * speed) }

  /// The time now. At another pace than the wall clock's, what is due at `next_us` gets exactly that time, and a machine that is too
  /// slow makes time pass more slowly: only in real time is late late.
  mutating func advance(due next_us: Int64) -> Int64 {
    var now = wanted_us
    if speed != 1, next_us < now {
      let behind = now - max(now_us, next_us)
      // More than a tenth of a second of the wall clock: it is not caught up.
      let most = Int64(speed * 100_000)
      if behind > most {
        let lost = Int64(Double(behind - most) * 1000 / speed)
        origin_ns += lost
        lost_ns += lost
      }
      // What is due at once again and again must not stop time.
      now = max(next_us, now_us + 1)
    }
    now_us = max(now_us, now)
    return now_us
  }

  /// Where the machine was too slow: how fast time passed instead; `nil` if it kept the pace within a hundredth. Whoever is on the bus
  /// with a clock of the speed that was asked for sees everything late.
  var slowness: String? {
    let passed = PortPoller.now_ns - begin_ns
    guard passed > 0, lost_ns > passed / 100 else { return nil }
    let pace = Double(now_us) * 1000 / Double(passed)
    return "the machine is too slow for --speed \(speed): time passed \((pace * 10).rounded() / 10) × as fast as the wall clock; "
      + "an inverter on the bus with the full speed sees late answers"
  }

  /// When a time of the run has come, on the monotonic clock.
  func monotonic_ns(_ time_us: Int64) -> Int64 {
    time_us == .max ? .max : origin_ns &+ Int64(min(9e17, Double(time_us) * 1000 / speed))
  }
}
