import Controller
import Formats
import HostIO

/// A configuration into a file that people keep.
enum ConfigurationOutput {
  /// Writes the file whole or not at all. The digital lines that it names stay: whoever saves a configuration knows nothing of them.
  /// - Parameter lines: the digital lines that were read from it: where the file is gone by now, the new one names them again.
  static func write(_ configuration: Configuration, to path: String, lines: GPIOSection? = nil) throws(WorldError) {
    let text = try text(configuration, for: path, lines)
    do throws(HostError) { try AtomicFile.write(Array(text.utf8), to: path) } catch {
      throw WorldError(message: error.description)
    }
  }

  private static func text(
    _ configuration: Configuration, for path: String, _ lines: GPIOSection?
  ) throws(WorldError) -> String {
    guard InputFile.exists(path) else {
      return lines.map { ConfigurationFile.text(configuration, lines: $0) } ?? ConfigurationFile.text(configuration)
    }
    let old = String(decoding: try InputFile.bytes(of: path), as: UTF8.self)
    do throws(ConfigurationFile.Problem) { return try ConfigurationFile.text(configuration, replacing: old) } catch {
      throw WorldError(
        message: "\(path): \(error); nothing is overwritten, its digital lines would be lost: correct the file or move it away")
    }
  }
}
