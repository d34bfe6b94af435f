import Bus

/// Lets several users of one program work on a device that only one can open: an adapter on a serial port, of which two readers would each
/// get a part of what it says. Everything else is opened anew for each of them.
public final class PortSharing {
  private var devices: [String: SharedDevice] = [:]
  private let opener: SharedDevice.Opener

  /// Devices that nobody uses yet.
  public convenience init() { self.init(opener: PortOpener.open) }

  /// - Parameter opener: how an address becomes an open port.
  public init(opener: @escaping (PortAddress, _ listenOnly: Bool) throws(PortError) -> any BusPort) { self.opener = opener }

  /// Opens a bus, or joins those who use it already.
  /// - Parameter listenOnly: see `PortOpener`. A shared adapter only listens as long as all who use it do.
  public func open(_ address: PortAddress, listenOnly: Bool = false) throws(PortError) -> any BusPort {
    guard case .slcan(let path, let bitRate, let serialRate, _) = address else { return try opener(address, listenOnly) }
    if let device = devices[path], device.isUsed {
      // Whether it is asked for its state whoever came first has said.
      guard case .slcan(_, bitRate, serialRate, _) = device.address else {
        throw .refused(path, reason: "is in use as \(device.address): found \(address); end that first, or use the same rates")
      }
      return try device.join(listenOnly: listenOnly)
    }
    let device = SharedDevice(address, opener)
    let port = try device.join(listenOnly: listenOnly)
    devices[path] = device
    return port
  }
}

/// A device with those who use it.
final class SharedDevice {
  typealias Opener = (PortAddress, _ listenOnly: Bool) throws(PortError) -> any BusPort

  let address: PortAddress
  private let opener: Opener
  private var port: (any BusPort)?
  private var isListenOnly = true
  private var users: [SharedPort] = []
  /// What earlier times that it was opened counted.
  private var past = PortCounters()
  /// Why it cannot be used any more.
  private var failure: PortError?

  init(_ address: PortAddress, _ opener: @escaping Opener) {
    self.address = address
    self.opener = opener
  }

  var isUsed: Bool { !users.isEmpty && failure == nil }
  var descriptor: Int32 { port?.descriptor ?? -1 }
  var wakeTime_ns: Int64? { failure == nil ? port?.wakeTime_ns : 0 }
  /// Frames lost and messages that were none, over all times that it was opened.
  var dropped: UInt64 { past.dropped &+ (port?.counters.dropped ?? 0) }
  var malformed: UInt64 { past.malformed &+ (port?.counters.malformed ?? 0) }
  var advice: PortAdvice { port?.advice ?? PortAdvice() }
  var usesSystemClock: Bool { port?.usesSystemClock ?? true }

  func join(listenOnly: Bool) throws(PortError) -> SharedPort {
    if port == nil || isListenOnly && !listenOnly { try reopen(listenOnly: listenOnly) }
    let user = SharedPort(self, name: port?.name ?? address.busName, listenOnly: listenOnly)
    users.append(user)
    return user
  }

  /// One of them has no use for it any more. The last one closes it.
  func leave(_ user: SharedPort) {
    users.removeAll { $0 === user }
    if users.isEmpty {
      close()
    } else if !isListenOnly, users.allSatisfy(\.isListenOnly) {
      // Nobody who is left asked for more than to listen: not even an acknowledgement goes out.
      do throws(PortError) { try reopen(listenOnly: true) } catch { failure = error }
    }
  }

  private func reopen(listenOnly: Bool) throws(PortError) {
    // What it had still to say is not lost for those who are there.
    if port != nil { try pump() }
    close()
    do throws(PortError) {
      port = try opener(address, listenOnly)
      isListenOnly = listenOnly
    } catch {
      if !users.isEmpty { failure = error }
      throw error
    }
  }

  private func close() {
    (past.dropped, past.malformed) = (dropped, malformed)
    port?.close()
    port = nil
  }

  /// Takes what came, for everybody.
  func pump() throws(PortError) {
    if let failure { throw failure }
    do throws(PortError) { try port?.receive { event in for user in users { user.arrive(event) } } } catch {
      failure = error
      throw error
    }
  }

  func send(_ frame: CANFrame, from sender: SharedPort) throws(PortError) -> SendResult {
    if let failure { throw failure }
    guard let port else { return .full }
    let result = try port.send(frame)
    guard result == .sent else { return result }
    // The adapter does not repeat what it sends: to the others it is a frame of the bus like any other.
    let time = Timestamp(nanoseconds: PortPoller.wallClock_ns)
    let record = CANRecord(time: time, precision: .microseconds, direction: .transmitted, frame: frame)
    for user in users where user !== sender { user.arrive(.frame(record)) }
    return .sent
  }
}

/// One user's view of a shared device.
final class SharedPort: BusPort {
  let name: String
  let isListenOnly: Bool
  private let device: SharedDevice
  private var waiting: [PortEvent] = []
  private var own = PortCounters()
  private var isClosed = false
  /// Frames that wait at most for one who does not look.
  static let capacity = 65_536

  init(_ device: SharedDevice, name: String, listenOnly: Bool) {
    self.device = device
    self.name = name
    isListenOnly = listenOnly
  }

  var descriptor: Int32 { isClosed ? -1 : device.descriptor }
  /// At once where another's look at the device has brought something: the descriptor does not tell that any more.
  var wakeTime_ns: Int64? { isClosed ? nil : waiting.isEmpty ? device.wakeTime_ns : 0 }
  /// Lost is what was lost before the device, and what waited too long here.
  var counters: PortCounters {
    var counters = own
    counters.dropped &+= device.dropped
    counters.malformed = device.malformed
    return counters
  }

  var advice: PortAdvice { device.advice }
  var usesSystemClock: Bool { device.usesSystemClock }

  fileprivate func arrive(_ event: PortEvent) {
    if case .frame = event, waiting.count >= SharedPort.capacity {
      own.dropped &+= 1
      return
    }
    waiting.append(event)
  }

  func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    guard !isClosed else { return }
    var failure: PortError?
    do throws(PortError) { try device.pump() } catch { failure = error }
    let arrived = waiting
    waiting.removeAll(keepingCapacity: true)
    for event in arrived {
      if case .frame = event { own.received &+= 1 }
      take(event)
    }
    if let failure { throw failure }
  }

  func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard !isListenOnly else { throw .unsupported(name, what: "send: it was opened only to listen") }
    guard !isClosed else { throw .vanished(name) }
    let result = try device.send(frame, from: self)
    if result == .sent { own.sent &+= 1 } else { own.refused &+= 1 }
    return result
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    waiting = []
    device.leave(self)
  }
}
