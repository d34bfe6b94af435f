import Foundation
import Synchronization
import Testing

@testable import Gateway

/// From the master's disk to the cloud's store: nothing is lost or counted twice, whoever ends in between.
@Suite(.serialized) struct DeliveryTests {
  private func link(_ broker: TestBroker, _ queue: String) throws -> CloudLink {
    try CloudLink(hub: SnapshotHub(), broker: broker.options, name: "a", queue: queue, version: "1")
  }

  private static func fill(_ path: String, _ count: Int) throws {
    try Outbox(path: path).add((0..<count).map { ("linkbms/a/minute", Array("\($0)".utf8)) })
  }

  private static func minutes(_ broker: TestBroker) -> [TestBroker.Message] {
    broker.published.filter { $0.topic == "linkbms/a/minute" }
  }

  @Test func aLongQueueIsGoneInAMomentAndInOrder() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    try Self.fill(path, 1500)
    let broker = TestBroker()
    defer { broker.end() }
    let link = try link(broker, path)
    defer { link.stop() }
    #expect(await comesTrue { link.waiting == 0 })
    // At a window a second this would take 75 s. Seen from the broker's own thread, which waits for no other test.
    #expect(broker.span < .seconds(40))
    #expect(Self.minutes(broker).map { String(decoding: $0.payload, as: UTF8.self) } == (0..<1500).map { "\($0)" })
  }

  @Test func anEntryStaysUntilTheBrokerHasSaidThatItHasArrived() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    try Self.fill(path, 30)
    let broker = TestBroker()
    defer { broker.end() }
    broker.acknowledge(false)
    let first = try link(broker, path)
    // "online" and the discovery message take two places of the window.
    #expect(await comesTrue { Self.minutes(broker).count == CloudLink.window - 2 })
    #expect(first.waiting == 30)
    first.stop()
    // Nobody has said anything: the next start says all of it again.
    #expect(try Outbox(path: path).count == 30)
    let second = try link(broker, path)
    defer { second.stop() }
    #expect(await comesTrue { Self.minutes(broker).count == 2 * (CloudLink.window - 2) })
    broker.acknowledge(true)
    #expect(await comesTrue { second.waiting == 0 })
    #expect(Set(Self.minutes(broker).map(\.payload)).count == 30)
  }

  /// What is no entry of the queue has numbers too: they must not stand for an entry that gets the same number later.
  @Test func arrivalsOfOtherMessagesAreNoArrivalsOfEntries() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    try Self.fill(path, 1)
    let broker = TestBroker()
    defer { broker.end() }
    let link = try link(broker, path)
    defer { link.stop() }
    // "online" and the discovery message have arrived before it.
    #expect(await comesTrue { link.waiting == 0 })
    #expect(broker.published.count >= 3)
    #expect(await comesTrue { link.strangers == 0 })
  }

  /// The master's history and the queue are two files: a kill can come after a minute is in the one and before it is in the other.
  @Test func minutesThatOnlyTheHistoryHasAreQueuedAtTheNextStart() async throws {
    let folder = try Folder()
    let path = folder.path + "/queue.sqlite"
    var random = Seeded(3)
    let records = (0..<5).map { Records.random(start: 600 + 60 * Int64($0), cells: 16, using: &random) }
    let history = try SQLiteHistory(path: folder.path + "/history.sqlite")
    try history.append(records, events: [], device: HistoryKeeper.own)
    let rig = Rig.running()
    let broker = TestBroker()
    defer { broker.end() }
    /// Starts a master, and ends it when it has had a look at its first snapshot and all has arrived.
    func start(_ queue: String) async throws {
      let link = try CloudLink(
        hub: rig.hub, broker: broker.options, name: "a", queue: queue, history: history, version: "1")
      #expect(await comesTrue { link.hasCaughtUp && link.waiting == 0 })
      link.stop()
    }
    func arrived() -> [Int64] { Self.minutes(broker).compactMap { MinuteRecord($0.payload)?.start }.filter { $0 < 10_000 } }

    // A queue that has never had a minute is no reason to send a month.
    try await start(folder.path + "/new.sqlite")
    #expect(arrived() == [])
    // The first two had been queued, and had arrived.
    try Outbox(path: path).add([], historyUntil: records[1].times.last)
    try await start(path)
    #expect(arrived() == records[2...].map(\.start))
    try await start(path)
    #expect(arrived() == records[2...].map(\.start))
  }

  /// Which of the minutes that a clock passes once more have been in the queue cannot be told: none is taken from the history again.
  @Test func afterAClockThatWentBackNothingIsQueuedTwice() throws {
    let outbox = try Outbox(path: nil)
    try outbox.add([], historyUntil: 50_000_000)
    try outbox.add([], historyUntil: 50_000_000 - 3600)
    #expect(try outbox.historyUntil() == 50_000_000)
    try outbox.add([], historyUntil: 50_000_060)
    #expect(try outbox.historyUntil() == 50_000_060)
    // A clock that was years ahead must not end that for years.
    try outbox.add([], historyUntil: 2_000_000_000)
    try outbox.add([], historyUntil: 50_000_120)
    #expect(try outbox.historyUntil() == 50_000_120)
  }

  @Test func nothingIsAcknowledgedBeforeTheStoreHasIt() async throws {
    let store = DoorStore()
    let broker = TestBroker()
    defer { broker.end() }
    let cloud = try CloudReceiver(store: store, broker: broker.options, name: "test")
    defer { cloud.stop() }
    var random = Seeded(1)
    let records = (0..<3).map { Records.random(start: 600 + 60 * Int64($0), cells: 16, using: &random) }

    // Busy: the store takes its time, and the broker hears nothing meanwhile.
    store.set(.busy)
    for (index, record) in records.enumerated() { broker.deliver(UInt16(index + 1), "linkbms/a/minute", record.bytes) }
    #expect(await comesTrue { store.attempts == 1 })
    try await Task.sleep(for: .milliseconds(300))
    #expect(broker.acknowledged.isEmpty)

    // Broken: the connection ends unacknowledged, and the message comes again over the next one, until the store works.
    store.set(.broken)
    #expect(await comesTrue { broker.connections >= 3 })
    #expect(broker.acknowledged.isEmpty && store.kept.isEmpty)
    #expect(cloud.problem == "the disk is full")
    store.set(.open)
    #expect(await comesTrue { Set(broker.acknowledged) == [1, 2, 3] })
    #expect(Set(store.kept) == Set(records.map(\.start)))
    #expect(cloud.problem == nil)
  }

  /// What is none of ours must not come again for ever.
  @Test func rubbishIsAcknowledged() async throws {
    let store = DoorStore()
    let broker = TestBroker()
    defer { broker.end() }
    let cloud = try CloudReceiver(store: store, broker: broker.options, name: "test")
    defer { cloud.stop() }
    broker.deliver(1, "linkbms/a/minute", Array("rubbish".utf8))
    broker.deliver(2, "elsewhere", [])
    #expect(await comesTrue { broker.acknowledged == [1, 2] })
    #expect(cloud.counts == (0, 2) && broker.connections == 1)
  }
}

/// A store that takes its time or fails.
private final class DoorStore: HistoryStore {
  enum Door { case open, busy, broken }
  private let state = Mutex((door: Door.open, attempts: 0, kept: [Int64]()))

  func set(_ door: Door) { state.withLock { $0.door = door } }
  var attempts: Int { state.withLock { $0.attempts } }
  var kept: [Int64] { state.withLock { $0.kept } }

  func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError) {
    state.withLock { $0.attempts += 1 }
    while state.withLock({ $0.door }) == .busy { usleep(5000) }
    guard state.withLock({ $0.door }) == .open else { throw GatewayError("the disk is full") }
    state.withLock { $0.kept += records.map(\.start) }
  }
  func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary] { [] }
  func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord] { [] }
  func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent] { [] }
  func prune(before time: Int64) throws(GatewayError) {}
  func note(_ facts: DeviceFacts) throws(GatewayError) {}
  func devices() throws(GatewayError) -> [DeviceFacts] { [] }
}
