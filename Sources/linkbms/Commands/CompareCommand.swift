import Analysis
import ArgumentParser
import Bus
import Formats

/// `compare`: a capture, or what a live bus says, beside a known-good capture.
struct CompareCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Hold a capture against a known-good one: order, periods, content, and where the two first part.",
    discussion: HelpText.discussion(
      "Bus by bus: IDs that are missing or more, messages that come at another pace or with another length, fields that never move and "
        + "differ, and the first step at which the conversations part. Values that move are not compared. --live listens first and "
        + "compares then: as long as --for says, or until Ctrl-C. Exit status: 0 alike; 1 differences, or frames were lost; 2 could not "
        + "read a file or a bus. A --for that Ctrl-C cuts short, and a script of the prompt, end with 130 (SIGTERM: 143).",
      examples: [
        ("linkbms compare good.log bad.log", "the known-good one first"),
        (
          "linkbms compare run.pcapng --engine",
          "a recording against this build's controller: outputs, and what the inverter was told"
        ),
        ("linkbms compare --tolerance 0.2 good.log bad.log", "periods within 20 %"),
        ("linkbms compare good.log --live can0 --for 60s", "the bus as it speaks now"),
      ]))

  @Argument(help: ArgumentHelp("The known-good capture.", valueName: "reference"), completion: .file())
  var reference: String
  @Argument(help: ArgumentHelp("The capture in doubt.", valueName: "file"), completion: .file())
  var file: String?
  @Flag(
    help:
      "Compare a recording of simulate --record with what this build's controller says to the same inputs; a capture of CAN alone with what a controller may say."
  )
  var engine = false
  @Option(help: ArgumentHelp("How far periods may be apart, as a fraction (default: 0.5).", valueName: "fraction"))
  var tolerance: Double?
  @Option(help: ArgumentHelp("Output: text or json.", valueName: "format"))
  var format: ReportFormat?
  @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?

  @OptionGroup var live: LiveInput

  func validate() throws {
    try live.check(file.map { [$0] } ?? [])
    if let tolerance, !(tolerance > 0 && tolerance < 100) {
      throw ValidationError("--tolerance: found \(tolerance), expected a fraction above 0")
    }
    // What a controller says is held against rules.yaml's own tolerances, and told as text.
    if engine, tolerance != nil || format == .json {
      throw ValidationError("\(tolerance != nil ? "--tolerance" : "--format json"): does not go with --engine")
    }
    guard [file != nil, engine, live.isWanted].filter({ $0 }).count == 1 else {
      throw ValidationError("name two captures, or one recording and --engine, or one capture and --live IFACE")
    }
    guard reference != "-" || file != "-" else { throw ValidationError("standard input can be read once only") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    let library = try library(in: &world)
    let mine = try CaptureProfiles.read(reference, library, in: &world)
    guard !mine.isEmpty else { throw WorldError(message: "\(reference): found no CAN frame") }
    let isJSON = ReportFormat.isJSON(format, in: world)
    let style = TextStyle(usesColour: world.terminal.usesColour)
    return CompareJob(try live.context("compare \(reference)", in: &world), library) { [self] theirs, context in
      guard !theirs.isEmpty else { return context.fail("\(context.buses): found no CAN frame to compare") }
      let outcome = report(mine, theirs, context.buses, isJSON: isJSON, style)
      for line in outcome.lines { context.output.print(line) }
      context.status = max(context.status, outcome.status)
    }
  }

  private func library(in world: inout some World) throws(WorldError) -> DefinitionLibrary {
    var options = DefinitionOptions()
    options.dissectors = dissectors
    return try world.library(options)
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try live.verdict(of: job, in: &world) }
    let library = try library(in: &world)
    if engine { return try compareWithEngine(library, in: &world) }
    guard let file else { return .failed }
    let mine = try CaptureProfiles.read(reference, library, in: &world)
    let theirs = try CaptureProfiles.read(file, library, in: &world)
    guard !mine.isEmpty, !theirs.isEmpty else {
      throw WorldError(message: "\(mine.isEmpty ? reference : file): found no CAN frame")
    }
    let isJSON = ReportFormat.isJSON(format, in: world)
    let outcome = report(mine, theirs, file, isJSON: isJSON, TextStyle(usesColour: world.terminal.usesColour))
    for line in outcome.lines { try world.print(line) }
    return outcome.status
  }

  /// Bus by bus what differs, and what that comes to. `mine` has at least one bus.
  private func report(
    _ mine: [TraceProfile], _ theirs: [TraceProfile], _ name: String, isJSON: Bool, _ style: TextStyle
  ) -> (lines: [String], status: ExitStatus) {
    var lines: [String] = []
    var status = ExitStatus.done
    for (index, other) in theirs.enumerated() {
      let partner = CaptureProfiles.partner(of: other, at: index, in: mine)
      let comparison = TraceComparison(partner, other, tolerance: tolerance ?? 0.5)
      if !comparison.differences.isEmpty { status = .findings }
      let bus = other.identification.bus
      lines += isJSON ? [json(comparison, bus, name)] : text(comparison, style.strong(bus), style)
    }
    return (lines, status)
  }

  private func compareWithEngine(_ library: DefinitionLibrary, in world: inout some World) throws -> ExitStatus {
    var capture = try CaptureInput(path: reference, format: nil)
    var census = TrafficCensus()
    try capture.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    let verdict = ProtocolIdentifier(library).identify(census).first { $0.protocolName != nil }
    let link = verdict?.protocolName.flatMap { library.definition($0) }?.link(
      variant: verdict?.variant, readings: verdict?.readings ?? [:])
    var comparison = EngineComparison(link, tolerances: try RuleBookFile.read(dissectors).tolerances)
    while try capture.readWindow(into: &comparison) { if world.isInterrupted { break } }
    let replay = comparison.replay
    for problem in replay.problems { world.note("linkbms: \(capture.name): \(problem)") }
    guard replay.starts > 0 else {
      if replay.unstarted > 0 { world.note("linkbms: \(capture.name): \(RecordingText.laterFile(steps: replay.unstarted))") }
      return try inferStates(link, verdict?.bus, in: &world)
    }
    try world.print("\(capture.name): \(replay.differing) of \(replay.steps) steps of the controller differ")
    if let first = replay.first {
      try world.print("  first step \(first.step), at \(ValueText.decimal(first.time.nanoseconds, decimals: 9)) s")
      for text in first.texts { try world.print("    " + text) }
    }
    let spoken = link?.definition.protocolName ?? "no known protocol"
    try world.print(
      "\(spoken): \(comparison.differing) of \(comparison.values) values in \(comparison.frames) frames of the battery differ")
    if let first = comparison.first {
      try world.print(
        "  first record \(first.record), at \(ValueText.decimal(first.time.nanoseconds, decimals: 9)) s: \(first.text)")
    }
    return replay.differing == 0 && comparison.differing == 0 && replay.problems.isEmpty ? .done : .findings
  }

  /// Without the controller's own records its status is what the frames to the inverter show, held against the specification.
  private func inferStates(_ link: CompiledLink?, _ bus: String?, in world: inout some World) throws -> ExitStatus {
    var capture = try CaptureInput(path: reference, format: nil)
    var inference = StateInference(link, bus: bus ?? "")
    while try capture.readWindow(into: &inference) { if world.isInterrupted { break } }
    guard inference.cycles > 0, let link else {
      throw WorldError(
        message:
          "\(capture.name): found neither engine records nor a battery's limits, expected a recording of simulate --record or a "
          + "capture of a link in a known protocol")
    }
    try world.print(
      "\(capture.name): CAN only: the controller's status as \(link.definition.protocolName) shows it in \(inference.cycles) cycles"
    )
    let start = inference.changes.first?.mark.time.nanoseconds ?? 0
    for change in inference.changes {
      let name = change.status.rawValue + String(repeating: " ", count: max(0, 14 - change.status.rawValue.count))
      try world.print("  \(ScenarioTime.text(Double(change.mark.time.nanoseconds &- start) / 1e9))  \(name)\(change.reason)")
    }
    let style = TextStyle(usesColour: world.terminal.usesColour)
    for oddity in inference.oddities {
      let times = oddity.count > 1 ? ", \(oddity.count) ×" : ""
      try world.print(style.alarming("not plausible") + ": \(oddity.text), first at record \(oddity.first.record)\(times)")
    }
    if inference.oddities.isEmpty { try world.print("  nothing that a LinkMaster would not have said") }
    return inference.oddities.isEmpty ? .done : .findings
  }

  private func json(_ comparison: TraceComparison, _ bus: String, _ name: String) -> String {
    let list = comparison.differences.map {
      "{\"kind\":\"\($0.kind.rawValue)\",\"id\":\(JSONText.quotedOrNull($0.id)),\"text\":\(JSONText.quoted($0.text))}"
    }
    let parting = comparison.parting.map {
      "{\"seconds\":\(ValueText.decimal(Int64($0.seconds * 1000), decimals: 3)),\"steps\":\($0.steps)"
        + ",\"reference_record\":\($0.reference),\"record\":\($0.other)}"
    }
    return "{\"bus\":\(JSONText.quoted(bus)),\"reference\":\(JSONText.quoted(reference)),\"file\":\(JSONText.quoted(name))"
      + ",\"steps\":\(comparison.stepCount),\"parting\":\(parting ?? "null"),\"differences\":[\(list.joined(separator: ","))]}"
  }

  private func text(_ comparison: TraceComparison, _ bus: String, _ style: TextStyle) -> [String] {
    guard !comparison.differences.isEmpty else { return ["\(bus): alike (\(comparison.stepCount) steps)"] }
    let count = comparison.differences.count
    let headline =
      comparison.differences.first { $0.kind == .order }?.text
      ?? "the conversation runs alike, with \(count) difference\(count == 1 ? "" : "s")"
    let rest = comparison.differences.filter { $0.kind != .order }.map { difference in
      let kind = difference.kind.rawValue
      return "  \(kind)\(String(repeating: " ", count: max(1, 10 - kind.count)))\(difference.text)"
    }
    return ["\(bus): \(style.alarming(headline))"] + rest
  }
}
