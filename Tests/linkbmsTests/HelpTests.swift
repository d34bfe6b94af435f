import Testing

@testable import linkbms

@Suite struct HelpTests {
  /// The tree comes out of the parser's JSON, whose format is not ours: this tells when it changes.
  @Test func theTreeKnowsCommandsOptionsAndValues() throws {
    let tree = CommandTree.of(LinkBMS.self)
    let shell = try #require(tree.subcommand("shell"))
    #expect(shell.option("-c")?.kind == .option)
    #expect(shell.option("--interactive")?.kind == .flag)
    #expect(shell.positionals.first?.valueName == "file")
    if case .file = shell.positionals.first?.completionKind {} else { Issue.record("no file completion") }
    #expect(tree.subcommand("completions")?.positionals.first?.fixedValues == ["bash", "zsh", "fish"])
    #expect(CommandTree.of(Prompt.self).shownSubcommands.filter { $0.commandName == "help" }.count == 1)
  }

  @Test func everyCommandExplainsItself() {
    func check(_ command: CommandInfo) {
      #expect(command.abstract?.hasSuffix(".") == true, "\(command.commandName)")
      for argument in command.arguments ?? [] where argument.shouldDisplay {
        #expect(
          argument.abstract?.isEmpty == false,
          "\(command.commandName) \(argument.preferredName?.written ?? argument.valueName ?? "")")
      }
      for below in command.shownSubcommands where below.commandName != "help" { check(below) }
    }
    check(CommandTree.of(LinkBMS.self))
    check(CommandTree.of(Prompt.self))
  }

  @Test func theManualHasEveryCommandAndItsExamples() {
    let text = ManualPage(CommandTree.of(LinkBMS.self)).text
    #expect(text.hasPrefix(".TH LINKBMS 1"))
    let commands = CommandTree.of(LinkBMS.self).shownSubcommands.filter { $0.commandName != "help" }
    for command in commands { #expect(text.contains(".SS linkbms \(command.commandName)")) }
    #expect(text.contains("\n  linkbms shell \\-c 'info; identify' site.log\n"))
    // A line that begins with a dot or a quote would be a request.
    for line in text.split(separator: "\n") where line.hasPrefix("'") { Issue.record("\(line)") }
  }

  @Test(arguments: [("verison", "version"), ("decde", "decode"), ("x", nil), ("zzzzzz", nil), ("", nil)] as [(String, String?)])
  func suggestsNearNames(word: String, expected: String?) {
    #expect(Suggestion.closest(to: word, in: ["version", "decode", "identify"]) == expected)
  }

  @Test(arguments: [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)])
  func measuresDistance(left: String, right: String, expected: Int) {
    #expect(Suggestion.distance(Array(left.utf8), Array(right.utf8)) == expected)
  }

  @Test func helpAtThePromptNamesCommandsAsTheyAreTyped() {
    #expect(
      Prompt.asTyped("USAGE: linkbms open <file>\n  See 'linkbms open --help'.") == "USAGE: open <file>\n  See 'open --help'.")
    #expect(Prompt.asTyped("  linkbms decode x") == "  linkbms decode x")
  }
}
