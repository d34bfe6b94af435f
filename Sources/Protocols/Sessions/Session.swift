public import Bus

/// One end of a link, run from a plan: the battery's or the inverter's. Sans-IO: frames heard and time go in, frames to send come out.
///
/// Times are µs of any clock that goes forward. The same tables make the encoder, this and the checker (`HandshakeMonitor`).
public struct Session: Sendable {
  /// What the owner of the bus is to do.
  public enum Action: Sendable, Equatable {
    /// Send this now and ask again.
    case send(CANFrame)
    /// Nothing before this time unless something is heard.
    case wait(until: Int64)
  }

  /// Which end.
  public enum Side: Sendable { case battery, inverter }

  private let protocolPlan: ProtocolPlan
  private let role: RolePlan
  private let bindings: [QuantityBinding]
  /// Which end this is.
  public let side: Side
  /// The battery's address: our own, or that of the battery we want.
  public var address: UInt8
  /// Index of the state.
  public private(set) var state = 0
  /// When the state began.
  public private(set) var stateBegan: Int64 = 0
  /// What the other side has said, and when it last said anything.
  public private(set) var heard = QuantityValues()
  /// When each message was heard last; by index of message.
  public private(set) var lastHeard: [Int64]
  /// Values that did not fit their field and were sent as the nearest that does, by quantity.
  public private(set) var saturated: UInt64 = 0
  /// Frames sent.
  public private(set) var sentFrames: UInt64 = 0
  /// Frames that had no room in the queue: requests faster than answers.
  public private(set) var droppedFrames: UInt64 = 0

  /// A fault for simulations: questions other than the most frequent are not answered any more, as by a sender that says who it is once.
  public var forgetsIdentity = false
  private var queue: [Pending] = []
  private var nextDue: [Int64]
  private var lastSent: [UInt64]
  private var lastSentAt: [Int64]
  private var counter: UInt64 = 0
  /// Whether what the role needs was true when it was last asked.
  private var maySpeak = false
  private var hasStarted = false
  /// Messages of the slots' first use, for sending.
  private let slotOfMessage: [Int32]

  private struct Pending: Sendable {
    var due: Int64
    var emission: Int32
    /// The answer it belongs to; −1 = sent unasked.
    var answer: Int32
    var request: UInt64
    /// Its payload as it was when its change was seen; 0 = made when sent.
    var isForced: Bool
  }
  /// Frames that may wait. 32 answers of a pair of polls and a burst fit.
  static let mostPending = 128

  /// One end.
  /// - Returns: `nil` if the handshake says nothing of that side.
  public init?(_ plan: ProtocolPlan, _ handshake: HandshakePlan, side: Side, address: UInt8) {
    guard let role = side == .battery ? handshake.battery : handshake.inverter, !role.states.isEmpty else { return nil }
    protocolPlan = plan
    self.role = role
    self.side = side
    self.address = address
    bindings = handshake.bindings
    lastHeard = [Int64](repeating: .min, count: plan.messages.count)
    nextDue = [Int64](repeating: .max, count: role.sends.count)
    lastSent = [UInt64](repeating: 0, count: role.emissions.count)
    lastSentAt = [Int64](repeating: .min, count: role.emissions.count)
    var slots = [Int32](repeating: -1, count: plan.messages.count)
    for (index, slot) in plan.slots.enumerated() where slots[Int(slot.message)] < 0 || slot.hasAddress && slot.address == address {
      slots[Int(slot.message)] = Int32(truncatingIfNeeded: index)
    }
    slotOfMessage = slots
    queue.reserveCapacity(Session.mostPending)
  }

  /// Where the conversation stands.
  public var phase: LinkPhase { role.states[state].phase }

  /// Whether any frame of the other side's was heard at all: what is sent unasked goes out to nobody as well.
  public var hasHeardPeer: Bool { lastHeard.contains { $0 != .min } }

  /// Whether any frame of the other side's was heard within the last so many µs.
  public func hasHeard(within_us: Int64, now_us: Int64) -> Bool {
    for time in lastHeard where time != .min && now_us - time <= within_us { return true }
    return false
  }

  // MARK: Hearing

  /// Takes a frame of the bus that somebody else sent.
  public mutating func receive(_ frame: CANFrame, now_us: Int64) {
    start(now_us)
    guard frame.isPlain, let index = protocolPlan.slot(of: frame.id) else { return }
    let slot = protocolPlan.slots[index]
    if slot.hasAddress, slot.address != address { return }
    let message = Int(slot.message)
    lastHeard[message] = now_us
    learn(frame, message)
    for index in role.answers.indices where role.answers[index].request == slot.message {
      if forgetsIdentity, index != 0 || !role.sends.isEmpty { continue }
      if holds(role.answers[index].conditions, frame) { answer(index, frame, now_us) }
    }
    for index in role.states[state].transitions {
      guard case .heard(let messages, let conditions) = role.transitions[index].trigger else { continue }
      if role.messages[messages].contains(slot.message), holds(conditions, frame) {
        return enter(role.transitions[index].target, now_us)
      }
    }
  }

  private mutating func learn(_ frame: CANFrame, _ message: Int) {
    for binding in bindings where Int(binding.message) == message {
      let signal = protocolPlan.signals[Int(binding.signal)]
      guard Int(signal.bytesNeeded) <= frame.payloadLength, signal.byteOffset == 0 else { continue }
      let value = signal.thousandths(frame.head, scale: binding.scale)
      heard[binding.quantity] = binding.isMagnitude ? (value < 0 ? 0 &- value : value) : value
    }
  }

  /// Each signal that is asked for has one of its values.
  private func holds(_ conditions: Range<Int>, _ frame: CANFrame) -> Bool {
    var index = conditions.lowerBound
    while index < conditions.upperBound {
      var isMet = false
      repeat {
        let condition = role.conditions[index]
        let signal = protocolPlan.signals[Int(condition.signal)]
        let wanted = condition.isAddress ? Int64(address) : condition.raw
        if Int(signal.bytesNeeded) <= frame.payloadLength, signal.raw(frame.head, swapped: frame.head.byteSwapped) == wanted {
          isMet = true
        }
        index += 1
      } while index < conditions.upperBound && role.conditions[index].isAlternative
      if !isMet { return false }
    }
    return true
  }

  private mutating func answer(_ index: Int, _ frame: CANFrame, _ now_us: Int64) {
    guard maySpeak || role.needs == nil else { return }
    let plan = role.answers[index]
    // The same question again while its answer goes out: one answer will do (pylontech-hv.md §6.2).
    for pending in queue where Int(pending.answer) == index && pending.request == frame.head { return }
    var due = now_us + plan.after_us
    if let last = queue.last, last.answer >= 0, last.due >= due { due = last.due + max(1, plan.spacing_us) }
    for emission in plan.emissions {
      push(Pending(due: due, emission: Int32(emission), answer: Int32(index), request: frame.head, isForced: false))
      due += plan.spacing_us
    }
  }

  private mutating func push(_ pending: Pending) {
    guard queue.count < Session.mostPending else {
      droppedFrames &+= 1
      return
    }
    var place = queue.count
    while place > 0, queue[place - 1].due > pending.due { place -= 1 }
    queue.insert(pending, at: place)
  }

  // MARK: Time

  /// The first state begins when time does.
  private mutating func start(_ now_us: Int64) {
    guard !hasStarted else { return }
    hasStarted = true
    enter(0, now_us)
  }

  private mutating func enter(_ target: Int, _ now_us: Int64) {
    // A burst that has begun is said to its end: half of one is worse than one too many.
    state = target
    stateBegan = now_us
    for index in nextDue.indices { nextDue[index] = .max }
    for index in role.states[target].sends { nextDue[index] = now_us + role.sends[index].offset_us }
  }

  /// What to do at this time, with what our own side knows.
  public mutating func next(now_us: Int64, values: QuantityValues) -> Action {
    start(now_us)
    maySpeak = role.needs.map { values.isTrue($0) } ?? true
    var guardian = 0
    while guardian < 8, let target = dueTransition(now_us, values) {
      enter(target, now_us)
      guardian += 1
    }
    for index in role.states[state].sends { schedule(index, now_us, values) }
    if let first = queue.first, first.due <= now_us {
      queue.removeFirst()
      return .send(frame(first, values, now_us))
    }
    var until = queue.first?.due ?? .max
    for index in role.states[state].sends { until = min(until, nextDue[index]) }
    return .wait(until: min(until, nextDeadline(now_us)))
  }

  /// The first transition by time or by a quantity that holds.
  private func dueTransition(_ now_us: Int64, _ values: QuantityValues) -> Int? {
    for index in role.states[state].transitions {
      let transition = role.transitions[index]
      switch transition.trigger {
      case .heard: continue
      case .complete(let messages, let within):
        let isComplete = role.messages[messages].allSatisfy { lastHeard[Int($0)] != .min && now_us - lastHeard[Int($0)] <= within }
        if isComplete { return transition.target }
      case .silence(let messages, let time):
        if now_us - lastOf(messages) >= time { return transition.target }
      case .quantity(let quantity, let wanted):
        if values.isTrue(quantity) == wanted { return transition.target }
      }
    }
    return nil
  }

  /// When one of these was heard last, or the state began.
  private func lastOf(_ messages: Range<Int>) -> Int64 {
    var last = stateBegan
    for message in role.messages[messages] { last = max(last, lastHeard[Int(message)]) }
    return last
  }

  /// When a transition by time may be due.
  private func nextDeadline(_ now_us: Int64) -> Int64 {
    var deadline = Int64.max
    for index in role.states[state].transitions {
      if case .silence(let messages, let time) = role.transitions[index].trigger {
        deadline = min(deadline, lastOf(messages) + time)
      }
    }
    return max(now_us + 1, deadline)
  }

  /// Queues a burst that is due, and frames whose content has changed.
  private mutating func schedule(_ index: Int, _ now_us: Int64, _ values: QuantityValues) {
    let send = role.sends[index]
    guard maySpeak else {
      // Looked at again soon: the first burst goes out when there is something to say.
      if now_us >= nextDue[index] { nextDue[index] = now_us + 50_000 }
      return
    }
    if now_us >= nextDue[index] {
      var due = nextDue[index]
      // A burst that is late does not make the next one early, and none is sent twice to catch up.
      nextDue[index] = send.every_us > 0 ? max(due + send.every_us, now_us + 1) : .max
      due = max(due, now_us)
      for emission in send.emissions {
        push(Pending(due: due, emission: Int32(emission), answer: -1, request: 0, isForced: false))
        due += send.spacing_us
      }
    }
    guard send.onChange_us > 0 else { return }
    for emission in send.emissions where lastSentAt[emission] != .min && now_us - lastSentAt[emission] >= send.onChange_us {
      guard payload(role.emissions[emission], 0, values, notes: false).bits != lastSent[emission],
        !queue.contains(where: { Int($0.emission) == emission })
      else { continue }
      push(Pending(due: now_us, emission: Int32(emission), answer: -1, request: 0, isForced: true))
    }
  }

  // MARK: Saying

  private mutating func frame(_ pending: Pending, _ values: QuantityValues, _ now_us: Int64) -> CANFrame {
    let emission = role.emissions[Int(pending.emission)]
    let made = payload(emission, pending.request, values, notes: true)
    saturated |= made.saturated
    sentFrames &+= 1
    counter &+= 1
    lastSent[Int(pending.emission)] = made.bits
    lastSentAt[Int(pending.emission)] = now_us
    let slot = slotOfMessage[Int(emission.message)]
    let id = slot < 0 ? ArbitrationID.standard(0) : protocolPlan.slots[Int(slot)].id
    return CANFrame(id: id, length: protocolPlan.messages[Int(emission.message)].length, head: made.bits)
  }

  /// The payload with its quantities, and which of them did not fit.
  private func payload(
    _ emission: EmissionPlan, _ request: UInt64, _ values: QuantityValues, notes: Bool
  ) -> (bits: UInt64, saturated: UInt64) {
    var bits = emission.template
    var saturated: UInt64 = 0
    for index in emission.fillers {
      let filler = role.fillers[index]
      let signal = protocolPlan.signals[Int(filler.signal)]
      switch filler.source {
      case .value(let quantity):
        guard let value = values[quantity] else { continue }
        let (raw, fits) = signal.raw(thousandths: value, scale: filler.scale)
        if !fits { saturated |= 1 << UInt64(quantity.rawValue) }
        bits = signal.storing(raw, in: bits)
      case .raw(let raw, let quantity): if values.isTrue(quantity) { bits = signal.storing(raw, in: bits) }
      case .address: bits = signal.storing(Int64(address), in: bits)
      case .counter: bits = signal.storing(Int64(truncatingIfNeeded: counter & 0x7FFF_FFFF), in: bits)
      }
    }
    for index in emission.copies {
      let copy = role.copies[index]
      let raw = protocolPlan.signals[Int(copy.from)].raw(request, swapped: request.byteSwapped)
      bits = protocolPlan.signals[Int(copy.to)].storing(raw, in: bits)
    }
    return (bits, saturated)
  }
}

extension SignalPlan {
  /// 10 to the power of `decimals`.
  var power: Int64 {
    var power: Int64 = 1
    var step: UInt8 = 0
    while step < min(decimals, 15) {
      power &*= 10
      step += 1
    }
    return power
  }

  /// The physical value in thousandths, from a payload word; `scale` thousandths are one unit of the signal.
  @inlinable public func thousandths(_ word: UInt64, scale: Int64) -> Int64 {
    thousandths(raw: raw(word, swapped: word.byteSwapped), scale: scale)
  }

  /// The physical value of a raw one in thousandths.
  public func thousandths(raw: Int64, scale: Int64) -> Int64 {
    guard isExact else {
      let value = (Double(raw) * factor + offset) * Double(scale)
      return value > 9e18 ? .max : value < -9e18 ? .min : Int64(value.rounded())
    }
    let (scaled, isTooMuch) = (raw &* numerator &+ addend).multipliedReportingOverflow(by: scale)
    return isTooMuch ? .max : scaled / power
  }

  /// The raw value nearest to a physical one in thousandths, and whether the field can hold it.
  public func raw(thousandths value: Int64, scale: Int64) -> (raw: Int64, fits: Bool) {
    let lowest = encoding == .signed ? 0 &- Int64(bitPattern: sign) : 0
    let highest = Int64(bitPattern: encoding == .signed ? mask >> 1 : mask & 0x7FFF_FFFF_FFFF_FFFF)
    var wanted: Double
    if isExact {
      wanted = (Double(value) * Double(power) / Double(scale) - Double(addend)) / Double(numerator == 0 ? 1 : numerator)
    } else {
      wanted = (Double(value) / Double(scale) - offset) / (factor == 0 ? 1 : factor)
    }
    wanted = wanted.rounded()
    if wanted.isNaN { return (0, false) }
    if wanted < Double(lowest) { return (lowest, false) }
    if wanted > Double(highest) { return (highest, false) }
    return (Int64(wanted), true)
  }

  /// The payload word with this raw value in it.
  public func storing(_ raw: Int64, in word: UInt64) -> UInt64 {
    guard byteOffset == 0 else { return word }
    var bits = isBigEndian ? word.byteSwapped : word
    bits = bits & ~(mask &<< UInt64(shift)) | (UInt64(bitPattern: raw) & mask) &<< UInt64(shift)
    return isBigEndian ? bits.byteSwapped : bits
  }
}
