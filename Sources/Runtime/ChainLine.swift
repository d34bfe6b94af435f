import Controller
import Formats
import Protocols

/// One chain behind a tap's line: the master, and the order in which echoes come back. A tap may be milliseconds away and hand over
/// several lines at once; the master's clock stands still until the tap has said that a pulse or a global write is on the wire.
struct ChainLine: Sendable {
  let number: ChainNumber
  private(set) var master: ChainMaster
  private let settings: ChainMaster.Settings
  /// What was sent and has not come back yet, oldest first.
  private var sent: [Sent] = []
  private enum Sent: Equatable, Sendable {
    case wake
    case frame(ChainFrame)
  }
  /// µs by which the master's clock is behind.
  private var paused_us: Int64 = 0
  private var pauseBegan: Int64?
  /// What the slaves are spoken to as.
  var generation: ChainGeneration { settings.generation }
  /// When to step again.
  private(set) var wake_us: Int64 = 0

  init(_ number: ChainNumber, _ settings: ChainMaster.Settings) {
    self.number = number
    self.settings = settings
    master = ChainMaster(settings)
  }

  private var patience_us: Int64 { 2_000 + settings.allowance }

  /// Begins anew: the line was gone.
  mutating func restart(now_us: Int64) {
    self = ChainLine(number, settings)
    // The master's own clock begins at 0 and knows nothing of what was.
    paused_us = now_us
    wake_us = now_us
  }

  /// Asks the master for what is to be said now. Returns the outcome of a scan that ended.
  mutating func step(now_us: Int64, _ say: (TapLine) -> Void) -> ChainMaster.Outcome? {
    var outcome: ChainMaster.Outcome?
    if let began = pauseBegan {
      guard now_us - began >= patience_us else {
        wake_us = began + patience_us
        return nil
      }
      // The tap does not answer: the master finds out by its next request.
      sent.removeAll()
      resume(now_us)
    }
    var turns = 0
    while turns < 64 {
      turns += 1
      let action = master.step(now_us: now_us - paused_us)
      if let ended = master.takeOutcome() { outcome = ended }
      switch action {
      case .wait(let until):
        wake_us = until == .max ? .max : until + paused_us
        return outcome
      case .wake:
        sent.append(.wake)
        pause(now_us)
        say(.wake(number))
        return outcome
      case .send(let frame):
        sent.append(.frame(frame))
        if sent.count > 16 { sent.removeFirst() }
        let isGlobal = frame.command == .globalWrite
        if isGlobal { pause(now_us) }
        say(.request(number, frame))
        if isGlobal { return outcome }
      }
    }
    // A master that has so much to say in one moment is given another.
    wake_us = now_us + 1000
    return outcome
  }

  private mutating func pause(_ now_us: Int64) {
    pauseBegan = now_us
    wake_us = now_us + patience_us
  }

  private mutating func resume(_ now_us: Int64) {
    guard let began = pauseBegan else { return }
    paused_us += now_us - began
    pauseBegan = nil
    wake_us = now_us
  }

  /// Takes a line of this chain.
  mutating func receive(_ line: TapLine, now_us: Int64) {
    switch line {
    case .wake:
      guard let place = sent.firstIndex(of: .wake) else { return }
      sent.removeFirst(place + 1)
      if sent.isEmpty { resume(now_us) }
    case .echo(_, let frame):
      guard !sent.isEmpty else { return }
      if let place = sent.firstIndex(of: .frame(frame)) { sent.removeFirst(place + 1) } else { sent.removeFirst() }
      guard sent.isEmpty else { return }
      if pauseBegan != nil { resume(now_us) } else { hear(frame, now_us) }
    case .answer(_, let frame):
      // What belongs to an earlier request is too late.
      if sent.isEmpty, pauseBegan == nil { hear(frame, now_us) }
    case .request, .malformed, .pdu: break
    }
  }

  private mutating func hear(_ frame: ChainFrame, _ now_us: Int64) {
    master.receive(frame)
    wake_us = now_us
  }

  mutating func balance(_ mask: UInt16, module: Int) { master.balance(mask, module: module) }
  mutating func allowDiagnosis(_ isAllowed: Bool) { master.allowsDiagnosis = isAllowed }
}
