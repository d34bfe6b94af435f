import Bus
import Controller
import Formats
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
