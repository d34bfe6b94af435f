public import Bus
private import CPorts
private import Glibc

/// python-can's `udp_multicast` bus over IPv4: any number of processes, on one machine or on one network, hear one another.
///
/// A network is no bus: nothing arbitrates, nothing acknowledges, and under load datagrams get lost. What this port sends it does
/// not hear itself; each port talks from a UDP port of its own, and so knows its datagrams when they come round.
public final class MulticastPort: BusPort {
  /// The bus as it is named in captures.
  public let name: String
  /// Readable when a datagram waits; −1 once closed.
  public private(set) var descriptor: Int32
  /// What passed here.
  public private(set) var counters = PortCounters()
  /// Anybody may send anything to a group.
  public var advice: PortAdvice {
    PortAdvice(
      unit: "datagram", expected: "frame of python-can's udp_multicast", question: "who else uses this group and port?",
      room: ReceiveRoom.advice(descriptor, wanted_bytes: MulticastPort.waitingBytes))
  }
  private let group: UInt32
  private let port: UInt16
  private var voice: Int32 = -1
  private var ownAddress: UInt32 = 0
  private var ownPort: UInt16 = 0
  private var drops = KernelDrops()
  private var buffer = [UInt8](repeating: 0, count: MulticastMessage.capacity)
  /// Room in the kernel for datagrams that wait; where the system allows less, it is less.
  private static let waitingBytes: Int32 = 4 << 20
  /// Datagrams taken in one go at most, so that a flood leaves the caller's loop a breath.
  private static let batch = 4096

  /// Joins the group; sends nothing.
  /// - Parameter group: an IPv4 multicast address, 224.0.0.0 to 239.255.255.255.
  public init(name: String = "udp", group: String = PortAddress.group, port: UInt16 = 43_113) throws(PortError) {
    var address = in_addr()
    guard inet_pton(AF_INET, group, &address) == 1, address.s_addr & in_addr_t(0xF0).littleEndian == in_addr_t(0xE0).littleEndian
    else {
      throw .badAddress(group, expected: "an IPv4 multicast address, 224.0.0.0 to 239.255.255.255")
    }
    self.name = name
    self.group = address.s_addr
    self.port = port.bigEndian
    descriptor = ports_multicast_listen(address.s_addr, port.bigEndian, MulticastPort.waitingBytes)
    guard descriptor >= 0 else { throw MulticastPort.failure("\(group):\(port)", attempt: "join the multicast group", errno) }
    do throws(PortError) { try openVoice() } catch {
      close()
      throw error
    }
  }

  deinit { close() }

  private static func failure(_ subject: String, attempt: String, _ code: Int32) -> PortError {
    .system(HostError(subject, attempt: attempt, code: code))
  }

  private func openVoice() throws(PortError) {
    if voice >= 0 { _ = Glibc.close(voice) }
    voice = ports_multicast_talk(group, port, &ownAddress, &ownPort)
    guard voice >= 0 else { throw MulticastPort.failure(name, attempt: "open a multicast socket for sending", errno) }
  }

  /// Delivers what others sent. Datagrams that are no frame are counted as malformed.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    for _ in 0..<MulticastPort.batch {
      guard descriptor >= 0 else { return }
      var time_ns: Int64 = 0
      var address: UInt32 = 0
      var port: UInt16 = 0
      var lost: UInt32 = 0
      let count = ports_multicast_receive(descriptor, &buffer, buffer.count, &time_ns, &address, &port, &lost)
      guard count >= 0 else {
        if errno == EAGAIN || errno == EINTR { return }
        throw MulticastPort.failure(name, attempt: "receive", errno)
      }
      counters.dropped &+= drops.advance(to: lost)
      if port == ownPort, address == ownAddress { continue }
      let frame = buffer.withUnsafeBytes { MulticastMessage.frame(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      guard let frame else {
        counters.malformed &+= 1
        continue
      }
      counters.received &+= 1
      let time = Timestamp(nanoseconds: time_ns == 0 ? PortPoller.wallClock_ns : time_ns)
      take(.frame(CANRecord(time: time, precision: .nanoseconds, direction: .received, frame: frame)))
    }
  }

  /// Sends a frame to the group.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard descriptor >= 0 else { throw .vanished(name) }
    let bytes = MulticastMessage.bytes(of: frame, time_ns: PortPoller.wallClock_ns)
    var isSecond = false
    while true {
      if Glibc.send(voice, bytes, bytes.count, Int32(MSG_DONTWAIT)) >= 0 {
        counters.sent &+= 1
        return .sent
      }
      switch errno {
      case EINTR, ECONNREFUSED: continue
      case EAGAIN, ENOBUFS:
        counters.refused &+= 1
        return .full
      case let code:
        // The route or the address it was bound to has gone: once more from whatever is there now.
        guard !isSecond else { throw MulticastPort.failure(name, attempt: "send", code) }
        isSecond = true
        try openVoice()
      }
    }
  }

  /// Leaves the group.
  public func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    if voice >= 0 { _ = Glibc.close(voice) }
    descriptor = -1
    voice = -1
  }
}
