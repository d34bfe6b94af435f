private import CSignals
private import Glibc

/// Waits for live ports, a moment or a signal, whichever comes first.
public enum PortPoller {
  /// Nanoseconds of a clock that never goes back.
  public static var now_ns: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Nanoseconds since 1970, UTC.
  public static var wallClock_ns: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Waits until one of the descriptors can be read, `until_ns` (monotonic) has come or a signal did.
  /// - Parameter descriptors: negative ones are passed over.
  /// - Returns: which descriptors are readable, in their order.
  public static func wait(_ descriptors: [Int32], until_ns: Int64) -> [Bool] {
    var sources = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    sources.append(pollfd(fd: signals_wake_descriptor(), events: Int16(POLLIN), revents: 0))
    let left = max(0, min(until_ns &- now_ns, 3_600_000_000_000))
    guard signals_poll(&sources, UInt32(sources.count), left) > 0 else { return descriptors.map { _ in false } }
    if sources[descriptors.count].revents != 0 { signals_drain() }
    return sources.dropLast().map { $0.revents != 0 }
  }
}
