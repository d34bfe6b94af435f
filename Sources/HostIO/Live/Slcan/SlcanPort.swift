public import Bus

/// An adapter on a serial port that speaks slcan (Lawicel, CANable, USBtin, candleLight's serial kind).
///
/// Times are those of arrival here. What a frame met on the bus the protocol does not tell; adapters report their state when asked. An
/// adapter that is pulled is `.lost`, looked for once a second and, set up anew, `.returned`. So is one that refuses every frame.
public final class SlcanPort: BusPort {
  /// The bus as it is named in captures.
  public let name: String
  /// Readable when something came; −1 while there is no adapter.
  public var descriptor: Int32 { link.descriptor }
  /// When `receive` wants to be called, monotonic ns.
  public var wakeTime_ns: Int64? {
    guard early.isEmpty else { return 0 }
    let times = [deadline_ns, statusTime_ns, link.wakeTime_ns].compactMap { $0 }
    return times.min()
  }
  /// What passed here. `refused` counts what the adapter would not send, too.
  public private(set) var counters = PortCounters()
  /// At another rate of the serial line everything is garbled.
  public var advice: PortAdvice {
    PortAdvice(
      unit: "line", expected: "slcan",
      question: "is the rate of the serial line right (?serial=57600 behind the address), and does the device speak slcan?")
  }
  private let link: ByteLink
  private let device: String
  private let rateDigit: Int
  private let listenOnly: Bool
  private let statusInterval_ns: Int64?
  private var statusTime_ns: Int64?
  /// Questions for the state since its last answer.
  private var unanswered = 0
  private var line: [UInt8] = []
  private var step = Step.quieting
  private var deadline_ns: Int64?
  private var isFirst = true
  private var early: [PortEvent] = []
  private var trouble: PortError?
  private var lastStatus: UInt8 = 0
  private var refusals: RefusalWatch
  private let refusalPatience_ns: Int64
  /// The longest line: an FD frame with a time stamp has 142 characters.
  private static let capacity = 160
  /// How long an adapter may take to answer; many never do, and go on all the same.
  private static let patience_ns: Int64 = 200_000_000
  /// An adapter that let so many questions for its state pass, or refused them, is not asked any more until it is set up anew.
  static let mostUnanswered = 3

  private enum Step { case quieting, setting, opening, open }

  /// Opens the device and has the adapter go on the bus.
  /// - Parameters:
  ///   - bitRate: one of 10, 20, 50, 100, 125, 250, 500, 800, 1000 kbit/s.
  ///   - serialRate: of the serial line; adapters on USB do not mind.
  ///   - listenOnly: without a word on the bus, not even an acknowledgement; not every adapter knows that.
  ///   - statusInterval_ns: how often the adapter is asked for its state, which then comes as error frames; `nil` = never.
  ///   - refusalPatience_ns: how long an adapter may refuse frames, with nothing else heard of it, before it is lost.
  public init(
    device: String, bitRate: UInt32, serialRate: UInt32 = 115_200, listenOnly: Bool = false, statusInterval_ns: Int64? = nil,
    refusalPatience_ns: Int64 = 2_000_000_000
  ) throws(PortError) {
    guard let digit = SlcanMessage.bitRates.firstIndex(of: bitRate) else {
      let all = SlcanMessage.bitRates.map { String($0) }.joined(separator: ", ")
      throw .unsupported(device, what: "set \(bitRate) bit/s: slcan knows \(all)")
    }
    name = String(device.split(separator: "/").last ?? "slcan")
    self.device = device
    rateDigit = digit
    self.listenOnly = listenOnly
    self.statusInterval_ns = statusInterval_ns
    self.refusalPatience_ns = refusalPatience_ns
    refusals = RefusalWatch(patience_ns: refusalPatience_ns)
    // Frames that wait here get old: some tens of them, and then there is no more room.
    link = ByteLink(.serial(device: device, rate: serialRate), capacity: 1024)
    try link.open()
    setUp()
    while step != .open {
      _ = PortPoller.wait([link.descriptor], until_ns: wakeTime_ns ?? PortPoller.now_ns)
      var failure: PortError?
      advance { if case .lost(let error) = $0 { failure = error } else { early.append($0) } }
      if let failure {
        link.close()
        throw failure
      }
    }
    isFirst = false
  }

  /// Ends a line that another program left half written, and closes the bus that it left open.
  private func setUp() {
    line = []
    trouble = nil
    step = .quieting
    say("\r\rC\r")
  }

  private func say(_ text: String) {
    _ = link.write(Array(text.utf8))
    deadline_ns = PortPoller.now_ns &+ SlcanPort.patience_ns
  }

  /// Goes on to the next step of setting up.
  private func goOn(_ take: (PortEvent) -> Void) {
    switch step {
    case .quieting:
      step = .setting
      say("S\(rateDigit)\r")
    case .setting:
      step = .opening
      say(listenOnly ? "L\r" : "O\r")
    case .opening:
      step = .open
      deadline_ns = nil
      refusals = RefusalWatch(patience_ns: refusalPatience_ns)
      unanswered = 0
      statusTime_ns = statusInterval_ns.map { PortPoller.now_ns &+ $0 }
      if !isFirst { take(.returned) }
    case .open: break
    }
  }

  /// Delivers what came.
  public func receive(_ take: (PortEvent) -> Void) throws(PortError) {
    for event in early { take(event) }
    early = []
    advance(take)
  }

  private func advance(_ take: (PortEvent) -> Void) {
    let wasOpen = step == .open
    let now = Timestamp(nanoseconds: PortPoller.wallClock_ns)
    switch link.pump({ bytes in for byte in bytes { hear(byte, at: now, take) } }) {
    case .opened?: setUp()
    case .lost(let error)?: lose(error, wasOpen, take)
    case nil: break
    }
    if let trouble {
      _ = link.drop(trouble)
      lose(trouble, wasOpen, take)
    }
    if let time_ns = deadline_ns, PortPoller.now_ns >= time_ns { goOn(take) }
    if let time_ns = statusTime_ns, PortPoller.now_ns >= time_ns, let interval_ns = statusInterval_ns { askForState(interval_ns) }
  }

  private func askForState(_ interval_ns: Int64) {
    guard unanswered < SlcanPort.mostUnanswered else {
      statusTime_ns = nil
      return
    }
    if link.write(Array("F\r".utf8)) {
      refusals.asked()
      unanswered += 1
    }
    statusTime_ns = PortPoller.now_ns &+ interval_ns
  }

  private func lose(_ error: PortError, _ wasOpen: Bool, _ take: (PortEvent) -> Void) {
    deadline_ns = nil
    statusTime_ns = nil
    trouble = nil
    step = .quieting
    if wasOpen || isFirst { take(.lost(error)) }
  }

  private func hear(_ byte: UInt8, at now: Timestamp, _ take: (PortEvent) -> Void) {
    switch byte {
    // The bell: refused.
    case 7:
      line.removeAll(keepingCapacity: true)
      switch step {
      case .quieting: break
      case .setting: trouble = .refused(device, reason: "the adapter refuses \(SlcanMessage.bitRates[rateDigit]) bit/s")
      case .opening:
        trouble = .refused(device, reason: "the adapter refuses to go on the bus" + (listenOnly ? " only to listen" : ""))
      case .open:
        let now_ns = PortPoller.now_ns
        if refusals.bell(now_ns) { counters.refused &+= 1 }
        if refusals.refusesEverything(now_ns) {
          trouble = .refused(device, reason: "the adapter refuses every frame (is it off the bus? bit rate, wiring, termination)")
        }
      }
    case 13:
      if step == .open { hearLine(at: now, take) } else if step != .quieting, line.isEmpty { goOn(take) }
      line.removeAll(keepingCapacity: true)
    // Some end their lines with both.
    case 10: break
    default:
      if line.count < SlcanPort.capacity {
        line.append(byte)
      } else {
        // What never ends is none either; what is left of it begins as no line does.
        if step == .open { counters.malformed &+= 1 }
        line = [0]
      }
    }
  }

  private func hearLine(at now: Timestamp, _ take: (PortEvent) -> Void) {
    let message = line.isEmpty ? SlcanMessage.other : SlcanMessage(line)
    // Its state an adapter tells that refuses every frame, too.
    if case .status? = message { refusals.answered() } else { refusals.heardSomething() }
    switch message {
    case .frame(let frame)?: deliver(frame, at: now, take)
    case .status(let flags)?:
      unanswered = 0
      // A late answer is one.
      statusTime_ns = statusTime_ns ?? statusInterval_ns.map { PortPoller.now_ns &+ $0 }
      // Each state once; the adapter forgets its flags when it has told them, but for those that still hold.
      if flags != lastStatus, let frame = SlcanMessage.errorFrame(status: flags) { deliver(frame, at: now, take) }
      lastStatus = flags
    case .other?: break
    case nil: counters.malformed &+= 1
    }
  }

  private func deliver(_ frame: CANFrame, at now: Timestamp, _ take: (PortEvent) -> Void) {
    counters.received &+= 1
    take(.frame(CANRecord(time: now, precision: .microseconds, direction: .received, frame: frame)))
  }

  /// Hands a frame to the adapter.
  public func send(_ frame: CANFrame) throws(PortError) -> SendResult {
    guard !listenOnly else { throw .unsupported(device, what: "send: it was opened only to listen") }
    guard let text = SlcanMessage.line(sending: frame) else {
      throw .unsendable(device, what: "send error frames, nor FD frames of a kind or length that slcan has no word for")
    }
    guard step == .open, link.write(text) else {
      counters.refused &+= 1
      return .full
    }
    counters.sent &+= 1
    refusals.frameWent()
    return .sent
  }

  /// Takes the adapter off the bus.
  public func close() {
    if step == .open { _ = link.write(Array("C\r".utf8)) }
    step = .quieting
    deadline_ns = nil
    statusTime_ns = nil
    link.close()
  }
}
