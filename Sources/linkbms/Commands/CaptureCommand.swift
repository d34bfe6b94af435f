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
      "Without --write and --decode the frames come out as candump lines. Files are written in whole blocks twice a second: whatever "
        + "ends the process leaves a readable file. Nothing is ever sent. With --trigger a ring of the latest frames is kept, and each "
        + "trigger saves those before and after it as a bundle (verdict, findings, page, capture). Triggers: a rule (R05), "
        + "'4200 unanswered 3', '305 gap > 3s', or an expression such as 'any fault'. Frames that were lost are counted, said, and noted "
        + "in the file. Exit status: 0 recorded; 1 frames were lost or a trigger came; 2 could not do it.",
      examples: [
        ("linkbms capture can0 --write site.pcapng", "until Ctrl-C"),
        ("linkbms capture can0 can1 --write site.log --decode", "both buses in one file, and named on the terminal"),
        ("linkbms capture can0 --write site.pcapng --rotate 100M --keep 10", "the latest gigabyte"),
        ("linkbms capture can0 --trigger R05 --trigger 'any fault' --bundle night", "wait for trouble: night-0001.zip …"),
      ]))

  @Argument(help: ArgumentHelp("Live buses: can0, socketcand://…, slcan://…, udp://…", valueName: "iface"))
  var interfaces: [String]
  @Option(help: ArgumentHelp("Write to FILE; its suffix says the format.", valueName: "file"), completion: .file())
  var write: String?
  @Option(help: ArgumentHelp("The format of FILE, instead of what its suffix says.", valueName: "format"))
  var to: CaptureFormat?
  @Flag(help: "Name every frame on standard output.")
  var decode = false
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Stop after so many frames.", valueName: "frames"))
  var count: UInt64?
  @Option(name: .customLong("for"), help: ArgumentHelp("Stop after so long: 10s, 5m, 1h.", valueName: "time"))
  var duration: String?
  @Option(help: ArgumentHelp("Go on in a new file after so much or so long: 100M, 1h.", valueName: "size|time"))
  var rotate: String?
  @Option(help: ArgumentHelp("Keep so many files of --rotate, the latest.", valueName: "n"))
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
    if rotate != nil, write == nil { throw ValidationError("--rotate: needs --write FILE") }
    if let keep {
      guard keep > 0 else { throw ValidationError("--keep: found \(keep), expected 1 or more") }
      if rotate == nil { throw ValidationError("--keep: needs --rotate") }
    }
    if let to, !to.isWritable { throw ValidationError("--to: \(to.rawValue) can be read only") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    let rotation = try rotate.map { text throws(WorldError) in try Rotation.parse(text, keep: keep) }
    let conditions = try trigger.map { text throws(WorldError) in try TriggerCondition.parse(text) }
    let before_ns = try DurationText.required(before, "--before")
    let after_ns = try DurationText.required(after, "--after")
    let duration_ns = try duration.map { text throws(WorldError) in try DurationText.required(text, "--for") }
    let ids = try LiveOptions.ids(filter)
    let chooser = try TableChooser.said(definitions, in: &world)
    let library = try world.library(definitions)
    let book = try RuleBookFile.read(definitions.dissectors)
    let target = try write.map { path throws(WorldError) in
      if let to { return (path, to) }
      return (path, try ConvertCommand.format(of: path))
    }
    let ports = try world.live.listen(interfaces)
    let context = JobContext("capture \(interfaces.joined(separator: " "))", ports)
    context.duration_ns = duration_ns
    let buses = ports.map(\.name)
    let file = try target.map { target throws(WorldError) in
      try CaptureFile(target.0, target.1, buses: buses, rotation: rotation, .now)
    }
    let decoder =
      decode
      ? LiveDecoder(
        buses: buses, chooser: chooser, library: library, selection: Selection(), shape: format ?? world.defaultFormat,
        style: TextStyle(usesColour: world.terminal.usesColour), output: context.output.data) : nil
    let triggers =
      conditions.isEmpty
      ? nil
      : TriggerWatch(
        conditions, context: context, library: library, book: book, before_ns: before_ns, after_ns: after_ns,
        save: TriggerBundle(name: bundle, buses: buses, library: library, book: book).save)
    return CaptureJob(context, file: file, decoder: decoder, ids: ids, limit: count, triggers: triggers)
  }
}

/// Saves the frames around a trigger as a diagnosis bundle.
struct TriggerBundle {
  var name: String
  var buses: [String]
  var library: DefinitionLibrary
  var book: RuleBook

  func save(_ records: [CANRecord], _ reason: String) throws(WorldError) -> String {
    var number = 1
    while InputFile.exists(path(number, ".zip")) { number += 1 }
    let log = path(number, ".log")
    let zip = path(number, ".zip")
    var writer = CandumpWriter()
    let buffer = makeOutput()
    defer { freeOutput(buffer) }
    var census = TrafficCensus()
    for (index, bus) in buses.enumerated() {
      writer.addBus(BusID(UInt16(index)), named: bus, into: &buffer.pointee)
      census.busAppeared(BusID(UInt16(index)), named: bus)
    }
    for record in records {
      writer.write(record, into: &buffer.pointee)
      census.receive(record)
    }
    guard !records.isEmpty else { return "nothing to save: no frame was heard around the trigger (\(reason))" }
    try OutputFile.write(text(of: buffer), to: log)
    var run = ConformanceRun(library, book, SiteFacts(), verdicts: ProtocolIdentifier(library).identify(census), keepsSeries: true)
    for (index, bus) in buses.enumerated() { run.busAppeared(BusID(UInt16(index)), named: bus) }
    for record in records { run.receive(record) }
    defer { FileNames.remove(log) }
    do {
      try DiagnosisBundle.write(log, .candump, run.diagnose(), SiteFacts(), library, to: zip, keepsAll: true)
    } catch let error as WorldError {
      throw error
    } catch {
      throw WorldError(message: "\(zip): \(error)")
    }
    return "wrote \(zip): \(records.count) frames around \(reason)"
  }

  private func text(of buffer: UnsafeMutablePointer<ByteBuffer>) -> String {
    buffer.pointee.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  private func path(_ number: Int, _ suffix: String) -> String { Rotation.name(name + suffix, number) }
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
