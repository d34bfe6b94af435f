import Bus

/// What socketcand says and is told, between `<` and `>`.
enum SocketcandMessage: Equatable {
  case hi
  case ok
  case echo
  /// A frame and when it was on the bus, in µs since 1970.
  case frame(CANFrame, time_us: Int64)
  /// Anything else, an error in words among it.
  case other(String)

  /// Reads what stands between the brackets.
  init(_ bytes: some Collection<UInt8>) {
    let words = bytes.split { $0 == 0x20 || $0 == 9 || $0 == 10 || $0 == 13 }
    let text = words.map { String(decoding: $0, as: UTF8.self) }
    switch text.first {
    case "hi" where words.count == 1: self = .hi
    case "ok" where words.count == 1: self = .ok
    case "echo" where words.count == 1: self = .echo
    case "frame", "fdframe", "rtr", "error":
      self = SocketcandMessage.frame(kind: text[0], words: words.dropFirst()) ?? .other(text.joined(separator: " "))
    default: self = .other(text.joined(separator: " "))
    }
  }

  private static func frame(kind: String, words: some Collection<some Collection<UInt8>>) -> SocketcandMessage? {
    var words = Array(words)
    guard words.count >= 2 else { return nil }
    var frame = CANFrame()
    if kind == "error" {
      guard let number = HexText.number(words[0]), number & 0xC000_0000 == 0 else { return nil }
      // Without data: the server keeps them to itself.
      frame.id = ArbitrationID(rawValue: number & 0x1FFF_FFFF)
      frame.flags = .error
      frame.length = 8
    } else {
      guard let id = HexText.id(words[0]) else { return nil }
      frame.id = id
    }
    if kind == "fdframe" {
      guard words.count >= 3, let flags = HexText.number(words[1]) else { return nil }
      words.remove(at: 1)
      frame.flags = .fd
      if flags & 1 != 0 { frame.flags.insert(.bitRateSwitch) }
      if flags & 2 != 0 { frame.flags.insert(.errorStateIndicator) }
    }
    guard let time = microseconds(words[1]) else { return nil }
    if kind == "rtr" {
      guard words.count == 3, let length = HexText.number(words[2]), length <= 8 else { return nil }
      frame.flags = .remote
      frame.length = UInt8(length)
      return .frame(frame, time_us: time)
    }
    // Bytes apart, as the protocol is written down, or together, as the server sends them.
    var count = 0
    for word in words.dropFirst(2) {
      guard let more = HexText.payload(word, into: &frame, from: count) else { return nil }
      count += more
    }
    if kind == "error" { return .frame(frame, time_us: time) }
    guard kind == "fdframe" ? CANFrame.isFDLength(UInt8(count)) : count <= 8 else { return nil }
    frame.length = UInt8(count)
    return .frame(frame, time_us: time)
  }

  /// `SECONDS.MICROSECONDS`.
  private static func microseconds(_ text: some Collection<UInt8>) -> Int64? {
    let parts = text.split(separator: 0x2E, omittingEmptySubsequences: false)
    guard parts.count == 2, (1...11).contains(parts[0].count), (1...6).contains(parts[1].count) else { return nil }
    func number(_ digits: some Collection<UInt8>) -> Int64? {
      Int64(String(decoding: digits, as: UTF8.self)).flatMap { $0 >= 0 ? $0 : nil }
    }
    guard let seconds = number(parts[0]), var fraction = number(parts[1]), parts[1].first != 0x2D, parts[1].first != 0x2B else {
      return nil
    }
    for _ in parts[1].count..<6 { fraction *= 10 }
    return seconds &* 1_000_000 &+ fraction
  }

  /// The command that sends a frame; `nil` for what the protocol cannot send: error frames.
  static func command(sending frame: CANFrame) -> [UInt8]? {
    guard !frame.flags.contains(.error) else { return nil }
    let isFD = frame.flags.contains(.fd), isRemote = frame.flags.contains(.remote)
    var text = Array((isRemote ? "< sendrtr " : isFD ? "< fdsend " : "< send ").utf8)
    HexText.append(frame.id, to: &text)
    if isFD {
      let flags = (frame.flags.contains(.bitRateSwitch) ? 1 : 0) | (frame.flags.contains(.errorStateIndicator) ? 2 : 0)
      text += Array(" 0\(flags)".utf8)
    }
    // The length is decimal.
    text += Array(" \(min(frame.length, isFD ? 64 : 8))".utf8)
    for index in 0..<min(frame.payloadLength, isFD ? 64 : 8) {
      text.append(0x20)
      HexText.append(UInt32(frame.byte(index)), digits: 2, to: &text)
    }
    return text + Array(" >".utf8)
  }
}

/// Cuts a stream into what stands between `<` and `>`, in bounded memory; what stands outside is passed over.
struct SocketcandSplitter {
  private(set) var malformed: UInt64 = 0
  private var message: [UInt8]?
  private static let capacity = 1024

  mutating func take(_ bytes: UnsafeRawBufferPointer, _ each: (SocketcandMessage) -> Void) {
    for byte in bytes {
      if byte == 0x3C {
        if message != nil { malformed &+= 1 }
        message = []
      } else if byte == 0x3E {
        if let message { each(SocketcandMessage(message)) }
        message = nil
      } else if message != nil {
        message?.append(byte)
        if (message?.count ?? 0) > SocketcandSplitter.capacity {
          malformed &+= 1
          message = nil
        }
      }
    }
  }

  mutating func startAnew() { message = nil }
}
