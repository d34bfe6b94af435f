import Glibc

/// An address that was looked up once: a name server that does not answer must not hold up a run.
struct SocketAddress {
  let bytes: [UInt8]
  let family: Int32

  init(name: String, host: String, port: UInt16, isPassive: Bool) throws(PortError) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = isPassive ? AI_PASSIVE : 0
    var found: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    guard code == 0, let first = found?.pointee, let address = first.ai_addr else {
      throw .refused(name, reason: "\(host): \(String(cString: gai_strerror(code))); expected a host that can be found")
    }
    bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(first.ai_addrlen)))
    family = first.ai_family
  }

  func withAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    bytes.withUnsafeBytes { raw in
      // getaddrinfo gave at least a sockaddr.
      var storage = sockaddr_storage()
      withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: raw.prefix(MemoryLayout<sockaddr_storage>.size)) }
      return withUnsafePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(raw.count)) }
      }
    }
  }

  /// A stream socket that never waits.
  func socket() -> Int32 {
    Glibc.socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
  }

  /// Small lines go out at once; another end that says nothing for 3 s is gone.
  static func prepare(_ descriptor: Int32) {
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    var patience: UInt32 = 3_000
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &patience, socklen_t(MemoryLayout<UInt32>.size))
  }
}

/// A tap at the other end of a TCP connection; connects again by itself.
final class TCPTap: LineChannel {
  let name: String
  private let address: SocketAddress
  private var stream = LineStream()
  private var connecting: Int32 = -1
  private var tryAt_ns: Int64 = 0
  private var giveUpAt_ns: Int64 = 0
  private var isSaid = false
  private var isClosed = false

  var descriptor: Int32 { stream.descriptor }
  var wakeTime_ns: Int64? {
    if isClosed { return nil }
    if stream.isOpen { return stream.isWaiting ? PortPoller.now_ns + 2_000_000 : nil }
    return connecting >= 0 ? PortPoller.now_ns + 5_000_000 : tryAt_ns
  }

  init(name: String, host: String, port: UInt16) throws(PortError) {
    self.name = name
    address = try SocketAddress(name: name, host: host, port: port, isPassive: false)
  }

  deinit { close() }

  func receive(_ take: (LineEvent) -> Void) throws(PortError) {
    guard !isClosed else { return }
    if stream.isOpen {
      if let why = stream.receive({ take(.line($0)) }) { lose(why, take) }
      return
    }
    if connecting < 0, PortPoller.now_ns >= tryAt_ns { begin() }
    if connecting >= 0 { look(take) }
    if !stream.isOpen, !isSaid { say("not connected yet", take) }
  }

  private func lose(_ why: String, _ take: (LineEvent) -> Void) {
    stream.close()
    tryAt_ns = PortPoller.now_ns + 200_000_000
    isSaid = false
    say(why, take)
  }

  private func say(_ why: String, _ take: (LineEvent) -> Void) {
    isSaid = true
    take(.lost(why))
  }

  private func begin() {
    connecting = address.socket()
    tryAt_ns = PortPoller.now_ns + 1_000_000_000
    giveUpAt_ns = PortPoller.now_ns + 3_000_000_000
    guard connecting >= 0 else { return }
    let code = address.withAddress { Glibc.connect(connecting, $0, $1) }
    guard code != 0, errno != EINPROGRESS else { return }
    _ = Glibc.close(connecting)
    connecting = -1
  }

  private func look(_ take: (LineEvent) -> Void) {
    var source = pollfd(fd: connecting, events: Int16(POLLOUT), revents: 0)
    guard poll(&source, 1, 0) > 0 else {
      guard PortPoller.now_ns >= giveUpAt_ns else { return }
      _ = Glibc.close(connecting)
      connecting = -1
      return
    }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(connecting, SOL_SOCKET, SO_ERROR, &code, &size)
    let descriptor = connecting
    connecting = -1
    guard code == 0 else {
      _ = Glibc.close(descriptor)
      if !isSaid { say("cannot connect: \(String(cString: strerror(code)))", take) }
      return
    }
    SocketAddress.prepare(descriptor)
    stream.begin(descriptor)
    if isSaid { take(.returned) }
    isSaid = true
  }

  func send(_ text: String) throws(PortError) -> SendResult {
    guard stream.isOpen else { throw .vanished(name) }
    let (result, failure) = stream.send(text)
    // The next `receive` finds out and tells.
    if let failure { throw .refused(name, reason: failure) }
    return result
  }

  func hangUp() {
    stream.close()
    tryAt_ns = PortPoller.now_ns + 200_000_000
  }

  func close() {
    isClosed = true
    stream.close()
    if connecting >= 0 { _ = Glibc.close(connecting) }
    connecting = -1
  }
}

/// A TCP port at which a tap is played: one controller at a time.
final class TCPTapListener: LineChannel {
  private(set) var name: String
  private var listener: Int32
  private var stream = LineStream()

  var descriptor: Int32 { stream.isOpen ? stream.descriptor : listener }
  var wakeTime_ns: Int64? { stream.isWaiting ? PortPoller.now_ns + 2_000_000 : nil }
  init(name: String, host: String, port: UInt16) throws(PortError) {
    self.name = name
    let address = try SocketAddress(name: name, host: host, port: port, isPassive: true)
    listener = address.socket()
    guard listener >= 0 else { throw .system(HostError(name, attempt: "open a socket", code: errno)) }
    var on: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard address.withAddress({ Glibc.bind(listener, $0, $1) }) == 0, Glibc.listen(listener, 1) == 0 else {
      let code = errno
      close()
      throw .system(HostError(name, attempt: "listen", code: code))
    }
    var bound = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let opened = listener
    withUnsafeMutablePointer(to: &bound) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(opened, $0, &size) }
    }
    // IPv4 and IPv6 have the port in the same place.
    self.name = TapAddress.tcp(host: host, port: UInt16(bigEndian: bound.sin_port)).description
  }

  deinit { close() }

  func receive(_ take: (LineEvent) -> Void) throws(PortError) {
    guard listener >= 0 else { return }
    if !stream.isOpen {
      let client = accept(listener, nil, nil)
      guard client >= 0 else { return }
      _ = fcntl(client, F_SETFL, O_NONBLOCK)
      _ = fcntl(client, F_SETFD, FD_CLOEXEC)
      SocketAddress.prepare(client)
      stream.begin(client)
      take(.returned)
    }
    if let why = stream.receive({ take(.line($0)) }) {
      stream.close()
      take(.lost(why))
    }
  }

  func send(_ text: String) throws(PortError) -> SendResult {
    guard stream.isOpen else { throw .vanished(name) }
    let (result, failure) = stream.send(text)
    if let failure { throw .refused(name, reason: failure) }
    return result
  }

  func hangUp() { stream.close() }

  func close() {
    stream.close()
    if listener >= 0 { _ = Glibc.close(listener) }
    listener = -1
  }
}
