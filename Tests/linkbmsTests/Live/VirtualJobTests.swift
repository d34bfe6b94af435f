import Testing

@testable import linkbms

/// What a virtual end of a link may be told while it runs.
@Suite struct VirtualJobTests {
  private let buses = MemoryBuses()

  /// A battery that has begun; what it had to say is gone.
  private func battery() throws -> any LiveJob {
    var world = MemoryWorld(buses)
    let job = try world.job(["virtual", "battery", "--profile", "deye-hv", "--can", "mem://a"])
    job.start(.at(0))
    _ = job.context.output.takeText()
    return job
  }

  @Test(arguments: [
    ("fault dropped 2", "fault frames-dropped: found \"2\", expected a share of frames, 0 to 1"),
    ("fault corrupted -0.1", "fault frames-corrupted: found \"-0.1\", expected a share of frames, 0 to 1"),
    ("fault duplicated nan", "fault frames-duplicated: found \"nan\", expected a share of frames, 0 to 1"),
    ("fault delayed soon", "fault frames-delayed: found \"soon\", expected seconds, at most 1e9"),
    ("fault off dropped", "fault off: found \"dropped\", expected nothing: no fault acts"),
    ("fault off foo", "fault off: found \"foo\", expected nothing: no fault acts"),
    ("fault foo", "fault: found \"foo\", expected wrong-bit-rate, "),
    ("fault silent-inverter", "fault silent-inverter: is one of the other end, not of the battery"),
    ("set Soc=20 soc=30", "set: found \"soc=30\", expected one value for each quantity"),
    ("set Soc=20 Foo=1", "set: found \"Foo\", expected a quantity"), ("nonsense", "found \"nonsense\", expected fault KIND"),
  ])
  func aLineThatCannotBeObeyedIsAnError(line: String, words: String) throws {
    let job = try battery()
    let error = #expect(throws: WorldError.self) { try job.take(line: line, .at(1)) }
    #expect(error?.message.hasPrefix(words) == true, "\(error?.message ?? "")")
    try job.take(line: "fault", .at(1))
    #expect(job.context.output.takeText() == "no fault\n")
  }

  @Test func faultsThatActAreEndedByNameOrAltogether() throws {
    let job = try battery()
    for line in ["fault dropped 1", "fault delayed 2", "fault frozen-values"] { try job.take(line: line, .at(1)) }
    let error = #expect(throws: WorldError.self) { try job.take(line: "fault off corrupted", .at(1)) }
    #expect(
      error?.message
        == "fault off: found \"corrupted\", expected one that acts: frames-delayed, frames-dropped, frozen-values",
      "\(error?.message ?? "")")
    try job.take(line: "fault off dropped", .at(2))
    _ = job.context.output.takeText()
    try job.take(line: "fault", .at(2))
    #expect(job.context.output.takeText() == "frames-delayed 2.0, frozen-values 1.0\n")
    try job.take(line: "fault off", .at(3))
    // Whoever ends all of them need not know whether there are any.
    try job.take(line: "fault off", .at(3))
    _ = job.context.output.takeText()
    try job.take(line: "fault", .at(3))
    #expect(job.context.output.takeText() == "no fault\n")
  }

  /// The same at the start.
  @Test func aShareOfMoreThanAllIsRefusedAtTheStart() throws {
    var world = MemoryWorld(buses)
    let words = ["virtual", "battery", "--profile", "deye-hv", "--can", "mem://a", "--fault"]
    let error = #expect(throws: WorldError.self) { _ = try world.job(words + ["dropped=1.5"]) }
    #expect(error?.message == "fault frames-dropped: found \"1.5\", expected a share of frames, 0 to 1")
    _ = try world.job(words + ["dropped=1"])
  }

  @Test func aQuantityHasOneValue() throws {
    var world = MemoryWorld(buses)
    let words = ["virtual", "battery", "--profile", "deye-hv", "--can", "mem://a", "--set", "Soc=20", "--set"]
    let error = #expect(throws: WorldError.self) { _ = try world.job(words + ["soc=30"]) }
    #expect(error?.message == "set: found \"soc=30\", expected one value for each quantity: it has one already")
    _ = try world.job(words + ["PackVoltage=380"])
  }

  /// A bus that was away, or full, for minutes: whoever is there again is told what is, not what was.
  @Test func whatFoundNoRoomInTimeIsNotSentLater() throws {
    var world = MemoryWorld(buses)
    let port = SilentPort()
    world.live.open = { _, _ in port }
    let job = try world.job(["virtual", "inverter", "--profile", "deye-hv", "--can", "x"])
    port.isFull = true
    job.start(.at(0))
    for step in 0..<2400 { job.pump(.at(Double(step) * 0.05)) }
    #expect(port.sends == 0)
    port.isFull = false
    job.pump(.at(120))
    #expect(port.sends <= 2, "\(port.sends)")
    for step in 0..<100 { job.pump(.at(120 + Double(step) * 0.05)) }
    #expect(port.sends >= 5, "it goes on in its rhythm")
    job.stop(.at(126))
    #expect(job.context.output.takeText().contains(" had no room on the bus in time"))
  }
}
