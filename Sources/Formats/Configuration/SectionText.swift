/// The lines of one key at the top of a YAML file, as somebody wrote them.
enum SectionText {
  /// The key's lines with the remarks above them and between them; `nil` where they cannot be told from the rest.
  /// - Parameter own: remarks that the program writes itself.
  static func of(_ key: String, in text: String, without own: [String]) -> String? {
    var problems: [DefinitionProblem] = []
    let keys = YAMLNode.parse(text, path: "", problems: &problems)?.keys ?? []
    let lines = lines(text)
    guard let line = keys.first(where: { $0.key == key })?.line, lines.indices.contains(line - 1) else { return nil }
    let next = keys.map { $0.line }.filter { $0 > line }.min()
    var above = lines[..<(line - 1)]
    var body = lines[(line - 1)..<min(lines.count, next.map { $0 - 1 } ?? lines.count)]
    if let end = body.firstIndex(where: { $0.hasPrefix("...") }) { body = body[..<end] }
    // What stands directly above the next key is about that one.
    while let last = body.last, next == nil ? isBlank(last) : isRemark(last) { body.removeLast() }
    var remarks: [String] = []
    while let last = above.popLast(), isRemark(last) {
      if !own.contains(last) { remarks.insert(last, at: 0) }
    }
    return (remarks.drop(while: isBlank) + body).joined(separator: "\n") + "\n"
  }

  /// Lines without their ends.
  private static func lines(_ text: String) -> [String] {
    text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { line -> String in
      var line = line
      while line.last == 0x0D { line.removeLast() }
      return String(decoding: line, as: UTF8.self)
    }
  }

  private static func isBlank(_ line: String) -> Bool { line.allSatisfy { $0 == " " || $0 == "\t" } }

  /// A comment that belongs to no value, or nothing. A `#` further in may be part of a text.
  private static func isRemark(_ line: String) -> Bool { line.hasPrefix("#") || isBlank(line) }
}
