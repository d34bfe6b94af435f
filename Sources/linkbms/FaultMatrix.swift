import Analysis
import Bus
import Formats
import Protocols
import Simulation

/// Every link fault against every protocol: does the first finding name the cause?
struct FaultMatrix {
  let library: DefinitionLibrary
  let book: RuleBook
  let seconds: Double

  /// One cell of the table.
  struct Outcome {
    var named = 0
    var runs = 0
    /// First findings that were something else: rule → how often, with the first such seed.
    var misses: [String: (count: Int, seed: UInt64)] = [:]
    /// Why the fault cannot be seen in this protocol.
    var reason: String?
  }

  /// A protocol variant with both of its sides.
  struct Entry {
    var name: String
    var link: CompiledLink
  }

  /// All variants that both sides can be played in.
  func entries(_ only: [String]) -> [Entry] {
    library.definitions.flatMap { definition -> [Entry] in
      let handshake = definition.sidecar.handshake
      guard handshake.battery?.states.isEmpty == false, handshake.inverter?.states.isEmpty == false else { return [] }
      return definition.sidecar.variants.map { Entry(name: $0.name, link: definition.link(variant: $0.name)) }
    }.filter { only.isEmpty || only.contains($0.name) || only.contains($0.link.definition.protocolName) }
  }

  /// Rules of which the first finding must be one.
  static func causes(_ kind: LinkFault.Kind) -> Set<RuleID> {
    switch kind {
    case .wrongBitRate: [.R02b]
    case .silentBattery, .silentInverter: [.R02]
    case .wrongAddress: [.R04]
    case .wrongWidth: [.R04a]
    case .dropped: [.R05, .R06, .R02]
    case .delayed: [.R06]
    case .duplicated, .twoSenders: [.R09b]
    case .corrupted: [.R16]
    case .byteOrder: [.R10]
    case .missingOffset: [.R10b]
    case .wrongProtocol: [.R01]
    case .missingMember: [.R03]
    case .frozen, .zerosAtStart: [.R23]
    case .restart: [.R07, .R02]
    case .foreignTraffic: [.R09]
    case .contradictingLimits: [.R19]
    case .ignoresLimits: [.R26]
    case .clockJump: [.R00]
    case .busOff: [.R02c]
    }
  }

  /// Why a fault cannot be injected or seen in a protocol; `nil` if it can.
  func reason(_ kind: LinkFault.Kind, _ entry: Entry) -> String? {
    let sidecar = entry.link.definition.sidecar
    let options = { (name: String, option: String) in
      sidecar.readings.first { $0.name == name }?.options.contains { $0.name == option } ?? false
    }
    let now = { (name: String) in sidecar.variants.first { $0.name == entry.link.variant }?.readings[name] }
    switch kind {
    case .wrongAddress:
      if sidecar.address == nil || sidecar.variants.first(where: { $0.name == entry.link.variant })?.ids != nil {
        return "no address in its IDs"
      }
      return nil
    case .byteOrder:
      if !options("byteOrder", "big") { return "no other byte order is known" }
      return now("byteOrder") == "big" ? "this variant is sent that way" : dialect(entry, "byteOrder", "big")
    case .missingOffset:
      if !options("currentOffset", "none") { return "no offset" }
      return now("currentOffset") == "none" ? "this variant is sent that way" : dialect(entry, "currentOffset", "none")
    case .restart:
      let asksIdentity = (entry.link.handshake.battery?.answers.filter { $0.optionalCount < $0.emissions.count }.count ?? 0) > 0
      return asksIdentity ? nil : "nothing is asked once: a restart is over by itself"
    case .contradictingLimits:
      return sidecar.quantities["dischargeVoltageLimit"] == nil ? "no discharge voltage is sent" : nil
    case .wrongWidth:
      return nil
    default: return nil
    }
  }

  /// A change of reading that makes another known dialect of it: nothing is wrong then, as far as a capture tells.
  private func dialect(_ entry: Entry, _ reading: String, _ option: String) -> String? {
    let sidecar = entry.link.definition.sidecar
    guard var wanted = sidecar.variants.first(where: { $0.name == entry.link.variant })?.readings else { return nil }
    wanted[reading] = option
    // Without an offset its sign means nothing.
    let relevant = { (readings: [String: String]) in readings.filter { !(option == "none" && $0.key == "dischargeLimitSign") } }
    let other = sidecar.variants.first {
      $0.name != entry.link.variant && $0.ids == nil && relevant($0.readings) == relevant(wanted)
    }
    return other.map { "that is the dialect \($0.name)" }
  }

  /// A partner that speaks something else.
  private func other(than entry: Entry) -> CompiledLink? {
    let name = entry.link.definition.protocolName == "sofar" ? "goodwe" : "sofar"
    return library.definition(name)?.link()
  }

  /// One run: the findings of a capture of it.
  func run(_ entry: Entry, _ faults: [LinkFault], seed: UInt64, restarts: Int = 0, seconds: Double? = nil) -> (
    findings: [Finding], records: [CANRecord]
  ) {
    let seconds = seconds ?? self.seconds
    guard
      var scene = LinkScene(
        entry.link, faults: faults, other: other(than: entry), seed: seed, restarts: restarts, duration: seconds)
    else {
      return ([], [])
    }
    var records: [CANRecord] = []
    var steps = 0
    while Double(steps) < seconds * 10 {
      records += scene.step()
      steps += 1
    }
    return (diagnose(records), records)
  }

  /// What `diagnose` says of these records.
  func diagnose(_ records: [CANRecord]) -> [Finding] {
    var census = TrafficCensus()
    census.busAppeared(BusID(0), named: "can0")
    for record in records { census.receive(record) }
    var run = ConformanceRun(library, book, SiteFacts(), verdicts: ProtocolIdentifier(library).identify(census))
    run.busAppeared(BusID(0), named: "can0")
    for record in records { run.receive(record) }
    return run.diagnose().findings
  }

  /// A fault against a protocol over some seeds.
  func outcome(_ kind: LinkFault.Kind, _ entry: Entry, seeds: ClosedRange<UInt64>) -> Outcome {
    var outcome = Outcome()
    if let reason = reason(kind, entry) {
      outcome.reason = reason
      return outcome
    }
    for seed in seeds {
      var fault = LinkFault(kind)
      // From the start where it is a setting, later where it happens.
      switch kind {
      case .frozen, .busOff, .clockJump, .foreignTraffic, .ignoresLimits: fault.at = 8 + Double(seed % 7)
      case .zerosAtStart: fault.until = 2.5 + Double(seed % 3)
      case .restart: fault.at = 20 + Double(seed % 5)
      default: break
      }
      let findings = run(entry, [fault], seed: seed).findings
      outcome.runs += 1
      if let first = findings.first, FaultMatrix.causes(kind).contains(first.rule) {
        outcome.named += 1
      } else {
        let name = findings.first.map { $0.rule.rawValue } ?? "nothing"
        outcome.misses[name] = (outcome.misses[name]?.count ?? 0, outcome.misses[name]?.seed ?? seed)
        outcome.misses[name]?.count += 1
      }
    }
    return outcome
  }

  /// Clean runs with findings of severity warning or error: seed → rules.
  func falseAlarms(_ entry: Entry, seeds: ClosedRange<UInt64>) -> [(seed: UInt64, rules: [String])] {
    var alarms: [(seed: UInt64, rules: [String])] = []
    for seed in seeds {
      // Every fourth with restarts, every twentieth long.
      let seconds = seed % 20 == 0 ? 1200.0 : self.seconds
      let findings = run(entry, [], seed: seed, restarts: seed % 4 == 0 ? 2 : 0, seconds: seconds).findings.filter {
        $0.severity > .note
      }
      if !findings.isEmpty { alarms.append((seed, findings.map { "\($0.rule.rawValue) \($0.text)" })) }
    }
    return alarms
  }
}
