import Bus
import Controller
import Testing

@testable import Gateway

/// The site without a socket.
struct Visitor {
  let site: Site
  var cookies: [String: String] = [:]
  var now = ContinuousClock.now

  init(_ site: Site) { self.site = site }

  func get(_ path: String, query: [String: String] = [:]) async -> PageResponse {
    await site.respond(PageRequest(path: path, query: query, cookies: cookies, now: now))
  }

  mutating func post(_ path: String, _ form: [String: String], origin: String? = nil, address: String = "10.0.0.1") async
    -> PageResponse
  {
    let answer = await site.respond(
      PageRequest(
        method: .post, path: path, form: form, cookies: cookies, origin: origin, host: "bms.local", address: address, now: now))
    for (name, value) in answer.headers where name == "set-cookie" {
      let parts = value.split(separator: ";")[0].split(separator: "=")
      cookies[String(parts[0])] = String(parts[1])
    }
    return answer
  }

  /// The value of a hidden field of a page.
  static func hidden(_ name: String, _ answer: PageResponse) throws -> String {
    let text = answer.text
    let start = try #require(text.range(of: "name=\"\(name)\" value=\""), "\(name) in \(text.prefix(400))").upperBound
    return String(text[start...].prefix { $0 != "\"" })
  }
}

extension PageResponse {
  var text: String {
    guard case .bytes(let bytes) = body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }
}

@Suite struct SiteTests {
  private func site(_ rig: Rig) throws -> Site { Site(hub: rig.hub, passwords: try PasswordFile(path: nil)) }

  private func loggedIn(_ rig: Rig) async throws -> Visitor {
    var visitor = Visitor(try site(rig))
    let code = try #require(visitor.site.setupCode)
    let answer = await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"])
    #expect(answer.status == 303)
    return visitor
  }

  @Test func readsAreOpenAndUnknownPagesAreNone() async throws {
    let visitor = Visitor(try site(Rig.running()))
    for path in [
      "/", "/data.json", "/metrics", "/config", "/login", "/password", "/assets/style.css", "/assets/live.js", "/assets/icon.svg",
      "/healthz",
    ] {
      #expect(await visitor.get(path).status == 200, "\(path)")
    }
    for path in ["/assets/../Package.swift", "/assets/%2e%2e/x", "/nothing", "//", "/config/"] {
      #expect(await visitor.get(path).status == 404, "\(path)")
    }
  }

  @Test func nothingChangesWithoutALogin() async throws {
    let rig = Rig.running()
    var visitor = Visitor(try site(rig))
    for path in ["/config", "/reset", "/confirm", "/config/calibrate", "/config/preset-lfp", "/logout", "/password"] {
      #expect(await visitor.post(path, ["csrf": "x"]).status == 401, "\(path)")
    }
    #expect(rig.publisher.takeCommands().isEmpty)
    // A page for who is not logged in has no token to steal.
    #expect(!(await visitor.get("/config").text.contains("name=\"csrf\"")))
  }

  @Test func theFirstPasswordNeedsTheCode() async throws {
    var visitor = Visitor(try site(Rig.running()))
    let wrong = await visitor.post("/login", ["code": "1", "password": "correct horse", "again": "correct horse"])
    #expect(wrong.status == 401)
    let code = try #require(visitor.site.setupCode)
    #expect(await visitor.post("/login", ["code": code, "password": "short", "again": "short"]).status == 422)
    #expect(await visitor.post("/login", ["code": code, "password": "correct horse", "again": "other horses"]).status == 422)
    #expect(await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"]).status == 303)
    var other = Visitor(visitor.site)
    #expect(await other.post("/login", ["password": "wrong horse"]).status == 401)
    #expect(await other.post("/login", ["password": "correct horse"]).status == 303)
  }

  @Test func wrongPasswordsFromOneAddressHaveToWait() async throws {
    var visitor = try await loggedIn(Rig.running())
    visitor.cookies = [:]
    for _ in 0..<Doors.tries { #expect(await visitor.post("/login", ["password": "no"]).status == 401) }
    let refused = await visitor.post("/login", ["password": "correct horse"])
    #expect(refused.status == 429)
    #expect(refused.headers.contains { $0.0 == "retry-after" })
    #expect(await visitor.post("/login", ["password": "correct horse"], address: "10.0.0.2").status == 303)
    visitor.now += .seconds(31)
    #expect(await visitor.post("/login", ["password": "correct horse"]).status == 303)
  }

  @Test func anotherPasswordNeedsTheOldOneAndEndsEveryOtherLogin() async throws {
    var visitor = try await loggedIn(Rig.running())
    var other = Visitor(visitor.site)
    #expect(await other.post("/login", ["password": "correct horse"]).status == 303)
    let theirs = try Visitor.hidden("csrf", await other.get("/config"))
    let before = visitor.cookies
    let csrf = try Visitor.hidden("csrf", await visitor.get("/password"))
    func form(_ old: String, _ new: String, _ again: String? = nil) -> [String: String] {
      ["csrf": csrf, "old": old, "password": new, "again": again ?? new]
    }
    #expect(await visitor.post("/password", ["csrf": "x", "old": "correct horse", "password": "battery staple"]).status == 403)
    #expect(await visitor.post("/password", form("correct horse", "short")).status == 422)
    #expect(await visitor.post("/password", form("correct horse", "battery staple", "battery stable")).status == 422)
    #expect(await visitor.post("/password", form("wrong horse", "battery staple")).status == 403)
    let done = await visitor.post("/password", form("correct horse", "battery staple"))
    #expect(done.status == 200 && done.text.contains("The password is changed"))
    // This login goes on with a new cookie; the old one and the other login are over.
    #expect(visitor.cookies != before)
    let fresh = try Visitor.hidden("csrf", done)
    #expect(await visitor.post("/reset", ["csrf": fresh]).status == 200)
    var stolen = visitor
    stolen.cookies = before
    #expect(await stolen.post("/reset", ["csrf": csrf]).status == 401)
    #expect(await other.post("/reset", ["csrf": theirs]).status == 401)
    other.cookies = [:]
    #expect(await other.post("/login", ["password": "correct horse"]).status == 401)
    #expect(await other.post("/login", ["password": "battery staple"]).status == 303)
  }

  @Test func oldPasswordsCannotBeTriedOut() async throws {
    var visitor = try await loggedIn(Rig.running())
    let csrf = try Visitor.hidden("csrf", await visitor.get("/password"))
    let guess = ["csrf": csrf, "old": "guess", "password": "battery staple", "again": "battery staple"]
    for _ in 0..<Doors.tries { #expect(await visitor.post("/password", guess).status == 403) }
    var right = guess
    right["old"] = "correct horse"
    let refused = await visitor.post("/password", right)
    #expect(refused.status == 429 && refused.headers.contains { $0.0 == "retry-after" })
    // The login counts the same tries, and theirs count here.
    var other = Visitor(visitor.site)
    other.now = visitor.now
    #expect(await other.post("/login", ["password": "correct horse"]).status == 429)
    visitor.now += .seconds(31)
    #expect(await visitor.post("/password", right).status == 200)
  }

  @Test func whoIsNotLoggedInSeesNoPasswordForm() async throws {
    let visitor = try await loggedIn(Rig.running())
    let page = await Visitor(visitor.site).get("/password")
    #expect(!page.text.contains("name=\"csrf\"") && page.text.contains("/login?next=/password"))
  }

  @Test func aFormFromElsewhereIsRefused() async throws {
    let rig = Rig.running()
    var visitor = try await loggedIn(rig)
    #expect(await visitor.post("/reset", ["csrf": "guess"]).status == 403)
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    #expect(await visitor.post("/reset", ["csrf": csrf], origin: "http://evil.example").status == 403)
    #expect(await visitor.post("/reset", ["csrf": csrf], origin: "http://bms.local").status == 200)
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  @Test func resetNeedsASecondConfirmationThatWorksOnce() async throws {
    let rig = Rig.running()
    var visitor = try await loggedIn(rig)
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    let token = try Visitor.hidden("token", await visitor.post("/reset", ["csrf": csrf]))
    #expect(rig.publisher.takeCommands().isEmpty)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token]).status == 409)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": "x", "sure": "on"]).status == 409)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 303)
    guard case .reset? = rig.publisher.takeCommands().first else {
      Issue.record("no reset")
      return
    }
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 409)
    let late = try Visitor.hidden("token", await visitor.post("/reset", ["csrf": csrf]))
    visitor.now += .seconds(301)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": late, "sure": "on"]).status == 409)
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  @Test func savingShowsTheChangesFirst() async throws {
    let rig = Rig.running()
    var visitor = try await loggedIn(rig)
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    let refused = await visitor.post("/config", ["csrf": csrf, "capacity": "0"])
    #expect(refused.status == 422 && refused.text.contains("aria-invalid=\"true\""))
    #expect(refused.text.contains("capacity: found 0 Ah, expected 1…2000 Ah"))
    let harmless = await visitor.post("/config", ["csrf": csrf, "balance-difference": "0.02"])
    #expect(harmless.status == 303)
    guard case .configure(let quiet)? = rig.publisher.takeCommands().first else {
      Issue.record("no configuration")
      return
    }
    #expect(quiet[.balanceDifference] == 200)
    // What became of it stands on this page, never among the events.
    #expect(await visitor.get("/config", query: ["done": "saved"]).text.contains("Load this page again to see what became of it."))
    let asked = await visitor.post("/config", ["csrf": csrf, "cell-overvoltage-protect": "3.7"])
    #expect(asked.status == 200 && asked.text.contains("cell-overvoltage-protect: 3.65 V → 3.7 V"))
    #expect(rig.publisher.takeCommands().isEmpty)
    let token = try Visitor.hidden("token", asked)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 303)
    guard case .configure(let saved)? = rig.publisher.takeCommands().first else {
      Issue.record("no configuration")
      return
    }
    #expect(saved[.overvoltageProtect] == 37_000)
  }

  @Test func calibrationShowsRawAndResultBeforeItStores() async throws {
    let rig = Rig.running()
    var visitor = try await loggedIn(rig)
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    let asked = await visitor.post("/config/calibrate", ["csrf": csrf, "point": "current-high", "value": "10,5"])
    for line in ["Raw reading 10000", "Shown until now: 10 A", "Shown after: 10.5 A"] {
      #expect(asked.text.contains(line), "\(line)")
    }
    #expect(await visitor.post("/config/calibrate", ["csrf": csrf, "point": "current-high", "value": "1"]).status == 422)
    #expect(await visitor.post("/config/calibrate", ["csrf": csrf, "point": "v-in", "value": "much"]).status == 422)
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  @Test func logoutEndsTheLogin() async throws {
    var visitor = try await loggedIn(Rig.running())
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    #expect(await visitor.post("/logout", ["csrf": csrf]).status == 303)
    #expect(await visitor.post("/reset", ["csrf": csrf]).status == 401)
  }

  @Test func aLoginEndsByItself() async throws {
    var visitor = try await loggedIn(Rig.running())
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    visitor.now += .seconds(31 * 60)
    #expect(await visitor.post("/reset", ["csrf": csrf]).status == 401)
  }
}

@Suite struct HubTests {
  @Test func theLoopNeverWaitsAndLosesNoEvent() throws {
    var rig = Rig.running()
    let before = try #require(rig.moment.events.last).number
    // A reader that holds the lock: `update` runs its closure inside.
    rig.hub.update { _ in
      rig.readings.cells[0] = 20_000
      rig.run(seconds: 2)
    }
    #expect(rig.moment.events.last?.number == before)
    rig.run(seconds: 1)
    let texts = rig.moment.events.map { "\($0.event.kind)" }
    #expect(texts.contains { $0.contains("protect") })
    #expect(Set(rig.moment.events.map(\.number)).count == rig.moment.events.count)
  }

  @Test func commandsAreBounded() {
    let hub = SnapshotHub()
    for _ in 0..<SnapshotHub.commandRoom { #expect(hub.send(.reset)) }
    #expect(!hub.send(.reset))
    #expect(hub.publisher().takeCommands().count == SnapshotHub.commandRoom)
    #expect(hub.send(.reset))
  }

  @Test func framesAreCountedAndBounded() {
    let hub = SnapshotHub()
    var publisher = hub.publisher()
    var rig = Rig()
    rig.run(seconds: 1)
    for _ in 0..<1500 { publisher.add(.init()) }
    publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: 0), at: .now)
    for _ in 0..<1500 { publisher.add(.init()) }
    publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: 0), at: .now)
    #expect(hub.frames(after: 0).frames.count == SnapshotHub.frameRoom)
    #expect(hub.frames(after: 2900).frames.count == 100)
    #expect(hub.frames(after: 0).count == 3000)
  }
}
