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

    /// A question.
    mutating func ask(_ mark: Mark) {
      if asked == 0 { firstAsked = mark }
      asked &+= 1
    }

    /// Nothing more of an answer is waited for.
    /// - Parameters:
    ///   - asked: the question.
    ///   - seen: what has come, as bits of the answer's places, and when the last of it did.
    ///   - all: what there may be, and must be.
    mutating func conclude(asked mark: Mark, seen: UInt32, last_us: Int64, all: UInt32, required: UInt32, within_us: Int64) {
      guard seen != 0 else {
        if unanswered == 0 { firstUnanswered = mark }
        unanswered &+= 1
        unansweredInRow &+= 1
        mostUnansweredInRow = max(mostUnansweredInRow, unansweredInRow)
        lastUnanswered = mark
        return
      }
      unansweredInRow = 0
      var lacking = all & ~seen
      while lacking != 0 {
        missing[lacking.trailingZeroBitCount] &+= 1
        lacking &= lacking &- 1
      }
      guard seen & required == required else {
        if incomplete == 0 { firstIncomplete = mark }
        incomplete &+= 1
        return
      }
      complete &+= 1
      let took = last_us &- mark.time_us
      longest_us = max(longest_us, took)
      sum_us &+= took
      if took > within_us {
        if late == 0 { firstLate = mark }
        late &+= 1
      }
    }
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
  /// Looked at in place: a local copy of a role counts the references of nine arrays.
  private let battery: RolePlan
  private let inverter: RolePlan
  /// Places of messages in answers, message by message: which answer, and which bit of what was seen.
  private let answerPlaces: [(answer: Int32, bit: UInt32)]
  /// The battery's answers by what asks for them, message by message.
  private let requestAnswers: [Int32]
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

  /// What an answer has, and must have, as bits of its places.
  private let wanted: [(all: UInt32, required: UInt32)]
  private struct Open: Sendable {
    var isOpen = false
    var asked = Mark(record: 0, time_us: 0)
    var reply = Reply()
  }
  /// What has come of an answer.
  private struct Reply: Sendable {
    var seen: UInt32 = 0
    var last_us: Int64 = 0

    /// Whether the place was still free.
    @inline(__always) mutating func take(_ bit: UInt32, _ time_us: Int64) -> Bool {
      guard seen & bit == 0 else { return false }
      seen |= bit
      last_us = time_us
      return true
    }
  }
  private var open: [Open]
  /// The question that was asked last, and what has come of its answer: nearly every answer belongs to it, and it is at hand without a look
  /// into the array. −1 = none; `settle` brings the array up to date.
  private var current: Int32 = -1
  private var currentReply = Reply()
  private var batteryBegan: Int64 = .min
  private var inverterBegan: Int64 = .min
  private var now: Int64 = .min
  private var nextDeadline: Int64 = .min
  private var values = QuantityValues()
  private var hasBattery = false
  private var openCount = 0
  /// What a message may cause.
  private struct MessageUse: Sendable {
    /// Its bit among what a state waits for.
    var bit: UInt64 = 0
    /// The only place in the only answer that it has; −1 = none or several.
    var onlyAnswer: Int32 = -1
    var onlyBit: UInt32 = 0
    /// Of `requestAnswers`.
    var firstAnswer: Int32 = 0
    var endAnswer: Int32 = 0
    /// Of `answerPlaces`; empty where there is only one.
    var firstPlace: Int32 = 0
    var endPlace: Int32 = 0
  }
  /// By message.
  private let uses: [MessageUse]
  /// When each message was heard last, µs: of the first ones in place, of the others beyond.
  private var heard: InlineArray<64, Int64> = InlineArray(repeating: .min)
  private var heardBeyond: [Int64]
  /// Messages that a transition waits for before it can be complete: only they make another look worthwhile.
  private var wakes: UInt64 = 0
  /// The messages that a transition out of the state of a side waits for, a bit each (the last one for all from the 64th on), and those of
  /// every state. Most frames cause nothing: one look tells.
  private var batteryHears: UInt64 = 0
  private var inverterHears: UInt64 = 0
  /// Before this time, µs, neither silence nor anything else but a frame leads out of the state of a side.
  private var batteryStep: Int64 = .min
  private var inverterStep: Int64 = .min
  private let batteryHearing: [UInt64]
  private let inverterHearing: [UInt64]
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
    wanted = battery.answers.map { answer in
      let bits = { (count: Int) -> UInt32 in count >= 32 ? .max : (1 << UInt32(max(0, count))) - 1 }
      let all = min(32, answer.emissions.count)
      return (bits(all), bits(all - answer.optionalCount))
    }
    var places: [(answer: Int32, bit: UInt32)] = []
    var answers: [Int32] = []
    var uses: [MessageUse] = []
    for message in plan.messages.indices {
      var use = MessageUse(
        bit: HandshakeMonitor.bit(message), firstAnswer: Int32(answers.count), firstPlace: Int32(places.count))
      for (index, answer) in battery.answers.enumerated() {
        if Int(answer.request) == message { answers.append(Int32(index)) }
        for (place, emission) in answer.emissions.prefix(32).enumerated()
        where Int(battery.emissions[emission].message) == message { places.append((Int32(index), 1 << UInt32(place))) }
      }
      use.endAnswer = Int32(answers.count)
      use.endPlace = Int32(places.count)
      if use.endPlace - use.firstPlace == 1, let only = places.last {
        (use.onlyAnswer, use.onlyBit) = only
        use.endPlace = use.firstPlace
      }
      uses.append(use)
    }
    (self.uses, answerPlaces, requestAnswers) = (uses, places, answers)
    heardBeyond = [Int64](repeating: .min, count: max(0, plan.messages.count - 64))
    batteryHearing = HandshakeMonitor.hearing(battery)
    inverterHearing = HandshakeMonitor.hearing(inverter)
    batteryHears = batteryHearing.first ?? 0
    inverterHears = inverterHearing.first ?? 0
  }

  private static func bit(_ message: Int) -> UInt64 { 1 << UInt64(min(63, message)) }

  private static func hearing(_ role: RolePlan) -> [UInt64] {
    role.states.map { state in
      role.transitions[state.transitions].reduce(0) { bits, transition in
        guard case .heard(let messages, _) = transition.trigger else { return bits }
        return role.messages[messages].reduce(bits) { $0 | bit(Int($1)) }
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
  ///   - message: index in the plan's messages.
  ///   - isFromInverter: which side's message it is.
  public mutating func take(_ head: UInt64, message: Int, isFromInverter: Bool, mark: Mark) {
    if mark.time_us >= nextDeadline { advance(mark) } else { note(mark.time_us) }
    let use = uses[message]
    hear(message, mark.time_us)
    if use.bit & wakes != 0 { wake() }
    if isFromInverter {
      if use.firstAnswer < use.endAnswer { ask(head, use, mark) }
      // Each side hears the other.
      if use.bit & batteryHears != 0 { follow(.battery, head, Int32(message), mark) }
    } else {
      // What a battery measures is not on the bus: that it speaks says that it is alive.
      if !hasBattery { meetBattery() }
      if openCount > 0 { answer(use, mark) }
      if use.bit & inverterHears != 0 { follow(.inverter, head, Int32(message), mark) }
    }
  }

  /// The time of a frame before the next deadline.
  @inline(__always) private mutating func note(_ time_us: Int64) {
    if time_us >= now {
      now = time_us
    } else {
      // The clock was set back: what was found about silence holds no longer.
      batteryStep = .min
      inverterStep = .min
    }
  }

  @inline(__always) private mutating func hear(_ message: Int, _ time_us: Int64) {
    if message < 64 { heard[message] = time_us } else { heardBeyond[message &- 64] = time_us }
  }

  private func lastHeard(_ message: Int) -> Int64 { message < 64 ? heard[message] : heardBeyond[message &- 64] }

  /// What was missing has come: the states are looked at again.
  @inline(never) private mutating func wake() {
    wakes = 0
    batteryStep = .min
    inverterStep = .min
  }

  @inline(never) private mutating func meetBattery() {
    hasBattery = true
    know(.live, true)
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
    if now >= batteryStep { step(.battery, mark) }
    if now >= inverterStep { step(.inverter, mark) }
  }

  /// The capture has ended. A question of the last moment, whose answer may have been cut off, is not counted.
  public mutating func finish() {
    settle()
    for index in open.indices where open[index].isOpen {
      let waited = now &- open[index].asked.time_us
      if waited >= 1_000_000 || open[index].reply.seen == wanted[index].required {
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

  private mutating func ask(_ head: UInt64, _ use: MessageUse, _ mark: Mark) {
    for place in Int(use.firstAnswer)..<Int(use.endAnswer) {
      let index = Int(requestAnswers[place])
      guard holds(battery.answers[index].conditions, head, isOfBattery: true) else { continue }
      settle()
      if open[index].isOpen { conclude(index) }
      tallies[index].ask(mark)
      openCount += 1
      open[index] = Open(isOpen: true, asked: mark, reply: Reply(last_us: mark.time_us))
      current = Int32(truncatingIfNeeded: index)
      currentReply = Reply(last_us: mark.time_us)
    }
  }

  /// Writes what has come of the latest question to where that of the others stands.
  @inline(__always) private mutating func settle() {
    guard current >= 0 else { return }
    open[Int(current)].reply = currentReply
    current = -1
  }

  @inline(__always) private mutating func answer(_ use: MessageUse, _ mark: Mark) {
    if use.onlyAnswer >= 0 {
      if use.onlyAnswer == current {
        if !currentReply.take(use.onlyBit, mark.time_us) { tallies[Int(current)].repeated &+= 1 }
      } else {
        answerEarlier(use, mark)
      }
    } else if use.firstPlace < use.endPlace {
      answerSeveral(use, mark)
    }
  }

  /// An answer to another question than the latest.
  @inline(never) private mutating func answerEarlier(_ use: MessageUse, _ mark: Mark) {
    let index = Int(use.onlyAnswer)
    if open[index].isOpen, !open[index].reply.take(use.onlyBit, mark.time_us) { tallies[index].repeated &+= 1 }
  }

  /// A message that stands in several answers, or more than once in one.
  @inline(never) private mutating func answerSeveral(_ use: MessageUse, _ mark: Mark) {
    settle()
    var place = Int(use.firstPlace)
    let end = Int(use.endPlace)
    while place < end {
      // The first place that is free is its own.
      let index = Int(answerPlaces[place].answer)
      let isWanted = open[index].isOpen
      var isTaken = !isWanted
      while place < end, Int(answerPlaces[place].answer) == index {
        if !isTaken { isTaken = open[index].reply.take(answerPlaces[place].bit, mark.time_us) }
        place += 1
      }
      if !isTaken { tallies[index].repeated &+= 1 }
    }
  }

  private mutating func conclude(_ index: Int) {
    settle()
    let question = open[index]
    open[index].isOpen = false
    openCount -= 1
    tallies[index].conclude(
      asked: question.asked, seen: question.reply.seen, last_us: question.reply.last_us, all: wanted[index].all,
      required: wanted[index].required, within_us: battery.answers[index].within_us)
  }

  @inline(__always) private func holds(_ range: Range<Int>, _ head: UInt64, isOfBattery: Bool) -> Bool {
    range.isEmpty || areMet(range, head, isOfBattery: isOfBattery)
  }

  /// By index: a slice of the conditions would count references for every question.
  private func areMet(_ range: Range<Int>, _ head: UInt64, isOfBattery: Bool) -> Bool {
    var isMet = true
    for index in range {
      let condition = isOfBattery ? battery.conditions[index] : inverter.conditions[index]
      // An alternative of the one before; else the one before had to be met.
      if !condition.isAlternative || index == range.lowerBound {
        if !isMet { return false }
        isMet = false
      }
      if isMet { continue }
      let value = signals[Int(condition.signal)].raw(head, swapped: head.byteSwapped)
      isMet = condition.isAddress ? address.map { Int64($0) == value } ?? true : value == condition.raw
    }
    return isMet
  }

  // MARK: States

  private mutating func begin(_ mark: Mark) {
    batteryBegan = mark.time_us
    inverterBegan = mark.time_us
  }

  private func transitions(_ side: Session.Side) -> Range<Int> {
    if side == .battery { return battery.states.isEmpty ? 0..<0 : battery.states[batteryState].transitions }
    return inverter.states.isEmpty ? 0..<0 : inverter.states[inverterState].transitions
  }

  private func transition(_ side: Session.Side, _ index: Int) -> TransitionPlan {
    side == .battery ? battery.transitions[index] : inverter.transitions[index]
  }

  private func message(_ side: Session.Side, _ index: Int) -> Int32 {
    side == .battery ? battery.messages[index] : inverter.messages[index]
  }

  @inline(never) private mutating func follow(_ side: Session.Side, _ head: UInt64, _ message: Int32, _ mark: Mark) {
    let range = transitions(side)
    var index = range.lowerBound
    while index < range.upperBound {
      let plan = transition(side, index)
      if case .heard(let messages, let conditions) = plan.trigger {
        var place = messages.lowerBound
        while place < messages.upperBound, self.message(side, place) != message { place += 1 }
        if place < messages.upperBound, holds(conditions, head, isOfBattery: side == .battery) {
          return enter(side, plan.target, mark)
        }
      }
      index += 1
    }
  }

  /// What the battery's own side knows, as far as its frames show it: live, ready and the like.
  public mutating func know(_ quantity: Quantity, _ isTrue: Bool) {
    values.set(quantity, isTrue)
    batteryStep = .min
    inverterStep = .min
  }

  private mutating func step(_ side: Session.Side, _ mark: Mark) {
    let began = side == .battery ? batteryBegan : inverterBegan
    let range = transitions(side)
    var next = Int64.max
    var index = range.lowerBound
    while index < range.upperBound {
      let plan = transition(side, index)
      var isDue = false
      switch plan.trigger {
      case .heard: break
      case .complete(let messages, let within):
        isDue = true
        for place in messages where isDue {
          let message = Int(self.message(side, place))
          let last = lastHeard(message)
          guard last == .min || now &- last > within else { continue }
          // Before this one comes again it cannot be complete.
          wakes |= HandshakeMonitor.bit(message)
          isDue = false
        }
      case .silence(let messages, let time):
        var last = began
        for place in messages { last = max(last, lastHeard(Int(message(side, place)))) }
        isDue = now &- last >= time
        // Whatever is heard until then moves it further away.
        next = min(next, last &+ time)
      case .quantity(let quantity, let wanted):
        // Looked at again when one of them changes.
        isDue = values.isTrue(quantity) == wanted
      }
      if isDue { return enter(side, plan.target, mark) }
      index += 1
    }
    if side == .battery { batteryStep = next } else { inverterStep = next }
  }

  private mutating func enter(_ side: Session.Side, _ target: Int, _ mark: Mark) {
    account(side)
    if side == .battery { batteryStep = .min } else { inverterStep = .min }
    if side == .battery {
      guard batteryState != target else { return }
      (batteryState, batteryBegan) = (target, mark.time_us)
      batteryHears = batteryHearing[target]
    } else {
      guard inverterState != target else { return }
      (inverterState, inverterBegan) = (target, mark.time_us)
      inverterHears = inverterHearing[target]
    }
    changeCount &+= 1
    if changes.count < HandshakeMonitor.mostChanges {
      changes.append(Change(side: side, state: target, phase: side == .battery ? batteryPhase : inverterPhase, mark: mark))
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
