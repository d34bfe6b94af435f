import Analysis
import Bus

/// Times of a commissioning as text, from s since 1970, UTC.
enum StepTime {
  /// `2026-10-05 08:12:03`
  static func text(_ seconds: Int64) -> String {
    CalendarTime(Timestamp(nanoseconds: seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue)).description
  }

  /// `2026-10-05T08:12:03Z`
  static func iso(_ seconds: Int64) -> String { text(seconds).replacing(" ", with: "T") + "Z" }

  /// `2026-10-05 08:12:03 to 08:15:40 UTC`; empty where nothing is known.
  static func span(_ began: Int64?, _ ended: Int64?) -> String {
    guard let began else { return ended.map { "to \(text($0)) UTC" } ?? "" }
    guard let ended else { return "from \(text(began)) UTC" }
    let (first, last) = (text(began), text(ended))
    // The day is said once.
    return first.prefix(11) == last.prefix(11) ? "\(first) to \(last.dropFirst(11)) UTC" : "\(first) to \(last) UTC"
  }
}

extension StepRecord {
  /// `2026-10-05 08:12:03 to 08:15:40 UTC`
  var span: String { StepTime.span(began, ended) }

  /// How it stands, the how manyth time, and when: `passed, attempt 2, 2026-10-05 08:12:03 to 08:15:40 UTC`.
  var standing: String {
    [verdict.rawValue, attempts > 1 ? "attempt \(attempts)" : "", span].filter { !$0.isEmpty }.joined(separator: ", ")
  }
}

extension StepRecord.Attempt {
  /// `attempt 1: failed, 2026-10-05 08:12:03 to 08:15:40 UTC`
  var standing: String {
    let end = reason.isEmpty ? verdict.rawValue : "\(verdict.rawValue): \(reason)"
    return ["attempt \(number): \(end)", StepTime.span(began, ended)].filter { !$0.isEmpty }.joined(separator: ", ")
  }

  /// The same with what failed, in one line.
  var summary: String {
    let failed = checks.filter { $0.verdict == .failed }.map { "✗ \($0.title): \($0.measured)" }
    return ([standing] + failed).joined(separator: "; ")
  }
}
