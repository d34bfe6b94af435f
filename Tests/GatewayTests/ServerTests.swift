import Controller
import Foundation
import Glibc
import Testing

@testable import Gateway

/// A connection to the server under test, as bytes.
final class Wire {
  private let descriptor: Int32

  init(_ address: GatewayAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = UInt16(address.port).bigEndian
    place.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(result == 0)
    // The server's tasks wait behind hundreds of other tests' on a machine with few cores: this bounds a hang, not a time.
    var patience = timeval(tv_sec: 900, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }
  deinit { close(descriptor) }

  /// Whether the system still takes it.
  @discardableResult func send(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// Ends without a goodbye: when this object goes, the other side gets a reset.
  func resetAtEnd() {
    var abrupt = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abrupt, socklen_t(MemoryLayout<linger>.size))
  }

  /// Bytes as they are.
  func send(bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  /// What comes until `ends` says that it is enough, the other side closes, or patience is over (then "timeout" stands at the end).
  func read(until ends: (String) -> Bool = { _ in false }) -> String {
    var text = ""
    var room = [UInt8](repeating: 0, count: 65_536)
    while !ends(text) {
      let count = recv(descriptor, &room, room.count, 0)
      if count < 0 { return text + (errno == EAGAIN ? "timeout" : "") }
      if count == 0 { break }
      text += String(decoding: room[..<count], as: UTF8.self)
    }
    return text
  }
}

@Suite(.serialized) struct ServerTests {
  /// The socket it listens on is gone, as after a mistake of the system's: whoever started the server must hear why.
  @Test func aServerThatEndsByItselfSaysSo() async throws {
    let server = try serve(Rig.running())
    #expect(server.problem == nil)
    for descriptor in Int32(3)..<1024 {
      var place = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let result = withUnsafeMutablePointer(to: &place) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
      }
      guard result == 0, place.sin_family == sa_family_t(AF_INET), UInt16(bigEndian: place.sin_port) == server.address.port else {
        continue
      }
      shutdown(descriptor, Int32(SHUT_RDWR))
    }
    #expect(await comesTrue { server.problem != nil })
    // Said for as long as it lasts; a server that was stopped has no problem.
    #expect(server.problem?.isEmpty == false)
    server.stop()
    #expect(server.problem == nil)
  }

  private func serve(_ rig: Rig, patience: Int64 = 900) throws -> GatewayServer {
    var times = GatewayServer.Patience()
    times.request_s = patience
    times.write_s = patience
    return try GatewayServer(
      Site(hub: rig.hub, passwords: try PasswordFile(path: nil)), on: GatewayAddress(host: "127.0.0.1", port: 0), patience: times)
  }

  private func ask(_ server: GatewayServer, _ text: String) throws -> String {
    let wire = try Wire(server.address)
    wire.send(text)
    return wire.read()
  }

  @Test func everyAnswerCarriesTheStrictHeaders() throws {
    let server = try serve(Rig.running())
    defer { server.stop() }
    for path in ["/", "/data.json", "/nothing", "/assets/style.css"] {
      let answer = try ask(server, "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").lowercased()
      for header in [
        "content-security-policy: default-src 'none'", "frame-ancestors 'none'", "x-content-type-options: nosniff",
        // Not no-referrer: browsers would send our own forms with `Origin: null`, and none would be taken.
        "referrer-policy: same-origin", "cache-control: ",
      ] { #expect(answer.contains(header), "\(path): \(header)") }
      #expect(!answer.contains("unsafe-inline") && !answer.contains(" style=") && !answer.contains("\r\nserver:"))
      // A promise that only TLS can keep.
      #expect(!answer.contains("strict-transport-security"))
    }
    // A stream has a head and nothing behind it.
    #expect(try ask(server, "HEAD /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 200"))
    let head = try ask(server, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    #expect(head.hasPrefix("HTTP/1.1 200") && head.hasSuffix("\r\n\r\n"))
    #expect(try ask(server, "DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 405"))
    #expect(try ask(server, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400"))
  }

  @Test func bodiesAndHeadersAreBounded() throws {
    let server = try serve(Rig.running())
    defer { server.stop() }
    let wire = try Wire(server.address)
    wire.send("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + String(repeating: "x", count: 70_000))
    #expect(wire.read { $0.contains("\r\n\r\n") }.hasPrefix("HTTP/1.1 413"))
    let long = try ask(server, "GET / HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "y", count: 40_000) + "\r\n\r\n")
    #expect(!long.contains("200 OK"))
  }

  @Test func dropByDropIsCutOff() async throws {
    let server = try serve(Rig.running(), patience: 1)
    defer { server.stop() }
    // A head that never ends.
    let head = try Wire(server.address)
    head.send("GET / HTTP/1.1\r\nHost: x\r\n")
    #expect(!head.read().hasSuffix("timeout"))
    // A body that trickles: each byte in time, the whole never.
    let body = try Wire(server.address)
    body.send("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    var isOpen = true
    for _ in 0..<60 where isOpen {
      isOpen = body.send("x")
      try await Task.sleep(for: .milliseconds(100))
    }
    #expect(!isOpen)
    // Who just connects.
    #expect(!(try Wire(server.address).read().hasSuffix("timeout")))
  }

  @Test func aPageFollowsAndAStoppedServerEndsTheStream() throws {
    var rig = Rig.running()
    let server = try serve(rig)
    let wire = try Wire(server.address)
    wire.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    let first = wire.read { $0.contains("RUNNING") }
    #expect(first.contains("text/event-stream") && first.contains("data: {"))
    rig.readings.cells[0] = 20_000
    rig.run(seconds: 2)
    #expect(wire.read { $0.contains("PROTECT") }.contains("PROTECT"))
    server.stop()
    #expect(!wire.read().hasSuffix("timeout"))
  }

  /// Who is gone before the head of the stream is written must not keep a place.
  @Test func clientsThatAreGoneAtOnceKeepNoPlace() async throws {
    let server = try serve(Rig.running())
    defer { server.stop() }
    for turn in 0..<400 {
      let wire = try Wire(server.address)
      wire.resetAtEnd()
      wire.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
      // Somewhere on the server's way to the head.
      if turn % 4 > 0 { usleep(UInt32(turn % 4) * 200) }
    }
    // Streams that had begun end with their next sign of life.
    let isFree = await comesTrue {
      guard let wire = try? Wire(server.address) else { return false }
      wire.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
      return wire.read { $0.contains("RUNNING") || $0.contains("HTTP/1.1 503") }.contains("RUNNING")
    }
    #expect(isFree)
  }

  @Test func aPlaceThatNobodyHoldsIsFree() throws {
    let site = Site(hub: SnapshotHub(), passwords: try PasswordFile(path: nil))
    var places = (0..<Site.streamRoom + 3).compactMap { _ in StreamPlace(site) }
    #expect(places.count == Site.streamRoom)
    places.removeFirst(5)
    #expect(places.count == Site.streamRoom - 5)
    places += (0..<9).compactMap { _ in StreamPlace(site) }
    #expect(places.count == Site.streamRoom)
  }

  @Test func aPortInUseIsNamed() throws {
    let server = try serve(Rig.running())
    defer { server.stop() }
    let site = Site(hub: SnapshotHub(), passwords: try PasswordFile(path: nil))
    let error = #expect(throws: GatewayError.self) { try GatewayServer(site, on: server.address) }
    #expect(error?.description.contains("--http 127.0.0.1:\(server.address.port): cannot listen") ?? false)
  }

  @Test(arguments: [
    ("8080", "127.0.0.1:8080"), (":8080", "0.0.0.0:8080"), ("bms:80", "bms:80"), ("[::1]:80", "[::1]:80"), ("*:1", "0.0.0.0:1"),
  ])
  func addresses(text: String, shown: String) { #expect(GatewayAddress(text)?.description == shown) }

  @Test(arguments: ["", "x", "80000", "1:2:3", "host:", "-1"])
  func badAddresses(text: String) { #expect(GatewayAddress(text) == nil) }
}

@Suite struct PasswordFileTests {
  @Test func theFileHoldsAHashThatOnlyItsOwnerReads() async throws {
    let path = NSTemporaryDirectory() + "linkbms-password-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { for name in [path, path + ".previous"] { unlink(name) } }
    let file = try PasswordFile(path: path)
    #expect(!file.isSet)
    try await file.set("correct horse")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.hasPrefix("$y$") && !text.contains("correct"))
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
    let again = try PasswordFile(path: path)
    #expect(again.isSet)
    #expect(await again.matches("correct horse"))
    #expect(!(await again.matches("correct horsE")))
    #expect(!(await again.matches("")))
    #expect(!(await again.matches(String(repeating: "x", count: 100_000))))
    try "rubbish".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: GatewayError.self) { try PasswordFile(path: path) }
  }
}
