import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `info`: what a capture is, before anything is decoded.
struct InfoCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Say what a capture is: format, span, buses, rates, load, IDs and faults of its times.",
    discussion: """
      EXAMPLES
        linkbms info site.log
        linkbms info --bitrate 250000 site.pcapng
        linkbms info --format json site.log | jq .buses

      EXIT STATUS
        0  nothing odd; 1  the capture is damaged, lost frames or its times go backwards; 2  could not read it.
      """)

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"), completion: .file())
  var files: [String] = []
  @Option(help: ArgumentHelp("Output: text or json.", valueName: "format"))
  var format: OutputFormat?
  @Option(help: ArgumentHelp("Bit rate that the load is reckoned for, bit/s.", valueName: "rate"))
  var bitrate: UInt64 = 500_000
  @OptionGroup var live: LiveInput
  @OptionGroup var input: InputOptions

  func validate() throws {
    try live.check(files)
    guard bitrate > 0 else { throw ValidationError("--bitrate: found 0, expected bits per second such as 250000 or 500000") }
    guard format != .csv else { throw ValidationError("--format csv: info has no table; use text or json") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    let isJSON = (format ?? world.defaultFormat) == .json
    let style = TextStyle(usesColour: world.terminal.usesColour)
    let bitrate = bitrate
    return ListenJob(try live.context("info", usual: "10s", in: &world), SurveySink()) { sink, context in
      let report = InfoReport(source: .live(context.buses), sink: sink, bitrate: bitrate)
      context.output.data.pointee.append(string: isJSON ? report.json : report.text(style))
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try LiveLoop.run(job, in: &world) }
    var status = ExitStatus.done
    for file in try world.captures(files) {
      var capture = try CaptureInput(path: file, format: input.from)
      if input.explain { world.explain(capture) }
      var sink = SurveySink()
      var progress = Progress(of: capture.name, world.terminal)
      while try capture.readWindow(into: &sink) {
        if world.isInterrupted || (input.strict && sink.problems.hasDamage) { break }
        world.show(&progress, capture.progress)
      }
      world.end(&progress)
      let report = InfoReport(source: .init(capture), sink: sink, bitrate: bitrate)
      try world.write(
        (format ?? world.defaultFormat) == .json ? report.json : report.text(TextStyle(usesColour: world.terminal.usesColour)))
      let result = world.report(sink.problems, of: capture.name)
      status = max(status, result)
    }
    return status
  }
}

/// Surveys a capture and watches its times.
struct SurveySink: RecordSink {
  private(set) var survey = CaptureSurvey()
  private(set) var records: UInt64 = 0
  private(set) var sideRecords: UInt64 = 0
  /// Chain and PDU records by bus.
  private(set) var sideBuses: [Int: UInt64] = [:]
  private(set) var problems = ProblemLog()
  private(set) var timeline = Timeline()

  mutating func busAppeared(_ bus: BusID, named name: String) { survey.addBus(named: name) }

  mutating func receive(_ record: borrowing CANRecord) {
    records &+= 1
    if let oddity = timeline.observe(record) { problems.note(oddity.problem(atRecord: records, time: record.time)) }
    survey.add(record)
  }

  mutating func receive(_ record: SideRecord) {
    records &+= 1
    sideRecords &+= 1
    sideBuses[Int(record.bus.index), default: 0] &+= 1
    // Only its time counts here.
    let time = CANRecord(
      time: record.precision == .none ? nil : record.time, precision: record.precision, bus: record.bus, frame: CANFrame())
    if let oddity = timeline.observe(time) { problems.note(oddity.problem(atRecord: records, time: record.time)) }
  }

  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }
}

/// What `info` prints.
struct InfoReport {
  let source: Source
  let sink: SurveySink
  let bitrate: UInt64

  /// Where the records came from.
  struct Source {
    var name: String
    /// What it is, in words.
    var format: String
    /// The format's short name.
    var word: String
    var isCompressed = false
    var reason: String?
    /// Lines or blocks without a record.
    var ignored: UInt64 = 0

    init(_ capture: CaptureInput) {
      name = capture.name
      let reason = capture.guesses.first?.reason
      format = "\(capture.isCompressed ? "gzip-compressed " : "")\(capture.format.title)\(reason.map { ": \($0)" } ?? ", as told")"
      word = capture.format.rawValue
      isCompressed = capture.isCompressed
      self.reason = reason
      ignored = capture.ignored
    }

    private init(live name: String) {
      self.name = name
      format = "live"
      word = "live"
    }

    /// Live buses.
    static func live(_ name: String) -> Source { Source(live: name) }
  }

  func text(_ style: TextStyle) -> String {
    var lines = ["\(style.strong(source.name))"]
    lines.append("  format   \(source.format)")
    lines.append(
      "  records  \(sink.records)" + (source.ignored > 0 ? ", beside \(source.ignored) lines or blocks without one" : ""))
    lines.append("  time     \(timeText)")
    for fault in timeFaults { lines.append("  " + style.warning(fault)) }
    for (index, bus) in sink.survey.buses.enumerated() {
      if bus.frames == 0, let count = sink.sideBuses[index] {
        lines += ["", style.strong(bus.name) + "  \(count) \(bus.name.hasPrefix("pdu") ? "PDU" : "chain") records"]
      } else {
        lines += busLines(bus, style)
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private var timeText: String {
    guard let first = sink.timeline.first, let last = sink.timeline.end else { return "none given" }
    let span = ValueText.decimal((last.nanoseconds &- first.nanoseconds) / 1_000_000, decimals: 3)
    // Below the year 2001 a number is no date but a clock that began at the recorder's start.
    guard first.nanoseconds > 1_000_000_000_000_000_000 else { return "\(span) s, relative" }
    return "\(span) s, from \(CalendarTime(first)) to \(CalendarTime(last)) UTC"
  }

  private var timeFaults: [String] {
    var faults: [String] = []
    let line = sink.timeline
    if line.backwards > 0 { faults.append("time goes backwards \(line.backwards) ×") }
    if line.gaps > 0 {
      faults.append(
        "\(line.gaps) silence\(line.gaps == 1 ? "" : "s") of more than \(Timeline.gap_ns / 1_000_000_000) s, the longest \(line.longestGap / 1_000_000_000) s"
      )
    }
    if line.timeless > 0 { faults.append("\(line.timeless) records without a time") }
    return faults
  }

  private func busLines(_ bus: CaptureSurvey.BusSurvey, _ style: TextStyle) -> [String] {
    var lines = ["", style.strong(bus.name) + "  \(bus.frames) frames\(kinds(bus)), \(bus.ids.count) IDs"]
    if let rate = rate(bus) {
      lines.append("  rate     \(rate.mean) frames/s mean, \(bus.peakFramesPerSecond) in the busiest second")
      lines.append(
        "  load     \(rate.load) % mean, \(percent(bus.peakBitsPerSecond, of: bitrate)) % in the busiest second, at \(bitrate / 1000) kbit/s"
      )
    }
    for (raw, count) in bus.ids.sorted(by: { ($0.key & 0x1FFF_FFFF, $0.key) < ($1.key & 0x1FFF_FFFF, $1.key) }) {
      let id = InfoReport.idText(raw)
      let length =
        count.shortestLength == count.longestLength ? "\(count.longestLength)" : "\(count.shortestLength)…\(count.longestLength)"
      var line = "  \(String(repeating: " ", count: 8 - id.utf8.count))\(id)  [\(length)]  \(count.frames) frames"
      if let period = count.meanPeriod { line += ", every \(ValueText.decimal(Int64(period / 1000), decimals: 3)) ms" }
      lines.append(line)
    }
    if bus.beyond > 0 { lines.append("  \(bus.beyond) frames with more different IDs than are listed") }
    return lines
  }

  private func kinds(_ bus: CaptureSurvey.BusSurvey) -> String {
    var parts: [String] = []
    let standard = bus.frames &- bus.extended &- bus.errors
    if standard > 0 { parts.append("\(standard) with 11-bit IDs") }
    if bus.extended > 0 { parts.append("\(bus.extended) with 29-bit IDs") }
    if bus.fd > 0 { parts.append("\(bus.fd) FD") }
    if bus.remote > 0 { parts.append("\(bus.remote) remote") }
    if bus.errors > 0 { parts.append("\(bus.errors) error frames") }
    if bus.received > 0 { parts.append("\(bus.received) received") }
    if bus.transmitted > 0 { parts.append("\(bus.transmitted) transmitted") }
    return parts.isEmpty ? "" : " (" + parts.joined(separator: ", ") + ")"
  }

  private func rate(_ bus: CaptureSurvey.BusSurvey) -> (mean: String, load: String)? {
    guard bus.span > 0 else { return nil }
    let seconds = Double(bus.span) / 1e9
    let mean = ValueText.decimal(Int64((Double(bus.frames) / seconds * 10).rounded()), decimals: 1)
    return (mean, ValueText.decimal(Int64((Double(bus.bits) / seconds / Double(bitrate) * 1000).rounded()), decimals: 1))
  }

  private func percent(_ part: UInt64, of whole: UInt64) -> String {
    ValueText.decimal(Int64((Double(part) / Double(whole) * 1000).rounded()), decimals: 1)
  }

  static func idText(_ raw: UInt32) -> String {
    let id = ArbitrationID(rawValue: raw)
    let digits = String(id.number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
  }

  var json: String {
    var text = "{\"file\":\(JSONText.quoted(source.name)),\"format\":\(JSONText.quoted(source.word))"
    text += ",\"compressed\":\(source.isCompressed),\"reason\":\(JSONText.quotedOrNull(source.reason))"
    text += ",\"records\":\(sink.records),\"ignored\":\(source.ignored)"
    let line = sink.timeline
    text += ",\"first\":\(time(line.first)),\"last\":\(time(line.end)),\"time_backwards\":\(line.backwards),\"gaps\":\(line.gaps)"
    text += ",\"longest_gap_s\":\(ValueText.decimal(line.longestGap / 1_000_000, decimals: 3)),\"without_time\":\(line.timeless)"
    text +=
      ",\"problems\":{"
      + CaptureProblem.Kind.allCases.compactMap { kind in
        sink.problems.counts[kind].map { "\(JSONText.quoted(kind.rawValue)):\($0)" }
      }.joined(separator: ",")
    return text + "},\"buses\":[" + sink.survey.buses.map(busJSON).joined(separator: ",") + "]}\n"
  }

  private func time(_ stamp: Timestamp?) -> String {
    stamp.map { "\"\(ValueText.decimal($0.nanoseconds, decimals: 9))\"" } ?? "null"
  }

  private func busJSON(_ bus: CaptureSurvey.BusSurvey) -> String {
    var text =
      "{\"bus\":\(JSONText.quoted(bus.name)),\"frames\":\(bus.frames),\"extended\":\(bus.extended),\"remote\":\(bus.remote)"
    text += ",\"errors\":\(bus.errors),\"fd\":\(bus.fd),\"received\":\(bus.received),\"transmitted\":\(bus.transmitted)"
    text += ",\"span_s\":\(ValueText.decimal(bus.span, decimals: 9)),\"peak_frames_per_s\":\(bus.peakFramesPerSecond)"
    if let rate = rate(bus) { text += ",\"mean_frames_per_s\":\(rate.mean),\"load_percent\":\(rate.load),\"bitrate\":\(bitrate)" }
    text += ",\"ids\":["
    text += bus.ids.sorted { $0.key < $1.key }.map { raw, count in
      let period = count.meanPeriod.map { ValueText.decimal(Int64($0 / 1000), decimals: 3) } ?? "null"
      return
        "{\"id\":\"\(InfoReport.idText(raw))\",\"frames\":\(count.frames),\"lengths\":[\(count.shortestLength),\(count.longestLength)],\"period_ms\":\(period)}"
    }.joined(separator: ",")
    return text + "]}"
  }
}
