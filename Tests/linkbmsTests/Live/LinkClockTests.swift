import Bus
import Formats
import HostIO
import Testing

@testable import linkbms

/// Ends of a link whose time passes faster than the wall clock's.
@Suite struct LinkClockTests {
  @Test func timesMultiplyAndComeBack() {
    var clock = LinkClock(speed: 60)
    #expect(clock.microseconds(.at(5)) == 0)
    clock.begin(.at(5))
    #expect(clock.microseconds(.at(5.5)) == 30_000_000)
    #expect(clock.microseconds(.at(4)) == 0)
    #expect(clock.monotonic_ns(30_000_000) == 5_500_000_000)
    #expect(clock.monotonic_ns(.max) == .max)
    // When its time has come it has come: nothing is woken for too early.
    for time_us in stride(from: Int64(1), to: 3_000_000_000, by: 7_654_321) {
      let due = LiveTime(monotonic_ns: clock.monotonic_ns(time_us), wall_ns: 0)
      #expect(clock.microseconds(due) >= time_us && clock.microseconds(due) <= time_us + 1)
    }
  }

  /// Frames of both ends with their times, while `seconds` of the wall clock pass.
  private func talk(_ profile: String, speed: Double, seconds: Double) throws -> [(time_us: Double, frame: CANFrame)] {
    let buses = MemoryBuses()
    var world = MemoryWorld(buses)
    let options = ["--profile", profile, "--can", "mem://a", "--speed", "\(speed)"]
    let ends = [try world.job(["virtual", "battery"] + options), try world.job(["virtual", "inverter"] + options)]
    let ear = try buses.open("mem://a")
    var now: Int64 = 1_000_000_000
    let end = now + Int64(seconds * 1e9)
    var heard: [(time_us: Double, frame: CANFrame)] = []
    for job in ends { job.start(LiveTime(monotonic_ns: now, wall_ns: now)) }
    while now < end {
      for _ in 0..<4 { for job in ends { job.pump(LiveTime(monotonic_ns: now, wall_ns: now)) } }
      try ear.receive { event in
        if case .frame(let record) = event { heard.append((Double(now - 1_000_000_000) / 1000 * speed, record.frame)) }
      }
      now = min(end, max(now + 1, ends.map(\.due_ns).min() ?? end))
    }
    #expect(ends[1].context.output.takeText().contains("online"))
    return heard
  }

  @Test(arguments: ["deye-hv", "goodwe", "pylontech-hv", "sofar:sofar1", "sofar:sofar2"])
  func theSameIsSaidAtTheSameTimes(_ profile: String) throws {
    let slow = try talk(profile, speed: 1, seconds: 30)
    let fast = try talk(profile, speed: 60, seconds: 0.5)
    #expect(slow.count > 100)
    #expect(slow.map(\.frame) == fast.map(\.frame))
    let off = zip(slow, fast).map { abs($0.time_us - $1.time_us) }.max() ?? .infinity
    #expect(off < 50, "\(off) µs apart")
  }

  @Test func whatNoLoopCanKeepIsRefused() throws {
    for words in [
      ["virtual", "battery", "--profile", "deye-hv", "--can", "mem://a", "--speed", "601"],
      ["virtual", "inverter", "--profile", "deye-hv", "--can", "mem://a", "--speed", "0"],
      ["virtual", "inverter", "--profile", "deye-hv", "--can", "mem://a", "--speed", "nan"],
      ["run", "--simulate", "x.yaml", "--can", "mem://a", "--speed", "1000"],
    ] {
      var world = MemoryWorld(MemoryBuses())
      #expect(world.run(words) != 0)
      #expect(world.notes.joined().contains("600"), "\(words): \(world.notes)")
    }
  }
}
