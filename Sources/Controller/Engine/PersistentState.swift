/// What outlives a power cut. Source: spec/controller.md §6.
public struct PersistentState: Sendable, Equatable {
  /// Charge in the battery, mA·s.
  public var charge_mAs: Int64 = 0
  /// Whether that is an estimate.
  public var isEstimate = true
  /// All charge that was ever taken out, mAh.
  public var discharged_mAh: Int64 = 0
  /// Charging is forbidden since a cell was full.
  public var isFull = false
  /// Discharging is forbidden since a cell was empty.
  public var isEmpty = false
  /// Precharge failed three times: only a reset helps.
  public var isPrechargeLatched = false
  /// Time that each cell was balanced, 0.1 s, by slot of `Readings`.
  public var balanceTimes: [UInt32] = []

  /// A battery nobody has counted yet.
  public init() {}
}

extension Engine {
  /// Whether precharge failed three times, so that only a reset helps.
  public var isPrechargeLatched: Bool { sequence.isLatched }

  /// What has to be stored at least each minute and at a stop. Allocates: not for every step.
  public var persistentState: PersistentState {
    var state = PersistentState()
    state.charge_mAs = counter.charge / 1_000_000
    state.isEstimate = counter.isEstimate
    state.discharged_mAh = counter.discharged_mAh
    state.isFull = limits.isFull
    state.isEmpty = limits.isEmpty
    state.isPrechargeLatched = sequence.isLatched
    state.balanceTimes = (0..<420).map { balancer.times[$0] }
    return state
  }

  /// Takes over what was stored. Call it before the first step.
  public mutating func restore(_ state: PersistentState) {
    counter.restore(charge_mAs: state.charge_mAs, isEstimate: state.isEstimate, discharged_mAh: state.discharged_mAh)
    limits.isFull = state.isFull
    limits.isEmpty = state.isEmpty
    if state.isPrechargeLatched {
      sequence.attempts = Timing.prechargeAttempts
      sequence.isLatched = true
    }
    for (slot, time) in state.balanceTimes.prefix(420).enumerated() { balancer.times[slot] = time }
  }
}
