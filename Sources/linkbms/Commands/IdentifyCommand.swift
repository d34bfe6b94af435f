import Analysis
import ArgumentParser
import Bus
import Formats

/// `identify`: which protocol, variant, address and sides a capture shows.
struct IdentifyCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "identify",
    abstract: "Say which protocol each bus of a capture speaks, and how sure that is.",
    discussion: """
      From the content alone: protocol, variant (byte order, offsets, signs), address, which side is present, the evidence, what else
      was considered, and what does not fit. What is unknown is said to be unknown.

      EXAMPLES
        linkbms identify site.log
        linkbms identify --format json site.pcapng | jq .protocol

      EXIT STATUS
        0  every bus identified; 1  a bus is unknown, or the capture is damaged; 2  could not read it.
      """)

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"), completion: .file())
  var files: [String] = []
  @Option(help: ArgumentHelp("Output: text or json.", valueName: "format"))
  var format: OutputFormat?
  @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?
  @OptionGroup var live: LiveInput
  @OptionGroup var input: InputOptions

  func validate() throws {
    try live.check(files)
    guard format != .csv else { throw ValidationError("--format csv: identify has no table; use text or json") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    var options = DefinitionOptions()
    options.dissectors = dissectors
    let identifier = ProtocolIdentifier(try world.library(options))
    let isJSON = (format ?? world.defaultFormat) == .json
    let style = TextStyle(usesColour: world.terminal.usesColour)
    return ListenJob(try live.context("identify", usual: "5s", in: &world), TrafficCensus()) { census, context in
      let verdicts = identifier.identify(census)
      let text =
        isJSON
        ? verdicts.map(IdentificationReport.json).joined()
        : verdicts.map { IdentificationReport.text($0, style) }.joined(separator: "\n")
      context.output.data.pointee.append(string: text)
      if verdicts.contains(where: { $0.protocolName == nil }) { context.status = max(context.status, .findings) }
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try LiveLoop.run(job, in: &world) }
    var options = DefinitionOptions()
    options.dissectors = dissectors
    let identifier = ProtocolIdentifier(try world.library(options))
    var status = ExitStatus.done
    let names = try world.captures(files)
    for file in names {
      var capture = try CaptureInput(path: file, format: input.from)
      if input.explain { world.explain(capture) }
      var sink = CensusSink()
      var progress = Progress(of: capture.name, world.terminal)
      while try capture.readWindow(into: &sink) {
        if world.isInterrupted || (input.strict && sink.problems.hasDamage) { break }
        world.show(&progress, capture.progress)
      }
      world.end(&progress)
      // A chain is named by its interface; the rest is judged by its frames.
      let all = identifier.identify(sink.census)
      let verdicts = all.filter { !sink.chains.contains($0.bus) || $0.protocolName != nil }
      if verdicts.count < all.count {
        world.note(
          "linkbms: \(capture.name): \(sink.chains.sorted().joined(separator: ", ")): LinkSlave chain and PDU; `linkbms chain` shows them"
        )
      }
      if (format ?? world.defaultFormat) == .json {
        try world.write(verdicts.map(IdentificationReport.json).joined())
      } else {
        if names.count > 1 { try world.print(capture.name) }
        let style = TextStyle(usesColour: world.terminal.usesColour)
        try world.write(verdicts.map { IdentificationReport.text($0, style) }.joined(separator: "\n"))
      }
      if all.isEmpty { world.note("linkbms: \(capture.name): no frames") }
      if verdicts.contains(where: { $0.protocolName == nil }) || all.isEmpty { status = max(status, .findings) }
      let result = world.report(sink.problems, of: capture.name)
      status = max(status, result)
    }
    return status
  }
}

/// A census that also keeps what is wrong with the capture.
struct CensusSink: RecordSink {
  private(set) var census = TrafficCensus()
  private(set) var problems = ProblemLog()

  /// Buses that carry chain or PDU records.
  private(set) var chains: Set<String> = []
  private var names: [String] = []

  mutating func busAppeared(_ bus: BusID, named name: String) {
    census.busAppeared(bus, named: name)
    names.append(name)
  }
  mutating func receive(_ record: borrowing CANRecord) { census.receive(record) }
  mutating func receive(_ record: SideRecord) {
    if Int(record.bus.index) < names.count { chains.insert(names[Int(record.bus.index)]) }
  }
  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }
}
