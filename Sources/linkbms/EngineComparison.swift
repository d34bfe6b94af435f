import Analysis
import Bus
import Controller
import Formats
import Protocols
import Runtime
import Simulation

/// A recording of a run through this build's controller: its outputs, and what was said to the inverter against what the controller
/// would now have said, within the rule book's tolerances.
struct EngineComparison: RecordSink {
  /// A frame that says something else.
  struct Difference {
    var record: UInt64
    var time: Timestamp
    var text: String
  }

  private(set) var replay = EngineReplay()
  /// Battery frames compared, values in them, and those that differ.
  private(set) var frames = 0
  private(set) var values = 0
  private(set) var differing = 0
  private(set) var first: Difference?
  private let link: CompiledLink?
  private let tolerances: [String: Double]
  private var before = QuantityValues()
  private var now = QuantityValues()
  /// Frames since the last step: they were said with its result, or with the one before.
  private var waiting: [(frame: CANFrame, number: UInt64, time: Timestamp)] = []
  private var number: UInt64 = 0

  init(_ link: CompiledLink?, tolerances: [String: Double]) {
    self.link = link
    self.tolerances = tolerances
  }

  mutating func busAppeared(_ bus: BusID, named name: String) {}
  mutating func report(_ problem: CaptureProblem) { replay.report(problem) }

  mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    waiting.append((record.frame, number, record.time))
  }

  mutating func receive(_ record: SideRecord) {
    number &+= 1
    let steps = replay.steps
    replay.receive(record)
    guard replay.steps != steps, let engine = replay.engine else { return }
    before = now
    now = QuantityValues(engine)
    for frame in waiting { compare(frame.frame, frame.number, frame.time) }
    waiting.removeAll(keepingCapacity: true)
  }

  private mutating func compare(_ frame: CANFrame, _ number: UInt64, _ time: Timestamp) {
    guard let link, let index = link.dissection.plan.slot(of: frame.id) else { return }
    let message = link.dissection.plan.slots[index].message
    guard link.dissection.messages[Int(message)].sender == .battery else { return }
    frames += 1
    for binding in link.handshake.bindings where binding.message == message {
      let signal = link.dissection.plan.signals[Int(binding.signal)]
      guard Int(signal.bytesNeeded) <= frame.payloadLength, signal.byteOffset == 0, let wanted = now[binding.quantity] else {
        continue
      }
      let said = signal.thousandths(frame.head, scale: binding.scale)
      let size = binding.isMagnitude ? abs(said) : said
      let tolerance = Int64((tolerances[binding.quantity.unit] ?? 0) * 1000)
      values += 1
      if abs(size &- wanted) <= tolerance { continue }
      if let earlier = before[binding.quantity], abs(size &- earlier) <= tolerance { continue }
      differing += 1
      guard first == nil else { continue }
      let unit = binding.quantity.unit.isEmpty ? "" : " " + binding.quantity.unit
      func text(_ value: Int64) -> String { ValueText.decimal(value, decimals: 3) + unit }
      first = Difference(
        record: number, time: time,
        text:
          "\(link.dissection.messages[Int(message)].name): \(binding.quantity.name) was said as \(text(size)), now it is \(text(wanted))"
      )
    }
  }
}
