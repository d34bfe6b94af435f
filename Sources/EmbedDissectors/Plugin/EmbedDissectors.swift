import PackagePlugin

/// Puts texts into the target it is applied to, as one generated Swift file, so that the executable carries them and a changed one
/// rebuilds it: its pages into the gateway, every definition under `Dissectors/` into the program.
@main
struct EmbedDissectors: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let isGateway = target.name == "Gateway"
    let folder = context.package.directoryURL.appending(path: isGateway ? "Sources/Gateway/Pages" : "Dissectors")
    let name = isGateway ? "embeddedPages" : "embeddedDissectors"
    let output = context.pluginWorkDirectoryURL.appending(path: isGateway ? "EmbeddedPages.swift" : "EmbeddedDissectors.swift")
    let files = FileManagerFiles.texts(below: folder, isGateway ? ["css", "js", "html", "svg"] : ["dbc", "yaml"])
    return [
      .buildCommand(
        displayName: "Embedding \(files.count) files of \(folder.lastPathComponent)",
        executable: try context.tool(named: "embed-dissectors").url,
        arguments: [folder.path(), output.path(), name] + files.map { $0.path() },
        inputFiles: files,
        outputFiles: [output])
    ]
  }
}
