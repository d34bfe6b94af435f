import Analysis
import Bus
import Formats

/// Judges live buses by rules of `diagnose` for as long as they speak, and tells when a fault begins. Sans-IO.
///
/// A judgement adds up everything since it began: what was wrong once stays a finding. So beside a fault that was told runs a trial, a
/// judgement of only the last while. A trial that ends without the finding says that the fault is over: it takes the judgement's
/// place, and the rule may tell again. A fault that stays is told once.
struct RuleWatch {
  /// A rule on a bus.
  private struct Fault: Hashable {
    var bus: String
    var rule: RuleID
  }

  /// A fault that was told and is not known to be over.
  private struct Told {
    let fault: Fault
    /// Whether it was known what the bus speaks.
    let wasIdentified: Bool
    /// How long it must not show.
    let length_ns: Int64
    var trial: RuleJudgement
  }

  private let rules: Set<RuleID>
  private let book: RuleBook
  /// A judgement that has heard nothing.
  private let blank: RuleJudgement
  private var judgement: RuleJudgement
  /// Findings and how many judgements in a row they stood.
  private var standing: [Fault: Int] = [:]
  private var told: [Told] = []
  /// How often each was told.
  private var times: [Fault: Int] = [:]
  private var nextJudgement_ns = Int64.max
  private var hasJudged = false

  /// From judgement to judgement.
  static let interval_ns: Int64 = 1_000_000_000
  /// Before so much was heard, what is missing may just not have come yet.
  static let earliest_ns: Int64 = 8_000_000_000
  /// Judgements in a row in which a finding has to stand: an answer that is just under way is not missing.
  static let firmness = 2
  /// How long a fault must not show to be over. Twice as long each time that it was told before: what shows only now and then, or only
  /// after long listening, does not fill the disk.
  static let wellness_ns: Int64 = 30_000_000_000
  /// Times that it doubles: up to an hour.
  static let doublings = 7

  init(_ rules: Set<RuleID>, _ library: DefinitionLibrary, _ book: RuleBook, _ site: SiteFacts, buses: [String]) {
    self.rules = rules
    self.book = book
    blank = RuleJudgement(library, book, site, buses: buses)
    judgement = blank
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 { told.reduce(min(nextJudgement_ns, judgement.nextWake_ns)) { min($0, $1.trial.nextWake_ns) } }

  /// One frame.
  mutating func take(_ record: CANRecord, _ now_ns: Int64) {
    if nextJudgement_ns == .max { nextJudgement_ns = now_ns &+ RuleWatch.earliest_ns }
    judgement.take(record, now_ns)
    for index in told.indices { told[index].trial.take(record, now_ns) }
  }

  /// Frames were lost before the one that comes next.
  mutating func lost(_ frames: UInt64) {
    judgement.lost(frames)
    for index in told.indices { told[index].trial.lost(frames) }
  }

  /// Time.
  /// - Returns: faults that have begun, in words.
  mutating func wake(_ now_ns: Int64) -> [String] {
    judgement.wake(now_ns)
    for index in told.indices { told[index].trial.wake(now_ns) }
    guard now_ns >= nextJudgement_ns else { return [] }
    nextJudgement_ns = now_ns &+ RuleWatch.interval_ns
    endTrials(now_ns)
    // It may have begun anew, with a side that came late.
    guard judgement.age_ns(now_ns) >= RuleWatch.earliest_ns else {
      standing = [:]
      return []
    }
    hasJudged = true
    return newFaults(firmness: RuleWatch.firmness)
  }

  /// The end. Where it comes before the first judgement, what was heard is judged as it is; else it is one judgement more.
  mutating func finish() -> [String] {
    judgement.decide()
    return newFaults(firmness: hasJudged ? RuleWatch.firmness : 1)
  }

  private mutating func endTrials(_ now_ns: Int64) {
    for index in told.indices.reversed() where told[index].trial.age_ns(now_ns) >= told[index].length_ns {
      guard let diagnosis = told[index].trial.diagnosis() else { continue }
      if isOver(told[index], diagnosis) {
        judgement = told[index].trial
        told.remove(at: index)
      } else {
        told[index].trial = blank
      }
    }
  }

  /// Whether a diagnosis of the last while is without a fault. Silence is no health, nor is what cannot be judged any more, and what
  /// another finding explains is there.
  private func isOver(_ told: Told, _ diagnosis: Diagnosis) -> Bool {
    let fault = told.fault
    let isThere = diagnosis.findings.contains {
      $0.bus == fault.bus && ($0.rule == fault.rule && isFault($0) || $0.explains.contains(fault.rule))
    }
    guard !isThere else { return false }
    return fault.bus.isEmpty
      || diagnosis.buses.contains {
        $0.name == fault.bus && $0.frames > 0 && ($0.identification.protocolName != nil || !told.wasIdentified)
      }
  }

  private mutating func newFaults(firmness: Int) -> [String] {
    guard let diagnosis = judgement.diagnosis() else { return [] }
    var seen: [Fault: Int] = [:]
    var words: [String] = []
    for finding in diagnosis.findings where rules.contains(finding.rule) && isFault(finding) {
      let fault = Fault(bus: finding.bus, rule: finding.rule)
      guard seen[fault] == nil else { continue }
      let count = (standing[fault] ?? 0) + 1
      seen[fault] = count
      guard count >= firmness, !told.contains(where: { $0.fault == fault }) else { continue }
      let wasIdentified = diagnosis.buses.contains { $0.name == fault.bus && $0.identification.protocolName != nil }
      watch(fault, wasIdentified)
      let place = finding.bus.isEmpty ? "" : finding.bus + ": "
      words.append("\(place)\(finding.rule.rawValue) (\(book[finding.rule].name)): \(finding.text)")
    }
    standing = seen
    return words
  }

  private mutating func watch(_ fault: Fault, _ wasIdentified: Bool) {
    let before = times[fault] ?? 0
    times[fault] = before + 1
    let length_ns = RuleWatch.wellness_ns << Int64(min(before, RuleWatch.doublings))
    told.append(Told(fault: fault, wasIdentified: wasIdentified, length_ns: length_ns, trial: blank))
  }

  /// A note of a rule that tells more than notes says that this time it is none.
  private func isFault(_ finding: Finding) -> Bool { finding.severity > .note || book[finding.rule].severity == .note }
}

/// What the rules say of everything that came since it began. Sans-IO.
struct RuleJudgement {
  private let library: DefinitionLibrary
  private let book: RuleBook
  private let site: SiteFacts
  private let buses: [String]
  private var identifier: LiveIdentifier
  private var run: ConformanceRun?
  /// When the first frame came that it knows, monotonic ns.
  private var first_ns: Int64?
  /// Frames lost before it was known what is spoken.
  private var earlyLoss: UInt64 = 0

  init(_ library: DefinitionLibrary, _ book: RuleBook, _ site: SiteFacts, buses: [String]) {
    self.library = library
    self.book = book
    self.site = site
    self.buses = buses
    identifier = LiveIdentifier(library, buses: buses)
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 { identifier.nextWake_ns }

  /// One frame.
  mutating func take(_ record: CANRecord, _ now_ns: Int64) {
    if first_ns == nil { first_ns = now_ns }
    identifier.take(record, now_ns)
    run?.receive(record)
  }

  /// Frames were lost before the one that comes next.
  mutating func lost(_ frames: UInt64) {
    if let records = run?.records {
      run?.report(.framesLost(frames, behind: records))
    } else {
      earlyLoss &+= frames
    }
  }

  /// Time: looks what the buses speak. A side that is first heard later makes another judgement of it.
  mutating func wake(_ now_ns: Int64) {
    guard let verdicts = identifier.look(now_ns) else { return }
    if run != nil { first_ns = now_ns }
    begin(verdicts)
  }

  /// Decides at once what the buses speak, where that is still open.
  mutating func decide() {
    guard run == nil, !identifier.early.isEmpty else { return }
    begin(identifier.identify())
  }

  private mutating func begin(_ verdicts: [BusIdentification]) {
    var fresh = ConformanceRun(library, book, site, verdicts: verdicts)
    for (index, name) in buses.enumerated() { fresh.busAppeared(BusID(UInt16(truncatingIfNeeded: index)), named: name) }
    for record in identifier.early { fresh.receive(record) }
    identifier.dropEarly()
    if earlyLoss > 0 { fresh.report(.framesLost(earlyLoss, behind: fresh.records)) }
    earlyLoss = 0
    run = fresh
  }

  /// How long it has been judging, ns; 0 until it is known what is spoken.
  func age_ns(_ now_ns: Int64) -> Int64 { run == nil ? 0 : now_ns &- (first_ns ?? now_ns) }

  /// What is wrong so far; `nil` until it is known what is spoken.
  func diagnosis() -> Diagnosis? {
    var copy = run
    return copy?.diagnose()
  }
}
