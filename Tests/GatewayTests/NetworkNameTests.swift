import Foundation
import Testing

@testable import Gateway

/// Names that are none, and what is kept. Two machines that want one name: tools/gateway-check mdns.
@Suite struct NetworkNameTests {
  @Test func labels() {
    for good in ["bms", "bms-2", "a", "BMS1", "Bms", String(repeating: "x", count: 63)] {
      #expect(NetworkName.isLabel(good), "\(good)")
    }
    // The last but one is the sign of the kelvin, whose small letter is a k.
    let long = String(repeating: "x", count: 64)
    for bad in ["", "-a", "a-", "a b", "a.local", "bms\n", "bmß", "[bms", "a@b", "bms_", "\u{212A}", long] {
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
    // The manual's own names: large and small letters are one name.
    #expect(await name.rename("BMS2") == nil)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "bms2\n")
    #expect(try NetworkName("BMS1", path: nil, port: 80, isSecure: false).now.name.hasPrefix("bms1"))
    try "CELLAR\n".write(toFile: path, atomically: true, encoding: .utf8)
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
    // As a telephone types it.
    #expect(await visitor.post("/wifi/name", ["csrf": csrf, "name": "BMS3 "]).status == 200)
    #expect(name.now.name.hasPrefix("bms3"))
  }

  /// NetworkManager's own tool, as far as it is asked here: it writes down what it is told.
  private static func tool(_ folder: Folder) throws -> NetworkManager {
    let tool = folder.path + "/nmcli"
    try writeProgram(tool, "#!/bin/sh\necho \"$@\" >> \(folder.path)/log\nexit 0\n")
    return NetworkManager(tool: tool, interfaces: folder.path)
  }

  @Test func theMachineIsCalledInSmallLetters() async throws {
    let folder = try Folder()
    let manager = try Self.tool(folder)
    #expect(await manager.rename("BMS1") == nil)
    #expect(try String(contentsOfFile: folder.path + "/log", encoding: .utf8) == "general hostname bms1\n")
  }

  @Test func aHiddenNetworkIsAskedForByItsName() async throws {
    let folder = try Folder()
    let site = Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil), network: try Self.tool(folder))
    var visitor = Visitor(site)
    let code = try #require(site.setupCode)
    _ = await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"])
    let page = await visitor.get("/wifi")
    #expect(page.text.contains("<input type=\"checkbox\" name=\"hidden\">"))
    let csrf = try Visitor.hidden("csrf", page)
    for isHidden in [true, false] {
      let form = ["csrf": csrf, "ssid": "home", "psk": "secret99"].merging(isHidden ? ["hidden": "on"] : [:]) { $1 }
      #expect(await visitor.post("/wifi", form).status == 200)
    }
    let log = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    let added = log.split(separator: "\n").filter { $0.hasPrefix("connection add") }
    #expect(
      added == [
        "connection add type wifi con-name linkbms-new ifname * ssid home 802-11-wireless.hidden yes wifi-sec.key-mgmt wpa-psk",
        "connection add type wifi con-name linkbms-new ifname * ssid home wifi-sec.key-mgmt wpa-psk",
      ])
    #expect(!log.contains("secret99"))
  }
}
