import Bus
private import Glibc

/// A TCP port at which a tap is played: one controller at a time. Nothing here blocks.
public final class TapListener {
  /// Where it waits, with the port that it got where 0 was asked for.
  public private(set) var name = ""
  private var listener: Int32 = -1
  private var stream = LineStream()

  /// Readable when somebody comes or says something.
  public var descriptor: Int32 { stream.isOpen ? stream.descriptor : listener }
  /// When `receive` wants to be called, monotonic ns.
  public var wakeTime_ns: Int64? { stream.isWaiting ? PortPoller.now_ns + 2_000_000 : nil }

  /// Waits for a controller.
  /// - Parameters:
  ///   - host: a name or number of this machine.
  ///   - port: 0 = any that is free.
  public init(host: String, port: UInt16) throws(PortError) {
    let wanted = "tap+tcp://\(host):\(port)"
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var found: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    guard code == 0, let address = found?.pointee else {
      throw .refused(wanted, reason: "\(host): \(String(cString: gai_strerror(code))); expected a name or number of this machine")
    }
    listener = socket(
      address.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard listener >= 0 else { throw .system(HostError(wanted, attempt: "open a socket", code: errno)) }
    var on: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard bind(listener, address.ai_addr, address.ai_addrlen) == 0, listen(listener, 1) == 0 else {
      let code = errno
      close()
      throw .system(HostError(wanted, attempt: "listen", code: code))
    }
    var bound = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let opened = listener
    withUnsafeMutablePointer(to: &bound) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(opened, $0, &size) }
    }
    // IPv4 and IPv6 have the port in the same place.
    name = LineAddress.tcp(host: host, port: UInt16(bigEndian: bound.sin_port)).description
  }

  deinit { close() }

  /// Delivers what came.
  public func receive(_ take: (LineEvent) -> Void) {
    guard listener >= 0 else { return }
    if !stream.isOpen {
      let client = accept(listener, nil, nil)
      guard client >= 0 else { return }
      _ = fcntl(client, F_SETFL, O_NONBLOCK)
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      var on: Int32 = 1
      setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      stream.begin(client)
      take(.returned)
    }
    let now = Timestamp(nanoseconds: PortPoller.wallClock_ns)
    if let why = stream.receive({ take(.line($0, time: now)) }) {
      stream.close()
      take(.lost(.refused(name, reason: why)))
    }
  }

  /// Sends lines, without the end of the last; all of them or none.
  public func write(_ lines: some Sequence<UInt8>) -> SendResult {
    guard stream.isOpen else { return .full }
    return stream.send(Array(lines) + [10])
  }

  /// Ends the connection, as an unplugged line does; waits for the next.
  public func hangUp() { stream.close() }

  /// Gives the port back. Safe to call twice.
  public func close() {
    stream.close()
    if listener >= 0 { _ = Glibc.close(listener) }
    listener = -1
  }
}
