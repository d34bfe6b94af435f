import Bus
import Foundation
import HostIO
import Testing

@testable import linkbms

/// What every live job says of its ports.
@Suite struct LiveJobTests {
  private final class Idle: LiveJob {
    let context: JobContext
    /// What came: the port, its frame's ID or what was lost.
    var heard: [String] = []
    init(_ ports: any BusPort...) { context = JobContext("idle", ports) }
    func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) { heard.append("\(port):\(record.frame.id.number)") }
    func lost(_ frames: UInt64, port: Int, _ now: LiveTime) { heard.append("\(port):-\(frames)") }
    func changed(isThere: Bool, port: Int, _ now: LiveTime) { heard.append("\(port):\(isThere)") }
  }

  private let port = SilentPort()

  init() { port.advice = PortAdvice(unit: "line", expected: "slcan", question: "is the rate right?", room: "there is no room") }

  /// A serial line at another rate must not look like a quiet bus.
  @Test func whatIsNoFrameIsToldOnce() {
    port.counters.malformed = 5
    let job = Idle(port)
    job.start(.at(0))
    // Noise, so far.
    port.counters.malformed = 5 + JobContext.manyMalformed - 1
    job.pump(.at(1))
    #expect(job.context.output.takeText().isEmpty)
    port.counters.malformed = 62
    job.pump(.at(2))
    #expect(job.context.output.takeText() == "linkbms: silent: 57 lines were no slcan: is the rate right?\n")
    port.counters.malformed = 105
    job.pump(.at(3))
    job.stop(.at(4))
    #expect(job.context.output.takeText().isEmpty && job.context.malformedCount(0) == 100)
  }

  /// What the other end says in words is worth a word at once; what its job tells is not, but where nothing else came.
  @Test(arguments: [(1, 7, true, false), (.max, 7, false, false), (.max, 0, false, true)] as [(UInt64, UInt64, Bool, Bool)])
  func thePortKnowsHowManyAreWorthAWord(many: UInt64, frames: UInt64, atOnce: Bool, atTheEnd: Bool) {
    port.advice.many = many
    let text = "linkbms: silent: 40 lines were no slcan: is the rate right?\n"
    let job = Idle(port)
    job.start(.at(0))
    port.counters.received = frames
    port.counters.malformed = 40
    job.pump(.at(1))
    #expect(job.context.output.takeText() == (atOnce ? text : ""))
    job.stop(.at(2))
    #expect(job.context.output.takeText() == (atTheEnd ? text : ""))
  }

  /// At the end of a short job even one line is all that came; between frames it is noise.
  @Test(arguments: [(0, "linkbms: silent: 1 line was no slcan: is the rate right?\n"), (7, "")] as [(UInt64, String)])
  func aFewCountWhereNothingElseCame(frames: UInt64, text: String) {
    let job = Idle(port)
    job.start(.at(0))
    port.counters.received = frames
    port.counters.malformed = 1
    job.pump(.at(1))
    job.stop(.at(2))
    #expect(job.context.output.takeText() == text)
  }

  @Test func whyThereIsSoLittleRoomIsSaidWithTheFirstLoss() {
    let job = Idle(port)
    job.start(.at(0))
    port.counters.dropped = 3
    job.pump(.at(1))
    #expect(
      job.context.output.takeText()
        == "linkbms: silent: 3 frames lost (the machine or the output is too slow, and there is no room)\n")
    port.counters.dropped = 5
    job.pump(.at(2))
    #expect(job.context.output.takeText() == "linkbms: silent: 2 frames lost (the machine or the output is too slow)\n")
    #expect(job.context.status == .findings)
  }

  private func put(_ id: UInt32, at seconds: Double, on port: SilentPort) {
    port.put(CANFrame(id: ArbitrationID(rawValue: id), length: 0, head: 0), at: .at(seconds))
  }

  /// One port after the other would be a recording whose time steps back.
  @Test func whatComesFromTwoPortsIsInOrder() {
    let other = SilentPort()
    let job = Idle(port, other)
    job.start(.at(0))
    for (id, seconds) in [(1, 0.1), (3, 0.3), (5, 0.5)] { put(UInt32(id), at: seconds, on: port) }
    other.losses = [2: 7]
    for (id, seconds) in [(2, 0.2), (4, 0.4)] { put(UInt32(id), at: seconds, on: other) }
    job.pump(.at(1))
    #expect(job.heard == ["0:1", "1:2", "0:3", "1:-7", "1:4", "0:5"])
    // What is younger than the beginning of the round waits for the next one: the other port may have something older by then.
    job.heard = []
    put(6, at: 1.2, on: port)
    job.pump(.at(1.1))
    #expect(job.heard.isEmpty && job.due_ns == 0)
    put(7, at: 1.15, on: other)
    job.pump(.at(1.3))
    #expect(job.heard == ["1:7", "0:6"] && job.due_ns == .max)
    // A clock that was set back keeps nothing waiting, and a port's own order stays.
    job.heard = []
    put(8, at: 5000, on: port)
    put(9, at: 1.4, on: port)
    port.arrived.append(.returned)
    put(10, at: 1.35, on: other)
    job.pump(.at(1.5))
    #expect(job.heard == ["1:10", "0:8", "0:9", "0:true"])
    // The end waits for nothing.
    put(11, at: 1.7, on: port)
    job.pump(.at(1.6))
    job.stop(.at(1.6))
    #expect(job.heard.last == "0:11")
  }

  /// A port with a clock of its own is not put in order by it.
  @Test func anotherClockIsNotCompared() {
    let other = SilentPort()
    other.usesSystemClock = false
    let job = Idle(port, other)
    job.start(.at(0))
    put(1, at: 0.1, on: port)
    put(2, at: -90_000, on: other)
    put(3, at: 90_000, on: other)
    job.pump(.at(1))
    #expect(job.heard == ["1:2", "1:3", "0:1"])
  }

  /// Results are told by the name of a bus.
  @Test func twoBusesOfOneNameGetTwo() throws {
    let buses = MemoryBuses()
    let hub = LiveHub(needsArm: false)
    hub.open = { address, _ in try buses.bus(address).port(named: "can0") }
    let ports = try hub.listen(["socketcand://a/can0", "socketcand://b/can0", "can0"])
    let job = Idle(ports[0], ports[1], ports[2])
    #expect(ports.map(\.name) == ["can0", "can0-2", "can0-3"])
    #expect(job.context.output.takeText() == "linkbms: can0-2 is socketcand://b/can0\nlinkbms: can0-3 is can0\n")
    #expect(throws: WorldError.self) { try hub.listen(["can0", "can0"]) }
    #expect(throws: WorldError.self) { try hub.listen(["udp://", "udp://239.74.163.2:43113"]) }
    #expect(try hub.listen(["can0,351:7FF", "can0,355:7FF"]).map(\.name) == ["can0", "can0-2"])
  }

  /// A full disk ends the job and says so once, instead of losing everything for ever.
  @Test func aJobWhoseFileIsFullEnds() throws {
    let hub = LiveHub(needsArm: true)
    let job = Idle(port)
    job.context.output.file = try ByteOutput(path: "/dev/full", appending: false)
    _ = hub.add(job, .at(0))
    job.context.output.print("lost")
    hub.pump(.at(1))
    #expect(hub.jobs.isEmpty && hub.worst == .failed)
    let news = hub.takeNews()
    #expect(news.components(separatedBy: "No space left on device").count == 2, "\(news)")
  }
}
