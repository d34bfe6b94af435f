import Analysis
import Bus
import Formats

/// Finds out what live buses speak while they speak: holds the first frames back, and says when enough has been heard.
struct LiveIdentifier {
  private let identifier: ProtocolIdentifier
  private var census = TrafficCensus()
  /// Frames heard before it was decided, in order.
  private(set) var early: [CANRecord] = []
  private var first_ns: Int64?
  private var nextLook_ns: Int64 = .max
  private(set) var isDecided = false
  /// Whether it is worth looking again: some bus speaks nothing that is known yet, or only one of its sides has spoken. An inverter that
  /// asks alone asks in what several protocols share: what the battery says when it is switched on decides.
  private(set) var isOpen = true
  private var known: [String] = []

  /// Both ends of every protocol have spoken by then, if they speak at all.
  static let patience_ns: Int64 = 3_000_000_000
  /// From look to look.
  static let interval_ns: Int64 = 250_000_000
  /// Where nothing was recognised.
  static let laterInterval_ns: Int64 = 5_000_000_000
  /// More is not held back.
  static let mostEarly = 20_000

  init(_ library: DefinitionLibrary, buses: [String]) {
    identifier = ProtocolIdentifier(library)
    for (index, name) in buses.enumerated() { census.busAppeared(BusID(UInt16(index)), named: name) }
  }

  /// When `look` is wanted, monotonic ns.
  var nextWake_ns: Int64 { isOpen ? nextLook_ns : .max }

  /// Takes a frame; while nothing is decided it is held back.
  mutating func take(_ record: CANRecord, _ now_ns: Int64) {
    if first_ns == nil {
      first_ns = now_ns
      nextLook_ns = now_ns &+ LiveIdentifier.interval_ns
    }
    guard isOpen else { return }
    census.receive(record)
    if !isDecided { early.append(record) }
  }

  /// Forgets the frames that were held back: somebody has them now.
  mutating func dropEarly() { early = [] }

  /// What the buses speak as far as they were heard.
  func identify() -> [BusIdentification] { identifier.identify(census) }

  /// What the buses speak, once that is decided and each time that it is seen otherwise or a side comes.
  mutating func look(_ now_ns: Int64) -> [BusIdentification]? {
    guard isOpen, let first_ns, now_ns >= nextLook_ns || early.count >= LiveIdentifier.mostEarly else { return nil }
    let verdicts = identifier.identify(census)
    let isSure = verdicts.allSatisfy { $0.protocolName != nil && $0.confidence >= 0.9 && $0.sides.count == 2 && $0.variant != nil }
    let isLate = now_ns &- first_ns >= LiveIdentifier.patience_ns || early.count >= LiveIdentifier.mostEarly
    nextLook_ns = now_ns &+ (isDecided ? LiveIdentifier.laterInterval_ns : LiveIdentifier.interval_ns)
    guard isSure || isLate else { return nil }
    isOpen = verdicts.contains(where: LiveIdentifier.isOpen)
    let words = verdicts.map { "\($0.protocolName ?? "-") \($0.variant ?? "-") \(LiveIdentifier.sides(of: $0))" }
    defer {
      isDecided = true
      known = words
    }
    return isDecided && words == known ? nil : verdicts
  }

  /// Whether a bus may yet turn out to speak something else.
  static func isOpen(_ verdict: BusIdentification) -> Bool { verdict.protocolName == nil || sides(of: verdict) < 2 }

  /// Sides that speak, of whichever protocol.
  private static func sides(of verdict: BusIdentification) -> Int { Set(([verdict] + verdict.others).flatMap(\.sides)).count }
}
