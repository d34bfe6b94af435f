public import Bus
public import Formats
import Protocols

/// Plays one recorded side against a simulated other side, waits for what that says, and stops where it says something else than was
/// recorded. Virtual time; nothing is sent anywhere.
public struct ReactiveReplay: Sendable {
  /// What became of it.
  public struct Result: Sendable {
    /// Turns that went as recorded: a question with its answers, or a second of what is said unasked.
    public var turns = 0
    /// Frames of the recorded side that were played.
    public var played = 0
    /// Where the two first part, in words; `nil` = never.
    public var divergence: String?
    /// Time of it, seconds from the first record.
    public var seconds: Double?
    /// Record of it, from 1.
    public var record: UInt64?
  }

  private let link: CompiledLink
  private let side: Side
  private let records: [(record: CANRecord, number: UInt64)]

  /// - Parameters:
  ///   - side: the recorded side that is played.
  ///   - records: the capture, in order of time, with record numbers.
  public init(_ link: CompiledLink, as side: Side, records: [(record: CANRecord, number: UInt64)]) {
    self.link = link
    self.side = side
    self.records = records
  }

  /// Runs it to the end or the first divergence.
  /// - Returns: `nil` if the definition does not say how the other side behaves.
  public func run() -> Result? {
    let other: Session.Side = side == .battery ? .inverter : .battery
    let address = batteryAddress ?? link.address
    guard var peer = link.session(other, address: address), let start = records.first?.record.time.nanoseconds else { return nil }
    var result = Result()
    var values = QuantityValues()
    for quantity in [Quantity.live, .ready] { values.set(quantity, true) }
    // Everything that the recorded other side ever measured is there from the start: it would answer at once.
    for (record, _) in records { learn(record.frame, &values) }
    var said: [(id: ArbitrationID, time: Int64)] = []
    var expected: [(id: ArbitrationID, number: UInt64, time: Int64)] = []
    var windowEnd: Int64 = 0
    var now: Int64 = 0
    _ = peer.next(now_us: 0, values: values)
    for (record, number) in records {
      let time = (record.time.nanoseconds &- start) / 1000
      guard time >= now, let slot = link.dissection.plan.slot(of: record.frame.id) else { continue }
      learn(record.frame, &values)
      drain(&peer, from: now, until: time, values, &said)
      now = time
      let sender = link.dissection.messages[Int(link.dissection.plan.slots[slot].message)].sender
      if sender == side {
        // A turn ends where our side speaks again after a pause; then both lists have to hold the same messages.
        if time >= windowEnd, !expected.isEmpty || !said.isEmpty {
          if let difference = difference(expected, said) {
            result.divergence = difference.text
            result.record = difference.number ?? number
            result.seconds = Double(difference.time ?? time) / 1e6
            return result
          }
          result.turns += 1
          expected = []
          said = []
        }
        peer.receive(record.frame, now_us: time)
        result.played += 1
        windowEnd = time + 400_000
      } else if sender != nil {
        expected.append((record.frame.id, number, time))
      }
    }
    return result
  }

  /// The address that the recorded battery used.
  private var batteryAddress: UInt8? {
    var counts: [UInt8: Int] = [:]
    for (record, _) in records {
      guard let index = link.dissection.plan.slot(of: record.frame.id) else { continue }
      let slot = link.dissection.plan.slots[index]
      if slot.hasAddress, link.dissection.messages[Int(slot.message)].sender == .battery { counts[slot.address, default: 0] += 1 }
    }
    return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
  }

  private func learn(_ frame: CANFrame, _ values: inout QuantityValues) {
    guard let index = link.dissection.plan.slot(of: frame.id) else { return }
    let message = link.dissection.plan.slots[index].message
    for binding in link.handshake.bindings where binding.message == message {
      let signal = link.dissection.plan.signals[Int(binding.signal)]
      guard Int(signal.bytesNeeded) <= frame.payloadLength, signal.byteOffset == 0 else { continue }
      values[binding.quantity] = signal.thousandths(frame.head, scale: binding.scale)
    }
  }

  private func drain(
    _ peer: inout Session, from: Int64, until: Int64, _ values: QuantityValues, _ said: inout [(id: ArbitrationID, time: Int64)]
  ) {
    var now = from
    // A day of silence is not gone through microsecond by microsecond.
    var steps = 0
    while now <= until, steps < 1_000_000 {
      steps += 1
      switch peer.next(now_us: now, values: values) {
      case .send(let frame): said.append((frame.id, now))
      case .wait(let next):
        if next > until { return }
        now = max(now + 1, next)
      }
    }
  }

  /// What one list holds and the other does not; frames that may be missing are no difference.
  private func difference(
    _ expected: [(id: ArbitrationID, number: UInt64, time: Int64)], _ said: [(id: ArbitrationID, time: Int64)]
  ) -> (text: String, number: UInt64?, time: Int64?)? {
    let recorded = Set(expected.map(\.id))
    let simulated = Set(said.map(\.id))
    if let missing = expected.first(where: { !simulated.contains($0.id) && !isOptional($0.id) }) {
      return (
        "recorded is \(label(missing.id)), the simulated \(side == .battery ? "inverter" : "battery") does not say it",
        missing.number, missing.time
      )
    }
    if let more = said.first(where: { !recorded.contains($0.id) && !isOptional($0.id) }) {
      return (
        "the simulated \(side == .battery ? "inverter" : "battery") says \(label(more.id)), which was not recorded here", nil,
        more.time
      )
    }
    return nil
  }

  /// Messages that a plan lets be missing, or that come at their own pace.
  private func isOptional(_ id: ArbitrationID) -> Bool {
    guard let index = link.dissection.plan.slot(of: id) else { return true }
    let message = link.dissection.plan.slots[index].message
    if side == .battery {
      // An inverter's own pace is not the recorded one's: only what it never says counts.
      return link.handshake.inverter?.emissions.contains { $0.message == message } ?? true
    }
    guard let battery = link.handshake.battery else { return true }
    for answer in battery.answers {
      let required =
        answer.emissions.lowerBound..<max(answer.emissions.lowerBound, answer.emissions.upperBound - answer.optionalCount)
      if battery.emissions[required].contains(where: { $0.message == message }) { return false }
    }
    return true
  }

  private func label(_ id: ArbitrationID) -> String {
    let digits = String(id.number, radix: 16, uppercase: true)
    let hex = String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
    guard let slot = link.dissection.plan.slot(of: id) else { return hex }
    return "\(hex) \(link.dissection.messages[Int(link.dissection.plan.slots[slot].message)].name)"
  }
}

/// When each record of a capture is due once more: absolute targets, so that small delays do not add up.
public struct ReplayClock: Sendable {
  /// Virtual seconds in a second.
  public var speed: Double
  /// Longer silences are shortened to this, ns; `nil` = kept.
  public var longestGap: Int64?
  private var last: Int64?
  private var elapsed: Int64 = 0

  /// A clock that has not begun.
  public init(speed: Double = 1, longestGap: Int64? = nil) {
    self.speed = speed
    self.longestGap = longestGap
  }

  /// Nanoseconds from the start of the replay at which a record of this time is due. Steps back in time are due at once.
  public mutating func due(_ time: Timestamp) -> Int64 {
    if let last {
      let gap = max(0, time.nanoseconds &- last)
      elapsed &+= min(gap, longestGap ?? .max)
    }
    last = time.nanoseconds
    return speed == .infinity ? 0 : Int64(min(9e18, Double(elapsed) / speed))
  }
}
