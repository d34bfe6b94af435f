public import Bus

/// The link types of pcap and pcapng that carry what this tool reads (conventions.md §3).
public enum LinkType: Sendable, Equatable {
  /// 227: SocketCAN's frame, ID big-endian.
  case socketCAN
  /// 113 and 276: Linux cooked captures, with the protocol in the header.
  case cooked(headerLength: Int, protocolOffset: Int)
  /// 190: CAN 2.0B frames.
  case can20B
  /// 147: a LinkSlave chain.
  case chain
  /// 148: PDU measurements and marks.
  case pdu
  case other(UInt32)

  /// The link type of a number in a file's header.
  public init(_ number: UInt32) {
    switch number {
    case 227: self = .socketCAN
    case 113: self = .cooked(headerLength: 16, protocolOffset: 14)
    case 276: self = .cooked(headerLength: 20, protocolOffset: 0)
    case 190: self = .can20B
    case 147: self = .chain
    case 148: self = .pdu
    default: self = .other(number)
    }
  }
}

/// What a packet turned out to be.
@usableFromInline enum PacketContent {
  case frame
  case side(SideRecord.Kind)
  /// No CAN: another protocol or link type.
  case foreign(String)
  case damaged(found: String, expected: String)
}

/// Packets to frames.
@usableFromInline enum LinkLayer {
  /// Decodes the packet of a link type into `frame`.
  static func decode(_ packet: UnsafeRawBufferPointer, _ type: LinkType, into frame: inout CANFrame) -> PacketContent {
    switch type {
    case .socketCAN: return socketCAN(packet, isFD: nil, isBigEndian: true, into: &frame)
    case .cooked(let headerLength, let protocolOffset):
      guard packet.count >= headerLength else {
        return .damaged(found: "\(packet.count) bytes", expected: "a cooked header of \(headerLength)")
      }
      let kind = UInt16(packet[protocolOffset]) << 8 | UInt16(packet[protocolOffset + 1])
      let rest = UnsafeRawBufferPointer(rebasing: packet[headerLength...])
      switch kind {
      // The ID inside a cooked packet stands in the byte order of the capturing machine, little-endian on all that matter here, unless
      // its top bytes say otherwise.
      case 0x000C: return socketCAN(rest, isFD: false, isBigEndian: cookedIsBigEndian(rest), into: &frame)
      case 0x000D: return socketCAN(rest, isFD: true, isBigEndian: cookedIsBigEndian(rest), into: &frame)
      case 0x000E: return .foreign("a CAN XL frame")
      default: return .foreign("protocol 0x\(String(kind, radix: 16))")
      }
    case .can20B: return socketCAN(packet, isFD: false, isBigEndian: true, into: &frame)
    case .chain: return .side(.chain)
    case .pdu: return .side(.pdu)
    case .other(let number): return .foreign("link type \(number)")
    }
  }

  /// A standard ID read in the wrong order has its number in the top bytes; an extended one has its flags in the low byte.
  private static func cookedIsBigEndian(_ packet: UnsafeRawBufferPointer) -> Bool {
    guard packet.count >= 4 else { return true }
    let little = packet.loadUnaligned(as: UInt32.self).littleEndian
    let big = little.byteSwapped
    func isLikely(_ word: UInt32) -> Bool {
      if word & 0x2000_0000 != 0 { return word & 0x8000_0000 == 0 && word & 0x1FFF_FC00 == 0 }
      return word & 0x8000_0000 != 0 || word & 0x1FFF_F800 == 0
    }
    if isLikely(big) != isLikely(little) { return isLikely(big) }
    return true
  }

  /// The 8-byte header with ID, length, FD flags and raw DLC, and the payload.
  static func socketCAN(
    _ packet: UnsafeRawBufferPointer, isFD known: Bool?, isBigEndian: Bool, into frame: inout CANFrame
  ) -> PacketContent {
    guard packet.count >= 8 else {
      return .damaged(found: "a packet of \(packet.count) bytes", expected: "at least the 8 of a CAN header")
    }
    // A CAN XL frame has bit 7 of byte 4 set where others have their length.
    if packet[4] & 0x80 != 0 { return .foreign("a CAN XL frame") }
    let word = packet.loadUnaligned(as: UInt32.self)
    let id = isBigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
    let length = Int(packet[4])
    frame = CANFrame()
    if id & 0x2000_0000 != 0 {
      frame.flags = .error
      frame.id = ArbitrationID(rawValue: id & 0x1FFF_FFFF)
    } else {
      frame.id = id & 0x8000_0000 != 0 ? .extended(id) : .standard(id)
    }
    let isRemote = id & 0x4000_0000 != 0 && id & 0x2000_0000 == 0
    // FDF is set reliably only by newer writers: a length beyond eight proves an FD frame as well.
    let isFD = known ?? (packet[5] & 0x4 != 0 && packet[5] & 0xF8 == 0 && packet[6] == 0) || length > 8
    guard length <= (isFD ? 64 : 8) else { return .damaged(found: "length \(length)", expected: "at most \(isFD ? 64 : 8)") }
    if isFD, !isRemote {
      frame.flags.insert(.fd)
      if packet[5] & 1 != 0 { frame.flags.insert(.bitRateSwitch) }
      if packet[5] & 2 != 0 { frame.flags.insert(.errorStateIndicator) }
      guard CANFrame.isFDLength(UInt8(length)) else {
        return .damaged(found: "FD length \(length)", expected: "a length that an FD frame can have")
      }
    } else if (9...15).contains(packet[7]), length == 8 {
      frame.rawDLC = packet[7]
    }
    frame.length = UInt8(length)
    if isRemote {
      frame.flags.insert(.remote)
      return .frame
    }
    guard packet.count >= 8 + length else {
      return .damaged(found: "\(packet.count - 8) data bytes", expected: "\(length) as the header says")
    }
    for index in 0..<length { frame.setByte(index, packet[8 + index]) }
    return .frame
  }

  /// The common case in one go: a plain classic frame of link type 227. `false` for every other.
  @inlinable @inline(__always)
  static func plain(_ packet: UnsafeRawPointer, captured: Int, into frame: inout CANFrame) -> Bool {
    // Longer ones are rare, and one flipped bit of a length must not swallow the next packet: the slow way compares both lengths.
    guard captured >= 8, captured <= 16 else { return false }
    let header = UInt64(littleEndian: packet.loadUnaligned(as: UInt64.self))
    let id = UInt32(truncatingIfNeeded: header).byteSwapped
    // Length at most 8, no FD flags, nothing reserved, no raw DLC; no error, no remote frame.
    let length = UInt8(truncatingIfNeeded: header &>> 32)
    if header &>> 40 != 0 || length > 8 || captured < 8 &+ Int(length) || id & 0x6000_0000 != 0 { return false }
    let isExtended = id & 0x8000_0000 != 0
    if !isExtended, id > 0x7FF { return false }
    frame.id.rawValue = id
    frame.length = length
    if captured >= 16 {
      let data = UInt64(littleEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      frame.head = length == 8 ? data : data & ((1 &<< (UInt64(length) &* 8)) &- 1)
    } else {
      var data: UInt64 = 0
      var index = 0
      while index < Int(length) {
        data |= UInt64(packet.load(fromByteOffset: 8 &+ index, as: UInt8.self)) &<< UInt64(index &* 8)
        index &+= 1
      }
      frame.head = data
    }
    return true
  }
}
