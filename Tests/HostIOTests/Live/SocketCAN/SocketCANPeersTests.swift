import Bus
import Foundation
import Testing

@testable import HostIO

/// Other programs on the same bus: tools/vm-test.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && geteuid() == 0), .serialized) struct SocketCANPeersTests {
  @Test func speaksWithPythonCAN() throws {
    try SocketCANPortTests.makeInterface("vcan2")
    let port = try SocketCANPort(interface: "vcan2")
    let frames = PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors
    // Sends back all that it hears; error frames it can only hear.
    let script = """
      import can
      bus = can.Bus(interface="socketcan", channel="vcan2", fd=True)
      print("ready", flush=True)
      for n in range(\(frames.count)):
          m = bus.recv(20)
          print(f"{m.arbitration_id:X} {int(m.is_extended_id)}{int(m.is_remote_frame)}{int(m.is_error_frame)}{int(m.is_fd)}"
                f"{int(m.bitrate_switch)}{int(m.error_state_indicator)} {m.dlc} {m.data.hex()}", flush=True)
          if not m.is_error_frame: bus.send(m)
      bus.shutdown()
      """
    let python = try Companion([PortTesting.root + "/.build/venv/bin/python", "-c", script])
    try #require(python.line() == "ready")
    for frame in frames {
      #expect(try port.send(frame) == .sent)
      let flags: [CANFrame.Flags] = [.remote, .error, .fd, .bitRateSwitch, .errorStateIndicator]
      let data = (0..<frame.payloadLength).map { String(format: "%02x", frame.byte($0)) }.joined()
      let bits = (frame.id.isExtended ? "1" : "0") + flags.map { frame.flags.contains($0) ? "1" : "0" }.joined()
      try #require(python.line() == String(format: "%X", frame.id.number) + " \(bits) \(frame.length) \(data)")
      if !frame.flags.contains(.error) { try #require(try PortTesting.frames(port, 1).map(\.frame) == [frame]) }
    }
    #expect(python.wait() == 0)
  }

  @Test func hearsWhatCanplayerPlays() throws {
    try SocketCANPortTests.makeInterface("vcan2")
    let port = try SocketCANPort(interface: "vcan2")
    let log = "/tmp/played.log"
    try "(1.000000) can0 351#0102030405060708\n(1.010000) can0 305#R8\n(1.020000) can0 1FFFFFFF#00FF00\n".write(
      toFile: log, atomically: true, encoding: .utf8)
    try SocketCANPortTests.run("canplayer", "-I", log, "vcan2=can0")
    #expect(
      try PortTesting.frames(port, 3).map(\.frame) == [
        PortTesting.everyKind[0], PortTesting.everyKind[5], PortTesting.everyKind[4],
      ])
  }

  /// As fast as the machine can: nothing is lost, here and with candump.
  @Test func aSaturatedBusIsHeardToTheLastFrame() throws {
    try SocketCANPortTests.makeInterface("vcan2")
    let port = try SocketCANPort(interface: "vcan2"), marker = try SocketCANPort(interface: "vcan2")
    let dump = "/tmp/saturated.log"
    let candump = try Companion(["sh", "-c", "exec candump -L -d -r 67108864 vcan2 > \(dump)"])
    func dumped() -> Data { (try? Data(contentsOf: URL(fileURLWithPath: dump))) ?? Data() }
    while dumped().isEmpty {
      _ = try marker.send(CANFrame(id: .standard(0x7F0), length: 0, head: 0))
      _ = PortPoller.wait([], until_ns: PortPoller.now_ns + 20_000_000)
    }
    let count = 20_000
    let cangen = try Companion(["sh", "-c", "cangen vcan2 -g 0 -n \(count) -I 1 -L 8 -D i && cansend vcan2 7F1#"])
    let heard = try PortTesting.gather(port, seconds: 100) { events in
      if case .frame(let record)? = events.last, record.frame.id.number == 0x7F1 { true } else { false }
    }.records.filter { $0.frame.id.number == 1 }
    #expect(cangen.wait() == 0)
    let end = PortPoller.now_ns + 60_000_000_000
    while !String(decoding: dumped().suffix(8), as: UTF8.self).contains("7F1#"), PortPoller.now_ns < end {
      _ = PortPoller.wait([], until_ns: PortPoller.now_ns + 50_000_000)
    }
    candump.end()
    let lines = String(decoding: dumped(), as: UTF8.self).split(separator: "\n").filter { $0.contains(" 001#") }.count
    #expect(heard.count == count && port.counters.dropped == 0, "\(heard.count) of \(count)")
    // cangen counts up in its data: none is missing, none comes twice.
    #expect(heard.map { UInt16(truncatingIfNeeded: $0.frame.head) } == (0..<count).map { UInt16(truncatingIfNeeded: $0) })
    #expect(lines == count, "candump: \(lines) of \(count)")
  }
}
