import Foundation
import Testing

@testable import Gateway

/// Certificates that openssl makes, in a folder that goes with them.
final class Certificates {
  let folder = NSTemporaryDirectory() + "linkbms-tls-\(getpid())-\(UInt32.random(in: 0 ... .max))"

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { folder + "/" + name }

  /// Runs openssl; `input` is its standard input.
  @discardableResult func openssl(_ words: [String], input: String = "") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + words
    let (into, outOf) = (Pipe(), Pipe())
    process.standardInput = into
    process.standardOutput = outOf
    process.standardError = outOf
    try process.run()
    into.fileHandleForWriting.write(Data(input.utf8))
    try into.fileHandleForWriting.close()
    let text = String(decoding: outOf.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
  }

  /// A certificate that signs itself, as the README says how to make one.
  func make(_ name: String, days: Int = 2, key: String = "rsa:2048") throws {
    try openssl([
      "req", "-x509", "-newkey", key, "-nodes", "-days", String(days), "-subj", "/CN=localhost", "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", path(name + ".key"), "-out", path(name + ".pem"),
    ])
  }

  func tls(_ name: String = "own", now_s: Int64 = Int64(Date().timeIntervalSince1970)) throws -> ServerTLS {
    try ServerTLS(certificate: path(name + ".pem"), key: path(name + ".key"), now_s: now_s)
  }
}

// Among the server's tests, one after the other: each blocks a thread of the pool that the server's own tasks need.
extension ServerTests {
  @Suite struct TLSTests {
    private func serve(_ tls: ServerTLS, patience: Int64 = 900, certificate_s: Int64 = 900) throws -> GatewayServer {
      var times = GatewayServer.Patience()
      times.request_s = patience
      times.write_s = patience
      times.certificate_s = certificate_s
      return try GatewayServer(
        Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil)), on: GatewayAddress(host: "127.0.0.1", port: 0),
        tls: tls, patience: times)
    }

    /// What openssl's own client, which trusts the certificate and nothing else, reads.
    private func ask(_ server: GatewayServer, _ made: Certificates, _ text: String, more: [String] = []) throws -> String {
      try made.openssl(
        [
          "s_client", "-connect", "\(server.address)", "-CAfile", made.path("own.pem"), "-verify_return_error", "-verify_hostname",
          "localhost", "-quiet",
        ] + more, input: text)
    }
    private static let get = "GET /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    @Test(arguments: ["rsa:2048", "ec"])
    func aRealClientIsServedThroughTLS(key: String) throws {
      let made = try Certificates()
      if key == "ec" {
        try made.openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made.path("own.key")])
        try made.openssl([
          "req", "-x509", "-key", made.path("own.key"), "-days", "2", "-subj", "/CN=localhost", "-addext",
          "subjectAltName=DNS:localhost", "-out", made.path("own.pem"),
        ])
      } else {
        try made.make("own", key: key)
      }
      let server = try serve(try made.tls())
      defer { server.stop() }
      #expect(server.url == "https://127.0.0.1:\(server.address.port)/")
      let answer = try ask(server, made, Self.get)
      #expect(answer.contains("HTTP/1.1 200 OK"), "\(answer)")
      #expect(answer.lowercased().contains("strict-transport-security: max-age="))
      // Another name, and what is too old to be safe.
      #expect(!(try ask(server, made, Self.get, more: ["-verify_hostname", "elsewhere"]).contains("200 OK")))
      #expect(!(try ask(server, made, Self.get, more: ["-tls1_1", "-cipher", "ALL@SECLEVEL=0"]).contains("200 OK")))
      #expect(try ask(server, made, Self.get, more: ["-tls1_2"]).contains("200 OK"))
    }

    @Test func garbageAndPlainHTTPHurtNobody() throws {
      let made = try Certificates()
      try made.make("own")
      let server = try serve(try made.tls(), patience: 1)
      defer { server.stop() }
      for text in [Self.get, "\r\n\r\n", String(repeating: "\u{16}\u{3}\u{1}", count: 5000)] {
        let wire = try Wire(server.address)
        wire.send(text)
        let answer = wire.read()
        #expect(!answer.contains("HTTP/1.1 200") && !answer.hasSuffix("timeout"), "\(text.prefix(20))")
      }
      // A handshake that begins well and stops: a record of 512 bytes of which five come. And one that never begins.
      let half = try Wire(server.address)
      half.send(bytes: [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3])
      #expect(!half.read().hasSuffix("timeout"))
      #expect(!(try Wire(server.address).read().hasSuffix("timeout")))
      var chance = SystemRandomNumberGenerator()
      for _ in 0..<50 {
        let wire = try Wire(server.address)
        wire.send(bytes: [0x16, 3, 1, 0, 200] + (0..<200).map { _ in UInt8.random(in: 0...255, using: &chance) })
        #expect(!wire.read().hasSuffix("timeout"))
      }
      #expect(server.problem == nil)
      #expect(try ask(server, made, Self.get).contains("200 OK"))
    }

    /// The serial number of the certificate that a client is shown.
    private func shown(_ server: GatewayServer, _ made: Certificates) throws -> String {
      let answer = try made.openssl(["s_client", "-connect", "\(server.address)", "-showcerts"])
      try answer.write(toFile: made.path("shown"), atomically: true, encoding: .utf8)
      return try made.openssl(["x509", "-in", made.path("shown"), "-noout", "-serial"])
    }

    @Test func aRenewedCertificateIsTakenWhilePagesAreServed() async throws {
      let made = try Certificates()
      try made.make("own")
      let server = try serve(try made.tls(), certificate_s: 1)
      defer { server.stop() }
      let first = try shown(server, made)
      #expect(first.hasPrefix("serial="), "\(first)")
      #expect(try first == made.openssl(["x509", "-in", made.path("own.pem"), "-noout", "-serial"]))

      // The certificate alone: it does not fit the key, which is said once, and the one before goes on.
      try made.make("new")
      try FileManager.default.removeItem(atPath: made.path("own.pem"))
      try FileManager.default.copyItem(atPath: made.path("new.pem"), toPath: made.path("own.pem"))
      var news: [String] = []
      #expect(
        await comesTrue {
          news += server.takeNews(); return !news.isEmpty
        })
      #expect(
        news.count == 1 && news[0].contains("is not the key of the certificate") && news[0].contains("from before"), "\(news)")
      try await Task.sleep(for: .seconds(3))
      #expect(server.takeNews().isEmpty)
      #expect(try shown(server, made) == first)

      // And its key.
      try FileManager.default.removeItem(atPath: made.path("own.key"))
      try FileManager.default.copyItem(atPath: made.path("new.key"), toPath: made.path("own.key"))
      news = []
      #expect(
        await comesTrue {
          news += server.takeNews(); return !news.isEmpty
        })
      #expect(news.count == 1 && news[0].contains("is renewed"), "\(news)")
      let second = try shown(server, made)
      #expect(second.hasPrefix("serial=") && second != first)
      #expect(try ask(server, made, Self.get).contains("200 OK"))

      // Gone: the one before goes on.
      try FileManager.default.removeItem(atPath: made.path("own.pem"))
      news = []
      #expect(
        await comesTrue {
          news += server.takeNews(); return !news.isEmpty
        })
      #expect(news[0].contains("own.pem: cannot open"), "\(news)")
      #expect(try shown(server, made) == second)
    }

    @Test func onlyTLSMarksTheCookie() async throws {
      for isSecure in [false, true] {
        let site = Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil))
        let answer = await site.respond(
          PageRequest(
            method: .post, path: "/login",
            form: ["code": try #require(site.setupCode), "password": "correct horse", "again": "correct horse"], isSecure: isSecure)
        )
        let cookie = try #require(answer.headers.first { $0.0 == "set-cookie" }?.1)
        #expect(cookie.hasSuffix("; Secure") == isSecure)
      }
    }

    @Test func aFormFromAPageWithoutTLSIsFromElsewhere() async throws {
      let site = Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil))
      for (origin, status) in [("http://bms.local", 403), ("https://bms.local", 401)] {
        let answer = await site.respond(
          PageRequest(method: .post, path: "/login", form: ["code": "1"], origin: origin, host: "bms.local", isSecure: true))
        #expect(answer.status == status, "\(origin)")
      }
    }

    @Test func whatIsWrongWithTheFilesIsNamed() throws {
      let made = try Certificates()
      try made.make("own")
      try made.make("other")
      try made.openssl(["pkey", "-in", made.path("own.key"), "-aes256", "-passout", "pass:secret", "-out", made.path("locked.key")])
      try "".write(toFile: made.path("empty"), atomically: true, encoding: .utf8)
      try "rubbish\n".write(toFile: made.path("rubbish"), atomically: true, encoding: .utf8)
      for (certificate, key, words) in [
        ("nothing.pem", "own.key", "nothing.pem: cannot open: No such file"),
        ("own.pem", "nothing.key", "nothing.key: cannot open: No such file"),
        ("own.pem", "other.key", "is not the key of the certificate in"),
        ("own.pem", "locked.key", "the key has a password"), ("own.pem", "own.pem", "(this is a certificate"),
        ("own.key", "own.key", "(this is a key"), ("empty", "own.key", "empty: found no bytes"),
        ("rubbish", "own.key", "found no certificate"), ("own.pem", "rubbish", "found no private key"),
        (".", "own.key", "directory"),
      ] {
        let error = #expect(throws: GatewayError.self) {
          try ServerTLS(certificate: made.path(certificate), key: made.path(key), now_s: 0)
        }
        #expect(error?.description.contains(words) ?? false, "\(certificate) \(key): \(error?.description ?? "")")
      }
    }

    @Test func aCertificateOfAnotherTimeIsSaid() throws {
      let made = try Certificates()
      try made.make("own")
      #expect(try made.tls().warning == nil)
      let now = Int64(Date().timeIntervalSince1970)
      #expect(try made.tls(now_s: now + 3 * 86_400).warning?.contains("no longer valid") ?? false)
      #expect(try made.tls(now_s: now - 86_400).warning?.contains("not valid yet") ?? false)
    }
  }
}
