import Synchronization
import Analysis
import Bus
import Controller
import Formats
import Gateway
import Glibc
import HostIO
import Logging
import Runtime
import Simulation
import Testing

@testable import linkbms

/// What the shell around the controller does when a port, a file or a person lets it down: on a simulated battery, with a bus that
/// obeys the test.
@Suite struct RunLoopTests {
  /// A bus with an inverter that asks twice a second.
  private final class Bus: BusPort {
    let name = "can9"
    let descriptor: Int32 = -1
    var counters = PortCounters()
    var events: [PortEvent] = []
    /// What happens to a frame that is sent.
    var refusal: PortError?
    var isFull = false
    /// What listening comes to.
    var failure: PortError?
    private(set) var isClosed = false

    func receive(_ take: (PortEvent) -> Void) throws(PortError) {
      if let failure { throw failure }
      let events = events
      self.events = []
      for event in events { take(event) }
    }

    func send(_ frame: CANFrame) throws(PortError) -> SendResult {
      if let refusal { throw refusal }
      guard !isFull else { return .full }
      counters.sent += 1
      return .sent
    }

    func close() { isClosed = true }
  }

  private final class LogLines: Sendable {
    let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
  }

  private struct Rig {
    var loop: RunLoop
    let bus = Bus()
    let log = LogLines()
    let folder: TestFolder
    private var polled_us: Int64 = 0
    /// Whether the last turn said that there are more.
    private(set) var goesOn = true

    init(recording: RecordingFiles? = nil, service: ServiceNotifier? = nil, speed: Double = 1000) throws {
      folder = try TestFolder()
      let text = "configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: deye}\nplant: {soc: 60}\n"
      let (scenario, problems) = ScenarioFile.parse(text, path: "test")
      #expect(problems.isEmpty, "\(problems)")
      var world = MemoryWorld(MemoryBuses())
      var options = DefinitionOptions()
      options.dissectors = nil
      let configuration = scenario.configuration
      var settings = RunSettings(configuration: configuration)
      settings.scan_us = 500_000
      settings.isRecorded = recording != nil
      // The machine that tests is late as it likes.
      settings.late_us = .max / 4
      settings.sessions = try SystemOptions.sessions(
        configuration, buses: 1, variant: nil, address: nil, try world.library(options))
      var parts = RunLoop.Parts()
      parts.ports = [bus]
      parts.plant = VirtualPlant(scenario)
      parts.recording = recording
      parts.service = service
      parts.ignoresSignals = true
      let sink = RunLogHandler.Sink(isJournal: false) { [log] line in log.lines.withLock { $0.append(line) } }
      loop = RunLoop(
        settings, parts, clock: RunClock(speed: speed), statePath: folder.file("state"),
        logger: Logger(label: "test") { _ in RunLogHandler(sink) }, sink: sink,
        text: RunText(configuration) { _ in "a part" }, portNames: [bus.name])
    }

    /// Lets time pass; ends early if the loop does.
    mutating func run(_ seconds: Double, until isEnough: (RunLoop) -> Bool = { _ in false }) {
      let end_us = loop.now_us + Int64(seconds * 1e6)
      while goesOn, loop.now_us < end_us, !isEnough(loop) {
        if loop.now_us - polled_us >= 500_000 {
          polled_us = loop.now_us
          let poll = CANFrame(id: .extended(0x4200), length: 8, head: 2)
          bus.events.append(
            .frame(CANRecord(time: Timestamp(nanoseconds: 0), precision: .nanoseconds, direction: .received, frame: poll)))
        }
        goesOn = loop.turn(until_us: min(end_us, loop.now_us + 100_000))
      }
    }

    var isClosed: Bool { !loop.runtime.ordered.isEmpty }

    /// Runs until the battery is on the inverter.
    mutating func close() {
      run(60) { $0.runtime.engine.outputs.status == .running && $0.runtime.ordered == [.negative, .positive] }
      #expect(isClosed && bus.counters.sent > 10, "\(loop.runtime.engine.outputs.status), \(loop.runtime.standingDoubts)")
    }

    /// Whether everything is open within so long.
    mutating func opens(within seconds: Double) -> Bool {
      run(seconds) { $0.runtime.ordered.isEmpty }
      return !isClosed
    }
  }

  private static func stands(_ rig: Rig, _ isIt: (Doubt) -> Bool) -> Bool { rig.loop.runtime.standingDoubts.contains(where: isIt) }

  /// systemd may be busy at that moment, and it ends a service that never says it.
  @Test func whatSystemdDidNotTakeIsSaidAgain() throws {
    let folder = try TestFolder()
    let socket = NotifySocket(folder.file("notify"), isHeld: true)
    let service = try #require(ServiceNotifier(path: socket.path))
    var fillers = 0
    while service.send("X=1") { fillers += 1 }
    #expect(fillers > 0)
    var rig = try Rig(service: service)
    rig.run(5)
    socket.goOn()
    let end = PortPoller.now_ns + 60_000_000_000
    while PortPoller.now_ns < end, !socket.all().contains(where: { $0.hasPrefix("STATUS=") }) { rig.run(1) }
    let told = socket.all().filter { $0 != "X=1" }
    #expect(told.first == "READY=1" && told.filter { $0 == "READY=1" }.count == 1, "\(told)")
    // So it is after a reload.
    rig.loop.tellReloading()
    while PortPoller.now_ns < end, socket.all().count(where: { $0 == "READY=1" }) < 2 { rig.run(1) }
    #expect(socket.all().filter { $0 == "READY=1" || $0 == "RELOADING=1" } == ["READY=1", "RELOADING=1", "READY=1"])
  }

  /// What is written for people says the time of day; the controller's own time goes on evenly.
  @Test func aWallClockThatIsSetIsToldAndFollowed() throws {
    var rig = try Rig(speed: 1)
    // A turn in which the machine stood still between two clocks says nothing.
    func turn(until isEnough: () -> Bool = { false }) {
      for _ in 0..<1000 where !isEnough() { _ = rig.loop.turn(until_us: rig.loop.now_us + 1000) }
    }
    turn()
    let before_us = rig.loop.now_us
    #expect(!rig.log.all.contains { $0.contains("wall clock was set") }, "\(rig.log.all)")
    rig.loop.wallClock_ns = { PortPoller.wallClock_ns + 86_400_000_000_000 }
    turn { rig.log.all.contains { $0.contains("wall clock was set") } }
    let told = rig.log.all.filter { $0.contains("the wall clock was set by +86400.0 s") }
    let tomorrow = "\(CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns + 86_400_000_000_000)))".prefix(10)
    #expect(told.count == 1 && told[0].hasPrefix(tomorrow), "\(rig.log.all)")
    #expect(rig.loop.now_us - before_us < 60_000_000)
    rig.loop.wallClock_ns = { PortPoller.wallClock_ns + 86_400_500_000_000 }
    turn { false }
    #expect(rig.log.all.filter { $0.contains("wall clock was set") }.count == 1, "what a clock is corrected by is nothing to tell")
  }

  @Test func aBusThatIsGoneOpensAndCloses() throws {
    var rig = try Rig()
    rig.close()
    rig.bus.events.append(.lost(.down("can9")))
    let isOpen = rig.opens(within: 2)
    #expect(isOpen)
    #expect(Self.stands(rig) { $0 == .lost(.port(0), PortError.down("can9").description) })
    rig.run(20)
    #expect(!rig.isClosed)
    rig.bus.events.append(.returned)
    rig.close()
  }

  @Test func aBusThatTakesNoFrameOpens() throws {
    var rig = try Rig()
    rig.close()
    rig.bus.isFull = true
    let isOpen = rig.opens(within: 5)
    #expect(isOpen)
    #expect(Self.stands(rig) { $0 == .queueFull(port: 0) })
    rig.bus.isFull = false
    rig.close()
  }

  @Test func aFrameThatCannotBeSentOpens() throws {
    var rig = try Rig()
    rig.close()
    rig.bus.refusal = .unsupported("can9", what: "send")
    let isOpen = rig.opens(within: 3)
    #expect(isOpen)
    rig.bus.refusal = nil
    rig.close()
  }

  @Test func aBusThatFailsForGoodOpensAndEndsTheRun() throws {
    var rig = try Rig()
    rig.close()
    rig.bus.failure = .system(HostError("can9", attempt: "receive", code: 5))
    let isOpen = rig.opens(within: 0.5)
    #expect(isOpen)
    rig.run(20)
    #expect(!rig.goesOn && rig.loop.failure?.contains("can9") == true, "\(rig.loop.failure ?? "")")
    _ = rig.loop.finish()
    #expect(rig.bus.isClosed)
  }

  @Test func aRecordingThatCannotBeWrittenOpensAndEndsTheRun() throws {
    let folder = try TestFolder()
    let files = try RecordingFiles(folder.file("run.pcapng")) { _ throws(OutputError) in
      try ByteOutput(path: "/dev/full", appending: true)
    }
    var rig = try Rig(recording: files)
    rig.run(60)
    #expect(!rig.goesOn && !rig.isClosed)
    let failure = "the recording: cannot write \(folder.file("run-0001.pcapng")): No space left on device"
    #expect(rig.loop.failure == failure)
  }

  @Test func aRecordingGoesOnInFilesThatCanBeReadAloneAndTogetherReplay() throws {
    let folder = try TestFolder()
    let path = folder.file("run.pcapng")
    var rig = try Rig(recording: RecordingFiles(path, limits: .init(bytes: 50_000)))
    rig.run(120)
    rig.loop.stop("enough")
    rig.run(20)
    #expect(!rig.goesOn && rig.loop.failure == nil)
    #expect(rig.loop.finish() == nil)

    let numbers = RecordingFiles.numbers(path)
    #expect(numbers.count >= 3 && numbers == Array(1...numbers.count), "\(numbers)")
    var whole: [UInt8] = []
    for number in numbers {
      let name = Rotation.name(path, number)
      let replay = try Self.replay(name)
      #expect(replay.problems.isEmpty && replay.starts == (number == 1 ? 1 : 0), "\(number)")
      // The last may have been begun with the last words.
      if number < numbers.count {
        #expect(try !records(inFile: name).isEmpty, "\(number): no frame of the inverter's bus")
        #expect((replay.unstarted > 0) == (number > 1), "\(number)")
      }
      // Whoever finds a later one reads where the rest is.
      let log = String(decoding: try InputFile.bytes(of: name + ".log"), as: UTF8.self)
      let head = log.split(separator: "\n").first ?? ""
      let words = "file \(number) of the recording that begins with \(Rotation.name(path, 1))"
      #expect(head.contains(words) == (number > 1), "\(head)")
      whole += try InputFile.bytes(of: name)
    }
    let joined = folder.file("whole.pcapng")
    let output = try ByteOutput(path: joined, appending: false)
    try output.write(whole)
    output.close()
    let replay = try Self.replay(joined)
    #expect(replay.problems.isEmpty && replay.differing == 0 && replay.unstarted == 0, "\(replay.first?.texts ?? [])")
    #expect(replay.steps == rig.loop.runtime.steps)
  }

  private static func replay(_ path: String) throws -> EngineReplay {
    var input = try CaptureInput(path: path)
    var replay = EngineReplay()
    while try input.readWindow(into: &replay) {}
    return replay
  }

  @Test func aRecordingThatCannotGoOnOpensAndEndsTheRun() throws {
    let folder = try TestFolder()
    let path = folder.file("run.pcapng")
    let files = try RecordingFiles(path, limits: .init(bytes: 50_000)) { name throws(OutputError) in
      guard name.contains("run-0001.") else { throw OutputError.failed(errno: ENOSPC) }
      return try ByteOutput(newFile: name)
    }
    var rig = try Rig(recording: files)
    rig.run(300)
    #expect(!rig.goesOn && !rig.isClosed)
    let failure = "the recording: cannot write \(folder.file("run-0002.pcapng")): No space left on device"
    #expect(rig.loop.failure == failure)
    _ = rig.loop.finish()
    // What came until then and afterwards is in the file that was there.
    let replay = try Self.replay(folder.file("run-0001.pcapng"))
    #expect(replay.problems.isEmpty && replay.differing == 0 && replay.steps == rig.loop.runtime.steps)
  }

  @Test func aStopOpensBeforeTheEnd() throws {
    var rig = try Rig()
    rig.close()
    rig.loop.stop("enough")
    let isOpen = rig.opens(within: 2)
    #expect(isOpen)
    rig.run(20)
    #expect(!rig.goesOn && rig.loop.failure == nil)
    #expect(rig.loop.finish() == nil)
    #expect(rig.loop.isStateStored)
  }

  // MARK: A disk that hangs

  /// The next state does not get to the disk: what is to be written aside is a pipe that nobody reads.
  private static func hang(_ rig: Rig) throws {
    // One may be on its way just now.
    try #require(rig.loop.files.finish(within: 60).isEmpty)
    try #require(mkfifo(rig.folder.file("state.new"), 0o600) == 0)
  }

  /// The disk answers: with an error at first, for a pipe cannot be forced to the disk. Returns the pipe's end, to be closed.
  private static func answer(_ rig: Rig) throws -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    let path = rig.folder.file("state.new")
    let reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    try #require(reader >= 0)
    try #require(unlink(path) == 0)
    return reader
  }

  @Test func aDiskThatHangsOpensAndIsGivenNothingMoreUntilItAnswers() throws {
    var rig = try Rig()
    rig.close()
    try Self.hang(rig)
    rig.loop.diskPatience_ns = 200_000_000
    let isOpen = rig.opens(within: 1000)
    #expect(isOpen)
    #expect(Self.stands(rig) { $0 == .storeFailed("the disk does not answer") })
    // Several minutes later there is still one state that waits.
    rig.run(300)
    #expect(rig.loop.files.finish(within: 0) == ["state"])
    #expect(!rig.isClosed)

    // Nor would a configuration get to it.
    let hub = SnapshotHub()
    rig.loop.pages = RunPages(hub.publisher(), followsWallClock: false) { nil }
    #expect(hub.send(.configure(Configuration())) != nil)
    let isRefused = LiveProcess.wait {
      rig.run(10)
      return hub.moment(at: .now).answer?.hasSuffix("the configuration is refused: the disk does not answer") ?? false
    }
    #expect(isRefused)

    // The machine's own disk may be slow.
    rig.loop.diskPatience_ns = 60_000_000_000
    let reader = try Self.answer(rig)
    defer { Glibc.close(reader) }
    let isOver = LiveProcess.wait {
      rig.run(10)
      return !Self.stands(rig) { if case .storeFailed = $0 { true } else { false } }
    }
    #expect(isOver && !rig.loop.isDiskSilent)
    rig.close()
  }

  /// The pages ask beforehand; between that and the order the contactors may have closed.
  @Test func theLoopDecidesAnewWhateverThePagesWereTold() throws {
    var rig = try Rig()
    rig.close()
    let hub = SnapshotHub()
    rig.loop.pages = RunPages(hub.publisher(), followsWallClock: false) { nil }
    func answer(_ command: GatewayCommand) throws -> CommandAnswer {
      let number = try #require(hub.send(command))
      LiveProcess.wait {
        rig.run(1)
        return hub.answer(to: number) != nil
      }
      return try #require(hub.answer(to: number))
    }
    func current(_ milliamperes: Int32) -> GatewayCommand { .calibrate(.currentHigh(raw: 10_000, milliamperes: milliamperes)) }
    var wanted = rig.loop.runtime.engine.configuration
    wanted[.overvoltageProtect] = 37_000
    let protecting = try answer(.configure(wanted))
    #expect(protecting.refusal?.item == .overvoltageProtect)
    #expect(protecting.text.contains("the configuration is refused: cell-overvoltage-protect differs"))
    // Small corrections are taken, but not one after the other.
    let first = try answer(current(10_800))
    #expect(first.refusal == nil && first.text.hasSuffix("calibration kept until the end of the run and taken over"))
    rig.run(1)
    #expect(rig.loop.runtime.engine.configuration[.currentHigh] == 10_800)
    let second = try answer(current(11_500))
    #expect(second.refusal?.item == .currentHigh && second.text.contains("the calibration is refused: found 11.5 A"))
    let zero = try answer(.calibrate(.currentLow(raw: 50, milliamperes: 0)))
    #expect(zero.refusal?.reason.contains("open contactors") == true)
    #expect(rig.loop.runtime.engine.configuration[.overvoltageProtect] == 36_500)
    #expect(rig.isClosed)
  }

  @Test func anEndDoesNotWaitForADiskThatHangs() throws {
    var rig = try Rig()
    rig.close()
    try Self.hang(rig)
    rig.loop.stop("enough")
    rig.run(30)
    #expect(!rig.goesOn && !rig.isClosed)
    rig.loop.endPatience_s = 0.2
    let failed = rig.loop.finish()
    #expect(failed == "the disk does not answer; not written: state")
    #expect(!rig.loop.isStateStored && rig.bus.isClosed)
    // The thread that writes is let go.
    let reader = try Self.answer(rig)
    defer { Glibc.close(reader) }
    let hasEnded = LiveProcess.wait { rig.loop.files.finish(within: 0.1).isEmpty }
    #expect(hasEnded)
  }

  @Test func theLastStateMakesGoodOneThatWasNotStored() throws {
    var rig = try Rig()
    rig.close()
    try Self.hang(rig)
    rig.run(1000) { !$0.files.finish(within: 0).isEmpty }
    rig.loop.stop("enough")
    rig.run(30)
    #expect(!rig.goesOn && rig.loop.files.finish(within: 0) == ["state"])
    let reader = try Self.answer(rig)
    defer { Glibc.close(reader) }
    rig.loop.endPatience_s = 60
    let failed = rig.loop.finish()
    #expect(failed == nil)
    #expect(rig.loop.isStateStored)
  }

  @Test func nobodyWhoFollowsOpens() throws {
    var rig = try Rig()
    rig.close()
    // Somebody has looked once, and does not come back.
    let feed = PlantFeed(waits: false)
    feed.ended(nil, [])
    _ = feed.next()
    rig.loop.feed = feed
    let isOpen = rig.opens(within: 60)
    #expect(isOpen)
  }
}
