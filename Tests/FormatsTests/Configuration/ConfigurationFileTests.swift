import Controller
import Testing

@testable import Formats

@Suite struct ConfigurationFileTests {
  @Test(arguments: [
    (Int32(35_500), UInt8(4), "3.55"), (0, 4, "0"), (-5, 1, "-0.5"), (100, 0, "100"), (1, 4, "0.0001"), (-12_345, 3, "-12.345"),
    (.min, 3, "-2147483.648"),
  ])
  func decimalsComeBack(value: Int32, decimals: UInt8, text: String) {
    #expect(FixedDecimal.text(value, decimals: decimals) == text)
    #expect(FixedDecimal.value(text, decimals: decimals) == value)
  }

  @Test(arguments: ["", ".", "1.", ".5", "1.23456", "abc", "1e3", "--1", "99999999999", "1 2", "nan"])
  func whatIsNoNumberIsRefused(text: String) { #expect(FixedDecimal.value(text, decimals: 4) == nil) }

  @Test func everyConfigurationComesBack() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    for _ in 0..<300 {
      var configuration = Configuration(preset: .liIon)
      for item in ConfigurationItem.allCases {
        let span = UInt64(Int64(item.row.most) - Int64(item.row.least) + 1)
        configuration[item] = Int32(Int64(item.row.least) + Int64(random.next() % span))
      }
      for chain in ChainNumber.allCases {
        for module in 0..<configuration.slaves(chain) {
          configuration.setSensors(UInt8(truncatingIfNeeded: random.next()), ofModule: chain.index * 15 + module)
        }
      }
      let reading = ConfigurationFile.parse(ConfigurationFile.text(configuration))
      #expect(reading.configuration == configuration && reading.problems.isEmpty && reading.hasChecksum, "seed \(seed)")
    }
  }

  @Test func aChangedDigitFailsTheChecksum() {
    let text = ConfigurationFile.text(Configuration())
    let changed = text.replacing("capacity: 100 ", with: "capacity: 101 ")
    #expect(changed != text)
    let reading = ConfigurationFile.parse(changed)
    #expect(reading.problems.count == 1 && reading.problems[0].text.hasPrefix("checksum: found"), "\(reading.problems)")
    let byHand = changed.split(separator: "\n").filter { !$0.hasPrefix("checksum") }.joined(separator: "\n")
    #expect(ConfigurationFile.parse(byHand).complaints.isEmpty)
  }

  @Test func everyViolatedRuleIsNamedWithWhatWasFound() {
    let text = """
      version: 1
      bms1-slaves: 2
      cell-count: 17
      capacitty: 50
      capacity: lots
      overcurrent-protect: 20
      cell-charge-disable: 5
      bms1-sensors: [[6], [1], [2]]
      """
    let complaints = ConfigurationFile.parse(text).complaints
    for part in [
      "line 4: capacitty: found an unknown key", "did you mean \"capacity\"",
      "line 5: capacity: found \"lots\", expected 1…2000 Ah",
      "line 8: bms1-sensors, module 1: found \"6\", expected a whole number 1…5",
      "cell-charge-disable: found 5 V, expected 1.5…4.5 V", "cell-count: found 17, expected 16",
      "discharge-current-max: found 50 A, expected at most overcurrent-protect, which is 20 A",
      "bms1-sensors: found sensors enabled on module 3",
    ] { #expect(complaints.contains { $0.contains(part) }, "\(part)\n\(complaints)") }
    #expect(ConfigurationFile.parse("version: 2\n").problems.count == 1)
    #expect(ConfigurationFile.parse("capacity: 5\n").problems.map(\.text) == ["version: found none, expected version: 1"])
    #expect(!ConfigurationFile.parse("a: [").problems.isEmpty && !ConfigurationFile.parse("").problems.isEmpty)
  }

  /// Found by fuzzing: a count outside its range was taken for the size of a list.
  @Test(arguments: [Int32.min, -6, 16, 99, .max]) func countsOutsideTheirRangeAreViolationsAndNoSizes(count: Int32) {
    for item in [ConfigurationItem.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount, .usedCells] {
      var configuration = Configuration()
      configuration[item] = count
      #expect(
        configuration.violations.contains(.outOfRange(item, value: count)) || item == .cellCount && count <= 400 && count >= 7)
      let reading = ConfigurationFile.parse(ConfigurationFile.text(configuration))
      #expect(reading.configuration[item] == count && !reading.complaints.isEmpty)
    }
  }

  @Test func aStateIsWholeOrNone() throws {
    var state = PersistentState()
    state.charge_mAs = 123_456_789
    state.discharged_mAh = 42
    state.isFull = true
    state.balanceTimes = [UInt32](repeating: 0, count: 420)
    state.balanceTimes[419] = 7
    let text = StateFile.text(state)
    #expect(try StateFile.parse(text) == state)
    let bytes = Array(text.utf8)
    for count in 0..<bytes.count {
      #expect(throws: ConfigurationFile.Problem.self) { try StateFile.parse(String(decoding: bytes[..<count], as: UTF8.self)) }
    }
    for place in 0..<bytes.count {
      var damaged = bytes
      damaged[place] ^= 1
      #expect(throws: ConfigurationFile.Problem.self) { try StateFile.parse(String(decoding: damaged, as: UTF8.self)) }
    }
  }

  @Test func recordsComeBackAndCutOnesAreRefused() {
    var scan = EngineRecord.Scan()
    scan.chain = 1
    scan.cells = [1, 65_535]
    scan.stacks = [.min, 5]
    scan.temperatures = [-1061]
    var input = EngineRecord.Input()
    input.command = 5
    input.configuration = "a: ü"
    var output = EngineRecord.Output()
    output.chargeLimit_mA = -1
    output.balancing = [1, 2, 3]
    for record in [
      .start(configuration: "x", state: ""), .scan(scan), .input(input), .output(output), .event("status → RUNNING"),
    ] as [EngineRecord] {
      let bytes = record.bytes
      #expect(EngineRecord(bytes) == record)
      for count in 0..<bytes.count { #expect(EngineRecord(Array(bytes[..<count])) == nil) }
    }
    #expect(EngineRecord([9, 9]) == nil)
  }
}
