public import Bus

/// Reads classic pcap: both byte orders, micro- and nanoseconds, every link type of `LinkType`.
public struct PcapReader: Sendable {
  /// Buses met so far.
  public private(set) var buses = BusTable()
  @usableFromInline var header: Header?
  @usableFromInline var packetNumber: UInt64 = 0
  @usableFromInline var byteOffset: UInt64 = 0
  /// The second of the last good packet: what the search after damage goes by.
  @usableFromInline var lastSecond: UInt32 = 0
  private var isLost = false
  /// The plain frames' record, kept over calls.
  @usableFromInline var bus = BusID(0)
  /// Packets that hold no CAN.
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

  /// Nothing read yet.
  public init() {}

  /// Reads whole packets and says how many bytes it took; the caller hands the rest in again with more behind it.
  @_optimize(speed)  // in modules built for size too, into which it is specialised (Package.swift)
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
      if header.isPlain {
        while end &- place >= 16 {
          let packet = start + place
          let captured = Int(UInt32(littleEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
          if captured > end &- place &- 16 { break }
          guard LinkLayer.plain(packet + 16, captured: captured, into: &record.frame) else {
            // Whatever it is, the slow way looks at this one packet and the loop goes on behind it.
            let taken = readPacket(
              UnsafeRawBufferPointer(start: packet, count: end &- place), header, at: place, isEnd: isEnd, &sink)
            if taken == 0 {
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
          lastSecond = UInt32(truncatingIfNeeded: seconds)
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
    return 24
  }

  /// Packets that the plain loop leaves: other link types, the other byte order, the last ones of the bytes.
  @usableFromInline mutating func readRest<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ header: Header, isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    var place = start
    while place < bytes.count {
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
    if isLost, !isPlausible(bytes, header, 0) { return lost(bytes, header, position, "", isEnd, &sink) }
    isLost = false
    if captured > PcapReader.largestPacket || captured > original && original > 0 {
      return lost(bytes, header, position, "a packet of \(captured) bytes (\(original) on the bus)", isEnd, &sink)
    }
    guard bytes.count >= 16 + Int(captured) else {
      if isEnd, let next = nextPacket(bytes, header, from: 1, isWhole: true) {
        report(position, "a packet of \(captured) bytes where the file has \(bytes.count - 16)", &sink)
        packetNumber &+= 1
        return next
      }
      return cut(bytes, position, "a packet of \(captured) bytes", isEnd, &sink)
    }
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
    case .damaged(let found, let expected):
      sink.report(CaptureProblem(.damaged, at: position, found: found, expected: expected))
      // Where nothing that can be a packet follows, it was this one's length that is wrong.
      let end = 16 + Int(captured)
      if end + 16 <= bytes.count, !canFollow(bytes, header, end),
        let next = nextPacket(bytes, header, from: 1, isWhole: isEnd)
      {
        return next
      }
    }
    lastSecond = word(bytes, 0, header.isSwapped)
    return 16 + Int(captured)
  }

  // MARK: Damage

  /// Goes on at the next place that can be a packet; one report for all that lies between.
  private mutating func lost<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, _ header: Header, _ position: CaptureProblem.Position, _ found: String, _ isEnd: Bool,
    _ sink: inout Sink
  ) -> Int {
    if !isLost { report(position, found, &sink) }
    isLost = true
    if let place = nextPacket(bytes, header, from: 1, isWhole: isEnd) {
      packetNumber &+= 1
      isLost = false
      return place
    }
    return isEnd ? bytes.count : max(1, bytes.count - 31)
  }

  private func report<Sink: RecordSink>(_ position: CaptureProblem.Position, _ found: String, _ sink: inout Sink) {
    sink.report(
      CaptureProblem(
        .damaged, at: position, found: found,
        expected: "at most \(PcapReader.largestPacket) and no more than on the bus; going on at the next packet"))
  }

  /// The next place that can be a packet's header; with `isWhole` the packet must be in reach as well.
  private func nextPacket(_ bytes: UnsafeRawBufferPointer, _ header: Header, from start: Int, isWhole: Bool) -> Int? {
    var place = start
    while place + 16 <= bytes.count {
      if isPlausible(bytes, header, place) {
        let end = place + 16 + Int(word(bytes, place + 8, header.isSwapped))
        // Four lucky numbers are common in payloads: what follows must be able to be a packet, too.
        if end == bytes.count || !isWhole && end + 16 > bytes.count { return place }
        if end + 16 <= bytes.count, isPlausible(bytes, header, end),
          isNear(word(bytes, place, header.isSwapped), word(bytes, end, header.isSwapped))
        {
          return place
        }
      }
      place += 1
    }
    return nil
  }

  /// Whether a packet's header can stand here: a fraction below a second, a time near the last one, and lengths that agree.
  private func canFollow(_ bytes: UnsafeRawBufferPointer, _ header: Header, _ place: Int) -> Bool {
    guard place + 16 <= bytes.count else { return false }
    let original = word(bytes, place + 12, header.isSwapped)
    guard word(bytes, place + 8, header.isSwapped) <= original, original <= PcapReader.largestPacket else { return false }
    guard word(bytes, place + 4, header.isSwapped) < (header.isNanoseconds ? 1_000_000_000 : 1_000_000) else { return false }
    return lastSecond == 0 || isNear(lastSecond, word(bytes, place, header.isSwapped))
  }

  /// The same where nothing else speaks for this place: both lengths alike and of a size that CAN has, with a header around it.
  private func isPlausible(_ bytes: UnsafeRawBufferPointer, _ header: Header, _ place: Int) -> Bool {
    guard canFollow(bytes, header, place) else { return false }
    let captured = word(bytes, place + 8, header.isSwapped)
    return captured == word(bytes, place + 12, header.isSwapped) && (8...96).contains(captured)
  }

  /// Whether two times in seconds are within 25 hours.
  private func isNear(_ one: UInt32, _ other: UInt32) -> Bool { (Int64(one) - Int64(other)).magnitude <= 90_000 }

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
