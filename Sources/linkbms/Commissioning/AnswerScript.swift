/// Answers from a file: by the name of the question, or one after the other.
///
/// A line is `NAME: ANSWER` or `STEP.NAME: ANSWER`, where NAME is a question's; any other line answers the next question for which no
/// named answer is left. `#` begins a comment. Several lines for one name answer it one after the other.
struct AnswerScript {
  private var named: [String: [String]] = [:]
  private var inOrder: [String] = []

  /// - Parameter names: of all questions.
  init(_ text: String, names: Set<String>) {
    for line in text.split(whereSeparator: \.isNewline) {
      let whole = String(line).trimmed
      guard !whole.isEmpty, !whole.hasPrefix("#") else { continue }
      if let colon = whole.firstIndex(of: ":") {
        let key = String(whole[..<colon]).trimmed
        let value = String(whole[whole.index(after: colon)...]).trimmed
        let parts = key.split(separator: ".", maxSplits: 1).map(String.init)
        if names.contains(key) || (parts.count == 2 && Int(parts[0]) != nil && names.contains(parts[1])) {
          named[key, default: []].append(value)
          continue
        }
      }
      inOrder.append(whole)
    }
  }

  /// The next answer to a question of a step; `nil` if there is none.
  mutating func answer(_ id: String, step: Int) -> String? {
    for key in ["\(step).\(id)", id] {
      if let first = named[key]?.first {
        named[key]?.removeFirst()
        return first
      }
    }
    return inOrder.isEmpty ? nil : inOrder.removeFirst()
  }
}
