public import Bus

/// Reads classic pcap: both byte orders, micro- and nanoseconds, every link type of `LinkType`.
public struct PcapReader: Sendable {
  public private(set) var buses = BusTable()
  @usableFromInline var header: Header?
  @usableFromInline var packetNumber: UInt64 = 0
  @usableFromInline var byteOffset: UInt64 = 0
  /// Bytes still to be passed over: packets too large to be CAN, or everything after damage.
  @usableFromInline var toSkip: UInt64 = 0
  /// The plain frames' record, kept over calls.
  @usableFromInline var bus = BusID(0)
  public private(set) var foreignPackets: UInt64 = 0

  /// What the file's header says.
  @usableFromInline struct Header: Sendable {
    @usableFromInline var isSwapped: Bool
    @usableFromInline var isNanoseconds: Bool
    @usableFromInline var type: LinkType
    /// The way that needs no look at the header again: link type 227, this machine's byte order.
    @usableFromInline var isPlain: Bool
  }

  /// No CAN packet is larger; a larger one is another protocol's or damage.
  @usableFromInline static var largestPacket: UInt32 { 1 << 18 }

  public init() {}

  /// Reads whole packets and says how many bytes it took; the caller hands the rest in again with more behind it.
  @inlinable public mutating func read<Sink: RecordSink>(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink) -> Int
  {
    guard let start = bytes.baseAddress else { return 0 }
    var place = 0
    if header == nil {
      place = readHeader(bytes, isEnd: isEnd, &sink)
      if header == nil { return place }
    }
    let end = bytes.count
    var record = CANRecord()
    if let header {
      record.bus = bus
      record.precision = header.isNanoseconds ? .nanoseconds : .microseconds
      let scale: Int64 = header.isNanoseconds ? 1 : 1000
      if header.isPlain, toSkip == 0 {
        while end &- place >= 16 {
          let packet = start + place
          let captured = Int(UInt32(littleEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
          if captured > end &- place &- 16 { break }
          guard LinkLayer.plain(packet + 16, captured: captured, into: &record.frame) else {
            // Whatever it is, the slow way looks at this one packet and the loop goes on behind it.
            let taken = readPacket(
              UnsafeRawBufferPointer(start: packet, count: end &- place), header, at: place, isEnd: isEnd, &sink)
            if taken == 0 || toSkip > 0 {
              byteOffset &+= UInt64(place &+ taken)
              return place &+ taken
            }
            place &+= taken
            continue
          }
          let seconds = Int64(UInt32(littleEndian: packet.loadUnaligned(as: UInt32.self)))
          let fraction = Int64(UInt32(littleEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
          record.time.nanoseconds = seconds &* 1_000_000_000 &+ fraction &* scale
          packetNumber &+= 1
          place &+= 16 &+ captured
          sink.receive(record)
        }
      }
      place = readRest(bytes, from: place, header, isEnd: isEnd, &sink)
    }
    byteOffset &+= UInt64(place)
    return place
  }

  /// The 24 bytes in front.
  @usableFromInline mutating func readHeader<Sink: RecordSink>(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, _ sink: inout Sink)
    -> Int
  {
    guard bytes.count >= 24 else {
      if isEnd, !bytes.isEmpty {
        sink.report(
          CaptureProblem(
            .truncated, at: .init(.block, 1, byteOffset: 0), found: "\(bytes.count) bytes", expected: "a pcap header of 24 bytes"))
        return bytes.count
      }
      return 0
    }
    let magic = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
    let isSwapped = magic == 0xD4C3_B2A1 || magic == 0x4D3C_B2A1
    guard isSwapped || magic == 0xA1B2_C3D4 || magic == 0xA1B2_3C4D else {
      sink.report(
        CaptureProblem(
          .damaged, at: .init(.block, 1, byteOffset: 0), found: quoted(UnsafeRawBufferPointer(rebasing: bytes[..<4])),
          expected: "the magic number of pcap"))
      return bytes.count
    }
    let isNanoseconds = magic == 0xA1B2_3C4D || magic == 0x4D3C_B2A1
    let network = word(bytes, 20, isSwapped) & 0x0FFF_FFFF
    let type = LinkType(network)
    header = Header(isSwapped: isSwapped, isNanoseconds: isNanoseconds, type: type, isPlain: type == .socketCAN && !isSwapped)
    bus = buses.id(of: type == .chain ? "chain1" : type == .pdu ? "pdu" : "can0", announcingTo: &sink)
    byteOffset = 24
    return 24
  }

  /// Packets that the plain loop leaves: other link types, the other byte order, the last ones of the bytes.
  @usableFromInline mutating func readRest<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ header: Header, isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    var place = start
    while place < bytes.count {
      if toSkip > 0 {
        let step = Int(min(toSkip, UInt64(bytes.count - place)))
        toSkip -= UInt64(step)
        place += step
        continue
      }
      let rest = UnsafeRawBufferPointer(rebasing: bytes[place...])
      let taken = readPacket(rest, header, at: place, isEnd: isEnd, &sink)
      if taken == 0 { break }
      place += taken
    }
    return place
  }

  /// One packet; 0 if it is not whole yet.
  @usableFromInline mutating func readPacket<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, _ header: Header, at place: Int, isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    let position = CaptureProblem.Position(.packet, packetNumber &+ 1, byteOffset: byteOffset &+ UInt64(place))
    guard bytes.count >= 16 else { return cut(bytes, position, "a packet header of 16 bytes", isEnd, &sink) }
    let captured = word(bytes, 8, header.isSwapped)
    let original = word(bytes, 12, header.isSwapped)
    guard captured <= PcapReader.largestPacket else {
      // A length that cannot be: what follows has lost its place.
      sink.report(
        CaptureProblem(
          .damaged, at: position, found: "a packet of \(captured) bytes (\(original) on the bus)",
          expected: "at most \(PcapReader.largestPacket); the rest of the file has lost its place"))
      toSkip = .max
      return 16
    }
    guard bytes.count >= 16 + Int(captured) else { return cut(bytes, position, "a packet of \(captured) bytes", isEnd, &sink) }
    packetNumber &+= 1
    let seconds = Int64(word(bytes, 0, header.isSwapped))
    let fraction = Int64(word(bytes, 4, header.isSwapped))
    var record = CANRecord()
    record.time.nanoseconds = seconds &* 1_000_000_000 &+ fraction &* (header.isNanoseconds ? 1 : 1000)
    record.precision = header.isNanoseconds ? .nanoseconds : .microseconds
    record.bus = bus
    let packet = UnsafeRawBufferPointer(rebasing: bytes[16..<16 + Int(captured)])
    switch LinkLayer.decode(packet, header.type, into: &record.frame) {
    case .frame: sink.receive(record)
    case .side(let kind):
      sink.receive(SideRecord(kind: kind, time: record.time, precision: record.precision, bus: bus, bytes: Array(packet)))
    case .foreign(let what):
      foreignPackets &+= 1
      sink.report(CaptureProblem(.foreign, at: position, found: what, expected: "a classic or FD frame"))
    case .damaged(let found, let expected): sink.report(CaptureProblem(.damaged, at: position, found: found, expected: expected))
    }
    return 16 + Int(captured)
  }

  private func cut<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, _ expected: String, _ isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    guard isEnd else { return 0 }
    sink.report(CaptureProblem(.truncated, at: position, found: "\(bytes.count) bytes up to the end", expected: expected))
    return bytes.count
  }

  private func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ isSwapped: Bool) -> UInt32 {
    let value = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    return isSwapped ? value.byteSwapped : value
  }
}
