private import Glibc

/// This process's memory.
public enum ProcessMemory {
  /// Keeps in memory what the process uses from now on: a page that has to be fetched from a disk first makes a control step late.
  ///
  /// Only where the system sets no limit to it, as the unit of `run --print-unit` asks: with a limit, what goes beyond it would be refused.
  /// Pages that are never used, such as most of a thread's stack, take no room.
  /// - Returns: whether it is kept.
  @discardableResult
  public static func keep() -> Bool {
    var limit = rlimit()
    guard getrlimit(Int32(__RLIMIT_MEMLOCK.rawValue), &limit) == 0, limit.rlim_cur == rlim_t.max else { return false }
    return mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | Int32(MCL_ONFAULT)) == 0
  }
}
