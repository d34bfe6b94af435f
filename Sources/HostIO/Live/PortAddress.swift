/// Where a live bus is, as a person types it.
public enum PortAddress: Hashable, Sendable, CustomStringConvertible {
  /// `can0`: an interface of this kernel.
  case socketCAN(interface: String)
  /// `socketcand://HOST:29536/can0`: a daemon that SavvyCAN, Kayak and python-can speak with too.
  case socketcand(host: String, port: UInt16, interface: String)
  /// `slcan:///dev/ttyACM0@500000`: an adapter on a serial port, with the bit rate of the bus.
  case slcan(device: String, bitRate: UInt32)
  /// `udp://239.74.163.2:43113`: python-can's `udp_multicast` bus, between processes of any machine.
  case multicast(group: String, port: UInt16)
  /// `pcap://can0?link[0:4] = 0x351`: an interface of this kernel through libpcap, listening only, with a filter in its language.
  case pcap(interface: String, filter: String)

  /// What can be typed, for messages.
  public static let expected =
    "an interface (can0), socketcand://HOST[:29536]/INTERFACE, slcan:///dev/DEVICE[@BITRATE], udp://[GROUP[:PORT]] or pcap://INTERFACE[?FILTER]"

  /// Reads an address.
  public init(_ text: String) throws(PortError) {
    func fail() -> PortError { .badAddress(text, expected: PortAddress.expected) }
    guard let colon = text.firstRange(of: "://") else {
      let isName = !text.contains { $0 == "/" || $0 == ":" || $0.isWhitespace }
      guard isName, (1...15).contains(text.utf8.count) else { throw fail() }
      self = .socketCAN(interface: text)
      return
    }
    let rest = text[colon.upperBound...]
    switch text[..<colon.lowerBound] {
    case "socketcand":
      let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[1].isEmpty, let (host, port) = PortAddress.host(parts[0], port: 29_536) else { throw fail() }
      self = .socketcand(host: host, port: port, interface: String(parts[1]))
    case "slcan":
      let parts = rest.split(separator: "@", omittingEmptySubsequences: false)
      guard (1...2).contains(parts.count), parts[0].hasPrefix("/") else { throw fail() }
      guard let rate = parts.count == 2 ? UInt32(parts[1]) : 500_000, rate > 0 else { throw fail() }
      self = .slcan(device: String(parts[0]), bitRate: rate)
    case "udp":
      guard !rest.isEmpty else {
        self = .multicast(group: PortAddress.group, port: 43_113)
        return
      }
      guard let (host, port) = PortAddress.host(rest, port: 43_113) else { throw fail() }
      self = .multicast(group: host, port: port)
    case "pcap":
      let interface = rest.prefix { $0 != "?" }
      guard (1...15).contains(interface.utf8.count), !interface.contains("/") else { throw fail() }
      self = .pcap(interface: String(interface), filter: String(rest.dropFirst(interface.count + 1)))
    default: throw fail()
    }
  }

  /// python-can's own default group.
  public static let group = "239.74.163.2"

  private static func host(_ text: Substring, port standard: UInt16) -> (String, UInt16)? {
    guard let colon = text.lastIndex(of: ":") else { return text.isEmpty ? nil : (String(text), standard) }
    guard colon > text.startIndex, let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
    return (String(text[..<colon]), port)
  }

  /// As it is typed.
  public var description: String {
    switch self {
    case .socketCAN(let interface): interface
    case .socketcand(let host, let port, let interface): "socketcand://\(host):\(port)/\(interface)"
    case .slcan(let device, let bitRate): "slcan://\(device)@\(bitRate)"
    case .multicast(let group, let port): "udp://\(group):\(port)"
    case .pcap(let interface, let filter): "pcap://\(interface)" + (filter.isEmpty ? "" : "?" + filter)
    }
  }

  /// The bus's name in captures.
  public var busName: String {
    switch self {
    case .socketCAN(let interface), .socketcand(_, _, let interface), .pcap(let interface, _): interface
    case .slcan(let device, _): String(device.split(separator: "/").last ?? "slcan")
    case .multicast: "udp"
    }
  }
}
