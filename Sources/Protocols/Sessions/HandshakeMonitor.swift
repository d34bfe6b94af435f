public import Bus

/// Watches a conversation that others have, by the same tables that `Session` speaks from: which questions were answered, how completely
/// and how soon, and in which state either side is. Sans-IO, no allocation per frame.
public struct HandshakeMonitor: Sendable {
  /// What became of one kind of question.
  public struct AnswerTally: Sendable {
    /// Questions heard.
    public var asked: UInt64 = 0
    /// Answered with everything that must be there.
    public var complete: UInt64 = 0
    /// Answered in part.
    public var incomplete: UInt64 = 0
    /// Not answered at all.
    public var unanswered: UInt64 = 0
    /// Answered, but later than the plan says.
    public var late: UInt64 = 0
    /// Longest and sum of the times from question to last frame, µs, of complete answers.
    public var longest_us: Int64 = 0
    /// Sum of those times.
    public var sum_us: Int64 = 0
    /// How often each frame of the answer was missing, by its place; at most 32.
    public var missing: InlineArray<32, UInt32> = InlineArray(repeating: 0)
    /// Unanswered in a row now, and the most there were.
    public var unansweredInRow: UInt64 = 0
    /// The most there were.
    public var mostUnansweredInRow: UInt64 = 0
    /// The first question that was not answered: record and time.
    public var firstUnanswered: Mark?
    /// The last one.
    public var lastUnanswered: Mark?
    /// The first answer that lacked something.
    public var firstIncomplete: Mark?
    /// The first that was late.
    public var firstLate: Mark?
    /// The first question of all.
    public var firstAsked: Mark?
    /// Frames of the answer that came twice for one question.
    public var repeated: UInt64 = 0
  }

  /// Where in a capture.
  public struct Mark: Sendable, Equatable {
    /// From 1.
    public var record: UInt64
    /// µs.
    public var time_us: Int64
    /// A place.
    public init(record: UInt64, time_us: Int64) {
      self.record = record
      self.time_us = time_us
    }
  }

  /// A state that was entered.
  public struct Change: Sendable, Equatable {
    /// Whose.
    public var side: Session.Side
    /// Index of the state.
    public var state: Int
    /// What it means.
    public var phase: LinkPhase
    /// Where.
    public var mark: Mark
  }

  private let signals: [SignalPlan]
  /// The roles themselves: a local copy of one would count references of nine arrays for every frame.
  private let battery: RolePlan
  private let inverter: RolePlan
  /// By index of the battery's answers.
  public private(set) var tallies: [AnswerTally]
  /// States that were entered, oldest first; at most `mostChanges`.
  public private(set) var changes: [Change] = []
  /// How many there were in all.
  public private(set) var changeCount: UInt64 = 0
  /// The battery's state.
  public private(set) var batteryState = 0
  /// The inverter's state.
  public private(set) var inverterState = 0
  /// µs that the inverter has spent in each phase.
  public private(set) var inverterTime: InlineArray<5, Int64> = InlineArray(repeating: 0)
  /// The same of the battery.
  public private(set) var batteryTime: InlineArray<5, Int64> = InlineArray(repeating: 0)

  private struct Open: Sendable {
    var isOpen = false
    var asked = Mark(record: 0, time_us: 0)
    var request: UInt64 = 0
    var seen: UInt32 = 0
    var last_us: Int64 = 0
  }
  private var open: [Open]
  private var lastHeard: [Int64]
  private var batteryBegan: Int64 = .min
  private var inverterBegan: Int64 = .min
  private var now: Int64 = .min
  private var nextDeadline: Int64 = .min
  private var values = QuantityValues()
  private var hasBattery = false
  private var openCount = 0
  /// What each message may cause, so that most frames cost a load and a test.
  private var roleOfMessage: [MessageRole]
  private struct MessageRole: OptionSet, Sendable {
    var rawValue: UInt8
    static let request = MessageRole(rawValue: 1)
    static let answer = MessageRole(rawValue: 2)
    static let trigger = MessageRole(rawValue: 4)
  }
  /// Which battery is meant by `address` in a condition: any.
  public var address: UInt8?
  /// How many changes are kept.
  public static let mostChanges = 256

  /// A watcher that has seen nothing.
  public init(_ plan: ProtocolPlan, _ handshake: HandshakePlan) {
    signals = plan.signals
    battery = handshake.battery ?? RolePlan()
    inverter = handshake.inverter ?? RolePlan()
    tallies = [AnswerTally](repeating: AnswerTally(), count: handshake.battery?.answers.count ?? 0)
    open = [Open](repeating: Open(), count: handshake.battery?.answers.count ?? 0)
    lastHeard = [Int64](repeating: .min, count: plan.messages.count)
    roleOfMessage = [MessageRole](repeating: [], count: plan.messages.count)
    for answer in handshake.battery?.answers ?? [] {
      roleOfMessage[Int(answer.request)].insert(.request)
      for emission in handshake.battery?.emissions[answer.emissions] ?? [] { roleOfMessage[Int(emission.message)].insert(.answer) }
    }
    for role in [handshake.battery, handshake.inverter] {
      guard let role else { continue }
      for transition in role.transitions {
        if case .heard(let messages, _) = transition.trigger {
          for message in role.messages[messages] { roleOfMessage[Int(message)].insert(.trigger) }
        }
      }
    }
  }

  /// Where the battery's side stands.
  public var batteryPhase: LinkPhase { battery.states.isEmpty ? .waiting : battery.states[batteryState].phase }
  /// Where the inverter's side stands.
  public var inverterPhase: LinkPhase { inverter.states.isEmpty ? .waiting : inverter.states[inverterState].phase }

  /// Takes a data frame of a known message.
  /// - Parameters:
  ///   - head: the frame's first eight bytes.
  ///   - slot: its slot in the plan.
  ///   - isFromInverter: which side's message it is.
  public mutating func take(_ head: UInt64, slot: MessageSlot, isFromInverter: Bool, mark: Mark) {
    if mark.time_us >= nextDeadline || now == .min { advance(mark) } else { now = max(now, mark.time_us) }
    let message = Int(slot.message)
    lastHeard[message] = mark.time_us
    // What a battery measures is not on the bus: that it speaks says that it is alive.
    if !isFromInverter, !hasBattery {
      hasBattery = true
      values.set(.live, true)
    }
    let role = roleOfMessage[message]
    if role.isEmpty { return }
    if isFromInverter {
      if role.contains(.request) { ask(head, slot.message, mark) }
    } else if role.contains(.answer), openCount > 0 {
      hear(slot.message, mark)
    }
    if role.contains(.trigger) { follow(head, slot.message, isFromInverter, mark) }
  }

  /// Lets time pass: questions that were given up, states that end by silence.
  public mutating func advance(_ mark: Mark) {
    if now == .min {
      now = mark.time_us
      begin(mark)
    }
    guard mark.time_us >= now else { return }
    now = mark.time_us
    guard now >= nextDeadline else { return }
    nextDeadline = now &+ 50_000
    for index in open.indices where open[index].isOpen {
      if now &- open[index].asked.time_us > battery.answers[index].within_us { conclude(index) }
    }
    step(.battery, mark)
    step(.inverter, mark)
  }

  /// The capture has ended. A question of the last moment, whose answer may have been cut off, is not counted.
  public mutating func finish() {
    for index in open.indices where open[index].isOpen {
      let waited = now &- open[index].asked.time_us
      if waited >= 1_000_000 || open[index].seen == required(index) {
        conclude(index)
      } else {
        open[index].isOpen = false
        openCount -= 1
        tallies[index].asked &-= 1
      }
    }
    account(.battery)
    account(.inverter)
  }

  // MARK: Questions and answers

  private mutating func ask(_ head: UInt64, _ message: Int32, _ mark: Mark) {
    for index in battery.answers.indices where battery.answers[index].request == message {
      guard holds(battery.answers[index].conditions, head, battery.conditions) else { continue }
      if open[index].isOpen { conclude(index) }
      if tallies[index].firstAsked == nil { tallies[index].firstAsked = mark }
      tallies[index].asked &+= 1
      openCount += 1
      open[index] = Open(isOpen: true, asked: mark, request: head, seen: 0, last_us: mark.time_us)
    }
  }

  private mutating func hear(_ message: Int32, _ mark: Mark) {
    for index in open.indices where open[index].isOpen {
      let emissions = battery.answers[index].emissions
      var isKnown = false
      var isTaken = false
      for emission in emissions.lowerBound..<min(emissions.upperBound, emissions.lowerBound + 32)
      where battery.emissions[emission].message == message {
        isKnown = true
        let bit: UInt32 = 1 << UInt32(emission - emissions.lowerBound)
        guard open[index].seen & bit == 0 else { continue }
        open[index].seen |= bit
        open[index].last_us = mark.time_us
        isTaken = true
        break
      }
      if isKnown, !isTaken { tallies[index].repeated &+= 1 }
    }
  }

  private func all(_ index: Int) -> Int { min(32, battery.answers[index].emissions.count) }

  /// What an answer must have, as bits.
  private func required(_ index: Int) -> UInt32 {
    let answer = battery.answers[index]
    let count = max(0, all(index) - answer.optionalCount)
    return count >= 32 ? .max : (1 << UInt32(count)) - 1
  }

  private mutating func conclude(_ index: Int) {
    let answer = battery.answers[index]
    let seen = open[index].seen
    let mark = open[index].asked
    open[index].isOpen = false
    openCount -= 1
    guard seen != 0 else {
      tallies[index].unanswered &+= 1
      tallies[index].unansweredInRow &+= 1
      tallies[index].mostUnansweredInRow = max(tallies[index].mostUnansweredInRow, tallies[index].unansweredInRow)
      if tallies[index].firstUnanswered == nil { tallies[index].firstUnanswered = mark }
      tallies[index].lastUnanswered = mark
      return
    }
    tallies[index].unansweredInRow = 0
    for place in 0..<all(index) where seen & 1 << UInt32(place) == 0 { tallies[index].missing[place] &+= 1 }
    guard seen & required(index) == required(index) else {
      tallies[index].incomplete &+= 1
      if tallies[index].firstIncomplete == nil { tallies[index].firstIncomplete = mark }
      return
    }
    tallies[index].complete &+= 1
    let took = open[index].last_us &- mark.time_us
    tallies[index].longest_us = max(tallies[index].longest_us, took)
    tallies[index].sum_us &+= took
    if took > answer.within_us {
      tallies[index].late &+= 1
      if tallies[index].firstLate == nil { tallies[index].firstLate = mark }
    }
  }

  private func holds(_ range: Range<Int>, _ head: UInt64, _ conditions: [ConditionPlan]) -> Bool {
    var index = range.lowerBound
    while index < range.upperBound {
      var isMet = false
      repeat {
        let condition = conditions[index]
        if condition.isAddress {
          let value = signals[Int(condition.signal)].raw(head, swapped: head.byteSwapped)
          isMet = isMet || address == nil || Int64(address ?? 0) == value
        } else if signals[Int(condition.signal)].raw(head, swapped: head.byteSwapped) == condition.raw {
          isMet = true
        }
        index += 1
      } while index < range.upperBound && conditions[index].isAlternative
      if !isMet { return false }
    }
    return true
  }

  // MARK: States

  private mutating func begin(_ mark: Mark) {
    batteryBegan = mark.time_us
    inverterBegan = mark.time_us
  }

  private mutating func follow(_ head: UInt64, _ message: Int32, _ isFromInverter: Bool, _ mark: Mark) {
    for side in [Session.Side.battery, .inverter] {
      // Each side hears the other.
      guard (side == .battery) == isFromInverter else { continue }
      let role = side == .battery ? battery : inverter
      guard !role.states.isEmpty else { continue }
      let state = side == .battery ? batteryState : inverterState
      for index in role.states[state].transitions {
        guard case .heard(let messages, let conditions) = role.transitions[index].trigger else { continue }
        if role.messages[messages].contains(message), holds(conditions, head, role.conditions) {
          enter(side, role.transitions[index].target, mark)
          break
        }
      }
    }
  }

  /// What the battery's own side knows, as far as its frames show it: live, ready and the like.
  public mutating func know(_ quantity: Quantity, _ isTrue: Bool) { values.set(quantity, isTrue) }

  private mutating func step(_ side: Session.Side, _ mark: Mark) {
    let role = side == .battery ? battery : inverter
    guard !role.states.isEmpty else { return }
    let state = side == .battery ? batteryState : inverterState
    let began = side == .battery ? batteryBegan : inverterBegan
    for index in role.states[state].transitions {
      let transition = role.transitions[index]
      var isDue = false
      switch transition.trigger {
      case .heard: continue
      case .complete(let messages, let within):
        isDue = true
        for message in role.messages[messages] where lastHeard[Int(message)] == .min || now &- lastHeard[Int(message)] > within {
          isDue = false
        }
      case .silence(let messages, let time):
        var last = began
        for message in role.messages[messages] { last = max(last, lastHeard[Int(message)]) }
        isDue = now &- last >= time
      case .quantity(let quantity, let wanted): isDue = values.isTrue(quantity) == wanted
      }
      if isDue { return enter(side, transition.target, mark) }
    }
  }

  private mutating func enter(_ side: Session.Side, _ target: Int, _ mark: Mark) {
    let role = side == .battery ? battery : inverter
    guard !role.states.isEmpty else { return }
    account(side)
    if side == .battery {
      guard batteryState != target else { return }
      (batteryState, batteryBegan) = (target, mark.time_us)
    } else {
      guard inverterState != target else { return }
      (inverterState, inverterBegan) = (target, mark.time_us)
    }
    changeCount &+= 1
    if changes.count < HandshakeMonitor.mostChanges {
      changes.append(Change(side: side, state: target, phase: role.states[target].phase, mark: mark))
    }
  }

  /// Adds the time since the state began to its phase.
  private mutating func account(_ side: Session.Side) {
    guard now != .min else { return }
    if side == .battery {
      batteryTime[Int(batteryPhase.rawValue)] &+= max(0, now &- batteryBegan)
      batteryBegan = now
    } else {
      inverterTime[Int(inverterPhase.rawValue)] &+= max(0, now &- inverterBegan)
      inverterBegan = now
    }
  }
}
