import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `decode`: any capture in, named values out.
struct DecodeCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Name every frame of a capture and give its values.",
    discussion: """
      Reads candump logs and console output, pcap, pcapng, Vector ASC, PEAK TRC, SavvyCAN and python-can CSV, Battery-Emulator logs
      and pasted text, all of them gzip-compressed too, from files or from standard input (-). The format, the protocol and its
      variant are found from the content; --from, --protocol and --variant overrule that.

      EXAMPLES
        linkbms decode site.log                          every frame, a line each
        linkbms decode site.log --summary                counts, periods and ranges
        linkbms decode --live can0                       a bus, as it speaks
        linkbms decode --live tap+tcp://tap:2000         chains and PDU behind a tap, as they speak
        linkbms decode site.pcapng --format json | jq .  one JSON object a line
        linkbms decode site.log --message Totals --changed
        linkbms decode other.log --dbc vehicle.dbc

      EXIT STATUS
        0  decoded; 1  decoded, but the capture is damaged or lost frames; 2  could not read it.
      """)

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"), completion: .file())
  var files: [String] = []

  @Option(help: ArgumentHelp("Output: text, json or csv.", valueName: "format"))
  var format: OutputFormat?

  @Flag(help: "Per message count and period, per signal minimum, mean, maximum and last.")
  var summary = false

  @OptionGroup var live: LiveInput
  @OptionGroup var input: InputOptions
  @OptionGroup(title: "Definitions") var definitions: DefinitionOptions
  @OptionGroup(title: "Filters") var filters: FilterOptions

  func validate() throws {
    try live.check(files)
    if live.isWanted, summary { throw ValidationError("--summary: needs a FILE; use monitor for a live bus") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    let selection = try filters.selection()
    let chooser = try TableChooser.said(definitions, in: &world)
    let library = try world.library(definitions)
    if let expression = selection.expression, let chooser {
      for mistake in CompiledFilter.unknownNames(expression, [chooser.fallback]) {
        throw WorldError(message: "--where: \(mistake)")
      }
    }
    let context = try live.context("decode", taps: true, in: &world)
    let decoder = LiveDecoder(
      buses: context.canBuses, tapBuses: context.tapBuses, chooser: chooser, library: library, selection: selection,
      shape: format ?? world.defaultFormat, style: TextStyle(usesColour: world.terminal.usesColour), output: context.output.data)
    return DecodeJob(context, decoder)
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try LiveLoop.run(job, in: &world) }
    var status = ExitStatus.done
    for file in try world.captures(files) {
      let result = try decode(file, in: &world)
      status = max(status, result)
    }
    return status
  }

  private func decode(_ file: String, in world: inout some World) throws -> ExitStatus {
    var capture = try CaptureInput(path: file, format: input.from)
    if input.explain { world.explain(capture) }
    let chooser = try TableChooser(for: &capture, definitions, in: &world)
    let selection = try filters.selection()
    if let expression = selection.expression {
      for mistake in CompiledFilter.unknownNames(expression, Array(chooser.byBus.values) + [chooser.fallback]) {
        throw WorldError(message: "--where: \(mistake)")
      }
    }
    let shape = format ?? world.defaultFormat
    if summary { return try summarise(&capture, chooser, selection, shape, in: &world) }
    let style = TextStyle(usesColour: world.terminal.usesColour)
    let output = makeOutput()
    defer { freeOutput(output) }
    switch shape {
    case .text: return try run(TextRenderer(output: output, style: style), &capture, chooser, selection, in: &world)
    case .json: return try run(JSONRenderer(output: output), &capture, chooser, selection, in: &world)
    case .csv:
      output.pointee.append(string: CSVRenderer.header)
      return try run(CSVRenderer(output: output), &capture, chooser, selection, in: &world)
    }
  }

  private func run<Renderer: FrameRenderer>(
    _ renderer: Renderer, _ capture: inout CaptureInput, _ chooser: TableChooser, _ selection: Selection,
    in world: inout some World
  ) throws -> ExitStatus {
    var pipeline = DecodePipeline(renderer: renderer, chooser: chooser, selection: selection.isEmpty ? nil : selection)
    var progress = Progress(of: capture.name, world.terminal)
    let output = renderer.output
    while try Renderer.pump(&capture, &pipeline) {
      try world.drain(output)
      if capture.isLive { try world.flush() }
      if pipeline.isSatisfied || world.isInterrupted || (input.strict && pipeline.problems.hasDamage) { break }
      world.show(&progress, capture.progress)
    }
    try world.drain(output)
    world.end(&progress)
    return world.report(pipeline.problems, of: capture.name)
  }

  private func summarise(
    _ capture: inout CaptureInput, _ chooser: TableChooser, _ selection: Selection, _ shape: OutputFormat,
    in world: inout some World
  ) throws -> ExitStatus {
    let drawsCourses = shape == .text && world.terminal.isTerminal
    let sink = SummarySink(chooser: chooser, selection: selection.isEmpty ? nil : selection, drawsCourses: drawsCourses)
    var total = sink
    if let parts = ParallelParts(capture, jobs: input.jobs), selection.isStateless {
      total = parts.summarise {
        SummarySink(chooser: chooser, selection: selection.isEmpty ? nil : selection, drawsCourses: drawsCourses)
      }
    } else {
      var progress = Progress(of: capture.name, world.terminal)
      while try capture.readWindow(into: &total) {
        if world.isInterrupted || (input.strict && total.problems.hasDamage) { break }
        world.show(&progress, capture.progress)
      }
      world.end(&progress)
    }
    let renderer = SummaryRenderer(style: TextStyle(usesColour: world.terminal.usesColour), drawsCourses: drawsCourses)
    switch shape {
    case .text: try world.write(renderer.text(total))
    case .json: try world.write(renderer.json(total))
    case .csv: try world.write(renderer.csv(total))
    }
    return world.report(total.problems, of: capture.name)
  }
}
