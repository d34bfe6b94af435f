import Controller

/// What goes wrong around a run, beside what goes wrong in the battery.
public struct RunFault: Sendable, Equatable {
  /// What.
  public enum Kind: Sendable, Equatable {
    /// The CAN port is gone; it comes back at the end.
    case portLost
    /// The CAN port takes no frame.
    case queueFull
    /// The CAN port takes frames that never get onto the bus.
    case unheard
    /// The tap of the chains is gone.
    case chainLineLost
    /// The PDU's line is gone.
    case pduLineLost
    /// The PDU's line holds everything up, both ways, and hands it over at the end.
    case pduHeldUp
    /// The PDU says nothing and hears nothing.
    case pduSilent
    /// The loop does not run.
    case stalled
    /// The run's clock leaps forward by so many s.
    case clockJump(Double)
    /// Something of the battery.
    case plant(Fault.Kind)
  }

  /// s from the start.
  public var at: Double
  /// s; its end.
  public var until: Double
  /// What.
  public var kind: Kind

  /// A fault from a time to another.
  public init(at: Double, until: Double, _ kind: Kind) {
    self.at = at
    self.until = until
    self.kind = kind
  }

  /// µs after its start within which the contactors must have been open; `nil` = it need not open them.
  var opensWithin_us: Int64? {
    let length = until - at
    switch kind {
    // Limits to 0, a second at most for the current to fall, a step, a contactor's travel.
    case .portLost, .chainLineLost: return 1_300_000
    // Frames are refused for a second before that is a doubt, and are tried each second or so.
    case .queueFull, .unheard: return length > 3 ? 4_500_000 : nil
    // The PDU opens by itself.
    case .pduLineLost: return 300_000
    case .pduHeldUp, .pduSilent: return length > 1.1 ? 1_300_000 : nil
    case .stalled:
      if length <= 0.65 { return nil }
      return length < 1.2 ? Int64(length * 1e6) + 1_300_000 : 1_400_000
    case .clockJump(let seconds): return seconds > 0.6 ? 1_300_000 : nil
    case .plant: return nil
    }
  }
}

extension RunFault {
  /// Faults of a day or less from a seed.
  static func random(_ random: inout SplitMix64, seconds: Double, configuration: Scenario) -> [RunFault] {
    var faults: [RunFault] = []
    var at = random.between(5, 60)
    while at < seconds - 200 {
      let length = random.unit() < 0.6 ? random.between(0.1, 5) : random.between(5, 60)
      let kind: Kind
      switch random.below(11) {
      case 10: kind = .unheard
      case 0: kind = .portLost
      case 1: kind = .queueFull
      case 2: kind = .chainLineLost
      case 3: kind = .pduLineLost
      case 4: kind = .pduHeldUp
      case 5: kind = .pduSilent
      case 6, 7: kind = .stalled
      case 8: kind = .clockJump(random.between(0.1, 20))
      default:
        let module = 1 + random.below(max(1, configuration.installed(.bms1)))
        kind = .plant(
          [
            .slaveDead(.bms1, module: module), .chainCut(.bms1, module: module), .noise(.bms1, percent: random.between(0.01, 30)),
            .cellVoltage(.bms1, module: module, cell: 1, volts: random.between(1, 5)), .outputShorted,
            .brokenSenseWire(.bms1, module: module, cell: 2),
          ][random.below(6)])
      }
      let end = kind == .stalled ? at + min(length, 5) : at + length
      faults.append(RunFault(at: at, until: end, kind))
      // Now and then the next begins while this one is at work.
      at = random.unit() < 0.3 ? at + random.between(0.05, length) : end + random.between(1, 90)
    }
    return faults
  }
}
