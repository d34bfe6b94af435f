/// Opens live buses by address.
public enum PortOpener {
  /// Opens a bus for listening and sending. Opening sends no frame.
  /// - Parameter listenOnly: an adapter that can (slcan) does not even acknowledge. For interfaces of this kernel that is a mode of the
  ///   controller, `CANInterface.Modes.listenOnly`: without this parameter one in that mode is refused.
  public static func open(_ address: PortAddress, listenOnly: Bool = false) throws(PortError) -> any BusPort {
    switch address {
    case .socketCAN(let interface, let filter, let hardwareTime):
      var options = SocketCANPort.Options()
      options.sends = !listenOnly
      options.hardwareTime = hardwareTime
      options.filters = filter.words.isEmpty ? nil : filter.words
      options.filtersAreJoined = filter.isJoined
      options.errorMask = filter.errorMask ?? options.errorMask
      return try SocketCANPort(interface: interface, options: options)
    case .multicast(let group, let port): return try MulticastPort(name: address.busName, group: group, port: port)
    case .pcap(let interface, let filter): return try PcapPort(interface: interface, filter: filter)
    case .socketcand(let host, let port, let interface):
      return try SocketcandPort(host: host, port: port, interface: interface)
    case .slcan(let device, let bitRate, let serialRate, let asksState):
      return try SlcanPort(
        device: device, bitRate: bitRate, serialRate: serialRate, listenOnly: listenOnly,
        statusInterval_ns: asksState ? stateInterval_ns : nil)
    }
  }

  /// How often an slcan adapter is asked for its state.
  private static let stateInterval_ns: Int64 = 1_000_000_000
}
