import Controller
import Foundation
import Testing

@testable import Gateway

@Suite struct DiscoveryTests {
  @Test func everyEntityReadsAKeyThatTheStateHas() throws {
    let message = HomeAssistantDiscovery.message("x", topics: CloudTopics("x"), version: "1", page: "http://bms.local/").text
    let object = try #require(try JSONSerialization.jsonObject(with: Data(message.utf8)) as? [String: Any])
    let components = try #require(object["components"] as? [String: [String: Any]])
    let state = try #require(
      try JSONSerialization.jsonObject(with: Data(DataJSON.bytes(Rig.running().moment))) as? [String: Any])
    for (name, component) in components {
      let template = try #require(component["value_template"] as? String)
      let key = try #require(
        template.split(separator: "value_json.").dropFirst().first?.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
      #expect(state[String(key)] != nil, "\(name): \(key)")
      #expect(component["expire_after"] as? Int == 60 && component["unique_id"] as? String == "linkbms_x_\(name)")
    }
    let read = components.values.compactMap { $0["value_template"] as? String }.joined()
    for key in DataJSON.manualKeys { #expect(read.contains("value_json.\(key) "), "\(key)") }
  }

  @Test(arguments: ["a", "site-1", "A.b_c", "x9"]) func names(name: String) { #expect(CloudTopics.isName(name)) }
  @Test(arguments: ["", ".", "..", "a/b", "a b", "a+", "#", "ä", String(repeating: "x", count: 65)])
  func badNames(name: String) { #expect(!CloudTopics.isName(name)) }

  @Test func topicsOfOthersAreNone() {
    #expect(CloudTopics.parse("linkbms/a/minute")?.device == "a")
    for topic in ["linkbms/a", "linkbms/a/b/c", "other/a/minute", "linkbms//minute", "linkbms/../minute"] {
      #expect(CloudTopics.parse(topic) == nil, "\(topic)")
    }
  }
}

@Suite struct OutboxTests {
  @Test func messagesOutliveTheProgramAndGoInOrder() throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    var outbox: Outbox? = try Outbox(path: path)
    try outbox?.add((0..<5).map { ("t", [UInt8($0)]) })
    outbox = nil
    let again = try Outbox(path: path)
    let entries = try again.next(after: 0, limit: 3)
    #expect(entries.map(\.payload) == [[0], [1], [2]])
    try again.remove(entries.map(\.id))
    #expect(try again.next(after: entries[2].id, limit: 10).map(\.payload) == [[3], [4]])
    #expect(again.count == 2)
  }

  @Test func theOldestGoWhereThereAreTooMany() throws {
    let outbox = try Outbox(path: nil, room: 10)
    #expect(try outbox.add((0..<10).map { ("t", [UInt8($0)]) }) == 0)
    #expect(try outbox.add([("t", [10]), ("t", [11])]) == 2)
    #expect(try outbox.next(after: 0, limit: 100).map { $0.payload[0] } == Array(2...11))
  }
}

@Suite struct CloudReceiverTests {
  private func receiver(_ store: any HistoryStore) throws -> CloudReceiver {
    var nowhere = BrokerOptions()
    nowhere.port = 1
    return try CloudReceiver(store: store, broker: nowhere, name: "test-\(UInt32.random(in: 0 ... .max))")
  }

  @Test func whatIsOursIsKeptAndTheRestRefused() throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let cloud = try receiver(store)
    defer { cloud.stop() }
    var random = Seeded(1)
    let now = CloudReceiver.now()
    let record = Records.random(start: now / 60 * 60, cells: 16, using: &random)
    cloud.take("linkbms/a/minute", record.bytes, at: now)
    cloud.take("linkbms/a/event", Array(#"{"text":"contactors: all open","time":"x","time_ns":7}"#.utf8), at: now)
    cloud.take("linkbms/a/availability", Array("online".utf8), at: now)
    cloud.take("linkbms/a/state", DataJSON.bytes(Rig.running().moment), at: now)
    #expect(cloud.counts == (4, 0))
    for (topic, payload) in [
      ("linkbms/a/minute", "junk"), ("linkbms/a/event", "{}"), ("linkbms/a/state", "["), ("linkbms/a/other", ""),
      ("x/a/state", "{}"),
      ("linkbms/a/state", String(repeating: " ", count: 70_000)),
    ] { cloud.take(topic, Array(payload.utf8), at: now) }
    #expect(cloud.counts == (4, 6))
    #expect(try store.records(device: "a", in: 0..<now + 1000) == [record])
    #expect(try store.events(device: "a", before: .max, limit: 5).map(\.text) == ["contactors: all open"])
  }

  @Test func theWorstStandsFirst() async throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let cloud = try receiver(store)
    defer { cloud.stop() }
    func state(_ status: String) -> [UInt8] {
      Array(#"{"connected":true,"status":"\#(status)","SOC":50,"DV":0.01,"reason":"<b>"}"#.utf8)
    }
    let now = CloudReceiver.now()
    cloud.take("linkbms/fine/state", state("RUNNING"), at: now)
    cloud.take("linkbms/warm/state", state("WARNING"), at: now)
    cloud.take("linkbms/bad/state", state("PROTECT"), at: now)
    cloud.take("linkbms/silent/state", state("RUNNING"), at: now - 500)
    cloud.take("linkbms/gone/state", state("RUNNING"), at: now)
    cloud.take("linkbms/gone/availability", Array("offline".utf8), at: now)
    #expect(FleetView(cloud.devices(), now: now).entries.map(\.name) == ["gone", "silent", "bad", "warm", "fine"])
    let site = CloudSite(store: store, receiver: cloud)
    let page = await site.respond(PageRequest(path: "/"), at: now).text
    #expect(page.contains("5 masters, 4 of them not in order") && page.contains("&lt;b&gt;") && !page.contains("<b>"))
    #expect(await site.respond(PageRequest(path: "/device/fine"), at: now).status == 200)
    for path in ["/device/none", "/device/..", "/device/", "/x"] {
      #expect(await site.respond(PageRequest(path: path), at: now).status == 404)
    }
    #expect(await site.respond(PageRequest(method: .post, path: "/"), at: now).status == 405)
  }

  @Test func theFleetIsCountedInWords() {
    func page(_ statuses: [String]) -> String {
      let devices = statuses.enumerated().map {
        DeviceFacts(name: "m\($0)", state: "{\"status\":\"\($1)\"}", heard: 1000, isOnline: true)
      }
      return FleetView(devices, now: 1000).html(nil).source
    }
    #expect(page([]).contains("No master has been heard yet."))
    #expect(page(["RUNNING"]).contains("1 master, in order."))
    #expect(page(["PROTECT"]).contains("1 master, not in order."))
    #expect(page(["RUNNING", "RUNNING"]).contains("2 masters, all in order."))
    #expect(page(["RUNNING", "OCP", "RUNNING"]).contains("3 masters, 1 of them not in order; the worst first."))
  }

  @Test func theFleetsPageFollowsByItself() async throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let cloud = try receiver(store)
    defer { cloud.stop() }
    let site = CloudSite(store: store, receiver: cloud)
    let page = await site.respond(PageRequest(path: "/")).text
    #expect(page.contains("<script src=\"/assets/fleet.js\" defer>"))
    let script = await site.respond(PageRequest(path: "/assets/fleet.js")).text
    // What the script takes over is there.
    for id in ["notice", "summary", "masters"] { #expect(page.contains(" id=\"\(id)\"") && script.contains("'\(id)'"), "\(id)") }
  }

  /// A master that was renamed or given up is not "offline", and first, for ever.
  @Test func whoIsUnheardForAsLongAsHistoryIsKeptIsGone() async throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let cloud = try receiver(store)
    defer { cloud.stop() }
    let site = CloudSite(store: store, receiver: cloud)
    let state = Array(#"{"connected":true,"status":"RUNNING"}"#.utf8)
    let now = CloudReceiver.now()
    func isShown(_ name: String) async -> Bool {
      let page = await site.respond(PageRequest(path: "/"), at: now).text.contains("/device/\(name)\"")
      let list = await site.respond(PageRequest(path: "/api/v1/devices"), at: now).text.contains("\"name\":\"\(name)\"")
      let own = await site.respond(PageRequest(path: "/device/\(name)"), at: now).status == 200
      #expect(page == list && list == own, "\(name)")
      return page
    }
    cloud.take("linkbms/old/state", state, at: now - HistoryStoreLimits.keep - 1)
    cloud.take("linkbms/late/state", state, at: now - HistoryStoreLimits.keep)
    #expect(await !isShown("old"))
    #expect(await isShown("late"))
    // What the broker has kept of it is no sign of life; where it is all that is known it counts.
    cloud.take("linkbms/old/state", state, at: now, isRetained: true)
    cloud.take("linkbms/new/state", state, at: now, isRetained: true)
    #expect(await !isShown("old"))
    #expect(await isShown("new"))
    cloud.take("linkbms/old/state", state, at: now)
    #expect(await isShown("old"))
  }

  @Test func whatTheBrokerHasKeptIsNoSignOfLife() async throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    try store.note(DeviceFacts(name: "a", state: "", heard: 1000, isOnline: true))
    let broker = TestBroker()
    defer { broker.end() }
    let cloud = try CloudReceiver(store: store, broker: broker.options, name: "test")
    defer { cloud.stop() }
    let state = Array(#"{"connected":true,"status":"RUNNING"}"#.utf8)
    broker.deliver(1, "linkbms/a/state", state, isRetained: true)
    #expect(await comesTrue { broker.acknowledged == [1] })
    #expect(cloud.devices().map(\.heard) == [1000])
    broker.deliver(2, "linkbms/a/state", state)
    #expect(await comesTrue { broker.acknowledged == [1, 2] })
    #expect(cloud.devices().allSatisfy { $0.heard > 1000 })
  }

  /// Two hours are one point of a month: of a master that is ahead by minutes, nothing at all was drawn before an even hour.
  @Test func aMasterWhoseClockIsAheadHasCharts() async throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let cloud = try receiver(store)
    defer { cloud.stop() }
    var random = Seeded(2)
    let now: Int64 = 1_795_953_540  // a minute before an even hour
    cloud.take("linkbms/a/minute", Records.random(start: now + 120, cells: 8, using: &random).bytes, at: now)
    cloud.take("linkbms/far/minute", Records.random(start: now + 90_000, cells: 8, using: &random).bytes, at: now)
    let site = CloudSite(store: store, receiver: cloud)
    for span in HistoryPage.Span.allCases.map(\.rawValue) {
      func charts(_ device: String) async -> Int {
        await site.respond(PageRequest(path: "/device/\(device)", query: ["span": span]), at: now).text.split(
          separator: "<polyline"
        ).count - 1
      }
      #expect(await charts("a") > 0, "\(span)")
      // A wrong year must not take the rest out of sight.
      #expect(await charts("far") == 0, "\(span)")
    }
  }

  @Test func whatTheStoreKnewIsThereAfterARestart() throws {
    let folder = try Folder()
    let store = try SQLiteHistory(path: folder.path + "/fleet.sqlite")
    let first = try receiver(store)
    first.take("linkbms/a/state", Array("{\"status\":\"RUNNING\"}".utf8), at: CloudReceiver.now())
    first.stop()
    let second = try receiver(store)
    defer { second.stop() }
    #expect(second.devices().map(\.name) == ["a"])
  }
}

@Suite struct APITests {
  @Test func everyDescribedPathAnswersAsDescribed() async throws {
    let rig = Rig.running()
    let folder = try Folder()
    let site = Site(
      hub: rig.hub, passwords: try PasswordFile(path: nil), history: try SQLiteHistory(path: folder.path + "/h.sqlite"),
      version: "1.2")
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(await site.respond(PageRequest(path: "/openapi.json")).text.utf8))
        as? [String: Any])
    #expect(document["openapi"] as? String == "3.1.0")
    let paths = try #require(document["paths"] as? [String: Any])
    #expect(Set(paths.keys) == Set(OpenAPIDocument.reads.map(\.path)))
    for read in OpenAPIDocument.reads {
      let answer = await site.respond(PageRequest(path: read.path))
      #expect(answer.status == 200 || read.others[answer.status] != nil, "\(read.path): \(answer.status)")
      #expect(answer.type.hasPrefix(read.type), "\(read.path): \(answer.type)")
      guard answer.status == 200, read.type == "application/json" else { continue }
      let object = try #require(try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any])
      for (key, _) in read.required { #expect(object[key] != nil, "\(read.path): \(key)") }
    }
    #expect(await site.respond(PageRequest(path: "/api/v1/nothing")).status == 404)
    for query in [
      ["from": "x"], ["to": "-1"], ["to": "99999999999999999999"], ["to": "-9223372036854775808"], ["from": "9223372036854775807"],
    ] {
      #expect(await site.respond(PageRequest(path: "/api/v1/history", query: query)).status == 400, "\(query)")
    }
    let backwards = await site.respond(PageRequest(path: "/api/v1/history", query: ["from": "5", "to": "4"]))
    #expect(backwards.status == 200 && backwards.text.contains("\"points\":[]"))
    #expect(await site.respond(PageRequest(path: "/api/v1/events", query: ["after": "x"])).status == 400)
  }
}

@Suite struct NetworkTests {
  @Test func networksAreRead() {
    let text = " :40:WPA2:home\n*:70:WPA2:home\n :90::cafe\\:bar\n :80:WPA1:\n :x:y:z\nrubbish\n"
    #expect(
      WiFiNetwork.parse(text) == [
        WiFiNetwork(name: "home", signal: 70, isSecured: true, isActive: true),
        WiFiNetwork(name: "cafe:bar", signal: 90, isSecured: false, isActive: false),
      ])
  }

  @Test func withoutNetworkManagerThereAreWords() async {
    let answer = await NetworkManager(tool: "/nowhere/nmcli").networks()
    #expect(answer.words?.contains("no NetworkManager") ?? false)
    #expect(await NetworkManager(tool: "/nowhere/nmcli").connect("home", password: "long enough?") != nil)
  }

  /// NetworkManager's tool as a script that writes down what it was asked. `cases` are those of its shell.
  private func fake(_ folder: Folder, _ cases: String) throws -> String {
    let tool = folder.path + "/nmcli"
    try writeProgram(tool, "#!/bin/sh\necho \"$@\" >> \(folder.path)/log\ncase \"$*\" in\n\(cases)\nesac\nexit 0\n")
    return tool
  }

  @Test func theSetupNetworkIsOpenedAsTheManualSays() async throws {
    let folder = try Folder()
    let tool = try fake(
      folder,
      """
      *"TYPE,DEVICE device") echo ethernet:eth0; echo wifi:wlan0;;
      *HWADDR*) echo 'DC\\:A6\\:32\\:0a\\:1b\\:2c';;
      *edit*) cat >> \(folder.path)/typed;;
      *" up "*) [ -e \(folder.path)/fail ] && { echo "Error: no AP mode"; exit 4; };;
      """)
    let manager = NetworkManager(tool: tool, interfaces: folder.path)
    #expect(try await manager.openSetup(password: "secret99") == SetupNetwork(name: "LinkBMS-1B2C"))
    func log() throws -> String { try String(contentsOfFile: folder.path + "/log", encoding: .utf8) }
    #expect(
      try log().contains(
        "connection add type wifi con-name linkbms-setup ifname wlan0 ssid LinkBMS-1B2C 802-11-wireless.mode ap "
          + "802-11-wireless.band bg connection.autoconnect-priority -999 ipv4.method shared ipv4.addresses 1.2.3.4/24 "))
    #expect(try log().hasSuffix("--wait 40 connection up linkbms-setup\n") && !log().contains("secret99"))
    #expect(
      try String(contentsOfFile: folder.path + "/typed", encoding: .utf8) == "set wifi-sec.psk secret99\nsave persistent\nquit\n")
    // It goes when a network that was chosen works, and only then.
    #expect(await manager.connect("home", password: "") == nil)
    #expect(try log().contains("connection up linkbms-new\nconnection delete linkbms-setup\n"))
    try "".write(toFile: folder.path + "/fail", atomically: true, encoding: .utf8)
    let before = try log()
    #expect(await manager.connect("home", password: "") == "NetworkManager says: Error: no AP mode")
    let after = try log().dropFirst(before.count)
    #expect(!after.contains("delete linkbms-setup") && after.hasSuffix("--wait 20 connection up linkbms-setup\n"), "\(after)")

    // What does not work is said, and nothing half is left behind.
    await #expect(throws: GatewayError.self) { try await manager.openSetup(password: "secret99") }
    #expect(try log().hasSuffix("connection up linkbms-setup\nconnection delete linkbms-setup\n"))
    for password in ["", "short", "with blank", String(repeating: "x", count: 64)] {
      await #expect(throws: GatewayError.self, "\(password)") { try await manager.openSetup(password: password) }
    }
  }

  /// The one in use is by chance while the radio looks for networks: the name must not change with each press.
  @Test func theSetupNetworkIsNamedAfterTheAddressThatTheRadioWasMadeWith() async throws {
    let folder = try Folder()
    let tool = try fake(
      folder,
      #"*"TYPE,DEVICE device") echo wifi:wlan0;; *HWADDR*) printf '2A:11:22:33:44:%02d\n' $(wc -l < \#(folder.path)/log);;"#)
    let manager = NetworkManager(tool: tool, interfaces: folder.path)
    let radio = folder.path + "/wlan0/phy80211"
    try FileManager.default.createDirectory(atPath: radio, withIntermediateDirectories: true)
    try "dc:a6:32:0a:1b:2c\n".write(toFile: radio + "/macaddress", atomically: true, encoding: .utf8)
    for _ in 1...2 {
      #expect(try await manager.openSetup(password: "secret99") == SetupNetwork(name: "LinkBMS-1B2C"))
    }
    // One that does not say it.
    try "00:00:00:00:00:00\n".write(toFile: radio + "/macaddress", atomically: true, encoding: .utf8)
    #expect(try await manager.openSetup(password: "secret99").name.hasPrefix("LinkBMS-44"))
  }

  /// What nmcli 1.42 says: questions before the error, a hint behind it.
  @Test(arguments: [
    (
      "Passwords or encryption keys are required to access the wireless network 'home'.\nWarning: password for "
        + "'802-11-wireless-security.psk' not given in 'passwd-file' and nmcli cannot ask without '--ask' option.\n"
        + "Error: Connection activation failed: Secrets were required, but not provided\nHint: use 'journalctl'.",
      "The password is wrong."
    ),
    (
      "Warning: x\n  Error: Connection activation failed: (53) The Wi-Fi network could not be found\nHint: use 'journalctl "
        + String(repeating: "x", count: 300) + "' to get more details.",
      "NetworkManager says: Error: Connection activation failed: (53) The Wi-Fi network could not be found"
    ),
    ("", "NetworkManager does not say why (status 4)."), ("something", "NetworkManager says: something"),
  ])
  func onlyTheErrorIsShown(said: String, words: String) async throws {
    let folder = try Folder()
    try said.write(toFile: folder.path + "/said", atomically: true, encoding: .utf8)
    let tool = try fake(folder, #"*" up "*|*hostname*) cat \#(folder.path)/said; exit 4;;"#)
    let manager = NetworkManager(tool: tool, interfaces: folder.path)
    #expect(await manager.connect("home", password: "secret99") == words)
    // Where no password was given, none is wrong.
    let renamed = await manager.rename("bms")
    #expect(renamed?.hasPrefix("NetworkManager ") == true)
  }

  /// The telephone that asked through the setup network lost it with the answer: who comes back finds it.
  @Test func theLastOutcomeIsShownToWhoeverComesBack() async throws {
    let folder = try Folder()
    let tool = try fake(
      folder,
      #"*" up "*) [ -e \#(folder.path)/good ] || { echo "Error: Connection activation failed: Secrets were required"; exit 4; };;"#)
    let site = Site(
      hub: Rig.running().hub, passwords: try PasswordFile(path: nil),
      network: NetworkManager(tool: tool, interfaces: folder.path))
    var visitor = Visitor(site)
    let code = try #require(site.setupCode)
    _ = await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"])
    let first = await visitor.get("/wifi")
    #expect(!first.text.contains("The last network"))
    let csrf = try Visitor.hidden("csrf", first)
    let answer = await visitor.post("/wifi", ["csrf": csrf, "ssid": "<home>", "psk": "secret99"])
    #expect(answer.status == 422 && answer.text.contains("The password is wrong."))
    let stranger = Visitor(site)
    let kept = await stranger.get("/wifi").text
    #expect(kept.contains("The last network that was asked for, &lt;home&gt; at 2"))
    #expect(kept.contains(" UTC: The password is wrong."))
    #expect(!kept.contains("secret99"))
    try "".write(toFile: folder.path + "/good", atomically: true, encoding: .utf8)
    #expect(await visitor.post("/wifi", ["csrf": csrf, "ssid": "<home>", "psk": "secret99"]).status == 200)
    #expect(await stranger.get("/wifi").text.contains(" UTC: Connected."))
  }

  /// WPA knows blanks, and keys that are no passwords. nmcli's editor leaves blanks at the ends of a line out.
  @Test func passwordsWithBlanksAreTakenAsTheyAre() async throws {
    let folder = try Folder()
    let manager = NetworkManager(tool: try fake(folder, "*edit*) cat > \(folder.path)/typed;;"), interfaces: folder.path)
    let key = String(repeating: "0123456789abcDEF", count: 4)
    for password in ["correct horse  battery", "a 345678", String(repeating: "x", count: 63), key] {
      #expect(await manager.connect("home", password: password) == nil, "\(password)")
      #expect(
        try String(contentsOfFile: folder.path + "/typed", encoding: .utf8)
          == "set wifi-sec.psk \(password)\nsave persistent\nquit\n")
    }
    let before = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    for password in [
      " correct horse", "correct horse ", "        ", "tab\tin it", "passwörter", "seven 7", String(repeating: "x", count: 64),
      String(key.dropLast()) + "g", key + "0",
    ] {
      let why = await manager.connect("home", password: password)
      #expect(why?.contains("no blank at an end") == true, "\(password)")
    }
    #expect(try String(contentsOfFile: folder.path + "/log", encoding: .utf8) == before)
  }

  /// Its answers are read here, so they must not be in the machine's language; and its editor keeps what was typed, passwords too.
  @Test func theToolSpeaksAsItIsReadAndFindsNoPlaceForAHistory() async throws {
    let folder = try Folder()
    let tool = try fake(folder, #"*) echo "$LC_ALL,$LANGUAGE,$HOME" >> \#(folder.path)/environment;;"#)
    #expect(await NetworkManager(tool: tool).forget() == nil)
    #expect(
      try String(contentsOfFile: folder.path + "/environment", encoding: .utf8) == "C.UTF-8,,/dev/null\n")
  }

  @Test func withoutARadioThereAreWords() async throws {
    let folder = try Folder()
    let wired = NetworkManager(tool: try fake(folder, "*device) echo ethernet:eth0;;"))
    let error = await #expect(throws: GatewayError.self) { try await wired.openSetup(password: "secret99") }
    #expect(error?.description == "this machine has no WiFi")
    let none = await #expect(throws: GatewayError.self) {
      try await NetworkManager(tool: "/nowhere/nmcli").openSetup(password: "secret99")
    }
    #expect(none?.description == "this system has no NetworkManager")
  }

  @Test func theOldConnectionStaysUntilTheNewOneWorks() async throws {
    let folder = try Folder()
    let tool = folder.path + "/nmcli"
    // Says what it was asked, and refuses `up` while a file is there.
    try writeProgram(
      tool,
      """
      #!/bin/sh
      echo "$@" >> \(folder.path)/log
      case "$*" in *edit*) cat >> \(folder.path)/typed;; *" up "*) [ -e \(folder.path)/fail ] && { echo "Error: no secrets"; exit 4; };; esac
      exit 0
      """)
    let manager = NetworkManager(tool: tool)
    try "".write(toFile: folder.path + "/fail", atomically: true, encoding: .utf8)
    #expect(await manager.connect("home", password: "secret99") == "NetworkManager says: Error: no secrets")
    var log = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    #expect(log.hasSuffix("connection delete linkbms-new\n--wait 20 connection up linkbms-setup\n"))
    #expect(!log.contains("delete linkbms\n"))
    #expect(!log.contains("secret99"))
    unlink(folder.path + "/fail")
    #expect(await manager.connect("home", password: "secret99") == nil)
    log = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    #expect(
      log.hasSuffix(
        "connection delete linkbms-setup\nconnection delete linkbms\nconnection modify linkbms-new connection.id linkbms\n"))
    #expect(
      try String(contentsOfFile: folder.path + "/typed", encoding: .utf8).contains("set wifi-sec.psk secret99\nsave persistent\n"))
    #expect(await manager.rename("bms-2") == nil)
    log = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    #expect(log.hasSuffix("general hostname bms-2\n"))
    #expect(await manager.forget() == nil)
    log = try String(contentsOfFile: folder.path + "/log", encoding: .utf8)
    #expect(log.hasSuffix("connection delete linkbms\n"))
    #expect(await NetworkManager(tool: "/nowhere/nmcli").forget() == "this system has no NetworkManager")
    for name in ["", "-x", "x-", "a b", "a.local", String(repeating: "x", count: 64)] {
      #expect(await manager.rename(name) != nil, "\(name)")
    }
    for (name, password) in [("", "long enough"), ("x", "short"), ("x", "new\nline99"), ("-x", "secret99"), ("x\ny", "secret99")] {
      #expect(await manager.connect(name, password: password) != nil, "\(name) \(password)")
    }
  }
}
