import Bus
import Testing

@testable import Analysis

/// Gaps are judged only where one is news: whichever limit is the nearest, a gap beyond it is counted each time.
@Suite struct IDFactsTests {
  private func facts(_ gaps_ms: [Int64], _ limits: (inout IDFacts) -> Void) -> IDFacts {
    var facts = IDFacts(.standard(0x351), slot: 0)
    limits(&facts)
    var time: Int64 = 0
    for (index, gap) in ([0] + gaps_ms).enumerated() {
      time += gap * 1_000_000
      _ = facts.add(UInt64(index), length: 8, .init(record: UInt64(index + 1), time: time))
    }
    return facts
  }

  /// A second is usual; 2 s comes three times, and 100 ms.
  private let gaps: [Int64] = [1000, 1000, 2000, 1000, 2000, 1000, 100, 100, 2000, 1000]

  @Test func gapsBeyondTheLimit() {
    #expect(facts(gaps) { $0.gapLimit = 1_500_000_000 }.gaps == 3)
    #expect(facts(gaps) { $0.gapLimit = 2_000_000_000 }.gaps == 0)
    #expect(facts(gaps) { _ in }.longestGap == 2_000_000_000)
  }

  @Test func framesBeforeTheirTime() {
    let near = facts(gaps) { $0.nearLimit = 200_000_000 }
    #expect((near.nearSame, near.nearOther, near.firstNear.record) == (0, 2, 8))
    #expect(facts(gaps) { $0.nearLimit = 100_000_000 }.nearOther == 0)
  }

  @Test func gapsOffTheNominalPeriod() {
    let odd = facts(gaps) {
      $0.oddBelow = 500_000_000
      $0.oddAbove = 1_500_000_000
    }
    #expect(odd.odd == 5)
  }
}
