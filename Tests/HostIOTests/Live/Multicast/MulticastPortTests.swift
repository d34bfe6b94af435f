import Bus
import Foundation
import Testing

@testable import HostIO

/// Each test has a UDP port of its own, so that neither tests nor other runs on this machine hear each other.
@Suite struct MulticastPortTests {
  private let port = UInt16.random(in: 20_000..<32_000)

  @Test func othersHearItAndItDoesNotHearItself() throws {
    let a = try MulticastPort(port: port), b = try MulticastPort(port: port), c = try MulticastPort(port: port)
    let frames = PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors
    for frame in frames { #expect(try a.send(frame) == .sent) }
    for other in [b, c] {
      let heard = try PortTesting.frames(other, frames.count)
      #expect(heard.map(\.frame) == frames)
      #expect(heard.allSatisfy { $0.direction == .received && abs($0.time.nanoseconds - PortPoller.wallClock_ns) < 60_000_000_000 })
    }
    // b's frame comes to a behind all of a's own, of which none does.
    #expect(try b.send(frames[0]) == .sent)
    #expect(try PortTesting.frames(a, 1).map(\.frame) == [frames[0]])
    #expect(a.counters.sent == UInt64(frames.count) && a.counters.received == 1 && a.counters.malformed == 0)
  }

  @Test func speaksWithPythonCAN() throws {
    let port = try MulticastPort(port: port)
    let frames = PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors
    // Sends back all that it hears, and says how python-can shows each.
    let script = """
      import can, sys
      bus = can.Bus(interface="udp_multicast", channel="239.74.163.2", port=\(self.port), fd=True)
      print("ready", flush=True)
      for n in range(\(frames.count)):
          m = bus.recv(20)
          print(f"{m.arbitration_id:X} {int(m.is_extended_id)}{int(m.is_remote_frame)}{int(m.is_error_frame)}{int(m.is_fd)}"
                f"{int(m.bitrate_switch)}{int(m.error_state_indicator)} {m.dlc} {m.data.hex()}", flush=True)
          bus.send(m)
          bus.recv(20)  # its own, which comes round to it
      """
    let python = try Companion([PortTesting.root + "/.build/venv/bin/python", "-c", script])
    #expect(python.line() == "ready")
    for frame in frames {
      #expect(try port.send(frame) == .sent)
      let flags: [CANFrame.Flags] = [.remote, .error, .fd, .bitRateSwitch, .errorStateIndicator]
      let data = (0..<frame.payloadLength).map { String(format: "%02x", frame.byte($0)) }.joined()
      let bits = (frame.id.isExtended ? "1" : "0") + flags.map { frame.flags.contains($0) ? "1" : "0" }.joined()
      try #require(python.line() == String(format: "%X", frame.id.number) + " \(bits) \(frame.length) \(data)")
      try #require(try PortTesting.frames(port, 1).map(\.frame) == [frame])
    }
    #expect(python.wait() == 0)
  }

  @Test func noiseIsCountedAndPassedOver() throws {
    let listener = try MulticastPort(port: port)
    let python = try Companion([
      "python3", "-c",
      """
      import socket
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      for noise in (b"", b"\\x81", b"hello", b"\\x80", b"\\xff" * 5000): s.sendto(noise, ("239.74.163.2", \(port)))
      """,
    ])
    #expect(python.wait() == 0)
    let speaker = try MulticastPort(port: port)
    _ = try speaker.send(PortTesting.everyKind[0])
    #expect(try PortTesting.frames(listener, 1).count == 1)
    #expect(listener.counters.malformed == 5)
  }

  @Test func saysWhatAGroupIs() {
    for group in ["192.168.0.1", "host", "ff15::1", ""] {
      #expect(throws: PortError.badAddress(group, expected: "an IPv4 multicast address, 224.0.0.0 to 239.255.255.255")) {
        try MulticastPort(group: group, port: 43_113)
      }
    }
  }

  @Test func closingTwiceIsFine() throws {
    let port = try MulticastPort(port: port)
    port.close()
    port.close()
    #expect(port.descriptor == -1)
    #expect(throws: PortError.vanished("udp")) { try port.send(CANFrame()) }
    try port.receive { _ in Issue.record("an event after closing") }
  }
}
