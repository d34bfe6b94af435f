import Bus

/// A line of the serial CAN protocol that Lawicel began: `t3512AABB`.
enum SlcanMessage: Equatable {
  case frame(CANFrame)
  /// An adapter's state flags (`F20`), bits as in the CAN232 manual.
  case status(UInt8)
  /// Answers and reports that say nothing about frames.
  case other

  /// Lengths of FD frames by their DLC.
  static let lengths: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64]

  /// Reads a line without its end.
  /// - Returns: `nil` where it is none.
  init?(_ line: some BidirectionalCollection<UInt8>) {
    guard let kind = line.first else { return nil }
    let rest = line.dropFirst()
    switch kind {
    case UInt8(ascii: "t"): self.init(rest, digits: 3, flags: [])
    case UInt8(ascii: "T"): self.init(rest, digits: 8, flags: [])
    case UInt8(ascii: "r"): self.init(rest, digits: 3, flags: .remote)
    case UInt8(ascii: "R"): self.init(rest, digits: 8, flags: .remote)
    case UInt8(ascii: "d"): self.init(rest, digits: 3, flags: .fd)
    case UInt8(ascii: "D"): self.init(rest, digits: 8, flags: .fd)
    case UInt8(ascii: "b"): self.init(rest, digits: 3, flags: [.fd, .bitRateSwitch])
    case UInt8(ascii: "B"): self.init(rest, digits: 8, flags: [.fd, .bitRateSwitch])
    case UInt8(ascii: "F"):
      guard rest.count == 2, let flags = HexText.number(rest) else { return nil }
      self = .status(UInt8(truncatingIfNeeded: flags))
    // Version, serial number, "sent"; Linux' own reports of states and errors.
    case UInt8(ascii: "V"), UInt8(ascii: "v"), UInt8(ascii: "N"), UInt8(ascii: "z"), UInt8(ascii: "Z"), UInt8(ascii: "s"),
      UInt8(ascii: "e"):
      self = .other
    default: return nil
    }
  }

  private init?(_ text: some BidirectionalCollection<UInt8>, digits: Int, flags: CANFrame.Flags) {
    guard text.count > digits, let id = HexText.id(text.prefix(digits)) else { return nil }
    let rest = text.dropFirst(digits)
    guard let first = rest.first, let dlc = HexText.digit(first) else { return nil }
    let isFD = flags.contains(.fd)
    var frame = CANFrame()
    frame.id = id
    frame.flags = flags
    frame.length = isFD ? SlcanMessage.lengths[Int(dlc)] : min(dlc, 8)
    if !isFD, !flags.contains(.remote), dlc > 8 { frame.rawDLC = dlc }
    let data = rest.dropFirst()
    let expected = frame.payloadLength * 2
    // Four digits more are a time stamp (`Z1`), which wraps each minute: of no use beside our own.
    guard data.count == expected || data.count == expected + 4 else { return nil }
    guard HexText.payload(data.prefix(expected), into: &frame) != nil else { return nil }
    guard data.count == expected || HexText.number(data.dropFirst(expected)) != nil else { return nil }
    self = .frame(frame)
  }

  /// The line that sends a frame, with its end; `nil` for what the protocol has no words for: error frames, FD frames that ask for data or
  /// have a length that no FD frame has.
  static func line(sending frame: CANFrame) -> [UInt8]? {
    guard !frame.flags.contains(.error), !frame.flags.isSuperset(of: [.fd, .remote]) else { return nil }
    let isExtended = frame.id.isExtended
    var letter: Character = isExtended ? "T" : "t"
    if frame.flags.contains(.remote) { letter = isExtended ? "R" : "r" }
    var dlc = frame.rawDLC > 8 && frame.rawDLC <= 15 ? frame.rawDLC : min(frame.length, 8)
    if frame.flags.contains(.fd) {
      letter = frame.flags.contains(.bitRateSwitch) ? (isExtended ? "B" : "b") : (isExtended ? "D" : "d")
      guard let code = lengths.firstIndex(of: frame.length) else { return nil }
      dlc = UInt8(code)
    }
    var text = Array(String(letter).utf8)
    HexText.append(frame.id, to: &text)
    HexText.append(UInt32(dlc), digits: 1, to: &text)
    for index in 0..<(frame.flags.contains(.fd) ? frame.payloadLength : min(8, frame.payloadLength)) {
      HexText.append(UInt32(frame.byte(index)), digits: 2, to: &text)
    }
    return text + [13]
  }

  /// The error frame that tells an adapter's flags; `nil` where none is set.
  static func errorFrame(status flags: UInt8) -> CANFrame? {
    guard flags & 0xEF != 0 else { return nil }
    var frame = CANFrame()
    frame.flags = .error
    frame.length = 8
    var kind: UInt32 = 0
    var controller: UInt8 = 0
    if flags & 0x01 != 0 || flags & 0x08 != 0 { controller |= 0x01 }
    if flags & 0x02 != 0 { controller |= 0x02 }
    // Which direction, they do not say: both.
    if flags & 0x04 != 0 { controller |= 0x0C }
    if flags & 0x20 != 0 { controller |= 0x30 }
    if controller != 0 { kind |= 0x04 }
    if flags & 0x40 != 0 { kind |= 0x02 }
    if flags & 0x80 != 0 { kind |= 0x80 }
    frame.id = ArbitrationID(rawValue: kind)
    frame.setByte(1, controller)
    return frame
  }

  /// `S0` to `S8`.
  static let bitRates: [UInt32] = [10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000]
}
