import ArgumentParser

/// The root of what can be typed at the prompt: the tool's commands and the built-in ones, parsed alike.
struct Prompt: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "linkbms", abstract: "Commands at the prompt.", subcommands: CommandRegistry.tools + builtIns)
  }

  static var _errorLabel: String { "linkbms" }

  /// Commands that only mean something at the prompt and in scripts.
  static var builtIns: [any ParsableCommand.Type] {
    [
      HelpBuiltIn.self, AproposBuiltIn.self, OpenBuiltIn.self, CloseBuiltIn.self, SetBuiltIn.self, LetBuiltIn.self,
      AliasBuiltIn.self, EchoBuiltIn.self, SourceBuiltIn.self, HistoryBuiltIn.self, CdBuiltIn.self, PwdBuiltIn.self,
      SleepBuiltIn.self, QuitBuiltIn.self,
      ArmBuiltIn.self, DisarmBuiltIn.self, JobsBuiltIn.self, StopBuiltIn.self, TellBuiltIn.self,
      WaitBuiltIn.self, ExpectBuiltIn.self, AssertBuiltIn.self,
    ]
  }

  /// Help of the argument parser as it reads at the prompt, where nobody types `linkbms` first.
  static func asTyped(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let found = rest.firstRange(of: "linkbms ") {
      result += rest[..<found.lowerBound]
      let isName = result.hasSuffix("'") || result.lowercased().hasSuffix("usage: ") || result.hasSuffix("\n       ")
      if !isName { result += rest[found] }
      rest = rest[found.upperBound...]
    }
    return result + rest
  }
}

/// A command of the prompt itself: it may change the session.
protocol BuiltInCommand: ParsableCommand {
  mutating func run(in shell: ShellSession) throws -> ExitStatus
}
