import Analysis
import Bus
import Testing

@Suite struct FrameBitsTests {
  @Test func unstuffedLengthsAreThoseOfTheStandard() {
    // 47 + 8n bits and 67 + 8n with interframe space, plus the stuff bits of the very stream.
    let short = FrameBits.count(CANFrame(id: .standard(0x555), length: 0, head: 0))
    #expect(short >= 47 && short <= 47 + 8)
    let long = FrameBits.count(CANFrame(id: .extended(0x1555_5555), length: 8, head: 0x5555_5555_5555_5555))
    #expect(long >= 131 && long <= 131 + 6)
  }

  /// Lengths from an independent model that builds the stream as a string of digits.
  @Test func stuffedLengthsAgreeWithAnIndependentModel() {
    let pylontech: UInt64 = 0x642E_049D_7530_09A5
    #expect(FrameBits.count(CANFrame(id: .standard(0), length: 8, head: 0)) == 127)
    #expect(FrameBits.count(CANFrame(id: .extended(0x4210), length: 8, head: pylontech)) == 137)
    #expect(FrameBits.count(CANFrame(id: .standard(0x351), length: 2, head: 0x2211)) == 64)
    #expect(FrameBits.count(CANFrame(id: .extended(0x1FFF_FFFF), length: 8, head: .max)) == 149)
  }

  @Test func theWorstCaseIsNeverPassed() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2_000 {
      let frame = CANFrame(
        id: .extended(.random(in: 0...0x1FFF_FFFF, using: &random)), length: 8, head: .random(in: 0...(.max), using: &random))
      let bits = FrameBits.count(frame)
      #expect(bits >= 131 && bits <= 131 + (54 + 64 - 1) / 4)
    }
  }

  @Test func remoteFramesCarryNoData() {
    var frame = CANFrame(id: .standard(0x2AA), length: 8, head: .max)
    frame.flags = .remote
    #expect(FrameBits.count(frame) == 47)
  }
}
