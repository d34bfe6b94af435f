import Bus
import Foundation
import Testing

@testable import HostIO

@Suite struct PcapPacketTests {
  private func frame(_ bytes: [UInt8]) -> CANFrame? { bytes.withUnsafeBytes { PcapPort.frame(from: $0) } }

  @Test func classicAndFDAreToldByTheirSize() {
    let classic: [UInt8] = [0, 0, 3, 0x51, 2, 0, 0, 0, 0xAA, 0xBB, 0, 0, 0, 0, 0, 0]
    #expect(frame(classic) == CANFrame(id: .standard(0x351), length: 2, head: 0xBBAA))
    // As libpcap 1.10.3 hands an FD frame over: flags gone.
    let fd: [UInt8] = [0x80, 0, 3, 0x51, 12, 0, 0, 0] + [UInt8](1...64)
    #expect(frame(fd)?.flags == .fd && frame(fd)?.length == 12 && frame(fd)?.id == .extended(0x351) && frame(fd)?.byte(11) == 12)
    #expect(frame([0x20, 0, 0, 0x40, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])?.flags == .error)
    #expect(frame([0x40, 0, 3, 5, 8, 0, 0, 0])?.flags == .remote)
  }

  @Test func nothingTraps() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(seed)
    for _ in 0..<20_000 {
      let bytes = (0..<random.next() % 74).map { _ in UInt8(truncatingIfNeeded: random.next() & random.next()) }
      if let frame = frame(bytes) { #expect(frame.length <= 64, "seed \(seed)") }
    }
  }
}

/// On real interfaces, as root: tools/vm-test.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && geteuid() == 0), .serialized) struct PcapPortTests {
  @Test func hearsAllKindsAndFilters() throws {
    try SocketCANPortTests.makeInterface("vcan3")
    let all = try PcapPort(interface: "vcan3"), sender = try SocketCANPort(interface: "vcan3")
    let one = try PortOpener.open(PortAddress("pcap://vcan3?link[0:4] & 0x1fffffff = 0x351"))
    let frames = PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors
    for frame in frames { #expect(try sender.send(frame) == .sent) }
    let heard = try PortTesting.frames(all, frames.count)
    // The two flags are lost in libpcap before 1.10.5.
    func plain(_ frame: CANFrame) -> CANFrame {
      var frame = frame
      frame.flags.subtract([.bitRateSwitch, .errorStateIndicator])
      return frame
    }
    #expect(heard.map { plain($0.frame) } == frames.map(plain))
    #expect(heard.allSatisfy { abs($0.time.nanoseconds - PortPoller.wallClock_ns) < 5_000_000_000 })
    #expect(try PortTesting.frames(one, 2).map(\.frame) == [frames[0], frames[3]])
    #expect(throws: PortError.self) { try all.send(frames[0]) }
    #expect(throws: PortError.self) { try PcapPort(interface: "vcan3", filter: "link[") }
    #expect(throws: PortError.notCAN("lo")) { try PcapPort(interface: "lo") }
    #expect(throws: PortError.absent("can77")) { try PcapPort(interface: "can77") }
  }

  @Test func comesBack() throws {
    try SocketCANPortTests.makeInterface("vcan3")
    let port = try PcapPort(interface: "vcan3")
    try SocketCANPortTests.run("ip", "link", "del", "vcan3")
    let lost = try PortTesting.gather(port) { !$0.isEmpty }
    guard case .lost(.vanished("vcan3"))? = lost.first else { return #expect(Bool(false), "\(lost)") }
    try SocketCANPortTests.makeInterface("vcan3", up: false)
    let down = PortError.down("vcan3", isVirtual: true)
    #expect(try PortTesting.gather(port) { !$0.isEmpty }.first?.loss == down)
    try SocketCANPortTests.run("ip", "link", "set", "vcan3", "up")
    #expect(try PortTesting.gather(port) { !$0.isEmpty }.first?.isReturn == true)
    // Taken down it has not gone: libpcap goes on by itself once it is up.
    try SocketCANPortTests.run("ip", "link", "set", "vcan3", "down")
    try SocketCANPortTests.run("ip", "link", "set", "vcan3", "up")
    _ = try SocketCANPort(interface: "vcan3").send(PortTesting.everyKind[0])
    #expect(try PortTesting.frames(port, 1).map(\.frame) == [PortTesting.everyKind[0]])
  }
}
