import Bus
import Protocols
import Testing

/// A small protocol made by hand: two questions with answers that share a message, and states that end by completeness, silence and a quantity.
@Suite struct HandshakeMonitorTests {
  // Messages. The last one lies beyond those that the monitor keeps in place.
  static let poll = 0, totals = 1, limits = 2, ask = 3, name = 4, shared = 5, late = 70
  static let battery = Set([totals, limits, name, shared, late])

  static let plan: ProtocolPlan = {
    var signals = [SignalPlan(shift: 0, width: 8, bytesNeeded: 1), SignalPlan(shift: 8, width: 4, bytesNeeded: 2)]
    signals += [SignalPlan(shift: 0, width: 8, bytesNeeded: 1)]
    let message = MessagePlan(firstSignal: 0, signalCount: 2, bytesNeeded: 2, length: 8)
    return ProtocolPlan(slots: [], messages: Array(repeating: message, count: 71), signals: signals)
  }()

  static let handshake: HandshakePlan = {
    var battery = RolePlan()
    battery.messages = [Int32(poll), Int32(ask)]
    battery.conditions = [
      // The first byte is 0 or 2, and the address that of this battery.
      ConditionPlan(signal: 0, raw: 0), ConditionPlan(signal: 0, raw: 2, isAlternative: true),
      ConditionPlan(signal: 1, raw: 0, isAddress: true),
    ]
    func frame(_ message: Int) -> EmissionPlan { EmissionPlan(message: Int32(message), template: 0, fillers: 0..<0) }
    battery.emissions = [frame(totals), frame(limits), frame(shared), frame(name), frame(shared)]
    battery.answers = [
      AnswerPlan(
        request: Int32(poll), conditions: 0..<3, emissions: 0..<3, optionalCount: 1, after_us: 0, spacing_us: 0, within_us: 500_000),
      AnswerPlan(request: Int32(ask), conditions: 0..<0, emissions: 3..<5, after_us: 0, spacing_us: 0, within_us: 500_000),
    ]
    battery.states = [
      StatePlan(phase: .waiting, sends: 0..<0, transitions: 0..<1), StatePlan(phase: .online, sends: 0..<0, transitions: 1..<3),
      StatePlan(phase: .lost, sends: 0..<0, transitions: 3..<3), StatePlan(phase: .opening, sends: 0..<0, transitions: 3..<3),
    ]
    battery.transitions = [
      TransitionPlan(trigger: .heard(messages: 0..<1, conditions: 0..<3), target: 1),
      TransitionPlan(trigger: .silence(messages: 0..<1, for_us: 10_000_000), target: 2),
      TransitionPlan(trigger: .quantity(.forceCharge, is: true), target: 3),
    ]
    var inverter = RolePlan()
    inverter.messages = [Int32(totals), Int32(limits), Int32(late)]
    inverter.states = [
      StatePlan(phase: .opening, sends: 0..<0, transitions: 0..<1), StatePlan(phase: .online, sends: 0..<0, transitions: 1..<2),
      StatePlan(phase: .lost, sends: 0..<0, transitions: 2..<3),
    ]
    inverter.transitions = [
      TransitionPlan(trigger: .complete(messages: 0..<3, within_us: 3_000_000), target: 1),
      TransitionPlan(trigger: .silence(messages: 0..<1, for_us: 5_000_000), target: 2),
      TransitionPlan(trigger: .complete(messages: 0..<1, within_us: 1_000_000), target: 1),
    ]
    return HandshakePlan(battery: battery, inverter: inverter)
  }()

  /// A monitor that counts its records.
  struct Bus {
    var monitor = HandshakeMonitor(plan, handshake)
    var record: UInt64 = 0

    init(address: UInt8? = nil) { monitor.address = address }

    mutating func say(_ message: Int, at seconds: Double, _ head: UInt64 = 0) {
      record += 1
      monitor.take(
        head, message: message, isFromInverter: !battery.contains(message),
        mark: .init(record: record, time_us: Int64((seconds * 1e6).rounded())))
    }

    /// Lets time pass: a message that leads nowhere.
    mutating func wait(until seconds: Double) { monitor.advance(.init(record: record, time_us: Int64(seconds * 1e6))) }
  }

  // MARK: Questions and answers

  @Test func anAnswerIsCompleteWithoutWhatIsOptional() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.say(Self.totals, at: 1.1)
    bus.say(Self.limits, at: 1.2)
    bus.say(Self.poll, at: 2)
    #expect(bus.monitor.tallies[0].complete == 1)
    #expect(bus.monitor.tallies[0].longest_us == 200_000)
    #expect(bus.monitor.tallies[0].missing[2] == 1)
    bus.say(Self.totals, at: 2.1)
    bus.say(Self.poll, at: 3)
    #expect(bus.monitor.tallies[0].incomplete == 1)
    #expect(bus.monitor.tallies[0].firstIncomplete == .init(record: 4, time_us: 2_000_000))
    bus.say(Self.poll, at: 4)
    bus.monitor.finish()
    let tally = bus.monitor.tallies[0]
    // The last one may have been cut off by the capture's end.
    #expect((tally.asked, tally.unanswered, tally.mostUnansweredInRow) == (3, 1, 1))
    #expect(tally.lastUnanswered == .init(record: 6, time_us: 3_000_000))
  }

  @Test func answersToTwoQuestionsAtOnceAreKeptApart() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.say(Self.totals, at: 1.05)
    bus.say(Self.ask, at: 1.1)
    // To the earlier one, to the later one, to the earlier one.
    bus.say(Self.limits, at: 1.15)
    bus.say(Self.name, at: 1.2)
    // A message that both may hold counts for both.
    bus.say(Self.shared, at: 1.25)
    bus.wait(until: 3)
    bus.monitor.finish()
    for tally in bus.monitor.tallies { #expect((tally.asked, tally.complete, tally.repeated) == (1, 1, 0)) }
    #expect(bus.monitor.tallies[1].longest_us == 150_000)
    #expect(bus.monitor.tallies[0].missing[2] == 0)
  }

  @Test func framesThatComeTwiceAreCountedForTheirQuestion() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.say(Self.totals, at: 1.01)
    bus.say(Self.totals, at: 1.02)
    #expect(bus.monitor.tallies[0].repeated == 1)
    bus.say(Self.ask, at: 1.03)
    bus.say(Self.totals, at: 1.04)
    #expect(bus.monitor.tallies[0].repeated == 2)
    #expect(bus.monitor.tallies[1].repeated == 0)
    // Nobody asks any more: what comes now answers nothing and repeats nothing.
    bus.wait(until: 3)
    bus.say(Self.totals, at: 3.1)
    bus.monitor.finish()
    #expect(bus.monitor.tallies[0].repeated == 2)
  }

  @Test func anAnswerBeyondItsTimeIsLate() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.say(Self.totals, at: 1.49)
    bus.say(Self.limits, at: 1.51)
    bus.wait(until: 2)
    #expect((bus.monitor.tallies[0].complete, bus.monitor.tallies[0].late) == (1, 1))
    #expect(bus.monitor.tallies[0].firstLate == .init(record: 1, time_us: 1_000_000))
  }

  @Test(arguments: [(0x300, true), (0x302, true), (0x301, false), (0x200, false), (0x202, false)])
  func aQuestionCountsIfAnAlternativeAndTheAddressHold(_ head: UInt64, _ counts: Bool) {
    var bus = Bus(address: 3)
    bus.say(Self.poll, at: 1, head)
    #expect(bus.monitor.tallies[0].asked == (counts ? 1 : 0))
    #expect(bus.monitor.batteryPhase == (counts ? .online : .waiting))
    var anyAddress = Bus()
    anyAddress.say(Self.poll, at: 1, head)
    #expect(anyAddress.monitor.tallies[0].asked == (head & 0xFF == 1 ? 0 : 1))
  }

  // MARK: States

  @Test func theInverterIsOnlineOnceAllOfItWasHeardLately() {
    var bus = Bus()
    for second in 1...6 {
      bus.say(Self.totals, at: Double(second))
      // Much is missing: looked at often, and nothing found.
      for step in 1...9 { bus.wait(until: Double(second) + Double(step) / 10) }
    }
    bus.say(Self.late, at: 7)
    bus.wait(until: 7.1)
    #expect(bus.monitor.inverterPhase == .opening)
    bus.say(Self.limits, at: 11)
    bus.wait(until: 11.1)
    // Two of them are too long ago by now.
    #expect(bus.monitor.inverterPhase == .opening)
    bus.say(Self.totals, at: 11.2)
    bus.wait(until: 11.3)
    #expect(bus.monitor.inverterPhase == .opening)
    bus.say(Self.late, at: 11.4)
    bus.wait(until: 11.5)
    #expect(bus.monitor.inverterPhase == .online)
    #expect(bus.monitor.changes.map(\.mark.time_us) == [11_500_000])
  }

  @Test func silenceEndsAStateAndWhatWasMissedBeginsItAgain() {
    var bus = Bus()
    for message in [Self.totals, Self.limits, Self.late] { bus.say(message, at: 1) }
    bus.wait(until: 1.2)
    #expect(bus.monitor.inverterPhase == .online)
    bus.say(Self.totals, at: 4)
    bus.wait(until: 8.9)
    #expect(bus.monitor.inverterPhase == .online)
    bus.wait(until: 9)
    #expect(bus.monitor.inverterPhase == .lost)
    bus.wait(until: 20)
    bus.say(Self.totals, at: 20.1)
    bus.wait(until: 20.2)
    #expect(bus.monitor.inverterPhase == .online)
  }

  @Test func aStateThatAQuestionBeganEndsBySilence() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.wait(until: 10.9)
    #expect(bus.monitor.batteryPhase == .online)
    bus.wait(until: 11)
    #expect(bus.monitor.batteryPhase == .lost)
  }

  @Test func aClockThatIsSetBackForgetsWhatWasFoundAboutSilence() {
    var bus = Bus()
    bus.say(Self.poll, at: 100)
    bus.say(Self.poll, at: 105)
    bus.wait(until: 110.1)
    #expect(bus.monitor.batteryPhase == .online)
    bus.say(Self.poll, at: 50)
    // By the new clock it was asked long ago; by the old one it would have been at 105 s.
    bus.wait(until: 111)
    #expect(bus.monitor.batteryPhase == .lost)
  }

  @Test func aQuantityThatBecomesTrueLeadsOn() {
    var bus = Bus()
    bus.say(Self.poll, at: 1)
    bus.wait(until: 2)
    #expect(bus.monitor.batteryPhase == .online)
    bus.monitor.know(.forceCharge, true)
    bus.wait(until: 2.1)
    #expect(bus.monitor.batteryPhase == .opening)
  }
}
