public import Bus
public import Formats
import Protocols

/// The controller's status as what it tells an inverter shows it, where a capture holds nothing else; and what no controller that follows
/// spec/controller.md §4 and §5 would have said. Sans-IO: records go in.
public struct StateInference: RecordSink, Sendable {
  /// A status as the frames show it.
  public enum Apparent: String, Sendable {
    case checking = "CHECKING"
    case running = "RUNNING"
    case warning = "WARNING"
    case protecting = "PROTECT"
    case overcurrent = "OCP"
    case communicationError = "COM ERR"
    case prechargeError = "PRECHARGE_ERR"

    /// Whether the contactors are open in it.
    var isOpen: Bool { self != .running && self != .warning }
    /// Seconds that it lasts at least.
    var least: Double { self == .overcurrent ? 30 : self == .protecting ? 10 : 0 }
  }

  /// A status that began.
  public struct Change: Sendable, Equatable {
    /// Which.
    public var status: Apparent
    /// Where.
    public var mark: RecordMark
    /// What shows it.
    public var reason: String
  }

  /// Something that the specification does not allow.
  public struct Oddity: Sendable, Equatable {
    /// In one sentence, with the section that it breaks.
    public var text: String
    /// Where first.
    public var first: RecordMark
    /// How often.
    public var count = 1
  }

  /// Oldest first; at most 1000.
  public private(set) var changes: [Change] = []
  /// One of a kind, with their counts.
  public private(set) var oddities: [Oddity] = []
  /// Cycles of the battery that were looked at.
  public private(set) var cycles = 0
  private let link: CompiledLink?
  private let bus: String
  private let messages: [WatchedMessage]
  private let signals: [WatchedSignal]
  private let choices: [WatchedChoice]
  private var names: [String] = []
  private var number: UInt64 = 0
  private var values = QuantityValues()
  private var began_ns: Int64 = 0
  private var last: (time: Int64, charge: Int64, discharge: Int64)?
  private var highest = (charge: Int64(0), discharge: Int64(0))
  private var flowing: Int64?
  private var unmarked: Int64?

  /// - Parameters:
  ///   - link: what the battery's side speaks; `nil` = nothing can be inferred.
  ///   - bus: the name of its bus.
  public init(_ link: CompiledLink?, bus: String) {
    self.link = link
    self.bus = bus
    (messages, signals, choices, _) = WatchedMessage.all(of: link)
  }

  /// A new bus.
  public mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }
  /// Chain and PDU records say more than can be inferred; they have `EngineReplay`.
  public mutating func receive(_ record: SideRecord) { number &+= 1 }
  /// Damage is told elsewhere.
  public mutating func report(_ problem: CaptureProblem) {}

  /// A frame.
  public mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    guard record.frame.isPlain, Int(record.bus.index) < names.count, names[Int(record.bus.index)] == bus, let link,
      let slot = link.dissection.plan.slot(of: record.frame.id)
    else { return }
    let message = Int(link.dissection.plan.slots[slot].message)
    guard !messages[message].isFromInverter else { return }
    let head = record.frame.head
    for place in Int(messages[message].firstSignal)..<Int(messages[message].endSignal) {
      guard signals[place].bytesNeeded <= record.frame.length, let quantity = Quantity(rawValue: signals[place].quantity) else {
        continue
      }
      let plan = link.dissection.plan.signals[Int(signals[place].signal)]
      let value = max(-1_000_000_000_000, min(1_000_000_000_000, plan.thousandths(head, scale: signals[place].scale)))
      values[quantity] = signals[place].isMagnitude ? abs(value) : value
    }
    for place in Int(messages[message].firstChoice)..<Int(messages[message].endChoice) {
      values.set(choices[place].quantity, choices[place].isYes(head, head.byteSwapped))
    }
    if messages[message].endsCycle { judge(RecordMark(record: number, time: record.time)) }
  }

  // MARK: What it shows

  private static let protections: [(Quantity, String)] = [
    (.overvoltageProtection, "overvoltage"), (.undervoltageProtection, "undervoltage"), (.differenceProtection, "cell difference"),
    (.overtemperatureProtection, "overtemperature"), (.undertemperatureProtection, "undertemperature"),
  ]
  private static let alarms: [(Quantity, String)] = [
    (.overvoltageAlarm, "overvoltage alarm"), (.undervoltageAlarm, "undervoltage alarm"),
    (.differenceAlarm, "cell difference alarm"),
    (.overtemperatureAlarm, "overtemperature alarm"), (.undertemperatureAlarm, "undertemperature alarm"),
  ]

  private var apparent: (status: Apparent, reason: String) {
    if values.isTrue(.chargeOvercurrent) || values.isTrue(.dischargeOvercurrent) { return (.overcurrent, "overcurrent is marked") }
    if values.isTrue(.communicationFault) { return (.communicationError, "a communication fault is marked") }
    if values.isTrue(.prechargeFault) { return (.prechargeError, "a precharge fault is marked") }
    if let (_, word) = StateInference.protections.first(where: { values.isTrue($0.0) }) {
      return (.protecting, "\(word) protection is marked")
    }
    if values[.chargeCurrentLimit] == 0, values[.dischargeCurrentLimit] == 0 { return (.checking, "both limits are 0 A") }
    if let (_, word) = StateInference.alarms.first(where: { values.isTrue($0.0) }) { return (.warning, "\(word) is marked") }
    return (.running, "current is allowed and nothing is marked")
  }

  private mutating func judge(_ mark: RecordMark) {
    guard let charge = values[.chargeCurrentLimit], let discharge = values[.dischargeCurrentLimit] else { return }
    cycles += 1
    let now = mark.time.nanoseconds
    let (status, reason) = apparent
    let before = changes.last?.status
    if before != status { enter(status, reason, before, mark) }
    let age = Double(now &- began_ns) / 1e9
    if status.isOpen, status != .checking, age > 2, charge > 0 || discharge > 0 {
      note("a limit above 0 A in \(status.rawValue), whose contactors are open (§5)", mark)
    }
    if status == .running { highest = (max(highest.charge, charge), max(highest.discharge, discharge)) }
    if status == .warning, age > 2, highest.charge > 0 || highest.discharge > 0,
      charge > highest.charge / 2 + 1000 || discharge > highest.discharge / 2 + 1000
    {
      note("limits above half of what was allowed before, in WARNING (§5)", mark)
    }
    if let last, now > last.time {
      let room = Int64(Double(now &- last.time) / 1e9 * 5000) + 1500
      if charge &- last.charge > room || discharge &- last.discharge > room {
        note("a limit rises faster than 5 A a second (§5)", mark)
      }
    }
    last = (now, charge, discharge)
    judgeMarks(charge, discharge, mark)
    judgeCurrent(status, mark)
  }

  private mutating func enter(_ status: Apparent, _ reason: String, _ before: Apparent?, _ mark: RecordMark) {
    let now = mark.time.nanoseconds
    if let before, Double(now &- began_ns) / 1e9 < before.least - 1 {
      note("\(before.rawValue) ends after \((now &- began_ns) / 1_000_000_000) s, before its \(Int(before.least)) s (§4)", mark)
    }
    if let before, before.isOpen, before != .checking, !status.isOpen {
      note("\(before.rawValue) goes to \(status.rawValue) without CHECKING in between (§4)", mark)
    }
    began_ns = now
    if changes.count < 1000 { changes.append(Change(status: status, mark: mark, reason: reason)) }
  }

  /// The mark "forbidden" and a limit of 0 A belong together, in protocols that have the mark.
  private mutating func judgeMarks(_ charge: Int64, _ discharge: Int64, _ mark: RecordMark) {
    let isOff =
      values[.chargeForbidden] != nil && (charge == 0) != values.isTrue(.chargeForbidden)
      || values[.dischargeForbidden] != nil && (discharge == 0) != values.isTrue(.dischargeForbidden)
    guard isOff else {
      unmarked = nil
      return
    }
    let since = unmarked ?? mark.time.nanoseconds
    unmarked = since
    // Limits and marks stand in different frames: one cycle of difference is none.
    if mark.time.nanoseconds &- since > 3_000_000_000 { note("limit and mark \"forbidden\" contradict for over 3 s (§5)", mark) }
  }

  private mutating func judgeCurrent(_ status: Apparent, _ mark: RecordMark) {
    guard status.isOpen, let current = values[.packCurrent], abs(current) > 1000 else {
      flowing = nil
      return
    }
    let since = flowing ?? mark.time.nanoseconds
    flowing = since
    if mark.time.nanoseconds &- since > 3_000_000_000 {
      note("more than 1 A for over 3 s in \(status.rawValue), whose contactors are open (§4)", mark)
    }
  }

  private mutating func note(_ text: String, _ mark: RecordMark) {
    if let index = oddities.firstIndex(where: { $0.text == text }) {
      oddities[index].count += 1
    } else if oddities.count < 100 {
      oddities.append(Oddity(text: text, first: mark))
    }
  }
}
