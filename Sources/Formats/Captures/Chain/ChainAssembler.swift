import Bus

/// Makes chain records from the bytes or bits of one chip-select period, as logic analysers give them (linkslave-chain.md §13).
///
/// Which of several wires was recorded is not said in such files: a frame without the answer's bit is a request, unless it repeats the
/// request just before it, as the transceiver's echo does.
struct ChainAssembler: Sendable {
  private var last: [UInt8] = []
  private var lastTime: Int64 = .min

  /// Emits one period: a frame, a wake pulse, or something malformed.
  /// - Parameters:
  ///   - bits: clocked bits; the bytes hold them left-aligned.
  ///   - time: ns of chip select falling; `nil` where the file has none.
  mutating func emit(
    _ bytes: [UInt8], bits: Int, at time: Int64?, duration: Int64 = 0, buses: inout BusTable, into sink: inout some RecordSink
  ) {
    let generation: UInt8 = bits == 40 ? 1 : bits == 48 ? 2 : 0
    var kind: UInt8 = 0
    if bits == 0 {
      // No clock at all: a wake pulse is 15 to 30 µs long; anything else is a glitch.
      guard duration >= 15_000, duration <= 30_000 else { return }
      kind = 3
    } else if generation > 0, bytes.count > 2, bytes[2] & 0x80 != 0 {
      kind = 2
    } else if bytes == last, time == nil || (time ?? 0) - lastTime < 200_000 {
      kind = 1
      last = []
    } else {
      last = bytes
      lastTime = time ?? 0
    }
    let flags = kind | generation << 2
    let length = UInt32(clamping: duration)
    let header: [UInt8] = [
      1, 1, flags, UInt8(clamping: bits), UInt8(length >> 24), UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF),
      UInt8(length & 0xFF),
    ]
    sink.receive(
      SideRecord(
        kind: .chain, time: Timestamp(nanoseconds: time ?? 0), precision: time == nil ? .none : .nanoseconds,
        bus: buses.id(of: "chain1", announcingTo: &sink), direction: kind == 0 || kind == 3 ? .transmitted : .received,
        bytes: header + bytes))
  }
}
