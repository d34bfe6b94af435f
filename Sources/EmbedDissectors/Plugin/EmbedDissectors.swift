import PackagePlugin

/// Puts the text of every definition under `Dissectors/` into the target it is applied to, as one generated Swift file, so that the
/// executable carries its definitions and a changed definition rebuilds it.
@main
struct EmbedDissectors: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let folder = context.package.directoryURL.appending(path: "Dissectors")
    let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedDissectors.swift")
    let files = FileManagerFiles.definitions(below: folder)
    return [
      .buildCommand(
        displayName: "Embedding \(files.count) definition files",
        executable: try context.tool(named: "embed-dissectors").url,
        arguments: [folder.path(), output.path()] + files.map { $0.path() },
        inputFiles: files,
        outputFiles: [output])
    ]
  }
}
