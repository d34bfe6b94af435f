/// The order in which contactors close and open. Nothing else decides over them. Source: spec/controller.md §4, "Start".
struct ContactorSequence: Sendable {
  /// Where the sequence stands; times are uptimes in µs.
  enum Phase: Equatable, Sendable {
    case open
    case negative(since: Int64)
    case precharging(since: Int64)
    case overlap(since: Int64)
    case closed
    /// Limits are 0, the current falls, then it opens.
    case releasing(since: Int64)
  }

  private(set) var phase = Phase.open
  /// When it last opened from closed.
  private(set) var openedAt: Int64?
  /// Failed precharges in a row.
  var attempts: UInt8 = 0
  /// Only a reset helps.
  var isLatched = false
  /// When the next try may begin.
  private(set) var retryAt: Int64?
  private var outputLowSince: Int64?
  private var hasReportedWeld = false

  /// What the sequence goes by.
  struct Situation {
    var uptime: Int64
    /// An error, a hold or a reset: open.
    var mustOpen: Bool
    /// Open without waiting for the current to fall.
    var atOnce: Bool
    /// Every condition for closing holds.
    var mayClose: Bool
    var hasMeasurement: Bool
    var current: Int32
    var input: Int32
    var output: Int32
    /// Sum of the module voltages, mV: what V-in has to be near.
    var pack: Int64
  }

  /// What a step brought about beside the phase.
  enum Outcome: Equatable { case nothing, prechargeFailed(Reason), weldSuspected }

  var contactors: Contactors {
    switch phase {
    case .open: []
    case .negative: [.negative]
    case .precharging: [.negative, .precharge]
    case .overlap: [.negative, .precharge, .positive]
    case .closed, .releasing: [.negative, .positive]
    }
  }

  /// Whether a failed precharge keeps it open.
  var isBarred: Bool { isLatched || retryAt != nil }

  /// A reset clears what only a reset clears.
  mutating func reset() {
    attempts = 0
    isLatched = false
    retryAt = nil
  }

  mutating func step(_ now: Situation) -> Outcome {
    if let retry = retryAt, now.uptime >= retry, !isLatched { retryAt = nil }
    switch phase {
    case .open:
      if !now.mustOpen, now.mayClose, !isBarred {
        phase = .negative(since: now.uptime)
        openedAt = nil
        return .nothing
      }
      return watchForWeld(now)
    case .negative(let since):
      if now.mustOpen || !now.mayClose { return disconnect(now.uptime) }
      if now.uptime - since >= Timing.negativeTravel { phase = .precharging(since: now.uptime) }
    case .precharging(let since):
      if now.mustOpen || !now.mayClose { return disconnect(now.uptime) }
      if now.hasMeasurement, isReached(now, percent: 95) {
        phase = .overlap(since: now.uptime)
      } else if now.uptime - since >= Timing.precharge {
        return fail(now, .prechargeTimeout(output: now.output, input: now.input))
      }
    case .overlap(let since):
      if now.mustOpen || !now.mayClose { return disconnect(now.uptime) }
      if now.uptime - since >= Timing.overlap {
        phase = .closed
        attempts = 0
        outputLowSince = nil
      }
    case .closed:
      if now.mustOpen {
        phase = .releasing(since: now.uptime)
        return release(now, since: now.uptime)
      }
      return watchOutput(now)
    case .releasing(let since): return release(now, since: since)
    }
    return .nothing
  }

  /// V-out has reached so many percent of a V-in that fits the pack: without that, 0 of 0 V would do.
  private func isReached(_ now: Situation, percent: Int64) -> Bool {
    Int64(now.input) * 5 >= now.pack * 4 && now.input > 0 && Int64(now.output) * 100 >= Int64(now.input) * percent
  }

  private mutating func disconnect(_ uptime: Int64) -> Outcome {
    phase = .open
    openedAt = uptime
    hasReportedWeld = false
    return .nothing
  }

  private mutating func fail(_ now: Situation, _ reason: Reason) -> Outcome {
    _ = disconnect(now.uptime)
    attempts = attempts < 255 ? attempts + 1 : 255
    if attempts >= Timing.prechargeAttempts { isLatched = true }
    retryAt = now.uptime + Timing.prechargeRetry
    return .prechargeFailed(reason)
  }

  private mutating func release(_ now: Situation, since: Int64) -> Outcome {
    let isQuiet = now.hasMeasurement && now.current.magnitude <= Timing.releaseCurrent_mA.magnitude
    if now.atOnce || isQuiet || now.uptime - since >= Timing.release { return disconnect(now.uptime) }
    return .nothing
  }

  /// A contactor that is closed by order but not in fact shows behind it.
  private mutating func watchOutput(_ now: Situation) -> Outcome {
    guard now.hasMeasurement, !isReached(now, percent: 90) else {
      outputLowSince = nil
      return .nothing
    }
    let since = outputLowSince ?? now.uptime
    outputLowSince = since
    guard now.uptime - since >= Timing.outputLost else { return .nothing }
    return fail(now, .outputLost(output: now.output, input: now.input))
  }

  private mutating func watchForWeld(_ now: Situation) -> Outcome {
    guard let opened = openedAt, !hasReportedWeld, now.hasMeasurement, now.uptime - opened >= Timing.weld else { return .nothing }
    hasReportedWeld = true
    guard isReached(now, percent: 95), now.current.magnitude <= Timing.releaseCurrent_mA.magnitude else { return .nothing }
    return .weldSuspected
  }
}
