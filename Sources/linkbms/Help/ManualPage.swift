/// The manual page in man(7) form, from the command tree.
struct ManualPage {
  private var lines: [String] = []

  init(_ root: CommandInfo) {
    lines.append(".TH \(root.commandName.uppercased()) 1 \"\" \"\(root.commandName) \(Version.text)\" \"User Commands\"")
    section("NAME", [Self.escape("\(root.commandName) - \(Self.asPhrase(root.abstract ?? ""))")])
    synopsis(root)
    discussion(root, heading: "DESCRIPTION")
    section(
      "OPTIONS",
      [
        ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nSay how to use the program or, behind a command, that command.",
        ".TP\n.B \\-\\-version\nPrint the version.",
      ])
    lines.append(".SH COMMANDS")
    for command in root.shownSubcommands where command.commandName != "help" { describe(command, below: root.commandName) }
    section(
      "EXIT STATUS",
      [
        ".TP\n.B 0\nDone, and nothing wrong.", ".TP\n.B 1\nDone, and there are findings, differences or damage.",
        ".TP\n.B 2\nCould not do it: usage, input or device.", ".TP\n.BI 128+ n\nEnded by signal \\fIn\\fR.",
      ])
    section(
      "ENVIRONMENT",
      [
        ".TP\n.B NO_COLOR\nIf set and not empty, output has no colour.",
        ".TP\n.B COLUMNS\nWidth of the output, over what the terminal says.",
        ".TP\n.B PAGER\nThe program that \\fB| pager\\fR stands for at the prompt.",
      ])
    let history = "Lines typed at the prompt; $XDG_STATE_HOME is ~/.local/state unless set."
    section("FILES", [".TP\n.I $XDG_STATE_HOME/linkbms/history\n\(history)"])
  }

  /// The page, for `man -l -`.
  var text: String { lines.joined(separator: "\n") }

  private mutating func section(_ title: String, _ body: [String]) { lines += [".SH \(title)"] + body }

  private mutating func synopsis(_ root: CommandInfo) {
    lines.append(".SH SYNOPSIS")
    lines.append(".B \(root.commandName)\n.I command\n.RI [ options ]\n.RI [ file ...]")
    lines.append(".br\n.B \(root.commandName)\n.RI [ file ]")
  }

  private mutating func describe(_ command: CommandInfo, below parent: String) {
    let name = "\(parent) \(command.commandName)"
    lines.append(".SS \(Self.escape(Self.usage(command, name: name)))")
    if let abstract = command.abstract { lines.append(Self.escape(abstract)) }
    let own = command.shownOptions.filter { !["help", "version"].contains($0.preferredName?.name) }
    for argument in command.positionals + own { describe(argument) }
    discussion(command, heading: nil)
    for below in command.shownSubcommands where below.commandName != "help" { describe(below, below: name) }
  }

  private mutating func describe(_ argument: ArgumentInfo) {
    let value = argument.kind == .flag ? "" : " \\fI\(Self.escape(argument.valueName ?? "value"))\\fR"
    let names = (argument.names ?? []).map { "\\fB\(Self.escape($0.written))\\fR" }.joined(separator: ", ")
    lines.append(".TP\n\(names.isEmpty ? value.trimmingBlanks : names + value)")
    var text = [argument.abstract, argument.discussion].compactMap(\.self).joined(separator: " ")
    if let values = argument.fixedValues { text += " One of: \(values.joined(separator: ", "))." }
    if let value = argument.defaultValue { text += " Default: \(value)." }
    lines.append(Self.escape(text.trimmingBlanks))
  }

  /// Paragraphs are filled; capital headings stand out; what is indented (examples, tables) keeps its lines.
  private mutating func discussion(_ command: CommandInfo, heading: String?) {
    guard let discussion = command.discussion else { return }
    if let heading { lines.append(".SH \(heading)") }
    var isIndented = false
    for line in discussion.split(separator: "\n", omittingEmptySubsequences: false) {
      let wasIndented = isIndented
      isIndented = line.hasPrefix("  ")
      if isIndented != wasIndented { lines.append(isIndented ? ".PP\n.nf" : ".fi") }
      if isIndented {
        lines.append(Self.escape(String(line)))
      } else if line.isEmpty {
        lines.append(".PP")
      } else if line.allSatisfy({ $0.isUppercase || $0 == " " || $0 == ":" }) {
        lines.append(".PP\n.B \(Self.escape(line.capitalizedHeading))")
      } else {
        lines.append(Self.escape(String(line)))
      }
    }
    if isIndented { lines.append(".fi") }
  }

  private static func usage(_ command: CommandInfo, name: String) -> String {
    let values = command.positionals.map { argument in
      let value = (argument.valueName ?? "value").uppercased() + (argument.isRepeating ? "..." : "")
      return argument.isOptional ? "[\(value)]" : value
    }
    let hasOptions = command.shownOptions.contains { !["help", "version"].contains($0.preferredName?.name) }
    return ([name] + (hasOptions ? ["[options]"] : []) + values).joined(separator: " ")
  }

  /// "Makes sense of X." → "makes sense of X": the form of a NAME line.
  private static func asPhrase(_ sentence: String) -> String {
    let text = sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    return text.prefix(1).lowercased() + text.dropFirst()
  }

  /// Text that troff takes as it is: no escapes, no requests, hyphens that can be copied.
  private static func escape(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      default: result.append(character)
      }
    }
    return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
  }
}

extension StringProtocol {
  /// "EXIT STATUS:" → "Exit status".
  fileprivate var capitalizedHeading: String {
    let words = hasSuffix(":") ? String(dropLast()) : String(self)
    return words.prefix(1) + words.dropFirst().lowercased()
  }

  /// Without blanks at both ends.
  var trimmingBlanks: String {
    var rest = self[...]
    while rest.first == " " { rest = rest.dropFirst() }
    while rest.last == " " { rest = rest.dropLast() }
    return String(rest)
  }
}
