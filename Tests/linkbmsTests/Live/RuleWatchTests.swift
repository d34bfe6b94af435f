import Analysis
import Bus
import Foundation
import Formats
import Testing

@testable import linkbms

/// Rules as triggers, over minutes of a link that is well but for some seconds.
@Suite struct RuleWatchTests {
  /// When a rule told, in seconds, and its words.
  private func told(
    _ rule: RuleID, minutes: Int, finishes: Bool = false, isLost: (_ second: Int, _ frame: CANFrame) -> Bool
  ) throws -> [(second: Int, reason: String)] {
    var world = MemoryWorld(MemoryBuses())
    var watch = RuleWatch([rule], try world.library(.builtIn), try RuleBookFile.read(nil), SiteFacts(), buses: ["can0"])
    let clean = try capturedRecords("deye-hv-clean")
    let origin = try #require(clean.first?.time.nanoseconds)
    var told: [(second: Int, reason: String)] = []
    for minute in 0..<minutes {
      for record in clean {
        let since_ns = record.time.nanoseconds - origin + Int64(minute) * 60_000_000_000
        let second = Int(since_ns / 1_000_000_000)
        if isLost(second, record.frame) { continue }
        var moved = record
        moved.time = Timestamp(nanoseconds: LiveTime.at(0).wall_ns + since_ns)
        watch.take(moved, since_ns)
        for reason in watch.wake(since_ns) { told.append((second, reason)) }
      }
    }
    if finishes { for reason in watch.finish() { told.append((.max, reason)) } }
    return told
  }

  private func isAnswer(_ frame: CANFrame) -> Bool { frame.id != .extended(0x4200) }

  @Test func aLinkThatIsWellTellsNothing() throws {
    #expect(try told(.R02, minutes: 4, finishes: true) { _, _ in false }.isEmpty)
  }

  @Test func aRuleTellsEachOutage() throws {
    let outages = [20..<40, 150..<170]
    let told = try told(.R02, minutes: 4) { second, frame in isAnswer(frame) && outages.contains { $0.contains(second) } }
    try #require(told.count == 2, "\(told)")
    for (outage, told) in zip(outages, told) {
      #expect(outage.contains(told.second), "\(told)")
      #expect(told.reason.hasPrefix("can0: R02 (request-unanswered): "), "\(told)")
    }
  }

  @Test func aFaultThatStaysIsToldOnce() throws {
    let told = try told(.R02, minutes: 6, finishes: true) { second, frame in isAnswer(frame) && (20..<300).contains(second) }
    #expect(told.count == 1, "\(told)")
  }

  @Test func aFaultThatComesAndGoesAllTheTimeIsToldMoreAndMoreRarely() throws {
    let told = try told(.R02, minutes: 20) { second, frame in isAnswer(frame) && (20..<26).contains(second % 60) }
    #expect(told.count >= 2 && told.count <= 6, "\(told.map(\.second))")
  }

  @Test func whatEndsBeforeTheFirstJudgementIsJudgedAtItsEnd() throws {
    let told = try told(.R02, minutes: 1, finishes: true) { second, frame in isAnswer(frame) || second >= 6 }
    #expect(told.map(\.second) == [.max], "\(told)")
  }

  @Test func whatStoodForOneJudgementIsToldAtTheEnd() throws {
    let told = try told(.R02, minutes: 1, finishes: true) { second, frame in isAnswer(frame) || second >= 9 }
    #expect(told.map(\.second) == [.max], "\(told)")
  }

  @Test func reasonsAreSentences() throws {
    let told = try told(.R06, minutes: 1) { second, frame in isAnswer(frame) && second % 4 == 3 }
    let reason = try #require(told.first?.reason)
    #expect(reason.hasPrefix("can0: R06 (period): of ") && reason.contains(" answers to Poll, "), "\(reason)")
    #expect(reason.contains(" did not come"), "\(reason)")
  }
}
