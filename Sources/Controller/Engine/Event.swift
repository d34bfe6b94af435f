/// Why something changed, with what a person needs to find it: place, value, limit. Voltages of cells in 0.1 mV, of the pack in mV,
/// currents in mA, temperatures in 0.1 °C.
public enum Reason: Equatable, Sendable {
  case start, recovered, reset, held, released, noReading
  /// Broken rules of the configuration.
  case configuration(violations: UInt16)
  /// Scans fail; `module` is the first that does not answer (255 = none in particular).
  case scansFail(ChainNumber, module: UInt8)
  /// No scan came for too long.
  case chainSilent(ChainNumber)
  /// No current or voltage came for too long.
  case pduSilent
  case overcurrent(milliamperes: Int32, limit: Int32)
  /// An alarm or protect limit was passed. `slot` is the cell's or the sensor's slot in `Readings`.
  case limit(LimitKind, isProtect: Bool, slot: UInt16, value: Int32, limit: Int32)
  case cellCount(found: UInt16, expected: UInt16)
  case sensorOpen(slot: UInt16)
  case sensorShorted(slot: UInt16)
  /// V-out did not follow V-in in time, mV.
  case prechargeTimeout(output: Int32, input: Int32)
  /// V-out fell away from V-in behind closed contactors, mV.
  case outputLost(output: Int32, input: Int32)
}

/// Something that happened in a step.
public struct Event: Equatable, Sendable {
  /// What happened.
  public enum Kind: Equatable, Sendable {
    case status(from: SystemStatus, to: SystemStatus, Reason)
    case chain(ChainNumber, from: ChainStatus, to: ChainStatus, Reason)
    case contactors(Contactors)
    /// Charging was forbidden or allowed again.
    case charging(isAllowed: Bool)
    case discharging(isAllowed: Bool)
    /// A retry of the precharge comes, or none any more: attempts so far.
    case prechargeFailed(attempts: UInt8, isLatched: Bool)
    /// V-out stays near V-in behind open contactors, mV.
    case weldSuspected(output: Int32, input: Int32)
    /// The counter was set by a full or an empty cell, or from the open-circuit voltage; 0.01 %.
    case stateOfChargeSet(Int32, isEstimate: Bool)
    /// A module's own voltage and the sum of its cells differ by more than 2 %, mV.
    case moduleSum(module: UInt8, stack: Int32, cells: Int32)
    /// Time went backwards or leapt, ms.
    case clockJump(milliseconds: Int64)
    case configurationAccepted
    case configurationRejected(violations: UInt16)
  }

  /// When, ns, in the time that was passed in.
  public var time_ns: Int64
  /// What.
  public var kind: Kind

  /// Something that happened at a time.
  public init(time_ns: Int64, kind: Kind) {
    self.time_ns = time_ns
    self.kind = kind
  }
}

/// The events of one step, in order; room for 16, more are counted.
public struct EventList: Sendable {
  private var items: InlineArray<16, Event>
  /// How many are held.
  public private(set) var count = 0
  /// How many found no room.
  public private(set) var lost: UInt32 = 0

  /// No event.
  public init() { items = InlineArray(repeating: Event(time_ns: 0, kind: .configurationAccepted)) }

  /// One event; an index outside gives the last that was written there.
  public subscript(index: Int) -> Event { items[min(max(0, index), 15)] }

  mutating func removeAll() {
    count = 0
    lost = 0
  }

  mutating func append(_ event: Event) {
    guard count < 16 else {
      lost &+= 1
      return
    }
    items[count] = event
    count += 1
  }
}
