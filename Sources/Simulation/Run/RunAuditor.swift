import Bus
import Controller
import Runtime

/// Watches a run from outside: what the plant's switches do, what was said in the log, what the inverter is told.
public struct RunAuditor: Sendable {
  /// The first few broken rules; the rest is counted.
  public private(set) var violations: [Auditor.Violation] = []
  /// All of them.
  public private(set) var count = 0
  /// Looks so far.
  public private(set) var looks = 0
  /// Times the battery was put on the inverter.
  public private(set) var closings = 0
  /// Times it was taken off.
  public private(set) var openings = 0

  private var isOn = false
  private var pending: [(deadline_us: Int64, began_us: Int64, text: String)] = []
  /// When the log last gave a reason to be open.
  private var lastReason_us: Int64 = .min / 2
  private var soundSince_us: Int64?

  mutating func broken(_ now_us: Int64, _ text: String) {
    count += 1
    if violations.count < 20 { violations.append(.init(at: Double(now_us) / 1e6, text: text)) }
  }

  /// A fault that has to open the contactors has begun.
  mutating func expectOpen(within_us: Int64, _ now_us: Int64, _ text: String) {
    if isOn { pending.append((now_us + within_us, now_us, text)) }
  }

  /// From now on no order reaches the PDU: what was about to open is opened by the PDU itself, a second after the last order it got.
  mutating func ordersStop(_ now_us: Int64) {
    for index in pending.indices { pending[index].deadline_us = max(pending[index].deadline_us, now_us + 1_300_000) }
  }

  /// A line of the log.
  mutating func read(_ note: Note, now_us: Int64) {
    switch note.kind {
    case .doubt: lastReason_us = now_us
    case .event(.status(_, let to, _)): if !to.mayBeClosed, to != .checking { lastReason_us = now_us }
    case .event(.prechargeFailed): lastReason_us = now_us
    default: break
    }
  }

  /// Looks at run and plant.
  mutating func look(_ runtime: ControllerRuntime, _ plant: VirtualPlant, now_us: Int64, isStalled: Bool, isSound: Bool) {
    looks += 1
    let isConnected = plant.switches.isConnected
    if isConnected, !isOn {
      closings += 1
      if !runtime.ordered.contains(.positive) { broken(now_us, "on the inverter without an order") }
      if runtime.settings.isPersonHeld, !runtime.isPermitted { broken(now_us, "closed though nobody has allowed it") }
      if runtime.isHeld { broken(now_us, "closed while a doubt holds: \(runtime.standingDoubts)") }
      for chain in ChainNumber.allCases {
        for (module, read) in plant.lastRead[chain.index].enumerated() where now_us - read > 2_600_000 {
          broken(now_us, "closed though \(chain) module \(module + 1) was last read \(Double(now_us - read) / 1e6) s ago")
        }
      }
    }
    if !isConnected {
      if isOn {
        openings += 1
        // What opens by itself is explained when the run sees it.
        pendingReason_us = now_us
      }
      pending.removeAll()
    }
    isOn = isConnected
    if let opened = pendingReason_us, !isStalled {
      if lastReason_us >= opened - 2_500_000 {
        pendingReason_us = nil
      } else if now_us - opened > 7_500_000 {
        broken(now_us, "opened at \(Double(opened) / 1e6) s, and the log gives no reason")
        pendingReason_us = nil
      }
    }
    for late in pending where now_us > late.deadline_us {
      broken(now_us, "\(late.text) since \(Double(late.began_us) / 1e6) s, and still closed")
    }
    pending.removeAll { now_us > $0.deadline_us }
    if !isStalled, runtime.ordered.isEmpty,
      runtime.values[.chargeCurrentLimit] ?? 0 != 0 || runtime.values[.dischargeCurrentLimit] ?? 0 != 0
    {
      broken(now_us, "the inverter is allowed a current with open contactors")
    }
    checkRecovery(runtime, now_us, isSound)
  }
  private var pendingReason_us: Int64?

  private mutating func checkRecovery(_ runtime: ControllerRuntime, _ now_us: Int64, _ isSound: Bool) {
    // Where a person lets it close, it waits for that person.
    let isWaiting = runtime.settings.isPersonHeld && !runtime.isPermitted
    guard isSound, !isWaiting, !runtime.engine.isPrechargeLatched, !runtime.engine.outputs.status.mayBeClosed else {
      soundSince_us = nil
      return
    }
    let since = soundSince_us ?? now_us
    soundSince_us = since
    guard now_us - since > 120_000_000 else { return }
    broken(
      now_us,
      "\(runtime.engine.outputs.status.word) for 120 s though nothing is wrong any more: \(runtime.engine.reason), "
        + "\(runtime.standingDoubts)")
    soundSince_us = now_us
  }
}
