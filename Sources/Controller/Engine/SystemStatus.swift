/// The one status of the system. Source: spec/controller.md §4, in its order of precedence.
public enum SystemStatus: UInt8, CaseIterable, Sendable {
  case noData, configError, communicationError, overcurrent, protect, prechargeError, checking, warning, running

  /// As the manual's page writes it.
  public var word: String {
    switch self {
    case .noData: "NO DATA"
    case .configError: "CONFIG ERR"
    case .communicationError: "COM ERR"
    case .overcurrent: "OCP"
    case .protect: "PROTECT"
    case .prechargeError: "PRECHARGE_ERR"
    case .checking: "CHECKING"
    case .warning: "WARNING"
    case .running: "RUNNING"
    }
  }

  /// Whether the contactors may be closed in it.
  public var mayBeClosed: Bool { self == .running || self == .warning }
}

/// What a chain's own readings say: BMS1 and BMS2 of the manual's page.
public enum ChainStatus: UInt8, CaseIterable, Sendable {
  case off, noData, communicationError, protect, warning, ok

  /// As the manual's page writes it.
  public var word: String {
    switch self {
    case .off: "OFF"
    case .noData: "NO DATA"
    case .communicationError: "COM ERR"
    case .protect: "PROTECT"
    case .warning: "WARNING"
    case .ok: "OK"
    }
  }
}

/// A limit on cells or sensors that has an alarm and a protect value.
public enum LimitKind: UInt8, CaseIterable, Sendable {
  case overvoltage, undervoltage, difference, overtemperature, undertemperature

  /// For people.
  public var word: String {
    switch self {
    case .overvoltage: "cell overvoltage"
    case .undervoltage: "cell undervoltage"
    case .difference: "cell difference"
    case .overtemperature: "overtemperature"
    case .undertemperature: "undertemperature"
    }
  }
}
