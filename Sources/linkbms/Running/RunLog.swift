import Analysis
import Bus
import Controller
import HostIO
import Logging
import Runtime
import Synchronization

/// Log lines for people and for journald: to standard error, never waiting for it.
struct RunLogHandler: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  private let sink: Sink

  /// Where the lines go, and what time it is for them.
  final class Sink: Sendable {
    /// ns since 1970.
    private let time_ns = Mutex<Int64>(0)
    /// Whether journald reads: it has times of its own and wants priorities.
    let isJournal: Bool
    private let write: @Sendable (String) -> Void

    init(isJournal: Bool, _ write: @escaping @Sendable (String) -> Void) {
      self.isJournal = isJournal
      self.write = write
    }

    func setTime(_ now_ns: Int64) { time_ns.withLock { $0 = now_ns } }

    func put(_ level: Logger.Level, _ text: String) {
      guard !isJournal else { return write("<\(level.priority)>\(text)\n") }
      let now = time_ns.withLock { $0 }
      let thousandths = "\(1000 + now / 1_000_000 % 1000)".dropFirst()
      write("\(CalendarTime(Timestamp(nanoseconds: now))).\(thousandths) \(level.rawValue): \(text)\n")
    }
  }

  init(_ sink: Sink) { self.sink = sink }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { sink.put(event.level, "\(event.message)") }
}

extension Logger.Level {
  /// As syslog numbers them.
  var priority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}

/// What happens in a run, in words.
struct RunText {
  private var events: EventText
  private let parts: (Part) -> String

  /// - Parameter parts: the name of a port or line.
  init(_ configuration: Configuration, parts: @escaping (Part) -> String) {
    events = EventText(configuration)
    self.parts = parts
  }

  /// The same words for another configuration.
  mutating func take(_ configuration: Configuration) { events = EventText(configuration) }

  /// A note with its weight.
  func note(_ kind: Note.Kind) -> (level: Logger.Level, text: String) {
    switch kind {
    case .event(let event): (level(event), events.event(event))
    case .doubt(let doubt): (doubt.isExpected ? .notice : .error, "contactors are to open: \(self.doubt(doubt))")
    case .doubtOver(let doubt): (.notice, "over: \(self.doubt(doubt))")
    case .released: (.notice, "everything was measured anew: the controller may close again")
    case .ordered(let contactors): (.notice, "PDU ordered: \(EventText.contactors(contactors))")
    }
  }

  /// A doubt in words.
  func doubt(_ doubt: Doubt) -> String {
    switch doubt {
    case .starting: "start: nothing has been measured yet"
    case .lateStep(let milliseconds): "the control step came \(milliseconds) ms late"
    case .lost(let part, let why): "\(parts(part)) is gone: \(why)"
    case .writeFailed(let part, let why): "nothing can be sent to \(parts(part)): \(why)"
    case .queueFull(let port):
      "\(parts(.port(port))) takes no frame, or sends none: nobody acknowledges, the bus is full, or its controller is off or only listens"
    case .pduUnconfirmed: "the PDU has not answered an order for 1 s"
    case .pduDisagrees: "the PDU has opened by itself, or does not do what it is told"
    case .storeFailed(let why): "the state cannot be stored: \(why)"
    case .input(let place): "input \(place + 1) keeps them open"
    case .fault(let what): what
    case .stopping(let why): "stop: \(why)"
    case .ordered(let why): "held by order: \(why)"
    case .opened(let status): "the controller has opened them by itself: \(status.word)"
    }
  }

  private func level(_ event: Event.Kind) -> Logger.Level {
    switch event {
    case .status(_, let to, _):
      switch to {
      case .running, .checking: .notice
      case .warning: .warning
      default: .error
      }
    case .chain(_, _, let to, _):
      switch to {
      case .ok, .off, .noData: .info
      case .warning: .warning
      case .communicationError, .protect: .error
      }
    case .prechargeFailed, .weldSuspected, .configurationRejected: .error
    case .moduleSum, .clockJump: .warning
    case .contactors, .configurationAccepted: .notice
    case .charging, .discharging, .stateOfChargeSet: .info
    }
  }
}

extension Doubt {
  /// Belongs to a start or an end.
  var isExpected: Bool {
    switch self {
    case .starting, .stopping, .ordered: true
    default: false
    }
  }
}
