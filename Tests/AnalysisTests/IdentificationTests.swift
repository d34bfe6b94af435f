import Bus
import Foundation
import Formats
import Protocols
import Testing

@testable import Analysis

@Suite struct IdentificationTests {
  /// A verdict on a capture given as bytes.
  static func identify(_ bytes: [UInt8]) -> [BusIdentification] {
    var census = TrafficCensus()
    bytes.withUnsafeBytes { buffer in
      guard let format = FormatDetector.guesses(buffer).first?.format else { return }
      var reader = CaptureReader(format)
      _ = reader.read(buffer, isEnd: true, into: &census)
    }
    return ProtocolIdentifier(Shipped.library).identify(census)
  }

  static func identify(frames: [String]) -> BusIdentification? { identify(Array(frames.joined(separator: "\n").utf8)).first }

  /// What Dissectors' synthetic captures were made as: the verdict must agree.
  @Test(
    arguments: [
      ("pylontech-hv-std-clean", "pylontech-hv", "pylon-std", UInt8?.some(1)), ("pylontech-hv-deye-clean", "deye-hv", "deye-hv", 0),
      ("pylontech-hv-growatt-clean", "pylontech-hv", "pylon-growatt", 0),
      ("pylontech-hv-sofar-clean", "pylontech-hv", "pylon-sofar", 1),
      ("pylontech-hv-ferroamp-clean", "pylontech-hv", "ferroamp", 1), ("pylontech-hv-solxpow-clean", "pylontech-hv", "solxpow", 0),
      ("pylontech-hv-be-default-clean", "pylontech-hv", "be-default", 0),
      ("pylontech-hv-11bit-clean", "pylontech-hv", "pylon-11bit", nil),
      ("deye-hv-minus-clean", "deye-hv", "deye-hv-minus", 0), ("sofar-1-clean", "sofar", "sofar1", 0),
      ("sofar-2-clean", "sofar", "sofar2", 1),
      ("sofar-layout-b-clean", "sofar", "sofar-layout-b", 0), ("goodwe-native-clean", "goodwe", "goodwe", nil),
      ("goodwe-byd-clean", "goodwe-byd", "goodwe-byd", nil), ("pylontech-lv-12-clean", "pylontech-lv", "lv12", nil),
      ("pylontech-lv-13-clean", "pylontech-lv", "lv13", nil), ("pylontech-lv-sofar-clean", "pylontech-lv", "sofar-lv", nil),
      ("pylontech-lv-deye-clean", "pylontech-lv", "deye-lv", nil),
      ("pylontech-lv-victron-clean", "pylontech-lv", "sma-victron", nil),
      ("pylontech-lv-decivolt-clean", "pylontech-lv", "decivolt", nil), ("growatt-hv-clean", "growatt-hv", "growatt-hv", nil),
      ("sungrow-clean", "sungrow", nil, nil),
    ] as [(String, String, String?, UInt8?)])
  func eachSyntheticExchangeIsNamed(capture: String, protocolName: String, variant: String?, address: UInt8?) throws {
    let url = Shipped.root.appendingPathComponent("Captures/\(capture)/capture.log")
    let verdict = try #require(Self.identify([UInt8](try Data(contentsOf: url))).first)
    #expect(verdict.protocolName == protocolName && verdict.variant == variant && verdict.address == address, "\(verdict)")
    #expect(verdict.confidence > 0.9)
  }

  @Test(arguments: [
    ("arminjo_jkbms_lv_tx.log", "pylontech-lv" as String?, [Side.inverter, .battery]),
    ("repo_byd_lvs_victron_dfch_table.txt", "pylontech-lv", [.inverter, .battery]),
    ("repo_lgresu10lv_candump_jens18.txt", "pylontech-lv", [.battery]),
    ("vectors_byd-hvs_sunshadecorp.txt", "goodwe-byd", [.battery]),
    ("vectors_goodwe-native_gw6000eh_BE-2023.txt", "goodwe", [.inverter, .battery]),
    ("vectors_sofar-hv_amass_BE-header.txt", "sofar", [.battery]),
    ("victorstoica_jkbms-native-250k_ext.candump.log", nil, []),
    ("victorstoica_lv_deye-profile_jkbms.candump.log", "pylontech-lv", [.battery]),
    ("victorstoica_lv_growatt-profile_jkbms_bridge.candump.log", nil, []),
    ("victorstoica_lv_pylon-profile_jkbms.candump.log", "pylontech-lv", [.battery]),
    ("victorstoica_lv_sofar-profile_seplos.candump.log", "pylontech-lv", [.battery]),
    ("victorstoica_pylon-can.frames.csv", "pylontech-lv", [.battery]),
  ])
  func genuineTrafficIsNamedOrSaidToBeUnknown(file: String, protocolName: String?, sides: [Side]) throws {
    let folder = Shipped.root.deletingLastPathComponent().appendingPathComponent("shared/captures/genuine")
    guard FileManager.default.fileExists(atPath: folder.path) else {
      if ProcessInfo.processInfo.environment["CI"] != nil { Issue.record("genuine captures are missing at \(folder.path)") }
      return print("skipped: no genuine captures at \(folder.path)")
    }
    let verdict = try #require(Self.identify([UInt8](try Data(contentsOf: folder.appendingPathComponent(file)))).first)
    #expect(verdict.protocolName == protocolName, "\(verdict)")
    #expect(verdict.sides == sides)
    if protocolName == nil { #expect(verdict.confidence == 0 && !verdict.evidence.isEmpty) }
  }

  /// pylontech-hv.md §7.1: true state 768.0 V, +25.3 A, 21.5 °C, 73 %, 99 %; other messages as each sender would make them.
  @Test(arguments: [
    ("001E2D76BF044963", "401F001924773C73", [:] as [String: String]),
    ("001EFD00BF044963", "401F0019F401F401", ["currentOffset": "none"]),
    ("1E00762D04BF4963", "1F4019007724733C", ["byteOrder": "big"]),
    ("1E0000FD04BF4963", "1F40190001F401F4", ["byteOrder": "big", "currentOffset": "none"]),
    ("001E2D76D7004963", "401F001924773C73", ["bmsTemperatureOffset": "none"]),
    ("001ECD8BBF044963", "401F001924773C73", ["currentOffset": "diySlip"]),
  ])
  func eachSlipIsRecognisedByPlausibility(totals: String, limits: String, slip: [String: String]) throws {
    let isBig = slip["byteOrder"] == "big"
    let cells = isBig ? "0D180CF61100CB00" : "180DF60C1100CB00"
    var frames: [String] = []
    for _ in 0..<5 {
      frames += [
        "00004200#0000000000000000", "00004211#\(totals)", "00004221#\(limits)", "00004231#\(cells)", "00007321#F0000F1000036400",
      ]
    }
    let verdict = try #require(Self.identify(frames: frames))
    #expect(verdict.protocolName == "pylontech-hv")
    let definition = try #require(Shipped.library.definition("pylontech-hv"))
    let variant = try #require(definition.variant(verdict.variant))
    let choice = variant.readings.merging(verdict.readings) { $1 }
    for (reading, option) in slip { #expect(choice[reading] == option, "\(verdict)") }
    // What was decoded is the true state, however it was sent.
    let table = DecodeTable(definition.plan(variant: variant, readings: verdict.readings))
    let frame = try #require(FrameText.parse("00004211#\(totals)"))
    let slot = try #require(table.slot(of: frame))
    let values = (Int(table.slots[slot].first)..<Int(table.slots[slot].end)).map { index in
      table.raw(index, slot: slot, in: frame).map { ValueText.number(of: $0, table.dissection.plan.signals[index]) } ?? ""
    }
    #expect(values == ["768.0", "25.3", "21.5", "73", "99"])
  }

  @Test func oneSideIsSaidToBeOneSide() throws {
    let polls = try #require(Self.identify(frames: Array(repeating: "00004200#0000000000000000", count: 5)))
    #expect(polls.protocolName == "pylontech-hv" && polls.sides == [.inverter] && polls.variant == nil)
    #expect(polls.doubts.contains { $0.contains("no answer of a battery") })
  }

  @Test func theOtherWidthIsADoubtAndNoName() throws {
    let verdict = try #require(
      Self.identify(frames: ["00000351#1402E803E8030000", "00000355#3C006400", "00000356#6C140000DC00", "0000035C#C000"]))
    #expect(verdict.protocolName != "pylontech-lv")
    let polls = try #require(Self.identify(frames: ["210#0000000000000000", "5A1#00"]))
    #expect(polls.protocolName == nil && polls.confidence == 0)
  }

  @Test func aSilentOrBrokenBusIsNotNamed() throws {
    let errors = try #require(
      Self.identify(frames: ["(1.0) can0 20000088#0000080000000000", "(1.1) can0 20000088#0000080000000000"]))
    #expect(errors.protocolName == nil)
    #expect(errors.doubts.contains { $0.contains("bit rate") })
  }
}
