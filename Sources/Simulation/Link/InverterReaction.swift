import Bus
public import Protocols

/// How an inverter takes the limits it hears. Without quirks it obeys; real ones differ, as their definition's `quirks` say
/// (diagnostics.md, "Vendor quirks").
public struct InverterReaction: Sendable {
  /// What this inverter does otherwise, by the names of the sidecars: `ignoresZeroLimits`, `faultsAboveAmperes`, `needsPowerCycle`.
  public let quirks: [String: Double]
  /// It stopped with a fault, and stays so until it is switched off and on.
  public private(set) var isFaulted = false
  private var wasOnline = false
  /// The limits above 0 that it heard last, A.
  private var lastCharge = 0.0
  private var lastDischarge = 0.0

  /// An inverter just switched on.
  public init(quirks: [String: Double] = [:]) { self.quirks = quirks }

  private func has(_ quirk: String) -> Bool { quirks[quirk, default: 0] > 0 }

  /// A through the battery that it takes (negative) or gives.
  /// - Parameters:
  ///   - wanted: what sun and house ask for, A.
  ///   - session: its end of the link: what it has heard, and whether it is online.
  public mutating func current(wanted: Double, _ session: Session) -> Double {
    let charge = Double(session.heard[.chargeCurrentLimit] ?? 0) / 1000
    let discharge = Double(session.heard[.dischargeCurrentLimit] ?? 0) / 1000
    if let most = quirks["faultsAboveAmperes"], most > 0, max(charge, discharge) > most { isFaulted = true }
    if has("needsPowerCycle"), wasOnline, session.phase == .lost { isFaulted = true }
    guard session.phase == .online, !isFaulted else { return 0 }
    wasOnline = true
    if charge > 0 { lastCharge = charge }
    if discharge > 0 { lastDischarge = discharge }
    // A limit of 0 A is no limit to it: it goes on with what it was allowed before.
    let ignoresZero = has("ignoresZeroLimits")
    let most = ignoresZero && charge == 0 ? lastCharge : charge
    let least = ignoresZero && discharge == 0 ? lastDischarge : discharge
    return max(-least, min(most, wanted))
  }
}
