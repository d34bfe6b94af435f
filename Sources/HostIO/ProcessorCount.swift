import Glibc

/// Cores that this process may use.
public enum ProcessorCount {
  /// Processors that this process may use, at least 1.
  public static var available: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
