import Analysis
import Bus
import Formats
import HostIO
import Protocols

/// Frames on their way out, with patience where the bus has no room just now.
struct SendQueue {
  private var waiting: [(frame: CANFrame, since_ns: Int64)] = []
  private var first = 0
  private var retry_ns = Int64.max
  /// Frames that found no place here either.
  private(set) var dropped: UInt64 = 0
  /// Frames that waited longer than they may.
  private(set) var stale: UInt64 = 0
  /// Frames that the bus cannot carry.
  private(set) var unsendable: UInt64 = 0
  /// Why the first of these could not be sent.
  private(set) var refusal: PortError?
  private let maxAge_ns: Int64?
  private let dropsUnsendable: Bool
  /// Frames that wait at most; then the oldest are lost.
  static let capacity = 4096
  /// Until a full bus is tried again.
  static let pause_ns: Int64 = 1_000_000
  /// What waits longer in front of a live bus is not sent any more, where it is only right in its time.
  static let inTime_ns: Int64 = 100_000_000

  /// - Parameters:
  ///   - maxAge_ns: a frame that waited longer is not sent any more; `nil` = it is, however late.
  ///   - dropsUnsendable: a frame that the bus cannot carry is dropped and counted, and the others go on; else it is an error.
  init(maxAge_ns: Int64? = nil, dropsUnsendable: Bool = false) {
    self.maxAge_ns = maxAge_ns
    self.dropsUnsendable = dropsUnsendable
  }

  /// When it wants to be tried again.
  var nextWake_ns: Int64 { isEmpty ? .max : retry_ns }
  /// Whether one more can be taken without losing another.
  var hasRoom: Bool { count < SendQueue.capacity }
  /// Frames that wait.
  var count: Int { waiting.count - first }
  /// Whether everything is gone.
  var isEmpty: Bool { first == waiting.count }

  /// Adds a frame to the end.
  /// - Parameter since_ns: since when it waits; means nothing where a frame may be as old as it likes.
  mutating func add(_ frame: CANFrame, since_ns: Int64 = 0) {
    if !hasRoom {
      first += 1
      dropped &+= 1
    }
    waiting.append((frame, since_ns))
    if first > 1024 {
      waiting.removeFirst(first)
      first = 0
    }
    retry_ns = .min
  }

  /// Gives away what the bus takes.
  mutating func flush(to port: any BusPort, _ now_ns: Int64) throws(PortError) {
    guard now_ns >= retry_ns else { return }
    while first < waiting.count {
      if let maxAge_ns, now_ns &- waiting[first].since_ns > maxAge_ns {
        stale &+= 1
      } else {
        guard try isSettled(waiting[first].frame, port) else {
          retry_ns = now_ns &+ SendQueue.pause_ns
          return
        }
      }
      first += 1
    }
    waiting.removeAll(keepingCapacity: true)
    first = 0
    retry_ns = .max
  }

  /// Whether a frame need not wait any longer.
  private mutating func isSettled(_ frame: CANFrame, _ port: any BusPort) throws(PortError) -> Bool {
    do throws(PortError) { return try port.send(frame) == .sent } catch {
      guard dropsUnsendable, case .unsendable = error else { throw error }
      unsendable &+= 1
      refusal = refusal ?? error
      return true
    }
  }
}

/// `send`: one frame, once or again and again.
final class SendJob: LiveJob {
  let context: JobContext
  private let frame: CANFrame
  private let every_ns: Int64?
  private let count: UInt64?
  private var queue = SendQueue()
  private var next_ns: Int64 = 0
  private var asked: UInt64 = 0
  /// Frames whose time passed without them.
  private var missed: UInt64 = 0
  private var watch = SendWatch()

  /// - Parameters:
  ///   - every_ns: from frame to frame; `nil` = once.
  ///   - count: how often; `nil` = until told.
  init(_ context: JobContext, _ frame: CANFrame, every_ns: Int64?, count: UInt64?) {
    self.context = context
    self.frame = frame
    self.every_ns = every_ns
    self.count = every_ns == nil ? count ?? 1 : count
  }

  var nextWake_ns: Int64 { min(queue.nextWake_ns, watch.wake_ns, isComplete || waitsForRoom ? .max : next_ns) }
  private var isComplete: Bool { count.map { asked >= $0 } ?? false }
  /// A number that was ordered is sent whole, later where the bus is slow; without one, what has no room at its time is not sent.
  private var waitsForRoom: Bool { count != nil && !queue.hasRoom }

  func begin(_ now: LiveTime) {
    next_ns = now.monotonic_ns
    do throws(PortError) { try watch.begin(context.ports[0]) } catch { return context.fail("\(error)") }
    wake(now)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) { watch.hear(record.frame) }

  func changed(isThere: Bool, port: Int, _ now: LiveTime) {
    guard !isThere else { return }
    let left = watch.outstanding(context.ports[0])
    if isComplete, left > 0 {
      context.fail("\(context.buses): went away before \(left == 1 ? "the frame was" : "\(left) frames were") on it")
    }
    watch.forgive(context.ports[0])
  }

  func wake(_ now: LiveTime) {
    if !isComplete, !waitsForRoom, now.monotonic_ns >= next_ns { ask(now) }
    do throws(PortError) { try queue.flush(to: context.ports[0], now.monotonic_ns) } catch { return context.fail("\(error)") }
    let port = context.ports[0]
    if let trouble = watch.look(at: port, isWaiting: !queue.isEmpty, now.monotonic_ns) { return context.fail(trouble) }
    if queue.isEmpty, isComplete, watch.outstanding(port) == 0 { context.isDone = true }
  }

  private func ask(_ now: LiveTime) {
    let every_ns = every_ns ?? 0
    if queue.hasRoom {
      queue.add(frame)
      asked &+= 1
    } else {
      missed &+= 1
    }
    // Absolute targets: delays do not add up; what was missed altogether is not made up for in a burst.
    let due_ns = next_ns &+ every_ns
    next_ns = max(due_ns, now.monotonic_ns &- every_ns)
    if count == nil, every_ns > 0 { missed &+= UInt64((next_ns &- due_ns) / every_ns) }
  }

  func finish(_ now: LiveTime) {
    let lost = missed &+ queue.dropped &+ UInt64(queue.count)
    // A failure says more, and why.
    guard lost > 0, context.failure == nil else { return }
    context.status = max(context.status, .findings)
    let share = "\(lost) of \(asked &+ missed) frames"
    context.output.note("linkbms: \(context.buses): \(share) were not sent at their time: the bus or this machine is too slow")
  }
}

/// Frames as people type them.
enum FrameWords {
  /// What may be typed, for messages.
  static let expected = "ID#DATA such as 4200#0000000000000000, 123#R or 123##1AABB, or a MESSAGE with signal=value"

  /// candump's short form; `nil` if the word has no `#`.
  static func frame(_ word: String) throws(WorldError) -> CANFrame? {
    guard word.contains("#") else { return nil }
    // The reader of candump logs knows every form; IDs of four to seven digits are 29-bit.
    let parts = word.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    guard let number = UInt32(parts[0], radix: 16), number <= 0x1FFF_FFFF else { throw wrong(word) }
    let isLong = parts[0].count > 3
    let digits = String(number, radix: 16, uppercase: true)
    let id = String(repeating: "0", count: max(0, (isLong ? 8 : 3) - digits.count)) + digits
    guard isLong || number <= 0x7FF else { throw wrong(word) }
    let payload = parts[1].filter { $0 != "." && $0 != "_" }
    var line = Array("(0.000000) can0 \(id)#\(payload)\n".utf8)
    var sink = OneFrame()
    line.withUnsafeMutableBytes { bytes in
      var reader = CaptureReader(.candump)
      _ = reader.read(UnsafeRawBufferPointer(bytes), isEnd: true, into: &sink)
    }
    guard let frame = sink.frame, !sink.isDamaged else { throw wrong(word) }
    return frame
  }

  private static func wrong(_ word: String) -> WorldError { WorldError(message: "found \"\(word)\", expected \(expected)") }

  private struct OneFrame: RecordSink {
    var frame: CANFrame?
    var isDamaged = false
    mutating func busAppeared(_ bus: BusID, named name: String) {}
    mutating func receive(_ record: borrowing CANRecord) { frame = record.frame }
    mutating func receive(_ record: SideRecord) { isDamaged = true }
    mutating func report(_ problem: CaptureProblem) { isDamaged = true }
  }

  /// What is not given is 0 in its unit, not in its raw bits: with an offset those would be −3000 A.
  private static func zeros(
    _ message: String, _ dissection: DissectionPlan, except given: Set<String>
  ) -> [(signal: String, value: Sidecar.Expected)] {
    guard let index = dissection.messages.firstIndex(where: { $0.name == message }) else { return [] }
    let layout = dissection.plan.messages[index]
    let range = Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount)
    return range.filter { signal in
      let plan = dissection.plan.signals[signal]
      return plan.offset != 0 && plan.multiplexor < 0 && !given.contains(dissection.signals[signal].name)
    }.map { (dissection.signals[$0].name, .number(0)) }
  }

  /// A message with values.
  static func frame(
    _ message: String, _ values: [String], _ dissection: DissectionPlan, address: UInt8?
  ) throws(WorldError) -> (frame: CANFrame, notes: [String]) {
    var pairs: [(signal: String, value: Sidecar.Expected)] = []
    for word in values {
      guard let place = word.firstIndex(of: "="), place > word.startIndex else {
        throw WorldError(message: "found \"\(word)\", expected signal=value")
      }
      let (name, text) = (String(word[..<place]), String(word[word.index(after: place)...]))
      guard !pairs.contains(where: { $0.signal == name }) else {
        throw WorldError(message: "\(name) is given twice, expected one value")
      }
      let number = Double(text).flatMap { $0.isFinite ? $0 : nil }
      pairs.append((name, number.map { .number($0) } ?? .text(text)))
    }
    let given = Set(pairs.map(\.signal))
    pairs += zeros(message, dissection, except: given)
    guard let (frame, issues) = MessageEncoder(dissection).frame(message, values: pairs, address: address) else {
      let names = dissection.messages.map(\.name)
      throw WorldError(message: "found \"\(message)\", expected a message of the protocol" + NearestName.hint(message, in: names))
    }
    var notes: [String] = []
    for issue in issues {
      switch issue {
      case .unknownSignal(let name):
        throw WorldError(
          message: "found \"\(name)\", expected a signal of \(message)" + NearestName.hint(name, in: dissection.signals.map(\.name))
        )
      case .unknownMessage(let name): throw WorldError(message: "found \"\(name)\", expected a message of the protocol")
      case .wrongKind(let name):
        throw WorldError(message: "\(name): cannot hold that value: expected a number, or one of its labels")
      case .tooLong(let name, let bytes):
        throw WorldError(message: "\(name): cannot hold that text, expected at most \(bytes) bytes")
      case .noSuchAddress(let address, let known): throw BatteryAddress.refusal(address, known: known, of: message)
      case .notSelected(let name): throw WorldError(message: "\(name): is not there with that multiplexor")
      case .saturated(let signal, let wanted, let sent):
        guard given.contains(signal) else {
          // Nobody asked for that value.
          notes.append("\(signal): cannot hold \(ValueText.binary(wanted)), \(ValueText.binary(sent)) is sent")
          continue
        }
        let range = SignalRange.text(signal, of: message, dissection)
        throw WorldError(
          message: "\(signal): cannot hold \(ValueText.binary(wanted)), expected \(range); other payloads are sent as ID#DATA")
      }
    }
    return (frame, notes)
  }
}
