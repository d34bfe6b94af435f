public import Bus
private import CPcap
private import Glibc

/// A CAN interface through libpcap: listens only, with a filter in pcap's language.
///
/// What libpcap does not tell: the direction, and before its version 1.10.5 an FD frame's flags (BRS, ESI). `SocketCANPort` has both.
public final class PcapPort: BusPort {
  /// The interface.
  public let name: String
  /// Readable when packets wait; −1 while the interface is lost and once closed.
  public private(set) var descriptor: Int32 = -1
  /// When to look for a lost interface again, monotonic ns.
  public private(set) var wakeTime_ns: Int64?
  /// What passed here.
  public private(set) var counters = PortCounters()
  /// Packets that are no frame are of a kind that is not known here.
  public var advice: PortAdvice { PortAdvice(unit: "packet", expected: "CAN or CAN FD frame", question: "CAN XL is not read") }
  private let filter: String
  private var capture: OpaquePointer?
  private var droppedBefore: UInt64 = 0
  private var reason = LossReason()
  private var isClosed = false
  private var packets = [pcap_capture_packet](repeating: pcap_capture_packet(), count: 64)
  private static let retry_ns: Int64 = 1_000_000_000
  private static let waitingBytes: Int32 = 16 << 20
  private static let batches = 256

  /// Opens an interface that is up.
  /// - Parameter filter: pcap's language; of it, link type CAN knows offsets: `link[0:4] & 0x1fffffff = 0x351`. Empty = everything.
  public init(interface: String, filter: String = "") throws(PortError) {
    name = interface
    self.filter = filter
    try open()
  }

  deinit { close() }

  private func open() throws(PortError) {
    var text = [CChar](repeating: 0, count: 512)
    var opened: OpaquePointer?
    let result = pcap_capture_open(name, filter, PcapPort.waitingBytes, &opened, &text, Int32(text.count))
    let words = PcapPort.words(text)
    switch result {
    case pcap_capture_opened: break
    case pcap_capture_absent: throw .absent(name)
    case pcap_capture_down: throw .down(name, isVirtual: CANInterface.isVirtual(name))
    case pcap_capture_not_can: throw .notCAN(name)
    case pcap_capture_not_permitted:
      throw .notPermitted(
        name, needs: "CAP_NET_RAW: run as root or give the program the capability (setcap cap_net_raw+ep \"$(command -v linkbms)\")"
      )
    case pcap_capture_bad_filter: throw .badAddress(filter, expected: "a pcap filter that link type CAN knows (\(words))")
    default: throw .refused(name, reason: "libpcap cannot open it: \(words)")
    }
    guard let opened else { throw .refused(name, reason: "libpcap cannot open it") }
    capture = opened
    descriptor = pcap_capture_descriptor(opened)
  }

  private static func words(_ text: [CChar]) -> String {
    String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Delivers what waits.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    guard !isClosed else { return }
    if capture == nil {
      guard let time = wakeTime_ns, PortPoller.now_ns >= time else { return }
      do throws(PortError) { try open() } catch {
        wakeTime_ns = PortPoller.now_ns &+ PcapPort.retry_ns
        if let news = reason.news(error) { take(.lost(news)) }
        return
      }
      wakeTime_ns = nil
      reason.end()
      take(.returned)
    }
    guard let capture else { return }
    var text = [CChar](repeating: 0, count: 512)
    for _ in 0..<PcapPort.batches {
      var isMore = false
      let count = Int(pcap_capture_read(capture, &packets, Int32(packets.count), &isMore, &text, Int32(text.count)))
      guard count >= 0 else {
        lose()
        if let news = reason.news(cause(PcapPort.words(text))) { take(.lost(news)) }
        return
      }
      for place in 0..<count { deliver(packets[place], take) }
      if !isMore { break }
    }
    counters.dropped = droppedBefore &+ UInt64(pcap_capture_dropped(capture))
  }

  /// What became of the interface; libpcap has words of its own for that.
  private func cause(_ words: String) -> PortError {
    guard let interface = try? CANInterface(name) else { return .vanished(name) }
    guard interface.isUp else { return .down(name, isVirtual: interface.driver == nil) }
    return .refused(name, reason: "libpcap hears nothing any more: \(words)")
  }

  private func lose() {
    closeCapture()
    droppedBefore = counters.dropped
    wakeTime_ns = PortPoller.now_ns &+ PcapPort.retry_ns
  }

  private func deliver(_ packet: pcap_capture_packet, _ take: (PortEvent) -> Void) {
    let frame = withUnsafeBytes(of: packet.bytes) {
      PcapPort.frame(from: UnsafeRawBufferPointer(rebasing: $0[..<min($0.count, Int(packet.length))]))
    }
    guard let frame else {
      counters.malformed &+= 1
      return
    }
    counters.received &+= 1
    take(.frame(CANRecord(time: Timestamp(nanoseconds: packet.time_ns), precision: .nanoseconds, frame: frame)))
  }

  /// A packet of link type 227 as it comes from an interface.
  /// - Returns: `nil` where it is too short, or CAN XL.
  static func frame(from packet: UnsafeRawBufferPointer) -> CANFrame? {
    guard packet.count >= 8 else { return nil }
    let word = UInt32(bigEndian: packet.loadUnaligned(as: UInt32.self))
    var frame = CANFrame()
    let isError = word & 0x2000_0000 != 0, isRemote = word & 0x4000_0000 != 0
    // The kernel hands over whole structures, 16 bytes classic and 72 FD: their size is surer than the flag that libpcap may have cleared.
    let isFD = packet.count > 16 || packet[5] & 4 != 0
    frame.id = ArbitrationID(rawValue: isError ? word & 0x1FFF_FFFF : word & 0x9FFF_FFFF)
    if isError { frame.flags.insert(.error) }
    if isRemote { frame.flags.insert(.remote) }
    if isFD {
      frame.flags.insert(.fd)
      if packet[5] & 1 != 0 { frame.flags.insert(.bitRateSwitch) }
      if packet[5] & 2 != 0 { frame.flags.insert(.errorStateIndicator) }
    }
    frame.length = packet[4]
    guard isFD ? CANFrame.isFDLength(frame.length) : frame.length <= 8 else { return nil }
    if !isFD, frame.length == 8, (9...15).contains(packet[7]) { frame.rawDLC = packet[7] }
    guard !isRemote else { return frame }
    guard packet.count >= 8 + Int(frame.length) else { return nil }
    for index in 0..<Int(frame.length) { frame.setByte(index, packet[8 + index]) }
    return frame
  }

  /// This port only listens.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    throw .unsupported(name, what: "send: pcap only listens; use \(name) without pcap://")
  }

  private func closeCapture() {
    if let capture { pcap_capture_close(capture) }
    capture = nil
    descriptor = -1
  }

  /// Gives the interface back.
  public func close() {
    isClosed = true
    wakeTime_ns = nil
    closeCapture()
  }
}
