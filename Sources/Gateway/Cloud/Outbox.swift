private import FoundationEssentials
private import GRDB

/// Messages for the broker that have not arrived yet, in a file: a day offline loses nothing. Bounded: past that the oldest go.
final class Outbox: Sendable {
  struct Entry: Equatable, Sendable {
    var id: Int64
    var topic: String
    var payload: [UInt8]
  }

  /// Messages that may wait: two weeks of minutes.
  static let room = 20_000
  private let database: DatabaseQueue
  private let path: String
  private let room: Int

  /// - Parameter path: the file; `nil` keeps them in memory.
  init(path: String?, room: Int = Outbox.room) throws(GatewayError) {
    self.path = path ?? "memory"
    self.room = room
    do {
      var options = GRDB.Configuration()
      // Whoever had it before may still be closing it.
      options.busyMode = .timeout(5)
      options.prepareDatabase { database in
        if path != nil { try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL") }
      }
      database = try path.map { try DatabaseQueue(path: $0, configuration: options) } ?? DatabaseQueue(configuration: options)
      try database.write {
        try $0.execute(
          sql:
            "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload BLOB NOT NULL)")
        try $0.execute(sql: "CREATE TABLE IF NOT EXISTS mark (only INTEGER PRIMARY KEY CHECK (only = 1), time INTEGER NOT NULL)")
      }
    } catch { throw GatewayError("\(path ?? "memory"): \(error)") }
  }

  private func checked<Result>(_ body: (Database) throws -> Result) throws(GatewayError) -> Result {
    do { return try database.write(body) } catch { throw GatewayError("\(path): \(error)") }
  }

  /// Adds messages in one transaction.
  /// - Parameter historyUntil: the last second of history that is among them, since 1970; `nil` = none is.
  /// - Returns: how many of the oldest had to go.
  @discardableResult
  func add(_ messages: [(topic: String, payload: [UInt8])], historyUntil: Int64? = nil) throws(GatewayError) -> Int {
    let room = room
    return try checked { database in
      if let last = historyUntil {
        // A clock that went back passes over its minutes once more: which of them have been here cannot be told, and what is sent
        // again would count twice. A clock that was wrong by more than a month had passed none.
        let before = try Int64.fetchOne(database, sql: "SELECT time FROM mark") ?? last
        let historyUntil = before - last > HistoryStoreLimits.keep ? last : max(before, last)
        try database.execute(sql: "INSERT OR REPLACE INTO mark (only, time) VALUES (1, ?)", arguments: [historyUntil])
      }
      for message in messages {
        try database.cachedStatement(sql: "INSERT INTO message (topic, payload) VALUES (?, ?)")
          .execute(arguments: [message.topic, Data(message.payload)])
      }
      let surplus = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM message") ?? 0
      guard surplus > room else { return 0 }
      try database.execute(
        sql: "DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT ?)", arguments: [surplus - room])
      return surplus - room
    }
  }

  /// The latest second of history that was ever added, since 1970; `nil` = none was.
  func historyUntil() throws(GatewayError) -> Int64? {
    try checked { try Int64.fetchOne($0, sql: "SELECT time FROM mark") }
  }

  /// The oldest after `id`.
  func next(after id: Int64, limit: Int) throws(GatewayError) -> [Entry] {
    try checked { database in
      try Row.fetchAll(
        database, sql: "SELECT id, topic, payload FROM message WHERE id > ? ORDER BY id LIMIT ?", arguments: [id, limit]
      ).map { Entry(id: $0[0], topic: $0[1], payload: Array($0[2] as Data)) }
    }
  }

  /// What has arrived goes.
  func remove(_ ids: [Int64]) throws(GatewayError) {
    guard !ids.isEmpty else { return }
    try checked { database in
      for id in ids { try database.cachedStatement(sql: "DELETE FROM message WHERE id = ?").execute(arguments: [id]) }
    }
  }

  var count: Int { (try? checked { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM message") ?? 0 }) ?? 0 }
}
