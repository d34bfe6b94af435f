import ArgumentParser
import Controller
import Formats
import HostIO

/// `config`: the controller's configuration table.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Show, change and check the controller's configuration.",
    discussion: HelpText.discussion(
      "The file is $XDG_CONFIG_HOME/linkbms/config.yaml unless --file names another. It is written whole or not at all; the one "
        + "before is kept as NAME.previous. Exit status: 0 done, and the configuration may be used; 1 it breaks rules (CONFIG ERR); "
        + "2 could not do it.\n\n"
        + "Beside the table the file may say which lines of a GPIO chip 'linkbms run' uses, in a section that is written by hand:\n\n"
        + "  gpio:\n    chip: gpiochip0\n    outputs: [running=17, fault=4:low]\n    inputs: [open=22:low:pull-up]\n"
        + "    reset-button: 27:low:pull-up\n\n"
        + "The words are those of run's --gpio options, which win over it; outputs, inputs and reset-button may each be left out. "
        + "Whoever saves a configuration, here, on the pages or in a commissioning, keeps the section with its comments; the checksum "
        + "is the table's alone. A section that cannot be read is never overwritten, and 'run' does not begin with it. What is changed "
        + "in it counts from the next start on.",
      examples: [
        ("linkbms config set bms1-slaves=12 bms1-cells-per-module=8 cell-count=96", "change items, all or none"),
        ("linkbms config set bms1-sensors.3=4,5", "use T4 and T5 of the third module"),
        ("linkbms config preset li-ion", "fill every cell voltage"),
        ("linkbms config check", "every rule that is broken"),
      ]),
    subcommands: [Show.self, Set.self, PresetItems.self, Check.self, Diff.self, Path.self], defaultSubcommand: Show.self)

  /// `--file`.
  struct FileOption: ParsableArguments {
    @Option(help: ArgumentHelp("The configuration file.", valueName: "file"), completion: .file(extensions: ["yaml"]))
    var file: String?

    func path() throws(WorldError) -> String {
      if let file { return file }
      let base = FileNames.environment("XDG_CONFIG_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
      guard let folder = base ?? FileNames.environment("HOME").map({ "\($0)/.config" }) else {
        throw WorldError(message: "--file: needed, since neither XDG_CONFIG_HOME nor HOME is set")
      }
      return "\(folder)/linkbms/config.yaml"
    }

    /// What the file says; `nil` where there is none.
    func read() throws(WorldError) -> ConfigurationFile.Reading? {
      let path = try path()
      guard InputFile.exists(path) else { return nil }
      return ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: path), as: UTF8.self), path: path)
    }

    /// The configuration to change: that of the file if it can be read, the preset LFP where there is none.
    func editable() throws(WorldError) -> Configuration {
      guard let reading = try read() else { return Configuration() }
      guard let problem = reading.problems.first else { return reading.configuration }
      throw WorldError(message: "\(try path()): \(problem); nothing is overwritten: correct the file or move it away")
    }

    /// Writes it if it keeps all rules.
    func write(_ configuration: Configuration, in world: inout some World) throws -> ExitStatus {
      let path = try path()
      let violations = configuration.violations
      guard violations.isEmpty else {
        for violation in violations { world.note("linkbms: \(violation)") }
        throw WorldError(
          message: "\(path): left as it was: \(violations.count) rule\(violations.count == 1 ? "" : "s") would be broken")
      }
      if let slash = path.lastIndex(of: "/"), slash > path.startIndex { try? FileNames.makeFolder(String(path[..<slash])) }
      try ConfigurationOutput.write(configuration, to: path)
      world.note("linkbms: wrote \(path)")
      return .done
    }
  }

  struct Show: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Every item, or some, with value, range and help.")
    @Argument(help: ArgumentHelp("Items.", valueName: "item"), completion: .list(ConfigurationItem.allCases.map(\.row.key)))
    var items: [String] = []
    @Option(help: ArgumentHelp("Output: text or json.", valueName: "format")) var format: OutputFormat?
    @OptionGroup var file: FileOption

    mutating func run(in world: inout some World) throws -> ExitStatus {
      let reading = try file.read()
      let configuration = reading?.configuration ?? Configuration()
      if reading == nil { world.note("linkbms: \(try file.path()): not there; this is the preset LFP") }
      let chosen = try items.isEmpty ? ConfigurationItem.allCases : items.map(ConfigCommand.item)
      if (format ?? world.defaultFormat) == .json {
        var fields = chosen.map { item -> String in
          let value = configuration[item]
          let text = item == .inverterProtocol ? JSONText.quoted(item.text(value)) : item.text(value)
          return "\(JSONText.quoted(item.row.key)):{\"value\":\(text),\"unit\":\(JSONText.quoted(item.row.unit))}"
        }
        if items.isEmpty, let section = reading?.gpio { fields.append(ConfigCommand.json(section)) }
        try world.print("{\(fields.joined(separator: ","))}")
      } else {
        let style = TextStyle(usesColour: world.terminal.usesColour)
        for item in chosen {
          let key = item.row.key + String(repeating: " ", count: max(1, 30 - item.row.key.count))
          let value = item.textWithUnit(configuration[item])
          let shown = value + String(repeating: " ", count: max(1, 14 - value.count))
          try world.print("\(key)\(style.strong(shown))\(style.dim("\(item.rangeText); \(item.row.help)"))")
        }
        if items.isEmpty {
          for line in ConfigCommand.sensorLines(configuration) { try world.print(line) }
          for part in reading?.gpio?.parts ?? [] {
            try world.print("\(GPIOSection.key).\(part.key) \(part.words.joined(separator: ","))")
          }
        }
      }
      for complaint in reading?.complaints ?? configuration.violations.map(\.description) {
        world.note("linkbms: CONFIG ERR: \(complaint)")
      }
      return reading.map { $0.complaints.isEmpty } ?? true ? .done : .findings
    }
  }

  struct Set: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Change items: all of them, or none if a rule would be broken.")
    @Argument(
      help: ArgumentHelp(
        "ITEM=VALUE, with or without its unit; bms1-sensors.3=4,5 for the sensors of a module.", valueName: "item=value"),
      completion: .list(ConfigurationItem.allCases.map { $0.row.key + "=" }))
    var changes: [String]
    @OptionGroup var file: FileOption

    mutating func run(in world: inout some World) throws -> ExitStatus {
      var configuration = try file.editable()
      for change in changes {
        let parts = change.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { throw WorldError(message: "\(change): expected ITEM=VALUE") }
        if parts[0].hasPrefix("bms1-sensors.") || parts[0].hasPrefix("bms2-sensors.") {
          try setSensors(parts[0], parts[1], &configuration)
          continue
        }
        let item = try ConfigCommand.item(parts[0])
        guard let value = item.value(parts[1]) else {
          throw WorldError(message: "\(item.row.key): found \"\(parts[1])\", expected \(item.rangeText)")
        }
        configuration[item] = value
      }
      return try file.write(configuration, in: &world)
    }

    private func setSensors(_ key: String, _ value: String, _ configuration: inout Configuration) throws(WorldError) {
      guard let module = Int(key.dropFirst(13)), (1...15).contains(module) else {
        throw WorldError(message: "\(key): expected a module 1…15 behind the point")
      }
      var mask: UInt8 = 0
      for sensor in value.split(separator: ",") {
        guard let number = UInt8(sensor.hasPrefix("T") ? sensor.dropFirst() : sensor), (1...5).contains(number) else {
          throw WorldError(message: "\(key): found \"\(sensor)\", expected sensors 1…5, such as 4,5")
        }
        mask |= 1 << (number - 1)
      }
      configuration.setSensors(mask, ofModule: (key.hasPrefix("bms2") ? 15 : 0) + module - 1)
    }
  }

  struct PresetItems: ToolCommand {
    static let configuration = CommandConfiguration(commandName: "preset", abstract: "Fill every cell voltage: lfp or li-ion.")
    @Argument(help: ArgumentHelp("lfp or li-ion.", valueName: "preset"), completion: .list(["lfp", "li-ion"])) var preset: String
    @OptionGroup var file: FileOption

    mutating func run(in world: inout some World) throws -> ExitStatus {
      var configuration = try file.editable()
      switch preset {
      case "lfp": configuration.apply(.lfp)
      case "li-ion": configuration.apply(.liIon)
      default: throw WorldError(message: "preset: found \"\(preset)\", expected lfp, li-ion")
      }
      return try file.write(configuration, in: &world)
    }
  }

  struct Check: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Every rule that is broken, with the values found.")
    @Argument(help: ArgumentHelp("Files; the standard one if none.", valueName: "file"), completion: .file(extensions: ["yaml"]))
    var files: [String] = []
    @OptionGroup var file: FileOption

    mutating func run(in world: inout some World) throws -> ExitStatus {
      var status = ExitStatus.done
      for path in try files.isEmpty ? [file.path()] : files {
        let reading = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: path), as: UTF8.self), path: path)
        for complaint in reading.complaints { try world.print("\(path): \(complaint)") }
        if reading.complaints.isEmpty {
          try world.print("\(path): valid\(reading.hasChecksum ? "" : " (without a checksum)")")
        } else {
          status = .findings
        }
      }
      return status
    }
  }

  struct Diff: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Items that differ: from the file before, or between two files.")
    @Argument(help: ArgumentHelp("The older file; the one kept from before if none.", valueName: "old"), completion: .file())
    var old: String?
    @Argument(help: ArgumentHelp("The newer file; the standard one if none.", valueName: "new"), completion: .file()) var new:
      String?
    @OptionGroup var file: FileOption

    mutating func run(in world: inout some World) throws -> ExitStatus {
      let newer = try new ?? file.path()
      let older = old ?? newer + ".previous"
      let oldFile = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: older), as: UTF8.self), path: older)
      let newFile = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: newer), as: UTF8.self), path: newer)
      let (before, after) = (oldFile.configuration, newFile.configuration)
      for item in ConfigurationItem.allCases where before[item] != after[item] {
        try world.print("\(item.row.key): \(item.textWithUnit(before[item])) → \(item.textWithUnit(after[item]))")
      }
      let sensors = zip(ConfigCommand.sensorLines(before), ConfigCommand.sensorLines(after))
      for (one, other) in sensors where one != other { try world.print("\(one) → \(other.split(separator: " ").last ?? "")") }
      if oldFile.gpio != newFile.gpio {
        try world.print("\(GPIOSection.key): \(oldFile.gpio?.summary ?? "none") → \(newFile.gpio?.summary ?? "none")")
      }
      return before == after && oldFile.gpio == newFile.gpio ? .done : .findings
    }
  }

  struct Path: ToolCommand {
    static let configuration = CommandConfiguration(abstract: "Where the configuration file is.")
    @OptionGroup var file: FileOption
    mutating func run(in world: inout some World) throws -> ExitStatus {
      try world.print(try file.path())
      return .done
    }
  }

  static func item(_ key: String) throws(WorldError) -> ConfigurationItem {
    if let item = ConfigurationItem(key: key) { return item }
    if key == GPIOSection.key || key.hasPrefix(GPIOSection.key + ".") {
      throw WorldError(message: "\(key): is no item: the section gpio is written into the file by hand, and is kept")
    }
    let keys = ConfigurationItem.allCases.map(\.row.key)
    throw WorldError(message: "\(key): no such item\(NearestName.hint(key, in: keys)); 'config show' lists them")
  }

  /// The digital lines as a field of the configuration's object.
  private static func json(_ section: GPIOSection) -> String {
    func list(_ words: [String]) -> String { "[" + words.map { JSONText.quoted($0) }.joined(separator: ",") + "]" }
    let button = section.wiring.buttonWord.map { JSONText.quoted($0) } ?? "null"
    return "\"gpio\":{\"chip\":\(JSONText.quoted(section.chip)),\"outputs\":\(list(section.wiring.outputWords)),"
      + "\"inputs\":\(list(section.wiring.inputWords)),\"reset-button\":\(button)}"
  }

  /// A line for each module that has sensors in use.
  static func sensorLines(_ configuration: Configuration) -> [String] {
    ChainNumber.allCases.flatMap { chain in
      (0..<min(15, max(0, configuration.slaves(chain)))).map { module in
        let mask = configuration.sensors[chain.index * 15 + module]
        let names = (0..<5).filter { mask & 1 << UInt8($0) != 0 }.map { "T\($0 + 1)" }
        return "\(chain.word.lowercased())-sensors.\(module + 1) \(names.isEmpty ? "none" : names.joined(separator: ","))"
      }
    }
  }
}
