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
    var named: Set<String> = []
    for word in words {
      guard let place = word.firstIndex(of: "="), let value = Double(word[word.index(after: place)...]), value.isFinite else {
        throw WorldError(message: "\(option): found \"\(word)\", expected signal=number")
      }
      let name = String(word[..<place])
      guard named.insert(name).inserted else { throw WorldError(message: "\(option): \(name) is given twice, expected one value") }
      let known = list.count
      for dissection in dissections {
        let plan = dissection.plan
        for (message, layout) in plan.messages.enumerated() {
          for index in Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount)
          where dissection.signals[index].name == name {
            let made = try? MessageEncoder(dissection).bits(of: .number(value), signal: index).get()
            guard let made, made.issue == nil else {
              let range = SignalRange.text(index, dissection)
              throw WorldError(message: "\(option): \(name) cannot hold \(ValueText.binary(value)), expected \(range)")
            }
            guard plan.signals[index].byteOffset == 0, plan.signals[index].multiplexor < 0 else {
              throw WorldError(
                message: "\(option): \(name) lies where it cannot be changed on the way (multiplexed, or beyond byte 8)")
            }
            let ids = Set(plan.slots.filter { Int($0.message) == message }.map(\.id))
            list.append(SignalChange(ids: ids, signal: plan.signals[index], raw: Int64(bitPattern: made.bits)))
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

/// Knows frames that go round: what we put on a bus and hear there again (a port that hears itself, a second bridge), and what another
/// bridge carries the other way. Sent on, they would never end.
struct EchoGuard {
  private struct Entry {
    var frame: CANFrame
    var until_ns: Int64
    /// Whether we made it of another one.
    var isChanged = false
  }

  /// By bus: what we put there, and what others said there.
  private var sent: [[Entry]] = [[], []]
  private var heard: [[Entry]] = [[], []]
  /// How often each frame was put on a bus in the present span of time, by a number made of it.
  private var repeats: [[Int: Int]] = [[:], [:]]
  private var spanEnd_ns: Int64 = .min
  /// Frames that were kept from going round.
  private(set) var echoes: UInt64 = 0

  /// A frame that comes later is somebody else's.
  static let memory_ns: Int64 = 50_000_000
  private static let most = 512
  /// No protocol says the same 400 times a second; a frame that goes round without being known, after somebody stood still for longer than
  /// our memory, is soon above that.
  static let mostRepeats = 100
  static let span_ns: Int64 = 250_000_000
  /// The same for people.
  static let mostPerSecond = mostRepeats * Int(1_000_000_000 / span_ns)

  /// Takes note of a frame from a bus.
  /// - Returns: whether it is one that we put there. Each counts once.
  mutating func hear(_ frame: CANFrame, on bus: Int, _ now_ns: Int64) -> Bool {
    forget(now_ns)
    guard let place = sent[bus].firstIndex(where: { $0.frame == frame }) else {
      if heard[bus].count < EchoGuard.most { heard[bus].append(Entry(frame: frame, until_ns: now_ns &+ EchoGuard.memory_ns)) }
      return false
    }
    sent[bus].remove(at: place)
    return true
  }

  /// Counts one that is not sent on.
  mutating func drop() { echoes &+= 1 }

  /// Whether a frame may be put on the other bus. What was heard on both up to this moment has been noted before.
  /// - Parameters:
  ///   - frame: as it would be sent.
  ///   - original: as it came.
  ///   - target: the bus it is for.
  mutating func mayPass(_ frame: CANFrame, madeOf original: CANFrame, to target: Int, _ now_ns: Int64) -> Bool {
    forget(now_ns)
    // The other bus had it just now: it was carried here from there.
    if let place = heard[target].firstIndex(where: { $0.frame == frame }) {
      heard[target].remove(at: place)
      return false
    }
    // It is what we made of another one: it was carried back.
    if let place = sent[target].firstIndex(where: { $0.isChanged && $0.frame == original }) {
      sent[target][place].isChanged = false
      return false
    }
    let number = frame.repeatNumber
    let count = repeats[target][number, default: 0] + 1
    guard count <= EchoGuard.mostRepeats else { return false }
    repeats[target][number] = count
    if sent[target].count < EchoGuard.most {
      sent[target].append(Entry(frame: frame, until_ns: now_ns &+ EchoGuard.memory_ns, isChanged: frame != original))
    }
    return true
  }

  private mutating func forget(_ now_ns: Int64) {
    for bus in 0...1 {
      EchoGuard.forget(&sent[bus], now_ns)
      EchoGuard.forget(&heard[bus], now_ns)
    }
    guard now_ns >= spanEnd_ns else { return }
    spanEnd_ns = now_ns &+ EchoGuard.span_ns
    for bus in 0...1 { repeats[bus].removeAll(keepingCapacity: true) }
  }

  private static func forget(_ entries: inout [Entry], _ now_ns: Int64) {
    let old = entries.prefix { $0.until_ns < now_ns }.count
    if old > 0 { entries.removeFirst(old) }
  }
}

extension CANFrame {
  /// The same for frames that are alike.
  fileprivate var repeatNumber: Int {
    var hasher = Hasher()
    hasher.combine(id)
    hasher.combine(flags)
    hasher.combine(length)
    hasher.combine(rawDLC)
    for index in 0..<payloadLength { hasher.combine(byte(index)) }
    return hasher.finalize()
  }
}
