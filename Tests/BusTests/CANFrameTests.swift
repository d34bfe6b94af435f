import Bus
import Testing

@Suite struct CANFrameTests {
  @Test func widthIsAFlagNotTheSizeOfTheNumber() {
    #expect(ArbitrationID.standard(0x351) != ArbitrationID.extended(0x351))
    #expect(ArbitrationID.extended(0x351).number == ArbitrationID.standard(0x351).number)
    #expect(ArbitrationID(rawValue: 0x8000_4210).isExtended)
    #expect(!ArbitrationID(rawValue: 0x351).isExtended)
  }

  @Test(arguments: [(UInt32(0x7FF), UInt32(0x7FF)), (0x800, 0), (0xFFFF_FFFF, 0x7FF)])
  func standardNumbersKeepElevenBits(number: UInt32, kept: UInt32) {
    #expect(ArbitrationID.standard(number).rawValue == kept)
  }

  @Test func bytesPastTheLengthAreCleared() {
    let frame = CANFrame(id: .standard(1), length: 3, head: .max)
    #expect(frame.head == 0xFF_FFFF)
    #expect(CANFrame(id: .standard(1), length: 8, head: .max).head == .max)
    #expect(CANFrame(id: .standard(1), length: 0, head: .max).head == 0)
    #expect(CANFrame(id: .standard(1), length: 200, head: 1).length == 8)
  }

  @Test func everyByteOfAnFDFrameIsReadBackAsSet() {
    var frame = CANFrame()
    frame.length = 64
    for index in 0..<64 { frame.setByte(index, UInt8(index * 3 + 1)) }
    for index in 0..<64 { #expect(frame.byte(index) == UInt8(index * 3 + 1)) }
    #expect(frame.byte(64) == 0)
    #expect(frame.byte(-1) == 0)
    frame.setByte(64, 9)
    frame.setByte(-1, 9)
    #expect(frame.byte(63) == UInt8(63 * 3 + 1))
  }

  @Test func equalityLooksAtTheBytesThatCount() {
    var a = CANFrame()
    a.length = 9
    a.setByte(8, 1)
    var b = a
    #expect(a == b)
    b.setByte(20, 7)
    #expect(a == b)
    b.setByte(8, 2)
    #expect(a != b)
    var remote = CANFrame()
    remote.flags = .remote
    remote.length = 8
    #expect(remote.payloadLength == 0)
  }

  @Test(arguments: [(-1, TimePrecision.seconds), (0, .seconds), (6, .microseconds), (9, .nanoseconds), (12, .nanoseconds)])
  func precisionClampsToNineDigits(digits: Int, precision: TimePrecision) {
    #expect(TimePrecision(fractionDigits: digits) == precision)
  }
}
