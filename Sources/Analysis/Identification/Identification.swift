public import Formats

/// What a bus speaks, and how sure that is.
public struct BusIdentification: Sendable {
  /// The bus.
  public var bus: String
  /// The protocol; `nil` if nothing that is known explains the traffic.
  public var protocolName: String?
  /// The variant whose readings and IDs fit; `nil` without frames that could tell.
  public var variant: String?
  /// Readings in which the traffic differs from that variant: dimension → option.
  public var readings: [String: String] = [:]
  /// The battery's address where the protocol has one.
  public var address: UInt8?
  /// Which sides speak.
  public var sides: [Side] = []
  /// 0…1.
  public var confidence = 0.0
  /// Sentences, strongest first.
  public var evidence: [String] = []
  /// What else was considered.
  public var alternatives: [Alternative] = []
  /// Sentences about what does not fit.
  public var doubts: [String] = []
  /// Other protocols on the same bus, each with its own variant and readings; they have no others themselves.
  public var others: [BusIdentification] = []

  /// Another protocol that was considered.
  public struct Alternative: Sendable, Equatable {
    /// Its short name.
    public var protocolName: String
    /// `nil` where the default variant is as good as any.
    public var variant: String?
    /// 0…1.
    public var confidence: Double

    /// A protocol that was considered.
    public init(protocolName: String, variant: String? = nil, confidence: Double) {
      self.protocolName = protocolName
      self.variant = variant
      self.confidence = confidence
    }
  }

  /// Nothing known of a bus yet.
  public init(bus: String) { self.bus = bus }
}
