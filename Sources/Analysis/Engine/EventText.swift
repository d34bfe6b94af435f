public import Controller
import Formats

/// Events and reasons in words. Cells and sensors are named as people count them: chain, module and cell from 1.
public struct EventText: Sendable {
  private let configuration: Configuration

  /// - Parameter configuration: says how many cells a module has, which a slot alone does not.
  public init(_ configuration: Configuration) { self.configuration = configuration }

  /// `BMS1 module 3 cell 5` for a cell slot.
  public func cell(_ slot: UInt16) -> String {
    let chain: ChainNumber = Int(slot) < Readings.chainCells ? .bms1 : .bms2
    let perModule = max(1, configuration.cellsPerModule(chain))
    let place = Int(slot) % Readings.chainCells
    return "\(chain.word) module \(place / perModule + 1) cell \(place % perModule + 1)"
  }

  /// `BMS1 module 3 T2` for a sensor slot.
  public func sensor(_ slot: UInt16) -> String {
    let module = Int(slot) / 5
    return "\(module < 15 ? "BMS1" : "BMS2") module \(module % 15 + 1) T\(Int(slot) % 5 + 1)"
  }

  /// A reason, with place, value and limit.
  public func reason(_ reason: Reason) -> String {
    switch reason {
    case .start: return "start"
    case .recovered: return "all values inside their limits"
    case .reset: return "reset: waiting for communication"
    case .held: return "contactors held open by order"
    case .released: return "hold released"
    case .noReading: return "no reading since the start"
    case .configuration(let violations): return "configuration breaks \(violations) rule\(violations == 1 ? "" : "s")"
    case .scansFail(let chain, let module):
      return module == 255 ? "\(chain.word): scans fail" : "\(chain.word): module \(module + 1) does not answer"
    case .chainSilent(let chain): return "\(chain.word): no scan for 3 s"
    case .pduSilent: return "LinkPDU: no current and voltages for 3 s"
    case .overcurrent(let current, let limit): return "current \(amperes(current)), limit \(amperes(limit))"
    case .limit(let kind, let isProtect, let slot, let value, let limit):
      let bound = isProtect ? "protect" : "alarm"
      switch kind {
      case .overvoltage, .undervoltage: return "\(kind.word): \(cell(slot)) \(volts(value)), \(bound) \(volts(limit))"
      case .difference: return "\(kind.word): \(volts(value)) with the highest at \(cell(slot)), \(bound) \(volts(limit))"
      case .overtemperature, .undertemperature:
        return "\(kind.word): \(sensor(slot)) \(degrees(value)), \(bound) \(degrees(limit))"
      }
    case .cellCount(let found, let expected): return "cell count: found \(found), configured \(expected)"
    case .sensorOpen(let slot): return "sensor open: \(sensor(slot))"
    case .sensorShorted(let slot): return "sensor shorted: \(sensor(slot))"
    case .prechargeTimeout(let output, let input): return "precharge: V-out \(pack(output)) of V-in \(pack(input)) after 5 s"
    case .outputLost(let output, let input): return "contactor: V-out \(pack(output)) behind closed contactors, V-in \(pack(input))"
    }
  }

  /// One line for an event, without its time.
  public func event(_ kind: Event.Kind) -> String {
    switch kind {
    case .status(let from, let to, let why): return "status \(from.word) → \(to.word): \(reason(why))"
    case .chain(let chain, let from, let to, let why): return "\(chain.word) \(from.word) → \(to.word): \(reason(why))"
    case .contactors(let contactors): return "contactors: \(EventText.contactors(contactors))"
    case .charging(let isAllowed): return isAllowed ? "charging allowed" : "charging forbidden"
    case .discharging(let isAllowed): return isAllowed ? "discharging allowed" : "discharging forbidden"
    case .prechargeFailed(let attempts, let isLatched):
      return "precharge failed (\(attempts) in a row)\(isLatched ? ": stays open until a reset" : ": next try in 30 s")"
    case .weldSuspected(let output, let input):
      return "contactor weld suspected: V-out \(pack(output)) stays at V-in \(pack(input)) behind open contactors"
    case .stateOfChargeSet(let percent, let isEstimate):
      return
        "SOC set to \(FixedDecimal.text(percent, decimals: 2)) %\(isEstimate ? " (estimated from the open-circuit voltage)" : "")"
    case .moduleSum(let module, let stack, let cells):
      return
        "module \(module < 15 ? "BMS1" : "BMS2") \(module % 15 + 1): own voltage \(pack(stack)), sum of its cells \(pack(cells))"
    case .clockJump(let milliseconds): return "clock jumped by \(milliseconds) ms"
    case .configurationAccepted: return "configuration in force"
    case .configurationRejected(let violations):
      return "configuration refused: \(violations) broken rule\(violations == 1 ? "" : "s")"
    }
  }

  /// `negative + precharge`, or `all open`.
  public static func contactors(_ contactors: Contactors) -> String {
    let names: [(Contactors, String)] = [(.negative, "negative"), (.precharge, "precharge"), (.positive, "positive")]
    let closed = names.filter { contactors.contains($0.0) }.map(\.1)
    return closed.isEmpty ? "all open" : closed.joined(separator: " + ") + " closed"
  }

  /// The status as the manual explains it.
  public static func explanation(_ status: SystemStatus) -> String {
    switch status {
    case .noData: "nothing has been read since the start: check the LinkPDU and chain connectors"
    case .configError: "the configuration is damaged or contradicts itself; contactors stay open until a valid one is saved"
    case .communicationError: "slave modules or the LinkPDU do not answer: check wiring and configuration"
    case .overcurrent: "overcurrent protection: check the inverter's maximum current, the OCP item and the current calibration"
    case .protect: "a value is beyond critical; contactors are open"
    case .prechargeError: "V-out did not rise at the start: check for a short at the output and the voltage calibration"
    case .checking: "starting and checking values"
    case .warning: "a value is close to critical; current is reduced"
    case .running: "all values in order, contactors closed"
    }
  }

  private func volts(_ value: Int32) -> String { FixedDecimal.text(value, decimals: 4) + " V" }
  private func pack(_ value: Int32) -> String { FixedDecimal.text(value, decimals: 3) + " V" }
  private func amperes(_ value: Int32) -> String { FixedDecimal.text(value, decimals: 3) + " A" }
  private func degrees(_ value: Int32) -> String { FixedDecimal.text(value, decimals: 1) + " °C" }
}
