/// Virtual time for people: `12.3 s`, `1:02:03`, `3 d 04:05:06`.
enum ScenarioTime {
  static func text(_ seconds: Double) -> String {
    let tenths = Int64((seconds * 10).rounded())
    if tenths < 6000 { return padded("\(tenths / 10).\(tenths % 10) s", 10) }
    let whole = tenths / 10
    let clock = "\(two(whole / 3600 % 24)):\(two(whole / 60 % 60)):\(two(whole % 60))"
    return padded(whole >= 86_400 ? "\(whole / 86_400) d \(clock)" : clock, 10)
  }

  private static func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
