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
    job.pump(.at(1))
    #expect(try heard(right) == [frame(0x4210, 1)])
    #expect(try heard(left) == [frame(0x4220, 2)])
    // What comes in later than an echo could is somebody's own word, even if it is the same.
    _ = try right.send(frame(0x4210, 1))
    job.pump(.at(2))
    #expect(try heard(left) == [frame(0x4210, 1)])
    job.stop(.at(3))
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
    #expect(one.context.output.takeText().contains("come back"))
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
    job.pump(.at(1))
    #expect(try heard(right) == [frame(0x4211, 0x1122_3344_5566_0F41)])
    #expect(try heard(left).isEmpty, "one way")
    #expect(throws: (any Error).self) { try world.job(["bridge", "mem://a", "mem://a"]) }
    #expect(throws: (any Error).self) { try world.job(["bridge", "mem://a", "mem://b", "--set", "PackVoltage=1"]) }
    #expect(throws: (any Error).self) {
      try world.job(["bridge", "mem://a", "mem://b", "--protocol", "deye-hv", "--set", "PackVoltage=99999"])
    }
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
    job.pump(.at(1))
    #expect(job.context.output.takeText().isEmpty)
    job.take(key: UInt8(ascii: "h"), .at(2))
    job.pump(.at(2))
    #expect(!job.context.output.takeText().isEmpty)
    job.take(key: UInt8(ascii: "q"), .at(3))
    #expect(job.context.isDone && port.sends == 0)
  }
}
