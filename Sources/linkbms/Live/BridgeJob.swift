import Bus
import Formats
import HostIO

/// `bridge`: what one bus says, the other hears.
final class BridgeJob: LiveJob {
  let context: JobContext
  private let rules: BridgeRules
  private let isOneWay: Bool
  private var queues = [0, 1].map { _ in SendQueue(maxAge_ns: SendQueue.inTime_ns, dropsUnsendable: true) }
  private var echoGuard = EchoGuard()
  /// What came and is not decided on, by the bus it came from.
  private var arrived: [[(frame: CANFrame, since_ns: Int64)]] = [[], []]
  private var passed: [UInt64] = [0, 0]
  private var looked_ns: Int64 = 0
  private var hasToldOfEchoes = false
  /// Ports of which was said that they cannot carry everything.
  private var toldOf: Set<Int> = []

  /// - Parameters:
  ///   - context: with two ports.
  ///   - isOneWay: only from the first to the second.
  init(_ context: JobContext, _ rules: BridgeRules, isOneWay: Bool) {
    self.context = context
    self.rules = rules
    self.isOneWay = isOneWay
  }

  var nextWake_ns: Int64 { min(queues[0].nextWake_ns, queues[1].nextWake_ns) }

  func begin(_ now: LiveTime) { looked_ns = now.monotonic_ns }

  /// Whoever sent a frame, a program on this machine or another node: our own the ports keep from us. Error frames stay where they are.
  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    guard port < 2, !record.frame.flags.contains(.error) else { return }
    let isOwn = echoGuard.hear(record.frame, on: port, now.monotonic_ns)
    if isOneWay, port == 1 { return }
    if isOwn { return drop() }
    arrived[port].append((record.frame, now.monotonic_ns &- waited_ns(record, port, now)))
  }

  /// How long a frame waited until we looked: no longer than since the last time, and no longer than it is old. Another clock says nothing
  /// about that.
  private func waited_ns(_ record: CANRecord, _ port: Int, _ now: LiveTime) -> Int64 {
    guard record.precision != .none, context.ports[port].usesSystemClock else { return 0 }
    return max(0, min(now.monotonic_ns &- looked_ns, now.wall_ns &- record.time.nanoseconds))
  }

  func wake(_ now: LiveTime) {
    // Both buses have been heard by now: what another bridge carried is known, whichever side was read first.
    let waiting = arrived
    arrived = [[], []]
    for port in 0...1 {
      for entry in waiting[port] where !context.isDone { pass(entry.frame, since_ns: entry.since_ns, from: port, now) }
    }
    flush(0, now)
    flush(1, now)
    looked_ns = now.monotonic_ns
  }

  private func pass(_ frame: CANFrame, since_ns: Int64, from port: Int, _ now: LiveTime) {
    guard let changed = rules.passing(frame) else { return }
    let target = 1 - port
    guard echoGuard.mayPass(changed, madeOf: frame, to: target, now.monotonic_ns) else { return drop() }
    queues[target].add(changed, since_ns: since_ns)
    passed[port] &+= 1
    flush(target, now)
  }

  private func drop() {
    echoGuard.drop()
    guard !hasToldOfEchoes else { return }
    hasToldOfEchoes = true
    context.output.note(
      "linkbms: \(context.buses): frames come back that were just sent: is there a second way between the two? They are dropped")
  }

  private func flush(_ port: Int, _ now: LiveTime) {
    do throws(PortError) { try queues[port].flush(to: context.ports[port], now.monotonic_ns) } catch { context.fail("\(error)") }
    if let refusal = queues[port].refusal, toldOf.insert(port).inserted {
      context.output.note("linkbms: \(refusal); such frames are dropped")
    }
  }

  func finish(_ now: LiveTime) {
    let names = context.ports.map(\.name)
    // What still waits comes too late, too.
    let unsent = queues.map { $0.dropped &+ UInt64($0.count) }
    let sent = [1, 0].map { (to: Int) -> UInt64 in
      passed[1 - to] &- unsent[to] &- queues[to].stale &- queues[to].unsendable
    }
    let dropped = unsent[0] &+ unsent[1]
    let stale = queues[0].stale &+ queues[1].stale
    let unsendable = queues[0].unsendable &+ queues[1].unsendable
    let echoes = echoGuard.echoes
    if dropped > 0 || stale > 0 || unsendable > 0 { context.status = max(context.status, .findings) }
    var text = "linkbms: \(names[0]) → \(names[1]) \(sent[0]) frames"
    if !isOneWay { text += ", \(names[1]) → \(names[0]) \(sent[1])" }
    if dropped > 0 { text += ", \(dropped) had no room" }
    if stale > 0 { text += ", \(stale) waited for more than \(DurationText.seconds(SendQueue.inTime_ns)) and were dropped" }
    if unsendable > 0 { text += ", \(unsendable) could not be sent there" }
    if echoes > 0 { text += ", \(echoes) came back and were dropped" }
    context.output.note(text)
  }
}
