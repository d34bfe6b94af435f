import Bus
public import Formats
import Protocols

/// What is wrong with a link, in the order in which a person should read it.
public struct Diagnosis: Sendable {
  /// The answer in one line.
  public let verdict: String
  /// Worst first; a root cause is one finding.
  public let findings: [Finding]
  /// What each bus speaks.
  public let buses: [BusReport]
  /// Words and thresholds.
  public let book: RuleBook
  /// Records that were seen.
  public let records: UInt64

  /// One bus.
  public struct BusReport: Sendable {
    /// Its name.
    public var name: String
    /// What it speaks.
    public var identification: BusIdentification
    /// Data frames.
    public var frames: UInt64
    /// First and last record.
    public var first: RecordMark?
    /// The last one.
    public var last: RecordMark?
    /// How the conversation went.
    public var timeline: [TimelineEntry]
    /// First value and range of each quantity.
    public var figures: [(name: String, first: String, range: String)]
    /// The main values over time; empty unless a page was asked for.
    public var charts: [Chart] = []
  }

  /// One quantity over time.
  public struct Chart: Sendable {
    /// Names and unit, for people.
    public var title: String
    /// Lines of the chart: name, and (seconds from the first record, value).
    public var lines: [(name: String, points: [(seconds: Double, value: Double)])]
  }

  /// A step of the conversation.
  public struct TimelineEntry: Sendable {
    /// Where.
    public var mark: RecordMark
    /// Whose.
    public var side: Side
    /// What the state means.
    public var phase: String
    /// The state in words.
    public var text: String
  }

  init(_ run: ConformanceRun, _ comparisons: [(bus: String, comparison: TraceComparison)] = []) {
    var all = Diagnosis.health(run)
    for (bus, comparison) in comparisons { all += Diagnosis.differences(comparison, bus, run.book) }
    for watch in run.buses where watch.frames > 0 || watch.sideRecords == 0 {
      all += Diagnosis.suppressed(BusJudge.findings(watch, run))
    }
    all.sort { a, b in
      if a.severity != b.severity { return a.severity > b.severity }
      return (a.rule.rank, a.first?.record ?? 0) < (b.rule.rank, b.first?.record ?? 0)
    }
    if !all.contains(where: { $0.severity > .note }) {
      for watch in run.buses where watch.identification.sides.count == 2 {
        var fine = Finding(.R27, .note, bus: watch.name, "\(run.book[.R27].why)")
        fine.fix = run.site.inverter.flatMap { run.book.inverters[$0]?.fix }
        all.append(fine)
      }
    }
    findings = all
    buses = run.buses.map { watch in
      let isStrange = all.contains { $0.rule == .R04 && $0.bus == watch.name && $0.severity > .note }
      return Diagnosis.report(watch, takesNothing: isStrange)
    }
    book = run.book
    records = run.records
    verdict = Diagnosis.verdict(all, run)
  }

  /// Whether anything of severity error was found.
  public var hasErrors: Bool { findings.contains { $0.severity == .error } }

  // MARK: R28

  /// Where the capture goes another way than the known-good one: where they part, else the first that differs.
  private static func differences(_ comparison: TraceComparison, _ bus: String, _ book: RuleBook) -> [Finding] {
    guard let shown = comparison.differences.last(where: { $0.kind == .order }) ?? comparison.differences.first else { return [] }
    let others = comparison.differences.count - 1
    var finding = Finding(
      .R28, book.severity(.R28, for: nil), bus: bus,
      "unlike the reference: \(shown.text)" + (others > 0 ? ", and \(others) more" : ""))
    finding.count = UInt64(comparison.differences.count)
    finding.expected = "what the known-good capture says"
    finding.fix = "look at the first difference: linkbms compare lists them all"
    return [finding]
  }

  // MARK: R00

  private static func health(_ run: ConformanceRun) -> [Finding] {
    var findings: [Finding] = []
    let severity = run.book.severity(.R00, for: nil)
    if run.backwards > 0 {
      var finding = Finding(
        .R00, severity, bus: "",
        "time steps back \(run.backwards) ×, by up to \(ValueText.decimal(run.longestStepBack / 1_000_000, decimals: 3).trimmedZeros) s"
      )
      finding.first = run.firstBackwards
      finding.count = run.backwards
      findings.append(finding)
    }
    if run.lost > 0 {
      var finding = Finding(.R00, severity, bus: "", "the recorder lost frames (\(run.lost) notes of it)")
      finding.count = run.lost
      findings.append(finding)
    }
    if run.damaged > 0 {
      var finding = Finding(.R00, .note, bus: "", "\(run.damaged) places of the file cannot be read")
      finding.count = run.damaged
      findings.append(finding)
    }
    return findings
  }

  // MARK: One root cause is one finding (diagnostics.md §4)

  /// What each rule explains, and therefore holds back.
  private static let explains: [RuleID: Set<RuleID>] = {
    let values: Set<RuleID> = [.R13a, .R16, .R17, .R18, .R19, .R19a, .R20, .R21, .R22, .R23, .R24, .R25, .R26]
    let timing: Set<RuleID> = [.R05, .R06, .R07]
    let encoding: Set<RuleID> = [.R10, .R10b, .R11, .R12, .R14, .R15]
    return [
      .R02b: Set(RuleID.allCases).subtracting([.R02b, .R00]),
      .R02a: Set([.R02, .R02c, .R05, .R06]),
      .R01: Set([.R02, .R03, .R04, .R04a, .R09, .R14]).union(timing),
      .R04a: Set([.R02, .R03, .R04, .R09, .R01, .R14]).union(timing),
      .R04: Set([.R02, .R18]).union(timing),
      .R02: Set([.R03, .R18, .R24]).union(timing),
      .R03: Set([.R04, .R05, .R06, .R07, .R20]),
      .R09b: values.union(timing).union(encoding).union([.R03, .R04]),
      .R10: Set([.R12, .R16, .R13a, .R20, .R21]),
      .R10b: Set([.R12, .R16, .R17, .R26]),
      .R16: values.subtracting([.R16]).union([.R12, .R15, .R14, .R17]),
      .R02c: Set([.R02, .R05, .R06, .R07]),
      .R23: Set([.R19, .R20, .R17]),
      .R19: Set([.R20, .R21, .R18]),
      .R05: Set([.R06, .R18, .R24]),
      .R07: Set([.R05, .R06]),
      .R26: Set([.R18, .R21]),
      .R25: Set([.R24]),
      .R13a: Set([.R19, .R20]),
    ]
  }()

  private static func suppressed(_ findings: [Finding]) -> [Finding] {
    var kept = findings
    // From what explains most to what explains least.
    for finding in findings.sorted(by: { ($0.rule == .R07 ? 0 : $0.rule.rank) < ($1.rule == .R07 ? 0 : $1.rule.rank) }) {
      guard let held = explains[finding.rule], kept.contains(where: { $0.rule == finding.rule }), finding.severity > .note else {
        continue
      }
      let hidden = kept.filter { held.contains($0.rule) && $0.rule != finding.rule }
      guard !hidden.isEmpty else { continue }
      kept.removeAll { held.contains($0.rule) && $0.rule != finding.rule }
      if let index = kept.firstIndex(where: { $0.rule == finding.rule }) { kept[index].explains += hidden.map(\.rule) }
    }
    return kept
  }

  // MARK: Words

  private static func verdict(_ findings: [Finding], _ run: ConformanceRun) -> String {
    guard let worst = findings.first, worst.severity > .note else {
      if run.buses.isEmpty { return "no frame of a CAN bus in this capture" }
      let named = run.buses.compactMap { $0.identification.protocolName }
      guard let name = named.first else { return "no protocol that is known: nothing can be judged" }
      let title = run.library.definition(name)?.sidecar.title ?? name
      let sides = run.buses.first { $0.identification.protocolName == name }?.identification.sides.count ?? 0
      if sides == 2 { return "the link is fine: \(title), asked and answered; look at the inverter's own settings" }
      return "nothing wrong is visible in \(title), but only one side was recorded"
    }
    let fix = worst.fix ?? run.book[worst.rule].fix
    let others = findings.filter { $0.severity == .error }.count - (worst.severity == .error ? 1 : 0)
    return worst.text + (fix.isEmpty ? "" : ": \(fix)") + (others > 0 ? " (and \(others) more)" : "")
  }

  /// - Parameter takesNothing: whether the inverter takes none of the answers, as another battery's.
  private static func report(_ watch: BusWatch, takesNothing: Bool) -> BusReport {
    var report = BusReport(
      name: watch.name, identification: watch.identification, frames: watch.frames,
      first: watch.first.map { RecordMark(record: $0.record, time: Timestamp(nanoseconds: $0.time)) },
      last: watch.first == nil ? nil : RecordMark(record: watch.last.record, time: Timestamp(nanoseconds: watch.last.time)),
      timeline: [],
      figures: [])
    let sides = Set(([watch.identification] + watch.identification.others).flatMap(\.sides))
    var hasNamedAddress = false
    for change in watch.monitor?.changes ?? [] {
      // The states of a side that was never heard would be a guess.
      guard sides.contains(change.side == .battery ? .battery : .inverter) else { continue }
      guard let state = watch.link?.state(change.side, change.state) else { continue }
      // The monitor follows what is on the wire; an inverter that means another battery has taken nothing of it.
      if takesNothing, change.side == .inverter, change.phase == .opening || change.phase == .online {
        if hasNamedAddress { continue }
        hasNamedAddress = true
        report.timeline.append(
          TimelineEntry(
            mark: RecordMark(record: change.mark.record, time: Timestamp(nanoseconds: change.mark.time_us &* 1000)),
            side: .inverter, phase: LinkPhase.waiting.word, text: "takes none of these answers (R04)"))
        continue
      }
      report.timeline.append(
        TimelineEntry(
          mark: RecordMark(record: change.mark.record, time: Timestamp(nanoseconds: change.mark.time_us &* 1000)),
          side: change.side == .battery ? .battery : .inverter, phase: change.phase.word, text: state.title))
    }
    report.charts = watch.series?.charts(from: watch.first?.time ?? 0) ?? []
    for quantity in Quantity.allCases where !quantity.isYesOrNo && quantity.rawValue <= Quantity.inverterVoltage.rawValue {
      let extent = watch.values.extent(quantity)
      guard extent.count > 0 else { continue }
      func text(_ value: Int64) -> String { ValueText.decimal(value, decimals: 3).trimmedZeros }
      let range = extent.lowest == extent.highest ? text(extent.lowest) : "\(text(extent.lowest)) … \(text(extent.highest))"
      report.figures.append((quantity.name, text(extent.first), "\(range)\(quantity.unit.isEmpty ? "" : " " + quantity.unit)"))
    }
    return report
  }
}
