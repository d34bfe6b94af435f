import Bus
import Testing

@testable import HostIO

@Suite struct MessagePackTests {
  private func read(_ bytes: [UInt8]) -> [MessagePackReader.Value?] {
    bytes.withUnsafeBytes {
      var reader = MessagePackReader($0)
      var result: [MessagePackReader.Value?] = []
      repeat { result.append(reader.next()) } while !reader.isAtEnd && result.last != .some(nil)
      return result
    }
  }

  private func frame(_ bytes: [UInt8]) -> CANFrame? { bytes.withUnsafeBytes { MulticastMessage.frame(from: $0) } }

  /// Examples of the specification, one of each kind of value.
  @Test func readsEveryKindOfValue() {
    #expect(
      read([0x07, 0xFF, 0xC0, 0xC2, 0xC3]) == [.unsigned(7), .signed(-1), MessagePackReader.Value.none, .bool(false), .bool(true)])
    #expect(read([0xCC, 0xFF, 0xCD, 1, 0, 0xCE, 0, 1, 0, 0]) == [.unsigned(255), .unsigned(256), .unsigned(65536)])
    #expect(read([0xCF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) == [.unsigned(.max)])
    #expect(read([0xD0, 0x80, 0xD1, 0x80, 0, 0xD2, 0x80, 0, 0, 0]) == [.signed(-128), .signed(-32768), .signed(-2_147_483_648)])
    #expect(read([0xD3, 0x80, 0, 0, 0, 0, 0, 0, 0]) == [.signed(.min)])
    #expect(read([0xCA, 0x3F, 0x80, 0, 0, 0xCB, 0x40, 0, 0, 0, 0, 0, 0, 0]) == [.float(1), .float(2)])
    #expect(
      read([0xA1, 0x61, 0xD9, 1, 0x62, 0xC4, 1, 7, 0xC5, 0, 1, 8]) == [
        .bytes(1..<2), .bytes(4..<5), .bytes(7..<8), .bytes(11..<12),
      ])
    #expect(read([0x92, 0x81, 0xDC, 0, 3, 0xDF, 0, 0, 0, 2]) == [.array(2), .map(1), .array(3), .map(2)])
    #expect(
      read([0xD4, 1, 2, 0xD8] + [UInt8](repeating: 0, count: 17) + [0xC7, 1, 5, 9, 0xC0]) == [
        .extended, .extended, .extended, MessagePackReader.Value.none,
      ])
  }

  @Test func whatEndsEarlyIsNoValue() {
    for bytes: [UInt8] in [
      [0xCD, 1], [0xA2, 0x61], [0xC6, 0xFF, 0xFF, 0xFF, 0xFF], [0xC1], [0xD8, 1], [0xC9, 0xFF, 0xFF, 0xFF, 0xFF, 1],
    ] {
      #expect(read(bytes) == [nil])
    }
  }

  @Test func framesComeBackAsTheyWere() {
    for sent in PortTesting.everyKind + PortTesting.everyFDKind + PortTesting.errors {
      #expect(frame(MulticastMessage.bytes(of: sent, time_ns: 1_700_000_000_000_000_000)) == sent)
    }
  }

  @Test func fieldsThatNobodyKnowsAreSkipped() {
    // {"x": [1, {"y": [2]}], "arbitration_id": 5, "data": b"\x09", "is_extended_id": false}
    let bytes: [UInt8] =
      [0x84, 0xA1, 0x78, 0x92, 1, 0x81, 0xA1, 0x79, 0x91, 2, 0xAE] + Array("arbitration_id".utf8) + [5, 0xA4] + Array("data".utf8)
      + [0xC4, 1, 9, 0xAE] + Array("is_extended_id".utf8) + [0xC2]
    #expect(frame(bytes) == CANFrame(id: .standard(5), length: 1, head: 9))
    #expect(frame(bytes + [0]) == nil)
    #expect(frame(Array(bytes.dropLast())) == nil)
  }

  @Test func framesThatCannotBeAreRefused() {
    var remote = CANFrame(id: .standard(1), length: 8, head: 0)
    remote.flags = [.remote, .fd]
    var flagged = CANFrame(id: .standard(1), length: 8, head: 0)
    flagged.flags = .bitRateSwitch
    var odd = CANFrame(id: .standard(1), length: 8, head: 0)
    odd.flags = .fd
    odd.length = 9
    for wrong in [remote, flagged, odd] { #expect(frame(MulticastMessage.bytes(of: wrong, time_ns: 0)) == nil) }
  }

  /// Bytes by chance and frames with bytes changed by chance: an answer, never a trap; and what is accepted can be sent again.
  @Test func nothingTraps() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(seed)
    let frames = (PortTesting.everyKind + PortTesting.everyFDKind).map { MulticastMessage.bytes(of: $0, time_ns: 1) }
    for round in 0..<10_000 {
      var bytes =
        round % 4 == 0
        ? (0..<random.next() % 64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        : frames[Int(random.next() % UInt64(frames.count))]
      for _ in 0..<random.next() % 4 where !bytes.isEmpty {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if random.next() % 8 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count + 1))) }
      guard let read = frame(bytes) else { continue }
      #expect(frame(MulticastMessage.bytes(of: read, time_ns: 0)) == read, "seed \(seed) round \(round): \(bytes)")
    }
  }
}

/// Chance that can be had again by its seed.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ state &>> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed &>> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed &>> 31
  }
}
