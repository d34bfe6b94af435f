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

  private struct Rig {
    var loop: RunLoop
    let bus = Bus()
    let folder: TestFolder
    private var polled_us: Int64 = 0
    /// Whether the last turn said that there are more.
    private(set) var goesOn = true

    init(recording: RunLoop.Recording? = nil) throws {
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
      parts.ignoresSignals = true
      let sink = RunLogHandler.Sink(isJournal: false) { _ in }
      loop = RunLoop(
        settings, parts, clock: RunClock(speed: 1000), statePath: folder.file("state"),
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
    var rig = try Rig(recording: .init(capture: GrowingFile("/dev/full"), log: GrowingFile("/dev/full")))
    rig.run(60)
    #expect(!rig.goesOn && !rig.isClosed)
    #expect(rig.loop.failure?.hasPrefix("the recording: cannot write /dev/full") == true, "\(rig.loop.failure ?? "")")
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
    #expect(hub.send(.configure(Configuration())))
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
