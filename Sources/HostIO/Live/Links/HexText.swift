import Bus

/// Hexadecimal digits as the text protocols of CAN adapters write them.
enum HexText {
  static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  /// A number of one to eight digits.
  static func number(_ digits: some Collection<UInt8>) -> UInt32? {
    guard (1...8).contains(digits.count) else { return nil }
    var value: UInt32 = 0
    for byte in digits {
      guard let digit = digit(byte) else { return nil }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  /// Pairs of digits into a frame's payload from byte `start` on.
  /// - Returns: how many bytes it were; `nil` where one is none or there are more than 64.
  static func payload(_ digits: some Collection<UInt8>, into frame: inout CANFrame, from start: Int = 0) -> Int? {
    guard digits.count % 2 == 0, start + digits.count / 2 <= 64 else { return nil }
    var place = start
    var high: UInt8?
    for byte in digits {
      guard let digit = digit(byte) else { return nil }
      if let first = high {
        frame.setByte(place, first << 4 | digit)
        place += 1
        high = nil
      } else {
        high = digit
      }
    }
    return place - start
  }

  static func append(_ value: UInt32, digits: Int, to text: inout [UInt8]) {
    for place in (0..<digits).reversed() {
      let digit = UInt8(value >> (UInt32(place) &* 4) & 0xF)
      text.append(digit < 10 ? 0x30 + digit : 0x41 + digit - 10)
    }
  }

  /// An ID: three digits or eight.
  static func append(_ id: ArbitrationID, to text: inout [UInt8]) { append(id.number, digits: id.isExtended ? 8 : 3, to: &text) }

  /// Three digits are a standard ID, eight an extended one; nothing else is any.
  static func id(_ digits: some Collection<UInt8>) -> ArbitrationID? {
    guard let number = number(digits) else { return nil }
    switch digits.count {
    case 3 where number <= 0x7FF: return .standard(number)
    case 8 where number <= 0x1FFF_FFFF: return .extended(number)
    default: return nil
    }
  }
}
