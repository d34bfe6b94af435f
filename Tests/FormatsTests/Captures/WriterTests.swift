import Bus
import Foundation
import Testing

@testable import Formats

@Suite struct WriterTests {
  static let buses = ["can0", "can1", "can2"]

  static func records(_ count: Int, seed: UInt64, nanoseconds: Bool, where take: (CANFrame) -> Bool = { _ in true }) -> [CANRecord]
  {
    var source = RandomFrames(seed: seed)
    var result: [CANRecord] = []
    while result.count < count {
      let record = source.next(buses: buses.count, nanoseconds: nanoseconds)
      if take(record.frame) { result.append(record) }
    }
    return result
  }

  static func lines(_ records: [CANRecord]) -> [String] { records.map { RecordCollector.text($0, buses) } }

  @Test(arguments: [false, true])
  func candumpAndPcapngLoseNothing(nanoseconds: Bool) {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    let records = Self.records(2_000, seed: seed, nanoseconds: nanoseconds)
    for (format, result) in [
      (CaptureFormat.candump, written(records, buses: Self.buses, CandumpWriter())),
      (.pcapng, written(records, buses: Self.buses, PcapngWriter())),
    ] {
      let back = RecordCollector.read(result.bytes, as: format)
      #expect(back.problems.isEmpty && result.losses.isEmpty, "\(format) \(back.problems.prefix(2)) \(result.losses)")
      #expect(back.lines.sorted() == Self.lines(records).sorted(), "\(format)")
      #expect(result.bytes.withUnsafeBytes { FormatDetector.guesses($0).first?.format } == format)
    }
  }

  @Test(arguments: [false, true])
  func pcapLosesBusAndDirectionAndSaysSo(nanoseconds: Bool) {
    let records = Self.records(500, seed: 7, nanoseconds: nanoseconds)
    let result = written(records, buses: Self.buses, PcapWriter())
    let expected = records.map { record -> CANRecord in
      var record = record
      record.bus = BusID(0)
      record.direction = .unknown
      return record
    }
    #expect(RecordCollector.read(result.bytes, as: .pcap).lines == Self.lines(expected))
    #expect(Set(result.losses.counts.keys) == [.bus, .direction])
    #expect(result.losses.counts[.direction] == 500)
  }

  @Test func ascKeepsAllButErrorDetail() {
    let records = Self.records(500, seed: 8, nanoseconds: true) {
      !$0.flags.contains(.error) && !($0.flags.contains(.remote) && $0.rawDLC > 0)
    }
    let result = written(records, buses: ["can1", "can2", "can3"], ASCWriter())
    let back = RecordCollector.read(result.bytes, as: .asc)
    #expect(back.problems.isEmpty && result.losses.isEmpty, "\(back.problems.prefix(2)) \(result.losses)")
    #expect(back.lines.sorted() == records.map { RecordCollector.text($0, ["can1", "can2", "can3"]) }.sorted())
    // Channels begin at 1: can0 becomes another name, which is said, and shares its channel with nobody.
    let renamed = written(records, buses: Self.buses, ASCWriter())
    #expect(renamed.losses.counts[.busName] ?? 0 > 0)
    #expect(Set(RecordCollector.read(renamed.bytes, as: .asc).records.map(\.bus)).count == 3)
    let errors = written(
      Self.records(20, seed: 9, nanoseconds: false) { $0.flags.contains(.error) }, buses: Self.buses, ASCWriter())
    #expect(errors.losses.counts[.errorDetail] == 20)
    #expect(RecordCollector.read(errors.bytes, as: .asc).records.count == 20)
  }

  @Test func trcKeepsAllButErrorDetailToTheMicrosecond() {
    let records = Self.records(500, seed: 10, nanoseconds: false) { !$0.flags.contains(.error) }
    // Channels begin at 1 there.
    let names = ["can1", "can2", "can3"]
    let result = written(records, buses: names, TRCWriter())
    let back = RecordCollector.read(result.bytes, as: .trc)
    #expect(back.problems.isEmpty && result.losses.isEmpty, "\(back.problems.prefix(2)) \(result.losses)")
    #expect(back.records.count == records.count)
    let order = back.names
    for (a, b) in zip(records, back.records) {
      #expect(a.frame == b.frame && a.direction == b.direction && names[Int(a.bus.index)] == order[Int(b.bus.index)])
      #expect(abs(a.time.nanoseconds - b.time.nanoseconds) < 1_000)
    }
  }

  @Test func csvFormatsKeepPlainFrames() {
    let plain = Self.records(300, seed: 11, nanoseconds: false) { $0.isPlain }
    let savvy = written(plain, buses: Self.buses, SavvyCANWriter())
    #expect(savvy.losses.isEmpty)
    #expect(RecordCollector.read(savvy.bytes, as: .savvycan).lines.sorted() == Self.lines(plain).sorted())
    let python = written(plain, buses: Self.buses, PythonCANWriter())
    #expect(RecordCollector.read(python.bytes, as: .pythonCAN).records.map(\.frame) == plain.map(\.frame))
    #expect(python.losses.counts[.direction] == 300 && python.losses.counts[.bus] ?? 0 > 0)
    let others = Self.records(100, seed: 12, nanoseconds: false) { !$0.isPlain }
    let kept = written(others, buses: Self.buses, SavvyCANWriter())
    let missing = kept.losses.counts[.errorFrame, default: 0] + kept.losses.counts[.remoteFrame, default: 0]
    #expect(RecordCollector.read(kept.bytes, as: .savvycan).records.count + Int(missing) == others.count)
  }

  @Test func aLogIsWrittenByteForByteAsCandumpDoes() {
    let log = """
      (1700000000.123456) can0 00004210#A50930759D042E64
      (1700000000.123457) vcan1 351#
      (1700000000.123458) can0 123#R8
      (1700000000.123459) can0 123#R
      (1700000000.123460) can0 123#1122334455667788_9
      (1700000000.123461) can0 20000004#0008000000000000
      (1700000000.123462) can0 123##51122 R
      (0000000001.000000) can0 7FF#00 T

      """
    let read = RecordCollector.read(log)
    var writer = CandumpWriter()
    var output = ByteBuffer()
    for (index, name) in read.names.enumerated() { writer.addBus(BusID(UInt16(index)), named: name, into: &output) }
    for record in read.records { writer.write(record, into: &output) }
    #expect(output.withBytes { String(decoding: $0, as: UTF8.self) } == log)
  }

  @Test func sideRecordsSurviveInPcapng() {
    let side = SideRecord(
      kind: .chain, time: Timestamp(nanoseconds: 5), precision: .nanoseconds, bus: BusID(0), direction: .transmitted,
      bytes: [1, 1, 4, 40, 0, 0, 0, 0, 0, 0x0E, 0x33, 0x1D, 0xF7])
    var writer = PcapngWriter()
    var output = ByteBuffer()
    writer.begin(into: &output)
    writer.addBus(BusID(0), named: "chain1", into: &output)
    writer.write(side, into: &output)
    #expect(RecordCollector.read(output.withBytes { Array($0) }, as: .pcapng).sideRecords == [side])
  }
}
