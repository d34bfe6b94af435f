import Bus
import Testing

@testable import HostIO

@Suite struct PortSharingTests {
  /// A port that hands out what it was given once, as a serial line does.
  final class Device: BusPort {
    let name = "ttyACM0"
    let descriptor: Int32 = 7
    let listenOnly: Bool
    var counters = PortCounters()
    var arrived: [PortEvent] = []
    var sent: [CANFrame] = []
    var failure: PortError?
    var isClosed = false

    init(listenOnly: Bool) { self.listenOnly = listenOnly }

    func receive(_ take: (PortEvent) -> Void) throws(PortError) {
      let events = arrived
      arrived = []
      for event in events { take(event) }
      if let failure { throw failure }
    }
    func send(_ frame: CANFrame) throws(PortError) -> SendResult {
      if sent.count == 2 { return .full }
      sent.append(frame)
      return .sent
    }
    func close() { isClosed = true }
  }

  final class Bench {
    var opened: [Device] = []
    var refuses = false
    lazy var sharing = PortSharing { [unowned self] (_, listenOnly) throws(PortError) in
      if refuses { throw .absent("ttyACM0") }
      opened.append(Device(listenOnly: listenOnly))
      return opened[opened.count - 1]
    }
    let address = PortAddress.slcan(device: "/dev/ttyACM0", bitRate: 500_000)
  }

  private func event(_ id: UInt32) -> PortEvent {
    .frame(CANRecord(time: Timestamp(nanoseconds: 1), direction: .received, frame: CANFrame(id: .standard(id), length: 0, head: 0)))
  }

  private func ids(_ port: any BusPort) throws -> [UInt32] {
    var events: [PortEvent] = []
    try port.receive { events.append($0) }
    return events.records.map(\.frame.id.number)
  }

  @Test func eachUserGetsEverything() throws {
    let bench = Bench()
    let one = try bench.sharing.open(bench.address, listenOnly: true)
    let other = try bench.sharing.open(bench.address, listenOnly: true)
    #expect(bench.opened.count == 1 && bench.opened[0].listenOnly)
    bench.opened[0].arrived = [event(1), event(2), .lost(.vanished("ttyACM0")), .returned]
    #expect(other.wakeTime_ns == nil)
    #expect(try ids(one) == [1, 2])
    // The descriptor says nothing any more: it has to be looked at without.
    #expect(other.wakeTime_ns == 0)
    bench.opened[0].arrived = [event(3)]
    #expect(try ids(other) == [1, 2, 3])
    #expect(try ids(one) == [3])
    #expect(one.counters.received == 3 && other.counters.received == 3 && one.wakeTime_ns == nil)
  }

  @Test func whatOneSendsTheOthersSee() throws {
    let bench = Bench()
    let sender = try bench.sharing.open(bench.address)
    let listener = try bench.sharing.open(bench.address, listenOnly: true)
    let frame = CANFrame(id: .standard(0x351), length: 1, head: 9)
    #expect(try sender.send(frame) == .sent)
    var seen: [CANRecord] = []
    try listener.receive { if case .frame(let record) = $0 { seen.append(record) } }
    #expect(seen.map(\.frame) == [frame] && seen.map(\.direction) == [.transmitted])
    #expect(try ids(sender).isEmpty)
    #expect(throws: PortError.self) { _ = try listener.send(frame) }
    #expect(try sender.send(frame) == .sent && sender.send(frame) == .full)
    #expect(try ids(listener) == [0x351])
    #expect(sender.counters.sent == 2 && sender.counters.refused == 1 && bench.opened[0].sent == [frame, frame])
  }

  @Test func itOnlyListensAsLongAsAllDo() throws {
    let bench = Bench()
    let listener = try bench.sharing.open(bench.address, listenOnly: true)
    bench.opened[0].arrived = [event(1)]
    bench.opened[0].counters.dropped = 3
    let sender = try bench.sharing.open(bench.address)
    #expect(bench.opened.map(\.listenOnly) == [true, false] && bench.opened[0].isClosed)
    // What came before is not lost, and what was counted stays.
    #expect(try ids(listener) == [1] && ids(sender).isEmpty)
    #expect(listener.counters.dropped == 3)
    sender.close()
    #expect(bench.opened.map(\.listenOnly) == [true, false, true] && bench.opened[1].isClosed)
    sender.close()
    bench.opened[2].arrived = [event(2)]
    #expect(try ids(listener) == [2] && listener.descriptor == 7 && sender.descriptor == -1)
    #expect(throws: PortError.self) { _ = try sender.send(CANFrame()) }
    listener.close()
    #expect(bench.opened[2].isClosed && bench.opened.count == 3)
    _ = try bench.sharing.open(bench.address)
    #expect(bench.opened.count == 4)
  }

  @Test func oneDeviceHasOneBitRate() throws {
    let bench = Bench()
    let port = try bench.sharing.open(bench.address)
    let other = PortAddress.slcan(device: "/dev/ttyACM0", bitRate: 250_000)
    #expect {
      _ = try bench.sharing.open(other)
    } throws: {
      "\($0)".contains("in use as slcan:///dev/ttyACM0@500000")
    }
    #expect(throws: PortError.self) {
      _ = try bench.sharing.open(.slcan(device: "/dev/ttyACM0", bitRate: 500_000, serialRate: 57_600))
    }
    // Whether it is asked for its state is no other bus.
    let asking = try bench.sharing.open(.slcan(device: "/dev/ttyACM0", bitRate: 500_000, asksState: false))
    #expect(bench.opened.count == 1)
    asking.close()
    port.close()
    _ = try bench.sharing.open(other)
    #expect(bench.opened.count == 2)
  }

  @Test func whatFailsFailsForAllAndCanBeOpenedAgain() throws {
    let bench = Bench()
    let one = try bench.sharing.open(bench.address, listenOnly: true)
    let other = try bench.sharing.open(bench.address, listenOnly: true)
    bench.refuses = true
    #expect(throws: PortError.absent("ttyACM0")) { _ = try bench.sharing.open(bench.address) }
    for port in [one, other] {
      #expect(port.wakeTime_ns == 0)
      #expect(throws: PortError.absent("ttyACM0")) { try port.receive { _ in } }
    }
    bench.refuses = false
    let next = try bench.sharing.open(bench.address)
    bench.opened[1].arrived = [event(5)]
    bench.opened[1].failure = .vanished("ttyACM0")
    var seen = 0
    #expect(throws: PortError.vanished("ttyACM0")) { try next.receive { _ in seen += 1 } }
    // What came before the end counts.
    #expect(seen == 1)
    one.close()
    other.close()
    next.close()
  }

  @Test func oneWhoDoesNotLookLosesAndKnowsIt() throws {
    let bench = Bench()
    let one = try bench.sharing.open(bench.address)
    let idle = try bench.sharing.open(bench.address)
    for _ in 0..<(SharedPort.capacity / 1024 + 1) {
      bench.opened[0].arrived = (0..<1024).map { event(UInt32($0)) }
      try one.receive { _ in }
    }
    #expect(idle.counters.dropped == 1024 && one.counters.dropped == 0)
    #expect(try ids(idle).count == SharedPort.capacity)
  }

  @Test func otherBusesAreOpenedForEach() throws {
    let bench = Bench()
    for _ in 0..<2 { _ = try bench.sharing.open(.socketCAN(interface: "can0"), listenOnly: true) }
    #expect(bench.opened.count == 2)
  }
}
