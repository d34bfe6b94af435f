import Bus
import Formats
import Protocols
import Testing

@Suite struct MessageEncoderTests {
  private static let text = """
    VERSION ""

    BU_: BMS INV

    BO_ 2147500560 Totals: 8 BMS
     SG_ PackVoltage : 0|16@1+ (0.1,0) [0|6553.5] "V" INV

    BO_ 976 Name: 8 BMS
     SG_ Text : 0|64@1+ (1,0) [0|0] "" INV

    """

  /// The IDs of Totals carry addresses from 2 to 5.
  private let encoder: MessageEncoder

  init() {
    var context = PlanCompiler.Context()
    context.textSignals = ["Text"]
    context.ids = { message in
      guard message.name == "Totals" else { return [MessageSlot(id: message.id, message: 0)] }
      return (UInt8(2)...5).map { address in
        MessageSlot(id: .extended(message.id.number + UInt32(address)), message: 0, address: address, hasAddress: true)
      }
    }
    var compiler = PlanCompiler()
    compiler.add(DBCParser.parse(text: MessageEncoderTests.text).file, context)
    encoder = MessageEncoder(compiler.finish())
  }

  @Test func anAddressThatNoIDCarriesIsTold() {
    let known = encoder.frame("Totals", values: [], address: 4)
    #expect(known?.frame.id == .extended(0x4214) && known?.issues.isEmpty == true)
    let lowest = encoder.frame("Totals", values: [])
    #expect(lowest?.frame.id == .extended(0x4212) && lowest?.issues.isEmpty == true)
    let unknown = encoder.frame("Totals", values: [], address: 0)
    #expect(unknown?.issues == [.noSuchAddress(0, known: 2...5)])
    // An ID without an address carries none, not 0.
    let none = encoder.frame("Name", values: [], address: 0)
    #expect(none?.issues == [.noSuchAddress(0, known: nil)])
    let plain = encoder.frame("Name", values: [])
    #expect(plain?.issues.isEmpty == true)
  }

  @Test func aTextIsSentWholeOrNotAtAll() {
    let short = encoder.frame("Name", values: [("Text", .text("Deye"))])
    #expect(short?.frame.head == 0x6579_6544 && short?.issues.isEmpty == true)
    let full = encoder.frame("Name", values: [("Text", .text("PYLONTEC"))])
    #expect(full?.issues.isEmpty == true)
    let long = encoder.frame("Name", values: [("Text", .text("PYLONTECH"))])
    #expect(long?.frame.head == 0 && long?.issues == [.tooLong(signal: "Text", bytes: 8)])
  }
}
