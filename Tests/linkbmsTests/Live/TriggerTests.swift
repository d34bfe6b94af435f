import Analysis
import Bus
import Foundation
import Formats
import HostIO
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
    // Rules that there are not, or that tell no fault, would be waited for in vain.
    for wrong in ["", "4200 unanswered x", "4200 gap", "PackVoltage >", "305 gap > 0s", "R99", "r5", "R02x", "R27", "R28"] {
      #expect(throws: WorldError.self, "\(wrong)") { try TriggerCondition.parse(wrong) }
    }
    #expect(try TriggerCondition.parse("R02a") == .rule(.R02a))
    #expect(try TriggerCondition.parse("R2D2 > 5") != .rule(.R02), "a signal may begin like a rule")
  }

  /// A definition that nobody can find out.
  private func ownDBC(in folder: TestFolder) throws -> String {
    let text = """
      VERSION ""
      BU_: A
      BO_ 291 Mine: 8 A
       SG_ Foo : 0|8@1+ (1,0) [0|255] "" A

      """
    try text.write(toFile: folder.file("my.dbc"), atomically: true, encoding: .utf8)
    return folder.file("my.dbc")
  }

  @Test func namesAreThoseOfTheDefinitionsThatAPersonNames() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let dbc = try ownDBC(in: folder)
    let job = try world.job([
      "capture", "x", "--dbc", dbc, "--trigger", "Foo > 5", "--trigger", "Mine gap > 2s", "--after", "1s",
      "--bundle", folder.file("own"),
    ])
    job.start(.at(0))
    for step in 0..<20 {
      port.put(CANFrame(id: .standard(0x123), length: 8, head: step == 10 ? 9 : 0), at: .at(Double(step) * 0.1))
      job.pump(.at(Double(step) * 0.1))
    }
    job.pump(.at(2.5))
    job.pump(.at(4.2))
    job.pump(.at(6))
    job.stop(.at(6))
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: the expression holds"), "\(text)")
    #expect(text.contains("trigger: silent: Mine silent for more than 2 s"), "\(text)")
    #expect(job.context.status == .findings)
    for (trigger, hint) in [("Fooo > 5", "Foo"), ("Min gap > 2s", "Mine"), ("Min unanswered 3", "Mine")] {
      var why = ""
      do { _ = try world.job(["capture", "x", "--dbc", dbc, "--trigger", trigger]) } catch let error as WorldError {
        why = error.message
      }
      #expect(why.contains("(did you mean \"\(hint)\"?)"), "\(trigger): \(why)")
    }
  }

  @Test func misspeltNamesAreToldWhenItIsKnownWhatIsSpoken() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let alone = try world.job(["capture", "x", "--trigger", "PackVoltge > 5", "--bundle", folder.file("n")])
    alone.start(.at(0))
    play(on: port, alone)
    let why = alone.context.failure?.message ?? ""
    #expect(why.contains("--trigger: ") && why.contains("did you mean \"PackVoltage\"?"), "\(why)")
    // Where frames are written as well, or another trigger may come, it goes on, and says so.
    for other in [["--write", folder.file("x.log")], ["--trigger", "PackVoltage > 400"]] {
      let job = try world.job(["capture", "x", "--trigger", "Totls gap > 3s", "--bundle", folder.file("m")] + other)
      job.start(.at(0))
      play(on: port, job)
      let text = job.context.output.takeText()
      #expect(job.context.failure == nil && job.context.status == .failed, "\(text)")
      #expect(text.contains("did you mean \"Totals\"?") && text.contains("never comes"), "\(text)")
    }
  }

  @Test func whatCameBeforeItWasKnownWhatIsSpokenCountsToo() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job([
      "capture", "x", "--trigger", "PackVoltage > 400", "--after", "1s", "--bundle", folder.file("early"),
    ])
    job.start(.at(0))
    for step in 0..<100 {
      let now = LiveTime.at(Double(step) * 0.1)
      for id in stride(from: 0x4200, through: 0x4290, by: 0x10) as StrideThrough<UInt32> {
        port.put(frame(id, id == 0x4210 && step == 0 ? 4100 : id == 0x4210 ? 3800 : 0), at: now)
      }
      job.pump(now)
    }
    job.stop(.at(10))
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: the expression holds"), "\(text)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["early-0001.zip"], "and once")
  }

  @Test func silencesAndUnansweredQuestionsComeAgain() {
    let empty = DecodeTable(PlanCompiler().finish())
    var detector = TriggerDetector(
      [.gap(.id(.standard(0x305)), longerThan_ns: 3_000_000_000), .unanswered(.id(.extended(0x4200)), times: 2)], table: empty,
      bus: "can0")
    func record(_ frame: CANFrame) -> CANRecord { CANRecord(time: nil, frame: frame) }
    let beacon = record(CANFrame(id: .standard(0x305), length: 8, head: 0))
    var told: [String] = []
    for round in 0..<3 {
      let begin = Int64(round) * 100_000_000_000
      if let reason = detector.take(beacon, begin) { told.append(reason) }
      for second in 1...5 { if let reason = detector.wake(begin + Int64(second) * 1_000_000_000) { told.append(reason) } }
      for second in 6...8 {
        if let reason = detector.take(record(frame(0x4200)), begin + Int64(second) * 1_000_000_000) { told.append(reason) }
        if let reason = detector.wake(begin + Int64(second) * 1_000_000_000 + 1) { told.append(reason) }
      }
    }
    #expect(told == Array(repeating: ["305 silent for more than 3 s", "00004200 unanswered 2 ×"], count: 3).flatMap(\.self))
  }

  /// What a ring holds: the first bytes of its frames, and −1 × the frames lost.
  private func heads(_ ring: FrameRing, since time_ns: Int64) -> [Int] {
    ring.history(since: time_ns).map { piece in
      switch piece {
      case .frame(let record, _): Int(record.frame.head)
      case .lost(let frames, _): -Int(frames)
      }
    }
  }

  @Test func theRingKnowsWhereFramesAreMissing() {
    var ring = FrameRing(capacity: 3)
    func add(_ head: UInt64, bus: UInt16, _ now_ns: Int64) {
      var record = CANRecord(time: nil, frame: CANFrame(id: .standard(1), length: 8, head: head))
      record.bus = BusID(bus)
      ring.add(record, now_ns)
    }
    add(1, bus: 0, 1)
    ring.lost(5, bus: BusID(0), 2)
    ring.lost(2, bus: BusID(0), 2)
    add(2, bus: 1, 3)
    #expect(heads(ring, since: 0) == [1, 2, -7] && heads(ring, since: 3) == [2])
    add(3, bus: 0, 4)
    #expect(heads(ring, since: 0) == [1, 2, -7, 3] && heads(ring, since: 5).isEmpty)
    add(4, bus: 0, 5)
    add(5, bus: 0, 6)
    add(6, bus: 0, 7)
    #expect(heads(ring, since: 0) == [4, 5, 6])
  }

  @Test func theRingKeepsTheLatestInOrder() {
    var ring = FrameRing(capacity: 5)
    for index in 0..<12 {
      ring.add(
        CANRecord(time: Timestamp(nanoseconds: -1), frame: CANFrame(id: .standard(1), length: 8, head: UInt64(index))),
        Int64(index))
      let heads = heads(ring, since: .min)
      #expect(heads == Array(max(0, index - 4)...index))
      #expect(ring.records(from: index - 1).map(\.number) == Array(max(0, index - 1)...index))
      #expect(ring.records(from: 0).map { Int($0.record.frame.head) } == heads)
    }
    #expect(heads(ring, since: 9) == [9, 10, 11] && ring.records(from: 12).isEmpty && ring.total == 12)
  }

  @Test func questionsWithoutAnswersAreCounted() throws {
    let empty = DecodeTable(PlanCompiler().finish())
    var detector = TriggerDetector([.unanswered(.id(.extended(0x4200)), times: 3)], table: empty, bus: "can0")
    func take(_ id: UInt32, _ now: Int64) -> String? { detector.take(CANRecord(time: nil, frame: frame(id)), now) }
    #expect(take(0x4200, 1) == nil && take(0x4200, 2) == nil && take(0x4210, 3) == nil)
    #expect(take(0x4200, 4) == nil && take(0x4200, 5) == nil)
    #expect(take(0x4200, 6) == nil && detector.nextWake_ns == 1_000_000_006)
    #expect(take(0x4200, 7) == nil && detector.nextWake_ns == 1_000_000_006, "another question gives no more time")
    #expect(detector.wake(1_000_000_005) == nil)
    #expect(detector.wake(1_000_000_006) == "00004200 unanswered 3 ×")
    #expect(take(0x4200, 1_000_000_007) == nil && detector.wake(9_000_000_000) == nil, "told once")
    #expect(take(0x4210, 9_000_000_001) == nil && detector.nextWake_ns == .max)
  }

  /// Whoever answers each question, however late within its second, leaves none unanswered.
  @Test(arguments: [1, 2]) func whatIsAnsweredInTimeIsNeverUnanswered(times: Int) {
    let empty = DecodeTable(PlanCompiler().finish())
    var detector = TriggerDetector([.unanswered(.id(.extended(0x4200)), times: times)], table: empty, bus: "can0")
    for millisecond in 0..<10_000 {
      let now = Int64(millisecond) * 1_000_000
      var told: [String?] = []
      if millisecond % 500 == 0 { told.append(detector.take(CANRecord(time: nil, frame: frame(0x4200)), now)) }
      if millisecond % 500 == 490 { told.append(detector.take(CANRecord(time: nil, frame: frame(0x4210)), now)) }
      told.append(detector.wake(now))
      #expect(told.allSatisfy { $0 == nil })
    }
  }

  /// A flag stands until a frame of its own ID says otherwise.
  @Test func aStandingFlagIsToldOnceAndAgainWhenItCameAgain() throws {
    var world = MemoryWorld(MemoryBuses())
    var options = DefinitionOptions()
    options.dissectors = nil
    let definition = try #require(try world.library(options).definition("deye-hv"))
    let table = DecodeTable(definition.plan(variant: nil))
    var detector = TriggerDetector([.expression(.flag(nil))], table: table, bus: "can0")
    var told: [Int] = []
    for step in 0..<100 {
      // The basic status carries flags, the totals none.
      let isSet = (20..<40).contains(step) || step >= 80
      let status = CANFrame(id: .extended(0x4250), length: 8, head: isSet ? 0x00FF_FFFF_0000_4602 : 0x4602)
      for frame in [frame(0x4210, 3800), status, frame(0x4210, 3800)] {
        if detector.take(CANRecord(time: nil, frame: frame), Int64(step) * 100_000_000) != nil { told.append(step) }
      }
    }
    #expect(told == [20, 80])
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

  /// Frames with the times of another clock, and files of a rotated capture beside the bundles.
  @Test func anotherClockAndARotatedCaptureOfTheSameNameDoNotMatter() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job([
      "capture", "x", "--write", folder.file("night.log"), "--rotate", "1h", "--trigger", "PackVoltage > 400", "--before", "5s",
      "--after", "2s", "--bundle", folder.file("night"),
    ])
    job.start(.at(0))
    for step in 0..<300 {
      let now = LiveTime.at(Double(step) * 0.1)
      for id in stride(from: 0x4200, through: 0x4290, by: 0x10) as StrideThrough<UInt32> {
        port.put(frame(id, id != 0x4210 ? 0 : step >= 200 ? 4100 : 3800), at: LiveTime.at(Double(step) * 0.1 - 1_000_000))
      }
      if step == 205 { port.counters.dropped += 5 }
      job.pump(now)
    }
    job.stop(.at(30))
    let text = job.context.output.takeText()
    #expect(text.contains("wrote \(folder.file("night-0001.zip")): 7"), "\(text)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["night-0001.log", "night-0001.zip"])
    #expect(try records(inFile: folder.file("night-0001.log")).count == 3000)
    let script = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read('capture.log').decode())"
    let log = try run("/usr/bin/env", ["python3", "-c", script, folder.file("night-0001.zip")]).output
    #expect(log.contains("DROPCOUNT: dropped 5 CAN frames on 'silent' socket (total drops 5)\n"), "\(log.prefix(500))")
  }

  @Test func aBundleTakesANameThatNothingHas() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    try FileManager.default.createSymbolicLink(atPath: folder.file("night-0001.zip"), withDestinationPath: folder.file("nowhere"))
    try "mine".write(toFile: folder.file("night-0002.zip"), atomically: true, encoding: .utf8)
    try "mine".write(toFile: folder.file("night-0003.log"), atomically: true, encoding: .utf8)
    let job = try world.job(["capture", "x", "--trigger", "PackVoltage > 400", "--bundle", folder.file("night")])
    job.start(.at(0))
    play(on: port, job)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        == ["night-0001.zip", "night-0002.zip", "night-0003.log", "night-0003.zip"])
    for name in ["night-0002.zip", "night-0003.log"] {
      #expect(try String(contentsOfFile: folder.file(name), encoding: .utf8) == "mine")
    }
  }

  /// Not after a night.
  @Test func aBundleThatCannotBeWrittenIsRefusedBeforeListening() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    var isOpened = false
    world.live.open = { _, _ in
      isOpened = true
      return SilentPort()
    }
    let words = ["capture", "x", "--trigger", "00004210 unanswered 1", "--bundle"]
    world.isInterrupted = true
    let status = world.run(words + [folder.file("none/x")])
    let name = folder.file("none/x-0001.zip")
    #expect(status == 2 && !isOpened)
    #expect(world.notes.joined().contains("cannot write \(name): No such file or directory"), "\(world.notes)")
    _ = try world.job(words + [folder.file("x")])
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(isOpened && left.isEmpty, "the name was only tried")
  }

  @Test func aBundleThatCannotBeWrittenAnyMoreIsAFailure() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    try FileManager.default.createDirectory(atPath: folder.file("usb"), withIntermediateDirectories: false)
    let job = try world.job(["capture", "x", "--trigger", "PackVoltage > 400", "--bundle", folder.file("usb/night")])
    job.start(.at(0))
    try FileManager.default.removeItem(atPath: folder.file("usb"))
    play(on: port, job)
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: the expression holds"), "\(text)")
    #expect(text.contains("cannot write \(folder.file("usb/night-0001.zip"))"), "\(text)")
    #expect(job.context.status == .failed)
  }

  @Test func lostFramesAreATriggerToo() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job(["capture", "x", "--trigger", "R00", "--after", "1s", "--bundle", folder.file("night")])
    job.start(.at(0))
    port.losses = [1500: 7]
    play(on: port, job)
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: R00 ("), "\(text)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["night-0001.zip"])
  }

  /// An adapter on a serial port would stay held.
  @Test func aCaptureThatIsRefusedGivesItsBusesBack() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    try "something".write(toFile: folder.file("x.log"), atomically: true, encoding: .utf8)
    var isRefused = false
    do { _ = try world.job(["capture", "x", "--write", folder.file("x.log")]) } catch is WorldError { isRefused = true }
    #expect(isRefused && port.isClosed)
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
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: R04 (address): the inverter asks battery 0, the battery side is 1"), "\(text)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["night-0001.zip"])
  }

  /// A filter is for what is written: a trigger that saw no more than that would find silences that there are not.
  @Test(arguments: [("4200 unanswered 3", false), ("4210 gap > 1s", true)])
  func triggersSeeWhatAFilterKeepsOutOfTheFile(trigger: String, comes: Bool) throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job([
      "capture", "x", "--filter", "4200:1FFFFFFF", "--write", folder.file("x.log"), "--trigger", trigger, "--after", "1s",
      "--bundle", folder.file("night"),
    ])
    job.start(.at(0))
    for step in 0..<100 {
      let now = LiveTime.at(Double(step) * 0.1)
      port.put(frame(0x4200), at: now)
      if step < 60 { port.put(frame(0x4210), at: now) }
      // Behind the silence of the one there are words of the other.
      port.put(frame(0x4220), at: now)
      job.pump(now)
    }
    job.stop(.at(10))
    let text = job.context.output.takeText()
    #expect(text.contains("trigger: silent: ") == comes, "\(text)")
    let written = try records(inFile: folder.file("x.log"))
    #expect(written.count == 100 && written.allSatisfy { $0.frame.id == .extended(0x4200) })
  }
}
