import ArgumentParser

/// `--format` of commands whose answer is no table.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  case text, json

  /// Whether JSON is wanted: by the command, else by `set format`.
  static func isJSON(_ said: ReportFormat?, in world: some World) -> Bool {
    said.map { $0 == .json } ?? (world.defaultFormat == .json)
  }
}
