import Analysis
import Bus
import Formats
import HostIO

/// `diagnose --live`: findings as they come, the verdict at the end. It never sends.
final class DiagnoseJob: LiveJob {
  let context: JobContext
  private let library: DefinitionLibrary
  private let book: RuleBook
  private let site: SiteFacts
  private let buses: [String]
  private let show: (Diagnosis, JobContext) -> Void
  private let keepsSeries: Bool
  private let heard: CaptureFile?
  private let reference: [TraceProfile]
  private var identifier: LiveIdentifier
  private var run: ConformanceRun?
  /// What is held against the known-good capture, where there is one.
  private var profiles: LiveProfiles?
  /// Everything since the beginning, and losses behind so many frames of it, for as long as it may turn out that the buses speak something
  /// else: then it is judged again from the first frame on. `nil` = it was too much, or is settled.
  private var kept: [CANRecord]? = []
  private var losses: [(behind: Int, frames: UInt64)] = []
  /// What the buses are judged by: protocol and variant of each.
  private var spoken: [String] = []
  private var first_ns: Int64?
  private var nextJudgement_ns = Int64.max
  /// Findings and how many judgements in a row they stood.
  private var standing: [String: Int] = [:]

  /// From judgement to judgement.
  static let interval_ns: Int64 = 1_000_000_000
  /// Before so much was heard, what is missing may just not have come yet.
  static let earliest_ns: Int64 = 8_000_000_000
  /// Judgements in a row in which a finding has to stand before it is told.
  static let firmness = 3

  /// - Parameters:
  ///   - keepsSeries: whether the main values are kept for charts.
  ///   - heard: takes everything that is heard, where it is wanted at the end.
  ///   - reference: a known-good capture, a profile for each bus; what goes another way is told at the end.
  ///   - show: shows the diagnosis at the end.
  init(
    _ context: JobContext, _ library: DefinitionLibrary, _ book: RuleBook, _ site: SiteFacts, keepsSeries: Bool = false,
    heard: CaptureFile? = nil, reference: [TraceProfile] = [], show: @escaping (Diagnosis, JobContext) -> Void
  ) {
    self.keepsSeries = keepsSeries
    self.heard = heard
    self.reference = reference
    self.context = context
    self.library = library
    self.book = book
    self.site = site
    self.show = show
    buses = context.ports.map(\.name)
    identifier = LiveIdentifier(library, buses: buses)
    if !reference.isEmpty { profiles = LiveProfiles(library, buses: buses) }
  }

  var nextWake_ns: Int64 {
    min(identifier.nextWake_ns, nextJudgement_ns, heard?.nextWake_ns ?? .max)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    if first_ns == nil { first_ns = now.monotonic_ns }
    do throws(WorldError) { try heard?.write(record) } catch { return context.fail(error.message) }
    profiles?.receive(record)
    identifier.take(record, now.monotonic_ns)
    keep(record)
    run?.receive(record)
  }

  private func keep(_ record: CANRecord) {
    guard let count = kept?.count else { return }
    if run == nil || count < LiveIdentifier.mostEarly {
      kept?.append(record)
    } else {
      kept = nil
      losses = []
    }
  }

  func lost(_ frames: UInt64, port: Int, _ now: LiveTime) {
    heard?.lost(frames, bus: port)
    if let count = kept?.count { losses.append((count, frames)) }
    if let records = run?.records { run?.report(.framesLost(frames, behind: records)) }
  }

  func wake(_ now: LiveTime) {
    do throws(WorldError) { try heard?.wake(now) } catch { return context.fail(error.message) }
    if let verdicts = identifier.look(now.monotonic_ns) { learn(verdicts, now) }
    guard now.monotonic_ns >= nextJudgement_ns else { return }
    nextJudgement_ns = now.monotonic_ns &+ DiagnoseJob.interval_ns
    judge(now)
  }

  func finish(_ now: LiveTime) {
    // What came since the last look counts, too.
    if run == nil || identifier.isOpen && kept != nil { learn(identifier.identify(), now) }
    do throws(WorldError) { try heard?.close() } catch { context.fail(error.message) }
    guard let diagnosis = run?.diagnose(besides: comparisons()) else { return }
    context.status = max(context.status, diagnosis.hasErrors ? .findings : .done)
    show(diagnosis, context)
  }

  private func comparisons() -> [(bus: String, comparison: TraceComparison)] {
    (profiles?.heard() ?? []).enumerated().map { index, profile in
      (
        profile.identification.bus,
        TraceComparison(CaptureProfiles.partner(of: profile, at: index, in: reference), profile)
      )
    }
  }

  /// Judges by what the buses speak; anew where that is something else than was thought, or a side has come.
  private func learn(_ verdicts: [BusIdentification], _ now: LiveTime) {
    let words = verdicts.map { verdict in
      verdict.protocolName.map { "\($0)\(verdict.variant.map { " (\($0))" } ?? "")" } ?? "no known protocol yet"
    }
    let isNew = words != spoken
    // Without the first frames a judgement that goes on knows more than one that begins now.
    if run == nil || kept != nil || isNew { begin(verdicts, now) }
    identifier.dropEarly()
    if !identifier.isOpen {
      kept = nil
      losses = []
    }
    guard isNew else { return }
    spoken = words
    standing = [:]
    for (verdict, words) in zip(verdicts, words) { context.output.note("linkbms: \(verdict.bus): \(words)") }
  }

  private func begin(_ verdicts: [BusIdentification], _ now: LiveTime) {
    var fresh = ConformanceRun(library, book, site, verdicts: verdicts, keepsSeries: keepsSeries)
    for (index, name) in buses.enumerated() { fresh.busAppeared(BusID(UInt16(index)), named: name) }
    var losses = losses[...]
    for (index, record) in (kept ?? []).enumerated() {
      while let loss = losses.first, loss.behind <= index {
        losses.removeFirst()
        fresh.report(.framesLost(loss.frames, behind: fresh.records))
      }
      fresh.receive(record)
    }
    for loss in losses { fresh.report(.framesLost(loss.frames, behind: fresh.records)) }
    run = fresh
    if kept == nil { first_ns = now.monotonic_ns }
    nextJudgement_ns = max(now.monotonic_ns, (first_ns ?? now.monotonic_ns) &+ DiagnoseJob.earliest_ns)
  }

  /// Tells what is new and has stood for a while: the first seconds of a link look worse than it is.
  private func judge(_ now: LiveTime) {
    guard var copy = run else { return }
    let diagnosis = copy.diagnose()
    var seen: [String: Int] = [:]
    for finding in diagnosis.findings where finding.severity > .note {
      let key = "\(finding.bus) \(finding.rule)"
      let count = (standing[key] ?? 0) + 1
      seen[key] = count
      guard count == DiagnoseJob.firmness else { continue }
      let at = DurationText.seconds(now.monotonic_ns &- (first_ns ?? now.monotonic_ns))
      context.output.note(
        "\(at)  \(finding.rule.rawValue) \(diagnosis.book[finding.rule].name) (\(finding.severity.rawValue))  "
          + DiagnosisText.place(finding, diagnosis) + ": \(finding.text)")
    }
    // What was told once stays told, even where it comes and goes.
    for (key, count) in standing where count >= DiagnoseJob.firmness && seen[key] == nil { seen[key] = count }
    standing = seen
  }
}

extension CaptureProblem {
  /// A live bus lost frames behind so many records.
  static func framesLost(_ frames: UInt64, behind records: UInt64) -> CaptureProblem {
    CaptureProblem(
      .framesLost, at: .init(.record, records, byteOffset: 0), found: "\(frames) frames lost", expected: "none", count: frames)
  }
}
