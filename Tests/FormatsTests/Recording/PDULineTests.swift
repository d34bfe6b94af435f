import Bus
import Testing

@testable import Formats

/// The tap's lines of Dissectors/TAP.md.
@Suite struct PDULineTests {
  static let cases: [(PDULine, String)] = [
    (.current(raw: 500, supply_mV: 12_000), "pdu 001#F4010000E02E0000 R"),
    (.current(raw: -1, supply_mV: 0), "pdu 001#FFFFFFFF00000000 R"),
    (.voltages(inputRaw: 5280, outputRaw: -7), "pdu 002#A0140000F9FFFFFF R"),
    (.outputs(contactors: 5, status: 8, chargeLimit: 250, dischargeLimit: 500), "pdu 003#050800FA00F401 R"),
  ]

  @Test(arguments: cases.indices) func aLineGoesThroughCandumpAndBack(index: Int) {
    let (line, expected) = Self.cases[index]
    let record = SideRecord(
      kind: .pdu, time: Timestamp(nanoseconds: 1_500_000_000), precision: .nanoseconds, bus: BusID(0), direction: .received,
      bytes: line.bytes)
    var writer = CandumpWriter()
    var output = ByteBuffer()
    writer.addBus(BusID(0), named: "pdu", into: &output)
    writer.write(record, into: &output)
    let text = output.withBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "(0000000001.500000000) \(expected)\n")
    let read = RecordCollector.read(text + "# 1.5 s  a remark\n", as: .candump)
    #expect(read.sideRecords.first?.bytes == line.bytes && read.problems.isEmpty, "\(read.problems)")
    #expect(read.sideRecords.first.flatMap { PDULine($0.bytes) } == line)
  }

  /// A record of the controller is longer than a line can be: it is left out, and that is said.
  @Test func recordsOfTheControllerStayInPcapng() {
    let record = SideRecord(
      kind: .pdu, time: Timestamp(nanoseconds: 0), precision: .nanoseconds, bus: BusID(0),
      bytes: EngineRecord.event("charging allowed").bytes)
    var writer = CandumpWriter()
    var output = ByteBuffer()
    writer.write(record, into: &output)
    #expect(output.withBytes { $0.isEmpty } && writer.losses.counts[.sideRecord] == 1)
    #expect(PDULine(record.bytes) == nil)
  }

  @Test func anythingElseIsNone() {
    for bytes: [UInt8] in [[], [0xC1], [0xC1, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0xC9, 0, 0, 0, 0, 0, 0, 0, 0], [0xC3, 1, 2]] {
      #expect(PDULine(bytes) == nil)
    }
  }
}
