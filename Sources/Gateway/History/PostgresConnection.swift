private import CPostgres
import Synchronization

/// A connection to a PostgreSQL database through libpq. One caller at a time.
final class PostgresConnection: @unchecked Sendable {  // its owner locks
  /// A value that goes in or comes out, as PostgreSQL's binary format has it.
  enum Value: Sendable {
    case number(Int64)
    case text(String)
    case bytes([UInt8])
    case truth(Bool)

    fileprivate var type: Oid {
      switch self {
      case .truth: 16
      case .bytes: 17
      case .number: 20
      case .text: 25
      }
    }

    fileprivate var binary: [UInt8] {
      switch self {
      case .truth(let value): [value ? 1 : 0]
      case .bytes(let bytes): bytes
      case .number(let value): (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
      // PostgreSQL's text holds no zero byte; what a network says may.
      case .text(let text): Array(text.replacing("\0", with: "\u{FFFD}").utf8)
      }
    }
  }

  /// A row of a result: columns as bytes.
  struct Row {
    fileprivate var columns: [[UInt8]]
    func bytes(_ column: Int) -> [UInt8] { columns.indices.contains(column) ? columns[column] : [] }
    func text(_ column: Int) -> String { String(decoding: bytes(column), as: UTF8.self) }
    func number(_ column: Int) -> Int64 {
      bytes(column).reduce(0) { $0 << 8 | Int64($1) }
    }
    func truth(_ column: Int) -> Bool { bytes(column).first == 1 }
  }

  /// A statement that failed.
  struct Failure: Error {
    var text: String
    /// The connection is gone: the same may be tried once more.
    var isGone: Bool
  }

  private let handle: OpaquePointer
  /// Held by whoever uses it.
  let lock = Mutex(())
  /// For errors: database and host, never the password.
  let name: String

  /// Connects.
  /// - Parameter place: a connection URI. What it does not say comes from libpq's own variables and files, such as PGPASSFILE.
  init(_ place: String) throws(GatewayError) {
    // The later stands above the earlier: a URI may say otherwise.
    let made = try PostgresConnection.connect([
      ("connect_timeout", "10"), ("application_name", "linkbms"), ("dbname", place), ("client_encoding", "UTF8"),
    ])
    func said(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }
    let (database, host) = (said(postgres_database(made)), said(postgres_host(made)))
    name = "PostgreSQL database \(database.isEmpty ? "?" : database)\(host.isEmpty ? "" : " at \(host)")"
    handle = made
    guard postgres_is_connected(made) else {
      // What is made is given back by `deinit`, which comes here too.
      throw GatewayError("\(name): \(PostgresConnection.line(said(postgres_error(made))))")
    }
  }

  deinit { postgres_finish(handle) }

  /// Makes a connection, whether it works or not.
  private static func connect(_ words: [(keyword: String, value: String)]) throws(GatewayError) -> OpaquePointer {
    guard postgres_load() else {
      throw GatewayError("PostgreSQL: found no libpq.so.5, expected it: install the package libpq5")
    }
    let made = withStrings(words.map(\.keyword)) { keywords in
      withStrings(words.map(\.value)) { values in postgres_connect(keywords, values) }
    }
    guard let made else { throw GatewayError("PostgreSQL: no memory for a connection") }
    return made
  }

  /// No address: libpq finds that out by itself, without asking the network.
  private static let nowhere = "linkbms-nowhere"

  /// Finds what is wrong with a place itself, such as an option that there is not. It asks nobody: whether the server is there makes no
  /// difference.
  static func check(_ place: String) throws(GatewayError) {
    // libpq looks at every option before it looks at the address. One address, for which one user and one password are enough.
    var words: [(keyword: String, value: String)] = [
      ("dbname", place), ("host", "-"), ("hostaddr", nowhere), ("user", "-"), ("password", "-"),
    ]
    // Of several servers each has its port.
    if place.contains(",") { words.append((keyword: "port", value: "1")) }
    let made = try connect(words)
    defer { postgres_finish(made) }
    let found = postgres_error(made).map { line(String(cString: $0)) } ?? ""
    guard !found.contains(nowhere) else { return }
    // libpq repeats what it does not understand: the whole with its password, or the password itself.
    var text = found.replacing("\"\(place)\"", with: "that")
    if text.contains("percent-encoded") { text = String(text.prefix(while: { $0 != "\"" })) + "…" }
    throw GatewayError("PostgreSQL: \(text)")
  }

  private static func withStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
  ) -> Result {
    // One block with all of them, each with its end.
    var block: [CChar] = []
    var starts: [Int] = []
    for text in texts {
      starts.append(block.count)
      block += text.utf8.map { CChar(bitPattern: $0) } + [0]
    }
    return block.withUnsafeBufferPointer { block in
      var all = starts.map { start in block.baseAddress.map { $0 + start } }
      all.append(nil)
      return all.withUnsafeBufferPointer { body($0.baseAddress) }
    }
  }

  /// libpq's words in one line.
  private static func line(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.split(separator: " ").joined(separator: " ") }.joined(separator: "; ")
  }

  /// Whether the connection is there, as far as its last use has shown.
  var isConnected: Bool { postgres_is_connected(handle) }

  /// Connects again if the connection is gone.
  func revive() { if !postgres_is_connected(handle) { postgres_reset(handle) } }

  /// Runs a statement. Returns its rows and how many it changed.
  @discardableResult
  func run(_ statement: String, _ values: [Value] = []) throws(Failure) -> (rows: [Row], changed: Int) {
    let types = values.map(\.type)
    let binaries = values.map(\.binary)
    let lengths = binaries.map { Int32($0.count) }
    // One block with all of them, and a byte behind for those that are empty.
    let block: [UInt8] = Array(binaries.joined()) + [0]
    let result = block.withUnsafeBufferPointer { block -> OpaquePointer? in
      var starts: [UnsafePointer<CChar>?] = []
      var place = 0
      for binary in binaries {
        starts.append(
          block.baseAddress.map { UnsafeRawPointer($0 + place).assumingMemoryBound(to: CChar.self) })
        place += binary.count
      }
      return postgres_run(handle, statement, Int32(values.count), types, starts, lengths)
    }
    return try read(result)
  }

  /// Runs several statements without parameters, as one transaction.
  func runAll(_ statements: String) throws(Failure) { _ = try read(postgres_run_all(handle, statements)) }

  private func read(_ result: OpaquePointer?) throws(Failure) -> (rows: [Row], changed: Int) {
    defer { postgres_clear(result) }
    guard let result, postgres_is_done(result) else {
      var text = ""
      if let result, let said = postgres_result_error(result) { text = String(cString: said) }
      let own = postgres_error(handle).map { String(cString: $0) } ?? ""
      throw Failure(text: PostgresConnection.line(text.isEmpty ? own : text), isGone: !postgres_is_connected(handle))
    }
    var rows: [Row] = []
    let count = postgres_rows(result)
    for row in 0..<count {
      var columns: [[UInt8]] = []
      for column in 0..<postgres_columns(result) {
        let length = postgres_length(result, row, column)
        guard let start = postgres_value(result, row, column) else { break }
        columns.append(Array(UnsafeRawBufferPointer(start: start, count: max(0, Int(length)))))
      }
      rows.append(Row(columns: columns))
    }
    return (rows, Int(postgres_changed(result)))
  }
}
