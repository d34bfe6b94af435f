import Analysis
import Bus
import Formats
import HostIO

/// Keeps the latest frames of live buses, and saves those before and after something that a person waits for.
final class TriggerWatch {
  /// What to do with the frames around a trigger: they, and why. Gives back words for the person.
  typealias Save = (_ records: [CANRecord], _ reason: String) throws(WorldError) -> String

  private let conditions: [TriggerCondition]
  private let rules: Set<RuleID>
  private let buses: [String]
  private let library: DefinitionLibrary
  private let book: RuleBook
  private let before_ns: Int64
  private let after_ns: Int64
  private let context: JobContext
  private let save: Save
  private var ring: FrameRing
  private var identifier: LiveIdentifier
  private var detectors: [TriggerDetector]
  private var run: ConformanceRun?
  private var nextJudgement_ns = Int64.max
  private var told: Set<String> = []
  /// A trigger that came: what, when, and when the frames after it are complete. What else comes before that is a reason more.
  private var fired: (reasons: [String], wall_ns: Int64, until_ns: Int64)?
  /// Times that something was saved.
  private(set) var saved = 0

  /// Frames that the ring holds at most: minutes of a busy bus.
  static let ringCapacity = 200_000
  /// From judgement to judgement by the rules.
  static let judgement_ns: Int64 = 1_000_000_000

  init(
    _ conditions: [TriggerCondition], context: JobContext, library: DefinitionLibrary, book: RuleBook, before_ns: Int64,
    after_ns: Int64,
    save: @escaping Save
  ) {
    self.conditions = conditions
    self.context = context
    self.library = library
    self.book = book
    self.before_ns = before_ns
    self.after_ns = after_ns
    self.save = save
    rules = Set(conditions.compactMap { if case .rule(let rule) = $0 { rule } else { nil } })
    buses = context.ports.map(\.name)
    ring = FrameRing(capacity: TriggerWatch.ringCapacity)
    identifier = LiveIdentifier(library, buses: buses)
    let empty = DecodeTable(PlanCompiler().finish())
    detectors = buses.map { TriggerDetector(conditions, table: empty, bus: $0) }
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 {
    var next = min(identifier.nextWake_ns, nextJudgement_ns, fired?.until_ns ?? .max)
    for detector in detectors { next = min(next, detector.nextWake_ns) }
    return next
  }

  /// One frame.
  func take(_ record: CANRecord, _ now: LiveTime) {
    ring.add(record)
    identifier.take(record, now.monotonic_ns)
    run?.receive(record)
    let bus = Int(record.bus.index)
    if bus < detectors.count, let reason = detectors[bus].take(record, now.monotonic_ns) { fire("\(buses[bus]): \(reason)", now) }
  }

  /// Time.
  func wake(_ now: LiveTime) {
    if let verdicts = identifier.look(now.monotonic_ns) { learn(verdicts, now) }
    for bus in detectors.indices {
      if let reason = detectors[bus].wake(now.monotonic_ns) { fire("\(buses[bus]): \(reason)", now) }
    }
    if now.monotonic_ns >= nextJudgement_ns { judge(now) }
    if let fired, now.monotonic_ns >= fired.until_ns { keep(fired.reasons, fired.wall_ns) }
  }

  /// The end: what was being gathered is saved as it is.
  func finish(_ now: LiveTime) {
    if let fired { keep(fired.reasons, fired.wall_ns) }
  }

  private func learn(_ verdicts: [BusIdentification], _ now: LiveTime) {
    let chooser = TableChooser(verdicts, library)
    detectors = buses.map { TriggerDetector(conditions, table: chooser.table(forBus: $0), bus: $0) }
    if !rules.isEmpty, run == nil {
      var fresh = ConformanceRun(library, book, SiteFacts(), verdicts: verdicts)
      for (index, name) in buses.enumerated() { fresh.busAppeared(BusID(UInt16(index)), named: name) }
      for record in identifier.early { fresh.receive(record) }
      run = fresh
      nextJudgement_ns = now.monotonic_ns &+ TriggerWatch.judgement_ns
    }
    identifier.dropEarly()
  }

  private func judge(_ now: LiveTime) {
    nextJudgement_ns = now.monotonic_ns &+ TriggerWatch.judgement_ns
    guard var copy = run else { return }
    for finding in copy.diagnose().findings where rules.contains(finding.rule) {
      if told.insert("\(finding.bus) \(finding.rule)").inserted {
        fire("\(finding.bus.isEmpty ? "" : finding.bus + ": ")\(finding.rule.rawValue) \(finding.text)", now)
      }
    }
  }

  private func fire(_ reason: String, _ now: LiveTime) {
    if let fired {
      // The same again, as of something that comes and goes, is nothing new.
      guard !fired.reasons.contains(reason) else { return }
      self.fired?.reasons.append(reason)
    } else {
      fired = ([reason], now.wall_ns, now.monotonic_ns &+ after_ns)
    }
    context.status = max(context.status, .findings)
    context.output.note("linkbms: trigger: \(reason)")
  }

  private func keep(_ reasons: [String], _ wall_ns: Int64) {
    fired = nil
    do throws(WorldError) {
      let text = try save(ring.records(since: wall_ns &- before_ns), reasons.joined(separator: "; "))
      saved += 1
      context.output.note("linkbms: \(text)")
    } catch { context.output.note("linkbms: \(error.message)") }
  }
}
