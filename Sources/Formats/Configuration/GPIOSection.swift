/// The master's digital lines as the configuration's file names them, in its section `gpio`. They belong to the machine that the controller
/// runs on and not to the battery: neither the table nor its checksum knows them.
public struct GPIOSection: Sendable, Equatable {
  /// The section's key in the file.
  public static let key = "gpio"
  /// `gpiochip0`, or a path.
  public var chip: String
  /// What is connected to it.
  public var wiring: GPIOWiring

  /// Lines of a chip.
  public init(chip: String, wiring: GPIOWiring) {
    self.chip = chip
    self.wiring = wiring
  }

  /// Keys inside the section.
  enum Key: String, CaseIterable {
    case chip, outputs, inputs
    case resetButton = "reset-button"

    /// For messages.
    var path: String { "\(GPIOSection.key), \(rawValue)" }
  }

  /// Everything that it says, by key; keys that it does not need are left out.
  public var parts: [(key: String, words: [String])] {
    let all: [(Key, [String])] = [
      (.chip, [chip]), (.outputs, wiring.outputWords), (.inputs, wiring.inputWords),
      (.resetButton, wiring.buttonWord.map { [$0] } ?? []),
    ]
    return all.filter { !$0.1.isEmpty }.map { ($0.0.rawValue, $0.1) }
  }

  /// One line for a person.
  public var summary: String { parts.map { "\($0.key) \($0.words.joined(separator: ","))" }.joined(separator: ", ") }

  /// As a file has it.
  var text: String {
    var text = "\(GPIOSection.key):\n"
    for (key, words) in parts {
      switch Key(rawValue: key) {
      case .outputs?, .inputs?: text += "  \(key):\n" + words.map { "    - \($0)\n" }.joined()
      case .chip?: text += "  \(key): '\(chip.replacing("'", with: "''"))'\n"
      case .resetButton?, nil: text += "  \(key): \(words.joined())\n"
      }
    }
    return text
  }
}

/// How it is read.
extension GPIOSection {
  typealias Problem = ConfigurationFile.Problem

  /// A word of the file.
  private struct Word {
    var text: String
    var line: Int
  }

  /// Reads the section, or says everything that is wrong with it, in the file's order.
  /// - Parameter line: where its key stands.
  static func read(_ node: YAMLNode, line: Int) -> (section: GPIOSection?, problems: [Problem]) {
    var syntax: [DefinitionProblem] = []
    var problems: [Problem] = []
    var chip: Word?
    var outputs: [Word] = []
    var inputs: [Word] = []
    var button: Word?
    for ((key, value), place) in zip(node.pairs(GPIOSection.key, &syntax), node.keys) {
      switch Key(rawValue: key) {
      case .chip?: chip = word(value, .chip, &syntax)
      case .outputs?: outputs = words(value, .outputs, &syntax)
      case .inputs?: inputs = words(value, .inputs, &syntax)
      case .resetButton?: button = word(value, .resetButton, &syntax)
      case nil:
        let known = Key.allCases.map(\.rawValue)
        let text = "\(GPIOSection.key), \(key): found an unknown key, expected one of \(known.joined(separator: ", "))"
        problems.append(Problem(line: place.line, text: text + NearestName.hint(key, in: known)))
      }
    }
    if let chip, !isChip(chip.text) {
      let text = "\(Key.chip.path): found \"\(chip.text.prefix(40))\", expected the name of a chip such as gpiochip0, or its path"
      problems.append(Problem(line: chip.line, text: text))
    }
    let names = GPIOWiring.Names(outputs: Key.outputs.path, inputs: Key.inputs.path, button: Key.resetButton.path)
    let (wiring, wrong) = GPIOWiring.read(outputs: outputs.map(\.text), inputs: inputs.map(\.text), button: button?.text, as: names)
    func wordsLine(_ place: GPIOWiring.Place) -> Int? {
      switch place {
      case .output(let index): outputs.indices.contains(index) ? outputs[index].line : nil
      case .input(let index): inputs.indices.contains(index) ? inputs[index].line : nil
      case .button: button?.line
      }
    }
    problems += wrong.map { Problem(line: wordsLine($0.place) ?? line, text: $0.description) }
    problems += syntax.map { Problem(line: $0.line, text: $0.text) }
    if problems.isEmpty { problems = missing(chip, wiring, line) }
    guard problems.isEmpty, let chip else { return (nil, problems.sorted { $0.line < $1.line }) }
    return (GPIOSection(chip: chip.text, wiring: wiring), [])
  }

  /// What a section needs that is right as far as it goes.
  private static func missing(_ chip: Word?, _ wiring: GPIOWiring, _ line: Int) -> [Problem] {
    var problems: [Problem] = []
    if chip == nil {
      let text = "\(Key.chip.path): found none, expected the chip of these lines; gpiodetect lists those that are there"
      problems.append(Problem(line: line, text: text))
    }
    if wiring.isEmpty {
      problems.append(Problem(line: line, text: "\(key): found no line, expected outputs, inputs or reset-button"))
    }
    return problems
  }

  /// Whether it may be the name of a device.
  private static func isChip(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }

  private static func word(_ value: YAMLNode, _ key: Key, _ syntax: inout [DefinitionProblem]) -> Word? {
    let known = syntax.count
    let text = value.text(key.path, &syntax)
    return syntax.count == known ? Word(text: text, line: value.line) : nil
  }

  private static func words(_ value: YAMLNode, _ key: Key, _ syntax: inout [DefinitionProblem]) -> [Word] {
    var words: [Word] = []
    for item in value.items(key.path, &syntax) {
      if let word = word(item, key, &syntax) { words.append(word) }
    }
    return words
  }
}
