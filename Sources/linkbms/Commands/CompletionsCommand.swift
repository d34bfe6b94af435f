import ArgumentParser

/// Prints the script that teaches a shell to complete this program's commands.
struct CompletionsCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "completions", abstract: "Print completions for bash, zsh or fish.",
    discussion: HelpText.discussion(examples: [
      ("linkbms completions bash > ~/.local/share/bash-completion/completions/linkbms", "bash, for yourself"),
      ("linkbms completions zsh > ~/.zfunc/_linkbms", "zsh, with ~/.zfunc in fpath"),
      ("linkbms completions fish > ~/.config/fish/completions/linkbms.fish", "fish, for yourself"),
    ]))

  enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

  @Argument(help: "Which shell.") var shell: Shell

  mutating func run(in world: inout some World) throws -> ExitStatus {
    let script: CompletionShell =
      switch shell {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    try world.print(LinkBMS.completionScript(for: script))
    return .done
  }
}
