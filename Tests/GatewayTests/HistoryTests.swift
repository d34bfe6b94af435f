import Controller
import Foundation
import HostIO
import Testing

@testable import Gateway

/// A folder that goes with the test.
final class Folder {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "linkbms-gateway-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

enum Records {
  /// A minute of a battery that wanders by chance, with gaps.
  static func random(start: Int64, cells: Int, using random: inout Seeded, gaps: Bool = true) -> MinuteRecord {
    var record = MinuteRecord()
    var values = HistoryQuantity.allCases.map { _ in Int32.random(in: -100_000...400_000, using: &random) }
    for second in 0..<60 where !gaps || UInt8.random(in: 0...9, using: &random) > 0 {
      record.times.append(start + Int64(second))
      for quantity in HistoryQuantity.allCases {
        values[quantity.rawValue] += Int32.random(in: -20...20, using: &random)
        let isKnown = !gaps || UInt8.random(in: 0...9, using: &random) > 0
        record.series[quantity.rawValue].append(isKnown ? values[quantity.rawValue] : nil)
      }
    }
    record.shape = [cells / 8, 8, 0, 8]
    record.cells = (0..<cells).map { _ in 33_000 + UInt16.random(in: 0...200, using: &random) }
    record.temperatures = [(3, 251), (4, -12)]
    return record
  }
}

@Suite struct MinuteRecordTests {
  @Test func bytesComeBack() {
    for seed in UInt64(1)...300 {
      var random = Seeded(seed)
      let record = Records.random(start: Int64.random(in: 0...4_000_000_000, using: &random), cells: 96, using: &random)
      guard !record.times.isEmpty else { continue }
      #expect(MinuteRecord(record.bytes) == record, "seed \(seed)")
    }
  }

  @Test func damageIsRefusedAndTrapsNothing() {
    var random = Seeded(7)
    let good = Records.random(start: 1_790_000_000, cells: 96, using: &random).bytes
    for count in 0..<good.count { #expect(MinuteRecord(Array(good.prefix(count))) == nil) }
    for seed in UInt64(1)...3000 {
      var random = Seeded(seed)
      var bytes = good
      for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
      if let read = MinuteRecord(bytes) {
        #expect(read.times.count <= MinuteRecord.room && read.series.allSatisfy { $0.count == read.times.count }, "seed \(seed)")
      }
    }
  }

  @Test func aCollectorMakesAMinuteOfSeconds() throws {
    var rig = Rig.running()
    var collector = MinuteCollector()
    var done: [MinuteRecord] = []
    for _ in 0..<150 {
      rig.run(seconds: 1)
      guard let snapshot = rig.moment.snapshot else { continue }
      if let record = collector.add(snapshot) { done.append(record) }
      #expect(collector.add(snapshot) == nil)
    }
    let rest = collector.take()
    let last = try #require(rest)
    // It began at second 13.
    #expect(done.map(\.times.count) == [47, 60])
    #expect(last.times.count == 43)
    #expect(done[1].series[HistoryQuantity.current.rawValue] == [Int32?](repeating: 10_000, count: 60))
    #expect(done[1].cells.count == 16 && done[1].shape == [2, 8, 0, 8])
    #expect(done[1].temperatures.map(\.slot) == [3, 4, 8, 9])
    #expect(collector.take() == nil)
  }
}

@Suite struct SummaryTests {
  @Test func puttingTogetherIsTheSameAsCountingAtOnce() {
    for seed in UInt64(1)...50 {
      var random = Seeded(seed)
      let records = (0..<20).map { Records.random(start: 1_790_000_040 + 60 * Int64($0), cells: 8, using: &random) }
      var merged: [Int64: HistorySummary] = [:]
      for span in records.flatMap({ HistorySummary.of($0, length: 900) }) {
        merged[span.time, default: HistorySummary(time: span.time)].add(span)
      }
      for span in merged.values {
        for quantity in HistoryQuantity.allCases {
          let values = records.flatMap { record in
            zip(record.times, record.series[quantity.rawValue]).filter { $0.0 / 900 * 900 == span.time }.compactMap {
              $0.1.map(Int64.init)
            }
          }
          let part = span[quantity]
          #expect(part.count == Int64(values.count), "seed \(seed)")
          #expect(
            part.sum == values.reduce(0, +) && part.least == values.min() ?? 0 && part.most == values.max() ?? 0, "seed \(seed)")
        }
        #expect(HistorySummary(time: span.time, bytes: span.bytes) == span, "seed \(seed)")
      }
    }
  }

  @Test func thinningLosesNoExtreme() {
    let spans = (0..<1000).map { index -> HistorySummary in
      var span = HistorySummary(time: Int64(index))
      span.parts[0].add(index == 333 ? 9999 : Int32(index % 7))
      return span
    }
    let thin = HistorySummary.thinned(spans, to: 100)
    #expect(thin.count == 100)
    #expect(thin.map { $0.parts[0].most }.max() == 9999)
    #expect(thin.reduce(0) { $0 + $1.parts[0].count } == 1000)
  }
}

@Suite struct ChartTests {
  @Test func valuesOfADamagedFileDrawSomethingAndTrapNothing() {
    var spans = (0..<3).map { HistorySummary(time: Int64($0) * 60) }
    spans[0].parts[0] = .init(count: 1, least: .min, most: .max, sum: .max)
    spans[1].parts[0] = .init(count: .max, least: .max, most: .min, sum: .min)
    for range in [0..<180, 0..<1, 0..<Int64(31 * 86_400)] as [Range<Int64>] {
      for chart in Chart.all { #expect(!chart.html(spans, in: range).source.isEmpty) }
    }
  }

  @Test func aHoleIsAHole() {
    let spans = ([0, 60, 120, 3000, 3060] as [Int64]).map { time -> HistorySummary in
      var span = HistorySummary(time: time)
      span.parts[HistoryQuantity.stateOfCharge.rawValue].add(5000)
      return span
    }
    let drawing = Chart.all[0].html(spans, in: 0..<3600).source
    #expect(drawing.components(separatedBy: "<polyline").count == 3)
    #expect(drawing.contains("role=\"img\"") && drawing.contains("aria-label"))
  }
}

/// The databases that a history may lie in. PostgreSQL where LINKBMS_POSTGRES names a server: tools/with-postgres does.
enum StoreKind: CaseIterable {
  case sqlite, postgres

  static let server = ProcessInfo.processInfo.environment["LINKBMS_POSTGRES"]
  static var there: [StoreKind] { allCases.filter { $0 == .sqlite || server != nil } }

  /// An empty database of its own, and its place.
  func withPlace(_ body: (String) throws -> Void) throws {
    switch self {
    case .sqlite:
      let folder = try Folder()
      try body(folder.path + "/history.sqlite")
    case .postgres:
      let server = try #require(StoreKind.server)
      let name = "t\(UInt32.random(in: 0 ... .max))"
      try StoreKind.sql("CREATE DATABASE \(name)")
      defer { try? StoreKind.sql("DROP DATABASE \(name) WITH (FORCE)") }
      try body(server.replacing("/postgres?", with: "/\(name)?"))
    }
  }

  /// Runs a statement with psql.
  static func sql(_ statement: String, in place: String? = nil) throws {
    let psql = Process()
    psql.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    psql.arguments = ["psql", "--quiet", "--no-psqlrc", "-d", try #require(place ?? server), "-c", statement]
    psql.standardOutput = FileHandle.nullDevice
    try psql.run()
    psql.waitUntilExit()
    #expect(psql.terminationStatus == 0, "\(statement)")
  }
}

/// What every store has to keep.
@Suite struct HistoryStoreTests {
  private static let origin: Int64 = 1_789_999_200  // a whole two-hour span

  private func withStore(_ kind: StoreKind, _ body: (any HistoryStore, String) throws -> Void) throws {
    try kind.withPlace { place in try body(try HistoryPlace.store(place), place) }
  }

  @Test(arguments: StoreKind.there) func whatIsPutInComesOut(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(1)
      let records = (0..<180).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 96, using: &random, gaps: false) }
      try store.append(Array(records.prefix(90)), events: [], device: "a")
      try store.append(Array(records.dropFirst(90)), events: [HistoryEvent(time_ns: 5, text: "x")], device: "a")
      // What comes twice counts once.
      try store.append(records, events: [HistoryEvent(time_ns: 5, text: "x")], device: "a")
      try store.append([records[0]], events: [], device: "b")
      #expect(try store.records(device: "a", in: Self.origin..<Self.origin + 180 * 60) == records)
      #expect(try store.records(device: "a", in: Self.origin + 90..<Self.origin + 150) == Array(records[1...2]))
      #expect(try store.summaries(device: "a", level: 60, in: 0..<Int64.max).count == 180)
      let hours = try store.summaries(device: "a", level: 7200, in: 0..<Int64.max)
      #expect(hours.map(\.time) == [Self.origin, Self.origin + 7200])
      #expect(hours.map { $0[.voltage].count } == [7200, 3600])
      #expect(try store.events(device: "a", before: .max, limit: 10) == [HistoryEvent(time_ns: 5, text: "x")])
      #expect(try store.devices().map(\.name) == ["a", "b"])
      #expect(try store.records(device: "nobody", in: 0..<Int64.max).isEmpty)
    }
  }

  @Test(arguments: StoreKind.there) func chartsHaveAFewHundredPointsWhateverTheRange(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(2)
      try store.append(
        (0..<1500).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random) }, events: [], device: "a")
      for length in [600, 3600, 7200, 86_400, 7 * 86_400, 31 * 86_400] as [Int64] {
        let points = try store.points(device: "a", in: Self.origin..<Self.origin + length)
        #expect(points.count > 10 && points.count <= 400, "\(length): \(points.count)")
        #expect(points.map(\.time) == points.map(\.time).sorted())
      }
    }
  }

  @Test(arguments: StoreKind.there) func whatIsOldIsForgotten(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(3)
      let records = (0..<300).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random) }
      try store.append(records, events: [HistoryEvent(time_ns: Self.origin * 1_000_000_000, text: "old")], device: "a")
      try store.prune(before: Self.origin + 200 * 60)
      #expect(try store.records(device: "a", in: 0..<Int64.max - 200).first?.start ?? 0 >= Self.origin + 200 * 60)
      #expect(try store.events(device: "a", before: .max, limit: 10).isEmpty)
    }
  }

  @Test(arguments: StoreKind.there) func statesOfDevicesAreRemembered(kind: StoreKind) throws {
    try withStore(kind) { store, path in
      let facts = DeviceFacts(name: "a", state: "{}", heard: 7, isOnline: true)
      try store.note(facts)
      #expect(try store.devices() == [facts])
      try store.note(DeviceFacts(name: "a", state: "{\"x\":1}", heard: 8, isOnline: false))
      let again = try HistoryPlace.store(path)
      #expect(try again.devices() == [DeviceFacts(name: "a", state: "{\"x\":1}", heard: 8, isOnline: false)])
    }
  }

  /// Down-sampled spans count each sample once, however often and in whatever pieces it comes.
  @Test(arguments: StoreKind.there) func deliveredAgainNothingIsDoubled(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(5)
      let records = (0..<130).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random) }
        .filter { !$0.times.isEmpty }
      let events = (0..<20).map { HistoryEvent(time_ns: Int64($0), text: "event 'é' \($0)\n\\") }
      for _ in 0..<60 {
        let first = Int.random(in: 0..<records.count, using: &random)
        let last = min(records.count, first + Int.random(in: 1...40, using: &random))
        try store.append(Array(records[first..<last].shuffled(using: &random)), events: events, device: "a")
      }
      try store.append(records, events: events, device: "a")
      for level in HistorySummary.levels {
        var wanted: [Int64: HistorySummary] = [:]
        for span in records.flatMap({ HistorySummary.of($0, length: level) }) {
          wanted[span.time, default: HistorySummary(time: span.time)].add(span)
        }
        #expect(try store.summaries(device: "a", level: level, in: 0..<Int64.max) == wanted.values.sorted { $0.time < $1.time })
      }
      #expect(try store.records(device: "a", in: 0..<Int64.max) == records)
      #expect(try store.events(device: "a", before: .max, limit: 100) == events.reversed())
    }
  }

  /// The clock was an hour ahead, say, and is put right: the same minutes come a second time, with other values.
  @Test(arguments: StoreKind.there) func afterAClockThatWentBackBothMinutesAreKept(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(9)
      func minutes() -> [MinuteRecord] {
        (0..<3).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random, gaps: false) }
      }
      // A second alone, the last of its minute: behind it there is no place for another.
      func second() -> MinuteRecord {
        var record = Records.random(start: Self.origin, cells: 8, using: &random, gaps: false)
        record.times = [Self.origin + 59]
        record.series = record.series.map { [$0[59]] }
        return record
      }
      let (first, again, seconds) = (minutes(), minutes(), [second(), second()])
      for _ in 0..<2 {
        try store.append(first, events: [], device: "a")
        try store.append(again, events: [], device: "a")
        try store.append(seconds, events: [], device: "a")
      }
      func records(_ range: Range<Int64>) throws -> [MinuteRecord] {
        try store.records(device: "a", in: Self.origin + range.lowerBound..<Self.origin + range.upperBound)
      }
      func isThere(_ record: MinuteRecord, _ found: [MinuteRecord]) -> Bool { found.filter { $0 == record }.count == 1 }
      let all = try records(0..<180)
      #expect(all.count == 8 && (first + again + seconds).allSatisfy { isThere($0, all) })
      #expect(all.map(\.start) == all.map(\.start).sorted())
      // Each is found by its own times, whatever it is kept under.
      #expect(try records(61..<62) == [first[1], again[1]])
      let last = try records(59..<60)
      #expect(last.count == 4 && seconds.allSatisfy { isThere($0, last) })
      #expect(try records(0..<59).count == 2)
      for level in HistorySummary.levels {
        let counts = try store.summaries(device: "a", level: level, in: 0..<Int64.max).map { $0[.voltage].count }
        #expect(counts == (level == 60 ? [122, 120, 120] : [362]), "\(level)")
      }
      // A second that was passed twice is one point.
      let points = try store.points(device: "a", in: Self.origin..<Self.origin + 180)
      #expect(points.map(\.time) == (0..<180).map { Self.origin + Int64($0) })
      #expect(points.map { $0[.voltage].count }.reduce(0, +) == 362)
      try store.prune(before: Self.origin + 120)
      #expect(try records(0..<180) == [first[2], again[2]])
    }
  }

  /// One minute must not fill a disk.
  @Test(arguments: StoreKind.there) func aMinuteHoldsSixtyPieces(kind: StoreKind) throws {
    try withStore(kind) { store, _ in
      var random = Seeded(10)
      let records = (0..<70).map { _ in Records.random(start: Self.origin, cells: 8, using: &random, gaps: false) }
      try store.append(records, events: [], device: "a")
      #expect(try store.records(device: "a", in: Self.origin..<Self.origin + 60).count == 60)
    }
  }

  /// Two programs at one database, both given everything.
  @Test(.enabled(if: StoreKind.server != nil)) func twoWritersDoubleNothing() async throws {
    var random = Seeded(6)
    let records = (0..<60).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random, gaps: false) }
    try StoreKind.postgres.withPlace { place in
      let stores = [try PostgresHistory(place), try PostgresHistory(place)]
      DispatchQueue.concurrentPerform(iterations: 4) { index in
        for record in records {
          #expect(throws: Never.self) { try stores[index % 2].append([record], events: [], device: "a") }
        }
      }
      #expect(try stores[0].summaries(device: "a", level: 7200, in: 0..<Int64.max).map { $0[.voltage].count } == [3600])
      #expect(try stores[1].records(device: "a", in: 0..<Int64.max) == records)
    }
  }

  @Test(.enabled(if: StoreKind.server != nil)) func aServerThatThrewEverybodyOutIsAskedAgain() throws {
    try StoreKind.postgres.withPlace { place in
      let store = try PostgresHistory(place)
      var random = Seeded(8)
      let records = (0..<3).map { Records.random(start: Self.origin + 60 * Int64($0), cells: 8, using: &random, gaps: false) }
      for record in records {
        try store.append([record], events: [], device: "a")
        try StoreKind.sql(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'linkbms' AND datname = current_database()",
          in: place)
      }
      #expect(try store.records(device: "a", in: 0..<Int64.max) == records)
    }
  }

  @Test(.enabled(if: StoreKind.server != nil)) func aServerThatIsNotThereIsNamedWithoutThePassword() {
    let error = #expect(throws: GatewayError.self) {
      try PostgresHistory("postgresql://somebody:secret@127.0.0.1:1/nothing")
    }
    #expect(error?.description.hasPrefix("PostgreSQL database nothing at 127.0.0.1: ") == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("secret") == false)
  }

  @Test func aFileThatIsNoneIsNamed() throws {
    let folder = try Folder()
    let path = folder.path + "/x.sqlite"
    try "this is no database, and long enough to be looked at as one of them by SQLite".write(
      toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: GatewayError.self) { try SQLiteHistory(path: path) }
    #expect(error?.description.hasPrefix(path) ?? false)
  }

  /// Sizes and times of a month, for the README: set LINKBMS_MEASURE=1.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["LINKBMS_MEASURE"] != nil)) func aMonthIsMeasured() throws {
    let folder = try Folder()
    let path = folder.path + "/month.sqlite"
    let store = try SQLiteHistory(path: path)
    var random = Seeded(4)
    let began = ContinuousClock.now
    let minutes = 31 * 1440
    for minute in 0..<minutes {
      let record = Records.random(start: Self.origin + 60 * Int64(minute), cells: 96, using: &random, gaps: false)
      try store.append([record], events: [], device: "local")
    }
    let written = ContinuousClock.now
    let writes =
      try String(contentsOfFile: "/proc/self/io", encoding: .utf8).split(separator: "\n").first { $0.hasPrefix("write_bytes") }
      ?? ""
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    print("a month: \(size / 1_000_000) MB, written in \(written - began), \(writes)")
    for (name, length) in [("hour", 3600), ("day", 86_400), ("week", 7 * 86_400), ("month", 31 * 86_400)] as [(String, Int64)] {
      let end = Self.origin + Int64(minutes) * 60
      let start = ContinuousClock.now
      let points = try store.points(device: "local", in: end - length..<end)
      print("\(name): \(points.count) points in \(ContinuousClock.now - start)")
    }
  }
}

/// Writes a program that the test starts afterwards. Another process does the writing: what this one has open for writing may be
/// inherited by whatever another test starts in that moment, and a file that anybody may still write cannot be executed (ETXTBSY).
func writeProgram(_ path: String, _ text: String) throws {
  // It may end before it has read what it is told: in the program that is no signal either (`Signals.install`).
  signal(SIGPIPE, SIG_IGN)
  let outcome = try ToolRun.run(["sh", "-c", #"cat > "$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0""#, path], input: text)
  try #require(outcome == ToolRun.Outcome(status: 0, text: ""))
}
