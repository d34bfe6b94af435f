/// All definitions in use, by protocol.
public struct DefinitionLibrary: Sendable {
  public init() {}
}
