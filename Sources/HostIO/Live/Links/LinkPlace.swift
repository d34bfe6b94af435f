private import CPorts
private import CSerialPort
private import Glibc

/// Where bytes come from and go to: a TCP server or a serial device.
enum LinkPlace: Hashable, Sendable {
  case tcp(host: String, port: UInt16)
  /// Eight bits, no parity, one stop bit, no flow control.
  case serial(device: String, rate: UInt32)

  var description: String {
    switch self {
    case .tcp(let host, let port): "\(host):\(port)"
    case .serial(let device, _): device
    }
  }
}

/// An open descriptor, and what closing it takes.
enum LinkHandle {
  case socket(Int32)
  case serial(OpaquePointer)

  var descriptor: Int32 {
    switch self {
    case .socket(let descriptor): descriptor
    case .serial(let port): serial_descriptor(port)
    }
  }

  /// Whether reading nothing means the end. A serial port that libserialport set up gives nothing where nothing waits, too.
  var isHungUp: Bool {
    guard case .serial(let port) = self else { return true }
    var request = pollfd(fd: serial_descriptor(port), events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) > 0 && request.revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0
  }

  func close() {
    switch self {
    case .socket(let descriptor): _ = Glibc.close(descriptor)
    case .serial(let port): serial_close(port)
    }
  }

  static func serial(device: String, rate: UInt32) throws(PortError) -> LinkHandle {
    var port: OpaquePointer?
    let result = serial_open(device, Int32(clamping: rate), &port)
    let code = errno
    switch result {
    case serial_opened: break
    case serial_absent: throw .absent(device)
    case serial_not_permitted:
      throw .notPermitted(
        device, needs: "the right to use serial devices: run as root or join their group (usermod -aG dialout USER)")
    case serial_busy: throw .refused(device, reason: "somebody else has it open")
    case serial_bad_rate: throw .unsupported(device, what: "do \(rate) bit/s")
    default: throw .system(HostError(device, attempt: "open as a serial port", code: code))
    }
    guard let port else { throw .absent(device) }
    return .serial(port)
  }
}

/// Addresses of a TCP server, as its name gave them at one time.
struct LinkAddresses {
  /// Where addresses come from; `nil` = the name is not known. It may take a while, on any thread.
  typealias Resolver = @Sendable (_ host: String, _ port: UInt16) -> LinkAddresses?

  private let addresses: [ports_address]
  var count: Int { addresses.count }

  /// Asks the name server, and so may take a while; `nil` = no machine of that name is known.
  init?(host: String, port: UInt16) {
    var room = [ports_address](repeating: ports_address(), count: 8)
    let count = Int(ports_tcp_resolve(host, port, &room, Int32(room.count)))
    guard count > 0 else { return nil }
    addresses = Array(room.prefix(count))
  }

  /// Whether a host is given as an address, which always leads to the same place.
  static func isNumeric(_ host: String) -> Bool {
    host.contains(":") || host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
  }

  /// Begins to connect to the address at `place`, round and round.
  func start(_ place: Int) -> Int32 {
    guard !addresses.isEmpty else { return -1 }
    var address = addresses[place % addresses.count]
    return ports_tcp_start(&address)
  }
}
