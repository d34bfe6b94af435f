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

  /// Tenths of a millisecond, from frame to frame.
  private func tenth(_ number: Int) -> LiveTime { LiveTime(monotonic_ns: Int64(number) * 100_000, wall_ns: 0) }

  @Test func whatHasNoRoomAtItsTimeIsCountedAndTold() {
    port.isFull = true
    let job = send(every: 0.0001)
    job.start(tenth(0))
    for step in 1...5000 { job.pump(tenth(step)) }
    #expect(port.sends == 0 && !job.context.isDone)
    // A full bus is tried again each millisecond, at 5005 for the next time: then everything goes out, and what is due in time does.
    port.isFull = false
    for step in 5001...5010 { job.pump(tenth(step)) }
    #expect(port.sends == SendQueue.capacity + 5)
    job.stop(tenth(5010))
    let text = job.context.output.takeText()
    #expect(text.contains("silent: 910 of 5011 frames were not sent at their time"), "\(text)")
    #expect(job.context.status == .findings)
  }

  @Test func aNumberThatWasOrderedIsSentWholeHoweverSlowTheBus() {
    port.isFull = true
    let job = send(every: 0.0001, count: 5000)
    job.start(tenth(0))
    for step in 1...5000 { job.pump(tenth(step)) }
    // The queue says when to look again, not the frame that has no room: that would be at once, again and again.
    #expect(job.due_ns > tenth(5000).monotonic_ns)
    port.isFull = false
    for step in 5001...7000 { job.pump(tenth(step)) }
    #expect(port.sends == 5000 && job.context.isDone)
    job.stop(tenth(7001))
    #expect(job.context.status == .done && job.context.output.takeText().isEmpty)
  }

  @Test func timesThatPassedWhileNobodyLookedAreCounted() {
    let job = send(every: 0.1)
    job.start(.at(0))
    job.pump(.at(1))
    job.stop(.at(1))
    #expect(job.context.status == .findings && job.context.output.takeText().contains("7 of 9 frames were not sent at their time"))
  }

  /// Only a bridge's frames grow old.
  @Test func whatIsSentOnPurposeIsSentHoweverLate() {
    port.isFull = true
    let job = send(every: 1.5, count: 2)
    job.start(.at(0))
    job.pump(.at(1.5))
    port.isFull = false
    job.pump(.at(1.6))
    #expect(port.sends == 2 && job.context.isDone && job.context.failure == nil)
    let other = SilentPort()
    other.isFull = true
    let replay = ReplayJob(JobContext("replay", [other]), [.init(port: 0, frame: frame, due_ns: 0)], rounds: 1, isStepping: false)
    replay.start(.at(0))
    other.isFull = false
    replay.pump(.at(1))
    #expect(other.sends == 1 && replay.context.isDone)
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

  @Test func aValueThatItsSignalCannotCarryIsAnErrorThatNamesTheRange() {
    var world = MemoryWorld(MemoryBuses())
    for (value, words) in [
      ("Soc=500", "Soc: cannot hold 500, expected 0 to 255 %; other payloads are sent as ID#DATA"),
      ("Soc=-1", "Soc: cannot hold -1, expected 0 to 255 %"), ("PackVoltage=6553.6", "expected 0.0 to 6553.5 V"),
      ("PackVoltage=nan", "PackVoltage: cannot hold that value: expected a number"), ("Soc=inf", "Soc: cannot hold that value"),
    ] {
      #expect(world.run(["send", "mem://a", "--protocol", "deye-hv", "Totals", value]) == 2)
      #expect(world.notes.last?.contains(words) == true, "\(world.notes)")
    }
    #expect(world.run(["send", "mem://a", "--protocol", "deye-hv", "Totals", "Soc=255", "PackVoltage=6553.5"]) == 0)
  }

  /// Another address, a part of a text or one of two values would be something else than was asked for.
  @Test(
    arguments: [
      (["--protocol", "pylontech-hv", "--address", "200", "Totals", "PackVoltage=380"], "--address: found 200, expected 0 to 15"),
      (["--protocol", "pylontech-hv", "--address", "16", "Totals"], "--address: found 16, expected 0 to 15"),
      (["--protocol", "deye-hv", "--address", "99", "Poll"], "--address: found 99, expected none: Poll has no addresses"),
      (["--address", "1", "4200#00"], "--address: found 1, expected none: 4200#00 says its ID itself"),
      (
        ["--protocol", "deye-hv", "Name1", "NamePart1=DeyeDeyeDeyeDeye"],
        "NamePart1: cannot hold that text, expected at most 8 bytes"
      ),
      (
        ["--protocol", "deye-hv", "Totals", "PackVoltage=380", "PackVoltage=390"], "PackVoltage is given twice, expected one value"
      ),
    ] as [([String], String)])
  func whatCannotBeSentAsAskedIsRefused(words: [String], error: String) throws {
    let buses = MemoryBuses()
    let ear = try buses.open("mem://a")
    var world = MemoryWorld(buses)
    let status = world.run(["send", "mem://a"] + words)
    #expect(status == 2 && world.notes.last?.contains(error) == true, "\(world.notes)")
    try ear.receive { _ in Issue.record("something was sent") }
  }

  @Test func addressAndTextAreSentAsAsked() throws {
    let buses = MemoryBuses()
    let ear = try buses.open("mem://a")
    var world = MemoryWorld(buses)
    #expect(world.run(["send", "mem://a", "--protocol", "pylontech-hv", "--address", "15", "Totals"]) == 0, "\(world.notes)")
    #expect(world.run(["send", "mem://a", "--protocol", "deye-hv", "Name1", "NamePart1=Deye"]) == 0, "\(world.notes)")
    var frames: [CANFrame] = []
    try ear.receive { if case .frame(let record) = $0 { frames.append(record.frame) } }
    #expect(frames.map(\.id) == [.extended(0x421F), .extended(0x7330)])
    #expect(frames.last?.head == 0x6579_6544)
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
