import Dispatch
import Foundation
import Testing

@testable import Gateway

/// A history that cannot be opened at the start holds up nobody, and loses nothing once it is there.
@Suite struct LateHistoryTests {
  private static let rubbish = String(repeating: "this is no database of SQLite\n", count: 100)

  @Test func aDamagedFileStaysAsItIsAndANewOneIsBegunWhenItIsGone() async throws {
    let folder = try Folder()
    let path = folder.path + "/h.sqlite"
    try Self.rubbish.write(toFile: path, atomically: true, encoding: .utf8)
    let store = LateHistory(first_s: 0.01, most_s: 0.02) { () throws(GatewayError) in try SQLiteHistory(path: path) }
    #expect(store.problem?.hasPrefix(path) == true && store.problem?.contains("as soon as that works") == true)
    var random = Seeded(1)
    let record = Records.random(start: 600, cells: 8, using: &random, gaps: false)
    let error = #expect(throws: GatewayError.self) { try store.append([record], events: [], device: "a") }
    #expect(error?.description == store.problem)
    #expect(throws: GatewayError.self) { try store.devices() }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.rubbish)

    // A person moves it away.
    try FileManager.default.moveItem(atPath: path, toPath: path + ".damaged")
    #expect(await comesTrue { store.problem == nil })
    try store.append([record], events: [], device: "a")
    #expect(try store.records(device: "a", in: 0..<1000) == [record])
    #expect(try String(contentsOfFile: path + ".damaged", encoding: .utf8) == Self.rubbish)
  }

  @Test func minutesWaitForAStoreThatOpensLater() throws {
    let folder = try Folder()
    let path = folder.path + "/h.sqlite"
    let door = Counter()
    let store = LateHistory { () throws(GatewayError) in
      guard door.now > 0 else { throw GatewayError("the server is not there yet") }
      return try SQLiteHistory(path: path)
    }
    var rig = Rig.running()
    let keeper = HistoryKeeper(hub: rig.hub, store: store)
    defer { keeper.stop() }
    var seconds: Set<Int64> = []
    func pass(_ count: Int) {
      for _ in 0..<count {
        rig.run(seconds: 1)
        // One that found the hub locked has not gone out.
        if let time_ns = rig.moment.snapshot?.time_ns { seconds.insert(time_ns / 1_000_000_000) }
        keeper.look(at: .now)
      }
    }
    pass(180)
    #expect(keeper.problem?.hasPrefix("the server is not there yet") == true)
    #expect(keeper.problem == store.problem)
    store.tryNow()
    #expect(store.problem != nil)

    _ = door.up()
    store.tryNow()
    #expect(store.problem == nil)
    pass(90)
    #expect(keeper.problem == nil)
    // All but the minute that is running.
    let whole = seconds.filter { $0 / 60 < (seconds.max() ?? 0) / 60 }
    let kept = try store.records(device: HistoryKeeper.own, in: 0..<Int64.max).flatMap(\.times)
    #expect(whole.count > 180 && whole.subtracting(kept).isEmpty)
  }

  @Test func aServerThatHangsHoldsUpNobody() async {
    let door = DispatchSemaphore(value: 0)
    let store = LateHistory(patience_s: 0.05) { () throws(GatewayError) in
      door.wait()
      return GateStore()
    }
    #expect(store.problem?.contains("has not answered yet") == true)
    #expect(throws: GatewayError.self) { try store.prune(before: 0) }
    door.signal()
    #expect(await comesTrue { store.problem == nil })
    #expect(throws: Never.self) { try store.prune(before: 0) }
  }

  @Test func aPlaceThatIsNoneIsAnErrorAtOnceAndKeepsItsPassword() {
    let error = #expect(throws: GatewayError.self) { try HistoryPlace.lateStore("mysql://somebody:secret@host/bms") }
    #expect(error?.description == "--history: found \"mysql://…\", expected a file or postgresql://…")
  }

  @Test(
    .enabled(if: StoreKind.server != nil),
    arguments: [
      "host:none/bms", "host:99999/bms", "host/bms?colour=red", "host/bms?sslmode=red", "[::1/bms", "se%zzcret@host/bms",
    ])
  func anOptionThatIsNoneIsAnErrorAtOnce(rest: String) {
    let place = "postgresql://somebody:secret" + (rest.contains("@") ? rest : "@" + rest)
    let error = #expect(throws: GatewayError.self) { try HistoryPlace.lateStore(place) }
    let text = error?.description ?? ""
    #expect(text.hasPrefix("PostgreSQL: ") && !text.contains("cret"), "\(text)")
  }

  @Test(
    .enabled(if: StoreKind.server != nil),
    arguments: [
      "127.0.0.1:1/bms", "127.0.0.1:1,[::1]:1/bms", "127.0.0.1:1/bms?sslmode=verify-full&sslrootcert=/none", "%2Fnone/bms",
      "host/bms?hostaddr=127.0.0.1&port=1",
    ])
  func aServerThatIsNotThereIsNone(rest: String) throws {
    let store = try HistoryPlace.lateStore("postgresql://somebody:secret@" + rest)
    let problem = try #require(store.problem)
    #expect(problem.hasPrefix("PostgreSQL database bms") && !problem.contains("secret"), "\(problem)")
  }
}

extension DeliveryTests {
  @Test func aQueueThatIsDamagedIsReplacedByOneInMemory() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    let rubbish = String(repeating: "this is no database of SQLite\n", count: 100)
    try rubbish.write(toFile: path, atomically: true, encoding: .utf8)
    let rig = Rig.running()
    let broker = TestBroker()
    defer { broker.end() }
    let link = try CloudLink(hub: rig.hub, broker: broker.options, name: "a", queue: path, version: "1")
    defer { link.stop() }
    #expect(link.queueProblem?.hasPrefix(path) == true && link.queueProblem?.contains("in memory") == true)
    #expect(await comesTrue { broker.published.contains { $0.topic == "linkbms/a/event" } && link.waiting == 0 })
    #expect(try String(contentsOfFile: path, encoding: .utf8) == rubbish)
  }

  /// What the queue has never had is what it had not had at the start, however many minutes of this run are in it meanwhile.
  @Test func minutesOfAHistoryThatOpensLateAreQueuedThen() async throws {
    let folder = try Folder()
    let (path, place) = (folder.path + "/queue.sqlite", folder.path + "/history.sqlite")
    var random = Seeded(3)
    let records = (0..<5).map { Records.random(start: 600 + 60 * Int64($0), cells: 16, using: &random) }
    try SQLiteHistory(path: place).append(records, events: [], device: HistoryKeeper.own)
    try Outbox(path: path).add([], historyUntil: records[1].times.last)
    let door = Counter()
    let history = LateHistory { () throws(GatewayError) in
      guard door.now > 0 else { throw GatewayError("the server is not there yet") }
      return try SQLiteHistory(path: place)
    }
    let rig = Rig.running()
    let broker = TestBroker()
    defer { broker.end() }
    let link = try CloudLink(hub: rig.hub, broker: broker.options, name: "a", queue: path, history: history, version: "1")
    defer { link.stop() }
    #expect(await comesTrue { link.problem?.contains("the server is not there yet") == true })
    #expect(link.queueProblem == nil && !link.hasCaughtUp)
    // As a minute of this run does.
    try Outbox(path: path).add([], historyUntil: rig.now_ns / 1_000_000_000 + 60)
    _ = door.up()
    history.tryNow()
    #expect(await comesTrue { link.hasCaughtUp && link.waiting == 0 })
    let starts = broker.published.filter { $0.topic == "linkbms/a/minute" }.compactMap { MinuteRecord($0.payload)?.start }
    #expect(starts.filter { $0 < 10_000 } == records[2...].map(\.start))
  }

  /// A run that ends before its history was open leaves the gap for the next: its own minutes do not hide it.
  @Test func aGapThatWasNotFilledIsLeftForTheNextStart() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    try Outbox(path: path).add([], historyUntil: 1000)
    let history = LateHistory { () throws(GatewayError) in throw GatewayError("the server is not there yet") }
    let rig = Rig.running()
    let broker = TestBroker()
    defer { broker.end() }
    let link = try CloudLink(hub: rig.hub, broker: broker.options, name: "a", queue: path, history: history, version: "1")
    #expect(await comesTrue { link.problem?.contains("the server is not there yet") == true })
    #expect(await comesTrue { broker.published.contains { $0.topic == "linkbms/a/event" } })
    // The minute that it was in goes into the queue with the end.
    link.stop()
    #expect(try Outbox(path: path).historyUntil() == 1000)
  }
}
