/// Where a live bus is, as a person types it.
public enum PortAddress: Hashable, Sendable, CustomStringConvertible {
  /// `can0`: an interface of this kernel. `can0,351:7FF,#FFFFFFFF` with candump's filters, which the kernel applies: what they keep back is
  /// never seen here. `can0?time=hardware` with the controller's time stamps, where it gives some.
  case socketCAN(interface: String, filter: KernelFilter = KernelFilter(), hardwareTime: Bool = false)
  /// `socketcand://HOST:29536/can0`: a daemon that SavvyCAN, Kayak and python-can speak with too.
  case socketcand(host: String, port: UInt16, interface: String)
  /// `slcan:///dev/ttyACM0@500000`: an adapter on a serial port, with the bit rate of the bus. `?serial=57600,status=off` with the rate of
  /// the serial line, and without asking the adapter for its state each second.
  case slcan(device: String, bitRate: UInt32, serialRate: UInt32 = 115_200, asksState: Bool = true)
  /// `udp://239.74.163.2:43113`: python-can's `udp_multicast` bus, between processes of any machine.
  case multicast(group: String, port: UInt16)
  /// `pcap://can0?link[0:4] = 0x351`: an interface of this kernel through libpcap, listening only, with a filter in its language.
  case pcap(interface: String, filter: String)

  /// What can be typed, for messages.
  public static let expected = "\(both), udp://[GROUP[:PORT]] or pcap://INTERFACE[?FILTER]"
  /// What can be typed where something is to be sent.
  public static let expectedToSend = "\(both) or udp://[GROUP[:PORT]]"
  private static let both =
    "an interface (can0; can0,351:7FF with candump's filters; can0?time=hardware), socketcand://HOST[:29536]/INTERFACE, "
    + "slcan:///dev/DEVICE[@BITRATE][?serial=RATE,status=off]"

  /// What an address may ask of its bus, for the help.
  public static let optionsHelp =
    "Wherever a live bus is named, an interface may carry candump's filters for the kernel: can0,351:7FF,4200:1FFFFFF0. What they "
    + "keep back is never seen here, not recorded and not counted; error frames come unless #MASK says which, and what is sent through "
    + "such a bus is not confirmed. can0?time=hardware takes the controller's time stamps, where it gives some; its clock need not be "
    + "this machine's. slcan:///dev/ttyUSB0@500000?serial=57600 says the rate of the serial line (115200 unless said). An slcan adapter "
    + "is asked for its state once a second, unless it does not answer or the address ends in ?status=off."

  /// Reads an address.
  public init(_ text: String) throws(PortError) {
    func fail() -> PortError { .badAddress(text, expected: PortAddress.expected) }
    guard let colon = text.firstRange(of: "://") else {
      self = try PortAddress.readInterface(text)
      return
    }
    let rest = text[colon.upperBound...]
    switch text[..<colon.lowerBound] {
    case "socketcand":
      let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[1].isEmpty, let (host, port) = PortAddress.host(parts[0], port: 29_536) else { throw fail() }
      self = .socketcand(host: host, port: port, interface: String(parts[1]))
    case "slcan":
      guard let address = PortAddress.readSlcan(rest) else { throw fail() }
      self = address
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

  private static func readInterface(_ text: String) throws(PortError) -> PortAddress {
    let place = text.prefix { $0 != "?" }
    let name = place.prefix { $0 != "," }
    let isName = !name.contains { $0 == "/" || $0 == ":" || $0.isWhitespace }
    guard isName, (1...15).contains(name.utf8.count),
      let options = pairs(text.dropFirst(place.count + 1), ["time": ["hardware", "system"]])
    else { throw .badAddress(text, expected: expected) }
    var filter = KernelFilter()
    if place.count > name.count {
      let words = place.dropFirst(name.count + 1)
      guard let read = KernelFilter(words) else { throw .badAddress(text, expected: KernelFilter.expected) }
      filter = read
    }
    return .socketCAN(interface: String(name), filter: filter, hardwareTime: options["time"] == "hardware")
  }

  private static func readSlcan(_ text: Substring) -> PortAddress? {
    let place = text.prefix { $0 != "?" }
    let parts = place.split(separator: "@", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts[0].hasPrefix("/"),
      let rate = parts.count == 2 ? UInt32(parts[1]) : 500_000, rate > 0,
      let options = pairs(text.dropFirst(place.count + 1), ["serial": [], "status": ["on", "off"]]),
      let serial = UInt32(options["serial"] ?? "115200"), (1...20_000_000).contains(serial)
    else { return nil }
    return .slcan(device: String(parts[0]), bitRate: rate, serialRate: serial, asksState: options["status"] != "off")
  }

  /// `name=value` pairs with commas between; `nil` where one is none or comes twice.
  /// - Parameter known: which there are, with the values they may have; without any = every value.
  private static func pairs(_ text: Substring, _ known: [String: [String]]) -> [String: String]? {
    var found: [String: String] = [:]
    for pair in text.split(separator: ",") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, let values = known[parts[0]], values.isEmpty || values.contains(parts[1]) else { return nil }
      guard found.updateValue(parts[1], forKey: parts[0]) == nil else { return nil }
    }
    return found
  }

  private static func host(_ text: Substring, port standard: UInt16) -> (String, UInt16)? {
    guard let colon = text.lastIndex(of: ":") else { return text.isEmpty ? nil : (String(text), standard) }
    guard colon > text.startIndex, let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
    return (String(text[..<colon]), port)
  }

  /// As it is typed.
  public var description: String {
    switch self {
    case .socketCAN(let interface, let filter, let hardwareTime):
      interface + (filter == KernelFilter() ? "" : ",\(filter)") + (hardwareTime ? "?time=hardware" : "")
    case .socketcand(let host, let port, let interface): "socketcand://\(host):\(port)/\(interface)"
    case .slcan(let device, let bitRate, let serialRate, let asksState):
      "slcan://\(device)@\(bitRate)" + PortAddress.optionText(serialRate: serialRate, asksState: asksState)
    case .multicast(let group, let port): "udp://\(group):\(port)"
    case .pcap(let interface, let filter): "pcap://\(interface)" + (filter.isEmpty ? "" : "?" + filter)
    }
  }

  private static func optionText(serialRate: UInt32, asksState: Bool) -> String {
    let options = (serialRate == 115_200 ? [] : ["serial=\(serialRate)"]) + (asksState ? [] : ["status=off"])
    return options.isEmpty ? "" : "?" + options.joined(separator: ",")
  }

  /// The bus itself, without what only this address asks of it.
  public var withoutOptions: PortAddress {
    switch self {
    case .socketCAN(let interface, _, _): .socketCAN(interface: interface)
    case .slcan(let device, let bitRate, _, _): .slcan(device: device, bitRate: bitRate)
    case .pcap(let interface, _): .pcap(interface: interface, filter: "")
    case .socketcand, .multicast: self
    }
  }

  /// The bus's name in captures.
  public var busName: String {
    switch self {
    case .socketCAN(let interface, _, _), .socketcand(_, _, let interface), .pcap(let interface, _): interface
    case .slcan(let device, _, _, _): String(device.split(separator: "/").last ?? "slcan")
    case .multicast: "udp"
    }
  }
}
