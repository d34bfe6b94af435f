import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `diagnose`: from a log to the cause of a failed handshake, and the fix.
struct DiagnoseCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "diagnose",
    abstract: "Find out why inverter and battery do not talk, and what to do about it.",
    discussion: HelpText.discussion(
      "The first line is the answer. Below it stand the findings, worst first, each with where it shows, the bytes, what was expected "
        + "and what to try; then how the conversation went. Rules and thresholds are in Dissectors/rules.yaml. Exit status: 0 nothing "
        + "of severity error; 1 findings of severity error, the file is damaged, or frames were lost; 2 could not read it. With --live "
        + "Ctrl-C ends the listening in order, with the whole diagnosis. Where no --for was given that is how it is meant, and the status "
        + "is the diagnosis's, 0 or 1; a --for that is cut short, and a script of the prompt, end with 130 (SIGTERM: 143).",
      examples: [
        ("linkbms diagnose site.log", "the cause and the fix"),
        ("linkbms diagnose --inverter deye --cells 192 site.log", "with what is known of the site"),
        ("linkbms diagnose --report site.html site.log", "one page to send to the manufacturer"),
        ("linkbms diagnose --explain R10", "all about a rule"),
        ("linkbms diagnose --live can0 --for 30s", "findings as they come, the verdict at the end"),
        ("linkbms diagnose --live can0 --for 5m --bundle site.zip", "what was heard around the findings, with the page, to send"),
      ]))

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"), completion: .file())
  var files: [String] = []
  @Option(help: ArgumentHelp("The inverter: deye, sofar, goodwe, growatt, solis, ferroamp or pylontech.", valueName: "name"))
  var inverter: String?
  @Option(help: ArgumentHelp("Cells in series.", valueName: "n"))
  var cells: Int?
  @Option(help: ArgumentHelp("Capacity of the battery in Ah.", valueName: "ah"))
  var capacity: Double?
  @Option(
    name: .customLong("protocol"),
    help: ArgumentHelp("The protocol that is meant, instead of the one recognised.", valueName: "name"))
  var protocolName: String?
  @Option(help: ArgumentHelp("Its variant.", valueName: "name"))
  var variant: String?
  @Option(
    help: ArgumentHelp(
      "A known-good capture: where FILE, or what --live has heard in the end, goes another way is a finding (R28).",
      valueName: "file"),
    completion: .file())
  var reference: String?
  @Option(
    help: ArgumentHelp(
      "Explain a rule at length, such as R10, or each rule that was found: all. Behind the diagnosis where there is one.",
      valueName: "rule"))
  var explain: String?
  @Option(help: ArgumentHelp("Output: text or json.", valueName: "format"))
  var format: ReportFormat?
  @Option(help: ArgumentHelp("Write one self-contained page to FILE.", valueName: "file"), completion: .file(extensions: ["html"]))
  var report: String?
  @Option(
    help: ArgumentHelp("Write the capture with the findings as packet comments to FILE (pcapng).", valueName: "file"),
    completion: .file(extensions: ["pcapng"]))
  var annotate: String?
  @Option(
    help: ArgumentHelp(
      "Write verdict, findings, page and the capture around the findings to FILE (zip), serial numbers masked.", valueName: "file"),
    completion: .file(extensions: ["zip"]))
  var bundle: String?
  @Option(help: ArgumentHelp("Read the capture as this format instead of recognising it.", valueName: "format"))
  var from: CaptureFormat?
  @Option(help: ArgumentHelp("Read definitions and rules from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?

  @OptionGroup var live: LiveInput

  func validate() throws {
    try live.check(files)
    if live.isWanted, from != nil { throw ValidationError("--from: says how to read a FILE; a live bus is never read as one") }
    if explain != nil, format == .json, live.isWanted || !files.isEmpty {
      throw ValidationError("--explain and --format json: what a rule means is told as text; give one of them")
    }
    if let cells { guard (1...400).contains(cells) else { throw ValidationError("--cells: found \(cells), expected 1…400") } }
    if let capacity {
      guard capacity > 0, capacity <= 100_000 else { throw ValidationError("--capacity: found \(capacity), expected Ah above 0") }
    }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    var options = DefinitionOptions()
    options.dissectors = dissectors
    let library = try world.library(options)
    let book = try RuleBookFile.read(dissectors)
    let site = try siteFacts(library, book)
    let explained = try explained(book)
    let known = try knownGood(library, in: &world)
    // Now and not when everything has been heard.
    for name in [report, annotate, bundle].compactMap(\.self) { try OutputFile.check(name) }
    let context = try live.context("diagnose", in: &world)
    let isJSON = ReportFormat.isJSON(format, in: world)
    let style = TextStyle(usesColour: world.terminal.usesColour)
    let columns = world.terminal.isTerminal ? world.terminal.columns : 100
    // What is cut or annotated at the end has to be kept until then. Nobody named this file: where a killed program has left one,
    // it is another.
    let heard = try (annotate ?? bundle).map { name throws(WorldError) in
      try OutputFile.takeFirstFree { number in
        let path = name + ".heard.pcapng"
        return number == 1 ? path : Rotation.name(path, number - 1)
      }
    }
    let file = try heard.map { name throws(WorldError) in
      try CaptureFile(name, .pcapng, buses: context.ports.map(\.name), rotation: nil, .now)
    }
    return DiagnoseJob(
      context, library, book, site, keepsSeries: report != nil || bundle != nil, heard: file, reference: known
    ) { [self] diagnosis, context in
      let text =
        isJSON
        ? DiagnosisText.json(diagnosis, of: context.buses)
        : DiagnosisText.text(diagnosis, style, columns: columns) + explained.pages(behind: diagnosis, book)
      context.output.data.pointee.append(string: text)
      do {
        try writeFiles(diagnosis, of: context.buses, heard, .pcapng, site, library) { context.output.note($0) }
      } catch { context.fail((error as? WorldError)?.message ?? "\(error)") }
      if let heard { FileNames.remove(heard) }
    }
  }

  /// What `--report`, `--annotate` and `--bundle` ask for.
  /// - Parameters:
  ///   - name: of the capture, for people.
  ///   - capture: the file that the findings are about.
  private func writeFiles(
    _ diagnosis: Diagnosis, of name: String, _ capture: String?, _ format: CaptureFormat?, _ site: SiteFacts,
    _ library: DefinitionLibrary, note: (String) -> Void
  ) throws {
    let isInterrupted = { Signals.stopRequest != nil && !live.isWanted }
    if let report {
      try OutputFile.write(DiagnosisPage.html(diagnosis, of: name, site: site), to: report)
      note("linkbms: wrote \(report)")
    }
    if let annotate, let capture {
      try Annotator.write(capture, format, diagnosis, to: annotate, isInterrupted: isInterrupted)
      note("linkbms: wrote \(annotate)")
    }
    if let bundle, let capture {
      try DiagnosisBundle.write(capture, format, diagnosis, site, library, to: bundle, isInterrupted: isInterrupted)
      note("linkbms: wrote \(bundle)")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try live.verdict(of: job, in: &world) }
    var options = DefinitionOptions()
    options.dissectors = dissectors
    let library = try world.library(options)
    let book = try RuleBookFile.read(dissectors)
    let site = try siteFacts(library, book)
    let explained = try explained(book)
    if case .one(let rule) = explained, files.isEmpty {
      try world.write(DiagnosisText.page(rule, book))
      return .done
    }
    let names = try world.captures(files)
    if names.count > 1, report != nil || annotate != nil || bundle != nil {
      throw WorldError(message: "--report, --annotate, --bundle: need exactly one FILE")
    }
    var status = ExitStatus.done
    for file in names {
      status = max(status, try diagnose(file, library, book, site, explained, isOneOfMany: names.count > 1, in: &world))
    }
    return status
  }

  private func siteFacts(_ library: DefinitionLibrary, _ book: RuleBook) throws(WorldError) -> SiteFacts {
    var site = SiteFacts()
    site.cells = cells
    site.capacity_Ah = capacity
    if let inverter {
      guard book.inverters[inverter] != nil else {
        let names = book.inverters.keys.sorted()
        throw WorldError(
          message: "--inverter: found \"\(inverter)\", expected \(names.joined(separator: ", "))"
            + NearestName.hint(inverter, in: names))
      }
      site.inverter = inverter
    }
    if let protocolName {
      let definition = try TableChooser.definition(protocolName, library)
      site.variant = try TableChooser.variant(variant, of: definition)?.name
      site.protocolName = protocolName
      if variant == nil { site.variant = nil }
    }
    return site
  }

  private func diagnose(
    _ file: String, _ library: DefinitionLibrary, _ book: RuleBook, _ site: SiteFacts, _ explained: ExplainedRules,
    isOneOfMany: Bool, in world: inout some World
  ) throws -> ExitStatus {
    var capture = try CaptureInput(path: file, format: from)
    var census = TrafficCensus()
    try capture.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    var sink = DiagnosisSink(
      run: ConformanceRun(
        library, book, site, verdicts: ProtocolIdentifier(library).identify(census), keepsSeries: report != nil || bundle != nil))
    var progress = Progress(of: capture.name, world.terminal)
    while try capture.readWindow(into: &sink) {
      if world.isInterrupted { break }
      world.show(&progress, capture.progress)
    }
    world.end(&progress)
    let diagnosis = sink.run.diagnose(besides: try comparisons(file, library, in: &world))
    let style = TextStyle(usesColour: world.terminal.usesColour)
    if ReportFormat.isJSON(format, in: world) {
      try world.write(DiagnosisText.json(diagnosis, of: capture.name))
    } else {
      if isOneOfMany { try world.print(style.strong(capture.name)) }
      try world.write(DiagnosisText.text(diagnosis, style, columns: world.terminal.isTerminal ? world.terminal.columns : 100))
      try world.write(explained.pages(behind: diagnosis, book))
    }
    try writeFiles(diagnosis, of: capture.name, file, from, site, library) { world.note($0) }
    let problems = world.report(sink.problems, of: capture.name)
    return max(problems, diagnosis.hasErrors ? .findings : .done)
  }

  /// The buses of the capture beside those of the known-good one.
  private func comparisons(
    _ file: String, _ library: DefinitionLibrary, in world: inout some World
  ) throws -> [(bus: String, comparison: TraceComparison)] {
    guard reference != nil else { return [] }
    guard file != "-" else { throw WorldError(message: "--reference: standard input can be read once only; name a file") }
    let mine = try knownGood(library, in: &world)
    return try CaptureProfiles.read(file, library, in: &world).enumerated().map { index, other in
      (other.identification.bus, TraceComparison(CaptureProfiles.partner(of: other, at: index, in: mine), other))
    }
  }

  /// The known-good capture, a profile for each bus; none where none was named.
  private func knownGood(_ library: DefinitionLibrary, in world: inout some World) throws -> [TraceProfile] {
    guard let reference else { return [] }
    let mine = try CaptureProfiles.read(reference, library, in: &world)
    guard !mine.isEmpty else { throw WorldError(message: "\(reference): found no CAN frame, expected a known-good capture") }
    return mine
  }

  /// What `--explain` names.
  private func explained(_ book: RuleBook) throws(WorldError) -> ExplainedRules {
    guard let name = explain else { return .none }
    if name.lowercased() == "all" { return .found }
    guard let rule = RuleID.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() || book[$0].name == name }) else {
      throw WorldError(
        message: "--explain: found \"\(name)\", expected a rule such as R10"
          + NearestName.hint(name, in: RuleID.allCases.map(\.rawValue) + RuleID.allCases.map { book[$0].name }))
    }
    return .one(rule)
  }
}

/// The rules that are explained at length behind a diagnosis.
private enum ExplainedRules {
  case none
  /// Each that was found.
  case found
  /// The one that was named, found or not.
  case one(RuleID)

  /// Their pages, with an empty line before each.
  func pages(behind diagnosis: Diagnosis, _ book: RuleBook) -> String {
    rules(of: diagnosis).map { "\n" + DiagnosisText.page($0, book) }.joined()
  }

  private func rules(of diagnosis: Diagnosis) -> [RuleID] {
    switch self {
    case .none: []
    case .found: RuleID.allCases.filter { rule in diagnosis.findings.contains { $0.rule == rule } }
    case .one(let rule): [rule]
    }
  }
}

extension LiveInput {
  /// Runs a job that ends with a verdict. Where no time was given, Ctrl-C is how a person ends it: the verdict was shown, and the status
  /// is the verdict's. At the prompt and in scripts the signal stays, so that nothing behind it on the line or in the script runs.
  func verdict(of job: any LiveJob, in world: inout some World) throws -> ExitStatus {
    let status = try LiveLoop.run(job, in: &world)
    if duration == nil, world is ProcessWorld, Signals.stopRequest == 2 { Signals.clearStop() }
    return status
  }
}

/// Hands records to the rules and keeps what is wrong with the file.
struct DiagnosisSink: RecordSink {
  var run: ConformanceRun
  private(set) var problems = ProblemLog()

  init(run: ConformanceRun) { self.run = run }

  mutating func busAppeared(_ bus: BusID, named name: String) { run.busAppeared(bus, named: name) }
  mutating func receive(_ record: borrowing CANRecord) { run.receive(record) }
  mutating func receive(_ record: SideRecord) { run.receive(record) }
  mutating func report(_ problem: CaptureProblem) {
    problems.note(problem)
    run.report(problem)
  }
}

/// The rules, built in or from a folder.
enum RuleBookFile {
  static func read(_ folder: String?) throws(WorldError) -> RuleBook {
    let text: String
    let path: String
    if let folder, InputFile.exists(folder + "/rules.yaml") {
      path = folder + "/rules.yaml"
      text = String(decoding: try InputFile.bytes(of: path), as: UTF8.self)
    } else {
      path = "rules.yaml"
      text = embeddedDissectors.first { $0.path.hasSuffix("rules.yaml") }?.text ?? ""
    }
    let (book, problems) = RuleBook.parse(text, path: path)
    if let problem = problems.first { throw WorldError(message: "\(problem)") }
    return book
  }
}
