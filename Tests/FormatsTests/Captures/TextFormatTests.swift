import Bus
import Foundation
import Testing

@testable import Formats

@Suite struct TextFormatTests {
  /// A line (or a few) of each form, and the record it must give.
  static let cases: [(CaptureFormat, String, [String])] = [
    (.candump, "(1700000000.123456) can0 123#R8", ["1700000000123456000/6 can0 ? 123#R[8]"]),
    (.candump, "(1700000000.123456) can0 123#R", ["1700000000123456000/6 can0 ? 123#R[0]"]),
    (
      .candump, "(1700000000.123456) can0 00000123#1122334455667788_F T",
      ["1700000000123456000/6 can0 T 00000123#[8]_151122334455667788"]
    ),
    (.candump, "(1700000000.123456789) can0 123##31122 R", ["1700000000123456789/9 can0 R 123#FDbe[2]1122"]),
    (.candump, "(1700000000.123456) can0 20000004#0008000000006000", ["1700000000123456000/6 can0 ? 004![8]0008000000006000"]),
    (.candump, "(12.5) can0 123#11.22.33", ["12500000000/1 can0 ? 123#[3]112233"]),
    (.candumpConsole, "  can0  123   [3]  11 22 33", ["- can0 ? 123#[3]112233"]),
    (
      .candumpConsole, " (1700000000.000001)  can0  RX - -  00004210   [2]  11 22   '.\"'",
      ["1700000000000001000/6 can0 R 00004210#[2]1122"]
    ),
    (
      .candumpConsole, " (2023-11-14 22:13:20.000001)  vcan0  123  [08]  01 02 03 04 05 06 07 08",
      ["1700000000000001000/6 vcan0 ? 123#FD[8]0102030405060708"]
    ),
    (.candumpConsole, "  can0  TX B -  123   [02]  11 22", ["- can0 T 123#FDb[2]1122"]),
    (.candumpConsole, "  can0  123   {B}  01 02 03 04 05 06 07 08", ["- can0 ? 123#[8]_110102030405060708"]),
    (.candumpConsole, "  can0  123   [4]  remote request", ["- can0 ? 123#R[4]"]),
    (.candumpConsole, "  can0  123   [3]  33`22`11", ["- can0 ? 123#[3]112233"]),
    (.candumpConsole, "  can0  123   [2]  00010001 11111111", ["- can0 ? 123#[2]11FF"]),
    (
      .candumpConsole,
      "  can0  20000088   [8]  00 00 08 00 00 00 00 00   ERRORFRAME\n\tprotocol-violation{{tx-dominant-bit-error}{}}",
      ["- can0 ? 088![8]0000080000000000"]
    ),
    (
      .asc,
      "date Tue Nov 14 10:13:20.000 PM 2023\nbase hex  timestamps absolute\n   0.010001 1  351             Tx   d 8 45 02 0A 0B 0C 0D 0E 0F",
      ["1700000000010001000/6 can1 T 351#[8]45020A0B0C0D0E0F"]
    ),
    (
      .asc, "base hex  timestamps relative\n 0.5 2  4210x Rx d 1 45\n 0.25 2  4210x Rx r 8",
      ["500000000/1 can2 R 00004210#[1]45", "750000000/2 can2 R 00004210#R[8]"]
    ),
    (
      .asc, "base dec  timestamps absolute\n 1.000000 1  849 Rx d 2 17 255 Length = 0 BitCount = 0",
      ["1000000000/6 can1 R 351#[2]11FF"]
    ),
    (
      .asc,
      "base hex  timestamps absolute\n 1.0 CANFD   1 Rx        123x  Name  1 0 9 12 01 02 03 04 05 06 07 08 09 0A 0B 0C 0 0 3000 0 0 0 0 0",
      ["1000000000/1 can1 R 00000123#FDb[12]0102030405060708090A0B0C"]
    ),
    (
      .trc, ";$FILEVERSION=1.1\n;$STARTTIME=25570.5\n     1)      1059.9  Rx         0300  7  00 00 00 00 04 00 00",
      ["129601059900000/4 can1 R 300#[7]00000000040000"]
    ),
    (
      .trc, ";$FILEVERSION=1.3\n;$STARTTIME=25569.0\n   1)  1.5 2  Rx  00000300 -  2    A1 B2",
      ["1500000/4 can2 R 00000300#[2]A1B2"]
    ),
    (
      .trc,
      ";$FILEVERSION=2.1\n;$STARTTIME=25569.0\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n 1 10.300 DT 1 0300 Rx - 2 A1 B2\n 2 11.000 FB 2 18EFC034 Tx - 9 01 02 03 04 05 06 07 08 09 0A 0B 0C\n 3 12.000 RR 1 0100 Rx - 3",
      ["10300000/6 can1 R 300#[2]A1B2", "11000000/6 can2 T 18EFC034#FDb[12]0102030405060708090A0B0C", "12000000/6 can1 R 100#R[3]"]
    ),
    (
      .savvycan, "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n166064,0000021A,false,Rx,0,2,FE,36,",
      ["166064000/6 can0 R 21A#[2]FE36"]
    ),
    (
      .savvycan, "Time Stamp,ID,Extended,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n166064,00004210,true,1,1,FE,",
      ["166064000/6 can1 ? 00004210#[1]FE"]
    ),
    (
      .pythonCAN, "timestamp,arbitration_id,extended,remote,error,dlc,data\n1.5,0x4210,1,0,0,3,ESIz\n2.0,0x123,0,1,0,4,",
      ["1500000000/1 can0 ? 00004210#[3]112233", "2000000000/1 can0 ? 123#R[4]"]
    ),
    (.batteryEmulator, "(7.556) TX1 54A [8] 10 0 70 2 0 0 0 FF", ["7556000000/3 can0 T 54A#[8]10007002000000FF"]),
    (.batteryEmulator, "(556) rx2 00004210 [2] a5 09", ["556000000/3 can1 R 00004210#[2]A509"]),
    (.batteryEmulator, "7556  54A  3  10 0 70", ["7556000000/3 can0 ? 54A#[3]100070"]),
    (.pasted, "[12:00:01][D][canbus:033]: send can_id: 0x351 hex: 28 2 0 a", ["- pasted ? 351#[4]2802000A"]),
    (
      .pasted, "Buffer (HEX): [0x10, 0x42, 0x00, 0x80, 0x02, 0x00, 0x00, 0x00, 0x11, 0x22, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]",
      ["- pasted ? 00004210#[2]1122"]
    ),
    (.pasted, "Standard ID: 0x351       DLC: 3  Data: 0x44 0x02 0x0A", ["- pasted ? 351#[3]44020A"]),
    (.pasted, "Extended ID: 0x00000351  DLC: 1  Data: 0x44", ["- pasted ? 00000351#[1]44"]),
    (.pasted, "CANId=0x355, FrameLength=4, Data=0x3C, 0x0, 0x64, 0x0", ["- pasted ? 355#[4]3C006400"]),
    (.pasted, "3010 8 0E DF 14 00 00 00 00 00", ["- pasted ? 00003010#[8]0EDF140000000000"]),
    (.pasted, "| 305 | 00 00 00 00 | .... | a comment |", ["- pasted ? 305#[4]00000000"]),
    (.pasted, "27033815171;0;190;8;000000150000000f", ["27033815171000/6 pasted ? 190#[8]000000150000000F"]),
    (.pasted, "the answer was 00004210#A509 as you see", ["- pasted ? 00004210#[2]A509"]),
  ]

  @Test(arguments: cases.indices)
  func eachFormGivesItsRecords(index: Int) {
    let (format, text, expected) = Self.cases[index]
    let result = RecordCollector.read(text + "\n", as: format)
    #expect(result.lines == expected, "\(text)")
    #expect(result.problems.isEmpty, "\(result.problems)")
    // Line ends of other systems change nothing.
    #expect(RecordCollector.read(text.replacing("\n", with: "\r\n") + "\r\n", as: format).lines == expected)
  }

  @Test(arguments: [
    (CaptureFormat.candump, "(1700000000.123456) can0 12#11", "3 or 8 digits"),
    (.candump, "(1700000000.1) can0 123#1", "even number"),
    (.candump, "(1700000000.1) can0 123#112233445566778899", "at most 8"), (.candump, "(x) can0 123#11", "a time"),
    (.candump, "(1.0) can0 800#11", "7FF"),
    (.candump, "(1.0) can0 123##0" + String(repeating: "11", count: 9), "FD frame can have"),
    (.candump, "(1.0) can0 123#11 X", "R or T"), (.candumpConsole, "  can0  123   [3]  11 22", "found 2"),
    (.asc, "base hex  timestamps absolute\n 1.0 1 123 Rx d 3 11 22", "found 2"),
    (.trc, ";$FILEVERSION=1.1\n 1) 1.0 Rx 0300 3 11", "found 1"),
    (.savvycan, "Time Stamp,ID,Extended,Dir,Bus,LEN,D1\n1,00004210,false,Rx,0,1,11", "11-bit"),
    (.pythonCAN, "timestamp,arbitration_id,extended,remote,error,dlc,data\n1.0,0x123,0,0,0,3,ESI=", "found 2"),
    (.batteryEmulator, "(1.0) RX0 123 [3] 11 22", "found 2"), (.pasted, "ID: 0x351 DLC: 3 Data: 0x44 0x02", "found 2"),
  ])
  func damageSaysWhereAndWhatWasExpected(format: CaptureFormat, text: String, expected: String) {
    let result = RecordCollector.read(text + "\n", as: format)
    #expect(result.records.isEmpty)
    let problem = result.problems.last
    #expect(problem?.expected.contains(expected) == true, "\(result.problems)")
    #expect(problem?.position.number == UInt64(text.split(separator: "\n").count))
  }

  @Test func droppedFramesAreCounted() {
    let text = "(1.0) can0 123#11\nDROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 3)\n(2.0) can0 123#11\n"
    let result = RecordCollector.read(text)
    #expect(result.records.count == 2)
    #expect(result.problems.map(\.kind) == [.framesLost] && result.problems.first?.count == 3)
  }

  @Test func theEmulatorsClockRunsOnBehindItsWrap() {
    let result = RecordCollector.read(
      "(99999.900) RX0 123 [1] 11\n(100) RX0 123 [1] 12\n(1.000) RX0 123 [1] 13\n", as: .batteryEmulator)
    #expect(result.records.map(\.time.nanoseconds) == [99_999_900_000_000, 100_000_100_000_000, 100_001_000_000_000])
    #expect(result.problems.map(\.kind) == [.wrap])
  }

  @Test func differencesAreAddedUp() {
    let result = RecordCollector.read(
      " (000.000000)  can0  123  [0]\n (000.100000)  can0  123  [0]\n (000.050000)  can0  123  [0]\n", as: .candumpConsole)
    #expect(result.records.map(\.time.nanoseconds) == [0, 100_000_000, 150_000_000])
  }

  @Test func proseIsCountedAndNeverDamage() {
    let text = "Hello all,\nmy inverter shows F58 since 3 days.\nHere 4 frames:\n3010 8 0E DF 14 00 00 00 00 00\nThanks! 12 34\n"
    let result = RecordCollector.read(text)
    #expect(result.lines.count == 1 && result.problems.isEmpty)
  }

  @Test func chainLinesAreNoCANFrames() {
    let result = RecordCollector.read("(1700000000.123456789) chain1 001#000E331DF7 T\n(1700000000.2) can0 123#11\n")
    #expect(result.records.count == 1)
    #expect(result.sideRecords.first?.bytes == [1, 1, 4, 40, 0, 0, 0, 0, 0x00, 0x0E, 0x33, 0x1D, 0xF7])
  }

  @Test(arguments: cases.indices)
  func cutAnywhereNothingBreaksAndWholeLinesAreKept(index: Int) {
    let (format, text, expected) = Self.cases[index]
    let bytes = Array((text + "\n").utf8)
    for cut in 0..<bytes.count {
      var sink = RecordCollector()
      var reader = CaptureReader(format)
      bytes.withUnsafeBytes { buffer in
        let taken = reader.read(UnsafeRawBufferPointer(rebasing: buffer[..<cut]), isEnd: false, into: &sink)
        _ = reader.read(UnsafeRawBufferPointer(rebasing: buffer[taken...]), isEnd: true, into: &sink)
      }
      #expect(sink.lines == expected, "cut at \(cut)")
      _ = RecordCollector.read(Array(bytes[..<cut]), as: format)
      _ = RecordCollector.read(Array(bytes[..<cut]))
    }
  }

  @Test func anyChangeOfAnyByteIsSurvivedByEveryParser() {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = SplitMix(state: seed)
    for _ in 0..<3_000 {
      var bytes = Array(Self.cases[Int.random(in: 0..<Self.cases.count, using: &random)].1.utf8)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &random)], at: place)
        default: if bytes.count > 1 { bytes.remove(at: place) }
        }
      }
      for format in CaptureFormat.allCases { _ = RecordCollector.read(bytes, as: format) }
    }
  }
}

@Suite struct FormatDetectorTests {
  @Test(arguments: TextFormatTests.cases.indices)
  func eachFormIsRecognised(index: Int) {
    let (format, text, _) = TextFormatTests.cases[index]
    let guess = Array((text + "\n").utf8).withUnsafeBytes { FormatDetector.guesses($0).first }
    #expect(guess?.format == format, "\(text): \(String(describing: guess))")
    #expect(guess?.reason.isEmpty == false)
  }

  @Test func nothingIsRecognisedInNoiseOrNothing() {
    #expect([UInt8]().withUnsafeBytes { FormatDetector.guesses($0) }.isEmpty)
    #expect((0..<4096).map { UInt8(truncatingIfNeeded: $0 * 7 >> 3) }.withUnsafeBytes { FormatDetector.guesses($0) }.isEmpty)
    #expect(Array("Just some words.\nAnd more of them.\n".utf8).withUnsafeBytes { FormatDetector.guesses($0) }.isEmpty)
  }
}

/// Genuine traffic beside the project; absent in a plain clone.
@Suite struct GenuineCaptureTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/captures/genuine")

  static var isMissing: Bool {
    if FileManager.default.fileExists(atPath: folder.path) { return false }
    if ProcessInfo.processInfo.environment["CI"] != nil { Issue.record("genuine captures are missing at \(folder.path)") }
    print("skipped: no genuine captures at \(folder.path)")
    return true
  }

  @Test(arguments: [
    ("arminjo_jkbms_lv_tx.log", CaptureFormat.pasted, 49), ("repo_byd_lvs_victron_dfch_table.txt", .pasted, 20),
    ("repo_lgresu10lv_candump_jens18.txt", .candumpConsole, 5), ("vectors_byd-hvs_sunshadecorp.txt", .pasted, 12),
    ("vectors_goodwe-native_gw6000eh_BE-2023.txt", .pasted, 8), ("vectors_sofar-hv_amass_BE-header.txt", .pasted, 38),
    ("victorstoica_jkbms-native-250k_ext.candump.log", .candump, 344),
    ("victorstoica_lv_deye-profile_jkbms.candump.log", .candump, 100),
    ("victorstoica_lv_growatt-profile_jkbms_bridge.candump.log", .candump, 519),
    ("victorstoica_lv_pylon-profile_jkbms.candump.log", .candump, 100),
    ("victorstoica_lv_sofar-profile_seplos.candump.log", .candump, 148), ("victorstoica_pylon-can.frames.csv", .pasted, 100),
  ])
  func everyFrameIsRead(file: String, format: CaptureFormat, count: Int) throws {
    if Self.isMissing { return }
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appendingPathComponent(file)))
    #expect(bytes.withUnsafeBytes { FormatDetector.guesses($0).first?.format } == format)
    let result = RecordCollector.read(bytes)
    #expect(result.records.count == count)
    #expect(result.problems.isEmpty, "\(result.problems)")
  }
}
