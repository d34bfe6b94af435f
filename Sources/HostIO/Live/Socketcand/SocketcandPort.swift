public import Bus
private import Glibc

/// A bus that another machine shares with the program socketcand, in its raw mode.
///
/// Its protocol loses the direction, an error frame's data and, in servers so far, remote frames that arrive. A server that goes away is
/// `.lost`, looked for once a second and `.returned` once it has the bus open again.
public final class SocketcandPort: BusPort {
  /// The bus at the server.
  public let name: String
  /// Readable when something came; −1 while there is no connection.
  public var descriptor: Int32 { link.descriptor }
  /// When `receive` wants to be called, monotonic ns.
  public var wakeTime_ns: Int64? {
    guard early.isEmpty else { return 0 }
    guard let deadline_ns else { return link.wakeTime_ns }
    return min(deadline_ns, link.wakeTime_ns ?? .max)
  }
  /// What passed here.
  public private(set) var counters = PortCounters()
  /// The other end is a server.
  public var advice: PortAdvice {
    let words = complaint.map { "it said \"\($0)\": " } ?? ""
    var advice = PortAdvice(expected: "frame of a socketcand in raw mode", question: words + "what does \(server) run?")
    // What is said in words is no noise.
    if complaint != nil { advice.many = 1 }
    return advice
  }
  /// The server stamps with its own clock.
  public var usesSystemClock: Bool { false }
  private let link: ByteLink
  private let server: String
  private var splitter = SocketcandSplitter()
  private var state = State.greeting
  private var deadline_ns: Int64?
  private var isFirst = true
  private var trouble: PortError?
  /// What came together with the last word of the handshake.
  private var early: [PortEvent] = []
  /// How long a server may take to answer.
  private static let patience_ns: Int64 = 5_000_000_000

  private enum State { case greeting, opening, switching, raw }

  /// Connects and opens the bus, within ten seconds.
  public init(host: String, port: UInt16 = 29_536, interface: String) throws(PortError) {
    guard (1...16).contains(interface.utf8.count),
      interface.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3C && $0 != 0x3E })
    else { throw .badAddress(interface, expected: "the name of a bus, at most 16 letters and digits") }
    name = interface
    server = "\(host):\(port)"
    link = ByteLink(.tcp(host: host, port: port))
    try link.open()
    deadline_ns = PortPoller.now_ns &+ SocketcandPort.patience_ns
    while state != .raw {
      _ = PortPoller.wait([link.descriptor], until_ns: wakeTime_ns ?? PortPoller.now_ns)
      var failure: PortError?
      step { if case .lost(let error) = $0 { failure = error } else { early.append($0) } }
      if let failure {
        close()
        throw failure
      }
    }
    isFirst = false
  }

  private func restart() {
    state = .greeting
    splitter.startAnew()
    trouble = nil
    deadline_ns = PortPoller.now_ns &+ SocketcandPort.patience_ns
  }

  /// Delivers what came.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    for event in early { take(event) }
    early = []
    step(take)
  }

  private func step(_ take: (PortEvent) -> Void) {
    let wasRaw = state == .raw
    let change = link.pump { bytes in
      splitter.take(bytes) { message in hear(message, take) }
    }
    counters.malformed = splitter.malformed &+ others
    switch change {
    case .opened?: restart()
    // What went wrong before the bus was open was never "there".
    case .lost(let error)?:
      deadline_ns = nil
      if wasRaw || state == .raw || isFirst { take(.lost(trouble ?? error)) }
      state = .greeting
    case nil:
      if let deadline_ns, PortPoller.now_ns >= deadline_ns, state != .raw, trouble == nil {
        trouble = .refused(server, reason: "does not answer as a socketcand does")
      }
      if let trouble {
        _ = link.drop(trouble)
        deadline_ns = nil
        if wasRaw || isFirst { take(.lost(trouble)) }
        state = .greeting
        self.trouble = nil
      }
    }
  }

  private var others: UInt64 = 0
  /// The first error that the server told in words while the bus was open.
  private var complaint: String?

  private func hear(_ message: SocketcandMessage, _ take: (PortEvent) -> Void) {
    switch (state, message) {
    case (.greeting, .hi):
      state = .opening
      _ = link.write(Array("< open \(name) >".utf8))
    case (.opening, .ok):
      state = .switching
      _ = link.write(Array("< rawmode >".utf8))
    case (.switching, .ok):
      state = .raw
      deadline_ns = nil
      if !isFirst { take(.returned) }
    case (.raw, .frame(let frame, let time_us)):
      counters.received &+= 1
      let time = Timestamp(nanoseconds: time_us &* 1000)
      take(.frame(CANRecord(time: time, precision: .microseconds, frame: frame)))
    case (.raw, .echo), (.raw, .ok), (_, .frame): break
    case (.raw, .hi): others &+= 1
    case (.raw, .other(let text)):
      others &+= 1
      if complaint == nil, text.hasPrefix("error") { complaint = String(text.prefix(80)) }
    case (.greeting, .other(let text)), (.opening, .other(let text)), (.switching, .other(let text)):
      let shown = String(text.prefix(80))
      trouble = .refused(
        server, reason: state == .opening ? "does not open \(name): \"\(shown)\"" : "said \"\(shown)\", not < hi > or < ok >")
    default: trouble = .refused(server, reason: "answered out of turn while \(name) was being opened")
    }
  }

  /// Hands a frame to the server; whether the bus took it, its protocol does not tell.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard let command = SocketcandMessage.command(sending: frame) else {
      throw .unsendable(name, what: "send error frames through socketcand")
    }
    guard state == .raw, link.write(command) else {
      counters.refused &+= 1
      return .full
    }
    counters.sent &+= 1
    return .sent
  }

  /// Leaves the server.
  public func close() {
    link.close()
    deadline_ns = nil
  }
}
