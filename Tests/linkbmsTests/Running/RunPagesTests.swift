import Bus
import Controller
import Foundation
import Gateway
import Glibc
import Testing

@testable import linkbms

/// `run --http` as a process, and what stands between the loop and the pages.
@Suite(.serialized) struct RunPagesTests {
  /// A run on a simulated battery whose pages are served, and a person before them.
  private static func run(
    _ folder: RunFolder, _ more: [String] = [], scenario end: String = ""
  ) throws -> (program: RunningProgram, person: Person) {
    let scenario = folder.path + "/small.yaml"
    let text =
      "configuration: {preset: lfp, bms1-slaves: 2, bms1-cells-per-module: 8, protocol: none}\nload: [{at: 0, current: 5}]\n"
    try (text + end).write(toFile: scenario, atomically: true, encoding: .utf8)
    let program = try RunningProgram(
      ["run", "--simulate", scenario, "--config", folder.config, "--deadline", "900ms", "--http", "127.0.0.1:0"] + more)
    try #require(program.says("pages on http://") && program.says("code to set the password of the pages: "), "\(program.text)")
    return (program, Person(program))
  }

  @Test func resetOpensAndComesBackAndTheServerEndsWithTheRun() throws {
    let folder = try RunFolder()
    let (program, person) = try Self.run(folder)
    #expect(program.says("→ RUNNING"), "\(program.text)")
    #expect(person.sees("/data.json") { $0.contains("RUNNING") }, "\(person.ask("GET", "/data.json"))")
    #expect(person.sees("/api/v1/events") { $0.contains("RUNNING") })

    // Nobody changes anything without a login, the page's token and the second confirmation.
    #expect(person.ask("POST", "/reset", "csrf=x").hasPrefix("HTTP/1.1 401"))
    try person.logIn()
    #expect(person.ask("POST", "/reset", "csrf=x").hasPrefix("HTTP/1.1 403"))
    let asked = person.ask("POST", "/reset", "csrf=\(person.csrf)")
    let token = try #require(Person.hidden("token", asked), "\(asked)")
    #expect(person.ask("POST", "/confirm", "csrf=\(person.csrf)&token=\(token)").hasPrefix("HTTP/1.1 409"))
    #expect(!program.text.contains("pages: reset"))
    #expect(person.ask("POST", "/confirm", "csrf=\(person.csrf)&token=\(token)&sure=on").hasPrefix("HTTP/1.1 303"))
    #expect(program.says("pages: reset BMS"), "\(program.text)")
    #expect(program.says("PDU ordered: all open"), "\(program.text)")
    #expect(program.says("→ RUNNING", count: 2), "\(program.text)")
    #expect(person.sees("/config") { $0.contains("last answer") && $0.contains("measured anew") })
    let said = program.text
    let reset = try #require(said.range(of: "pages: reset BMS")?.upperBound)
    let opened = try #require(said.range(of: "PDU ordered: all open", range: reset..<said.endIndex)?.upperBound)
    #expect(said.range(of: "CHECKING", range: reset..<said.endIndex) != nil, "\(said)")
    #expect(said.range(of: "→ RUNNING", range: opened..<said.endIndex) != nil, "\(said)")

    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
    #expect(person.ask("GET", "/data.json").isEmpty)
    // The password is kept beside the state, for this user only.
    let facts = try FileManager.default.attributesOfItem(atPath: folder.config + ".state.password")
    #expect(facts[.posixPermissions] as? Int == 0o600)
  }

  @Test func configurationsGoByTheRulesAndIntoTheFile() throws {
    let folder = try RunFolder()
    let (program, person) = try Self.run(folder)
    #expect(program.says("→ RUNNING"), "\(program.text)")
    try person.logIn()
    let before = try String(contentsOfFile: folder.config, encoding: .utf8)

    // Protects: not while the contactors are closed. It says so beside the field, and asks nobody to confirm it.
    let protecting = person.tryToSave("cell-overvoltage-protect=3.7")
    #expect(protecting.hasPrefix("HTTP/1.1 409"), "\(protecting)")
    let reason = "cell-overvoltage-protect differs and the contactors are closed"
    #expect(protecting.contains("id=\"e-cell-overvoltage-protect\"><span class=\"line\">\(reason)"), "\(protecting)")
    #expect(protecting.contains("name=\"cell-overvoltage-protect\" value=\"3.7\""), "\(protecting)")

    // Another battery: never in a run. The words name the file, and what is to be done after that.
    let other = person.tryToSave("bms1-slaves=3&cell-count=24")
    #expect(other.hasPrefix("HTTP/1.1 409") && other.contains("id=\"e-bms1-slaves\"><span class=\"line\">bms1-slaves differs: "))
    #expect(other.contains("; else edit \(folder.config) and start the program again"), "\(other)")
    #expect(try String(contentsOfFile: folder.config, encoding: .utf8) == before)
    #expect(!program.text.contains("pages: the configuration"), "\(program.text)")

    // Harmless: saved, then in force, and the run goes on.
    person.save("balance-difference=0.02")
    #expect(program.says("pages: configuration saved in \(folder.config) and taken over"), "\(program.text)")
    #expect(person.sees("/config?done=1") { $0.contains("configuration saved in \(folder.config) and taken over") })
    #expect(program.says("configuration in force"))
    #expect(try String(contentsOfFile: folder.config, encoding: .utf8).contains("balance-difference: 0.02"))

    // What cannot be saved is not taken over.
    try FileManager.default.removeItem(atPath: folder.config)
    try FileManager.default.createDirectory(atPath: folder.config + "/in the way", withIntermediateDirectories: true)
    _ = person.tryToSave("balance-difference=0.03")
    #expect(program.says("pages: the configuration is refused: it cannot be saved: "), "\(program.text)")
    #expect(!person.ask("GET", "/api/v1/configuration").contains("0.03"))
    #expect(program.text.components(separatedBy: "→ RUNNING").count == 2, "\(program.text)")
    program.send(SIGTERM)
    #expect(program.end() == 0)
  }

  /// They are written by hand, perhaps while it runs, and no page knows them.
  @Test func savingKeepsTheDigitalLinesOfTheFile() throws {
    let folder = try RunFolder()
    let (program, person) = try Self.run(folder)
    #expect(program.says("→ RUNNING"), "\(program.text)")
    try person.logIn()
    func file() throws -> String { try String(contentsOfFile: folder.config, encoding: .utf8) }
    let lines = "# the cabinet's computer\ngpio:\n  chip: gpiochip0  # the header\n  reset-button: 27:low\n"
    try (file() + "\n" + lines).write(toFile: folder.config, atomically: true, encoding: .utf8)
    person.save("balance-difference=0.02")
    #expect(program.says("pages: configuration saved in \(folder.config) and taken over"), "\(program.text)")
    let saved = try file()
    #expect(saved.contains("balance-difference: 0.02") && saved.hasSuffix("\n" + lines), "\(saved)")

    // What cannot be read cannot be kept: nothing is saved, and nothing is taken over.
    let broken = saved.replacing("27:low", with: "27:lo")
    try broken.write(toFile: folder.config, atomically: true, encoding: .utf8)
    _ = person.tryToSave("balance-difference=0.03")
    #expect(program.says("pages: the configuration is refused: it cannot be saved: \(folder.config): line "), "\(program.text)")
    #expect(try file() == broken)
    #expect(!person.ask("GET", "/api/v1/configuration").contains("0.03"))
    program.send(SIGTERM)
    #expect(program.end() == 0)
  }

  @Test func anotherBatteryIsSavedForTheNextStartWhereNothingIsClosed() throws {
    let folder = try RunFolder()
    // A module that says nothing: nothing closes.
    let (program, person) = try Self.run(folder, scenario: "faults: [{at: 0, fault: slave-dead, chain: 1, module: 1}]\n")
    try person.logIn()
    #expect(person.sees("/healthz") { $0.hasSuffix("ok\n") })
    func file() throws -> String { try String(contentsOfFile: folder.config, encoding: .utf8) }
    let before = try file()

    #expect(before.contains("protocol: none"))
    person.save("protocol=deye")
    #expect(program.says("in force when the program is started again, for it is for another inverter"), "\(program.text)")
    #expect(try file().contains("protocol: deye"))

    try person.saveAndConfirm("bms1-slaves=3&cell-count=24")
    let words = "configuration saved in \(folder.config): in force when the program is started again, for it is another battery"
    #expect(program.says("pages: \(words)"), "\(program.text)")
    #expect(person.sees("/config") { $0.contains(words) })
    #expect(try file().contains("bms1-slaves: 3") && file().contains("cell-count: 24"))
    #expect(person.ask("GET", "/config").contains("name=\"bms1-slaves\" value=\"2\""))

    // What is saved after that is what was in force, and what changes: it says so.
    person.save("balance-difference=0.02")
    #expect(program.says("taken over; what was saved for the next start is replaced by it"), "\(program.text)")
    #expect(try file().contains("bms1-slaves: 2") && file().contains("balance-difference: 0.02"))
    program.send(SIGTERM)
    _ = program.end()
    #expect(!program.text.contains("PDU ordered: negative"), "\(program.text)")
  }

  /// The manual: "select Deye protocol in config". The next start must not fail by it, and nothing that protects comes along under load.
  @Test func anotherProtocolIsSavedForTheNextStartWhereTheCommandLineGoesWithIt() throws {
    let folder = try RunFolder()
    try folder.set("protocol=deye")
    let bus = NetworkBus()
    let (program, person) = try Self.run(folder, ["--can", bus.address])
    #expect(program.says("→ RUNNING"), "\(program.text)")
    try person.logIn()
    func file() throws -> String { try String(contentsOfFile: folder.config, encoding: .utf8) }
    let before = try file()
    let page = person.ask("GET", "/config")
    #expect(page.contains("<option value=\"none\" disabled>") && page.contains("<option value=\"goodwe\">"), "\(page)")
    #expect(page.contains("Not to be chosen now: none: protocol differs: "), "\(page)")
    #expect(page.contains("in force when the program is started again."), "\(page)")

    let none = person.tryToSave("protocol=none")
    #expect(none.hasPrefix("HTTP/1.1 409") && none.contains("id=\"e-protocol\"><span class=\"line\">protocol differs: "), "\(none)")
    let both = person.tryToSave("protocol=goodwe&cell-overvoltage-protect=3.7")
    #expect(both.hasPrefix("HTTP/1.1 409") && both.contains("id=\"e-cell-overvoltage-protect\""), "\(both)")
    #expect(try file() == before)

    person.save("protocol=goodwe&balance-difference=0.02")
    #expect(program.says("in force when the program is started again, for it is for another inverter"), "\(program.text)")
    #expect(try file().contains("protocol: goodwe") && file().contains("balance-difference: 0.02"))
    #expect(!program.text.contains("all open"), "\(program.text)")
    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
    // What the next start works by is what was chosen, and it begins.
    let next = try RunningProgram([
      "run", "--simulate", folder.path + "/small.yaml", "--config", folder.config, "--can", bus.address, "--for", "1s",
    ])
    #expect(next.end() == 0, "\(next.text)")
  }

  /// Manual, "Current sensor": 'high' when a high known current is flowing; "Voltage sensor": on input and on output.
  @Test func whatFlowsOnlyThroughClosedContactorsIsCalibratedBehindThem() throws {
    let folder = try RunFolder()
    let (program, person) = try Self.run(folder)
    #expect(program.says("→ RUNNING"), "\(program.text)")
    try person.logIn()
    func file() throws -> String { try String(contentsOfFile: folder.config, encoding: .utf8) }
    let before = try file()
    // The load of 5 A has come.
    #expect(person.sees("/data.json") { (Person.number("CAc", $0) ?? 0) > 4.8 }, "\(person.ask("GET", "/data.json"))")

    // What is measured with open contactors, and what is no correction: refused before anybody is asked to confirm it.
    for (form, words) in [
      ("point=current-low&value=0", "id=\"cale-current-low\">this point is calibrated with open contactors"),
      ("point=v-in&value=53", "id=\"cale-v-in\">this point is calibrated with open contactors"),
      ("point=current-high&value=50", "id=\"cale-current-high\">found 50 A for what was"),
      ("point=v-out&value=80", "id=\"cale-v-out\">found 80 V for what was"),
    ] {
      let refused = person.ask("POST", "/config/calibrate", "csrf=\(person.csrf)&\(form)")
      #expect(refused.hasPrefix("HTTP/1.1 409") && refused.contains(words), "\(form): \(refused)")
    }
    #expect(try file() == before && !program.text.contains("calibration"), "\(program.text)")

    try person.calibrate("current-high", "5.2")
    #expect(program.says("pages: calibration saved in \(folder.config) and taken over"), "\(program.text)")
    #expect(try file().contains("current-high: 5.2 "))
    #expect(person.sees("/api/v1/configuration") { $0.contains("\"value\":5.2}") || $0.contains("\"value\":5.2,") })
    let input = try #require(Person.number("v_in_V", person.ask("GET", "/data.json")))
    try person.calibrate("v-out", String(format: "%.2f", input * 1.005))
    #expect(program.says("pages: calibration saved in \(folder.config) and taken over", count: 2), "\(program.text)")
    #expect(try file().contains("current-high: 5.2 ") && !file().contains("v-out-high: 800 "))
    #expect(!program.text.contains("all open"), "\(program.text)")
    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
  }

  @Test func theBusShowsBothSides() throws {
    let folder = try RunFolder()
    try folder.set("protocol=deye")
    let bus = NetworkBus()
    let (program, person) = try Self.run(folder, ["--can", bus.address])
    let inverter = try RunningProgram(["virtual", "inverter", "--profile", "deye-hv", "--can", bus.address])
    let isThere = person.sees("/api/v1/bus") { $0.contains("\"inverter\"") && $0.contains("\"battery\"") }
    #expect(isThere, "\(person.ask("GET", "/api/v1/bus"))\n\(program.text)\n\(inverter.text)")
    inverter.send(SIGTERM)
    _ = inverter.end()
    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
  }

  @Test func aPortThatIsTakenEndsItBeforeAnythingIsClosed() throws {
    let folder = try RunFolder()
    let (program, person) = try Self.run(folder)
    defer { program.send(SIGTERM) }
    let other = try RunFolder()
    let second = try RunningProgram([
      "run", "--simulate", folder.path + "/small.yaml", "--state", other.path + "/state", "--http", "127.0.0.1:\(person.port)",
    ])
    #expect(second.end() == 2)
    #expect(second.says("cannot listen") && !second.text.contains("PDU ordered"), "\(second.text)")
  }

  /// The loop's end without a loop: what is shown, and what is said once.
  @Test func portsAreShownApartAndALostServerIsSaidOnce() {
    let hub = SnapshotHub()
    var problem: String?
    var pages = RunPages(hub.publisher(), followsWallClock: true) { problem }
    let frame = CANFrame(id: ArbitrationID(rawValue: 0x123), length: 2, head: 0x0201)
    pages.add(frame, .received, port: 0, time_ns: 5)
    pages.add(frame, .transmitted, port: 1, time_ns: 6)
    pages.add(frame, .transmitted, port: 0, time_ns: 7)
    let snapshot = Snapshot(Engine(configuration: Configuration()), Readings(), time_ns: 1000)
    #expect(hub.send(.reset) != nil)
    #expect(pages.exchange(snapshot, now_ns: 0, wallOffset_ns: 7_000).count == 1)
    let shown = hub.frames(after: 0).frames
    #expect(shown.map(\.bus.index) == [0, 1, 0] && shown.map(\.time.nanoseconds) == [5, 6, 7])
    #expect(shown.map(\.direction) == [.received, .transmitted, .transmitted])
    #expect(hub.moment(at: .now).snapshot?.time_ns == 1000)
    // More steps than can be seen are not shown, and orders wait with them.
    #expect(hub.send(.reset) != nil)
    #expect(pages.exchange(snapshot, now_ns: 49_000_000, wallOffset_ns: 7_000).isEmpty)
    #expect(pages.exchange(snapshot, now_ns: 50_000_000, wallOffset_ns: nil).count == 1)
    // The wall clock was set by an hour: what is shown next has its time. A step that is late sets nothing.
    pages.answer(CommandAnswer(number: 2, text: "no"))
    _ = pages.exchange(snapshot, now_ns: 200_000_000, wallOffset_ns: 3_600_000_007_000)
    #expect(hub.moment(at: .now).snapshot?.time_ns == 3_600_000_001_000)
    _ = pages.exchange(snapshot, now_ns: 900_000_000, wallOffset_ns: 3_600_000_007_000)
    #expect(hub.moment(at: .now).snapshot?.time_ns == 3_600_000_001_000)
    #expect(hub.moment(at: .now).answer == "no")
    #expect(pages.newProblem() == nil)
    problem = "gone"
    #expect(pages.newProblem() == "gone")
    #expect(pages.newProblem() == nil)
  }

  @Test func theUnitServesThePagesBelowTheLoop() throws {
    let result = try linkbmsTests.run(
      BuiltProgram.path,
      [
        "run", "--config", "/etc/bms.yaml", "--chain", "tap+tcp://t:1", "--http", ":8080", "--history", "/var/lib/linkbms/h",
        "--tls-certificate", "/etc/bms.pem", "--tls-key", "/etc/private/bms key.pem", "--print-unit",
      ])
    #expect(result.output.contains("--http :8080 --tls-certificate /etc/bms.pem --history /var/lib/linkbms/h"), "\(result)")
    // The service's user may not read the key: systemd gives it a copy.
    #expect(result.output.contains("\nLoadCredential=tls-key:/etc/private/bms key.pem\n"))
    #expect(result.output.contains(" --tls-key %d/tls-key\n"))
    #expect(result.output.contains("CPUSchedulingResetOnFork=yes"))
  }

  /// The manual's bms.local/data.json is on port 80, which is root's; nobody else's rights are asked for elsewhere.
  @Test(arguments: [
    ([":80"], true), (["443"], true), (["1023"], true), (["1024"], false), ([":8080"], false), (["0"], false), ([String](), false),
  ])
  func theUnitMayServeThePortThatItIsToldTo(http: [String], isLow: Bool) {
    var world = MemoryWorld(MemoryBuses())
    let status = world.run(
      ["run", "--print-unit", "--config", "/etc/bms.yaml", "--chain", "tap+tcp://t:1"] + http.flatMap { ["--http", $0] })
    #expect(status == 0, "\(world.notes)")
    let rights = "CAP_NET_RAW CAP_NET_ADMIN" + (isLow ? " CAP_NET_BIND_SERVICE" : "")
    #expect(world.text.contains("\nAmbientCapabilities=\(rights)\nCapabilityBoundingSet=\(rights)\n"), "\(world.text)")
    #expect(world.text.contains("a port below 1024") == isLow)
  }
}

@Suite struct TLSArgumentTests {
  @Test(arguments: [
    (["--http", "0", "--tls-certificate", "c"], "--tls-certificate: needs --tls-key"),
    (["--http", "0", "--tls-key", "k"], "--tls-key: needs --tls-certificate"),
    (["--tls-certificate", "c", "--tls-key", "k"], "--tls-certificate: needs --http"),
    (["--http", "0", "--tls-certificate", "/nowhere/c", "--tls-key", "k"], "--tls-certificate /nowhere/c: cannot open"),
  ])
  func whatIsMissingIsNamed(words: [String], text: String) throws {
    let scenario = ControllerCommandTests.root + "/Captures/scenarios/deye-link.yaml"
    for start in [["run", "--simulate", scenario], ["simulate", scenario]] {
      let result = try linkbmsTests.run(BuiltProgram.path, start + words)
      #expect(result.status == 2 && result.errors.contains(text), "\(result)")
    }
  }
}

/// Somebody before the pages of a run, on plain sockets.
private final class Person {
  let port: UInt16
  private let code: String
  private var cookie = ""
  private(set) var csrf = ""

  init(_ program: RunningProgram) {
    func after(_ words: String) -> Substring {
      program.text.components(separatedBy: words).dropFirst().first?.prefix { !$0.isWhitespace && $0 != "/" } ?? ""
    }
    port = UInt16(after("pages on http://127.0.0.1:")) ?? 0
    code = String(after("code to set the password of the pages: "))
  }

  /// The whole answer; empty where nobody listens.
  func ask(_ method: String, _ path: String, _ form: String = "") -> String {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    place.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard result == 0 else { return "" }
    let text =
      "\(method) \(path) HTTP/1.1\r\nHost: bms\r\nConnection: close\r\n\(cookie.isEmpty ? "" : "Cookie: \(cookie)\r\n")"
      + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \(form.utf8.count)\r\n\r\n\(form)"
    let bytes = Array(text.utf8)
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return "" }
    var answer: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &room, room.count, 0)
      if count <= 0 { return String(decoding: answer, as: UTF8.self) }
      answer += room[..<count]
    }
  }

  /// Asks until it is there; this bounds a hang, not a time.
  func sees(_ path: String, _ isThere: (String) -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
      if isThere(ask("GET", path)) { return true }
      usleep(20_000)  // leaves the machine to the program that is asked
    }
    return false
  }

  /// Sets the password with the code that was printed.
  func logIn() throws {
    let answer = ask("POST", "/login", "code=\(code)&password=long+enough&again=long+enough")
    let start = try #require(answer.range(of: "set-cookie: ", options: .caseInsensitive)?.upperBound, "\(answer)")
    cookie = String(answer[start...].prefix { $0 != ";" })
    csrf = try #require(Person.hidden("csrf", ask("GET", "/config")))
  }

  /// Saves changes of the configuration that need no second confirmation.
  func save(_ changes: String) {
    let answer = ask("POST", "/config", "csrf=\(csrf)&\(changes)")
    #expect(answer.hasPrefix("HTTP/1.1 303"), "\(changes): \(answer)")
  }

  /// What the page says to changes, whatever that is.
  func tryToSave(_ changes: String) -> String { ask("POST", "/config", "csrf=\(csrf)&\(changes)") }

  /// Gives the true value of what a sensor measures now: shown once more, and sure.
  func calibrate(_ place: String, _ value: String) throws {
    let asked = ask("POST", "/config/calibrate", "csrf=\(csrf)&point=\(place)&value=\(value)")
    let token = try #require(Person.hidden("token", asked), "\(place): \(asked)")
    let answer = ask("POST", "/confirm", "csrf=\(csrf)&token=\(token)&sure=on")
    #expect(answer.hasPrefix("HTTP/1.1 303"), "\(place): \(answer)")
  }

  /// A number of data.json.
  static func number(_ key: String, _ text: String) -> Double? {
    text.components(separatedBy: "\"\(key)\":").dropFirst().first.flatMap { Double($0.prefix { "+-.0123456789".contains($0) }) }
  }

  /// Saves changes that may move a contactor: asked once more, and sure.
  func saveAndConfirm(_ changes: String) throws {
    let asked = ask("POST", "/config", "csrf=\(csrf)&\(changes)")
    let token = try #require(Person.hidden("token", asked), "\(changes): \(asked)")
    #expect(ask("POST", "/confirm", "csrf=\(csrf)&token=\(token)&sure=on").hasPrefix("HTTP/1.1 303"))
  }

  static func hidden(_ name: String, _ page: String) -> String? {
    page.components(separatedBy: "name=\"\(name)\" value=\"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
  }
}
