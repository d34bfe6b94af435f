import Analysis
import Bus
import Foundation
import Formats
import Testing

@testable import linkbms

@Suite struct TriggerTests {
  private func frame(_ id: UInt32, _ head: UInt64 = 0) -> CANFrame { CANFrame(id: .extended(id), length: 8, head: head) }

  @Test func readsConditions() throws {
    #expect(try TriggerCondition.parse("r05") == .rule(.R05))
    #expect(try TriggerCondition.parse("0x4200 unanswered three times") == .unanswered(.id(.extended(0x4200)), times: 3))
    #expect(try TriggerCondition.parse("Poll unanswered 5") == .unanswered(.message("Poll"), times: 5))
    #expect(try TriggerCondition.parse("305 gap > 3 s") == .gap(.id(.standard(0x305)), longerThan_ns: 3_000_000_000))
    #expect(try TriggerCondition.parse("Totals gap >500ms") == .gap(.message("Totals"), longerThan_ns: 500_000_000))
    #expect(try TriggerCondition.parse("any fault") == .expression(.flag("fault")))
    for wrong in ["", "4200 unanswered x", "4200 gap", "PackVoltage >", "305 gap > 0s"] {
      #expect(throws: WorldError.self, "\(wrong)") { try TriggerCondition.parse(wrong) }
    }
  }

  @Test func theRingKeepsTheLatestInOrder() {
    var ring = FrameRing(capacity: 5)
    for index in 0..<12 {
      ring.add(
        CANRecord(time: Timestamp(nanoseconds: Int64(index)), frame: CANFrame(id: .standard(1), length: 8, head: UInt64(index))))
      let heads = ring.records(since: .min).map { Int($0.frame.head) }
      #expect(heads == Array(max(0, index - 4)...index))
      #expect(ring.records(from: index - 1).map(\.number) == Array(max(0, index - 1)...index))
      #expect(ring.records(from: 0).map { Int($0.record.frame.head) } == heads)
    }
    #expect(ring.records(since: 9).count == 3 && ring.records(from: 12).isEmpty && ring.total == 12)
  }

  @Test func questionsWithoutAnswersAreCounted() throws {
    let empty = DecodeTable(PlanCompiler().finish())
    var detector = TriggerDetector([.unanswered(.id(.extended(0x4200)), times: 3)], table: empty, bus: "can0")
    func take(_ id: UInt32, _ now: Int64) -> String? { detector.take(CANRecord(time: nil, frame: frame(id)), now) }
    #expect(take(0x4200, 1) == nil && take(0x4200, 2) == nil && take(0x4210, 3) == nil)
    #expect(take(0x4200, 4) == nil && take(0x4200, 5) == nil)
    #expect(take(0x4200, 6) == "00004200 unanswered 3 ×")
    #expect(take(0x4200, 7) == nil, "told once")
  }

  @Test func aSilenceIsToldOnce() {
    let empty = DecodeTable(PlanCompiler().finish())
    var detector = TriggerDetector([.gap(.id(.standard(0x305)), longerThan_ns: 3_000_000_000)], table: empty, bus: "can0")
    #expect(detector.wake(100_000_000_000) == nil, "never heard is no gap")
    _ = detector.take(CANRecord(time: nil, frame: CANFrame(id: .standard(0x305), length: 8, head: 0)), 1_000_000_000)
    #expect(detector.nextWake_ns == 4_001_000_000 && detector.wake(4_000_000_000) == nil)
    #expect(detector.wake(4_001_000_000) == "305 silent for more than 3 s")
    #expect(detector.wake(9_000_000_000) == nil && detector.nextWake_ns == .max)
  }

  /// A Pylontech battery for 30 s, ten times a second: above 400 V after 20 s, and without its last message from `until` on.
  private func play(on port: SilentPort, _ job: any LiveJob, without last: UInt32? = nil, until: Int = .max) {
    for step in 0..<300 {
      let now = LiveTime.at(Double(step) * 0.1)
      for id in stride(from: 0x4200, through: 0x4290, by: 0x10) as StrideThrough<UInt32> where id != last || step < until {
        port.put(frame(id, id != 0x4210 ? 0 : step >= 200 ? 4100 : 3800), at: now)
      }
      job.pump(now)
    }
    job.stop(.at(30))
  }

  @Test func savesWhatIsBeforeAndAfter() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job([
      "capture", "x", "--trigger", "PackVoltage > 400", "--before", "5s", "--after", "2s", "--bundle", folder.file("night"),
    ])
    job.start(.at(0))
    play(on: port, job)
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: the expression holds"), "\(text)")
    #expect(job.context.status == .findings && port.sends == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(names == ["night-0001.zip"], "\(names)")
    // 5 s before and 2 s after, ten frames each tenth of a second.
    #expect(text.contains("wrote \(folder.file("night-0001.zip")): 7"), "\(text)")
    let listed = try run("/usr/bin/env", ["python3", "-m", "zipfile", "-l", folder.file("night-0001.zip")]).output
    for name in ["verdict.txt", "findings.json", "report.html", "capture.log"] { #expect(listed.contains(name)) }
  }

  @Test func whatElseHappensWhileTheFramesAfterATriggerAreGatheredIsAReasonMore() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job([
      "capture", "x", "--trigger", "PackVoltage > 400", "--trigger", "0x4290 gap > 1s", "--after", "3s",
      "--bundle", folder.file("night"),
    ])
    job.start(.at(0))
    play(on: port, job, without: 0x4290, until: 205)
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: the expression holds"), "\(text)")
    #expect(text.contains("trigger: silent: 00004290 silent for more than 1 s"), "\(text)")
    #expect(text.contains("around silent: the expression holds; silent: 00004290 silent for more than 1 s"), "\(text)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["night-0001.zip"])
  }

  @Test func aRuleIsATriggerToo() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job(["capture", "x", "--trigger", "R04", "--after", "1s", "--bundle", folder.file("night")])
    job.start(.at(0))
    let records = try capturedRecords("sofar-handshake-failed")
    let origin = try #require(records.first?.time.nanoseconds)
    for record in records {
      let now = LiveTime.at(Double(record.time.nanoseconds - origin) / 1e9)
      port.put(record.frame, at: now)
      job.pump(now)
    }
    job.stop(.at(60))
    #expect(job.context.output.takeText().contains("trigger: silent: R04 the inverter asks battery 0, the battery side is 1"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["night-0001.zip"])
  }
}
