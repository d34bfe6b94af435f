import Controller
import Formats
import Testing

@testable import Runtime

/// What the controller believes of a PDU's answers.
@Suite struct PDULinkTests {
  /// An answer with the measurements before it.
  private func answer(
    _ link: inout PDULink, _ held: Contactors, _ flags: PDULine.AnswerFlags = [], to sequence: UInt16, now_us: Int64
  ) -> PDULink.Measurement? {
    _ = link.take(.current(raw: 10_000, supply_mV: 12_000), now_us: now_us)
    _ = link.take(.voltages(inputRaw: 5280, outputRaw: 0), now_us: now_us)
    let check = PDULine.measuredCheck(currentRaw: 10_000, supply_mV: 12_000, inputRaw: 5280, outputRaw: 0)
    return link.take(.answer(contactors: held.rawValue, flags: flags, sequence: sequence, measuredCheck: check), now_us: now_us)
  }

  /// Numbers are remembered for 64 orders; the place of an older one belongs to another by then.
  @Test(arguments: [(64, true), (65, false)]) func anAnswerToAnOrderOfLongAgoSaysNothing(orders: Int, counts: Bool) {
    var link = PDULink(sequence: 0)
    for _ in 0..<orders { _ = link.order([], now_us: 0) }
    #expect((answer(&link, [], to: 1, now_us: 1) != nil) == counts)
    #expect((link.confirmed_us != nil) == counts && link.discarded == (counts ? 0 : 1))
  }

  @Test func anAnswerThatComesASecondLaterSaysNothing() {
    var link = PDULink(sequence: 0)
    _ = link.order([.negative], now_us: 0)
    #expect(answer(&link, [.negative], to: 1, now_us: PDULink.fresh_us + 1) == nil)
    #expect(link.confirmed_us == nil && link.held.isEmpty)
    #expect(answer(&link, [.negative], to: 1, now_us: PDULink.fresh_us) != nil)
    #expect(link.confirmed_us == 0 && link.held == [.negative])
  }

  /// An order, what is said to be held, whether the PDU says that it has opened by itself, and whether that is a disagreement.
  private static let replies: [(order: Contactors, held: Contactors, isLatched: Bool, disagrees: Bool)] = [
    (order: [.negative], held: [.negative], isLatched: false, disagrees: false),
    (order: [.negative], held: [], isLatched: false, disagrees: true),
    (order: [.negative], held: [.negative, .precharge], isLatched: false, disagrees: true),
    (order: [], held: [.negative], isLatched: false, disagrees: true),
    (order: [.negative], held: [.negative], isLatched: true, disagrees: true),
    (order: [], held: [], isLatched: true, disagrees: false),
  ]

  @Test(arguments: replies.indices) func whatIsHeldIsComparedWithItsOwnOrder(index: Int) {
    let (order, held, isLatched, disagrees) = Self.replies[index]
    var link = PDULink(sequence: 0)
    _ = link.order(order, now_us: 0)
    // Newer orders change nothing about what this one was.
    _ = link.order([.negative, .positive], now_us: 0)
    #expect(answer(&link, held, isLatched ? .isLatched : [], to: 1, now_us: 1) != nil)
    #expect(link.hasOpenedItself == disagrees)
  }

  /// Without measurements an answer proves only that the PDU is there: nothing is protected by that.
  @Test func anAnswerWithDamagedMeasurementsConfirmsNothing() {
    var link = PDULink(sequence: 0)
    _ = link.order([.negative], now_us: 0)
    let check = PDULine.measuredCheck(currentRaw: 10_000, supply_mV: 12_000, inputRaw: 5280, outputRaw: 0)
    let words: PDULine = .answer(contactors: Contactors.negative.rawValue, flags: [], sequence: 1, measuredCheck: check)
    #expect(link.take(words, now_us: 1) == nil && link.confirmed_us == nil, "no measurements")
    _ = link.take(.current(raw: 10_001, supply_mV: 12_000), now_us: 2)
    _ = link.take(.voltages(inputRaw: 5280, outputRaw: 0), now_us: 2)
    #expect(link.take(words, now_us: 2) == nil && link.confirmed_us == nil, "another current")
    // What it holds is known all the same.
    #expect(link.held == [.negative] && !link.isLatched && link.discarded == 2)
  }

  @Test func aLostLineIsForgotten() {
    var link = PDULink(sequence: 0)
    _ = link.order([.negative], now_us: 0)
    #expect(answer(&link, [.negative], to: 1, now_us: 1) != nil)
    _ = link.take(.current(raw: 10_000, supply_mV: 12_000), now_us: 2)
    _ = link.take(.voltages(inputRaw: 5280, outputRaw: 0), now_us: 2)
    link.forget()
    #expect(link.confirmed_us == nil && link.isLatched && !link.hasOpenedItself)
    // Measurements of before do not go with an answer of after.
    let check = PDULine.measuredCheck(currentRaw: 10_000, supply_mV: 12_000, inputRaw: 5280, outputRaw: 0)
    #expect(link.take(.answer(contactors: 0, flags: [], sequence: 1, measuredCheck: check), now_us: 3) == nil)
  }
}
