internal import Yams

/// A YAML node that can be asked for what the schema wants; what is not there or of another kind becomes a problem with its line.
package struct YAMLNode {
  let node: Node
  package let path: String

  package var line: Int { node.mark?.line ?? 0 }

  /// Parses a text; a problem instead of a node if it is no YAML.
  package static func parse(_ text: String, path: String, problems: inout [DefinitionProblem]) -> YAMLNode? {
    do {
      // Words stay words: what a number is, the reader of each key says. Yams would try seven regular expressions on every one.
      guard let node = try Yams.compose(yaml: text, .basic) else {
        problems.append(DefinitionProblem(.syntax, path, line: 1, "an empty file, expected a definition"))
        return nil
      }
      return YAMLNode(node: node, path: path)
    } catch {
      problems.append(syntaxProblem(error, path))
      return nil
    }
  }

  private static func syntaxProblem(_ error: any Error, _ path: String) -> DefinitionProblem {
    guard let error = error as? YamlError else { return DefinitionProblem(.syntax, path, line: 0, "\(error)") }
    switch error {
    case .parser(_, let problem, let mark, _), .scanner(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return DefinitionProblem(.syntax, path, line: mark.line, problem)
    case .duplicatedKeysInMapping(let keys, let context):
      return DefinitionProblem(
        .syntax, path, line: context.mark.line, "the key \(keys.map { "\($0)" }.joined(separator: ", ")) twice")
    default: return DefinitionProblem(.syntax, path, line: 0, "\(error)")
    }
  }

  package func problem(_ rule: DefinitionProblem.Rule, _ text: String) -> DefinitionProblem {
    DefinitionProblem(rule, path, line: line, text)
  }

  private func child(_ node: Node) -> YAMLNode { YAMLNode(node: node, path: path) }

  /// A short form of what stands here, for messages.
  package var found: String {
    switch node {
    case .scalar(let scalar): "\"\(scalar.string.prefix(40))\""
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }

  /// Whether a list stands here.
  package var isList: Bool { node.sequence != nil }

  /// Whether a mapping stands here.
  package var isMapping: Bool { node.mapping != nil }

  /// Whether a text in quotes stands here.
  package var isQuoted: Bool { node.scalar.map { $0.style == .doubleQuoted || $0.style == .singleQuoted } ?? false }

  /// The pairs of a mapping, in order.
  package func pairs(_ what: String, _ problems: inout [DefinitionProblem]) -> [(key: String, value: YAMLNode)] {
    guard let mapping = node.mapping else {
      problems.append(problem(.value, "\(what): found \(found), expected a mapping"))
      return []
    }
    return mapping.map { ($0.key.scalar?.string ?? "", child($0.value)) }
  }

  /// The keys of a mapping with the lines in which they stand, in order.
  package var keys: [(key: String, line: Int)] {
    guard let mapping = node.mapping else { return [] }
    return mapping.map { ($0.key.scalar?.string ?? "", $0.key.mark?.line ?? 0) }
  }

  /// The items of a list.
  package func items(_ what: String, _ problems: inout [DefinitionProblem]) -> [YAMLNode] {
    guard let sequence = node.sequence else {
      problems.append(problem(.value, "\(what): found \(found), expected a list"))
      return []
    }
    return sequence.map(child)
  }

  /// A text.
  package func text(_ what: String, _ problems: inout [DefinitionProblem]) -> String {
    guard let scalar = node.scalar else {
      problems.append(problem(.value, "\(what): found \(found), expected a text"))
      return ""
    }
    return scalar.string
  }

  /// A list of texts.
  package func texts(_ what: String, _ problems: inout [DefinitionProblem]) -> [String] {
    var result: [String] = []
    for item in items(what, &problems) { result.append(item.text(what, &problems)) }
    return result
  }

  /// A whole number in decimal or as 0x….
  package func integer(_ what: String, in range: ClosedRange<Int> = Int.min...Int.max, _ problems: inout [DefinitionProblem])
    -> Int?
  {
    let text = node.scalar?.string ?? ""
    let value = text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
    guard let value, range.contains(value) else {
      let limits = range == Int.min...Int.max ? "a whole number" : "a whole number \(range.lowerBound)…\(range.upperBound)"
      problems.append(problem(.value, "\(what): found \(found), expected \(limits)"))
      return nil
    }
    return value
  }

  /// A decimal number.
  package func number(_ what: String, _ problems: inout [DefinitionProblem]) -> DBCNumber? {
    guard let text = node.scalar?.string, let value = DBCNumber(text) else {
      problems.append(problem(.value, "\(what): found \(found), expected a number"))
      return nil
    }
    return value
  }

  /// One of a few words.
  package func word<Word: RawRepresentable & CaseIterable>(
    _ what: String, as type: Word.Type, _ problems: inout [DefinitionProblem]
  )
    -> Word?
  where Word.RawValue == String {
    if let text = node.scalar?.string, let word = Word(rawValue: text) { return word }
    problems.append(problem(.value, "\(what): found \(found), expected \(Word.allCases.map(\.rawValue).joined(separator: ", "))"))
    return nil
  }
}
