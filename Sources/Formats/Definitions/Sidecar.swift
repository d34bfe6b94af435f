/// What a definition says beyond its DBC: the schema of `Dissectors/README.md` as a value.
public struct Sidecar: Sendable {
  /// How far the definition goes.
  public enum Use: String, Sendable, CaseIterable { case full, identify }
  /// 11 or 29 bits.
  public enum Width: String, Sendable, CaseIterable { case standard, extended }

  /// File it was read from, for messages.
  public var path = ""
  /// Short name, as in `--protocol`.
  public var protocolName = ""
  /// Name for people.
  public var title = ""
  /// What it is, in a paragraph.
  public var summary = ""
  /// The DBC file beside it.
  public var dbc = ""
  /// What it is good for.
  public var use = Use.full
  /// The definition it builds on.
  public var extends: String?
  /// bit/s that are in use.
  public var bitRates: [Int] = []
  /// Width of its IDs.
  public var width = Width.standard
  /// DBC node → side.
  public var roles: [String: Side] = [:]
  /// Where the battery's address stands in the ID.
  public var address: Address?
  /// What speaks for this protocol.
  public var identify: [Evidence] = []
  /// Evidence needed to name it at all.
  public var needs = 1.0
  /// Evidence at which nothing speaks against it.
  public var certain = 10.0
  /// By signal, physical.
  public var plausible: [String: ClosedRange<Double>] = [:]
  /// Products of signals that have to agree.
  public var agreements: [Agreement] = []
  /// Choices that the bytes alone do not settle.
  public var readings: [Reading] = []
  /// Dialects of this protocol.
  public var variants: [Variant] = []
  /// What fault bits mean, by signal.
  public var flags: [String: SignalFlag] = [:]
  /// Signals that are read as ASCII.
  public var textSignals: Set<String> = []
  /// Controller's quantity → signal.
  public var quantities: [String: String] = [:]
  /// How both sides behave.
  public var handshake = Handshake()
  /// Frames with expected values.
  public var samples: [Sample] = []
  /// Where the facts come from.
  public var sources: [Source] = []

  /// An empty sidecar.
  public init() {}

  /// The bits of an arbitration ID that hold an address.
  public struct Address: Sendable {
    /// Lowest bit of the address in the ID.
    public var shift = 0
    /// Bits of the address.
    public var bits = 4
    /// Lowest address in use.
    public var first = 0
    /// Highest address in use.
    public var last = 15
    /// The address where nothing is said.
    public var defaultAddress = 0
    /// Messages that carry it; empty = all.
    public var messages: [String] = []
    /// Line in the file.
    public var line = 0
    /// No address.
    public init() {}

    /// The bits of the ID, in place.
    public var mask: UInt32 { bits >= 1 && bits <= 8 && shift >= 0 && shift < 29 ? ((1 << UInt32(bits)) - 1) << UInt32(shift) : 0 }
  }

  /// Something that speaks for a protocol or a variant when it is seen.
  public struct Evidence: Sendable {
    /// Messages that count as this evidence.
    public var messages: [String] = []
    /// Which side sends them.
    public var side: Side?
    /// How much it speaks for the protocol.
    public var weight = 1.0
    /// Raw values that every such frame must have.
    public var when: [String: [Int64]] = [:]
    /// ASCII that the payload must contain.
    public var text: String?
    /// Length that every such frame must have.
    public var length: Int?
    /// Line in the file.
    public var line = 0
    /// No evidence.
    public init() {}
  }

  /// Two expressions that are alike in a healthy system.
  public struct Agreement: Sendable {
    /// One product.
    public var left: Product
    /// The other, which has to be near.
    public var right: Product
    /// As a fraction of the larger.
    public var tolerance: Double
    /// Line in the file.
    public var line = 0
  }

  /// Signals and numbers multiplied.
  public struct Product: Sendable {
    /// Signals that are multiplied.
    public var signals: [String]
    /// And this factor.
    public var factor: Double
    /// What follows if this option is chosen.
    public var text: String
  }

  /// A dimension in which senders differ.
  public struct Reading: Sendable {
    /// Short name.
    public var name: String
    /// Name for people.
    public var title: String
    /// Ways to read it.
    public var options: [Option]
    /// Line in the file.
    public var line = 0
  }

  /// One way to read.
  public struct Option: Sendable {
    /// Short name.
    public var name: String
    /// Name for people.
    public var title: String
    /// Changes to signals.
    public var changes: [Change] = []
    /// A DBC whose messages take the place of ours.
    public var overlay: String?
    /// Line in the file.
    public var line = 0
  }

  /// What differs from the DBC for some signals.
  public struct Change: Sendable {
    /// Signals that are changed; empty = all of the messages.
    public var signals: [String] = []
    /// Another byte order.
    public var byteOrder: DBCSignal.ByteOrder?
    /// Another factor.
    public var factor: DBCNumber?
    /// Another offset.
    public var offset: DBCNumber?
    /// Another sign.
    public var isSigned: Bool?
    /// Another place.
    public var startBit: Int?
    /// Another length.
    public var bitLength: Int?
    /// Line in the file.
    public var line = 0
    /// No change.
    public init() {}
  }

  /// A named combination.
  public struct Variant: Sendable {
    /// Short name.
    public var name: String
    /// Name for people.
    public var title: String
    /// Dimension → option; a dimension that is not named stands at its first.
    public var readings: [String: String] = [:]
    /// The address where this variant has a fixed one.
    public var address: Int?
    /// Other IDs than the definition's.
    public var ids: OtherIDs?
    /// What this variant's battery says otherwise.
    public var say: [(signal: String, source: Handshake.Say)] = []
    /// What speaks for this variant.
    public var identify: [Evidence] = []
    /// Line in the file.
    public var line = 0
  }

  /// Arbitration IDs that follow from the DBC's by a rule.
  public struct OtherIDs: Sendable {
    /// Width of the other IDs.
    public var width = Width.standard
    /// Bits by which they are shifted.
    public var shift = 0
    /// IDs by message name.
    public var map: [String: UInt32] = [:]
    /// Messages that this variant does not have.
    public var omit: Set<String> = []
    /// No other IDs.
    public init() {}
  }

  /// A frame with the values it must decode to, and back.
  public struct Sample: Sendable {
    /// The frame as candump writes it.
    public var frame = ""
    /// The message it holds.
    public var message = ""
    /// The variant it is read in.
    public var variant: String?
    /// Readings that are chosen for it.
    public var readings: [String: String] = [:]
    /// Values by signal.
    public var expect: [(signal: String, value: Expected)] = []
    /// Worked example, capture or made up.
    public var kind = ""
    /// Which source it is from.
    public var source = ""
    /// Line in the file.
    public var line = 0
    /// An empty sample.
    public init() {}
  }

  /// What a sample's signal has to be.
  public enum Expected: Sendable, Equatable {
    case number(Double)
    case text(String)
  }

  /// Where facts come from.
  public struct Source: Sendable {
    /// Short name.
    public var id = ""
    /// Title for people.
    public var title = ""
    /// Where to find it: document, page, commit.
    public var place = ""
    /// How sure it is: high, medium, low.
    public var confidence = ""
  }
}
