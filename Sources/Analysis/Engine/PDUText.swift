import Bus
import Controller
public import Formats

/// Records of the PDU and of the controller in words.
public enum PDUText {
  /// One line; `nil` for bytes of an unknown kind.
  public static func line(_ record: SideRecord) -> String? {
    guard record.kind == .pdu else { return nil }
    if let line = PDULine(record.bytes) { return text(line) }
    guard let content = EngineRecord(record.bytes) else { return nil }
    switch content {
    case .start: return "the controller starts"
    case .scan(let scan): return "scan of BMS\(scan.chain + 1): \(scan.moduleCount) modules, \(scan.cellCount) cells"
    case .input: return "what a step was given"
    case .output: return "what the step decided"
    case .event(let text): return text
    }
  }

  private static func text(_ line: PDULine) -> String {
    switch line {
    case .current(let raw, let supply): return "current sensor \(raw) (raw), supply \(supply) mV"
    case .voltages(let input, let output): return "V-in \(input), V-out \(output) (raw)"
    case .outputs(let contactors, let status, let charge, let discharge):
      let word = SystemStatus(rawValue: status)?.word ?? "status \(status)"
      return "\(word), \(EventText.contactors(Contactors(rawValue: contactors))), charge limit "
        + "\(charge / 10).\(charge % 10) A, discharge limit \(discharge / 10).\(discharge % 10) A"
    case .command(let contactors, let sequence, let life):
      return "order \(sequence): \(EventText.contactors(Contactors(rawValue: contactors))), for \(life) ms"
    case .answer(let contactors, let flags, let sequence, _):
      return "PDU at order \(sequence): \(EventText.contactors(Contactors(rawValue: contactors)))"
        + (flags.contains(.isLatched) ? ", latched open" : "") + (flags.contains(.hasRefused) ? ", refused to close" : "")
    }
  }
}
