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

    // Protects: not while the contactors are closed.
    try person.saveAndConfirm("cell-overvoltage-protect=3.7")
    #expect(program.says("pages: the configuration is refused: cell-overvoltage-protect differs"), "\(program.text)")
    #expect(person.sees("/config") { $0.contains("is refused: cell-overvoltage-protect differs") })
    #expect(try String(contentsOfFile: folder.config, encoding: .utf8) == before)

    // Another battery: never in a run. The words name the file, and what is to be done after that.
    try person.saveAndConfirm("bms1-slaves=3&cell-count=24")
    #expect(program.says("pages: the configuration is refused: bms1-slaves differs: "), "\(program.text)")
    #expect(person.sees("/config") { $0.contains("; edit \(folder.config) and start the program again") })
    #expect(try String(contentsOfFile: folder.config, encoding: .utf8) == before)

    // Harmless: saved, then in force, and the run goes on.
    person.save("balance-difference=0.02")
    #expect(program.says("pages: configuration saved in \(folder.config) and taken over"), "\(program.text)")
    #expect(program.says("configuration in force"))
    #expect(try String(contentsOfFile: folder.config, encoding: .utf8).contains("balance-difference: 0.02"))

    // What cannot be saved is not taken over.
    try FileManager.default.removeItem(atPath: folder.config)
    try FileManager.default.createDirectory(atPath: folder.config + "/in the way", withIntermediateDirectories: true)
    person.save("balance-difference=0.03")
    #expect(program.says("pages: the configuration is refused: it cannot be saved: "), "\(program.text)")
    #expect(!person.ask("GET", "/api/v1/configuration").contains("0.03"))
    #expect(program.text.components(separatedBy: "→ RUNNING").count == 2, "\(program.text)")
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

    // Another protocol may need another command line: the next start must not fail by it.
    person.save("protocol=deye")
    #expect(program.says("pages: the configuration is refused: protocol differs: "), "\(program.text)")
    #expect(try file() == before)

    try person.saveAndConfirm("bms1-slaves=3&cell-count=24")
    let words = "configuration saved in \(folder.config): in force when the program is started again"
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
    #expect(hub.send(.reset))
    #expect(pages.exchange(snapshot, now_ns: 0, wallOffset_ns: 7_000).count == 1)
    let shown = hub.frames(after: 0).frames
    #expect(shown.map(\.bus.index) == [0, 1, 0] && shown.map(\.time.nanoseconds) == [5, 6, 7])
    #expect(shown.map(\.direction) == [.received, .transmitted, .transmitted])
    #expect(hub.moment(at: .now).snapshot?.time_ns == 1000)
    // More steps than can be seen are not shown, and orders wait with them.
    #expect(hub.send(.reset))
    #expect(pages.exchange(snapshot, now_ns: 49_000_000, wallOffset_ns: 7_000).isEmpty)
    #expect(pages.exchange(snapshot, now_ns: 50_000_000, wallOffset_ns: nil).count == 1)
    // The wall clock was set by an hour: what is shown next has its time. A step that is late sets nothing.
    pages.answer("no")
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
