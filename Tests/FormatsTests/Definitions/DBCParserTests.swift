import Bus
import Formats
import Testing

@Suite struct DBCParserTests {
  static let sample = """
    VERSION "1.2"

    NS_ :
    \tCM_
    \tBA_

    BS_:

    BU_: BMS INV

    VAL_TABLE_ OnOff 0 "off" 1 "on" ;

    BO_ 2147500560 Totals: 8 BMS
     SG_ PackVoltage : 0|16@1+ (0.1,0) [0|6553.5] "V" INV
     SG_ PackCurrent : 16|16@1+ (0.1,-3000) [-3000|3553.5] "A" INV,BMS
     SG_ Temperature : 39|16@0- (1E-1,-100.0) [0|0] "°C" Vector__XXX

    BO_ 976 Name: 8 Vector__XXX
     SG_ Part M : 0|8@1+ (1,0) [0|3] "" Vector__XXX
     SG_ Text0 m0 : 8|56@1+ (1,0) [0|0] "" Vector__XXX
     SG_ Text1 m1M : 8|8@1+ (1,0) [0|0] "" Vector__XXX
     SG_ Deep m2 : 16|8@1+ (1,0) [0|0] "" Vector__XXX

    BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX
     SG_ Orphan : 0|8@1+ (1,0) [0|0] "" Vector__XXX

    BO_TX_BU_ 976 : BMS,INV;

    CM_ "a network
    over two lines";
    CM_ BU_ BMS "the battery";
    CM_ BO_ 976 "says \\"hello\\"";
    CM_ SG_ 2147500560 PackVoltage "volts";
    BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
    BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","StandardCAN_FD";
    BA_DEF_ SG_ "SystemSignalLongSymbol" STRING ;
    BA_DEF_DEF_ "GenMsgCycleTime" 0;
    BA_DEF_DEF_ "VFrameFormat" "StandardCAN";
    BA_ "GenMsgCycleTime" BO_ 2147500560 1000;
    BA_ "SystemSignalLongSymbol" SG_ 2147500560 Temperature "TemperatureOfTheSecondLevelController";
    VAL_ 976 Part 0 "first" 1 "second" ;
    VAL_ 2147500560 PackCurrent OnOff ;
    SG_MUL_VAL_ 976 Deep Text1 2-4, 9-9;
    SIG_VALTYPE_ 976 Text1 : 0;

    """

  @Test func everySectionArrives() throws {
    let result = DBCParser.parse(text: Self.sample)
    #expect(result.problems.isEmpty, "\(result.problems)")
    let file = result.file
    #expect(file.version == "1.2")
    #expect(file.nodes == ["BMS", "INV"])
    #expect(file.messages.map(\.name) == ["Totals", "Name", "VECTOR__INDEPENDENT_SIG_MSG"])
    let totals = file.messages[0]
    #expect(totals.id == .extended(0x4210))
    #expect(totals.sender == "BMS" && totals.cycleTime_ms == 1000 && !totals.isFD)
    #expect(totals.signals[0].factor.exact?.mantissa == 1 && totals.signals[0].factor.exact?.decimals == 1)
    #expect(totals.signals[0].comment == "volts")
    #expect(totals.signals[1].offset.value == -3000)
    #expect(totals.signals[1].receivers == ["INV", "BMS"])
    #expect(totals.signals[1].values == [DBCValue(0, "off"), DBCValue(1, "on")])
    #expect(totals.signals[2].name == "TemperatureOfTheSecondLevelController")
    #expect(totals.signals[2].byteOrder == .bigEndian && totals.signals[2].isSigned && totals.signals[2].factor.value == 0.1)
    let name = file.messages[1]
    #expect(name.comment == "says \"hello\"")
    #expect(name.signals[0].multiplexing == .selector)
    #expect(name.signals[1].multiplexing == .selected(by: "Part", ranges: [0...0], isSelector: false))
    #expect(name.signals[2].multiplexing == .selected(by: "Part", ranges: [1...1], isSelector: true))
    #expect(name.signals[3].multiplexing == .selected(by: "Text1", ranges: [2...4, 9...9], isSelector: false))
    #expect(name.signals[0].values.map(\.label) == ["first", "second"])
    #expect(file.comment == "a network\nover two lines")
    #expect(file.unknownSections.contains { $0.hasPrefix("BO_TX_BU_") })
  }

  @Test func writtenBackItReadsTheSame() {
    let first = DBCParser.parse(text: Self.sample).file
    let text = DBCWriter.text(first)
    let second = DBCParser.parse(text: text)
    #expect(second.problems.isEmpty, "\(second.problems) in \(text)")
    #expect(DBCWriter.text(second.file) == text)
    #expect(second.file.messages.map(\.signals.count) == first.messages.map(\.signals.count))
    #expect(second.file.messages[0].signals[2].name == first.messages[0].signals[2].name)
    #expect(second.file.messages[1].signals[3].multiplexing == first.messages[1].signals[3].multiplexing)
    #expect(text.contains("BO_TX_BU_ 976 : BMS,INV;"))
  }

  @Test(arguments: [
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@2+ (1,0) [0|0] \"\" X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\n", 2, "B02"),
    ("BO_ 1 A: 8 X\n SG_ S 0|8@1+ (1,0) [0|0] \"\" X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\n", 2, "B01"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (x,0) [0|0] \"\" X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\n", 2, "B02"),
    ("BO_ 1 A: 900 X\nBO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\n", 1, "B02"),
    ("BO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\nVAL_ 1 Q 0 \"a\";\n", 3, "B04"),
    ("BO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\nVAL_ 2 T 0 \"a\";\n", 3, "B03"),
    ("BO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\nCM_ \"open\n", 3, "B01"),
    ("BO_ 4096 B: 8 X\nBO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\n", 1, "B16"),
    ("BO_ 1 A: 8 X\n SG_ T : 8|8@1+ (1,0) [0|0] \"\" X\nNONSENSE here\n", 3, "B01"),
  ])
  func whatIsWrongIsNamedWithItsLineAndTheRestIsKept(text: String, line: Int, rule: String) {
    let result = DBCParser.parse(text: text)
    #expect(result.problems.first?.line == line && result.problems.first?.rule.rawValue == rule, "\(result.problems)")
    #expect(result.file.messages.last?.signals.last?.name == "T")
  }

  @Test func codePage1252AndCarriageReturnsSurvive() {
    var bytes = Array("BU_: A\r\nBO_ 1 M: 8 A\r\n SG_ T : 0|8@1+ (1,0) [0|0] \"".utf8)
    bytes += [0xB0, 0x43, 0x80]
    bytes += Array("\" A\r\n".utf8)
    let result = DBCParser.parse(bytes)
    #expect(result.problems.isEmpty)
    #expect(result.file.messages.first?.signals.first?.unit == "°C€")
    #expect(!result.file.isUTF8 && result.file.usesCRLF)
    let written = DBCWriter.bytes(result.file)
    #expect(written.contains(0xB0) && !written.contains(0xC2))
    #expect(DBCParser.parse(written).file.messages.first?.signals.first?.unit == "°C€")
  }

  @Test func anyChangeOfAnyByteIsSurvived() {
    let original = Array(Self.sample.utf8)
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = SplitMix(state: seed)
    for _ in 0..<400 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        default: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: place)
        }
      }
      let result = DBCParser.parse(bytes)
      _ = DBCRules.check(result.file)
      _ = PlanCompiler.compile(result.file)
      _ = DBCParser.parse(DBCWriter.bytes(result.file))
    }
  }
}

@Suite struct DBCNumberTests {
  @Test(arguments: [
    ("0.1", Int64(1), 1), ("-3000", -3000, 0), ("1E-3", 1, 3), ("1.50", 15, 1), ("2e2", 200, 0), ("+4", 4, 0), ("0.0", 0, 0),
    ("-0.25", -25, 2),
  ])
  func decimalsAreKeptExactly(text: String, mantissa: Int64, decimals: Int) {
    let number = DBCNumber(text)
    #expect(number?.exact?.mantissa == mantissa && number?.exact?.decimals == decimals)
    #expect(number?.description == text)
  }

  @Test(arguments: ["", "abc", "nan", "inf", "0x10", "1.2.3", "--1"])
  func whatIsNoNumberIsRefused(text: String) { #expect(DBCNumber(text) == nil) }
}

@Suite struct DBCRulesTests {
  private func rules(_ body: String) -> [String] {
    DBCRules.check(DBCParser.parse(text: "BU_: X\n" + body).file).map(\.rule.rawValue)
  }

  @Test func bitsAtTheEndOfTheMessageAreInsideAndOneFurtherIsNot() {
    #expect(rules("BO_ 1 A: 2 X\n SG_ S : 8|8@1+ (1,0) [0|0] \"\" X\n").isEmpty)
    #expect(rules("BO_ 1 A: 2 X\n SG_ S : 9|8@1+ (1,0) [0|0] \"\" X\n") == ["B09"])
    #expect(rules("BO_ 1 A: 2 X\n SG_ S : 7|16@0+ (1,0) [0|0] \"\" X\n").isEmpty)
    #expect(rules("BO_ 1 A: 2 X\n SG_ S : 6|16@0+ (1,0) [0|0] \"\" X\n") == ["B09"])
  }

  @Test func overlapIsFoundAcrossByteOrdersButNotAcrossMultiplexes() {
    #expect(rules("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ T : 7|8@0+ (1,0) [0|0] \"\" X\n") == ["B10"])
    #expect(rules("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ T : 15|8@0+ (1,0) [0|0] \"\" X\n").isEmpty)
    let multiplexed = "BO_ 1 A: 8 X\n SG_ M M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ S m0 : 8|8@1+ (1,0) [0|0] \"\" X\n"
    #expect(rules(multiplexed + " SG_ T m1 : 8|8@1+ (1,0) [0|0] \"\" X\n").isEmpty)
    #expect(rules(multiplexed + " SG_ T m0 : 8|8@1+ (1,0) [0|0] \"\" X\n") == ["B10"])
  }

  @Test(arguments: [
    ("BO_ 1 A: 8 X\nBO_ 1 B: 8 X\n", "B06"), ("BO_ 1 A: 8 X\nBO_ 2 A: 8 X\n", "B07"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ S : 8|8@1+ (1,0) [0|0] \"\" X\n", "B08"),
    ("BO_ 1 A: 8 X\n SG_ S m1 : 0|8@1+ (1,0) [0|0] \"\" X\n", "B05"), ("BO_ 1 A: 8 Y\n", "B13"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (1,0) [5|1] \"\" X\n", "B14"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\nVAL_ 1 S 256 \"x\";\n", "B15"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|16@1+ (1,0) [0|0] \"\" X\nSIG_VALTYPE_ 1 S : 1;\n", "B18"),
    ("BO_ 1 A: 8 X\n SG_ S : 0|8@1+ (0,0) [0|0] \"\" X\n", "B19"),
  ])
  func eachRuleFires(text: String, rule: String) { #expect(rules(text) == [rule]) }

  @Test func labelsWithinTheRangeAreFine() {
    #expect(rules("BO_ 1 A: 8 X\n SG_ S : 0|8@1- (1,0) [0|0] \"\" X\nVAL_ 1 S -128 \"a\" 127 \"b\";\n").isEmpty)
    #expect(rules("BO_ 1 A: 8 X\n SG_ S : 0|8@1- (1,0) [0|0] \"\" X\nVAL_ 1 S 128 \"a\" -129 \"b\";\n") == ["B15", "B15"])
  }
}
