/// Opens live buses by address.
public enum PortOpener {
  /// Opens a bus for listening and sending. Opening sends no frame.
  /// - Parameter listenOnly: an adapter that can (slcan) does not even acknowledge. For interfaces of this kernel that is a mode of the
  ///   controller: `CANInterface.Modes.listenOnly`.
  public static func open(_ address: PortAddress, listenOnly: Bool = false) throws(PortError) -> any BusPort {
    switch address {
    case .socketCAN(let interface): try SocketCANPort(interface: interface)
    case .multicast(let group, let port): try MulticastPort(name: address.busName, group: group, port: port)
    case .pcap(let interface, let filter): try PcapPort(interface: interface, filter: filter)
    case .socketcand(let host, let port, let interface): try SocketcandPort(host: host, port: port, interface: interface)
    case .slcan(let device, let bitRate): try SlcanPort(device: device, bitRate: bitRate, listenOnly: listenOnly)
    }
  }
}
