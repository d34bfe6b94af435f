import Testing

@testable import Formats

/// Captures of a chain as logic analysers export them: one request with its echo and its answer, a wake pulse before it.
@Suite struct AnalyserTests {
  /// Kind and bytes of each chain record.
  private func read(_ text: String, as format: CaptureFormat) -> [String] {
    var collector = ChainCollector()
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { FormatDetector.guesses($0).first?.format } == format)
    var reader = CaptureReader(format)
    bytes.withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &collector) }
    #expect(collector.problems.isEmpty, "\(collector.problems)")
    // The same in small pieces.
    var pieces = ChainCollector()
    var other = CaptureReader(format)
    var rest: [UInt8] = []
    for byte in bytes {
      rest.append(byte)
      let taken = rest.withUnsafeBytes { other.read($0, isEnd: false, into: &pieces) }
      rest.removeFirst(taken)
    }
    rest.withUnsafeBytes { _ = other.read($0, isEnd: true, into: &pieces) }
    #expect(pieces.lines == collector.lines)
    return collector.lines
  }

  private let expected = ["request 000101017A", "echo 000101017A", "answer 0000810173"]

  @Test func saleaeLogic2() {
    func period(_ time: Int, _ bytes: [String]) -> String {
      "\"SPI\",\"enable\",0.00\(time)0,0.00000001,,\n"
        + bytes.map { "\"SPI\",\"result\",0.00\(time)1,0.000004,,\($0)\n" }.joined()
        + "\"SPI\",\"disable\",0.00\(time)2,0.00000001,,\n"
    }
    let text =
      "name,type,start_time,duration,mosi,miso\n\"SPI\",\"enable\",0.000500,0.00000001,,\n\"SPI\",\"disable\",0.000521,0.00000001,,\n"
      + period(1, ["0x00", "0x01", "0x01", "0x01", "0x7A"]) + period(2, ["0x00", "0x00", "0x81", "0x01", "0x73"])
    #expect(read(text, as: .analyser) == ["wake ", "request 000101017A", "answer 0000810173"])
  }

  @Test func saleaeLogic1() {
    let bytes: [(Int, [String])] = [(0, ["0", "1", "1", "1", "122"]), (1, ["0x00", "0x00", "0x81", "0x01", "0x73"])]
    let rows = bytes.flatMap { id, list in list.map { "0.00100000,\(id),0xFF,\($0)" } }
    #expect(
      read("Time [s],Packet ID,MOSI,MISO\n" + rows.joined(separator: "\n") + "\n", as: .analyser)
        == ["request 000101017A", "answer 0000810173"])
  }

  @Test func sigrokAnnotations() {
    #expect(read("spi-1: 00 01 01 01 7A\nspi-1: 00 01 01 01 7A\nspi-1: 00 00 81 01 73\n", as: .analyser) == expected)
    let single = "00 01 01 01 7A 00 00 81 01 73".split(separator: " ").map { "spi-1: \($0)\n" }.joined()
    #expect(read(single, as: .analyser) == ["request 000101017A", "answer 0000810173"])
  }

  @Test func valueChangeDump() {
    var text = "$timescale 1 ns $end\n$var wire 1 ! CSB_RX $end\n$var wire 1 \" SCLK_RX $end\n$var wire 1 # DATA_RX $end\n"
    text += "$enddefinitions $end\n#0 1! 0\" 0#\n#1000 0!\n#22000 1!\n"
    var time = 100_000
    func frame(_ bytes: [UInt8], bits: Int) {
      text += "#\(time) 0!\n"
      for bit in 0..<bits {
        let value = bytes[bit / 8] >> UInt8(7 - bit % 8) & 1
        text += "#\(time + 100) 1\" \(value)#\n#\(time + 200) 0\"\n"
        time += 500
      }
      text += "#\(time) 1!\n"
      time += 10_000
    }
    frame([0, 1, 1, 1, 0x7A], bits: 40)
    frame([0, 1, 1, 1, 0x7A], bits: 40)
    frame([0, 0, 0x81, 1, 0x73], bits: 40)
    frame([0xFF, 0xF8], bits: 13)
    #expect(read(text, as: .vcd) == ["wake "] + expected + ["request FFF8"])
  }

  /// Levels of the three wires, sample by sample: `(time in ns, select, clock, data)`.
  static func levels(_ frames: [([UInt8], bits: Int)]) -> [(Int, Int, Int, Int)] {
    var rows: [(Int, Int, Int, Int)] = [(0, 1, 0, 0), (1_000, 0, 0, 0), (22_000, 1, 0, 0)]
    var time = 100_000
    for (bytes, bits) in frames {
      rows.append((time, 0, 0, 0))
      for bit in 0..<bits {
        let value = Int(bytes[bit / 8] >> UInt8(7 - bit % 8) & 1)
        rows.append((time + 100, 0, 1, value))
        rows.append((time + 300, 0, 0, value))
        time += 500
      }
      rows.append((time, 1, 0, 0))
      time += 10_000
    }
    return rows
  }
  static let frames: [([UInt8], bits: Int)] = [
    ([0, 1, 1, 1, 0x7A], 40), ([0, 1, 1, 1, 0x7A], 40), ([0, 0, 0x81, 1, 0x73], 40), ([0xFF, 0xF8], 13),
  ]

  @Test func saleaeDigitalExport() {
    // Columns in another order than ours, and a wire that is none of the three.
    var text = "Time [s],SCLK_RX,FAULT,DATA_RX,CSB_RX,CSB_TX\n"
    for (time, select, clock, data) in Self.levels(Self.frames) {
      let micro = String(1_000_000_000 + time).dropFirst()
      text += "0.\(micro),\(clock),1,\(data),\(select),\(1 - select)\n"
    }
    let all = ["wake "] + expected + ["request FFF8"]
    #expect(read(text, as: .analyser) == all)
    #expect(Array(text.utf8).withUnsafeBytes { FormatDetector.guesses($0).first?.format } == .analyser)
    var collector = ChainCollector()
    var reader = CaptureReader(.analyser)
    Array((text + "0.9,1,x,0,1,1\n0.9,1\n").utf8).withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &collector) }
    #expect(collector.problems.count == 2)
  }

  @Test(arguments: [true, false]) func pulseViewSamples(hasHeader: Bool) {
    var text = "; CSV generated by libsigrok 0.5.2\n; Channels (3/8): CSB, SCLK, DATA\n; Samplerate: 10 MHz\n"
    if hasHeader { text += "logic,logic,logic\n" }
    var rows = Self.levels(Self.frames)[...]
    var now = (1, 0, 0)
    for sample in 0..<2000 {
      while let next = rows.first, next.0 <= sample * 100 {
        now = (next.1, next.2, next.3)
        rows.removeFirst()
      }
      text += "\(now.0),\(now.1),\(now.2)\n"
    }
    #expect(Array(read(text, as: .analyser).prefix(4)) == ["wake "] + expected)
    #expect(Array(text.utf8).withUnsafeBytes { FormatDetector.guesses($0).first?.format } == .analyser)
  }

  @Test func damageIsSaidAndSkipped() {
    var collector = ChainCollector()
    var reader = CaptureReader(.analyser)
    let text =
      "name,type,start_time,duration,mosi,miso\nSPI,enable,0.1,0,,\nSPI,result,0.1,0,,0xZZ\nSPI,what,0.1,0,,\nSPI,error,1,0,,\n"
    Array(text.utf8).withUnsafeBytes { _ = reader.read($0, isEnd: true, into: &collector) }
    #expect(collector.problems.count == 3 && collector.problems.allSatisfy { $0.kind == .damaged })
  }
}

import Bus

private struct ChainCollector: RecordSink {
  var lines: [String] = []
  var problems: [CaptureProblem] = []
  mutating func busAppeared(_ bus: BusID, named name: String) {}
  mutating func receive(_ record: borrowing CANRecord) { lines.append("CAN") }
  mutating func receive(_ record: SideRecord) {
    let kind = ["request", "echo", "answer", "wake"][Int(record.bytes[2] & 3)]
    lines.append(
      kind + " " + record.bytes.dropFirst(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined())
  }
  mutating func report(_ problem: CaptureProblem) { problems.append(problem) }
}
