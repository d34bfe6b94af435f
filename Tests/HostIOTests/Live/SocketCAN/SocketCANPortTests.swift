import Bus
import Foundation
import Testing

@testable import HostIO

/// With a kernel that has CAN, as root, where vcan0 is up and takes FD frames: tools/vm-test.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && geteuid() == 0), .serialized) struct SocketCANPortTests {
  /// A virtual interface of one test's own, up unless asked otherwise.
  static func makeInterface(_ name: String, mtu: Int = 72, up: Bool = true) throws {
    // What an earlier test left.
    if (try? CANInterface(name)) != nil { try run("ip", "link", "del", name) }
    try run("ip", "link", "add", name, "type", "vcan")
    try run("ip", "link", "set", name, "mtu", String(mtu))
    if up { try run("ip", "link", "set", name, "up") }
  }

  static func run(_ arguments: String...) throws {
    let companion = try Companion(arguments)
    try #require(companion.wait() == 0, "\(arguments)")
  }

  private let all = PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors

  @Test func everyKindGoesFromPortToPort() throws {
    try Self.makeInterface("vcan1")
    let a = try SocketCANPort(interface: "vcan1"), b = try SocketCANPort(interface: "vcan1")
    #expect(a.isFD)
    for frame in all { #expect(try a.send(frame) == .sent) }
    let heard = try PortTesting.frames(b, all.count)
    #expect(heard.map(\.frame) == all)
    #expect(heard.allSatisfy { $0.direction == .transmitted && $0.precision == .nanoseconds })
    let times = heard.map(\.time.nanoseconds)
    // Both processors of an emulated machine stamp, and their clocks are not one clock.
    #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 > -1_000_000 }, "\(times)")
    #expect(abs((times.last ?? 0) - PortPoller.wallClock_ns) < 5_000_000_000)
    // Of its own the sender hears none: b's frame is the first.
    #expect(try b.send(all[0]) == .sent)
    #expect(try PortTesting.frames(a, 1).map(\.frame) == [all[0]])
    #expect(a.counters.sent == UInt64(all.count) && a.counters.received == 1)
  }

  @Test func ownFramesComeIfAskedForAndTheRawDLCStays() throws {
    try Self.makeInterface("vcan1")
    var options = SocketCANPort.Options()
    options.ownFrames = true
    options.hardwareTime = true
    let port = try SocketCANPort(interface: "vcan1", options: options)
    var frame = all[0]
    frame.rawDLC = 13
    #expect(try port.send(frame) == .sent)
    let heard = try PortTesting.frames(port, 1)
    #expect(heard.map(\.frame) == [frame] && heard.first?.direction == .transmitted)
    #expect(abs((heard.first?.time.nanoseconds ?? 0) - PortPoller.wallClock_ns) < 5_000_000_000)
  }

  @Test func filtersAreTheKernels() throws {
    try Self.makeInterface("vcan1")
    let a = try SocketCANPort(interface: "vcan1"), b = try SocketCANPort(interface: "vcan1")
    func heard(_ filters: [SocketCANPort.Filter], joined: Bool = false) throws -> [UInt32] {
      try b.setFilters(filters, joined: joined)
      for number in [0x351, 0x355, 0x305] as [UInt32] { _ = try a.send(CANFrame(id: .standard(number), length: 0, head: 0)) }
      // A virtual bus delivers before `send` returns: what waits is all there is.
      var heard: [UInt32] = []
      try b.receive { heard += [$0].records.map(\.frame.id.number) }
      return heard
    }
    #expect(try heard([.init(id: 0x351, mask: 0xC000_07FF)]) == [0x351])
    #expect(try heard([.init(id: 0x350, mask: 0x7F0)]) == [0x351, 0x355])
    #expect(try heard([.init(id: 0x350, mask: 0x7F0, isInverted: true)]) == [0x305])
    #expect(try heard([.init(id: 0x350, mask: 0x7F0), .init(id: 0x351, mask: 0x7FF, isInverted: true)], joined: true) == [0x355])
    #expect(try heard([]) == [])
    #expect(throws: PortError.system(HostError("vcan1", attempt: "set 513 filters", code: EINVAL))) {
      try b.setFilters(.init(repeating: .init(id: 0, mask: 0), count: 513))
    }
  }

  @Test func canUtilsHearAndAreHeard() throws {
    try Self.makeInterface("vcan1")
    let port = try SocketCANPort(interface: "vcan1")
    let candump = try Companion(["candump", "-L", "vcan1,0:0,#1FFFFFFF"])
    // Until it listens, it hears nothing: knock until it answers.
    let end = PortPoller.now_ns + 20_000_000_000
    while PortPoller.wait([candump.outputDescriptor], until_ns: PortPoller.now_ns + 50_000_000) != [true], PortPoller.now_ns < end {
      _ = try port.send(CANFrame(id: .standard(0x7F0), length: 0, head: 0))
    }
    for frame in all { #expect(try port.send(frame) == .sent) }
    var lines: [String] = []
    while lines.count < all.count, let line = candump.line() {
      let words = line.split(separator: " ").map(String.init)
      if words.last != "7F0#" { lines.append(words.last ?? "") }
    }
    #expect(
      lines.prefix(7) == [
        "351#0102030405060708", "000#", "7FF#FF", "00000351#AABB", "1FFFFFFF#00FF00", "305#R8", "00004200#R",
      ])
    #expect(
      lines.count == all.count && ["123##0", "123##4"].contains(lines[7]) && lines[all.count - 1] == "20000040#0000000000006000")

    for (text, frame) in [("351#0102030405060708", all[0]), ("00000351#AABB", all[3]), ("305#R8", all[5]), ("123##3", all[10])] {
      try Self.run("cansend", "vcan1", text)
      #expect(try PortTesting.frames(port, 1).map(\.frame) == [frame], "\(text)")
    }
    try Self.run("cangen", "vcan1", "-n", "100", "-g", "0", "-I", "1", "-L", "8", "-D", "i")
    let generated = try PortTesting.frames(port, 100)
    #expect(generated.map { $0.frame.byte(0) } == (0..<100).map { UInt8($0) })
  }

  @Test func whatGoesDownOrAwayComesBack() throws {
    try Self.makeInterface("vcan1")
    let port = try SocketCANPort(interface: "vcan1")
    try port.setFilters([.init(id: 0x351, mask: 0x7FF)])
    for (leave, error, again) in [
      ([["link", "set", "vcan1", "down"]], PortError.down("vcan1", isVirtual: true), [["link", "set", "vcan1", "up"]]),
      (
        [["link", "del", "vcan1"]], .vanished("vcan1"),
        [["link", "add", "vcan1", "type", "vcan"], ["link", "set", "vcan1", "mtu", "16"], ["link", "set", "vcan1", "up"]]
      ),
    ] {
      for words in leave { #expect(try Companion(["ip"] + words).wait() == 0) }
      let lost = try PortTesting.gather(port) { !$0.isEmpty }
      guard case .lost(let reason)? = lost.last else { return #expect(Bool(false), "\(lost)") }
      // A removed interface goes down first: either is true.
      #expect(reason == error || reason == .down("vcan1", isVirtual: true) || reason == .down("vcan1"))
      #expect(port.descriptor == -1 && port.wakeTime_ns != nil)
      #expect(try port.send(all[0]) == .full)
      for words in again { #expect(try Companion(["ip"] + words).wait() == 0) }
      // Between the steps it may be away for another reason.
      let returned = try PortTesting.gather(port) { $0.contains(where: \.isReturn) }
      guard returned.contains(where: \.isReturn) else { return #expect(Bool(false), "\(returned)") }
      // Filters are set again.
      let other = try SocketCANPort(interface: "vcan1")
      _ = try other.send(CANFrame(id: .standard(0x100), length: 0, head: 0))
      _ = try other.send(all[0])
      #expect(try PortTesting.frames(port, 1).map(\.frame) == [all[0]])
    }
    #expect(!port.isFD)
    do throws(PortError) {
      _ = try port.send(PortTesting.everyFDKind[0])
      Issue.record("sent")
    } catch {
      guard case .unsendable = error else { return #expect(Bool(false), "\(error)") }
      #expect(error.description.contains("ip link set vcan1 mtu 72"))
    }
    // It was the frame, not the port.
    #expect(try port.send(all[0]) == .sent)
  }

  /// As an adapter that is pulled and plugged in again: it is there, and down, until somebody sets it up.
  @Test func eachReasonOfALossIsTold() throws {
    try Self.makeInterface("vcan1")
    let port = try SocketCANPort(interface: "vcan1")
    func isTold(_ reason: PortError) throws -> Bool {
      try PortTesting.gather(port) { events in events.contains { $0.loss == reason } }.contains { $0.loss == reason }
    }
    try Self.run("ip", "link", "del", "vcan1")
    #expect(try isTold(.vanished("vcan1")))
    try Self.makeInterface("vcan1", up: false)
    #expect(try isTold(.down("vcan1", isVirtual: true)))
    try Self.run("ip", "link", "set", "vcan1", "up")
    #expect(try PortTesting.gather(port) { !$0.isEmpty }.first?.isReturn == true)
  }

  @Test func anAddressFiltersInTheKernelFromTheFirstFrameOn() throws {
    try Self.makeInterface("vcan1")
    let port = try PortOpener.open(PortAddress("vcan1,351:7FF,#40?time=hardware"))
    let sender = try SocketCANPort(interface: "vcan1")
    for frame in all { #expect(try sender.send(frame) == .sent) }
    #expect(try PortTesting.frames(port, 3).map(\.frame) == [all[0], all[3], PortTesting.errors[2]])
    // The kernel would keep back what it sent itself.
    #expect(try port.confirmSending() == false)
    #expect(!port.usesSystemClock && sender.usesSystemClock && sender.advice.room == nil)
  }

  @Test func whatCannotBeOpenedSaysWhy() throws {
    try Self.makeInterface("vcan1", up: false)
    #expect(throws: PortError.down("vcan1", isVirtual: true)) { try SocketCANPort(interface: "vcan1") }
    #expect(throws: PortError.absent("can77")) { try SocketCANPort(interface: "can77") }
    #expect(throws: PortError.notCAN("lo")) { try SocketCANPort(interface: "lo") }
  }

  /// The kernel's own count and ours: every frame is accounted for.
  @Test func framesThatFindNoRoomAreCounted() throws {
    try Self.makeInterface("vcan1")
    var options = SocketCANPort.Options()
    options.waitingBytes = 65_536
    let narrow = try SocketCANPort(interface: "vcan1", options: options), wide = try SocketCANPort(interface: "vcan1")
    let sender = try SocketCANPort(interface: "vcan1")
    let count: UInt64 = 10_000
    for number in 0..<count { #expect(try sender.send(CANFrame(id: .standard(1), length: 8, head: number)) == .sent) }
    let heard = try PortTesting.frames(wide, Int(count))
    #expect(heard.map(\.frame.head) == Array(0..<count) && wide.counters.dropped == 0)
    try narrow.receive { _ in }
    #expect(narrow.counters.received < count)
    // The kernel tells its count beside the next frame.
    _ = try sender.send(all[0])
    try narrow.receive { _ in }
    #expect(narrow.counters.received + narrow.counters.dropped == count + 1)
  }
}
