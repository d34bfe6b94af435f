/// Opens live buses by address.
public enum PortOpener {
  /// Opens a bus for listening and sending. Opening sends nothing.
  public static func open(_ address: PortAddress) throws(PortError) -> any BusPort {
    switch address {
    case .socketCAN(let interface): try SocketCANPort(interface: interface)
    case .multicast(let group, let port): try MulticastPort(name: address.busName, group: group, port: port)
    case .pcap(let interface, let filter): try PcapPort(interface: interface, filter: filter)
    case .socketcand, .slcan: throw .unsupported(address.description, what: "open a live bus")
    }
  }
}
