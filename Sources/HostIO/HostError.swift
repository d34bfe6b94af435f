import Glibc

/// What the operating system refused: which thing, what was tried, its own words.
public struct HostError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file, device or address.
  public var subject: String
  /// What was tried: `open`, `read`, `map`.
  public var attempt: String
  /// `errno`.
  public var code: Int32

  /// What was refused, with `errno`.
  public init(_ subject: String, attempt: String, code: Int32) {
    self.subject = subject
    self.attempt = attempt
    self.code = code
  }

  /// `FILE: cannot open: No such file or directory`.
  public var description: String { "\(subject): cannot \(attempt): \(String(cString: strerror(code)))" }
}
