import Bus
import Foundation
import Formats
import HostIO
import Testing

@testable import linkbms

/// Live captures with time passed in.
@Suite struct CaptureJobTests {
  private let frame = CANFrame(id: .extended(0x4210), length: 8, head: 0x1122_3344_5566_7788)

  @Test(
    arguments: [
      ("10s", 10_000_000_000), ("500ms", 500_000_000), ("1.5m", 90_000_000_000), ("2h", 7_200_000_000_000), ("3", 3_000_000_000),
      ("-1s", nil), ("s", nil), ("1e400", nil), ("nan", nil), ("10x", nil),
    ] as [(String, Int64?)])
  func readsTimes(text: String, expected: Int64?) { #expect(DurationText.nanoseconds(text) == expected) }

  @Test func rotates() throws {
    #expect(try Rotation.parse("100M", keep: 3) == Rotation(bytes: 100_000_000, keep: 3))
    #expect(try Rotation.parse("1h", keep: nil) == Rotation(time_ns: 3_600_000_000_000))
    for wrong in ["", "M", "10", "1x", "0s", "-5M", "1e30G"] {
      #expect(throws: WorldError.self, "\(wrong)") { try Rotation.parse(wrong, keep: nil) }
    }
    #expect(Rotation.name("a.b/site.pcapng", 3) == "a.b/site-0003.pcapng")
    #expect(Rotation.name("a.b/site", 12345) == "a.b/site-12345")
    #expect(!Rotation(bytes: 1000).isFull(bytes: 999, age_ns: .max) && Rotation(bytes: 1000).isFull(bytes: 1000, age_ns: 0))
    #expect(Rotation(time_ns: 10).isFull(bytes: 0, age_ns: 10))
  }

  @Test func whatWasWrittenHalfASecondAgoIsInTheFileWithoutTheEnd() throws {
    let folder = try TestFolder()
    let port = SilentPort()
    let context = JobContext("capture", [port])
    for (suffix, format) in [("pcapng", CaptureFormat.pcapng), ("log", .candump)] {
      let path = folder.file("x." + suffix)
      let job = CaptureJob(context, file: try CaptureFile(path, format, buses: ["can0"], rotation: nil, .at(0)), decoder: nil)
      for step in 0..<20 {
        let now = LiveTime.at(Double(step) * 0.1)
        port.put(frame, at: now)
        job.pump(now)
      }
      // Nobody closed it: this is what a kill leaves.
      let kept = try records(inFile: path)
      #expect(kept.count >= 15 && kept.count <= 20, "\(suffix): \(kept.count)")
      if format == .pcapng {
        // A block that was cut is read up to the cut.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes.removeLast(7)
        try bytes.write(to: URL(fileURLWithPath: path))
        #expect(try records(inFile: path).count == kept.count - 1)
      }
      try FileManager.default.removeItem(atPath: path)
    }
    #expect(port.sends == 0)
  }

  @Test func lostFramesAreCountedSaidAndNotedInTheFile() throws {
    let folder = try TestFolder()
    for (suffix, format) in [("pcapng", CaptureFormat.pcapng), ("log", .candump)] {
      let port = SilentPort()
      let context = JobContext("capture", [port])
      let path = folder.file("x." + suffix)
      let job = CaptureJob(context, file: try CaptureFile(path, format, buses: ["can0"], rotation: nil, .at(0)), decoder: nil)
      job.start(.at(0))
      port.put(frame, at: .at(0))
      job.pump(.at(0))
      port.counters.dropped = 5
      job.pump(.at(0.1))
      port.put(frame, at: .at(0.2))
      job.pump(.at(0.2))
      job.stop(.at(1))
      #expect(context.status == .findings && context.output.takeText().contains("silent: 5 frames lost"))
      #expect(port.isClosed)
      let seen = try survey(path)
      #expect(seen.lost == 5 && seen.frames == 2, "\(suffix)")
    }
  }

  @Test func aLossStandsBeforeTheFrameThatCameNext() throws {
    let folder = try TestFolder()
    let port = SilentPort()
    port.losses = [3: 4]
    let path = folder.file("x.log")
    let job = CaptureJob(
      JobContext("capture", [port]), file: try CaptureFile(path, .candump, buses: ["can0"], rotation: nil, .at(0)), decoder: nil)
    job.start(.at(0))
    // One batch: what was lost in it is known frame by frame.
    for _ in 0..<4 { port.put(frame, at: .at(0)) }
    job.pump(.at(0.1))
    job.stop(.at(1))
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { $0.prefix(9) }
    #expect(lines == ["(17900000", "(17900000", "DROPCOUNT", "(17900000", "(17900000"], "\(lines)")
    let notes = job.context.output.takeText()
    #expect(notes.contains("silent: 4 frames lost"), "\(notes)")
  }

  @Test(arguments: [("pcapng", CaptureFormat.pcapng), ("log", .candump)] as [(String, CaptureFormat)])
  func aLossBehindTheLastFrameIsInTheFileToo(suffix: String, format: CaptureFormat) throws {
    let folder = try TestFolder()
    let port = SilentPort()
    let path = folder.file("x." + suffix)
    let job = CaptureJob(
      JobContext("capture", [port]), file: try CaptureFile(path, format, buses: ["can0"], rotation: nil, .at(0)), decoder: nil)
    job.start(.at(0))
    port.losses = [2: 3]
    for _ in 0..<2 { port.put(frame, at: .at(0)) }
    job.pump(.at(0.1))
    port.counters.dropped += 5
    job.pump(.at(0.2))
    job.stop(.at(1))
    let seen = try survey(path)
    #expect(seen.lost == 8 && seen.frames == 2, "\(suffix): \(seen.lost)")
  }

  /// Frames and losses in a file.
  private func survey(_ path: String) throws -> (lost: UInt64, frames: Int) {
    struct Sink: RecordSink {
      var lost: UInt64 = 0
      var frames = 0
      mutating func busAppeared(_ bus: BusID, named name: String) {}
      mutating func receive(_ record: borrowing CANRecord) { frames += 1 }
      mutating func receive(_ record: SideRecord) {}
      mutating func report(_ problem: CaptureProblem) { if problem.kind == .framesLost { lost += problem.count } }
    }
    var input = try CaptureInput(path: path)
    var sink = Sink()
    while try input.readWindow(into: &sink) {}
    return (sink.lost, sink.frames)
  }

  @Test func theTimeOfAFileEndsInSilenceToo() throws {
    let folder = try TestFolder()
    let port = SilentPort()
    let file = try CaptureFile(
      folder.file("x.log"), .candump, buses: ["can0"], rotation: Rotation(time_ns: 10_000_000_000, keep: 2), .at(0))
    let job = CaptureJob(JobContext("capture", [port]), file: file, decoder: nil)
    job.start(.at(0))
    port.put(frame, at: .at(1))
    job.pump(.at(1))
    job.pump(.at(2))
    #expect(job.due_ns == LiveTime.at(10).monotonic_ns, "nothing else wakes it")
    // Silence makes no files: those that are kept hold frames.
    for second in stride(from: 10.0, through: 60, by: 10) { job.pump(.at(second)) }
    port.put(frame, at: .at(61))
    job.pump(.at(61))
    job.stop(.at(62))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["x-0001.log", "x-0002.log"])
    #expect(try records(inFile: folder.file("x-0001.log")).count == 1)
    #expect(try records(inFile: folder.file("x-0002.log")).count == 1, "the first frame after the silence is in the new file")
  }

  @Test func aDashIsStandardOutputAndWordsStandBesideIt() throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job(["capture", "x", "--write", "-", "--to", "pcapng", "--decode", "--protocol", "deye-hv"])
    job.start(.at(0))
    for step in 0..<3 {
      port.put(frame, at: .at(Double(step)))
      job.pump(.at(Double(step)))
      let before = world.bytes.count
      try job.context.output.drain(into: &world)
      #expect(world.bytes.count > before, "each frame goes out at once")
    }
    job.stop(.at(3))
    try job.context.output.drain(into: &world)
    try Data(world.bytes).write(to: URL(fileURLWithPath: folder.file("x.pcapng")))
    #expect(try records(inFile: folder.file("x.pcapng")).map(\.frame) == [frame, frame, frame])
    let notes = world.notes.joined(separator: "\n")
    #expect(notes.contains("PackVoltage") && notes.contains("3 frames in standard output"), "\(notes)")
    #expect(!InputFile.exists("-"))
    for wrong in [["--write", "-"], ["--write", "-", "--to", "candump", "--rotate", "1M"], ["--write", "f", "--to", "vcd"]] {
      #expect(throws: (any Error).self, "\(wrong)") { try CommandRunner.parse(["capture", "x"] + wrong, of: LinkBMS.self) }
    }
  }

  @Test func helpNamesOnlyWhatCanBeWritten() throws {
    let option = try #require(CommandTree.of(LinkBMS.self).subcommand("capture")?.option("--to"))
    #expect(option.fixedValues == ["candump", "pcap", "pcapng", "asc", "trc", "savvycan", "python-can"])
  }

  @Test func anOldCaptureIsNotWrittenOver() throws {
    let folder = try TestFolder()
    try "something".write(toFile: folder.file("x.log"), atomically: true, encoding: .utf8)
    #expect(throws: WorldError.self) {
      try CaptureFile(folder.file("x.log"), .candump, buses: ["can0"], rotation: nil, .at(0))
    }
  }

  @Test func rotationKeepsTheLatestFilesWhole() throws {
    let folder = try TestFolder()
    let port = SilentPort()
    let context = JobContext("capture", [port])
    let file = try CaptureFile(
      folder.file("x.pcapng"), .pcapng, buses: ["can0"], rotation: Rotation(bytes: 4000, keep: 2), .at(0))
    let job = CaptureJob(context, file: file, decoder: nil)
    for step in 0..<500 {
      var frame = frame
      frame.head = UInt64(step)
      port.put(frame, at: .at(Double(step) * 0.01))
      job.pump(.at(Double(step) * 0.01))
    }
    job.stop(.at(6))
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(names.count == 2, "\(names)")
    let heads = try names.flatMap { try records(inFile: folder.file($0)) }.map(\.frame.head)
    #expect(heads.last == 499 && heads == Array(heads[0]...499), "the latest, without a gap between files")
    #expect(heads.count < 250)
  }

  @Test func aStartGoesOnBehindTheLatestAndCountsThoseOfEarlierStarts() throws {
    let folder = try TestFolder()
    // Of something else: other numbers, another name or suffix, and a run's recording with its lines beside it.
    let others = [
      "other-0001.log", "r-00003.log", "r-0002.log.old", "r-0002.pcapng", "r-0004.log", "r-0004.log.log", "r-3.log", "r-x.log",
      "r.log",
    ]
    for name in others + ["r-0001.log", "r-0006.log", "r-0008.log"] {
      try "old".write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }
    let port = SilentPort()
    let file = try CaptureFile(folder.file("r.log"), .candump, buses: ["can0"], rotation: Rotation(bytes: 4000, keep: 2), .at(0))
    func names() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().filter { !others.contains($0) }
    }
    let job = CaptureJob(JobContext("capture", [port]), file: file, decoder: nil)
    job.start(.at(0))
    job.pump(.at(0))
    #expect(try names() == ["r-0001.log", "r-0006.log", "r-0008.log", "r-0009.log"], "one that hears nothing pushes out nothing")
    port.put(frame, at: .at(1))
    job.pump(.at(1))
    #expect(try names() == ["r-0008.log", "r-0009.log"])
    for step in 0..<200 {
      port.put(frame, at: .at(2 + Double(step) * 0.01))
      job.pump(.at(2 + Double(step) * 0.01))
    }
    job.stop(.at(6))
    let left = try names()
    #expect(left.count == 2 && left[0] > "r-0009.log" && file.names == left.map(folder.file), "\(left)")
    #expect(others.allSatisfy { InputFile.exists(folder.file($0)) })
    // Without --keep all stay, and the numbers go on just so.
    let next = try CaptureFile(folder.file("r.log"), .candump, buses: ["can0"], rotation: Rotation(bytes: 4000), .at(0))
    try next.write(CANRecord(time: nil, frame: frame))
    try next.close()
    #expect(try names() == left + next.names.map { String($0.dropFirst(folder.path.count + 1)) } && next.names[0] > file.names[1])
  }

  @Test func noFrameIsNothingToStopAfter() {
    var world = MemoryWorld(MemoryBuses())
    let status = world.run(["capture", "mem://a", "-n", "0"])
    #expect(status == 2 && world.notes.joined().contains("--count: found 0, expected 1 or more"), "\(world.notes)")
  }

  @Test func aBurstIsDividedIntoFilesTooBetweenTwoWakes() throws {
    let folder = try TestFolder()
    let port = SilentPort()
    let context = JobContext("capture", [port])
    let file = try CaptureFile(
      folder.file("x.log"), .candump, buses: ["can0"], rotation: Rotation(bytes: 4000, keep: 3), .at(0))
    let job = CaptureJob(context, file: file, decoder: nil)
    for step in 0..<5000 {
      var frame = frame
      frame.head = UInt64(step)
      port.put(frame, at: .at(Double(step) * 0.0001))
    }
    job.pump(.at(0.5))
    job.stop(.at(6))
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(names.count == 3, "\(names)")
    for name in names {
      let size = try #require(FileManager.default.attributesOfItem(atPath: folder.file(name))[.size] as? Int)
      #expect(size < 4100, "\(name)")
    }
    let heads = try names.flatMap { try records(inFile: folder.file($0)) }.map(\.frame.head)
    #expect(heads.last == 4999 && heads == Array(heads[0]...4999))
  }

  @Test func endsAfterAsManyAndAfterSoLong() throws {
    let port = SilentPort()
    let context = JobContext("capture", [port])
    context.duration_ns = 2_000_000_000
    let job = CaptureJob(context, file: nil, decoder: nil, limit: 3)
    job.start(.at(0))
    #expect(job.due_ns == LiveTime.at(2).monotonic_ns)
    for _ in 0..<5 { port.put(frame, at: .at(1)) }
    job.pump(.at(1))
    #expect(context.isDone && job.frames == 3)
    #expect(
      context.output.takeText().split(separator: "\n").first == "(1790000001.000000000) silent 00004210#8877665544332211")
    let other = JobContext("capture", [SilentPort()])
    other.duration_ns = 2_000_000_000
    let timed = CaptureJob(other, file: nil, decoder: nil)
    timed.start(.at(0))
    timed.pump(.at(1.9))
    #expect(!other.isDone)
    timed.pump(.at(2))
    #expect(other.isDone)
  }

  @Test func listenersNeverSend() throws {
    let folder = try TestFolder()
    for words in [
      ["capture", "x", "--write", folder.file("a.log"), "--decode"], ["capture", "x", "--trigger", "R05"],
      ["decode", "--live", "x"],
      ["diagnose", "--live", "x"], ["identify", "--live", "x"], ["info", "--live", "x"], ["monitor", "x"],
    ] {
      var world = MemoryWorld(MemoryBuses())
      let port = SilentPort()
      var isOnlyListening = false
      world.live.open = { _, listenOnly in
        isOnlyListening = listenOnly
        return port
      }
      let job = try world.job(words)
      #expect(isOnlyListening, "\(words): an adapter that can must not even acknowledge")
      job.start(.at(0))
      for (index, record) in try capturedRecords("deye-handshake-failed").prefix(400).enumerated() {
        port.put(record.frame, at: .at(Double(index) * 0.05))
        job.pump(.at(Double(index) * 0.05))
      }
      job.stop(.at(30))
      #expect(port.counters.received == 400 || job.context.isDone, "\(words)")
      #expect(port.sends == 0, "\(words)")
    }
  }

  @Test func whoSendsDoesNotOnlyListen() throws {
    var world = MemoryWorld(MemoryBuses())
    var isOnlyListening: Bool?
    world.live.open = { _, listenOnly in
      isOnlyListening = listenOnly
      return SilentPort()
    }
    _ = try world.job(["send", "x", "123#01"])
    #expect(isOnlyListening == false)
  }
}
