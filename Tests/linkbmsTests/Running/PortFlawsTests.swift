import HostIO
import Testing

@testable import linkbms

/// What is told of frames that a port lost: when it begins, and when it is ten times as much.
@Suite struct PortFlawsTests {
  private func counters(dropped: UInt64 = 0, malformed: UInt64 = 0) -> PortCounters {
    var counters = PortCounters()
    counters.dropped = dropped
    counters.malformed = malformed
    return counters
  }

  @Test func lossesAreToldWhenTheyBeginAndTenfold() {
    var flaws = PortFlaws()
    var told: [UInt64] = []
    for count: UInt64 in 0...1234 where !flaws.news("can0", counters(dropped: count), PortAdvice()).isEmpty { told.append(count) }
    #expect(told == [1, 10, 100, 1000])
    #expect(flaws.news("can0", counters(dropped: .max), PortAdvice()).count == 1)
    #expect(flaws.news("can0", counters(dropped: .max), PortAdvice()).isEmpty)
    // A driver that begins to count anew.
    #expect(flaws.news("can0", counters(dropped: 3), PortAdvice()).isEmpty)
  }

  @Test func theWordsSayWhatHelps() {
    var flaws = PortFlaws()
    let advice = PortAdvice(room: "the kernel lets only some 500 frames wait")
    #expect(
      flaws.news("can0", counters(dropped: 7), advice) == [
        "can0: frames were lost on the way to the controller, 7 since the start: the machine is too slow; "
          + "the kernel lets only some 500 frames wait"
      ])
  }

  @Test func whatIsNoFrameIsToldWithTheServersWords() {
    var flaws = PortFlaws()
    let advice = PortAdvice(question: "the server says \"error no route\"")
    var told: [String] = []
    for count: UInt64 in 0...99 { told += flaws.news("can0", counters(malformed: count), advice) }
    #expect(told == ["can0: 10 messages were no frame: the server says \"error no route\""])
    var tap = PortAdvice()
    tap.many = .max
    #expect(flaws.news("can0", counters(malformed: 5000), tap).isEmpty)
  }
}
