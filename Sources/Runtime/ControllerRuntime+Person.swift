public import Controller
public import Protocols

/// What is known of a chain: for a report.
public struct ChainFacts: Sendable, Equatable {
  /// Which chain.
  public var number: ChainNumber
  /// Modules that answered.
  public var found: Int
  /// Whether more answer than are configured.
  public var hasExtra: Bool
  /// The frames' generation tells the slaves' chip.
  public var generation: ChainGeneration
  /// Scans that were complete, and that were not.
  public var scans: (complete: UInt32, failed: UInt32)
  /// Frames of all modules that came damaged.
  public var damaged: UInt32

  /// Alike in all.
  public static func == (one: ChainFacts, other: ChainFacts) -> Bool {
    one.number == other.number && one.found == other.found && one.hasExtra == other.hasExtra && one.generation == other.generation
      && one.scans == other.scans && one.damaged == other.damaged
  }
}

extension ControllerRuntime {
  /// Each chain that is read.
  public var chainFacts: [ChainFacts] {
    chains.map { line in
      var damaged: UInt32 = 0
      for module in 0..<15 { damaged &+= line.master.damagedFrames[module] }
      return ChainFacts(
        number: line.number, found: line.master.found, hasExtra: line.master.hasExtraNode, generation: line.generation,
        scans: line.master.scans, damaged: damaged)
    }
  }
}

/// A run in which a person lets the contactors close: commissioning. Everything here works only with `RunSettings.isPersonHeld`.
extension ControllerRuntime {
  /// Opens, and keeps open whatever comes back, until `release`.
  public mutating func hold(_ why: String, now_us: Int64) {
    endPermission()
    doubt(.ordered(why), now_us: now_us)
  }

  /// Lets the contactors close once, after everything was measured anew. Any doubt and any opening takes that back, and says so in
  /// `revokedBy`; so does one that stands already.
  public mutating func release(now_us: Int64) {
    guard settings.isPersonHeld else { return }
    permit(now_us: now_us)
  }

  /// Another battery or another inverter: chains and links begin anew. Returns why that may not be done now; `nil` = it is done.
  public mutating func rebuild(_ configuration: Configuration, sessions: [Session]) -> String? {
    guard settings.isPersonHeld, !isPermitted, ordered.isEmpty, engine.outputs.contactors.isEmpty else {
      return "another battery or inverter is configured with contactors that are held open only"
    }
    guard configuration.violationCount == 0 else { return "it breaks \(configuration.violationCount) rules" }
    begin(configuration, sessions)
    return nil
  }
}
