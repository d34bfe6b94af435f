import CZlib
public import Controller

/// The configuration as a YAML file: one `key: value` a line, in the table's order, with units and help as comments, a version and a
/// checksum. Source: spec/controller.md §2.
public enum ConfigurationFile {
  /// The version that is written; others are refused.
  public static let version = 1

  /// What is wrong with a file: where, what was found, what was expected.
  public struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    /// From 1; 0 = the whole file.
    public var line: Int
    /// For a person.
    public var text: String
    /// `line 12: …`
    public var description: String { line > 0 ? "line \(line): \(text)" : text }
  }

  /// What a file says.
  public struct Reading: Sendable {
    /// The values; items that the file does not name are as in the preset LFP.
    public var configuration: Configuration
    /// Whether the file carries a checksum. One written by hand may have none.
    public var hasChecksum: Bool
    /// Syntax, unknown keys, values that are none, a wrong checksum. Empty = it may be judged by its rules.
    public var problems: [Problem]
    /// The master's digital lines, where the file has a section `gpio`.
    public var gpio: GPIOSection?
    /// The first of `problems` because of which nobody knows which digital lines are meant: without them an input that keeps the
    /// contactors open would not be asked.
    public var gpioProblem: Problem?

    /// Everything that makes this CONFIG ERR, in words.
    public var complaints: [String] { problems.map(\.description) + configuration.violations.map(\.description) }
  }

  /// Reads a file's text.
  public static func parse(_ text: String, path: String = "") -> Reading {
    var reading = Reading(configuration: Configuration(), hasChecksum: false, problems: [])
    var syntax: [DefinitionProblem] = []
    guard let root = YAMLNode.parse(text, path: path, problems: &syntax) else {
      reading.problems = syntax.map { Problem(line: $0.line, text: $0.text) }
      if mentionsLines(text) { reading.gpioProblem = reading.problems.first }
      return reading
    }
    var stored: (text: String, line: Int)?
    var hasVersion = false
    for (key, value) in root.pairs("the configuration", &syntax) {
      switch key {
      case "version":
        hasVersion = true
        if value.text(key, &syntax) != String(version) {
          reading.problems.append(Problem(line: value.line, text: "version: found \(value.found), expected \(version)"))
        }
      case "checksum": stored = (value.text(key, &syntax), value.line)
      case "bms1-sensors": sensors(value, key, from: 0, &reading, &syntax)
      case "bms2-sensors": sensors(value, key, from: 15, &reading, &syntax)
      case GPIOSection.key:
        let line = root.keys.first { $0.key == key }?.line ?? value.line
        let (section, wrong) = GPIOSection.read(value, line: line)
        reading.gpio = section
        reading.gpioProblem = reading.gpioProblem ?? wrong.first
        reading.problems += wrong
      default:
        guard let item = ConfigurationItem(key: key) else {
          let near = NearestName.hint(key, in: ConfigurationItem.allCases.map(\.row.key) + [GPIOSection.key])
          let problem = Problem(line: value.line, text: "\(key): found an unknown key, expected one of the table\(near)")
          reading.problems.append(problem)
          if mayNameLines(key, value) { reading.gpioProblem = reading.gpioProblem ?? problem }
          continue
        }
        guard let number = item.value(value.text(key, &syntax)) else {
          reading.problems.append(
            Problem(line: value.line, text: "\(key): found \(value.found), expected \(item.rangeText)"))
          continue
        }
        reading.configuration[item] = number
      }
    }
    reading.problems += syntax.map { Problem(line: $0.line, text: $0.text) }
    if !root.isMapping, mentionsLines(text) { reading.gpioProblem = reading.problems.first }
    if !hasVersion { reading.problems.append(Problem(line: 0, text: "version: found none, expected version: \(version)")) }
    if let stored {
      reading.hasChecksum = true
      let right = checksum(reading.configuration)
      if stored.text.lowercased() != right, reading.problems.isEmpty {
        reading.problems.append(
          Problem(
            line: stored.line,
            text: "checksum: found \(stored.text), expected \(right): the file is damaged, or was changed by hand "
              + "(then check every value and delete the checksum line)"))
      }
    }
    return reading
  }

  /// Whether a text that cannot be read may name digital lines.
  private static func mentionsLines(_ text: String) -> Bool { text.lowercased().contains(GPIOSection.key) }

  /// Whether whoever wrote an unknown key may have meant digital lines: it is called so, or no number or word stands there as at
  /// every other key, but keys of its own, a list, or `open=22`.
  private static func mayNameLines(_ key: String, _ value: YAMLNode) -> Bool {
    if mentionsLines(key) || value.isMapping || value.isList { return true }
    var ignored: [DefinitionProblem] = []
    return value.text(key, &ignored).contains("=")
  }

  private static func sensors(
    _ value: YAMLNode, _ key: String, from first: Int, _ reading: inout Reading, _ syntax: inout [DefinitionProblem]
  ) {
    let modules = value.items(key, &syntax)
    if modules.count > 15 {
      reading.problems.append(Problem(line: value.line, text: "\(key): found \(modules.count) modules, expected at most 15"))
    }
    for (index, module) in modules.prefix(15).enumerated() {
      var mask: UInt8 = 0
      for sensor in module.items("\(key), module \(index + 1)", &syntax) {
        guard let number = sensor.integer("\(key), module \(index + 1)", in: 1...5, &syntax) else { continue }
        mask |= 1 << UInt8(number - 1)
      }
      reading.configuration.setSensors(mask, ofModule: first + index)
    }
  }

  /// The file's text.
  public static func text(_ configuration: Configuration) -> String {
    var text = heading + "\n"
    text += "version: \(version)\nchecksum: \"\(checksum(configuration))\"\n\n"
    for item in ConfigurationItem.allCases {
      let line = "\(item.row.key): \(item.text(configuration[item]))"
      let unit = item.row.unit.isEmpty ? "" : "\(item.row.unit). "
      text += line + String(repeating: " ", count: max(1, 36 - line.count)) + "# \(unit)\(item.row.help)\n"
    }
    text += "\n\(sensorsHeading)\n"
    for chain in ChainNumber.allCases {
      let lists = (0..<configuration.slaves(chain)).map { module -> String in
        let mask = configuration.sensors[min(29, chain.index * 15 + min(14, module))]
        return "[" + (1...5).filter { mask & 1 << UInt8($0 - 1) != 0 }.map(String.init).joined(separator: ", ") + "]"
      }
      text += "\(chain.word.lowercased())-sensors: [\(lists.joined(separator: ", "))]\n"
    }
    return text
  }

  /// The text of a file that names digital lines as well.
  public static func text(_ configuration: Configuration, lines: GPIOSection) -> String {
    "\(text(configuration))\n\(lines.text)"
  }

  private static let heading = "# LinkBMS configuration. Change it with `linkbms config set`, which keeps the checksum right."
  private static let sensorsHeading = "# Sensors in use: a list for each module, T1 to T5."

  /// The text of a file that replaces another: the table is written anew, and a section `gpio` stays as it is, comments and all. Where it
  /// is woven into the rest, only what it says stays. Throws where nobody knows which digital lines the old file means: they would be lost.
  public static func text(_ configuration: Configuration, replacing old: String) throws(Problem) -> String {
    let table = text(configuration)
    let reading = parse(old)
    if let problem = reading.gpioProblem { throw problem }
    guard let section = reading.gpio else { return table }
    let alone = parse(table)
    let own = SectionText.of(GPIOSection.key, in: old, without: [heading, sensorsHeading])
    let candidates: [String?] = [own, section.text]
    for case let lines? in candidates {
      let whole = "\(table)\n\(lines)"
      let again = parse(whole)
      if again.gpio == section, again.configuration == alone.configuration, again.problems == alone.problems { return whole }
    }
    throw Problem(line: 0, text: "\(GPIOSection.key): found a section that cannot be written again as it is")
  }

  /// CRC-32 over the values in the table's order, eight hexadecimal digits.
  public static func checksum(_ configuration: Configuration) -> String {
    var bytes = ConfigurationItem.allCases.flatMap { Array("\($0.row.key)=\(configuration[$0])\n".utf8) }
    for module in 0..<30 { bytes.append(configuration.sensors[module]) }
    return Checksum.text(bytes)
  }
}

/// CRC-32 as zlib has it.
enum Checksum {
  static func text(_ bytes: [UInt8]) -> String {
    let sum = bytes.withUnsafeBufferPointer { crc32(0, $0.baseAddress, UInt32(clamping: $0.count)) }
    let digits = String(sum, radix: 16)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }
}
