import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `capture`: live buses into files. It never sends.
struct CaptureCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Record live buses, or keep only what is around something that happens.",
    discussion: HelpText.discussion(
      """
      Without --write and --decode the frames come out as candump lines. Files are written in whole blocks twice a second: whatever \
      ends the process leaves a readable file. Nothing is ever sent. With --trigger a ring of the latest frames is kept, and each \
      trigger saves those before and after it as a bundle (verdict, findings, page, capture); triggers look at every frame, whatever \
      --filter lets into files. Triggers: a rule (R05), '4200 unanswered 3' (asked three times, and no word within 1 s), '305 gap > 3s', or an expression such as 'any fault'. A trigger comes again when what it waits for has \
      ended and begins anew; a rule's has ended when it did not show for half a minute, and twice as long each further time. Frames \
      that were lost are counted, said, and noted in candump and pcapng files. A tap on chains and PDU (tap+tcp://HOST:PORT, \
      tap+serial:///dev/DEVICE@RATE) gives chain1, chain2 and pdu; it serves one listener, so no controller at the same time. \
      Exit status: 0 recorded; 1 frames were lost or a trigger came; 2 could not do it, or a trigger names what is not there. Ctrl-C \
      ends it in order: files and bundles are whole. Where neither --for nor --count was given that is how it is meant, and the status \
      is 0 or 1; what is cut short, and a script of the prompt, end with 130 (SIGTERM: 143).
      """,
      examples: [
        ("linkbms capture can0 --write site.pcapng", "until Ctrl-C"),
        ("linkbms capture can0 can1 --write site.log --decode", "both buses in one file, and named on the terminal"),
        ("linkbms capture can0 --write site.pcapng --rotate 100M --keep 10", "the latest gigabyte"),
        ("linkbms capture can0 --trigger R05 --trigger 'any fault' --bundle night", "wait for trouble: night-0001.zip …"),
        ("linkbms capture can0 --write - --to pcapng | tshark -i -", "Wireshark's words for it, as it passes"),
        ("linkbms capture tap+tcp://192.168.4.1:2000 --write chain.pcapng", "what passes on chains and PDU"),
      ]))

  @Argument(help: ArgumentHelp("Live buses: can0, socketcand://…, slcan://…, udp://…, tap+tcp://…", valueName: "iface"))
  var interfaces: [String]
  @Option(
    help: ArgumentHelp("Write to FILE; its suffix says the format; - is standard output.", valueName: "file"), completion: .file())
  var write: String?
  @Option(help: ArgumentHelp("The format of FILE, instead of what its suffix says.", valueName: "format"))
  var to: WritableFormat?
  @Flag(help: "Name every frame on standard output.")
  var decode = false
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Stop after so many frames.", valueName: "frames"))
  var count: UInt64?
  @Option(name: .customLong("for"), help: ArgumentHelp("Stop after so long: 10s, 5m, 1h.", valueName: "time"))
  var duration: String?
  @Option(help: ArgumentHelp("Go on in a new file after so much or so long: 100M, 1h.", valueName: "size|time"))
  var rotate: String?
  @Option(
    help: ArgumentHelp("Keep so many files of --rotate, the latest; those of earlier starts count, as in run.", valueName: "n"))
  var keep: Int?
  @Option(name: [.customShort("f"), .long], help: ArgumentHelp("Only IDs that pass candump's filter words.", valueName: "word"))
  var filter: [String] = []
  @Option(help: ArgumentHelp("Save what is around this; repeatable.", valueName: "trigger"))
  var trigger: [String] = []
  @Option(help: ArgumentHelp("Keep so much before a trigger.", valueName: "time"))
  var before = "30s"
  @Option(help: ArgumentHelp("And so much after it.", valueName: "time"))
  var after = "10s"
  @Option(help: ArgumentHelp("Name of the bundles, without number and .zip.", valueName: "name"))
  var bundle = "trigger"
  @Option(help: ArgumentHelp("Output of --decode: text, json or csv.", valueName: "format"))
  var format: OutputFormat?
  @OptionGroup(title: "Definitions") var definitions: DefinitionOptions

  func validate() throws {
    guard !interfaces.isEmpty else { throw ValidationError("expected a live bus, for example can0") }
    if let count, count == 0 { throw ValidationError("--count: found 0, expected 1 or more") }
    if rotate != nil, write == nil { throw ValidationError("--rotate: needs --write FILE") }
    if let keep {
      guard keep > 0 else { throw ValidationError("--keep: found \(keep), expected 1 or more") }
      if rotate == nil { throw ValidationError("--keep: needs --rotate") }
    }
    if write == "-" {
      if to == nil { throw ValidationError("--write -: needs --to FORMAT, for example --to pcapng") }
      if rotate != nil { throw ValidationError("--rotate: found --write -, expected a file to go on from") }
    }
    if !trigger.isEmpty, interfaces.allSatisfy({ LineAddress.isMeant(by: $0) }) {
      throw ValidationError("--trigger: found only taps, expected a CAN bus: triggers watch CAN frames")
    }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    let rotation = try rotate.map { text throws(WorldError) in try Rotation.parse(text, keep: keep) }
    let conditions = try trigger.map { text throws(WorldError) in try TriggerCondition.parse(text) }
    let before_ns = try DurationText.required(before, "--before")
    let after_ns = try DurationText.required(after, "--after")
    let duration_ns = try duration.map { text throws(WorldError) in try DurationText.required(text, "--for") }
    let ids = try LiveOptions.ids(filter)
    let chooser = try TableChooser.said(definitions, in: &world)
    if let chooser { try TriggerCondition.check(conditions, [chooser.fallback]) }
    let library = try world.library(definitions)
    let site = try site(library)
    let book = try RuleBookFile.read(definitions.dissectors)
    let target = try target()
    // Now and not when a trigger has come after a night.
    if !conditions.isEmpty { try TriggerBundle.check(self.bundle) }
    let context = JobContext(
      "capture \(interfaces.joined(separator: " "))", try world.live.listen(interfaces, taps: true))
    context.duration_ns = duration_ns
    let file = try target.map { target throws(WorldError) in
      try CaptureFile(
        target.path, target.format, buses: context.allBuses, rotation: rotation, output: target.path == "-" ? context.output : nil,
        .now)
    }
    // Two kinds of data do not go into one stream.
    let decoded = decode && target?.path == "-" ? JobOutput() : nil
    let decoder =
      decode
      ? LiveDecoder(
        buses: context.canBuses, tapBuses: context.tapBuses, chooser: chooser, library: library, selection: Selection(),
        shape: format ?? world.defaultFormat, style: TextStyle(usesColour: world.terminal.usesColour),
        output: (decoded ?? context.output).data) : nil
    let settings = TriggerWatch.Settings(
      conditions: conditions, before_ns: before_ns, after_ns: after_ns, site: site, isAlone: file == nil && decoder == nil)
    let bundle = TriggerBundle(name: bundle, buses: context.canBuses, library: library, book: book, site: site)
    let triggers =
      conditions.isEmpty
      ? nil
      : TriggerWatch(
        settings, buses: context.canBuses, context: context, chooser: chooser, library: library, book: book, save: bundle.save)
    return CaptureJob(
      context, file: file, decoder: decoder, decoded: decoded, ids: ids, limit: count, triggers: triggers)
  }

  /// Where no end was given, Ctrl-C is how a person ends a recording. At the prompt and in scripts the signal stays, so that nothing
  /// behind it on the line or in the script runs.
  mutating func run(in world: inout some World) throws -> ExitStatus {
    guard let job = try job(in: &world) else { throw WorldError(message: "expected a live bus") }
    let status = try LiveLoop.run(job, in: &world)
    if duration == nil, count == nil, world is ProcessWorld, Signals.stopRequest == 2 { Signals.clearStop() }
    return status
  }

  /// Where to, and in which format.
  private func target() throws(WorldError) -> (path: String, format: CaptureFormat)? {
    guard let write else { return nil }
    let format: CaptureFormat
    if let to { format = to.format } else { format = try ConvertCommand.format(of: write) }
    if interfaces.contains(where: { LineAddress.isMeant(by: $0) }), ![.candump, .pcapng].contains(format) {
      throw WorldError(message: "\(write): \(format.title) cannot hold chain and PDU records, expected a candump log or pcapng")
    }
    return (write, format)
  }

  /// What a person said of the protocol, for the rules.
  private func site(_ library: DefinitionLibrary) throws(WorldError) -> SiteFacts {
    var site = SiteFacts()
    guard definitions.dbc.isEmpty, let name = definitions.protocolName else { return site }
    let definition = try TableChooser.definition(name, library)
    site.protocolName = name
    if let variant = definitions.variant { site.variant = try TableChooser.variant(variant, of: definition)?.name }
    return site
  }
}

/// Saves the frames around a trigger as a diagnosis bundle.
struct TriggerBundle {
  var name: String
  var buses: [String]
  var library: DefinitionLibrary
  var book: RuleBook
  var site = SiteFacts()

  func save(_ kept: [FrameRing.Kept], _ reason: String) throws(WorldError) -> String {
    var census = TrafficCensus()
    for (index, bus) in buses.enumerated() { census.busAppeared(BusID(UInt16(index)), named: bus) }
    var frames = 0
    for case .frame(let record, _) in kept {
      census.receive(record)
      frames += 1
    }
    guard frames > 0 else { return "nothing to save: no frame was heard around the trigger (\(reason))" }
    let diagnosis = diagnosis(kept, ProtocolIdentifier(library).identify(census))
    let zip = try TriggerBundle.freeName(name)
    do throws(WorldError) { try DiagnosisBundle.write(kept, buses: buses, diagnosis, site, library, to: zip) } catch {
      FileNames.remove(zip)
      throw error
    }
    return "wrote \(zip): \(frames) frames around \(reason)"
  }

  private func diagnosis(_ kept: [FrameRing.Kept], _ verdicts: [BusIdentification]) -> Diagnosis {
    var run = ConformanceRun(library, book, site, verdicts: verdicts, keepsSeries: true)
    for (index, bus) in buses.enumerated() { run.busAppeared(BusID(UInt16(index)), named: bus) }
    for piece in kept {
      switch piece {
      case .frame(let record, _): run.receive(record)
      case .lost(let frames, _): run.report(.framesLost(frames, behind: run.records))
      }
    }
    return run.diagnose()
  }

  /// Finds out whether bundles of this name can be written.
  static func check(_ name: String) throws(WorldError) { FileNames.remove(try freeName(name)) }

  /// A name that nothing has: from now on an empty file has it.
  private static func freeName(_ name: String) throws(WorldError) -> String {
    try OutputFile.takeFirstFree { Rotation.name(name + ".zip", $0) }
  }
}

/// What several live commands read from their words.
enum LiveOptions {
  /// candump's filter words.
  static func ids(_ words: [String]) throws(WorldError) -> IDFilter? {
    guard !words.isEmpty else { return nil }
    do throws(IDFilter.Mistake) { return try IDFilter(words) } catch {
      throw WorldError(message: "--filter: found \"\(error.word)\", expected \(error.expected)")
    }
  }
}

extension LiveCommand {
  /// Runs it in the foreground.
  mutating func run(in world: inout some World) throws -> ExitStatus {
    guard let job = try job(in: &world) else { throw WorldError(message: "expected a live bus") }
    return try LiveLoop.run(job, in: &world)
  }
}
