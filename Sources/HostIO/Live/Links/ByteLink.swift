private import CPorts
private import Glibc

/// Bytes to and from a TCP server or a serial device that may go away and come back. Nothing blocks but `open`.
final class ByteLink {
  enum Change {
    case opened
    case lost(PortError)
  }

  let place: LinkPlace
  /// When `pump` wants to be called, monotonic ns.
  private(set) var wakeTime_ns: Int64?
  private var handle: LinkHandle?
  private var connecting: (descriptor: Int32, until_ns: Int64)?
  private var addresses: LinkAddresses?
  private var attempt = 0
  private let resolve: LinkAddresses.Resolver
  /// Asks for the name's addresses again.
  private var search: AddressSearch?
  /// Tries that failed since the name was asked for, and connections that were lost: a stranger at the old address may answer.
  private var failures = 0
  private var unsent: [UInt8] = []
  private var pendingLoss: PortError?
  private var isClosed = false
  private var buffer = [UInt8](repeating: 0, count: 65_536)
  /// Bytes that may wait to be sent.
  private let capacity: Int
  /// From one try to the next.
  private let retry_ns: Int64
  private static let patience_ns: Int64 = 5_000_000_000
  /// So many failures, and one for each address, are a reason to ask for the name again.
  private static let mostFailures = 5

  init(
    _ place: LinkPlace, capacity: Int = 65_536, retry_ns: Int64 = 1_000_000_000,
    resolve: @escaping LinkAddresses.Resolver = { LinkAddresses(host: $0, port: $1) }
  ) {
    self.place = place
    self.capacity = capacity
    self.retry_ns = retry_ns
    self.resolve = resolve
  }

  deinit { close() }

  /// Readable when bytes wait; −1 while there is no connection.
  var descriptor: Int32 { handle?.descriptor ?? -1 }
  var isOpen: Bool { handle != nil }

  /// Connects, within five seconds.
  func open() throws(PortError) {
    switch place {
    case .serial(let device, let rate): handle = try LinkHandle.serial(device: device, rate: rate)
    case .tcp(let host, let port):
      guard let addresses = resolve(host, port) else {
        throw .refused(place.description, reason: "no machine of that name is known")
      }
      self.addresses = addresses
      var code = ECONNREFUSED
      for place in 0..<addresses.count {
        let descriptor = addresses.start(place)
        code = descriptor < 0 ? errno : ports_tcp_finish(descriptor, Int32(ByteLink.patience_ns / 1_000_000))
        if code == 0 {
          handle = .socket(descriptor)
          attempt = place
          return
        }
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
      }
      throw failure(code)
    }
  }

  private func failure(_ code: Int32) -> PortError {
    switch code {
    case ECONNREFUSED: .refused(place.description, reason: "nobody listens there (connection refused)")
    case EINPROGRESS, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH: .refused(place.description, reason: "does not answer")
    default: .system(HostError(place.description, attempt: "connect", code: code))
    }
  }

  /// Why it is away: with what reading or writing failed; 0 = there is nothing more to read.
  private func loss(_ code: Int32) -> PortError {
    guard case .tcp = place else { return .vanished(place.description) }
    return switch code {
    case 0, ECONNRESET, EPIPE: .refused(place.description, reason: "closed the connection")
    case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH: .refused(place.description, reason: "does not answer any more")
    default: .system(HostError(place.description, attempt: "go on", code: code))
    }
  }

  /// Sends what waits, reads what came, looks again for what is lost.
  func pump(_ take: (UnsafeRawBufferPointer) -> Void) -> Change? {
    guard !isClosed else { return nil }
    guard let handle else { return lookAgain() ? .opened : nil }
    if let pendingLoss { return lose(pendingLoss) }
    flush()
    for _ in 0..<16 {
      let count = read(handle.descriptor, &buffer, buffer.count)
      if count > 0 {
        buffer.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        if count < buffer.count { break }
      } else if count < 0, errno == EINTR {
        continue
      } else if count < 0, errno == EAGAIN {
        break
      } else if count == 0, !handle.isHungUp {
        break
      } else {
        return lose(loss(count < 0 ? errno : 0))
      }
    }
    if let pendingLoss { return lose(pendingLoss) }
    return nil
  }

  private func lose(_ error: PortError) -> Change {
    handle?.close()
    handle = nil
    unsent = []
    pendingLoss = nil
    failures &+= 1
    wakeTime_ns = PortPoller.now_ns &+ retry_ns
    return .lost(error)
  }

  /// Drops the connection, because of what the other end said; it is looked for again.
  func drop(_ error: PortError) -> Change { lose(error) }

  private func lookAgain() -> Bool {
    let now_ns = PortPoller.now_ns
    if let (descriptor, until_ns) = connecting {
      let code = ports_tcp_finish(descriptor, 0)
      if code == 0 {
        connecting = nil
        return found(.socket(descriptor))
      }
      guard code != EINPROGRESS || now_ns >= until_ns else {
        wakeTime_ns = now_ns &+ 20_000_000
        return false
      }
      _ = Glibc.close(descriptor)
      connecting = nil
      countFailure()
      wakeTime_ns = now_ns &+ retry_ns
      return false
    }
    guard let time_ns = wakeTime_ns, now_ns >= time_ns else { return false }
    wakeTime_ns = now_ns &+ retry_ns
    switch place {
    case .serial(let device, let rate):
      guard let opened = try? LinkHandle.serial(device: device, rate: rate) else { return false }
      return found(opened)
    case .tcp(let host, let port):
      askAgain(host, port)
      guard let descriptor = addresses?.start(attempt & 0xFFFF), descriptor >= 0 else {
        countFailure()
        return false
      }
      connecting = (descriptor, now_ns &+ ByteLink.patience_ns)
      wakeTime_ns = now_ns &+ 20_000_000
      return false
    }
  }

  private func countFailure() {
    attempt &+= 1
    failures &+= 1
  }

  /// The name may lead somewhere else by now. What comes of asking is taken at a later try; without an answer nothing changes.
  private func askAgain(_ host: String, _ port: UInt16) {
    if let search {
      guard case .given(let answer) = search.answer else { return }
      self.search = nil
      failures = 0
      guard let latest = answer else { return }
      addresses = latest
      attempt = 0
    } else if failures >= max(ByteLink.mostFailures, addresses?.count ?? 0), !LinkAddresses.isNumeric(host) {
      search = AddressSearch(host: host, port: port, resolve)
    }
  }

  private func found(_ handle: LinkHandle) -> Bool {
    self.handle = handle
    wakeTime_ns = nil
    return true
  }

  /// Hands bytes over, all or none.
  /// - Returns: whether there was room and a connection.
  func write(_ bytes: [UInt8]) -> Bool {
    guard handle != nil, pendingLoss == nil, unsent.count &+ bytes.count <= capacity else { return false }
    unsent += bytes
    flush()
    return true
  }

  private func flush() {
    guard let handle, !unsent.isEmpty else { return }
    while !unsent.isEmpty {
      let count: Int
      if case .socket(let descriptor) = handle {
        count = send(descriptor, unsent, unsent.count, Int32(MSG_NOSIGNAL))
      } else {
        count = Glibc.write(handle.descriptor, unsent, unsent.count)
      }
      if count > 0 {
        unsent.removeFirst(min(count, unsent.count))
      } else if count < 0, errno == EINTR {
        continue
      } else if count < 0, errno == EAGAIN {
        wakeTime_ns = PortPoller.now_ns &+ 2_000_000
        return
      } else {
        // Told by `pump`, which is called at once.
        pendingLoss = loss(count < 0 ? errno : 0)
        wakeTime_ns = PortPoller.now_ns
        return
      }
    }
    wakeTime_ns = nil
  }

  func close() {
    isClosed = true
    handle?.close()
    handle = nil
    if let connecting { _ = Glibc.close(connecting.descriptor) }
    connecting = nil
    search = nil
    wakeTime_ns = nil
  }
}
