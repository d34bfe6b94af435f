/// Kinds of names that the definitions or the open capture know, and not the argument parser.
enum CompletionTopic: Equatable, Sendable {
  case protocols
  /// Variants of a protocol, of all if `nil`.
  case variants(ofProtocol: String?)
  case messages
  case signals
  case buses
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
