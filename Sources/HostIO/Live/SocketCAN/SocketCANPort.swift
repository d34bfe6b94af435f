public import Bus
private import CPorts
private import Glibc

/// An interface of this kernel: raw SocketCAN, classic and FD.
///
/// Frames of other programs on this machine come marked as transmitted; what this port sends comes back only if asked for. An interface
/// that goes down or away is `.lost`, looked for once a second and `.returned`; meanwhile `send` says `.full`.
public final class SocketCANPort: BusPort {
  /// How an interface is opened.
  public struct Options: Sendable {
    /// It is to be sent on: an interface that only listens is refused. The kernel takes what is sent there and throws it away.
    public var sends = false
    /// Deliver what this port itself sent, once it was on the bus.
    public var ownFrames = false
    /// Take the controller's time stamps where it gives some. They need not follow the system's clock.
    public var hardwareTime = false
    /// Classes of error frames to deliver (linux/can/error.h); all of them.
    public var errorMask: UInt32 = 0x1FFF_FFFF
    /// Room in the kernel for frames that wait, bytes. Some 900 bytes a frame; without CAP_NET_ADMIN the system's limit holds.
    public var waitingBytes: Int32 = 16 << 20
    /// What the kernel lets through, from the first frame on; `nil` = everything.
    public var filters: [Filter]?
    /// A frame must pass all filters, instead of one.
    public var filtersAreJoined = false
    /// The standard options.
    public init() {}
  }

  /// A filter in the kernel: a frame passes where `id` and its own agree in the bits of `mask`, or, inverted, where they do not.
  public struct Filter: Hashable, Sendable {
    /// As SocketCAN writes it: bit 31 = 29-bit, bit 30 = remote.
    public var id: UInt32
    /// Bits that matter.
    public var mask: UInt32
    /// Lets pass what does not match.
    public var isInverted: Bool
    /// A filter.
    public init(id: UInt32, mask: UInt32, isInverted: Bool = false) {
      self.id = id
      self.mask = mask
      self.isInverted = isInverted
    }
  }

  /// The interface.
  public let name: String
  /// Readable when frames wait; −1 while the interface is lost and once closed.
  public private(set) var descriptor: Int32 = -1
  /// When to look for a lost interface again, monotonic ns.
  public private(set) var wakeTime_ns: Int64?
  /// What passed here.
  public private(set) var counters = PortCounters()
  /// What the kernel's little room comes of, where it is little.
  public var advice: PortAdvice { PortAdvice(room: ReceiveRoom.advice(descriptor, wanted_bytes: options.waitingBytes)) }
  /// A controller has a clock of its own.
  public var usesSystemClock: Bool { !options.hardwareTime }
  /// Whether the interface takes FD frames.
  public private(set) var isFD = false
  private let options: Options
  private var filters: [Filter]?
  private var filtersAreJoined: Bool
  private var confirms = false
  private var loss: PortError?
  private var reason = LossReason()
  private var drops = KernelDrops()
  private var isClosed = false
  private var batch = [ports_can_frame](repeating: ports_can_frame(), count: Int(ports_can_batch))
  private static let retry_ns: Int64 = 1_000_000_000
  /// Batches taken in one go at most, so that a flood leaves the caller's loop a breath.
  private static let batches = 256

  /// Opens an interface that is up; sends nothing.
  public init(interface: String, options: Options = Options()) throws(PortError) {
    name = interface
    self.options = options
    filters = options.filters
    filtersAreJoined = options.filtersAreJoined
    try open()
  }

  deinit { close() }

  private func open() throws(PortError) {
    var mtu: Int32 = 0
    var opened: Int32 = -1
    var wanted = ports_can_options(
      own_frames: options.ownFrames || confirms, hardware_time: options.hardwareTime, error_mask: options.errorMask,
      buffer_bytes: options.waitingBytes, withhold: filters != nil)
    switch ports_can_open(name, &wanted, &opened, &mtu) {
    case ports_can_open_done: break
    case ports_can_open_no_family: throw .unsupported(name, what: SocketCANPort.noCAN)
    case ports_can_open_no_raw:
      throw .unsupported(name, what: "open a CAN socket: the kernel's module can_raw is missing (modprobe can_raw)")
    case ports_can_open_absent: throw .absent(name)
    case ports_can_open_not_can: throw .notCAN(name)
    case ports_can_open_down: throw down
    default:
      let code = errno
      if code == EPERM || code == EACCES { throw .notPermitted(name, needs: "the right to open CAN sockets (run as root)") }
      throw .system(HostError(name, attempt: "open", code: code))
    }
    descriptor = opened
    isFD = mtu >= 72
    drops.startAnew()
    do throws(PortError) { try prepare() } catch {
      _ = Glibc.close(opened)
      descriptor = -1
      throw error
    }
  }

  /// What an open socket still needs before anybody may use it.
  private func prepare() throws(PortError) {
    if let filters { try apply(filters) }
    // Only what has a device has a controller with modes.
    guard options.sends, let interface = try? CANInterface(name), interface.driver != nil,
      let modes = interface.modes(), modes.contains(.listenOnly)
    else { return }
    throw .refused(
      name, reason: "only listens: nothing that is sent gets onto the bus; to send: linkbms bus \(name) --listen-only off --up")
  }

  private var down: PortError { .down(name, isVirtual: CANInterface.isVirtual(name)) }

  /// Words for a kernel that was built without CAN.
  static let noCAN =
    "open a CAN socket: this kernel has no CAN (modprobe can_raw may load it; udp://, slcan:// and socketcand:// need none)"

  /// Lets only these frames through, from now on; what waits already still comes. No filter lets nothing through but error frames.
  /// - Parameter joined: a frame must pass all of them instead of one. With two or more the kernel then withholds error frames.
  public func setFilters(_ filters: [Filter], joined: Bool = false) throws(PortError) {
    self.filters = filters
    filtersAreJoined = joined
    if descriptor >= 0 { try apply(filters) }
  }

  /// The kernel gives a frame back once the controller had it acknowledged; a virtual interface at once. With filters it does not tell:
  /// they may keep that back.
  public func confirmSending() throws(PortError) -> Bool {
    guard filters == nil else { return false }
    confirms = true
    guard descriptor >= 0 else { return true }
    let code = ports_can_take_own_frames(descriptor)
    guard code == 0 else { throw .system(HostError(name, attempt: "ask for its own frames", code: code)) }
    return true
  }

  private func apply(_ filters: [Filter]) throws(PortError) {
    let raw = filters.map { ports_can_filter(id: $0.isInverted ? $0.id | 0x2000_0000 : $0.id, mask: $0.mask & ~0x2000_0000) }
    let code = ports_can_set_filters(descriptor, raw, Int32(clamping: raw.count), filtersAreJoined)
    guard code == 0 else { throw .system(HostError(name, attempt: "set \(raw.count) filters", code: code)) }
  }

  /// Delivers what waits.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    guard !isClosed else { return }
    if descriptor < 0 {
      guard lookAgain(take) else { return }
      take(.returned)
    }
    for _ in 0..<SocketCANPort.batches {
      let count = ports_can_receive(descriptor, &batch)
      if count < 0 {
        switch errno {
        case EAGAIN: break
        case EINTR: continue
        // The kernel says so once, before the frames that still wait.
        case ENETDOWN: loss = down; continue
        case ENODEV, ENXIO: loss = .vanished(name); continue
        case let code: throw .system(HostError(name, attempt: "receive", code: code))
        }
        break
      }
      for place in 0..<Int(count) { deliver(batch[place], take) }
      if count < batch.count, loss == nil { return }
    }
    if let loss {
      self.loss = nil
      _ = Glibc.close(descriptor)
      descriptor = -1
      wakeTime_ns = PortPoller.now_ns &+ SocketCANPort.retry_ns
      if let news = reason.news(loss) { take(.lost(news)) }
    }
  }

  private func lookAgain(_ take: (PortEvent) -> Void) -> Bool {
    guard let time = wakeTime_ns, PortPoller.now_ns >= time else { return false }
    do throws(PortError) { try open() } catch {
      wakeTime_ns = PortPoller.now_ns &+ SocketCANPort.retry_ns
      if let news = reason.news(error) { take(.lost(news)) }
      return false
    }
    wakeTime_ns = nil
    reason.end()
    return true
  }

  private func deliver(_ raw: ports_can_frame, _ take: (PortEvent) -> Void) {
    counters.dropped &+= drops.advance(to: raw.lost)
    if raw.is_own {
      if confirms { counters.confirmed &+= 1 }
      guard options.ownFrames else { return }
    }
    counters.received &+= 1
    let time = Timestamp(nanoseconds: raw.time_ns == 0 ? PortPoller.wallClock_ns : raw.time_ns)
    let direction: Direction = raw.is_local ? .transmitted : .received
    take(.frame(CANRecord(time: time, precision: .nanoseconds, direction: direction, frame: CANFrame(raw))))
  }

  /// Hands a frame to the interface's queue.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard !isClosed else { throw .vanished(name) }
    guard descriptor >= 0, loss == nil else {
      counters.refused &+= 1
      return .full
    }
    var raw = ports_can_frame(frame)
    switch ports_can_send(descriptor, &raw) {
    case 0:
      counters.sent &+= 1
      return .sent
    case ENOBUFS, EAGAIN:
      counters.refused &+= 1
      return .full
    case ENETDOWN:
      return lose(down)
    case ENODEV, ENXIO:
      return lose(.vanished(name))
    case EINVAL where frame.flags.contains(.fd), EMSGSIZE:
      let setting = CANInterface.isVirtual(name) ? "mtu 72" : "type can bitrate 500000 dbitrate 2000000 fd on"
      throw .unsendable(
        name,
        what: "send CAN FD frames: the interface takes classic ones only "
          + "(ip link set \(name) down; ip link set \(name) \(setting); ip link set \(name) up)")
    // The socket itself is in order.
    case EINVAL: throw .unsendable(name, what: "send such a frame: the kernel does not take it")
    case let code: throw .system(HostError(name, attempt: "send", code: code))
    }
  }

  /// `receive` is called at once and tells it.
  private func lose(_ error: PortError) -> SendResult {
    loss = error
    wakeTime_ns = PortPoller.now_ns
    counters.refused &+= 1
    return .full
  }

  /// Gives the socket back.
  public func close() {
    isClosed = true
    wakeTime_ns = nil
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}

extension CANFrame {
  fileprivate init(_ raw: ports_can_frame) {
    self.init()
    let isError = raw.id & 0x2000_0000 != 0
    id = ArbitrationID(rawValue: isError ? raw.id & 0x1FFF_FFFF : raw.id & 0x9FFF_FFFF)
    if isError { flags.insert(.error) }
    if raw.id & 0x4000_0000 != 0 { flags.insert(.remote) }
    if raw.is_fd {
      flags.insert(.fd)
      if raw.fd_flags & 1 != 0 { flags.insert(.bitRateSwitch) }
      if raw.fd_flags & 2 != 0 { flags.insert(.errorStateIndicator) }
    }
    length = min(raw.length, raw.is_fd ? 64 : 8)
    rawDLC = !raw.is_fd && raw.length == 8 && (9...15).contains(raw.raw_dlc) ? raw.raw_dlc : 0
    guard !flags.contains(.remote) else { return }
    withUnsafeBytes(of: raw.data) { data in
      for index in 0..<Int(length) { setByte(index, data[index]) }
    }
  }
}

extension ports_can_frame {
  fileprivate init(_ frame: CANFrame) {
    self.init()
    id = frame.id.rawValue
    if frame.flags.contains(.remote) { id |= 0x4000_0000 }
    if frame.flags.contains(.error) { id = id & 0x1FFF_FFFF | 0x2000_0000 }
    is_fd = frame.flags.contains(.fd)
    length = min(frame.length, is_fd ? 64 : 8)
    raw_dlc = frame.rawDLC
    if frame.flags.contains(.bitRateSwitch) { fd_flags |= 1 }
    if frame.flags.contains(.errorStateIndicator) { fd_flags |= 2 }
    let count = min(frame.payloadLength, Int(length))
    withUnsafeMutableBytes(of: &data) { data in
      for index in 0..<count { data[index] = frame.byte(index) }
    }
  }
}
