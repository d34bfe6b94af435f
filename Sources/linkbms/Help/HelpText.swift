/// How a command explains itself beyond one line: a paragraph, then examples. The manual page finds the examples again by their
/// heading, so every `discussion:` is written with this.
enum HelpText {
  /// The line above the examples.
  static let examplesHeading = "EXAMPLES:"

  /// A discussion for `CommandConfiguration`.
  /// - Parameter examples: a command line as typed, and what it does.
  static func discussion(_ text: String = "", examples: [(line: String, meaning: String)]) -> String {
    let shown = examples.map { "  \($0.line)\n      \($0.meaning)" }
    return ([text].filter { !$0.isEmpty } + [([examplesHeading] + shown).joined(separator: "\n")]).joined(separator: "\n\n")
  }
}
