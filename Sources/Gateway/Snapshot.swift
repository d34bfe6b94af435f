public import Controller

/// The controller at one moment, as the pages, MQTT and the history see it. Made by the control loop in each step that is to be seen:
/// a few hundred bytes and three references.
public struct Snapshot: Sendable {
  /// The step's time, ns since 1970, UTC.
  public var time_ns: Int64
  /// What the controller works by.
  public var configuration: Configuration
  /// The numbers of the parameter page.
  public var values: DerivedValues
  /// Status, contactors, limits, balancing.
  public var outputs: Outputs
  /// Why the status is what it is.
  public var reason: Reason
  /// Broken rules of the configuration given last.
  public var violations: UInt16
  /// Whether somebody keeps the contactors open.
  public var isHeld: Bool
  /// What was measured.
  public var readings: Readings

  /// What `engine` knows after a step with `readings`.
  public init(_ engine: Engine, _ readings: Readings, time_ns: Int64) {
    self.time_ns = time_ns
    configuration = engine.configuration
    values = engine.values
    outputs = engine.outputs
    reason = engine.reason
    violations = engine.violations
    isHeld = engine.isHeld
    self.readings = readings
  }
}

extension Snapshot {
  /// Whether the state of charge is known: before the first scan of a first start it is not.
  var knowsCharge: Bool { values.hasCells || values.stateOfCharge != 0 }
  /// Whether the LinkPDU has said anything: all of its values at 0 is what stands there before.
  var knowsPDU: Bool { values.hasCells || values.input_mV != 0 || values.output_mV != 0 || values.current_mA != 0 }
}

/// The network side of the manual's page.
public struct NetworkFacts: Sendable, Equatable {
  /// WiFi signal, dBm; 0 = WiFi is off or an access point.
  public var rssi_dBm: Int32 = 0
  /// Whether a cable carries a link.
  public var isEthernetUp = false
  /// Whether the MQTT broker (LinkCloud) is connected.
  public var isCloudConnected = false

  /// Nothing connected.
  public init() {}
}

/// An event with its number: pages and brokers ask for those after the last they have.
public struct NumberedEvent: Sendable {
  /// From 1, without gaps.
  public var number: UInt64
  /// What happened.
  public var event: Event
  /// What the controller worked by then: slots alone do not name a cell.
  public var configuration: Configuration
}

/// What a view is made from: the last snapshot, whether it is still true, and what is around it.
public struct Moment: Sendable {
  /// The last that the controller said; `nil` before the first.
  public var snapshot: Snapshot?
  /// Whether the controller still talks: else everything in `snapshot` is of the past.
  public var isConnected: Bool
  /// Counts snapshots.
  public var sequence: UInt64
  /// WiFi, cable, broker.
  public var network: NetworkFacts
  /// The newest events, oldest first.
  public var events: [NumberedEvent]
  /// What the controller answered to the last command that it answered, in words.
  public var answer: String?

  /// The snapshot, where it may be taken for the present.
  public var current: Snapshot? { isConnected ? snapshot : nil }
}
