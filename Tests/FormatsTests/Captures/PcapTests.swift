import Bus
import Testing

@testable import Formats

/// Captures made by hand, in either byte order.
struct PacketBytes {
  var bytes: [UInt8] = []
  let isBig: Bool
  mutating func word(_ value: UInt32) {
    for s in isBig ? [24, 16, 8, 0] : [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> s)) }
  }
  mutating func half(_ value: UInt16) {
    for s in isBig ? [8, 0] : [0, 8] as [UInt16] { bytes.append(UInt8(truncatingIfNeeded: value >> s)) }
  }

  /// A classic pcap with these packets a second apart.
  static func pcap(_ packets: [[UInt8]], link: UInt32, isBig: Bool, isNanoseconds: Bool = false) -> [UInt8] {
    var file = PacketBytes(isBig: isBig)
    file.word(isNanoseconds ? 0xA1B2_3C4D : 0xA1B2_C3D4)
    file.half(2)
    file.half(4)
    for word in [0, 0, 262_144, link] as [UInt32] { file.word(word) }
    for (index, packet) in packets.enumerated() {
      for word in [UInt32(index + 1), 5, UInt32(packet.count), UInt32(packet.count)] { file.word(word) }
      file.bytes += packet
    }
    return file.bytes
  }

  static func block(_ type: UInt32, isBig: Bool, _ body: (inout PacketBytes) -> Void) -> [UInt8] {
    var content = PacketBytes(isBig: isBig)
    body(&content)
    while content.bytes.count % 4 != 0 { content.bytes.append(0) }
    var block = PacketBytes(isBig: isBig)
    block.word(type)
    block.word(UInt32(content.bytes.count + 12))
    block.bytes += content.bytes
    block.word(UInt32(content.bytes.count + 12))
    return block.bytes
  }

  static func section(isBig: Bool) -> [UInt8] {
    block(0x0A0D_0D0A, isBig: isBig) {
      $0.word(0x1A2B_3C4D); $0.word(1); $0.word(.max); $0.word(.max)
    }
  }

  static func interface(_ link: UInt16, isBig: Bool, resolution: UInt8? = nil, name: String? = nil, offset: Int64? = nil) -> [UInt8]
  {
    block(1, isBig: isBig) { body in
      body.half(link)
      body.half(0)
      body.word(0)
      if let name {
        body.half(2)
        body.half(UInt16(name.utf8.count))
        body.bytes += Array(name.utf8)
        while body.bytes.count % 4 != 0 { body.bytes.append(0) }
      }
      if let resolution {
        body.half(9)
        body.half(1)
        body.bytes += [resolution, 0, 0, 0]
      }
      if let offset {
        body.half(14)
        body.half(8)
        let order = body.isBig ? offset.bigEndian : offset.littleEndian
        withUnsafeBytes(of: order) { body.bytes += Array($0) }
      }
      body.word(0)
    }
  }

  static func packet(_ data: [UInt8], isBig: Bool, interface: UInt32 = 0, ticks: UInt64, flags: UInt32? = nil) -> [UInt8] {
    block(6, isBig: isBig) { body in
      for word in [interface, UInt32(ticks >> 32), UInt32(truncatingIfNeeded: ticks), UInt32(data.count), UInt32(data.count)] {
        body.word(word)
      }
      body.bytes += data
      while body.bytes.count % 4 != 0 { body.bytes.append(0) }
      if let flags {
        body.half(2)
        body.half(4)
        body.word(flags)
        body.word(0)
      }
    }
  }
}

@Suite struct PcapTests {
  static let frame: [UInt8] = [0x80, 0, 0x42, 0x10, 3, 0, 0, 0, 0x11, 0x22, 0x33]
  static let text = "00004210#[3]112233"

  @Test(arguments: [false, true], [false, true])
  func bothByteOrdersAndResolutionsAreRead(isBig: Bool, isNanoseconds: Bool) {
    let bytes = PacketBytes.pcap([Self.frame, Self.frame], link: 227, isBig: isBig, isNanoseconds: isNanoseconds)
    let result = RecordCollector.read(bytes)
    let fraction = isNanoseconds ? "000000005/9" : "000005000/6"
    #expect(result.lines == ["1\(fraction) can0 ? \(Self.text)", "2\(fraction) can0 ? \(Self.text)"])
  }

  @Test(arguments: [
    (UInt32(227), [0x80, 0, 0x42, 0x10, 8, 0, 0, 0xA, 1, 2, 3, 4, 5, 6, 7, 8] as [UInt8], "00004210#[8]_100102030405060708"),
    (227, [0x40, 0, 0x01, 0x23, 4, 0, 0, 0], "123#R[4]"),
    (227, [0x20, 0, 0, 0x20, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "020![8]0000000000000000"),
    (227, [0, 0, 1, 0x23, 2, 5, 0, 0, 1, 2], "123#FDb[2]0102"),
    (227, [0, 0, 1, 0x23, 12, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "123#FD[12]0102030405060708090A0B0C"),
    (190, [0, 0, 1, 0x23, 1, 0, 0, 0, 0xAA], "123#[1]AA"),
    (113, [0, 1, 1, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0C, 0x10, 0x42, 0, 0x80, 1, 0, 0, 0, 0xAA], "00004210#[1]AA"),
    (113, [0, 1, 1, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0C, 0, 0, 1, 0x23, 1, 0, 0, 0, 0xAA], "123#[1]AA"),
    (
      276, [0, 0x0D, 0, 0, 0, 0, 0, 1, 1, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x42, 0x10, 1, 1, 0, 0, 0xAA],
      "00004210#FDb[1]AA"
    ),
  ])
  func everyLinkTypeIsRead(link: UInt32, packet: [UInt8], text: String) {
    let result = RecordCollector.read(PacketBytes.pcap([packet], link: link, isBig: false))
    #expect(result.lines.map { $0.split(separator: " ").last.map(String.init) } == [text], "\(result.problems)")
  }

  @Test(arguments: [
    (UInt32(227), [0, 0, 1, 0x23, 9, 0, 0] as [UInt8], CaptureProblem.Kind.damaged),
    (227, [0, 0, 1, 0x23, 4, 0, 0, 0, 1], .damaged),
    (1, [1, 2, 3, 4, 5, 6, 7, 8], .foreign), (227, [0, 0, 1, 0x23, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], .foreign),
    (113, [0, 1, 1, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 2], .foreign),
  ])
  func whatIsNoFrameIsSaid(link: UInt32, packet: [UInt8], kind: CaptureProblem.Kind) {
    let result = RecordCollector.read(PacketBytes.pcap([packet, packet], link: link, isBig: false))
    #expect(result.records.isEmpty && result.problems.map(\.kind) == [kind, kind], "\(result.problems)")
  }

  @Test func cutAnywhereEverythingBeforeIsKept() {
    let bytes = PacketBytes.pcap([Self.frame, Self.frame], link: 227, isBig: false)
    for cut in 0...bytes.count {
      let result = RecordCollector.read(Array(bytes[..<cut]), as: .pcap)
      #expect(result.records.count == (cut >= bytes.count ? 2 : cut >= 24 + 27 ? 1 : 0))
      let isClean = cut == 0 || cut == 24 || cut == 24 + 27 || cut == bytes.count
      #expect(result.problems.isEmpty == isClean, "cut at \(cut)")
      // In two pieces, as a pipe brings it.
      var sink = RecordCollector()
      var reader = CaptureReader(.pcap)
      bytes.withUnsafeBytes { buffer in
        let taken = reader.read(UnsafeRawBufferPointer(rebasing: buffer[..<cut]), isEnd: false, into: &sink)
        _ = reader.read(UnsafeRawBufferPointer(rebasing: buffer[taken...]), isEnd: true, into: &sink)
      }
      #expect(sink.records.count == 2 && sink.problems.isEmpty)
    }
  }

  @Test func anAbsurdLengthTakesNoMemoryAndLosesNothingBefore() {
    var bytes = PacketBytes.pcap([Self.frame], link: 227, isBig: false)
    bytes += [1, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]
    let result = RecordCollector.read(bytes, as: .pcap)
    #expect(result.records.count == 1 && result.problems.map(\.kind) == [.damaged])
  }
}

@Suite struct PcapngTests {
  private static func file(isBig: Bool, _ blocks: [[UInt8]]) -> [UInt8] {
    PacketBytes.section(isBig: isBig) + blocks.flatMap { $0 }
  }

  @Test(arguments: [false, true])
  func namesResolutionsOffsetsAndDirectionsAreRead(isBig: Bool) {
    let bytes = Self.file(
      isBig: isBig,
      [
        PacketBytes.interface(227, isBig: isBig, name: "can0"),
        PacketBytes.interface(227, isBig: isBig, resolution: 9, name: "vcan1", offset: 100),
        PacketBytes.interface(227, isBig: isBig, resolution: 0x8A),
        PacketBytes.packet(PcapTests.frame, isBig: isBig, ticks: 1_500_000),
        PacketBytes.packet(PcapTests.frame, isBig: isBig, interface: 1, ticks: 7, flags: 1),
        PacketBytes.packet(PcapTests.frame, isBig: isBig, interface: 2, ticks: 1024 + 512, flags: 2),
      ])
    #expect(
      RecordCollector.read(bytes).lines == [
        "1500000000/6 can0 ? \(PcapTests.text)", "100000000007/9 vcan1 R \(PcapTests.text)", "1500000000/9 if0 T \(PcapTests.text)",
      ])
  }

  @Test func blocksWithoutPacketsAreCountedAndSimplePacketsHaveNoTime() {
    let bytes = Self.file(
      isBig: false,
      [
        PacketBytes.interface(227, isBig: false),
        PacketBytes.block(5, isBig: false) {
          $0.word(0); $0.word(0); $0.word(0)
        },
        PacketBytes.block(0xBAD, isBig: false) { $0.word(32_473) },
        PacketBytes.block(3, isBig: false) {
          $0.word(11); $0.bytes += PcapTests.frame
        },
        PacketBytes.interface(1, isBig: false), PacketBytes.packet([1, 2, 3, 4], isBig: false, interface: 1, ticks: 0),
      ])
    let result = RecordCollector.read(bytes)
    #expect(result.lines == ["- if0 ? \(PcapTests.text)"])
    #expect(result.problems.map(\.kind) == [.foreign])
  }

  @Test func aSecondSectionInTheOtherByteOrderIsRead() {
    let first = Self.file(
      isBig: false, [PacketBytes.interface(227, isBig: false), PacketBytes.packet(PcapTests.frame, isBig: false, ticks: 1)])
    let second = Self.file(
      isBig: true, [PacketBytes.interface(227, isBig: true), PacketBytes.packet(PcapTests.frame, isBig: true, ticks: 2)])
    #expect(RecordCollector.read(first + second).records.map(\.time.nanoseconds) == [1000, 2000])
  }

  @Test func afterDamageItGoesOnAtTheNextBlock() {
    let good = PacketBytes.packet(PcapTests.frame, isBig: false, ticks: 1)
    var bad = good
    bad[4] = 0x33
    let bytes = Self.file(isBig: false, [PacketBytes.interface(227, isBig: false), good, bad, good])
    let result = RecordCollector.read(bytes)
    #expect(result.records.count == 2 && result.problems.map(\.kind) == [.damaged], "\(result.problems)")
  }

  @Test func cutAnywhereInOneOrTwoPiecesNothingBreaks() {
    let bytes = Self.file(
      isBig: false,
      [
        PacketBytes.interface(227, isBig: false, name: "can0"),
        PacketBytes.packet(PcapTests.frame, isBig: false, ticks: 1, flags: 1),
        PacketBytes.packet(PcapTests.frame, isBig: false, ticks: 2),
      ])
    for cut in 0...bytes.count {
      _ = RecordCollector.read(Array(bytes[..<cut]), as: .pcapng)
      var sink = RecordCollector()
      var reader = CaptureReader(.pcapng)
      bytes.withUnsafeBytes { buffer in
        let taken = reader.read(UnsafeRawBufferPointer(rebasing: buffer[..<cut]), isEnd: false, into: &sink)
        _ = reader.read(UnsafeRawBufferPointer(rebasing: buffer[taken...]), isEnd: true, into: &sink)
      }
      #expect(sink.records.count == 2 && sink.problems.isEmpty, "cut at \(cut): \(sink.problems)")
    }
  }
}

@Suite struct GzipTests {
  @Test func damageAndCutsAreSaidAndKeepWhatWasBefore() {
    // `printf 'hello\n' | gzip -n`.
    let packed: [UInt8] = [
      0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0xE7, 2, 0, 0x20, 0x30, 0x3A, 0x36, 6, 0, 0, 0,
    ]
    func unpack(_ bytes: [UInt8]) -> (text: String, problem: CaptureProblem.Kind?) {
      let inflater = GzipInflater()
      var result: [UInt8] = []
      var output = [UInt8](repeating: 0, count: 4)
      var place = 0
      for _ in 0..<100 {
        let (taken, written) = bytes[place...].withUnsafeBytes { input in
          output.withUnsafeMutableBytes { inflater.inflate(input, into: $0) }
        }
        place += taken
        result += output[..<written]
        if taken == 0, written == 0 { break }
      }
      inflater.finish()
      return (String(decoding: result, as: UTF8.self), inflater.problem?.kind)
    }
    #expect(unpack(packed) == ("hello\n", nil))
    #expect(unpack(packed + packed) == ("hello\nhello\n", nil))
    #expect(unpack(packed + [0, 0]) == ("hello\n", nil))
    #expect(unpack(Array(packed.dropLast(2))) == ("hello\n", .truncated))
    var damaged = packed
    damaged[19] ^= 1
    #expect(unpack(damaged).problem == .damaged)
    #expect(unpack(packed + [7, 7]).problem == .damaged)
  }
}

/// One flipped bit anywhere costs the packet it stands in and perhaps a neighbour, never the rest, and never in silence.
@Suite struct DamagedPacketTests {
  static let packets: [[UInt8]] = (0..<40).map { index in
    [0, 0, 0x03, UInt8(0x50 + index % 16), 8, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: $0 * 7 + index) }
  }

  static func read(_ bytes: [UInt8], _ format: CaptureFormat) -> (records: Int, problems: [CaptureProblem]) {
    var collector = RecordCollector()
    var reader = CaptureReader(format)
    bytes.withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &collector) }
    return (collector.records.count, collector.problems)
  }

  @Test(arguments: [false, true]) func pcap(isBig: Bool) {
    let whole = PacketBytes.pcap(Self.packets, link: 227, isBig: isBig)
    check(whole, .pcap, from: 24) { _ in true }
  }

  @Test func pcapng() {
    var whole = PacketBytes.section(isBig: false) + PacketBytes.interface(227, isBig: false, name: "can0")
    let start = whole.count
    for (index, packet) in Self.packets.enumerated() {
      whole += PacketBytes.packet(packet, isBig: false, ticks: UInt64(index) * 1000)
    }
    let size = (whole.count - start) / Self.packets.count
    // Another type is another block, which is passed over and counted: that cannot be told from damage.
    check(whole, .pcapng, from: start) { place in (place - start) % size >= 4 }
  }

  private func check(_ whole: [UInt8], _ format: CaptureFormat, from start: Int, isTold: (Int) -> Bool) {
    #expect(Self.read(whole, format).records == Self.packets.count)
    for place in start..<whole.count where isTold(place) {
      for bit in 0..<8 {
        var damaged = whole
        damaged[place] ^= 1 << UInt8(bit)
        let result = Self.read(damaged, format)
        // The last two packets have no neighbours behind them that would show where one begins.
        let least = Self.packets.count - 3
        if result.records < least {
          Issue.record("byte \(place) bit \(bit): \(result.records) records, \(result.problems)"); return
        }
        if result.records < Self.packets.count, result.problems.isEmpty {
          Issue.record("byte \(place) bit \(bit): lost in silence"); return
        }
      }
    }
  }
}
