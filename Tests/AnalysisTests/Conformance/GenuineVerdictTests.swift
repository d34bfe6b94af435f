import Bus
import Formats
import Foundation
import Testing

@testable import Analysis

/// What `diagnose` says of genuine traffic, reviewed by reading the files. Their bytes stay where they are; only conclusions stand here.
@Suite struct GenuineVerdictTests {
  /// Hands a file's records to the rules after its head has been identified.
  private struct Collector: RecordSink {
    var census = TrafficCensus()
    var records: [CANRecord] = []
    var names: [String] = []
    mutating func busAppeared(_ bus: BusID, named name: String) {
      names.append(name)
      census.busAppeared(bus, named: name)
    }
    mutating func receive(_ record: borrowing CANRecord) {
      records.append(copy record)
      census.receive(record)
    }
    mutating func receive(_ record: SideRecord) {}
    mutating func report(_ problem: CaptureProblem) {}
  }

  static let cases: [(file: String, beginning: String, rules: Set<RuleID>)] = [
    // An LV battery and an inverter that answers 0x305; 0x355 has four bytes in this program.
    ("arminjo_jkbms_lv_tx.log", "the link is fine", [.R14]),
    ("repo_byd_lvs_victron_dfch_table.txt", "the link is fine", []),
    // A BMS alone on the bench.
    ("repo_lgresu10lv_candump_jens18.txt", "nothing wrong is visible", []),
    ("vectors_byd-hvs_sunshadecorp.txt", "only the battery side speaks", [.R02]),
    ("vectors_goodwe-native_gw6000eh_BE-2023.txt", "the link is fine", []),
    ("vectors_sofar-hv_amass_BE-header.txt", "nothing wrong is visible", []),
    // Protocols of which there is no definition: nothing is guessed.
    ("victorstoica_jkbms-native-250k_ext.candump.log", "no protocol that is known", []),
    ("victorstoica_lv_growatt-profile_jkbms_bridge.candump.log", "no protocol that is known", []),
    ("victorstoica_lv_deye-profile_jkbms.candump.log", "only the battery side speaks", [.R02]),
    ("victorstoica_lv_pylon-profile_jkbms.candump.log", "only the battery side speaks", [.R02]),
    ("victorstoica_lv_sofar-profile_seplos.candump.log", "only the battery side speaks", [.R02]),
    // Its limits are far above any inverter's: 831.6 A.
    ("victorstoica_pylon-can.frames.csv", "only the battery side speaks", [.R02, .R19a]),
  ]

  @Test(arguments: cases.indices) func verdictsAreThoseThatWereReviewed(index: Int) throws {
    let (file, beginning, rules) = Self.cases[index]
    let folder = Shipped.root.deletingLastPathComponent().appendingPathComponent("shared/captures/genuine")
    guard FileManager.default.fileExists(atPath: folder.path) else {
      if ProcessInfo.processInfo.environment["CI"] != nil { Issue.record("genuine captures are missing at \(folder.path)") }
      return print("skipped: no genuine captures at \(folder.path)")
    }
    let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(file)))
    var collector = Collector()
    bytes.withUnsafeBytes { buffer in
      guard let guess = FormatDetector.guesses(buffer).first else { return }
      var reader = CaptureReader(guess.format)
      _ = reader.read(buffer, isEnd: true, into: &collector)
    }
    var run = ConformanceRun(
      Shipped.library, Talk.book, SiteFacts(), verdicts: ProtocolIdentifier(Shipped.library).identify(collector.census))
    for (index, name) in collector.names.enumerated() { run.busAppeared(BusID(UInt16(index)), named: name) }
    for record in collector.records { run.receive(record) }
    let diagnosis = run.diagnose()
    #expect(diagnosis.verdict.hasPrefix(beginning), "\(diagnosis.verdict)")
    #expect(Set(diagnosis.findings.map(\.rule)).subtracting([.R27, .R00]) == rules, "\(diagnosis.findings.map(\.text))")
    #expect(!diagnosis.hasErrors)
  }
}
