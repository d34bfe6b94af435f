import ArgumentParser

/// Prints the manual page.
struct ManualCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual", abstract: "Print the manual page, in man(7) form.",
    discussion: HelpText.discussion(examples: [
      ("linkbms manual | man -l -", "read it"),
      ("linkbms manual > ~/.local/share/man/man1/linkbms.1", "install it for yourself"),
    ]))

  mutating func run(in world: inout some World) throws -> ExitStatus {
    try world.print(ManualPage(CommandTree.of(LinkBMS.self)).text)
    return .done
  }
}
