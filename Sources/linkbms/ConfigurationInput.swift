import Controller
import Formats

/// A configuration that a person names for a command that only looks at it.
enum ConfigurationInput {
  /// Reads the file; one that cannot be read as a configuration is refused, one that breaks rules is not: a faulty system is what
  /// people look at.
  static func read(_ path: String) throws(WorldError) -> Configuration {
    let reading = ConfigurationFile.parse(String(decoding: try InputFile.bytes(of: path), as: UTF8.self), path: path)
    guard let problem = reading.problems.first else { return reading.configuration }
    throw WorldError(message: "\(path): \(problem)")
  }
}
