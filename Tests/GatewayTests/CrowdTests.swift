import Dispatch
import Foundation
import Synchronization
import Testing

@testable import Gateway

/// Something that is counted on several threads.
final class Counter: Sendable {
  private let number = Mutex(0)
  @discardableResult func up() -> Int {
    number.withLock {
      $0 += 1
      return $0
    }
  }
  var now: Int { number.withLock { $0 } }
}

/// A store whose readers wait at a gate, and whose disk may be full.
final class GateStore: HistoryStore {
  private let state = Mutex((isOpen: false, isFull: false))

  func open() { state.withLock { $0.isOpen = true } }
  func fill(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
  private func pass() { while !state.withLock({ $0.isOpen }) { usleep(2000) } }

  func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError) {
    if state.withLock({ $0.isFull }) { throw GatewayError("the disk is full") }
  }
  func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary] {
    pass()
    return []
  }
  func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord] {
    pass()
    return []
  }
  func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent] { [] }
  func prune(before time: Int64) throws(GatewayError) {}
  func note(_ facts: DeviceFacts) throws(GatewayError) {}
  func devices() throws(GatewayError) -> [DeviceFacts] { [] }
}

/// What anybody may ask for without a login, asked for by many at once.
@Suite struct CrowdTests {
  private func places(_ site: Site, _ count: Int, of client: (Int) -> String) -> [StreamPlace] {
    (0..<count).compactMap { StreamPlace(site, of: client($0)) }
  }

  @Test func nobodyHoldsEveryPlaceForPagesThatFollow() throws {
    let site = Site(hub: SnapshotHub(), passwords: try PasswordFile(path: nil))
    var one = places(site, 100) { _ in "10.0.0.1" }
    #expect(one.count == StreamPlaces.perAddress)
    // Whoever comes after it finds one, and a place that it gives back is its own again.
    #expect(places(site, 1) { _ in "10.0.0.2" }.count == 1)
    one.removeLast(3)
    one += places(site, 100) { _ in "10.0.0.1" }
    #expect(one.count == StreamPlaces.perAddress)
    // One machine and all the addresses that it can have in its network.
    let network = places(site, 100) { "2001:db8::\(String($0 + 1, radix: 16))" }
    #expect(network.count == StreamPlaces.perNetwork)
    #expect(places(site, 100) { _ in "2001:db8:0:1::1" }.count == StreamPlaces.perAddress)
    withExtendedLifetime((one, network)) {}
  }

  /// Behind a proxy on this machine everybody comes from here.
  @Test func thisMachineHasMorePlacesAndNotAll() throws {
    let site = Site(hub: SnapshotHub(), passwords: try PasswordFile(path: nil))
    for address in ["127.0.0.1", "::1"] {
      let own = places(site, 100) { _ in address }
      #expect(own.count == StreamPlaces.perNetwork, "\(address)")
      #expect(places(site, 100) { _ in "10.0.0.1" }.count == StreamPlaces.perAddress, "\(address)")
      withExtendedLifetime(own) {}
    }
    let many = places(site, 200) { "10.0.1.\($0)" }
    #expect(many.count == StreamPlaces.room)
    withExtendedLifetime(many) {}
  }

  @Test func whereManyReadTheHistoryTheRestIsTurnedAway() async throws {
    let store = GateStore()
    let site = Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil), history: store)
    let count = 20
    // Where nobody is turned away nobody is answered: this bounds a hang, not a time.
    let patience = Task {
      try? await Task.sleep(for: .seconds(60))
      store.open()
    }
    defer { patience.cancel() }
    let statuses = await withTaskGroup(of: Int.self) { group in
      for index in 0..<count {
        group.addTask { await site.respond(PageRequest(path: index % 2 == 0 ? "/history" : "/api/v1/history")).status }
      }
      var statuses: [Int] = []
      for await status in group {
        statuses.append(status)
        if statuses.count == count - HistoryArchive.room { store.open() }
      }
      return statuses
    }
    #expect(statuses.prefix(count - HistoryArchive.room).allSatisfy { $0 == 503 }, "\(statuses)")
    #expect(statuses.suffix(HistoryArchive.room).allSatisfy { $0 == 200 }, "\(statuses)")
    #expect(await site.respond(PageRequest(path: "/history")).status == 200)
  }

  @Test func whatManyAskForIsFoundOutOnce() async {
    let runs = Counter()
    func ask(_ read: SharedRead<Int>, _ count: Int) async -> [Int?] {
      await withTaskGroup(of: Int?.self) { group in
        for _ in 0..<count { group.addTask { await read.value() } }
        var answers: [Int?] = []
        for await answer in group { answers.append(answer) }
        return answers
      }
    }
    let queue = DispatchQueue(label: "test")
    let read = SharedRead(on: queue, keep: .seconds(3600)) { runs.up() }
    #expect(await ask(read, 50) == [Int?](repeating: 1, count: 50))
    read.forget()
    #expect(await ask(read, 50) == [Int?](repeating: 2, count: 50))
    // What is kept no longer is found out anew.
    let fresh = SharedRead(on: queue, keep: .zero) { runs.up() }
    #expect(await ask(fresh, 1) == [3])
    #expect(await ask(fresh, 1) == [4])
  }

  @Test func whereTooManyWaitForAnAnswerTheRestGetsNone() async {
    let store = GateStore()
    let patience = Task {
      try? await Task.sleep(for: .seconds(60))
      store.open()
    }
    defer { patience.cancel() }
    let read = SharedRead(on: DispatchQueue(label: "test"), room: 2) { (try? store.records(device: "", in: 0..<1).count) ?? -1 }
    let answers = await withTaskGroup(of: Int?.self) { group in
      for _ in 0..<5 { group.addTask { await read.value() } }
      var answers: [Int?] = []
      for await answer in group {
        answers.append(answer)
        if answers.count == 3 { store.open() }
      }
      return answers
    }
    #expect(answers == [nil, nil, nil, 0, 0])
  }

  @Test func howeverManyAskForTheNetworkOneToolRuns() async throws {
    let folder = try Folder()
    let (tool, log) = (folder.path + "/nmcli", folder.path + "/log")
    try writeProgram(
      tool,
      """
      #!/bin/sh
      echo "$@" >> \(log)
      case "$*" in *list) sleep 1; echo '*:70:WPA2:home';; *hostname) sleep 1; echo bms;; esac
      exit 0
      """)
    let manager = NetworkManager(tool: tool)
    let wrong = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<30 {
        group.addTask { await manager.networks().networks.map(\.name) == ["home"] }
        group.addTask { await manager.name() == "bms" }
      }
      var wrong = 0
      for await isRight in group where !isRight { wrong += 1 }
      return wrong
    }
    #expect(wrong == 0)
    func runs(_ end: String) throws -> Int {
      try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter { $0.hasSuffix(end) }.count
    }
    // Once, or a few times more where the tests beside this one have held it up for longer than an answer is kept.
    let (lists, names) = (try runs("list"), try runs("hostname"))
    #expect(lists < 10 && names < 10, "\(lists) \(names)")
    // After a change nothing from before it is told.
    #expect(await manager.rename("bms-2") == nil)
    _ = await manager.networks()
    _ = await manager.name()
    #expect(try runs("list") == lists + 1 && runs("hostname") == names + 1)
  }
}

extension ServerTests {
  @Test func aClientIsBoundedByItsAddress() throws {
    var times = GatewayServer.Patience()
    (times.request_s, times.write_s) = (900, 900)
    let server = try GatewayServer(
      Site(hub: Rig.running().hub, passwords: try PasswordFile(path: nil)), on: GatewayAddress(host: "127.0.0.1", port: 0),
      patience: times)
    defer { server.stop() }
    var following: [Wire] = []
    for _ in 0..<StreamPlaces.perNetwork {
      let wire = try Wire(server.address)
      wire.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(wire.read { $0.contains("RUNNING") }.contains("RUNNING"))
      following.append(wire)
    }
    let more = try Wire(server.address)
    more.send("GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    #expect(more.read { $0.contains("RUNNING") }.hasPrefix("HTTP/1.1 503"))
    withExtendedLifetime(following) {}
  }
}
