import Bus
import Protocols
import Testing

@Suite struct ProtocolPlanTests {
  @Test func everySlotIsFoundAgainAndNothingElse() {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: 0...(.max), using: &generator)
    print("seed \(seed)")
    var random = SplitMix(state: seed)
    var ids: Set<UInt32> = []
    while ids.count < 3_000 {
      ids.insert(UInt32.random(in: 0...0x1FFF_FFFF, using: &random) | (Bool.random(using: &random) ? 0x8000_0000 : 0))
    }
    let slots = ids.map { MessageSlot(id: ArbitrationID(rawValue: $0), message: 0) }
    let message = MessagePlan(firstSignal: 0, signalCount: 0, bytesNeeded: 0, length: 8)
    let plan = ProtocolPlan(slots: slots, messages: [message], signals: [])
    for (index, slot) in slots.enumerated() { #expect(plan.slot(of: slot.id) == index) }
    for _ in 0..<3_000 {
      let id = UInt32.random(in: 0...0x1FFF_FFFF, using: &random) | 0x8000_0000
      #expect((plan.slot(of: ArbitrationID(rawValue: id)) != nil) == ids.contains(id))
    }
  }

  @Test func theFirstOfTwoSlotsWithOneIDWins() {
    let plan = ProtocolPlan(
      slots: [.init(id: .standard(5), message: 0), .init(id: .standard(5), message: 1)],
      messages: Array(repeating: MessagePlan(firstSignal: 0, signalCount: 0, bytesNeeded: 0, length: 8), count: 2), signals: [])
    #expect(plan.slot(of: .standard(5)) == 0)
    #expect(plan.slot(of: .extended(5)) == nil)
  }

  @Test func anEmptyPlanKnowsNothing() {
    #expect(ProtocolPlan(slots: [], messages: [], signals: []).slot(of: .standard(0)) == nil)
  }
}

/// A small seeded generator, so that a printed seed repeats a run.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
