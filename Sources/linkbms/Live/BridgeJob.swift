import Bus
import Formats
import HostIO

/// `bridge`: what one bus says, the other hears.
final class BridgeJob: LiveJob {
  let context: JobContext
  private let rules: BridgeRules
  private let isOneWay: Bool
  private var queues = [SendQueue(), SendQueue()]
  private var guards = [EchoGuard(), EchoGuard()]
  private var passed: [UInt64] = [0, 0]
  private var hasToldOfEchoes = false

  /// - Parameters:
  ///   - context: with two ports.
  ///   - isOneWay: only from the first to the second.
  init(_ context: JobContext, _ rules: BridgeRules, isOneWay: Bool) {
    self.context = context
    self.rules = rules
    self.isOneWay = isOneWay
  }

  var nextWake_ns: Int64 { min(queues[0].nextWake_ns, queues[1].nextWake_ns) }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    guard port < 2, !(isOneWay && port == 1), record.direction != .transmitted else { return }
    if guards[port].isEcho(record.frame, now.monotonic_ns) {
      if !hasToldOfEchoes {
        hasToldOfEchoes = true
        context.output.note(
          "linkbms: \(context.buses): frames come back that were just sent: is there a second way between the two? They are dropped"
        )
      }
      return
    }
    guard let frame = rules.passing(record.frame) else { return }
    let target = 1 - port
    queues[target].add(frame)
    guards[target].sent(frame, now.monotonic_ns)
    passed[port] &+= 1
    flush(target, now)
  }

  func wake(_ now: LiveTime) {
    flush(0, now)
    flush(1, now)
  }

  private func flush(_ port: Int, _ now: LiveTime) {
    do throws(PortError) { try queues[port].flush(to: context.ports[port], now.monotonic_ns) } catch { context.fail("\(error)") }
  }

  func finish(_ now: LiveTime) {
    let names = context.ports.map(\.name)
    let dropped = queues[0].dropped &+ queues[1].dropped
    let echoes = guards[0].echoes &+ guards[1].echoes
    if dropped > 0 { context.status = max(context.status, .findings) }
    context.output.note(
      "linkbms: \(names[0]) → \(names[1]) \(passed[0]) frames" + (isOneWay ? "" : ", \(names[1]) → \(names[0]) \(passed[1])")
        + (dropped > 0 ? ", \(dropped) had no room" : "") + (echoes > 0 ? ", \(echoes) came back and were dropped" : ""))
  }
}
