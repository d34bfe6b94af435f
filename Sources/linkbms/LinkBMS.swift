import ArgumentParser

/// The tool. Without a command it opens the prompt.
struct LinkBMS: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "linkbms",
      abstract: "Makes sense of the CAN traffic between batteries and inverters.",
      discussion: HelpText.discussion(
        "Exit status: 0 done and nothing wrong, 1 done with findings or differences, 2 could not do it, 128 + n ended by signal n.",
        examples: [
          ("linkbms decode site.log", "name and value every frame of a capture"),
          ("linkbms site.log", "open a capture and explore it at the prompt"),
        ]),
      version: "linkbms \(Version.text)",
      subcommands: CommandRegistry.tools + CommandRegistry.fromTheCommandLineOnly,
      defaultSubcommand: ShellCommand.self)
  }

  /// Errors begin with the name of the program, as those of every Unix tool.
  static var _errorLabel: String { "linkbms" }
}

/// All commands, for both front ends.
enum CommandRegistry {
  /// Commands that work from the command line and at the prompt.
  static var tools: [any ParsableCommand.Type] {
    [
      DecodeCommand.self, IdentifyCommand.self, InfoCommand.self, ConvertCommand.self, DissectorsCommand.self,
      ChainCommand.self, DiagnoseCommand.self, CompareCommand.self, SimulateCommand.self, ReplayCommand.self, RunCommand.self,
      FaultMatrixCommand.self, ExportCommand.self, CloudCommand.self,
      CaptureCommand.self, MonitorCommand.self, BusCommand.self, SendCommand.self, BridgeCommand.self, VirtualCommand.self,
      ConfigCommand.self, VersionCommand.self,
      CommissionCommand.self,
    ]
  }

  /// Commands without a meaning inside the prompt.
  static var fromTheCommandLineOnly: [any ParsableCommand.Type] {
    [ShellCommand.self, CompletionsCommand.self, ManualCommand.self]
  }
}
