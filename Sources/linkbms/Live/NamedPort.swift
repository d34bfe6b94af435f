import Bus
import HostIO

/// A port under a name of its own: where two buses have one name, what they say could not be told apart.
final class NamedPort: BusPort {
  private let port: any BusPort
  let name: String
  /// What it is called elsewhere, as it was typed.
  let address: String

  init(_ port: any BusPort, name: String, address: String) {
    self.port = port
    self.name = name
    self.address = address
  }

  var descriptor: Int32 { port.descriptor }
  var wakeTime_ns: Int64? { port.wakeTime_ns }
  var counters: PortCounters { port.counters }
  var advice: PortAdvice { port.advice }
  var usesSystemClock: Bool { port.usesSystemClock }
  func receive(_ take: (PortEvent) -> Void) throws(PortError) { try port.receive(take) }
  func send(_ frame: CANFrame) throws(PortError) -> SendResult { try port.send(frame) }
  func confirmSending() throws(PortError) -> Bool { try port.confirmSending() }
  func close() { port.close() }

  /// The same ports, each with a name that no port before has.
  /// - Parameter addresses: of the ports, as they were typed.
  static func distinct(_ ports: [any BusPort], _ addresses: [String]) -> [any BusPort] {
    var names: Set<String> = []
    return zip(ports, addresses).map { port, address in
      // A tap's buses have names of their own.
      guard !(port is TapPort) else { return port }
      var name = port.name
      var number = 1
      while !names.insert(name).inserted {
        number += 1
        name = "\(port.name)-\(number)"
      }
      return name == port.name ? port : NamedPort(port, name: name, address: address)
    }
  }
}
