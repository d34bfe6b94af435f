/// What goes wrong on a link between battery and inverter, from a time on.
public struct LinkFault: Sendable, Equatable {
  /// Kinds of faults; the sense of diagnostics.md §3.
  public enum Kind: String, CaseIterable, Sendable {
    case wrongBitRate = "wrong-bit-rate"
    case silentBattery = "silent-battery"
    case silentInverter = "silent-inverter"
    case wrongAddress = "wrong-address"
    case wrongWidth = "wrong-id-width"
    case dropped = "frames-dropped"
    case delayed = "frames-delayed"
    case duplicated = "frames-duplicated"
    case corrupted = "frames-corrupted"
    case byteOrder = "byte-order"
    case missingOffset = "missing-offset"
    case wrongProtocol = "wrong-protocol"
    case missingMember = "missing-member"
    case frozen = "frozen-values"
    case zerosAtStart = "zeros-at-start"
    case restart = "restart-in-handshake"
    case twoSenders = "two-senders"
    case foreignTraffic = "foreign-traffic"
    case contradictingLimits = "contradicting-limits"
    case ignoresLimits = "ignores-limits"
    case clockJump = "clock-jump"
    case busOff = "bus-off"
  }

  /// What.
  public var kind: Kind
  /// From when on, s of virtual time.
  public var at: Double
  /// Until when; `nil` = to the end.
  public var until: Double?
  /// Share of frames it hits, or seconds, where the kind has one.
  public var amount: Double

  /// A fault.
  public init(_ kind: Kind, at: Double = 0, until: Double? = nil, amount: Double? = nil) {
    self.kind = kind
    self.at = at
    self.until = until
    self.amount = amount ?? kind.usualAmount
  }

  /// Whether it acts at a time.
  public func acts(at now: Double) -> Bool { now >= at && now < until ?? .infinity }
}

extension LinkFault.Kind {
  /// Whether its amount is a share of the frames, 0 to 1.
  public var isShare: Bool {
    switch self {
    case .dropped, .duplicated, .corrupted: true
    default: false
    }
  }

  /// What a fault does where nobody said how much.
  public var usualAmount: Double {
    switch self {
    case .dropped: 0.3
    case .delayed: 4
    case .duplicated: 0.8
    case .corrupted: 0.1
    case .clockJump: 30
    case .busOff: 4
    default: 1
    }
  }
}
