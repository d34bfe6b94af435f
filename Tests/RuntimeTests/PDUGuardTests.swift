import Controller
import Formats
import Testing

@testable import Runtime

/// What the PDU does by itself.
@Suite struct PDUGuardTests {
  static let closed: Contactors = [.negative, .positive]

  /// A guard that is connected by precharge, at 300 ms.
  static func connected() -> PDUGuard {
    var pdu = PDUGuard()
    pdu.take([], sequence: 1, life_ms: 1000, now_us: 0)
    pdu.take([.negative], sequence: 2, life_ms: 1000, now_us: 100_000)
    pdu.take([.negative, .precharge], sequence: 3, life_ms: 1000, now_us: 200_000)
    pdu.take([.negative, .precharge, .positive], sequence: 4, life_ms: 1000, now_us: 250_000)
    pdu.take(closed, sequence: 5, life_ms: 1000, now_us: 300_000)
    return pdu
  }

  @Test func opensAfterASecondWithoutAnOrderAndStaysOpen() {
    var pdu = Self.connected()
    pdu.expire(1_300_000)
    #expect(pdu.contactors == Self.closed)
    pdu.expire(1_300_001)
    #expect(pdu.contactors.isEmpty && pdu.isLatched)
    // Renewing what was closed does not close it again: nothing is precharged any more.
    pdu.take(Self.closed, sequence: 6, life_ms: 1000, now_us: 1_400_000)
    #expect(pdu.contactors.isEmpty && pdu.hasRefused)
    pdu.take([], sequence: 7, life_ms: 1000, now_us: 1_500_000)
    pdu.take([.negative], sequence: 8, life_ms: 1000, now_us: 1_600_000)
    #expect(pdu.contactors == [.negative])
  }

  @Test func noOrderLivesLongerThanASecond() {
    var pdu = Self.connected()
    pdu.take(Self.closed, sequence: 6, life_ms: 60_000, now_us: 400_000)
    pdu.expire(1_400_001)
    #expect(pdu.contactors.isEmpty)
  }

  @Test func oldOrdersCloseNothingButOpen() {
    var pdu = Self.connected()
    pdu.take([], sequence: 4, life_ms: 1000, now_us: 310_000)
    #expect(pdu.contactors.isEmpty)
    pdu.take([.negative], sequence: 4, life_ms: 1000, now_us: 320_000)
    #expect(pdu.contactors.isEmpty && pdu.hasRefused)
    pdu.take([.negative], sequence: 3, life_ms: 1000, now_us: 330_000)
    #expect(pdu.contactors.isEmpty)
  }

  @Test func positiveNeverClosesWithoutPrecharge() {
    var pdu = PDUGuard()
    pdu.take([], sequence: 1, life_ms: 1000, now_us: 0)
    pdu.take(Self.closed, sequence: 2, life_ms: 1000, now_us: 1)
    #expect(pdu.contactors.isEmpty && pdu.hasRefused)
  }

  @Test func aFreshPDUClosesNothing() {
    var pdu = PDUGuard()
    pdu.take([.negative], sequence: 9, life_ms: 1000, now_us: 0)
    #expect(pdu.contactors.isEmpty && pdu.isLatched)
  }
}
