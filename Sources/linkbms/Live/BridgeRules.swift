import Analysis
import Bus
import Formats
import Protocols

/// What passes a bridge, and what becomes of it on the way.
struct BridgeRules {
  /// IDs that pass; `nil` = all.
  var ids: IDFilter?
  /// IDs that are sent as others.
  var renamed: [(from: ArbitrationID, to: ArbitrationID)] = []
  /// Changes of payloads.
  var changes: [SignalChange] = []

  /// The frame as it goes on; `nil` if it stays.
  func passing(_ frame: CANFrame) -> CANFrame? {
    // What a controller saw of an error is nothing that could be sent.
    guard !frame.flags.contains(.error), ids?.takes(frame) ?? true else { return nil }
    var frame = frame
    for change in changes { change.apply(to: &frame) }
    if let rename = renamed.first(where: { $0.from == frame.id }) { frame.id = rename.to }
    return frame
  }
}

/// A signal that gets another value on the way.
struct SignalChange {
  /// IDs that carry it.
  var ids: Set<ArbitrationID>
  /// Where it lies.
  var signal: SignalPlan
  /// Its new raw value.
  var raw: Int64

  /// Writes the value where the frame carries the signal.
  func apply(to frame: inout CANFrame) {
    guard ids.contains(frame.id), frame.flags.isDisjoint(with: [.remote, .error]), Int(signal.bytesNeeded) <= frame.payloadLength
    else {
      return
    }
    frame.head = signal.storing(raw, in: frame.head)
  }

  /// What `signal=value` words do to frames under a plan.
  static func parse(_ words: [String], _ option: String, _ dissections: [DissectionPlan]) throws(WorldError) -> [SignalChange] {
    var list: [SignalChange] = []
    for word in words {
      guard let place = word.firstIndex(of: "="), let value = Double(word[word.index(after: place)...]), value.isFinite else {
        throw WorldError(message: "\(option): found \"\(word)\", expected signal=number")
      }
      let name = String(word[..<place])
      let known = list.count
      for dissection in dissections {
        let plan = dissection.plan
        for (message, layout) in plan.messages.enumerated() {
          for index in Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount)
          where dissection.signals[index].name == name {
            let (raw, fits) = plan.signals[index].raw(thousandths: Int64(max(-9e12, min(9e12, value * 1000))), scale: 1000)
            guard fits else { throw WorldError(message: "\(option): \(name) cannot hold \(value)") }
            guard plan.signals[index].byteOffset == 0, plan.signals[index].multiplexor < 0 else {
              throw WorldError(
                message: "\(option): \(name) lies where it cannot be changed on the way (multiplexed, or beyond byte 8)")
            }
            let ids = Set(plan.slots.filter { Int($0.message) == message }.map(\.id))
            list.append(SignalChange(ids: ids, signal: plan.signals[index], raw: raw))
          }
        }
      }
      guard list.count > known else {
        let names = dissections.flatMap { $0.signals.map(\.name) }
        throw WorldError(
          message: "\(option): found \"\(name)\", expected a signal of the protocol" + NearestName.hint(name, in: names))
      }
    }
    return list
  }
}

/// Knows frames that we put on a bus ourselves when they come back from it, by a second bridge or a port that hears itself: sent on, they
/// would go round for ever.
struct EchoGuard {
  private var recent: [(frame: CANFrame, until_ns: Int64)] = []
  /// Frames that came back.
  private(set) var echoes: UInt64 = 0
  /// A frame that comes later is somebody else's.
  static let memory_ns: Int64 = 50_000_000
  private static let most = 512

  /// A frame was put on the bus.
  mutating func sent(_ frame: CANFrame, _ now_ns: Int64) {
    forget(now_ns)
    if recent.count < EchoGuard.most { recent.append((frame, now_ns &+ EchoGuard.memory_ns)) }
  }

  /// Whether a frame from that bus is one of ours; each counts once.
  mutating func isEcho(_ frame: CANFrame, _ now_ns: Int64) -> Bool {
    forget(now_ns)
    guard let place = recent.firstIndex(where: { $0.frame == frame }) else { return false }
    recent.remove(at: place)
    echoes &+= 1
    return true
  }

  private mutating func forget(_ now_ns: Int64) {
    let old = recent.prefix { $0.until_ns < now_ns }.count
    if old > 0 { recent.removeFirst(old) }
  }
}
