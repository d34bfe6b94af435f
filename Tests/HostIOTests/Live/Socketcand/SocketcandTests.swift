import Bus
import Foundation
import Testing

@testable import HostIO

@Suite struct SocketcandMessageTests {
  private func read(_ text: String) -> SocketcandMessage { SocketcandMessage(Array(text.utf8)) }

  private func frame(_ id: ArbitrationID, _ bytes: [UInt8], _ flags: CANFrame.Flags = [], length: UInt8? = nil) -> CANFrame {
    var frame = CANFrame()
    frame.id = id
    frame.flags = flags
    frame.length = length ?? UInt8(bytes.count)
    for (index, byte) in bytes.enumerated() { frame.setByte(index, byte) }
    return frame
  }

  @Test func readsWhatServersSend() {
    #expect(read(" hi ") == .hi && read("ok") == .ok && read(" echo ") == .echo)
    let expected = SocketcandMessage.frame(frame(.standard(0x123), [0x11, 0x22, 0x33, 0x44]), time_us: 23_424_242)
    #expect(read(" frame 123 23.424242 11 22 33 44 ") == expected)
    #expect(read(" frame 123 23.424242 11223344 ") == expected)
    #expect(read(" frame 00000123 1700000000.000001  ") == .frame(frame(.extended(0x123), []), time_us: 1_700_000_000_000_001))
    #expect(read("rtr 123 23.4 4") == .frame(frame(.standard(0x123), [], .remote, length: 4), time_us: 23_400_000))
    #expect(read("error 040 1.000000") == .frame(frame(.standard(0x40), [], .error, length: 8), time_us: 1_000_000))
    #expect(
      read("fdframe 123 01 1.000000 000102030405060708090A0B")
        == .frame(frame(.standard(0x123), [UInt8](0..<12), [.fd, .bitRateSwitch]), time_us: 1_000_000))
    #expect(read(" error could not open bus ") == .other("error could not open bus"))
  }

  @Test func whatIsNoFrameIsSomethingElse() {
    for text in [
      "frame", "frame 123", "frame 12 1.0 11", "frame 800 1.0", "frame 123 1 11", "frame 123 1.0 1", "frame 123 -1.0 11",
      "frame 123 1.-0",
      "frame 123 1.0 112233445566778899", "fdframe 123 01 1.0 000102030405060708", "rtr 123 1.0 9", "error xx 1.0",
      "frame 20000000 1.0",
    ] {
      #expect(read(text) == .other(text), "\(text)")
    }
  }

  @Test func writesCommands() {
    func text(_ frame: CANFrame) -> String? {
      SocketcandMessage.command(sending: frame).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(text(frame(.standard(0x123), [])) == "< send 123 0 >")
    #expect(text(frame(.extended(0x1AAA_AAAA), [1, 0xF1])) == "< send 1AAAAAAA 2 01 F1 >")
    #expect(text(frame(.standard(0x305), [], .remote, length: 8)) == "< sendrtr 305 8 >")
    #expect(
      text(frame(.standard(1), [UInt8](0..<12), [.fd, .errorStateIndicator]))
        == "< fdsend 001 02 12 00 01 02 03 04 05 06 07 08 09 0A 0B >")
    #expect(PortTesting.errors.compactMap(text).isEmpty)
  }

  /// Text by chance, cut anywhere: nothing traps, and cutting changes nothing.
  @Test func nothingTraps() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(seed)
    let words = [
      "<", ">", "<", ">", " ", " frame ", "123", "1.0", "00000123", "rtr", "error", "fdframe", "FF", "é", "-1",
      "99999999999.999999", "\n",
    ]
    for _ in 0..<3000 {
      let text = (0..<random.next() % 30).map { _ in words[Int(random.next() % UInt64(words.count))] }.joined(
        separator: random.next() % 2 == 0 ? " " : "")
      let bytes = Array(text.utf8)
      func messages(_ cuts: [Int]) -> [SocketcandMessage] {
        var splitter = SocketcandSplitter()
        var result: [SocketcandMessage] = []
        for (start, end) in zip([0] + cuts, cuts + [bytes.count]) {
          bytes[start..<end].withUnsafeBytes { splitter.take($0) { result.append($0) } }
        }
        return result
      }
      let cuts = (0..<random.next() % 5).map { _ in Int(random.next() % UInt64(bytes.count + 1)) }.sorted()
      #expect(messages(cuts) == messages([]), "seed \(seed): \(text)")
    }
    var splitter = SocketcandSplitter()
    [UInt8](repeating: 0x3C, count: 10_000).withUnsafeBytes { splitter.take($0) { _ in } }
    [UInt8](repeating: 0x41, count: 10_000).withUnsafeBytes { splitter.take($0) { _ in } }
    #expect(splitter.malformed == 10_000)
  }
}

/// A TCP server that obeys: it prints what it gets, and sends what it is told to on standard input.
final class ObedientServer {
  let companion: Companion
  let port: UInt16

  /// - Parameter answers: what it says by itself: `hello` on connecting, then an answer for each message that ends in `>`.
  init(hello: String = "", answers: [String] = [], port: UInt16 = 0) throws {
    let script = """
      import os, select, socket, sys
      server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      server.bind(("127.0.0.1", \(port))); server.listen()
      print(server.getsockname()[1], flush=True)
      hello, answers = sys.argv[1], sys.argv[2:]
      client, left, text = None, [], b""
      while True:
          for ready in select.select([server, sys.stdin] + ([client] if client else []), [], [])[0]:
              if ready is server:
                  client, left, text = server.accept()[0], list(answers), b""
                  client.sendall(hello.encode()); print("connected", flush=True)
              elif ready is client:
                  data = client.recv(65536)
                  if not data:
                      client = None; print("gone", flush=True); continue
                  text += data
                  while b">" in text or b"\\n" in text:
                      end = min(i for i in (text.find(b">"), text.find(b"\\n")) if i >= 0) + 1
                      print(text[:end].decode().strip(), flush=True); text = text[end:]
                      if left: client.sendall(left.pop(0).encode())
              else:
                  orders = os.read(0, 65536).decode()
                  if not orders: sys.exit()
                  for line in orders.splitlines():
                      if line == "close":
                          client.close(); client = None
                      else:
                          client.sendall(line.encode().decode("unicode_escape").encode("latin-1"))
      """
    companion = try Companion(["python3", "-c", script, hello] + answers)
    self.port = try #require(UInt16(companion.line() ?? ""))
  }
}

@Suite struct SocketcandPortTests {
  @Test func framesGoBothWaysAndAServerThatLeavesComesBack() throws {
    let server = try ObedientServer(hello: "< hi >", answers: ["< ok >", "< ok >< frame 351 1.000000 AABB >"])
    let port = try SocketcandPort(host: "127.0.0.1", port: server.port, interface: "can0")
    #expect(server.companion.line() == "connected")
    #expect(server.companion.line() == "< open can0 >")
    #expect(server.companion.line() == "< rawmode >")
    let first = try PortTesting.frames(port, 1)
    #expect(
      first.map(\.frame) == [CANFrame(id: .standard(0x351), length: 2, head: 0xBBAA)] && first[0].time.nanoseconds == 1_000_000_000)
    #expect(try port.send(PortTesting.everyKind[0]) == .sent)
    #expect(server.companion.line() == "< send 351 8 01 02 03 04 05 06 07 08 >")
    server.companion.say("< frame 123 2.5 01 ><frame 1")
    server.companion.say("24 2.6 02> noise < stat 1 2 3 4 >< error 040 3.0 >")
    #expect(try PortTesting.frames(port, 3).map(\.frame.id.number) == [0x123, 0x124, 0x40])
    #expect(port.counters.malformed == 1 && port.counters.received == 4 && port.counters.sent == 1)
    server.companion.say("close")
    let lost = try PortTesting.gather(port) { !$0.isEmpty }
    // It is no interface that somebody has unplugged.
    let why = PortError.refused("127.0.0.1:\(server.port)", reason: "closed the connection")
    #expect(lost.count == 1 && lost.compactMap(\.loss) == [why], "\(lost)")
    #expect(try port.send(PortTesting.everyKind[0]) == .full && port.descriptor == -1)
    let again = try PortTesting.gather(port) { !$0.records.isEmpty }
    guard case .returned? = again.first, again.count == 2 else { return #expect(Bool(false), "\(again)") }
    #expect(throws: PortError.unsendable("can0", what: "send error frames through socketcand")) {
      try port.send(PortTesting.errors[0])
    }
    #expect(!port.usesSystemClock)
    port.close()
    port.close()
  }

  /// What a server says in words is worth a word at once, and the first of them is the cause.
  @Test func anErrorThatTheServerTellsIsAdvice() throws {
    let server = try ObedientServer(hello: "< hi >", answers: ["< ok >", "< ok >"])
    let port = try SocketcandPort(host: "127.0.0.1", port: server.port, interface: "can0")
    server.companion.say("< stat 1 2 3 4 >< frame 123 1.0 01 >")
    #expect(try PortTesting.frames(port, 1).count == 1)
    #expect(port.advice.many == nil && port.counters.malformed == 1)
    server.companion.say("< error controller stopped >< error 040 2.0 >< error another >< frame 123 3.0 01 >")
    #expect(try PortTesting.frames(port, 2).count == 2, "an error frame is none of those")
    #expect(port.advice.many == 1 && port.counters.malformed == 3)
    #expect(
      port.advice.malformed(1)
        == "1 message was no frame of a socketcand in raw mode: it said \"error controller stopped\": "
        + "what does 127.0.0.1:\(server.port) run?")
    port.close()
  }

  @Test func speaksAsPythonCANDoes() throws {
    // python-can's own client is the yardstick for the handshake: both say the same.
    let server = try ObedientServer(hello: "< hi >", answers: ["< ok >", "< ok >"])
    let client = try Companion([
      PortTesting.root + "/.build/venv/bin/python", "-c",
      """
      import can
      bus = can.Bus(interface="socketcand", host="127.0.0.1", port=\(server.port), channel="can0")
      bus.send(can.Message(arbitration_id=0x351, is_extended_id=False, data=[0x11, 0x22]))
      bus.shutdown()
      """,
    ])
    var theirs: [String] = []
    while let line = server.companion.line(), line != "gone" { theirs.append(line) }
    #expect(client.wait() == 0)
    let port = try SocketcandPort(host: "127.0.0.1", port: server.port, interface: "can0")
    _ = try port.send(CANFrame(id: .standard(0x351), length: 2, head: 0x2211))
    port.close()
    var ours: [String] = []
    while let line = server.companion.line(), line != "gone" { ours.append(line) }
    #expect(ours == theirs && ours.count == 4)
  }

  @Test func whatCannotBeOpenedSaysWhy() throws {
    let closed = try ObedientServer()
    let free = closed.port
    closed.companion.end()
    #expect(throws: PortError.refused("127.0.0.1:\(free)", reason: "nobody listens there (connection refused)")) {
      try SocketcandPort(host: "127.0.0.1", port: free, interface: "can0")
    }
    #expect(throws: PortError.refused("no-such-host.invalid:29536", reason: "no machine of that name is known")) {
      try SocketcandPort(host: "no-such-host.invalid", interface: "can0")
    }
    let refusing = try ObedientServer(hello: "< hi >", answers: ["< error could not open bus >"])
    #expect(throws: PortError.refused("127.0.0.1:\(refusing.port)", reason: "does not open can9: \"error could not open bus\"")) {
      try SocketcandPort(host: "127.0.0.1", port: refusing.port, interface: "can9")
    }
    #expect(throws: PortError.self) { try SocketcandPort(host: "127.0.0.1", interface: "can0 >< send") }
    let other = try ObedientServer(hello: "<html>")
    #expect(throws: PortError.refused("127.0.0.1:\(other.port)", reason: "said \"html\", not < hi > or < ok >")) {
      try SocketcandPort(host: "127.0.0.1", port: other.port, interface: "can0")
    }
  }
}
