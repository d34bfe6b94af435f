/// Where a tap is, as a person types it.
public enum TapAddress: Hashable, Sendable, CustomStringConvertible {
  /// `tap+tcp://host:port`.
  case tcp(host: String, port: UInt16)
  /// `tap+serial:///dev/ttyUSB0@115200`.
  case serial(device: String, baud: UInt32)

  /// What can be typed, for messages.
  public static let expected = "tap+tcp://HOST:PORT or tap+serial:///dev/DEVICE[@BAUD]"

  /// Reads an address.
  public init(_ text: String) throws(PortError) {
    func fail() -> PortError { .badAddress(text, expected: TapAddress.expected) }
    if text.hasPrefix("tap+tcp://") {
      var rest = text.dropFirst(10)
      guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]) else { throw fail() }
      rest = rest[..<colon]
      if rest.hasPrefix("["), rest.hasSuffix("]") { rest = rest.dropFirst().dropLast() }
      guard !rest.isEmpty else { throw fail() }
      self = .tcp(host: String(rest), port: port)
    } else if text.hasPrefix("tap+serial://") {
      let parts = text.dropFirst(13).split(separator: "@", omittingEmptySubsequences: false)
      guard (1...2).contains(parts.count), parts[0].hasPrefix("/"), let baud = parts.count == 2 ? UInt32(parts[1]) : 115_200,
        SerialTap.speed(baud) != nil
      else { throw fail() }
      self = .serial(device: String(parts[0]), baud: baud)
    } else {
      throw fail()
    }
  }

  /// As it is typed.
  public var description: String {
    switch self {
    case .tcp(let host, let port): "tap+tcp://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    case .serial(let device, let baud): "tap+serial://\(device)@\(baud)"
    }
  }

  /// Opens a tap to talk to.
  public func open() throws(PortError) -> any LineChannel {
    switch self {
    case .tcp(let host, let port): try TCPTap(name: description, host: host, port: port)
    case .serial(let device, let baud): try SerialTap(name: description, device: device, baud: baud)
    }
  }

  /// Opens a line at which a tap is played: waits for a controller.
  public func listen() throws(PortError) -> any LineChannel {
    switch self {
    case .tcp(let host, let port): try TCPTapListener(name: description, host: host, port: port)
    case .serial(let device, let baud): try SerialTap(name: description, device: device, baud: baud)
    }
  }
}
