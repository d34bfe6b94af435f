import Bus

/// A frame as python-can's `udp_multicast` bus packs it into a datagram: one MessagePack map.
///
/// What the map has no place for is lost: a classic frame's raw DLC.
enum MulticastMessage {
  /// The largest datagram that is read.
  static let capacity = 4096

  static func bytes(of frame: CANFrame, time_ns: Int64, channel: StaticString = "linkbms") -> [UInt8] {
    var writer = MessagePackWriter()
    let isRemote = frame.flags.contains(.remote)
    writer.map(count: 11)
    writer.string("timestamp")
    writer.float(Double(max(0, time_ns)) / 1e9)
    writer.string("arbitration_id")
    writer.unsigned(frame.id.number)
    writer.string("is_extended_id")
    // python-can refuses a number of more than 11 bits that is not extended, in an error frame too.
    writer.bool(frame.id.isExtended || frame.id.number > 0x7FF)
    writer.string("is_remote_frame")
    writer.bool(isRemote)
    writer.string("is_error_frame")
    writer.bool(frame.flags.contains(.error))
    writer.string("channel")
    writer.string(channel)
    writer.string("dlc")
    writer.unsigned(UInt32(frame.length))
    writer.string("data")
    writer.binary(count: isRemote ? 0 : min(frame.length, 64), byte: frame.byte)
    writer.string("is_fd")
    writer.bool(frame.flags.contains(.fd))
    writer.string("bitrate_switch")
    writer.bool(frame.flags.contains(.bitRateSwitch))
    writer.string("error_state_indicator")
    writer.bool(frame.flags.contains(.errorStateIndicator))
    return writer.bytes
  }

  /// Reads a datagram.
  /// - Returns: `nil` where it is no frame: not a map, without a number, or with values that no frame can have.
  static func frame(from bytes: UnsafeRawBufferPointer) -> CANFrame? {
    var reader = MessagePackReader(bytes)
    guard case .map(let count)? = reader.next() else { return nil }
    var fields = Fields()
    // A claimed count may be anything; the bytes end before it does.
    for _ in 0..<count {
      guard case .bytes(let key)? = reader.next(), let value = reader.next() else { return nil }
      guard reader.skipContents(of: value) else { return nil }
      fields.take(key: bytes[key], value: value)
    }
    guard reader.isAtEnd else { return nil }
    return fields.frame(in: bytes)
  }

  private struct Fields {
    var number: UInt64?
    var length: UInt64?
    var data: Range<Int>?
    var flags: CANFrame.Flags = []
    var isExtended: Bool?

    mutating func take(key: Slice<UnsafeRawBufferPointer>, value: MessagePackReader.Value) {
      func isKey(_ name: StaticString) -> Bool { name.withUTF8Buffer { key.elementsEqual($0) } }
      switch value {
      case .unsigned(let value):
        if isKey("arbitration_id") { number = value } else if isKey("dlc") { length = value }
      case .bytes(let range):
        if isKey("data") { data = range }
      case .bool(let value):
        if isKey("is_extended_id") { isExtended = value }
        guard value else { return }
        if isKey("is_remote_frame") { flags.insert(.remote) }
        if isKey("is_error_frame") { flags.insert(.error) }
        if isKey("is_fd") { flags.insert(.fd) }
        if isKey("bitrate_switch") { flags.insert(.bitRateSwitch) }
        if isKey("error_state_indicator") { flags.insert(.errorStateIndicator) }
      default: break
      }
    }

    func frame(in bytes: UnsafeRawBufferPointer) -> CANFrame? {
      guard let number, number <= 0x1FFF_FFFF else { return nil }
      // python-can's own default is an extended frame.
      let isExtended = self.isExtended ?? true
      let isRemote = flags.contains(.remote), isFD = flags.contains(.fd)
      guard isExtended || flags.contains(.error) || number <= 0x7FF, !isRemote || !isFD && !flags.contains(.error) else {
        return nil
      }
      guard isFD || flags.isDisjoint(with: [.bitRateSwitch, .errorStateIndicator]) else { return nil }
      let count = data?.count ?? 0
      let length = isRemote ? self.length ?? 0 : UInt64(count)
      guard length <= (isFD ? 64 : 8), !isRemote || count == 0, !isFD || CANFrame.isFDLength(UInt8(length)) else { return nil }
      guard isRemote || self.length == nil || self.length == length else { return nil }
      var frame = CANFrame()
      frame.id = ArbitrationID(rawValue: UInt32(number) | (isExtended && !flags.contains(.error) ? 0x8000_0000 : 0))
      frame.flags = flags
      frame.length = UInt8(length)
      for (index, byte) in (data.map { bytes[$0] } ?? bytes[0..<0]).enumerated() { frame.setByte(index, byte) }
      return frame
    }
  }
}
