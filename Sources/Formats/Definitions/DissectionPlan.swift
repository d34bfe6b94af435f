public import Protocols

/// A `ProtocolPlan` with everything people want to read beside the numbers, under the same indices.
public struct DissectionPlan: Sendable {
  /// The flat tables.
  public var plan: ProtocolPlan
  /// By index of `plan.messages`.
  public var messages: [MessageInfo]
  /// By index of `plan.signals`.
  public var signals: [SignalInfo]

  /// A plan with its names.
  public init(plan: ProtocolPlan, messages: [MessageInfo], signals: [SignalInfo]) {
    self.plan = plan
    self.messages = messages
    self.signals = signals
  }
}

/// Who sends a message.
public enum Side: String, Hashable, Sendable, CaseIterable { case battery, inverter }

/// What people want to know of a message.
public struct MessageInfo: Sendable {
  /// Name of the message.
  public var name: String
  /// Protocol id; `nil` for a plain DBC.
  public var protocolName: String?
  /// Variant id.
  public var variant: String?
  /// Which side sends it.
  public var sender: Side?
  /// Sending node in the DBC.
  public var node: String?
  /// For people, from the DBC.
  public var comment: String?
  /// Nominal period in milliseconds.
  public var cycleTime_ms: Int?

  /// What is known of a message beside its plan.
  public init(
    name: String, protocolName: String? = nil, variant: String? = nil, sender: Side? = nil, node: String? = nil,
    comment: String? = nil, cycleTime_ms: Int? = nil
  ) {
    self.name = name
    self.protocolName = protocolName
    self.variant = variant
    self.sender = sender
    self.node = node
    self.comment = comment
    self.cycleTime_ms = cycleTime_ms
  }
}

/// What people want to know of a signal.
public struct SignalInfo: Sendable {
  /// Name of the signal.
  public var name: String
  /// As people write it; empty for a bare number.
  public var unit: String
  /// For people, from the DBC.
  public var comment: String?
  /// Labels of raw values.
  public var labels: [Int64: String]
  /// Set if the signal is a fault, alarm or the like.
  public var flag: SignalFlag?
  /// Whether the payload bytes are ASCII.
  public var isText: Bool

  /// What is known of a signal beside its plan.
  public init(
    name: String, unit: String = "", comment: String? = nil, labels: [Int64: String] = [:], flag: SignalFlag? = nil,
    isText: Bool = false
  ) {
    self.name = name
    self.unit = unit
    self.comment = comment
    self.labels = labels
    self.flag = flag
    self.isText = isText
  }
}

/// A signal that reports trouble when it has certain raw values.
public struct SignalFlag: Sendable, Hashable {
  /// From worst to mildest.
  public enum Severity: String, Sendable, CaseIterable, Hashable { case fault, protection, alarm, warning, notice }
  /// How bad it is when set.
  public var severity: Severity
  /// For people: `cell low voltage`.
  public var text: String
  /// Raw values that mean "set"; empty = anything but 0.
  public var setValues: [Int64]

  /// A bit with its meaning.
  public init(severity: Severity, text: String, setValues: [Int64] = []) {
    self.severity = severity
    self.text = text
    self.setValues = setValues
  }

  /// Whether a raw value means that the flag is set.
  public func isSet(_ raw: Int64) -> Bool { setValues.isEmpty ? raw != 0 : setValues.contains(raw) }
}
