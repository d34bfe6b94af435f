import Bus
import Controller
import Protocols
import Testing

@testable import Formats

/// Lines of a tap: what is written is read again, what is damaged is nothing.
@Suite struct TapLineTests {
  static let frame = ChainFrame(request: .read, .b, register: 0x32, data: 23, clusterID: 3, rollingCounter: 1)

  static let lines: [TapLine] = [
    .wake(.bms1), .request(.bms1, frame), .echo(.bms2, frame), .answer(.bms2, frame), .malformed(.bms1),
    .pdu(.current(raw: -500, supply_mV: 12_000)), .pdu(.voltages(inputRaw: 40_000, outputRaw: -1)),
    .pdu(.outputs(contactors: 5, status: 8, chargeLimit: 250, dischargeLimit: 500)),
    .pdu(.command(contactors: 5, sequence: 0xFFFE, life_ms: 1000)),
    .pdu(.answer(contactors: 1, flags: [.isLatched], sequence: 258, measuredCheck: 0x42)),
  ]

  @Test(arguments: lines) func everyLineComesBack(line: TapLine) {
    #expect(TapLine(line.text) == line)
    #expect(TapLine("(1700000000.123456789) \(line.text) T") == line)
    #expect(TapLine("\(line.text) R\r\n") == line)
  }

  @Test func ordersAndAnswersNoticeAFlippedBit() throws {
    for line in Self.lines.suffix(2) {
      let text = line.text
      let start = try #require(text.firstIndex(of: "#"))
      for place in text.indices where place > start {
        for digit in "0123456789ABCDEF" where digit != text[place] {
          var damaged = text
          damaged.replaceSubrange(place...place, with: String(digit))
          #expect(TapLine(damaged) == nil, "\(damaged)")
        }
      }
    }
  }

  @Test(arguments: [
    "", "# 12.3 s  status", "can0 123#00", "chain3 001#000E331DF7", "chain1 001#000E331D", "chain1 001#00", "pdu 001#00",
    "pdu 001#F4010",
    "chain1 1#000E331DF7", "chain1 0001#000E331DF7", "pdu 004#05FA01000000", "chain1 000#00", "chain1 001#GG0E331DF7", "pdu",
    "( ) pdu",
    "chain1 001#000E331DF7 X", "pdu 01F#00",
  ]) func everythingElseIsNothing(text: String) { #expect(TapLine(text) == nil) }

  @Test func randomBytesAreNoLine() {
    var random = SplitMix(state: 7)
    for _ in 0..<20_000 {
      let text = String(
        decoding: (0..<Int(random.next() % 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }, as: UTF8.self)
      _ = TapLine(text)
    }
  }
}
