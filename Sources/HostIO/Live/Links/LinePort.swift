public import Bus

/// Where lines of text come from: a chain and PDU tap (Dissectors/TAP.md).
public enum LineAddress: Hashable, Sendable, CustomStringConvertible {
  /// `tap+serial:///dev/ttyUSB0@115200`: eight bits, no parity, one stop bit, no flow control.
  case serial(device: String, rate: UInt32)
  /// `tap+tcp://HOST:PORT`.
  case tcp(host: String, port: UInt16)

  /// What can be typed, for messages.
  public static let expected = "tap+serial:///dev/DEVICE[@RATE] or tap+tcp://HOST:PORT"

  /// Whether a text is meant to be one of these.
  public static func isMeant(by text: String) -> Bool { text.hasPrefix("tap+") }

  /// Reads an address. IPv6 addresses stand in brackets.
  public init(_ text: String) throws(PortError) {
    func fail() -> PortError { .badAddress(text, expected: LineAddress.expected) }
    if text.hasPrefix("tap+serial://") {
      let parts = text.dropFirst(13).split(separator: "@", omittingEmptySubsequences: false)
      guard (1...2).contains(parts.count), parts[0].hasPrefix("/") else { throw fail() }
      guard let rate = parts.count == 2 ? UInt32(parts[1]) : 115_200, rate > 0, rate <= 20_000_000 else { throw fail() }
      self = .serial(device: String(parts[0]), rate: rate)
    } else if text.hasPrefix("tap+tcp://") {
      let rest = text.dropFirst(10)
      guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]), port > 0 else {
        throw fail()
      }
      var host = rest[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { throw fail() }
      guard !host.isEmpty else { throw fail() }
      self = .tcp(host: String(host), port: port)
    } else {
      throw fail()
    }
  }

  /// As it is typed.
  public var description: String {
    switch self {
    case .serial(let device, let rate): "tap+serial://\(device)@\(rate)"
    case .tcp(let host, let port): "tap+tcp://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }
  }
}

/// Something that came from a source of lines.
public enum LineEvent: Sendable {
  /// A line without its end, and when its last byte was read, ns since 1970.
  case line([UInt8], time: Timestamp)
  /// It went away; what it had begun to say is dropped. The port goes on looking for it.
  case lost(PortError)
  /// It is there again.
  case returned
}

/// Lines of text from a serial device or a TCP server, and to it. What the lines mean, others know.
public final class LinePort {
  /// Readable when something came; −1 while there is no connection.
  public var descriptor: Int32 { link.descriptor }
  /// When `receive` wants to be called, monotonic ns.
  public var wakeTime_ns: Int64? { link.wakeTime_ns }
  /// Lines delivered, lines sent, lines that found no room; `malformed` are lines too long to be any.
  public private(set) var counters = PortCounters()
  private let link: ByteLink
  private var splitter = LineSplitter(capacity: LinePort.capacity)
  /// The longest line; a tap's have some 60 characters.
  public static let capacity = 1024

  /// Opens it.
  public init(_ address: LineAddress) throws(PortError) {
    switch address {
    case .serial(let device, let rate): link = ByteLink(.serial(device: device, rate: rate))
    case .tcp(let host, let port): link = ByteLink(.tcp(host: host, port: port))
    }
    try link.open()
  }

  /// Delivers what came. The first line may be the end of one.
  public func receive(_ take: (LineEvent) -> Void) throws(PortError) {
    let now = Timestamp(nanoseconds: PortPoller.wallClock_ns)
    let change = link.pump { bytes in
      splitter.take(bytes) { line in
        counters.received &+= 1
        take(.line(line, time: now))
      }
    }
    counters.malformed = splitter.overlong
    switch change {
    case .opened?: take(.returned)
    case .lost(let error)?:
      splitter.startAnew()
      take(.lost(error))
    case nil: break
    }
  }

  /// Sends a line; its end is added.
  public func write(_ line: some Sequence<UInt8>) throws(PortError) -> SendResult {
    guard link.write(Array(line) + [10]) else {
      counters.refused &+= 1
      return .full
    }
    counters.sent &+= 1
    return .sent
  }

  /// Gives it back.
  public func close() { link.close() }
}
