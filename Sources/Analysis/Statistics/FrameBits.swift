public import Bus

/// How long a frame occupies its bus.
public enum FrameBits {
  /// Bits on the wire with stuffing, acknowledgement, end of frame and the three bits of interframe space.
  ///
  /// Exact for classic data and remote frames (ISO 11898-1: the stream is built with its CRC and stuffed). For FD frames the bits of
  /// both phases together without stuffing in the data phase; for error frames 20, the longest error flag with its delimiter.
  public static func count(_ frame: CANFrame) -> Int {
    if frame.flags.contains(.error) { return 20 }
    if frame.flags.contains(.fd) { return (frame.id.isExtended ? 80 : 61) + 8 * frame.payloadLength + (frame.length > 16 ? 4 : 0) }
    var stream = BitStream()
    stream.append(0, bits: 1)
    let isRemote = frame.flags.contains(.remote)
    if frame.id.isExtended {
      stream.append(UInt64(frame.id.number >> 18), bits: 11)
      stream.append(0b11, bits: 2)
      stream.append(UInt64(frame.id.number & 0x3FFFF), bits: 18)
      stream.append(isRemote ? 0b100 : 0, bits: 3)
    } else {
      stream.append(UInt64(frame.id.number), bits: 11)
      stream.append(isRemote ? 0b100 : 0, bits: 3)
    }
    stream.append(UInt64(frame.rawDLC > 8 ? frame.rawDLC : min(frame.length, 8)), bits: 4)
    for index in 0..<min(8, frame.payloadLength) { stream.append(UInt64(frame.byte(index)), bits: 8) }
    stream.append(UInt64(stream.checksum), bits: 15)
    // CRC delimiter, ACK slot and delimiter, seven bits end of frame, three bits interframe space: never stuffed.
    return stream.length + 13
  }

  /// The stuffed part of a classic frame, only counted.
  private struct BitStream {
    var length = 0
    var checksum: UInt16 = 0
    private var run = 0
    private var last: UInt64 = 2

    mutating func append(_ value: UInt64, bits: Int) {
      for place in stride(from: bits - 1, through: 0, by: -1) {
        let bit = value >> UInt64(place) & 1
        let feedback = (checksum >> 14 & 1) ^ UInt16(bit)
        checksum = (checksum << 1 & 0x7FFF) ^ (feedback == 1 ? 0x4599 : 0)
        length += 1
        run = bit == last ? run + 1 : 1
        last = bit
        if run == 5 {
          // The stuffed complement counts as the first bit of the next run.
          length += 1
          last = 1 - bit
          run = 1
        }
      }
    }
  }
}
