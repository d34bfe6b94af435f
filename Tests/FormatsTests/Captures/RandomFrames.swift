import Bus

@testable import Formats

/// Random records of every kind, from a seed.
struct RandomFrames {
  var random: SplitMix
  private var clock: Int64 = 1_700_000_000_000_000_000

  init(seed: UInt64) { random = SplitMix(state: seed) }

  /// - Parameter nanoseconds: whether times have nine digits.
  mutating func next(buses: Int, nanoseconds: Bool) -> CANRecord {
    clock += Int64.random(in: 1...5_000_000, using: &random) * (nanoseconds ? 1 : 1000)
    var frame = CANFrame()
    let isExtended = Bool.random(using: &random)
    frame.id =
      isExtended ? .extended(.random(in: 0...0x1FFF_FFFF, using: &random)) : .standard(.random(in: 0...0x7FF, using: &random))
    var length = UInt8.random(in: 0...8, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      frame.flags = .remote
      if length == 8, Bool.random(using: &random) { frame.rawDLC = .random(in: 9...15, using: &random) }
    case 1:
      frame.flags = .error
      frame.id = ArbitrationID(rawValue: .random(in: 1...0x3FF, using: &random))
      length = 8
    case 2, 3:
      frame.flags = .fd
      if Bool.random(using: &random) { frame.flags.insert(.bitRateSwitch) }
      if Bool.random(using: &random) { frame.flags.insert(.errorStateIndicator) }
      length = [0, 3, 8, 12, 16, 20, 24, 32, 48, 64].randomElement(using: &random) ?? 8
    case 4:
      length = 8
      frame.rawDLC = .random(in: 9...15, using: &random)
    default: break
    }
    frame.length = length
    for index in 0..<frame.payloadLength { frame.setByte(index, .random(in: 0...255, using: &random)) }
    return CANRecord(
      time: Timestamp(nanoseconds: clock), precision: nanoseconds ? .nanoseconds : .microseconds,
      bus: BusID(.random(in: 0..<UInt16(buses), using: &random)), direction: Bool.random(using: &random) ? .received : .transmitted,
      frame: frame)
  }
}

/// Records through a writer and back through the reader of its format.
func written(_ records: [CANRecord], buses: [String], _ writer: some CaptureWriter) -> (bytes: [UInt8], losses: Losses) {
  var writer = writer
  var output = ByteBuffer()
  writer.begin(into: &output)
  for (index, name) in buses.enumerated() { writer.addBus(BusID(UInt16(index)), named: name, into: &output) }
  for record in records { writer.write(record, into: &output) }
  writer.finish(into: &output)
  return (output.withBytes { Array($0) }, writer.losses)
}
