import Bus
import Testing

@testable import Formats

@Suite struct CandumpReaderTests {
  /// Every shape the fast tier takes, and neighbours that it must leave to the slow one.
  static let lines = [
    "(1700000000.123456) can0 00004210#A50930759D042E64",
    "(1700000000.123456) can0 351#1122334455667788",
    "(1700000000.123456) can0 351#",
    "(1700000000.123456) can0 351#11",
    "(1700000000.123456) can0 351#11223344",
    "(1700000000.123456) can0 351#1122334455",
    "(1700000000.123456) can0 1FFFFFFF#0011 R",
    "(1700000000.123456) vcan17 7FF#a1b2c3d4e5f60718 T",
    "(1700000000.123456) c 000#00 T",
    "(1700000000.123456) interface9 000#00",
    "(1700000000.123456789) can0 351#11",
    "(0.008651) can0 314#01AE01F400040000",
  ]

  @Test func theFastTierGivesWhatTheSlowTierGives() {
    // Behind 96 bytes of more lines the fast tier may run; alone, a line goes the slow way.
    let tail = String(repeating: "(1700000000.000000) can0 001#00\n", count: 6)
    for line in Self.lines {
      let fast = Self.read(line + "\n" + tail)
      let slow = Self.read(line + "\n")
      #expect(slow.records.count == 1, "\(line)")
      #expect(fast.records.count == 7, "\(line)")
      guard let a = fast.records.first, let b = slow.records.first else { continue }
      #expect(a.time == b.time && a.precision == b.precision && a.frame == b.frame && a.direction == b.direction, "\(line)")
      #expect(fast.names[Int(a.bus.index)] == slow.names[Int(b.bus.index)], "\(line)")
    }
  }

  @Test func aSingleWrongCharacterNeverYieldsAFrameTheSlowTierWouldNotGive() {
    let tail = String(repeating: "(1700000000.000000) can0 001#00\n", count: 6)
    var checked = 0
    for line in Self.lines.prefix(9) {
      let bytes = Array(line.utf8)
      for place in bytes.indices {
        for replacement in [0x20, 0x2F, 0x3A, 0x40, 0x47, 0x60, 0x67, 0x00, 0x80, 0xB0, 0xFF, 0x0D] as [UInt8] {
          var changed = bytes
          changed[place] = replacement
          let fast = Self.read(changed + [0x0A] + Array(tail.utf8))
          let slow = Self.read(changed + [0x0A])
          #expect(fast.records.count - 6 == slow.records.count, "\(String(decoding: changed, as: UTF8.self))")
          if let a = fast.records.first, let b = slow.records.first, slow.records.count == 1 {
            #expect(
              a.frame == b.frame && a.time == b.time && a.direction == b.direction, "\(String(decoding: changed, as: UTF8.self))")
          }
          checked += 1
        }
      }
    }
    #expect(checked > 3_000)
  }

  @Test func cutAnywhereItGivesTheSameRecords() {
    let text = Array((Self.lines.joined(separator: "\n") + "\n").utf8)
    let whole = Self.read(text)
    #expect(whole.problems.isEmpty)
    for cut in 0...text.count {
      var sink = Collector()
      var reader = CandumpReader()
      text.withUnsafeBytes { bytes in
        let taken = reader.read(UnsafeRawBufferPointer(rebasing: bytes[..<cut]), isEnd: false, into: &sink)
        #expect(taken <= cut)
        _ = reader.read(UnsafeRawBufferPointer(rebasing: bytes[taken...]), isEnd: true, into: &sink)
      }
      #expect(sink.frames == whole.frames, "cut at \(cut)")
      #expect(sink.problems.isEmpty)
    }
  }

  @Test func aDamagedLineIsReportedWithItsPlaceAndSkipped() {
    let text = Self.lines[0] + "\n(17000 broken\n" + Self.lines[1] + "\n"
    let result = Self.read(text)
    #expect(result.records.count == 2)
    #expect(result.problems.count == 1)
    #expect(result.problems.first?.position == .init(.line, 2, byteOffset: UInt64(Self.lines[0].utf8.count + 1)))
  }

  @Test func aLineWithoutAnEndDoesNotGrowTheMemory() {
    let noise = [UInt8](repeating: 0x41, count: 300_000)
    var sink = Collector()
    var reader = CandumpReader()
    noise.withUnsafeBytes { bytes in
      #expect(reader.read(bytes, isEnd: false, into: &sink) == bytes.count)
      _ = reader.read(bytes, isEnd: false, into: &sink)
    }
    let rest = Array(("\n" + Self.lines[0] + "\n").utf8)
    rest.withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &sink) }
    #expect(sink.records.count == 1)
    #expect(sink.problems.count == 1)
  }

  private static func read(_ text: String) -> Collector { read(Array(text.utf8)) }

  private static func read(_ bytes: [UInt8]) -> Collector {
    var sink = Collector()
    var reader = CandumpReader()
    bytes.withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &sink) }
    return sink
  }

  struct Collector: RecordSink {
    var records: [CANRecord] = []
    /// Short, so that a difference can be read.
    var frames: [String] { records.map { "\($0.frame.id.rawValue)#\($0.frame.length):\($0.frame.head)" } }
    var names: [String] = []
    var problems: [CaptureProblem] = []
    mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }
    mutating func receive(_ record: borrowing CANRecord) { records.append(copy record) }
    mutating func receive(_ record: SideRecord) {}
    mutating func report(_ problem: CaptureProblem) { problems.append(problem) }
  }
}
