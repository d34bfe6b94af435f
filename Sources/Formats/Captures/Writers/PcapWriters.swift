public import Bus

/// The SocketCAN packet of link type 227, shared by pcap and pcapng.
enum SocketCANPacket {
  /// Appends header and payload.
  static func append(_ frame: CANFrame, to output: inout ByteBuffer) {
    var id = frame.id.number
    if frame.flags.contains(.error) {
      id |= 0x2000_0000
    } else {
      if frame.id.isExtended { id |= 0x8000_0000 }
      if frame.flags.contains(.remote) { id |= 0x4000_0000 }
    }
    for shift in [24, 16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: id >> shift)) }
    output.append(frame.length)
    var flags: UInt8 = frame.flags.contains(.fd) ? 4 : 0
    if frame.flags.contains(.bitRateSwitch) { flags |= 1 }
    if frame.flags.contains(.errorStateIndicator) { flags |= 2 }
    output.append(flags)
    output.append(0)
    output.append(frame.rawDLC)
    for index in 0..<frame.payloadLength { output.append(frame.byte(index)) }
  }

  static func length(_ frame: CANFrame) -> Int { 8 + frame.payloadLength }
}

extension ByteBuffer {
  mutating func append(word value: UInt32) {
    for shift in [0, 8, 16, 24] as [UInt32] { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func append(half value: UInt16) {
    append(UInt8(truncatingIfNeeded: value))
    append(UInt8(truncatingIfNeeded: value >> 8))
  }
}

/// Writes classic pcap, link type 227. It has one interface: buses are not told apart.
///
/// The first record decides between micro- and nanoseconds, so that a source's digits come back as they were.
public struct PcapWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var isNanoseconds: Bool?

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {}
  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) {}
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) { if isNanoseconds == nil { header(false, &output) } }

  private mutating func header(_ isNanoseconds: Bool, _ output: inout ByteBuffer) {
    self.isNanoseconds = isNanoseconds
    for word in [isNanoseconds ? 0xA1B2_3C4D : 0xA1B2_C3D4, 0x0004_0002, 0, 0, 262_144, 227] as [UInt32] {
      output.append(word: word)
    }
  }

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    if isNanoseconds == nil { header(record.precision.writtenDigits == 9, &output) }
    let isFine = isNanoseconds ?? false
    losses.note(record, without: isFine ? [.direction, .bus] : [.direction, .bus, .timeDigits])
    let own = record.time.nanoseconds
    let time = record.precision == .none ? 0 : max(0, own)
    // 32 bits of seconds since 1970: nothing before it, nothing after 2106.
    if own < 0 || own / 1_000_000_000 > Int64(UInt32.max) { losses.note(.time) }
    output.append(word: UInt32(clamping: time / 1_000_000_000))
    output.append(word: UInt32(clamping: time % 1_000_000_000 / (isFine ? 1 : 1000)))
    let length = UInt32(SocketCANPacket.length(record.frame))
    output.append(word: length)
    output.append(word: length)
    SocketCANPacket.append(record.frame, to: &output)
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { losses.note(.sideRecord) }
}

/// Writes pcapng: an interface a bus with its name, nanoseconds, directions. A file that ends anywhere between two blocks is whole.
public struct PcapngWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var interfaces: [Key: UInt32] = [:]
  private var names: [String] = []

  private struct Key: Hashable {
    var bus: BusID
    var linkType: UInt16
    /// A bus whose records have different precisions has an interface for each; they share its name.
    var isNanoseconds: Bool
  }

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {
    // Section header without a length, so that it need not be known.
    for word in [0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, .max, .max, 28] as [UInt32] { output.append(word: word) }
  }

  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) { names.append(name) }
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) {}

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    write(record, comments: [], into: &output)
  }

  /// One frame with remarks that Wireshark shows beside it.
  /// - Parameter lostBefore: frames that the recorder lost on this bus since the record before.
  public mutating func write(
    _ record: borrowing CANRecord, comments: [String], lostBefore: UInt64 = 0, into output: inout ByteBuffer
  ) {
    losses.note(record, without: [])
    let isFine = record.precision.writtenDigits == 9
    let interface = interface(record.bus, 227, isFine, &output)
    let frame = record.frame
    let own = record.time.nanoseconds
    let time = record.precision == .none ? 0 : isFine ? own : own / 1000
    packet(interface, time, record.direction, SocketCANPacket.length(frame), comments: comments, lostBefore: lostBefore, &output) {
      SocketCANPacket.append(frame, to: &$0)
    }
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { write(record, comments: [], into: &output) }

  /// One chain or PDU record with remarks that Wireshark shows beside it.
  /// - Parameter lostBefore: records that were lost on this bus since the one before.
  public mutating func write(
    _ record: SideRecord, comments: [String], lostBefore: UInt64 = 0, into output: inout ByteBuffer
  ) {
    let interface = interface(record.bus, record.kind == .chain ? 147 : 148, true, &output)
    let time = record.precision == .none ? 0 : record.time.nanoseconds
    packet(interface, time, record.direction, record.bytes.count, comments: comments, lostBefore: lostBefore, &output) { output in
      for byte in record.bytes { output.append(byte) }
    }
  }

  /// How many frames of a bus were lost since the file began, those that packets told among them: for a loss behind the last packet.
  /// - Parameter comment: what Wireshark shows beside the number.
  public mutating func write(
    lost count: UInt64, on bus: BusID, at time: Timestamp, comment: String, into output: inout ByteBuffer
  ) {
    let number: UInt32
    var isFine = true
    if let known = interfaces.filter({ $0.key.bus == bus }).min(by: { $0.value < $1.value }) {
      number = known.value
      isFine = known.key.isNanoseconds
    } else {
      number = interface(bus, 227, true, &output)
    }
    let stamp = UInt64(bitPattern: isFine ? time.nanoseconds : time.nanoseconds / 1000)
    let text = Array(comment.utf8.prefix(60_000))
    let padded = (text.count + 3) & ~3
    // An interface statistics block: comment, isb_ifdrop, end of options.
    let total = UInt32(24 + 4 + padded + 12 + 4)
    output.append(word: 5)
    output.append(word: total)
    output.append(word: number)
    output.append(word: UInt32(truncatingIfNeeded: stamp >> 32))
    output.append(word: UInt32(truncatingIfNeeded: stamp))
    append(option: 1, text, &output)
    output.append(half: 5)
    output.append(half: 8)
    output.append(word: UInt32(truncatingIfNeeded: count))
    output.append(word: UInt32(truncatingIfNeeded: count >> 32))
    output.append(word: 0)
    output.append(word: total)
  }

  /// The interface of a bus, described when it is first needed: its link type shows only then.
  private mutating func interface(_ bus: BusID, _ linkType: UInt16, _ isNanoseconds: Bool, _ output: inout ByteBuffer) -> UInt32 {
    let key = Key(bus: bus, linkType: linkType, isNanoseconds: isNanoseconds)
    if let known = interfaces[key] { return known }
    let number = UInt32(interfaces.count)
    interfaces[key] = number
    let name = Array((Int(bus.index) < names.count ? names[Int(bus.index)] : "can\(bus.index)").utf8.prefix(255))
    let padded = (name.count + 3) & ~3
    // if_name, if_tsresol, end of options.
    let total = UInt32(20 + 4 + padded + 8 + 4)
    output.append(word: 1)
    output.append(word: total)
    output.append(half: linkType)
    output.append(half: 0)
    output.append(word: 262_144)
    append(option: 2, name, &output)
    output.append(half: 9)
    output.append(half: 1)
    output.append(word: isNanoseconds ? 9 : 6)
    output.append(word: 0)
    output.append(word: total)
    return number
  }

  private func packet(
    _ interface: UInt32, _ time: Int64, _ direction: Direction, _ length: Int, comments: [String] = [],
    lostBefore: UInt64 = 0, _ output: inout ByteBuffer, _ content: (inout ByteBuffer) -> Void
  ) {
    let padded = (length + 3) & ~3
    let hasFlags = direction != .unknown
    // An option's length has 16 bits.
    let texts = comments.map { Array($0.utf8.prefix(60_000)) }
    let remarks = texts.reduce(0) { $0 + 4 + (($1.count + 3) & ~3) }
    let hasOptions = hasFlags || !texts.isEmpty || lostBefore > 0
    let total = UInt32(32 + padded + (hasFlags ? 8 : 0) + (lostBefore > 0 ? 12 : 0) + remarks + (hasOptions ? 4 : 0))
    let stamp = UInt64(bitPattern: time)
    output.append(word: 6)
    output.append(word: total)
    output.append(word: interface)
    output.append(word: UInt32(truncatingIfNeeded: stamp >> 32))
    output.append(word: UInt32(truncatingIfNeeded: stamp))
    output.append(word: UInt32(length))
    output.append(word: UInt32(length))
    content(&output)
    output.append(repeating: 0, count: padded - length)
    if hasFlags {
      output.append(half: 2)
      output.append(half: 4)
      output.append(word: direction == .received ? 1 : 2)
    }
    if lostBefore > 0 {
      // epb_dropcount.
      output.append(half: 4)
      output.append(half: 8)
      output.append(word: UInt32(truncatingIfNeeded: lostBefore))
      output.append(word: UInt32(truncatingIfNeeded: lostBefore >> 32))
    }
    for text in texts { append(option: 1, text, &output) }
    if hasOptions { output.append(word: 0) }
    output.append(word: total)
  }

  /// An option that is text: code, length, the bytes, and zeroes up to a multiple of four.
  private func append(option code: UInt16, _ text: [UInt8], _ output: inout ByteBuffer) {
    output.append(half: code)
    output.append(half: UInt16(text.count))
    for byte in text { output.append(byte) }
    output.append(repeating: 0, count: (4 - text.count & 3) & 3)
  }
}
