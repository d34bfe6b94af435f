import ArgumentParser

/// Prints the version.
struct VersionCommand: ToolCommand {
  static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

  mutating func run(in world: inout some World) throws -> ExitStatus {
    try world.print("linkbms \(Version.text)")
    return .done
  }
}
