import Formats
import HostIO

/// Kinds of names that the definitions or the open capture know, and not the argument parser.
enum CompletionTopic: Equatable, Sendable {
  case protocols
  /// Variants of a protocol, of all if `nil`.
  case variants(ofProtocol: String?)
  case messages
  case signals
  case buses
  /// Live buses of this machine.
  case interfaces
}

/// Who knows those names. Asked when a person presses TAB, so it may take a moment, but not throw.
protocol CompletionSource {
  /// The names, in any order, duplicates allowed.
  func names(_ topic: CompletionTopic) -> [String]
}

/// Knows no names.
struct NoNames: CompletionSource {
  func names(_ topic: CompletionTopic) -> [String] { [] }
}

/// The names in the built-in definitions, read when first asked for.
final class LibraryNames: CompletionSource {
  private lazy var library: DefinitionLibrary = {
    var definitions = LoadedDefinitions()
    return (try? definitions.library(folder: nil)) ?? DefinitionLibrary()
  }()

  func names(_ topic: CompletionTopic) -> [String] {
    switch topic {
    case .protocols: library.protocolNames
    case .variants(let name): definitions(name).flatMap { $0.sidecar.variants.map(\.name) }
    case .messages: messages.map(\.name)
    case .signals: messages.flatMap { $0.signals.map(\.name) }
    // The buses of a capture are only known to who has read it.
    case .buses: []
    case .interfaces: CANInterface.all().map(\.name)
    }
  }

  private var messages: [DBCMessage] { library.definitions.flatMap(\.dbc.messages) }

  private func definitions(_ name: String?) -> [Definition] {
    library.definitions.filter { name == nil || $0.protocolName == name }
  }
}
