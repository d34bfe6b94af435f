import Bus
import HostIO
import Testing

@testable import linkbms

/// What every live job says of its ports.
@Suite struct LiveJobTests {
  private final class Idle: LiveJob {
    let context: JobContext
    init(_ port: SilentPort) { context = JobContext("idle", [port]) }
    func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {}
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
}
