/// What a definition says beyond its DBC: the schema of `Dissectors/README.md` as a value.
public struct Sidecar: Sendable {
  /// How far the definition goes.
  public enum Use: String, Sendable, CaseIterable { case full, identify }
  public enum Width: String, Sendable, CaseIterable { case standard, extended }

  public var path = ""
  public var protocolName = ""
  public var title = ""
  public var summary = ""
  public var dbc = ""
  public var use = Use.full
  public var extends: String?
  public var bitRates: [Int] = []
  public var width = Width.standard
  /// DBC node → side.
  public var roles: [String: Side] = [:]
  public var address: Address?
  public var identify: [Evidence] = []
  public var needs = 1.0
  public var certain = 10.0
  /// By signal, physical.
  public var plausible: [String: ClosedRange<Double>] = [:]
  public var agreements: [Agreement] = []
  public var readings: [Reading] = []
  public var variants: [Variant] = []
  public var flags: [String: SignalFlag] = [:]
  public var textSignals: Set<String> = []
  /// Controller's quantity → signal.
  public var quantities: [String: String] = [:]
  public var samples: [Sample] = []
  public var sources: [Source] = []

  public init() {}

  /// The bits of an arbitration ID that hold an address.
  public struct Address: Sendable {
    public var shift = 0
    public var bits = 4
    public var first = 0
    public var last = 15
    public var defaultAddress = 0
    public var messages: [String] = []
    public var line = 0
    public init() {}

    /// The bits of the ID, in place.
    public var mask: UInt32 { bits >= 1 && bits <= 8 && shift >= 0 && shift < 29 ? ((1 << UInt32(bits)) - 1) << UInt32(shift) : 0 }
  }

  /// Something that speaks for a protocol or a variant when it is seen.
  public struct Evidence: Sendable {
    public var messages: [String] = []
    public var side: Side?
    public var weight = 1.0
    /// Raw values that every such frame must have.
    public var when: [String: [Int64]] = [:]
    /// ASCII that the payload must contain.
    public var text: String?
    /// Length that every such frame must have.
    public var length: Int?
    public var line = 0
    public init() {}
  }

  /// Two expressions that are alike in a healthy system.
  public struct Agreement: Sendable {
    public var left: Product
    public var right: Product
    /// As a fraction of the larger.
    public var tolerance: Double
    public var line = 0
  }

  /// Signals and numbers multiplied.
  public struct Product: Sendable {
    public var signals: [String]
    public var factor: Double
    public var text: String
  }

  /// A dimension in which senders differ.
  public struct Reading: Sendable {
    public var name: String
    public var title: String
    public var options: [Option]
    public var line = 0
  }

  /// One way to read.
  public struct Option: Sendable {
    public var name: String
    public var title: String
    public var changes: [Change] = []
    public var overlay: String?
    public var line = 0
  }

  /// What differs from the DBC for some signals.
  public struct Change: Sendable {
    public var signals: [String] = []
    public var byteOrder: DBCSignal.ByteOrder?
    public var factor: DBCNumber?
    public var offset: DBCNumber?
    public var isSigned: Bool?
    public var startBit: Int?
    public var bitLength: Int?
    public var line = 0
    public init() {}
  }

  /// A named combination.
  public struct Variant: Sendable {
    public var name: String
    public var title: String
    /// Dimension → option; a dimension that is not named stands at its first.
    public var readings: [String: String] = [:]
    public var address: Int?
    public var ids: OtherIDs?
    public var identify: [Evidence] = []
    public var line = 0
  }

  /// Arbitration IDs that follow from the DBC's by a rule.
  public struct OtherIDs: Sendable {
    public var width = Width.standard
    public var shift = 0
    public var map: [String: UInt32] = [:]
    public var omit: Set<String> = []
    public init() {}
  }

  /// A frame with the values it must decode to, and back.
  public struct Sample: Sendable {
    public var frame = ""
    public var message = ""
    public var variant: String?
    public var readings: [String: String] = [:]
    public var expect: [(signal: String, value: Expected)] = []
    public var kind = ""
    public var source = ""
    public var line = 0
    public init() {}
  }

  public enum Expected: Sendable, Equatable {
    case number(Double)
    case text(String)
  }

  public struct Source: Sendable {
    public var id = ""
    public var title = ""
    public var place = ""
    public var confidence = ""
  }
}
