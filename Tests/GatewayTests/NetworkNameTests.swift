import Foundation
import Testing

@testable import Gateway

/// Names that are none, and what is kept. Two machines that want one name: tools/gateway-check mdns.
@Suite struct NetworkNameTests {
  @Test func labels() {
    for good in ["bms", "bms-2", "a", String(repeating: "x", count: 63)] { #expect(NetworkName.isLabel(good), "\(good)") }
    for bad in ["", "-a", "a-", "Bms", "a b", "a.local", "bms\n", "bmß", String(repeating: "x", count: 64)] {
      #expect(!NetworkName.isLabel(bad), "\(bad)")
    }
  }

  @Test func anotherNameIsKeptForTheNextStart() async throws {
    let path = NSTemporaryDirectory() + "linkbms-name-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { for name in [path, path + ".previous"] { unlink(name) } }
    let name = try NetworkName("bms", path: path, port: 80, isSecure: false)
    #expect(name.now.name.hasPrefix("bms"))
    #expect(await name.rename("Not a name") == NetworkName.expectation)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(await name.rename("cellar") == nil)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "cellar\n")
    #expect(try NetworkName("bms", path: path, port: 80, isSecure: false).now.name.hasPrefix("cellar"))
    try "-rubbish\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try NetworkName("bms", path: path, port: 80, isSecure: false).now.name.hasPrefix("bms"))
  }

  @Test func thePageShowsTheNameAndChangesIt() async throws {
    let name = try NetworkName("bms", path: nil, port: 80, isSecure: false)
    let site = Site(
      hub: Rig.running().hub, passwords: try PasswordFile(path: nil), network: NetworkManager(tool: "/nowhere/nmcli"), name: name)
    var visitor = Visitor(site)
    #expect(await visitor.post("/wifi/name", ["name": "cellar"]).status == 401)
    let code = try #require(site.setupCode)
    _ = await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"])
    let page = await visitor.get("/wifi")
    #expect(page.text.contains("bms"))
    let csrf = try Visitor.hidden("csrf", page)
    #expect(await visitor.post("/wifi/name", ["csrf": csrf, "name": "a b"]).status == 422)
    #expect(await visitor.post("/wifi/name", ["csrf": csrf, "name": "cellar"]).status == 200)
    #expect(name.now.name.hasPrefix("cellar"))
  }
}
