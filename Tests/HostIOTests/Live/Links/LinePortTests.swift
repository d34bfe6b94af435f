import Bus
import Foundation
import Testing

@testable import HostIO

@Suite struct LineAddressTests {
  @Test func readsAndWrites() throws {
    for text in ["tap+serial:///dev/ttyUSB0@921600", "tap+tcp://tap.local:5000", "tap+tcp://[::1]:5000"] {
      #expect(try LineAddress(text).description == text)
    }
    #expect(try LineAddress("tap+serial:///dev/ttyUSB0") == .serial(device: "/dev/ttyUSB0", rate: 115_200))
    for text in [
      "", "tap+", "tap+serial://", "tap+serial://ttyUSB0", "tap+serial:///dev/x@", "tap+serial:///dev/x@0",
      "tap+serial:///dev/x@1@2",
      "tap+tcp://host", "tap+tcp://:1", "tap+tcp://host:0", "tap+tcp://host:65536", "tap+tcp://::1:5", "udp://",
    ] {
      #expect(throws: PortError.badAddress(text, expected: LineAddress.expected)) { try LineAddress(text) }
    }
  }
}

@Suite struct LinePortTests {
  private func gather(_ port: LinePort, until isEnough: ([LineEvent]) -> Bool) throws -> [LineEvent] {
    var events: [LineEvent] = []
    let end_ns = PortPoller.now_ns + 20_000_000_000
    while !isEnough(events), PortPoller.now_ns < end_ns {
      _ = PortPoller.wait([port.descriptor], until_ns: min(end_ns, port.wakeTime_ns ?? .max))
      try port.receive { events.append($0) }
    }
    return events
  }

  private func words(_ events: [LineEvent]) -> [String] {
    events.map {
      switch $0 {
      case .line(let line, _): String(decoding: line, as: UTF8.self)
      case .lost: "lost"
      case .returned: "returned"
      }
    }
  }

  @Test func linesOverTCPAndAServerThatComesBack() throws {
    let server = try ObedientServer()
    let port = try LinePort(LineAddress("tap+tcp://127.0.0.1:\(server.port)"))
    #expect(server.companion.line() == "connected")
    server.companion.say("(1.000000) chain1 000# T\\r\\n(1.1")
    server.companion.say("00000) pdu 001#F401\\n\\nhalf")
    #expect(words(try gather(port) { $0.count >= 2 }) == ["(1.000000) chain1 000# T", "(1.100000) pdu 001#F401"])
    #expect(try port.write("hello".utf8) == .sent)
    #expect(server.companion.line() == "hello")
    server.companion.say("close")
    #expect(words(try gather(port) { !$0.isEmpty }) == ["lost"])
    #expect(try port.write("x".utf8) == .full)
    #expect(words(try gather(port) { !$0.isEmpty }) == ["returned"])
    #expect(server.companion.line() == "connected")
    server.companion.say("new\\n")
    #expect(words(try gather(port) { !$0.isEmpty }) == ["new"])
    #expect(port.counters.received == 3 && port.counters.sent == 1 && port.counters.refused == 1)
  }

  @Test func linesOverASerialDeviceThatIsPulled() throws {
    let device = try ScriptedDevice(end: "\n")
    let port = try LinePort(LineAddress("tap+serial://\(device.path)@921600"))
    device.companion.say("one\\ntwo\\n")
    #expect(words(try gather(port) { $0.count >= 2 }) == ["one", "two"])
    #expect(try port.write("command".utf8) == .sent)
    #expect(device.companion.line() == "command")
    device.companion.say("pull")
    #expect(words(try gather(port) { !$0.isEmpty }) == ["lost"])
    device.companion.say("plug")
    #expect(words(try gather(port) { !$0.isEmpty }) == ["returned"])
    device.companion.say("three\\n")
    #expect(words(try gather(port) { !$0.isEmpty }) == ["three"])
  }

  /// A reader that does not read: what is written waits in bounded memory, then there is no room.
  @Test func writingIsBounded() throws {
    let server = try ObedientServer()
    let port = try LinePort(LineAddress("tap+tcp://127.0.0.1:\(server.port)"))
    #expect(server.companion.process.suspend())
    defer { _ = server.companion.process.resume() }
    let line = [UInt8](repeating: 0x41, count: 10_000)
    var sent = 0
    while try port.write(line) == .sent, sent < 100_000 { sent += 1 }
    #expect(sent < 100_000 && port.counters.refused == 1)
  }
}

/// Over ttyS1 and ttyS2, which are each other's wire: tools/vm-test.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && FileManager.default.fileExists(atPath: "/sys/class/tty/ttyS2")))
struct SerialLineTests {
  @Test func linesGoBothWays() throws {
    let a = try LinePort(LineAddress("tap+serial:///dev/ttyS1@115200")),
      b = try LinePort(LineAddress("tap+serial:///dev/ttyS2@115200"))
    let sent = (0..<200).map { "(\($0).000000) chain1 001#000E331DF7 T" }
    var heard: [[String]] = [[], []]
    let end_ns = PortPoller.now_ns + 60_000_000_000
    var next = 0
    while heard[0].count < sent.count || heard[1].count < sent.count, PortPoller.now_ns < end_ns {
      if next < sent.count {
        try #require(try a.write(sent[next].utf8) == .sent)
        try #require(try b.write(sent[next].utf8) == .sent)
        next += 1
      }
      _ = PortPoller.wait([a.descriptor, b.descriptor], until_ns: min(PortPoller.now_ns + 10_000_000, a.wakeTime_ns ?? .max))
      for (place, port) in [a, b].enumerated() {
        try port.receive { if case .line(let line, _) = $0 { heard[place].append(String(decoding: line, as: UTF8.self)) } }
      }
    }
    let isAll = heard == [sent, sent]
    #expect(isAll, "heard \(heard.map(\.count)) of \(sent.count)")
  }
}
