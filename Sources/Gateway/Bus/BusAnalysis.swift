import Analysis
import Bus
import Formats
import Protocols

/// What is said between battery and inverter, decoded, identified and judged as it goes by. Frames go in; time is theirs.
struct BusAnalysis: Sendable {
  /// A frame in words.
  struct Line: Sendable {
    var number: UInt64
    var time: String
    var id: String
    var data: String
    var side: String
    var name: String
    var values: String
    /// Whether a fault or alarm is set in it.
    var isAlarm: Bool
  }
  /// What the page shows beside the frames.
  struct Report: Sendable, Equatable {
    var speaks = ""
    var verdict = ""
    var findings: [[String]] = []
    var timeline: [[String]] = []
  }

  /// Lines that are kept.
  static let lineRoom = 200
  /// After so many frames the judging begins anew: its memory must not grow for months.
  static let judgedRoom: UInt64 = 200_000
  /// Frames before the protocol is named, and then again at each doubling until it is.
  static let firstLook = 30

  private let library: DefinitionLibrary
  private let book: RuleBook
  private let name: String
  private var census = TrafficCensus()
  private var early: [CANRecord] = []
  private var nextLook = BusAnalysis.firstLook
  private var verdict: BusIdentification?
  private var table: DecodeTable
  private var run: ConformanceRun?
  private var count: UInt64 = 0
  private var judged: UInt64 = 0
  private(set) var lines: [Line] = []

  /// - Parameters:
  ///   - library: every protocol that can be named.
  ///   - book: the rules it is held against.
  ///   - name: the port's.
  init(_ library: DefinitionLibrary, _ book: RuleBook, name: String) {
    self.name = name
    self.library = library
    self.book = book
    table = DecodeTable(PlanCompiler().finish())
    census.busAppeared(BusID(0), named: name)
  }

  /// Takes frames in the order in which they passed.
  mutating func take(_ frames: [CANRecord]) {
    for frame in frames {
      var record = frame
      record.bus = BusID(0)
      count += 1
      if verdict?.protocolName == nil { look(record) }
      if judged >= BusAnalysis.judgedRoom { beginJudging() }
      run?.receive(record)
      judged += 1
      lines.append(line(record))
    }
    if lines.count > BusAnalysis.lineRoom { lines.removeFirst(lines.count - BusAnalysis.lineRoom) }
  }

  private mutating func look(_ record: CANRecord) {
    census.receive(record)
    // What came before the protocol was known is judged with the rest.
    if early.count < 2000 { early.append(record) }
    guard census.buses.first.map({ $0.frames >= UInt64(nextLook) }) ?? false else { return }
    nextLook = nextLook < 100_000 ? nextLook * 2 : nextLook + 100_000
    guard let found = ProtocolIdentifier(library).identify(census).first, found.protocolName != nil else { return }
    verdict = found
    var compiler = PlanCompiler()
    for one in [found] + found.others {
      guard let name = one.protocolName, let definition = library.definition(name) else { continue }
      definition.add(to: &compiler, variant: one.variant.flatMap { definition.variant($0) }, readings: one.readings)
    }
    table = DecodeTable(compiler.finish())
    beginJudging()
    for past in early.dropLast() { run?.receive(past) }
    early = []
    lines = lines.map { $0.name.isEmpty ? renamed($0) : $0 }
  }

  private mutating func beginJudging() {
    judged = 0
    guard let verdict else { return }
    var fresh = ConformanceRun(library, book, SiteFacts(), verdicts: [verdict])
    fresh.busAppeared(BusID(0), named: name)
    run = fresh
  }

  // MARK: Words

  private func line(_ record: CANRecord) -> Line {
    let time = CalendarTime(record.time).description.split(separator: " ").last.map(String.init) ?? ""
    let fraction = (record.time.nanoseconds / 1_000_000 % 1000 + 1000) % 1000
    let digits = String(fraction)
    var line = Line(
      number: count, time: time + "." + String(repeating: "0", count: 3 - digits.count) + digits,
      id: FrameText.text(record.frame.id),
      data: (0..<record.frame.payloadLength).map { ValueText.hexByte(record.frame.byte($0)) }.joined(separator: " "), side: "",
      name: "",
      values: "", isAlarm: false)
    if record.frame.flags.contains(.error) {
      line.name = "error frame"
      line.values = ErrorFrameText.describe(record.frame)
      line.isAlarm = true
    } else {
      decode(record.frame, &line)
    }
    return line
  }

  private func decode(_ frame: CANFrame, _ line: inout Line) {
    guard let slot = table.slot(of: frame) else { return }
    let dissection = table.dissection
    let message = dissection.messages[table.messageIndex(ofSlot: slot)]
    line.name = message.name
    line.side = message.sender?.rawValue ?? ""
    var values: [String] = []
    for index in Int(table.slots[slot].first)..<Int(table.slots[slot].end) {
      guard let raw = table.raw(index, slot: slot, in: frame) else { continue }
      let signal = dissection.signals[index]
      if let flag = signal.flag {
        guard flag.isSet(raw) else { continue }
        if flag.severity != .notice { line.isAlarm = true }
        values.append("\(flag.severity.rawValue): \(flag.text)")
      } else {
        let value = ValueText.text(of: raw, dissection, index)
        values.append("\(signal.name) \(value)\(signal.unit.isEmpty ? "" : " " + signal.unit)")
      }
    }
    line.values = values.joined(separator: ", ")
  }

  private func renamed(_ line: Line) -> Line {
    var better = line
    if let frame = FrameText.parse(line.id + "#" + line.data.replacing(" ", with: "")) { decode(frame, &better) }
    return better
  }

  /// How it stands now.
  var report: Report {
    var report = Report()
    guard count > 0 else {
      report.speaks = "No frame has passed on the inverter's bus yet."
      return report
    }
    guard let verdict, let name = verdict.protocolName, var copy = run else {
      report.speaks = "\(count) frames; what is spoken is not known yet."
      return report
    }
    let title = library.definition(name)?.sidecar.title ?? name
    let sides = verdict.sides.map(\.rawValue).joined(separator: " and ")
    report.speaks = "\(title)\(verdict.variant.map { " (\($0))" } ?? ""); heard: \(sides)."
    let diagnosis = copy.diagnose()
    report.verdict = diagnosis.verdict
    report.findings = diagnosis.findings.prefix(30).map { finding in
      [
        "\(finding.rule.rawValue) \(diagnosis.book[finding.rule].name)", finding.severity.rawValue, finding.text,
        finding.fix ?? diagnosis.book[finding.rule].fix,
      ]
    }
    report.timeline = (diagnosis.buses.first?.timeline ?? []).suffix(60).map { entry in
      [CalendarTime(entry.mark.time).description, entry.side.rawValue, entry.phase, entry.text]
    }
    return report
  }
}
