public import Bus
private import CPorts
private import Glibc

/// A bus inside this process, for simulation and tests: what one port sends, all others receive.
public final class InProcessBus {
  private var ports: [WeakPort] = []
  private struct WeakPort { weak var port: InProcessPort? }

  /// A bus with nobody on it.
  public init() {}

  /// A new node.
  public func port(named name: String) throws(PortError) -> InProcessPort {
    let port = try InProcessPort(name: name, bus: self)
    ports.removeAll { $0.port == nil }
    ports.append(WeakPort(port: port))
    return port
  }

  fileprivate func spread(_ record: CANRecord, from sender: InProcessPort) {
    for place in ports where place.port !== sender { place.port?.arrive(record) }
  }
}

/// A node on a bus inside this process.
public final class InProcessPort: BusPort {
  /// The bus as it is named in captures.
  public let name: String
  /// Readable when a frame waits; −1 once closed.
  public private(set) var descriptor: Int32
  /// What passed here.
  public private(set) var counters = PortCounters()
  private let bus: InProcessBus
  private var waiting: [CANRecord] = []
  /// Frames that wait at most; then the oldest are lost, as on a real socket.
  static let capacity = 65_536

  fileprivate init(name: String, bus: InProcessBus) throws(PortError) {
    self.name = name
    self.bus = bus
    descriptor = ports_event_open()
    guard descriptor >= 0 else { throw .system(HostError(name, attempt: "open an event descriptor", code: errno)) }
  }

  deinit { close() }

  fileprivate func arrive(_ record: CANRecord) {
    guard descriptor >= 0 else { return }
    guard waiting.count < InProcessPort.capacity else {
      counters.dropped &+= 1
      return
    }
    waiting.append(record)
    ports_event_set(descriptor)
  }

  /// Delivers what waits.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    ports_event_clear(descriptor)
    let arrived = waiting
    waiting.removeAll(keepingCapacity: true)
    for record in arrived {
      counters.received &+= 1
      take(.frame(record))
    }
  }

  /// Gives a frame to all other nodes; there is always room.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard descriptor >= 0 else { throw .vanished(name) }
    counters.sent &+= 1
    let time = Timestamp(nanoseconds: PortPoller.wallClock_ns)
    bus.spread(CANRecord(time: time, precision: .nanoseconds, direction: .received, frame: frame), from: self)
    return .sent
  }

  /// Leaves the bus.
  public func close() {
    guard descriptor >= 0 else { return }
    _ = Glibc.close(descriptor)
    descriptor = -1
  }
}
