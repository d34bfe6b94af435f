import Bus
import HostIO
import Testing

@testable import linkbms

/// What `send` and `replay --to` make of a bus on which nobody acknowledges.
@Suite struct SendJobTests {
  private let port = SilentPort()
  private let frame = CANFrame(id: .standard(0x123), length: 1, head: 0)

  private func send(every: Double? = nil, count: UInt64? = nil) -> SendJob {
    SendJob(JobContext("send", [port]), frame, every_ns: every.map { Int64($0 * 1e9) }, count: count)
  }

  private func error(_ bits: UInt32) -> CANFrame {
    var frame = CANFrame(id: ArbitrationID(rawValue: bits), length: 8, head: 0)
    frame.flags = .error
    return frame
  }

  @Test func aBusThatDoesNotTellIsBelieved() {
    let job = send()
    job.start(.at(0))
    #expect(port.sends == 1 && job.context.isDone && job.context.failure == nil)
  }

  @Test func aFrameIsSentOnceItWasAcknowledged() {
    port.tells = true
    let job = send()
    job.start(.at(0))
    #expect(port.sends == 1 && !job.context.isDone)
    job.pump(.at(1.9))
    #expect(!job.context.isDone)
    port.counters.confirmed = 1
    job.pump(.at(1.95))
    #expect(job.context.isDone && job.context.failure == nil)
  }

  @Test func withoutAnAcknowledgementItSaysSoAndWhatTheControllerReports() {
    port.tells = true
    let job = send()
    job.start(.at(0))
    #expect(job.due_ns == LiveTime.at(2).monotonic_ns)
    port.put(error(0x20), at: .at(0.1))
    job.pump(.at(0.1))
    #expect(!job.context.isDone)
    job.pump(.at(2))
    #expect(job.context.isDone && job.context.failure?.status == .failed)
    #expect(
      job.context.failure?.message.hasPrefix(
        "silent: the frame was not acknowledged within 2 s, the controller reports: no acknowledgement; is another node there")
        == true,
      "\(job.context.failure?.message ?? "")")
  }

  @Test func onceInAWhileIsProgressAndNothingForTwoSecondsIsNone() {
    port.tells = true
    let job = send(every: 0.1)
    job.start(.at(0))
    for tenth in 1...60 {
      // One acknowledged in a second: slow, and not dead.
      if tenth % 10 == 0 { port.counters.confirmed += 1 }
      job.pump(.at(Double(tenth) / 10))
      #expect(!job.context.isDone)
    }
    for tenth in 61...79 { job.pump(.at(Double(tenth) / 10)) }
    #expect(!job.context.isDone)
    job.pump(.at(8))
    #expect(
      job.context.failure?.message.contains(" frames were not acknowledged within 2 s") == true,
      "\(job.context.failure?.message ?? "")")
  }

  @Test func aFullBusIsGivenUpAfterTwoSeconds() {
    port.isFull = true
    let job = send()
    job.start(.at(0))
    job.pump(.at(1.99))
    #expect(!job.context.isDone)
    job.pump(.at(2))
    #expect(
      job.context.failure?.message.hasPrefix("silent: takes no frame; is another node") == true,
      "\(job.context.failure?.message ?? "")")
  }

  @Test func offTheBusIsToldAtOnce() {
    port.tells = true
    let job = send(every: 0.1)
    job.start(.at(0))
    port.put(error(0x40), at: .at(0.05))
    job.pump(.at(0.05))
    #expect(job.context.failure?.message.contains("went off the bus (bus-off)") == true, "\(job.context.failure?.message ?? "")")
  }

  /// The word of a frame may be among those that were lost.
  @Test func wherePartOfWhatCameWasLostNothingIsConcluded() {
    port.tells = true
    let job = send()
    job.start(.at(0))
    port.counters.dropped = 1
    job.pump(.at(0.1))
    #expect(job.context.isDone && job.context.failure == nil)
  }

  @Test func aBusThatGoesAwayTakesTheFrameWithIt() {
    port.tells = true
    let job = send()
    job.start(.at(0))
    port.arrived.append(.lost(.down("silent")))
    job.pump(.at(0.1))
    #expect(job.context.failure?.message == "silent: went away before the frame was on it")
    // One that goes on sends when it is there again.
    let other = SilentPort()
    other.tells = true
    let again = SendJob(JobContext("send", [other]), frame, every_ns: 100_000_000, count: nil)
    again.start(.at(0))
    other.arrived.append(.lost(.down("silent")))
    again.pump(.at(0.05))
    #expect(!again.context.isDone)
  }

  @Test func replayWaitsForTheLastFrameToo() {
    port.tells = true
    let job = ReplayJob(
      JobContext("replay", [port]), [.init(port: 0, frame: frame, due_ns: 0), .init(port: 0, frame: frame, due_ns: 1000)],
      rounds: 1,
      isStepping: false)
    job.start(.at(0))
    job.pump(.at(0.1))
    #expect(port.sends == 2 && !job.context.isDone)
    port.counters.confirmed = 1
    job.pump(.at(1))
    #expect(!job.context.isDone)
    job.pump(.at(3))
    #expect(
      job.context.failure?.message.contains("1 of 2 frames were not acknowledged") == true, "\(job.context.failure?.message ?? "")")
  }
}
