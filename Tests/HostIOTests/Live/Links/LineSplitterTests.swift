import Testing

@testable import HostIO

@Suite struct LineSplitterTests {
  private func lines(_ pieces: [[UInt8]], capacity: Int = 8) -> (lines: [String], overlong: UInt64) {
    var splitter = LineSplitter(capacity: capacity)
    var result: [String] = []
    for piece in pieces { piece.withUnsafeBytes { splitter.take($0) { result.append(String(decoding: $0, as: UTF8.self)) } } }
    return (result, splitter.overlong)
  }

  @Test func cutsAtEveryLineEnd() {
    #expect(lines([Array("a\nb\r\nc\rd".utf8), Array("e\n\n\r\n".utf8)]).lines == ["a", "b", "c", "de"])
  }

  @Test func whatIsTooLongIsCountedAndWhatFollowsIsNot() {
    let result = lines([Array("12345678\n123456789\nok\n".utf8)])
    #expect(result.lines == ["12345678", "ok"] && result.overlong == 1)
  }

  /// At another rate of a serial line there may be none.
  @Test func whatIsTooLongIsCountedBeforeItsEnd() {
    #expect(lines([Array("12345678".utf8)]).overlong == 0)
    #expect(lines([Array("123456789".utf8), Array(repeating: 0x41, count: 100)]).overlong == 1)
    let ended = lines([Array("ok\n123456789".utf8), Array("0\n\nok\n1234567890".utf8)])
    #expect(ended.lines == ["ok", "ok"] && ended.overlong == 2)
  }

  /// However the bytes are cut into pieces, the lines are the same.
  @Test func piecesDoNotMatter() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(seed)
    for _ in 0..<2000 {
      let bytes = (0..<random.next() % 60).map { _ in [10, 13, 0x41, 0x42, 0, 0xFF][Int(random.next() % 6)] as UInt8 }
      var pieces: [[UInt8]] = [[]]
      for byte in bytes {
        if random.next() % 4 == 0 { pieces.append([]) }
        pieces[pieces.count - 1].append(byte)
      }
      #expect(lines(pieces) == lines([bytes]), "seed \(seed): \(bytes)")
      #expect(lines([bytes]).lines.allSatisfy { !$0.isEmpty && !$0.contains("\n") })
    }
  }
}
