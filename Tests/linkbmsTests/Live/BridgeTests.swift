import Bus
import Formats
import HostIO
import Testing

@testable import linkbms

@Suite struct BridgeTests {
  private func frame(_ id: UInt32, _ head: UInt64 = 0) -> CANFrame { CANFrame(id: .extended(id), length: 8, head: head) }

  private func heard(_ port: any BusPort) throws -> [CANFrame] {
    var frames: [CANFrame] = []
    try port.receive { if case .frame(let record) = $0 { frames.append(record.frame) } }
    return frames
  }

  @Test func passesBothWaysAndStaysOnItsSide() throws {
    let buses = MemoryBuses()
    var world = MemoryWorld(buses)
    let job = try world.job(["bridge", "mem://a", "mem://b", "--filter", "4200:1FFFFF00"])
    let (left, right) = (try buses.open("mem://a"), try buses.open("mem://b"))
    job.start(.at(0))
    _ = try left.send(frame(0x4210, 1))
    _ = try left.send(frame(0x7310))
    _ = try right.send(frame(0x4220, 2))
    job.pump(.at(0.05))
    #expect(try heard(right) == [frame(0x4210, 1)])
    #expect(try heard(left) == [frame(0x4220, 2)])
    // What comes in later than an echo could is somebody's own word, even if it is the same.
    _ = try right.send(frame(0x4210, 1))
    job.pump(.at(0.12))
    #expect(try heard(left) == [frame(0x4210, 1)])
    job.stop(.at(0.13))
  }

  @Test func aSecondBridgeMakesNoLoop() throws {
    let buses = MemoryBuses()
    var world = MemoryWorld(buses)
    let one = try world.job(["bridge", "mem://a", "mem://b"])
    let two = try world.job(["bridge", "mem://a", "mem://b"])
    let (left, right) = (try buses.open("mem://a"), try buses.open("mem://b"))
    one.start(.at(0))
    two.start(.at(0))
    _ = try left.send(frame(0x4210, 1))
    var count = 0
    for step in 1...100 {
      one.pump(.at(Double(step) * 0.001))
      two.pump(.at(Double(step) * 0.001))
      count += try heard(right).count + heard(left).count
    }
    #expect(count <= 4, "\(count) frames of one")
    one.stop(.at(1))
    two.stop(.at(1))
    #expect((one.context.output.takeText() + two.context.output.takeText()).contains("come back"))
  }

  /// As they are started where only one direction is to be changed. Nobody hears both at the same moment: either may look first.
  @Test(arguments: [false, true], [[], ["--protocol", "deye-hv", "--set", "PackVoltage=390.5"]] as [[String]])
  func twoBridgesOneWayEachMakeNoLoop(isSecondFirst: Bool, change: [String]) throws {
    let buses = MemoryBuses()
    var world = MemoryWorld(buses)
    let there = try world.job(["bridge", "mem://a", "mem://b", "--one-way"] + change)
    let back = try world.job(["bridge", "mem://b", "mem://a", "--one-way"])
    let (left, right) = (try buses.open("mem://a"), try buses.open("mem://b"))
    let jobs = isSecondFirst ? [back, there] : [there, back]
    for job in jobs { job.start(.at(0)) }
    _ = try left.send(frame(0x4210, 0x0ED8))
    _ = try right.send(frame(0x4200, 7))
    var (leftHeard, rightHeard): ([CANFrame], [CANFrame]) = ([], [])
    for step in 1...200 {
      for job in jobs { job.pump(.at(Double(step) * 0.0001)) }
      leftHeard += try heard(left)
      rightHeard += try heard(right)
    }
    #expect(leftHeard.filter { $0 == frame(0x4200, 7) }.count == 1)
    #expect(rightHeard == [frame(0x4210, change.isEmpty ? 0x0ED8 : 0x0F41)])
    // What was changed is no longer what the other bridge knows: once it comes back, and no further.
    #expect(leftHeard.count <= (change.isEmpty ? 1 : 2), "\(leftHeard.count)")
  }

  /// What a stand-still of one of two bridges may begin ends by itself.
  @Test func whatGoesRoundUnrecognisedEnds() throws {
    let (left, right) = (SilentPort(), SilentPort())
    let job = try bridge(left, right)
    job.start(.at(0))
    for step in 1...1000 {
      left.put(frame(0x4210, 1), at: .at(Double(step) * 0.0002))
      left.put(frame(0x4210, UInt64(step) << 8), at: .at(Double(step) * 0.0002))
      job.pump(.at(Double(step) * 0.0002))
    }
    #expect(right.sends == 1000 + EchoGuard.mostRepeats)
    job.stop(.at(0.2))
    #expect(job.context.output.takeText().contains("900 came back and were dropped"))
  }

  private func bridge(_ left: SilentPort, _ right: SilentPort, _ words: String...) throws -> any LiveJob {
    var world = MemoryWorld(MemoryBuses())
    world.live.open = { address, _ in address == "left" ? left : right }
    return try world.job(["bridge", "left", "right"] + words)
  }

  @Test func whatAProgramOfThisMachineSentPassesToo() throws {
    let (left, right) = (SilentPort(), SilentPort())
    let job = try bridge(left, right)
    job.start(.at(0))
    for direction in [Direction.transmitted, .received, .unknown] {
      left.arrived.append(
        .frame(CANRecord(time: nil, direction: direction, frame: frame(0x4210, UInt64(direction.rawValue)))))
    }
    job.pump(.at(0.01))
    #expect(right.sends == 3 && left.sends == 0)
  }

  @Test func whatWaitedTooLongForRoomIsDroppedAndTold() throws {
    let (left, right) = (SilentPort(), SilentPort())
    let job = try bridge(left, right)
    job.start(.at(0))
    right.isFull = true
    left.put(frame(0x4210, 1), at: .at(0.01))
    job.pump(.at(0.01))
    left.put(frame(0x4210, 2), at: .at(0.06))
    job.pump(.at(0.06))
    right.isFull = false
    job.pump(.at(0.12))
    #expect(right.sends == 1)
    job.stop(.at(0.13))
    let text = job.context.output.takeText()
    #expect(text.contains("silent → silent-2 1 frames, silent-2 → silent 0, 1 waited for more than 0.1 s"), "\(text)")
    #expect(job.context.status == .findings)
  }

  /// The prompt was busy with something else: what lay in the socket meanwhile is not sent as if it were of now.
  @Test func whatWaitedTooLongForUsIsDroppedAndTold() throws {
    let (left, right) = (SilentPort(), SilentPort())
    let job = try bridge(left, right, "--one-way")
    job.start(.at(0))
    for step in 1...30 { left.put(frame(0x4210, UInt64(step)), at: .at(Double(step) * 0.1 - 0.05)) }
    job.pump(.at(3))
    #expect(right.sends == 1)
    // A bus that was silent for as long has nothing that is old.
    left.put(frame(0x4210, 31), at: .at(9.99))
    job.pump(.at(10))
    #expect(right.sends == 2)
    job.stop(.at(10))
    let text = job.context.output.takeText()
    #expect(text.contains("silent → silent-2 2 frames, 29 waited for more than 0.1 s"), "\(text)")
  }

  /// One CAN FD frame, from a network say, must not cut a battery off its inverter.
  @Test func whatTheOtherBusCannotCarryIsDroppedSaidOnceAndCounted() throws {
    let (left, right) = (SilentPort(), SilentPort())
    right.carriesFD = false
    let job = try bridge(left, right)
    job.start(.at(0))
    var wide = frame(0x4210, 1)
    wide.flags = .fd
    for step in 1...3 {
      left.put(wide, at: .at(Double(step) * 0.01))
      left.put(frame(0x4210, UInt64(step)), at: .at(Double(step) * 0.01))
      job.pump(.at(Double(step) * 0.01))
    }
    #expect(right.sends == 3 && !job.context.isDone && job.context.failure == nil)
    job.stop(.at(1))
    let lines = job.context.output.takeText().split(separator: "\n")
    #expect(lines.first == "linkbms: silent-2 is right" && lines.count == 3, "\(lines)")
    #expect(lines[1] == "linkbms: silent: cannot send CAN FD frames; such frames are dropped", "\(lines)")
    #expect(lines.last == "linkbms: silent → silent-2 3 frames, silent-2 → silent 0, 3 could not be sent there", "\(lines)")
    #expect(job.context.status == .findings)
  }

  /// Counted from when the adapter was plugged in, say.
  @Test func aClockOfItsOwnMakesNoFrameOld() throws {
    let (left, right) = (SilentPort(), SilentPort())
    left.usesSystemClock = false
    let job = try bridge(left, right, "--one-way")
    job.start(.at(0))
    let time = Timestamp(nanoseconds: 5_000_000_000)
    left.arrived.append(.frame(CANRecord(time: time, precision: .nanoseconds, frame: frame(0x4210, 1))))
    job.pump(.at(10))
    #expect(right.sends == 1)
  }

  @Test func changesAndRenamesOnTheWay() throws {
    let buses = MemoryBuses()
    var world = MemoryWorld(buses)
    let job = try world.job([
      "bridge", "mem://a", "mem://b", "--one-way", "--protocol", "deye-hv", "--set", "PackVoltage=390.5", "--map-id", "4210=4211",
    ])
    let (left, right) = (try buses.open("mem://a"), try buses.open("mem://b"))
    job.start(.at(0))
    _ = try left.send(frame(0x4210, 0x1122_3344_5566_0ED8))
    _ = try right.send(frame(0x4200))
    job.pump(.at(0.05))
    #expect(try heard(right) == [frame(0x4211, 0x1122_3344_5566_0F41)])
    #expect(try heard(left).isEmpty, "one way")
    #expect(throws: (any Error).self) { try world.job(["bridge", "mem://a", "mem://a"]) }
    #expect(throws: (any Error).self) { try world.job(["bridge", "mem://a", "mem://b", "--set", "PackVoltage=1"]) }
    #expect(throws: (any Error).self) { try world.job(["bridge", "can0", "can0,351:7FF"]) }
    // 1e12 V, too, and not what is left of it.
    for (value, shown) in [("99999", "99999"), ("-0.1", "-0.1"), ("1e12", "1000000000000")] {
      let error = #expect(throws: WorldError.self) {
        _ = try world.job(["bridge", "mem://a", "mem://b", "--protocol", "deye-hv", "--set", "PackVoltage=\(value)"])
      }
      #expect(error?.message == "--set: PackVoltage cannot hold \(shown), expected 0.0 to 6553.5 V", "\(error?.message ?? "")")
    }
  }

  @Test func aSignalIsSetOnce() throws {
    var world = MemoryWorld(MemoryBuses())
    let words = ["bridge", "mem://a", "mem://b", "--protocol", "deye-hv", "--set", "PackVoltage=380", "--set"]
    let error = #expect(throws: WorldError.self) { _ = try world.job(words + ["PackVoltage=390"]) }
    #expect(error?.message == "--set: PackVoltage is given twice, expected one value", "\(error?.message ?? "")")
    _ = try world.job(words + ["Soc=50"])
  }

  @Test func bothBusesHaveToBeArmed() throws {
    var world = MemoryWorld(MemoryBuses(), needsArm: true)
    world.live.arm("mem://b")
    #expect(throws: WorldError.self) { try world.job(["bridge", "mem://a", "mem://b"]) }
    _ = try world.job(["bridge", "mem://a", "mem://b", "--one-way"])
  }
}

@Suite struct MonitorTableTests {
  private func record(_ head: UInt64, id: UInt32 = 0x4210) -> CANRecord {
    CANRecord(time: Timestamp(nanoseconds: 1), frame: CANFrame(id: .extended(id), length: 8, head: head))
  }

  private func lines(_ table: MonitorTable, _ now: Int64) -> [String] { table.lines(now, TextStyle(), mark: { $0 + "*" }) }

  @Test func showsPeriodCountAndWhatChanges() {
    var table = MonitorTable(buses: ["can0"], chooser: nil)
    for step in 0..<10 { table.add(record(UInt64(step)), Int64(step) * 100_000_000) }
    var line = lines(table, 900_000_000)[1]
    #expect(line.contains("00004210") && line.contains(" 100.0 ") && line.contains(" 10  09*00 00 "), "\(line)")
    // The mark goes, the value stays.
    line = lines(table, 900_000_000 + MonitorTable.markTime_ns)[1]
    #expect(line.contains("09 00 00") && line.contains("silent"), "\(line)")
    // What has moved is marked no more, what moves anew is.
    table.notch()
    table.add(record(0x0108), 1_000_000_000)
    line = lines(table, 1_000_000_000)[1]
    #expect(line.contains("08 01*"), "\(line)")
    table.clear()
    #expect(lines(table, 0).count == 1)
  }

  @Test func noiseDoesNotFillTheMemory() {
    var table = MonitorTable(buses: ["can0"], chooser: nil)
    for id in 0..<5000 { table.add(record(0, id: UInt32(id)), 0) }
    #expect(lines(table, 0).count == MonitorTable.mostRows + 2 && table.beyond == UInt64(5000 - MonitorTable.mostRows))
  }

  @Test func namesMessagesAndHoldsThePicture() throws {
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    world.live.open = { _, _ in port }
    world.terminal = Terminal(isTerminal: true, columns: 200, rows: 50)
    let job = try world.job(["monitor", "x", "--protocol", "deye-hv"])
    job.start(.at(0))
    port.put(CANFrame(id: .extended(0x4210), length: 8, head: 0x0ED8), at: .at(0))
    job.pump(.at(0.3))
    #expect(job.context.output.takeText().contains("Totals  PackVoltage 380.0 V"))
    job.take(key: UInt8(ascii: "h"), .at(0.4))
    let held = job.context.output.takeText()
    #expect(held.contains("HELD: ") && held.contains("Totals  PackVoltage 380.0 V") && held.contains("h go on"), "\(held)")
    port.put(CANFrame(id: .extended(0x4210), length: 8, head: 0x0BB8), at: .at(0.9))
    job.pump(.at(1))
    #expect(job.context.output.takeText().isEmpty)
    job.take(key: UInt8(ascii: "h"), .at(2))
    job.pump(.at(2))
    let again = job.context.output.takeText()
    #expect(again.contains("PackVoltage 300.0 V") && !again.contains("HELD"), "\(again)")
    job.take(key: UInt8(ascii: "q"), .at(3))
    #expect(job.context.isDone && port.sends == 0)
  }
}
