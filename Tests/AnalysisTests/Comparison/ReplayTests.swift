import Bus
import Formats
import Testing

@testable import Analysis

@Suite struct ReplayTests {
  private func replay(_ talk: Talk, _ variant: String, as side: Side) -> ReactiveReplay.Result? {
    let link = Shipped.library.definitions.first { $0.sidecar.variants.contains { $0.name == variant } }?.link(variant: variant)
    guard let link else { return nil }
    let records = talk.records.sorted { $0.time < $1.time }.enumerated().map { (record: $0.element, number: UInt64($0.offset + 1)) }
    return ReactiveReplay(link, as: side, records: records).run()
  }

  @Test(arguments: ["pylon-std", "deye-hv", "goodwe", "goodwe-byd", "growatt-hv", "sofar1"]) func aGoodTalkGoesAsRecorded(
    variant: String
  ) {
    let talk = Talk(variant, seconds: 40)
    for side in Side.allCases {
      let result = replay(talk, variant, as: side)
      #expect(result?.divergence == nil, "\(variant) as \(side): \(String(describing: result))")
      #expect((result?.played ?? 0) > 3)
    }
  }

  @Test func theFirstDivergenceIsSaid() {
    // The recorded battery never said its limits; ours does.
    let talk = Talk("pylon-std", seconds: 20).changed { record, _ in record.frame.id.number == 0x4221 ? [] : [record] }
    let result = replay(talk, "pylon-std", as: .inverter)
    #expect(result?.divergence?.contains("says 00004221 Limits") ?? false, "\(String(describing: result))")
    // It said something that ours does not: the answer to a question that nobody has asked.
    let more = Talk("pylon-std", seconds: 20).changed { record, time in
      record.frame.id.number == 0x4251 && time > 10 ? [record, Talk.copy(record) { $0.id = .extended(0x7321) }] : [record]
    }
    let other = replay(more, "pylon-std", as: .inverter)
    #expect(other?.divergence?.contains("recorded is 00007321 Configuration") ?? false, "\(String(describing: other))")
    #expect(other.map { ($0.seconds ?? 0) > 10 && $0.turns > 5 && $0.record != nil } ?? false)
  }

  @Test func targetsAreAbsoluteAndGapsAreShortened() {
    func due(_ clock: ReplayClock, _ seconds: [Double]) -> [Int64] {
      var clock = clock
      return seconds.map { clock.due(Timestamp(nanoseconds: Int64($0 * 1e9))) / 1_000_000 }
    }
    #expect(due(ReplayClock(), [100, 100.5, 103]) == [0, 500, 3000])
    #expect(due(ReplayClock(speed: 2), [100, 100.5, 103]) == [0, 250, 1500])
    #expect(due(ReplayClock(longestGap: 1_000_000_000), [100, 100.5, 103, 103.2]) == [0, 500, 1500, 1700])
    // A step back in time is due at once, and what follows goes on from there.
    #expect(due(ReplayClock(), [100, 90, 91]) == [0, 0, 1000])
    #expect(due(ReplayClock(speed: .infinity), [100, 200]) == [0, 0])
  }
}
