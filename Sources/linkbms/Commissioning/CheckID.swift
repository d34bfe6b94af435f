/// Everything that is checked, and the ways in which it can fail: for each there is a hint in `Dissectors/commissioning.yaml`.
enum CheckID: String, CaseIterable, Sendable {
  case supply, pins, bench
  case moduleVoltage = "module-voltage"
  case configuration, modules
  case cellsPerModule = "cells-per-module"
  case preset, capacity, ntc
  case packRange = "pack-range"
  case scan, cells, sums, spread, chemistry, sensors, ambient, bms1, bms2
  case switchRating = "switch-rating"
  case pdu, can
  case `protocol`
  case sofarAddress = "sofar-address"
  case handshake
  case packVoltage = "pack-voltage"
  case vIn = "v-in"
  case bmsVoltage = "bms-voltage"
  case vOutOpen = "v-out-open"
  case zeroCurrent = "zero-current"
  case precharge
  case vOut = "v-out"
  case opened, online, direction, clamp
  case firstCharge = "first-charge"

  /// The ways to fail.
  var failures: [String] {
    switch self {
    case .supply: ["none", "low", "high"]
    case .pins: ["negative", "uneven", "range"]
    case .bench: ["silent", "count", "cells", "sum"]
    case .moduleVoltage: ["high"]
    case .configuration: ["broken"]
    case .modules, .cellsPerModule, .preset, .capacity, .ntc, .sums, .vOut: ["differs"]
    case .packRange: ["high", "low"]
    case .scan: ["none", "count"]
    case .cells: ["swapped", "broken", "unused", "low", "high"]
    case .spread: ["large"]
    case .chemistry: ["other"]
    case .sensors: ["open", "shorted", "none"]
    case .ambient: ["beta", "single"]
    case .bms1, .bms2: ["com-err", "reversed", "no-data", "protect", "off"]
    case .switchRating: ["voltage", "current"]
    case .pdu: ["silent"]
    case .can: ["silent", "errors"]
    case .protocol: ["other", "unknown", "none"]
    case .sofarAddress: ["other"]
    case .handshake: ["refused"]
    case .packVoltage: ["polarity", "differs"]
    case .vIn: ["absent", "polarity", "differs"]
    case .bmsVoltage: ["off"]
    case .vOutOpen: ["live"]
    case .zeroCurrent: ["offset"]
    case .precharge: ["timeout", "gain", "status", "refused"]
    case .opened: ["weld", "closed"]
    case .online: ["offline"]
    case .direction: ["reversed", "none", "stopped", "little"]
    case .clamp: ["differs", "sign", "needed"]
    case .firstCharge: ["status", "limits", "spread", "temperature", "soc", "voltage", "link", "output", "none", "discharged"]
    }
  }

  /// Whether another check tells what this one has to leave open, so that nobody has to come back to its step: the supply is measured
  /// again when there is a LinkPDU, what was not tried on the bench is looked at in the matrix, and where the voltage tells too little
  /// of the current's direction the clamp meter must.
  var isToldElsewhere: Bool {
    switch self {
    case .supply, .bench, .direction: true
    default: false
    }
  }
}

/// What one check found.
struct CheckResult: Sendable, Equatable {
  /// How it ended.
  enum Verdict: String, Sendable {
    case passed, failed
    /// It cannot be told yet; a later step will.
    case open
  }

  var id: CheckID
  var verdict: Verdict
  var measured: String
  var expected: String
  /// The way it failed, where it did.
  var failure: String?

  static func passed(_ id: CheckID, _ measured: String, _ expected: String) -> CheckResult {
    CheckResult(id: id, verdict: .passed, measured: measured, expected: expected, failure: nil)
  }

  static func failed(_ id: CheckID, _ failure: String, _ measured: String, _ expected: String) -> CheckResult {
    CheckResult(id: id, verdict: .failed, measured: measured, expected: expected, failure: failure)
  }

  /// Not to be told yet. A hint is shown only where `failure` names one: what another check explains needs none of its own.
  static func open(_ id: CheckID, _ measured: String, _ expected: String, failure: String? = nil) -> CheckResult {
    CheckResult(id: id, verdict: .open, measured: measured, expected: expected, failure: failure)
  }
}
