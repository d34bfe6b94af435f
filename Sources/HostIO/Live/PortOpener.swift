/// Opens live buses by address.
public enum PortOpener {
  /// Opens a bus for listening and sending. Opening sends nothing.
  public static func open(_ address: PortAddress) throws(PortError) -> any BusPort {
    throw .unsupported(address.description, what: "open a live bus")
  }
}
