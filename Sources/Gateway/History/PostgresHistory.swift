private import Synchronization

/// The history in a PostgreSQL database: for a LinkCloud whose history belongs to a server that is looked after. Tables are called
/// `linkbms_…`, so that it may share a database. Connections that are gone are made again; a transaction that was cut is done once more,
/// which may be, since what comes twice counts once.
public final class PostgresHistory: HistoryStore {
  /// One for what comes, one for charts: neither waits for the other.
  private let writer: PostgresConnection
  private let reader: PostgresConnection
  private let name: String

  /// Whether a place is one of PostgreSQL's.
  public static func isPlace(_ text: String) -> Bool { text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") }

  /// Connects and makes the tables where there are none.
  public init(_ place: String) throws(GatewayError) {
    writer = try PostgresConnection(place)
    reader = try PostgresConnection(place)
    name = writer.name
    try run(writer) { connection throws(PostgresConnection.Failure) in try PostgresHistory.makeTables(connection) }
    let found = try run(reader) { connection throws(PostgresConnection.Failure) in
      try connection.run("SELECT version::int8 FROM linkbms_version").rows.first?.number(0) ?? 0
    }
    guard found == PostgresHistory.version else {
      throw GatewayError("\(name): found version \(found), expected \(PostgresHistory.version): written by a newer program")
    }
  }

  private static let version: Int64 = 1

  private static func makeTables(_ connection: PostgresConnection) throws(PostgresConnection.Failure) {
    // Two programs that start at once: the second waits, and finds them made.
    try connection.runAll(
      """
      BEGIN;
      SELECT pg_advisory_xact_lock(7308332240419447);
      CREATE TABLE IF NOT EXISTS linkbms_version (version int4 NOT NULL);
      INSERT INTO linkbms_version SELECT \(version) WHERE NOT EXISTS (SELECT 1 FROM linkbms_version);
      CREATE TABLE IF NOT EXISTS linkbms_device (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
        state text NOT NULL DEFAULT '', heard int8 NOT NULL DEFAULT 0, online bool NOT NULL DEFAULT false);
      CREATE TABLE IF NOT EXISTS linkbms_minute (device int8 NOT NULL, time int8 NOT NULL, record bytea NOT NULL,
        PRIMARY KEY (device, time));
      CREATE INDEX IF NOT EXISTS linkbms_minute_time ON linkbms_minute (time);
      CREATE TABLE IF NOT EXISTS linkbms_summary (device int8 NOT NULL, level int8 NOT NULL, time int8 NOT NULL, parts bytea NOT NULL,
        PRIMARY KEY (device, level, time));
      CREATE INDEX IF NOT EXISTS linkbms_summary_time ON linkbms_summary (time);
      CREATE TABLE IF NOT EXISTS linkbms_event (device int8 NOT NULL, time_ns int8 NOT NULL, text text NOT NULL,
        PRIMARY KEY (device, time_ns, text));
      COMMIT;
      """)
  }

  /// Runs `body`, a second time where the connection was gone.
  @discardableResult
  private func run<Result>(
    _ connection: PostgresConnection, _ body: (PostgresConnection) throws(PostgresConnection.Failure) -> Result
  ) throws(GatewayError) -> Result {
    var outcome: Swift.Result<Result, PostgresConnection.Failure>?
    connection.lock.withLock { _ in
      connection.revive()
      outcome = attempt(connection, body)
      guard case .failure(let failure) = outcome, failure.isGone else { return }
      connection.revive()
      outcome = attempt(connection, body)
    }
    switch outcome {
    case .success(let result): return result
    case .failure(let failure): throw GatewayError("\(name): \(failure.text)")
    case nil: throw GatewayError("\(name): nothing was done")
    }
  }

  private func attempt<Result>(
    _ connection: PostgresConnection, _ body: (PostgresConnection) throws(PostgresConnection.Failure) -> Result
  ) -> Swift.Result<Result, PostgresConnection.Failure> {
    do throws(PostgresConnection.Failure) { return .success(try body(connection)) } catch {
      // Whatever had begun is undone; where nothing had, this says nothing.
      _ = try? connection.run("ROLLBACK")
      // A server that was shut down says so in an answer, and is gone only after that.
      var failure = error
      failure.isGone = error.isGone || !connection.isConnected
      return .failure(failure)
    }
  }

  private static func transaction(
    _ connection: PostgresConnection, _ body: () throws(PostgresConnection.Failure) -> Void
  ) throws(PostgresConnection.Failure) {
    try connection.run("BEGIN")
    try body()
    try connection.run("COMMIT")
  }

  // MARK: Writing

  /// Adds pieces in one transaction.
  public func append(_ records: [MinuteRecord], events: [HistoryEvent], device: String) throws(GatewayError) {
    try run(writer) { connection throws(PostgresConnection.Failure) in
      try PostgresHistory.transaction(connection) { () throws(PostgresConnection.Failure) in
        try connection.run("INSERT INTO linkbms_device (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", [.text(device)])
        // Locked: of two programs that get the same pieces one adds them, and to the summaries.
        let found = try connection.run("SELECT id FROM linkbms_device WHERE name = $1 FOR UPDATE", [.text(device)])
        guard let id = found.rows.first?.number(0) else { return }
        for record in records where !record.times.isEmpty {
          guard let second = try PostgresHistory.second(connection, id, record) else { continue }
          try connection.run(
            "INSERT INTO linkbms_minute (device, time, record) VALUES ($1, $2, $3)",
            [.number(id), .number(second), .bytes(record.bytes)])
          for level in HistorySummary.levels {
            for span in HistorySummary.of(record, length: level) { try PostgresHistory.merge(connection, id, level, span) }
          }
        }
        for event in events {
          try connection.run(
            "INSERT INTO linkbms_event (device, time_ns, text) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            [.number(id), .number(event.time_ns), .text(event.text)])
        }
      }
    }
  }

  /// Where a piece is to be kept; `nil` where it is there already.
  private static func second(
    _ connection: PostgresConnection, _ id: Int64, _ record: MinuteRecord
  ) throws(PostgresConnection.Failure) -> Int64? {
    let minute = PieceKey.minute(of: record.start)
    let stored = try connection.run(
      "SELECT time, record FROM linkbms_minute WHERE device = $1 AND time >= $2 AND time < $3",
      [.number(id), .number(minute.lowerBound), .number(minute.upperBound)])
    return PieceKey.free(for: record, beside: stored.rows.map { row in (second: row.number(0), bytes: row.bytes(1)) })
  }

  private static func merge(
    _ connection: PostgresConnection, _ id: Int64, _ level: Int64, _ span: HistorySummary
  ) throws(PostgresConnection.Failure) {
    var sum = span
    let key: [PostgresConnection.Value] = [.number(id), .number(level), .number(span.time)]
    let stored = try connection.run("SELECT parts FROM linkbms_summary WHERE device = $1 AND level = $2 AND time = $3", key)
    if let row = stored.rows.first, let before = HistorySummary(time: span.time, bytes: row.bytes(0)) { sum.add(before) }
    try connection.run(
      """
      INSERT INTO linkbms_summary (device, level, time, parts) VALUES ($1, $2, $3, $4)
      ON CONFLICT (device, level, time) DO UPDATE SET parts = excluded.parts
      """, key + [.bytes(sum.bytes)])
  }

  /// Forgets what is old, a few thousand rows at a time.
  public func prune(before time: Int64) throws(GatewayError) {
    try run(writer) { connection throws(PostgresConnection.Failure) in
      try connection.run(
        "DELETE FROM linkbms_minute WHERE ctid = ANY (ARRAY (SELECT ctid FROM linkbms_minute WHERE time < $1 LIMIT 2000))",
        [.number(time)])
      try connection.run(
        "DELETE FROM linkbms_summary WHERE ctid = ANY (ARRAY (SELECT ctid FROM linkbms_summary WHERE time < $1 LIMIT 2000))",
        [.number(time - 7200)])
      try connection.run(
        "DELETE FROM linkbms_event WHERE time_ns < $1", [.number(time.multipliedReportingOverflow(by: 1_000_000_000).0)])
    }
  }

  /// Remembers a device's last state.
  public func note(_ facts: DeviceFacts) throws(GatewayError) {
    try run(writer) { connection throws(PostgresConnection.Failure) in
      try connection.run(
        """
        INSERT INTO linkbms_device (name, state, heard, online) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET state = excluded.state, heard = excluded.heard, online = excluded.online
        """, [.text(facts.name), .text(facts.state), .number(facts.heard), .truth(facts.isOnline)])
    }
  }

  // MARK: Reading

  /// Summaries in order.
  public func summaries(device: String, level: Int64, in range: Range<Int64>) throws(GatewayError) -> [HistorySummary] {
    try run(reader) { connection throws(PostgresConnection.Failure) in
      try connection.run(
        """
        SELECT time, parts FROM linkbms_summary WHERE device = (SELECT id FROM linkbms_device WHERE name = $1) AND level = $2
        AND time >= $3 AND time < $4 ORDER BY time
        """, [.text(device), .number(level), .number(range.lowerBound), .number(range.upperBound)]
      ).rows.compactMap { HistorySummary(time: $0.number(0), bytes: $0.bytes(1)) }
    }
  }

  /// Pieces in order.
  public func records(device: String, in range: Range<Int64>) throws(GatewayError) -> [MinuteRecord] {
    let seconds = PieceKey.seconds(for: range)
    return try run(reader) { connection throws(PostgresConnection.Failure) in
      let rows = try connection.run(
        """
        SELECT record FROM linkbms_minute WHERE device = (SELECT id FROM linkbms_device WHERE name = $1) AND time >= $2 AND time < $3
        ORDER BY time
        """, [.text(device), .number(seconds.lowerBound), .number(seconds.upperBound)]
      ).rows
      return PieceKey.pieces(rows.compactMap { MinuteRecord($0.bytes(0)) }, in: range)
    }
  }

  /// The newest events first.
  public func events(device: String, before end_ns: Int64, limit: Int) throws(GatewayError) -> [HistoryEvent] {
    try run(reader) { connection throws(PostgresConnection.Failure) in
      try connection.run(
        """
        SELECT time_ns, text FROM linkbms_event WHERE device = (SELECT id FROM linkbms_device WHERE name = $1) AND time_ns <= $2
        ORDER BY time_ns DESC LIMIT $3
        """, [.text(device), .number(end_ns), .number(Int64(max(0, min(limit, 1000))))]
      ).rows.map { HistoryEvent(time_ns: $0.number(0), text: $0.text(1)) }
    }
  }

  /// Every device, by name.
  public func devices() throws(GatewayError) -> [DeviceFacts] {
    try run(reader) { connection throws(PostgresConnection.Failure) in
      // By bytes, as SQLite does, whatever the database's language.
      try connection.run("SELECT name, state, heard, online FROM linkbms_device ORDER BY name COLLATE \"C\"").rows.map {
        DeviceFacts(name: $0.text(0), state: $0.text(1), heard: $0.number(2), isOnline: $0.truth(3))
      }
    }
  }
}

/// Where a history is kept.
public enum HistoryPlace {
  /// Opens the store that a place names: `postgresql://…`, or a file of SQLite.
  /// - Parameter option: who named the place, for messages.
  public static func store(_ place: String, option: String = "--store") throws(GatewayError) -> any HistoryStore {
    if PostgresHistory.isPlace(place) { return try PostgresHistory(place) }
    try checkScheme(place, option)
    return try SQLiteHistory(path: place)
  }

  private static func checkScheme(_ place: String, _ option: String) throws(GatewayError) {
    guard let end = place.firstRange(of: "://") else { return }
    // The rest may hold a password.
    throw GatewayError("\(option): found \"\(place[..<end.upperBound])…\", expected a file or postgresql://…")
  }

  /// The same for a program that a history may not disturb: one that cannot be opened now is opened later. Only a place that is wrong,
  /// and would be for ever, is an error here.
  public static func lateStore(_ place: String, option: String = "--history") throws(GatewayError) -> LateHistory {
    if PostgresHistory.isPlace(place) { try PostgresConnection.check(place) } else { try checkScheme(place, option) }
    return LateHistory { () throws(GatewayError) in try HistoryPlace.store(place, option: option) }
  }
}
