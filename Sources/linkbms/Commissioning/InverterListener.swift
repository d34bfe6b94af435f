import Analysis
import Bus
import Controller
import Formats

/// What was heard on the inverter's bus while nothing was said.
struct BusHeard: Sendable, Equatable {
  var frames = 0
  var errors = 0
  /// As `linkbms identify` names it.
  var protocolName: String?
  /// What may be configured for it.
  var fitting: [InverterProtocol] = []
  /// The battery that a Sofar inverter asks for.
  var sofarAddress: Int?
  var evidence = ""
}

/// Listens before anything is said.
struct InverterListener: Sendable {
  private let library: DefinitionLibrary
  private var records: [CANRecord] = []
  private var errors = 0
  private var frames = 0
  /// A quarter of a minute of a full bus.
  private static let most = 60_000

  init(_ library: DefinitionLibrary) { self.library = library }

  mutating func restart() {
    records.removeAll(keepingCapacity: true)
    errors = 0
    frames = 0
  }

  mutating func hear(_ heard: [CANRecord]) {
    for record in heard {
      frames += 1
      if record.frame.flags.contains(.error) { errors += 1 }
      if records.count < InverterListener.most { records.append(record) }
    }
  }

  /// What that was.
  func verdict() -> BusHeard {
    var census = TrafficCensus()
    census.busAppeared(BusID(0), named: "can")
    for record in records {
      var record = record
      record.bus = BusID(0)
      census.receive(record)
    }
    var heard = BusHeard(frames: frames - errors, errors: errors)
    guard let verdict = ProtocolIdentifier(library).identify(census).first else { return heard }
    heard.protocolName = verdict.protocolName
    heard.fitting = verdict.protocolName.map(InverterProtocol.fitting) ?? []
    heard.evidence = verdict.evidence.first ?? ""
    heard.sofarAddress = sofarAddress
    return heard
  }

  /// Which battery the inverter asks for: a Sofar's inquiry names it (sofar.md §3).
  private var sofarAddress: Int? {
    guard let message = library.definition("sofar")?.dbc.messages.first(where: { $0.name == "Inquiry" }),
      message.signals.contains(where: { $0.name == "InquiryBattery" && $0.linearStart == 0 && $0.bitLength == 8 })
    else { return nil }
    return records.last { $0.frame.id == message.id && $0.frame.length > 0 }.map { Int($0.frame.head & 0xFF) }
  }
}
