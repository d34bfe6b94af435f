private import FoundationEssentials
private import GRDB

/// The history in an SQLite file: write-ahead log, one transaction a minute, so that an SD card lives. A power cut costs the running
/// minute, never the file.
public final class SQLiteHistory: HistoryStore {
  private let pool: DatabasePool
  private let path: String

  /// Opens or makes the file.
  public init(path: String) throws(GatewayError) {
    self.path = path
    var options = GRDB.Configuration()
    options.maximumReaderCount = 2
    options.busyMode = .timeout(5)
    options.prepareDatabase { database in
      // With a write-ahead log NORMAL is safe against power cuts: only the last transactions may be lost.
      try database.execute(sql: "PRAGMA synchronous = NORMAL")
      try database.execute(sql: "PRAGMA journal_size_limit = 4194304")
    }
    pool = try SQLiteHistory.checked(path) {
      let pool = try DatabasePool(path: path, configuration: options)
      try pool.write { try SQLiteHistory.makeTables($0, path) }
      return pool
    }
  }

  private static let version = 1

  private static func makeTables(_ database: Database, _ path: String) throws {
    let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard found != version else { return }
    guard found == 0 else { throw GatewayError("found version \(found), expected \(version): written by a newer program") }
    // A minute is a table with rows: without them what is longer than a quarter of a page takes a page of its own.
    try database.execute(
      sql: """
        CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL DEFAULT '', heard INTEGER NOT NULL
          DEFAULT 0, online INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE minute (device INTEGER NOT NULL, time INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (device, time));
        CREATE TABLE summary (device INTEGER NOT NULL, level INTEGER NOT NULL, time INTEGER NOT NULL, parts BLOB NOT NULL,
          PRIMARY KEY (device, level, time)) WITHOUT ROWID;
        CREATE TABLE event (device INTEGER NOT NULL, time_ns INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (device, time_ns, text))
          WITHOUT ROWID;
        PRAGMA user_version = \(version);
        """)
  }

  /// Every error names the file.
  private static func checked<Result>(_ path: String, _ body: () throws -> Result) throws(GatewayError) -> Result {
    do { return try body() } catch let error as DatabaseError {
      throw GatewayError("\(path): \(error.message ?? "SQLite error \(error.resultCode.rawValue)")")
    } catch { throw GatewayError("\(path): \(error)") }
  }

  private static func id(_ database: Database, _ name: String) throws -> Int64? {
    try Int64.fetchOne(database, sql: "SELECT id FROM device WHERE name = ?", arguments: [name])
  }

  // MARK: Writing

  /// Adds pieces in one transaction.
  public func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError) {
    try SQLiteHistory.checked(path) {
      try pool.write { database in
        try database.execute(sql: "INSERT OR IGNORE INTO device (name) VALUES (?)", arguments: [device])
        guard let id = try SQLiteHistory.id(database, device) else { return }
        for record in records where !record.times.isEmpty {
          guard let second = try SQLiteHistory.second(database, id, record) else { continue }
          try database.cachedStatement(sql: "INSERT INTO minute (device, time, record) VALUES (?, ?, ?)")
            .execute(arguments: [id, second, SQLiteHistory.blob(record.bytes)])
          for level in HistorySummary.levels {
            for span in HistorySummary.of(record, length: level) { try SQLiteHistory.merge(database, id, level, span) }
          }
        }
        for event in events {
          try database.cachedStatement(sql: "INSERT OR IGNORE INTO event (device, time_ns, text) VALUES (?, ?, ?)")
            .execute(arguments: [id, event.time_ns, event.text])
        }
      }
    }
  }

  /// Where a piece is to be kept; `nil` where it is there already.
  private static func second(_ database: Database, _ id: Int64, _ record: MinuteRecord) throws -> Int64? {
    let minute = PieceKey.minute(of: record.start)
    let rows = try Row.fetchAll(
      database.cachedStatement(sql: "SELECT time, record FROM minute WHERE device = ? AND time >= ? AND time < ?"),
      arguments: [id, minute.lowerBound, minute.upperBound])
    return PieceKey.free(for: record, beside: rows.map { row in (second: row[0] as Int64, bytes: bytes(row, 1)) })
  }

  private static func merge(_ database: Database, _ id: Int64, _ level: Int64, _ span: HistorySummary) throws {
    var sum = span
    let stored = try Row.fetchOne(
      database.cachedStatement(sql: "SELECT parts FROM summary WHERE device = ? AND level = ? AND time = ?"),
      arguments: [id, level, span.time])
    if let stored, let before = HistorySummary(time: span.time, bytes: bytes(stored, 0)) { sum.add(before) }
    try database.cachedStatement(sql: "INSERT OR REPLACE INTO summary (device, level, time, parts) VALUES (?, ?, ?, ?)")
      .execute(arguments: [id, level, span.time, blob(sum.bytes)])
  }

  /// Forgets what is old, a few thousand rows at a time.
  public func prune(before time: Int64) throws(GatewayError) {
    try SQLiteHistory.checked(path) {
      try pool.write { database in
        // A few rows each minute: deleting a month at once would hold up everybody.
        try database.execute(
          sql: "DELETE FROM minute WHERE (device, time) IN (SELECT device, time FROM minute WHERE time < ? LIMIT 2000)",
          arguments: [time])
        try database.execute(
          sql:
            "DELETE FROM summary WHERE (device, level, time) IN (SELECT device, level, time FROM summary WHERE time < ? LIMIT 2000)",
          arguments: [time - 7200])
        try database.execute(
          sql: "DELETE FROM event WHERE time_ns < ?", arguments: [time.multipliedReportingOverflow(by: 1_000_000_000).0])
      }
    }
  }

  /// Remembers a device's last state.
  public func note(_ facts: DeviceFacts) throws(GatewayError) {
    try SQLiteHistory.checked(path) {
      try pool.write { database in
        try database.execute(
          sql: """
            INSERT INTO device (name, state, heard, online) VALUES (?, ?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET state = excluded.state, heard = excluded.heard, online = excluded.online
            """, arguments: [facts.name, facts.state, facts.heard, facts.isOnline])
      }
    }
  }

  // MARK: Reading

  /// Summaries in order.
  public func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary] {
    try SQLiteHistory.checked(path) {
      try pool.read { database in
        guard let id = try SQLiteHistory.id(database, device) else { return [] }
        let rows = try Row.fetchCursor(
          database, sql: "SELECT time, parts FROM summary WHERE device = ? AND level = ? AND time >= ? AND time < ? ORDER BY time",
          arguments: [id, level, range.lowerBound, range.upperBound])
        var found: [HistorySummary] = []
        while let row = try rows.next() {
          if let span = HistorySummary(time: row[0], bytes: SQLiteHistory.bytes(row, 1)) { found.append(span) }
        }
        return found
      }
    }
  }

  /// Pieces in order.
  public func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord] {
    try SQLiteHistory.checked(path) {
      try pool.read { database in
        guard let id = try SQLiteHistory.id(database, device) else { return [] }
        let seconds = PieceKey.seconds(for: range)
        let rows = try Row.fetchCursor(
          database, sql: "SELECT record FROM minute WHERE device = ? AND time >= ? AND time < ? ORDER BY time",
          arguments: [id, seconds.lowerBound, seconds.upperBound])
        var found: [MinuteRecord] = []
        while let row = try rows.next() {
          if let record = MinuteRecord(SQLiteHistory.bytes(row, 0)) { found.append(record) }
        }
        return PieceKey.pieces(found, in: range)
      }
    }
  }

  /// The newest events first.
  public func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent] {
    try SQLiteHistory.checked(path) {
      try pool.read { database in
        guard let id = try SQLiteHistory.id(database, device) else { return [] }
        return try Row.fetchAll(
          database, sql: "SELECT time_ns, text FROM event WHERE device = ? AND time_ns <= ? ORDER BY time_ns DESC LIMIT ?",
          arguments: [id, end_ns, max(0, min(limit, 1000))]
        ).map { HistoryEvent(time_ns: $0[0], text: $0[1]) }
      }
    }
  }

  /// Every device, by name.
  public func devices() throws(GatewayError) -> [DeviceFacts] {
    try SQLiteHistory.checked(path) {
      try pool.read { database in
        try Row.fetchAll(database, sql: "SELECT name, state, heard, online FROM device ORDER BY name").map {
          DeviceFacts(name: $0[0], state: $0[1], heard: $0[2], isOnline: $0[3])
        }
      }
    }
  }
}

extension SQLiteHistory {
  fileprivate static func blob(_ bytes: [UInt8]) -> DatabaseValue { Data(bytes).databaseValue }
  fileprivate static func bytes(_ row: Row, _ column: Int) -> [UInt8] { (row[column] as Data?).map { Array($0) } ?? [] }
}
