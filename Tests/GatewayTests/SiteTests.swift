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
  /// Pages that do not wait for answers: nobody gives any.
  private func site(_ rig: Rig, answerPatience: Duration = .zero) throws -> Site {
    Site(hub: rig.hub, passwords: try PasswordFile(path: nil), answerPatience: answerPatience)
  }

  private func loggedIn(_ rig: Rig, answerPatience: Duration = .zero) async throws -> Visitor {
    var visitor = Visitor(try site(rig, answerPatience: answerPatience))
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
    // What a browser says of a page that it locks in; of ours only under a policy that tells no referrer to anybody.
    #expect(await visitor.post("/reset", ["csrf": csrf], origin: "null").status == 403)
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
    guard case .reset? = rig.publisher.takeCommands().first?.command else {
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
    guard case .configure(let quiet)? = rig.publisher.takeCommands().first?.command else {
      Issue.record("no configuration")
      return
    }
    #expect(quiet[.balanceDifference] == 200)
    // What became of it stands on this page, never among the events.
    #expect(harmless.headers.contains { $0 == ("location", "/config?done=1") })
    #expect(await visitor.get("/config", query: ["done": "1"]).text.contains("Load this page again to see what became of it."))
    let asked = await visitor.post("/config", ["csrf": csrf, "cell-overvoltage-protect": "3.7"])
    #expect(asked.status == 200 && asked.text.contains("cell-overvoltage-protect: 3.65 V → 3.7 V"))
    #expect(rig.publisher.takeCommands().isEmpty)
    let token = try Visitor.hidden("token", asked)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 303)
    guard case .configure(let saved)? = rig.publisher.takeCommands().first?.command else {
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
    // Refused beside the field, with what was typed.
    for (place, value, words) in [
      ("current-high", "1", "1 A is closer than 5 % of full scale"), ("v-in", "much", "found &quot;much&quot;, expected a number"),
    ] {
      let refused = await visitor.post("/config/calibrate", ["csrf": csrf, "point": place, "value": value])
      #expect(refused.status == 422 && refused.text.contains("id=\"cale-\(place)\">\(words)"), "\(place)")
      #expect(refused.text.contains("id=\"cal-\(place)\" name=\"value\" value=\"\(value)\""), "\(place)")
    }
    #expect(await visitor.post("/config/calibrate", ["csrf": csrf, "point": "v-mid", "value": "1"]).status == 422)
    #expect(rig.publisher.takeCommands().isEmpty)
    // What is handed over is the point: the controller puts it in.
    let token = try Visitor.hidden("token", asked)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 303)
    guard case .calibrate(.currentHigh(raw: 10_000, milliamperes: 10_500))? = rig.publisher.takeCommands().first?.command else {
      Issue.record("no calibration")
      return
    }
  }

  // MARK: What becomes of it

  /// A controller that gives the next command this answer.
  private static func answering(_ rig: Rig, _ refusal: CommandRefusal?) -> Task<Void, Never> {
    Task {
      var rig = rig
      while !Task.isCancelled {
        if let order = rig.publisher.takeCommands().first {
          rig.publisher.add(answer: CommandAnswer(number: order.number, text: "what became of it", refusal: refusal))
          while !rig.publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: rig.now_ns), at: Rig.published) {
            await Task.yield()
          }
          return
        }
        try? await Task.sleep(for: .milliseconds(5))
      }
    }
  }

  @Test func whatBecomesOfACommandIsWaitedForAndShown() async throws {
    let rig = Rig.running()
    var visitor = try await loggedIn(rig, answerPatience: .seconds(300))
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    let done = Self.answering(rig, nil)
    let saved = await visitor.post("/config", ["csrf": csrf, "balance-difference": "0.02"])
    #expect(saved.status == 303 && saved.headers.contains { $0 == ("location", "/config?done=1") })
    await done.value
    #expect(await visitor.get("/config", query: ["done": "1"]).text.contains("The controller&#39;s answer: what became of it"))
    #expect(await visitor.get("/config").text.contains("last answer: what became of it"))

    // A refusal stands beside its field, and what was typed is still there.
    let refusing = Self.answering(rig, CommandRefusal(item: .balanceDifference, reason: "not today"))
    let refused = await visitor.post("/config", ["csrf": csrf, "balance-difference": "0.03"])
    await refusing.value
    #expect(refused.status == 409 && refused.text.contains("id=\"e-balance-difference\"><span class=\"line\">not today</span>"))
    #expect(refused.text.contains("name=\"balance-difference\" value=\"0.03\"") && refused.text.contains("1 field is refused"))

    let calibrated = await visitor.post("/config/calibrate", ["csrf": csrf, "point": "current-high", "value": "10.5"])
    let token = try Visitor.hidden("token", calibrated)
    let calibrating = Self.answering(rig, CommandRefusal(item: .currentHigh, reason: "not there"))
    let answer = await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"])
    await calibrating.value
    #expect(answer.status == 409 && answer.text.contains("id=\"cale-current-high\">not there"))

    let reset = try Visitor.hidden("token", await visitor.post("/reset", ["csrf": csrf]))
    let resetting = Self.answering(rig, CommandRefusal(reason: "never"))
    let never = await visitor.post("/confirm", ["csrf": csrf, "token": reset, "sure": "on"])
    await resetting.value
    #expect(never.status == 409 && never.text.contains("Refused: never"))
  }

  @Test func whatWouldBeRefusedIsRefusedBeforeAnybodyIsAskedToConfirm() async throws {
    let rig = Rig.running()
    rig.publisher.explain(
      CommandRules(notes: [.capacity: "Weigh it first."]) { command, snapshot in
        switch command {
        case .configure(let wanted) where wanted[.inverterProtocol] == InverterProtocol.goodwe.rawValue:
          CommandRefusal(item: .inverterProtocol, reason: "nobody speaks it")
        case .configure(let wanted) where wanted[.capacity] != snapshot.configuration[.capacity]:
          CommandRefusal(item: .capacity, reason: "too heavy")
        case .calibrate(.output): CommandRefusal(item: .outputHigh, reason: "closed")
        default: nil
        }
      })
    var visitor = try await loggedIn(rig)
    let page = await visitor.get("/config")
    let csrf = try Visitor.hidden("csrf", page)
    // The reason stands beside the field before anything is saved.
    #expect(page.text.contains("<option value=\"goodwe\" disabled>GoodWe</option>"))
    #expect(page.text.contains("<option value=\"deye\" selected>Deye</option>"))
    #expect(page.text.contains("Not to be chosen now: GoodWe: nobody speaks it.") && page.text.contains("Weigh it first."))
    let heavy = await visitor.post("/config", ["csrf": csrf, "capacity": "120"])
    #expect(heavy.status == 409 && heavy.text.contains("id=\"e-capacity\"><span class=\"line\">too heavy</span>"))
    #expect(heavy.text.contains("name=\"capacity\" value=\"120\""))
    #expect(await visitor.post("/config", ["csrf": csrf, "protocol": "goodwe"]).text.contains("id=\"e-protocol\">"))
    let point = await visitor.post("/config/calibrate", ["csrf": csrf, "point": "v-out", "value": "53"])
    #expect(point.status == 409 && point.text.contains("id=\"cale-v-out\">closed") && !point.text.contains("are you sure"))
    #expect(await visitor.post("/config/calibrate", ["csrf": csrf, "point": "v-in", "value": "53"]).text.contains("are you sure"))
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  // MARK: A controller that is not there

  @Test func beforeTheFirstWordThereIsNoForm() async throws {
    let rig = Rig()
    var visitor = try await loggedIn(rig)
    let page = await visitor.get("/config")
    #expect(page.status == 200 && page.text.contains("The controller has said nothing yet"))
    #expect(!page.text.contains("<input id="))
    let csrf = try Visitor.hidden("csrf", await visitor.get("/password"))
    for path in ["/config", "/config/preset-lfp", "/config/calibrate"] {
      let answer = await visitor.post(path, ["csrf": csrf, "capacity": "120", "point": "v-in", "value": "50"])
      #expect(answer.status == 503 && answer.text.contains("has said nothing yet"), "\(path)")
      #expect(!answer.text.contains("<input id="), "\(path)")
    }
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  @Test func whatWasTypedOutlivesALostConnection() async throws {
    var rig = Rig { $0[.overvoltageProtect] = 37_000 }
    rig.run()
    // It has been silent for long.
    let longAgo = ContinuousClock.now - .seconds(60)
    let isOut = rig.publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: rig.now_ns), at: longAgo)
    #expect(isOut)
    var visitor = try await loggedIn(rig)
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    #expect(await visitor.get("/config").text.contains("No connection with the BMS"))
    let answer = await visitor.post("/config", ["csrf": csrf, "capacity": "120", "sensors": "1", "t-0-1": "on"])
    #expect(answer.status == 503 && answer.text.contains("Nothing was saved: no connection with the BMS"))
    // What was typed over what the controller worked by, and no preset's numbers.
    #expect(answer.text.contains("name=\"capacity\" value=\"120\""))
    #expect(answer.text.contains("name=\"cell-overvoltage-protect\" value=\"3.7\""))
    #expect(answer.text.contains("name=\"t-0-1\" checked") && !answer.text.contains("name=\"t-0-4\" checked"))
    let point = await visitor.post("/config/calibrate", ["csrf": csrf, "point": "v-in", "value": "53"])
    #expect(point.status == 503 && point.text.contains("id=\"cale-v-in\">no connection with the BMS"))
    #expect(rig.publisher.takeCommands().isEmpty)
  }

  // MARK: Strangers

  @Test func manyAddressesOfANetworkAreOne() async throws {
    var visitor = try await loggedIn(Rig.running())
    visitor.cookies = [:]
    // One of them has its own tries, and keeps nobody else out.
    for _ in 0..<Doors.tries {
      #expect(await visitor.post("/login", ["password": "no"], address: "2001:db8:1:2::a").status == 401)
    }
    #expect(await visitor.post("/login", ["password": "correct horse"], address: "2001:db8:1:2::a").status == 429)
    for turn in Doors.tries..<Doors.networkTries {
      #expect(await visitor.post("/login", ["password": "no"], address: "2001:db8:1:2::\(turn)").status == 401)
    }
    #expect(await visitor.post("/login", ["password": "correct horse"], address: "2001:db8:1:2:3:4:5:6").status == 429)
    #expect(await visitor.post("/login", ["password": "correct horse"], address: "2001:db8:1:3::1").status == 303)
  }

  @Test func codesCannotBeTriedOutFromManyAddresses() async throws {
    var visitor = Visitor(try site(Rig.running()))
    let code = try #require(visitor.site.setupCode)
    // One of the codes is right; a guess of nine digits never is.
    let guess = ["code": "000000000", "password": "correct horse", "again": "correct horse"]
    for turn in 0..<Doors.codeTries { #expect(await visitor.post("/login", guess, address: "10.1.0.\(turn)").status == 401) }
    let right = ["code": code, "password": "correct horse", "again": "correct horse"]
    let refused = await visitor.post("/login", right, address: "10.1.1.1")
    #expect(refused.status == 429 && refused.text.contains("everybody has to wait"))
    #expect(refused.headers.contains { $0.0 == "retry-after" })
    // However long it goes on, nobody waits for more than a minute; and there is a way in beside it.
    for turn in 0..<10 {
      visitor.now += Doors.longestCodeWait
      #expect(await visitor.post("/login", guess, address: "10.1.2.\(turn)").status == 401)
      #expect(await visitor.post("/login", right, address: "10.1.3.1").status == 429)
    }
    var owner = Visitor(visitor.site)
    owner.now = visitor.now
    #expect(await owner.post("/login", guess, address: "127.0.0.1").status == 401)
    #expect(await owner.post("/login", right, address: "127.0.0.1").status == 303)
  }

  @Test func whoWaitsLongEnoughSetsThePassword() async throws {
    var visitor = Visitor(try site(Rig.running()))
    let code = try #require(visitor.site.setupCode)
    let guess = ["code": "000000000", "password": "correct horse", "again": "correct horse"]
    for turn in 0..<40 {
      _ = await visitor.post("/login", guess, address: "10.1.0.\(turn)")
      visitor.now += .seconds(61)
    }
    let right = ["code": code, "password": "correct horse", "again": "correct horse"]
    #expect(await visitor.post("/login", right, address: "10.1.1.1").status == 303)
  }

  @Test(arguments: [
    ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("::1", "0:0:0:0::/64"), ("fe80::1%eth0", "fe80:0:0:0::/64"),
    ("2001:db8::1", "2001:db8:0:0::/64"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001::1:2:3:4:5:6", "2001:0:1:2::/64"),
    ("::", "0:0:0:0::/64"), ("local", "local"),
  ])
  func addressesHaveAnOrigin(address: String, origin: String) {
    #expect((ClientAddress.network(address) ?? ClientAddress.plain(address)) == origin)
    #expect(ClientAddress.isLoopback(address) == (address == "::1"))
    #expect(ClientAddress.isLoopback("127.0.0.9") && ClientAddress.isLoopback("::ffff:127.0.0.1"))
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
    for number in 0..<SnapshotHub.commandRoom { #expect(hub.send(.reset) == UInt64(number) + 1) }
    #expect(hub.send(.reset) == nil)
    #expect(hub.publisher().takeCommands().map(\.number) == Array(1...UInt64(SnapshotHub.commandRoom)))
    #expect(hub.send(.reset) == UInt64(SnapshotHub.commandRoom) + 1)
  }

  @Test func answersAreFoundByTheirNumber() {
    var rig = Rig.running()
    #expect(rig.hub.answer(to: 3) == nil && rig.moment.answer == nil)
    let many = UInt64(SnapshotHub.answerRoom) + 5
    for number in 1...many { rig.publisher.add(answer: CommandAnswer(number: number, text: "answer \(number)")) }
    let isOut = rig.publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: rig.now_ns), at: Rig.published)
    #expect(isOut && rig.moment.answer == "answer \(many)")
    #expect(rig.hub.answer(to: many)?.text == "answer \(many)" && rig.hub.answer(to: 5) == nil)
    #expect(rig.hub.answer(to: 6) != nil && rig.hub.answer(to: many + 1) == nil)
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
