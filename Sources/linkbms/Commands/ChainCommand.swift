import Analysis
import ArgumentParser
import Bus
import Controller
import Formats
import HostIO

/// `chain`: what master and slaves said to each other.
struct ChainCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "chain",
    abstract: "Show a capture of a LinkSlave chain, a line for each request with its answers, and what is wrong in it.",
    discussion: HelpText.discussion(
      "Reads pcapng and pcap with link type USER0 (147), candump lines of chain1 and chain2, tables and raw lines of logic "
        + "analysers (Saleae, sigrok, PulseView) and VCD. `decode` shows the same capture "
        + "frame by frame. --live listens to a tap and shows findings as they come. Exit status: 0 nothing odd; 1 findings, or the "
        + "file is damaged; 2 could not read it. Ctrl-C ends --live in order: without --for with one of these, else with 130.",
      examples: [
        ("linkbms chain --config linkbms.yaml bench.csv", "an export of a logic analyser, held against the configuration"),
        ("linkbms chain bench.pcapng", "the whole conversation"),
        ("linkbms chain --findings bench.log", "only what is wrong"),
        ("linkbms chain --live tap+tcp://192.168.4.1:2000 --for 1m", "a tap, while nobody else listens to it"),
      ]))

  @Argument(help: ArgumentHelp("Captures; - is standard input.", valueName: "file"), completion: .file())
  var files: [String] = []
  @Flag(help: "Only what is wrong.")
  var findings = false
  @Option(
    help: ArgumentHelp("Configuration of the system: cell map and enabled sensors are checked as well.", valueName: "config"),
    completion: .file(extensions: ["yaml"]))
  var config: String?
  @OptionGroup var live: LiveInput
  @OptionGroup var input: InputOptions

  func validate() throws {
    try live.check(files)
    if let bus = live.interfaces.first(where: { !LineAddress.isMeant(by: $0) }) {
      throw ValidationError("--live: found \"\(bus)\", expected a tap: \(LineAddress.expected)")
    }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard live.isWanted else { return nil }
    let configuration = try config.map { path throws(WorldError) in try ConfigurationInput.read(path) }
    let context = try live.context("chain", taps: true, in: &world)
    return ChainJob(
      context, ChainConversation(configuration: configuration), showsAll: !findings,
      style: TextStyle(usesColour: world.terminal.usesColour))
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try live.verdict(of: job, in: &world) }
    var status = ExitStatus.done
    let configuration = try config.map { path throws(WorldError) in try ConfigurationInput.read(path) }
    for file in try world.captures(files) {
      var capture = try CaptureInput(path: file, format: input.from)
      if input.explain { world.explain(capture) }
      var sink = ChainSink(configuration)
      while try capture.readWindow(into: &sink) {
        if world.isInterrupted || (input.strict && sink.problems.hasDamage) { break }
        try show(&sink, in: &world)
      }
      sink.conversation.finish()
      try show(&sink, in: &world)
      status = max(status, try verdict(sink, capture.name, in: &world), world.report(sink.problems, of: capture.name))
    }
    return status
  }

  private func show(_ sink: inout ChainSink, in world: inout some World) throws {
    for transaction in sink.conversation.takeTransactions() where !findings { try world.print(transaction.text) }
  }

  private func verdict(_ sink: ChainSink, _ name: String, in world: inout some World) throws -> ExitStatus {
    guard sink.conversation.frames > 0 else {
      throw WorldError(message: "\(name): found no chain frames, expected pcapng of link type 147 or lines of chain1 or chain2")
    }
    let style = TextStyle(usesColour: world.terminal.usesColour)
    for finding in sink.conversation.findings {
      let total = sink.conversation.counts[finding.kind] ?? 1
      try world.print(finding.line(style) + (total > 1 ? " (\(total) × in all)" : ""))
    }
    if sink.conversation.findings.isEmpty { try world.print("\(name): \(sink.conversation.frames) frames, nothing odd") }
    return sink.conversation.findings.isEmpty ? .done : .findings
  }
}

/// Hands chain packets to the conversation.
private struct ChainSink: RecordSink {
  var conversation: ChainConversation
  private(set) var problems = ProblemLog()
  private var number: UInt64 = 0

  init(_ configuration: Configuration?) { conversation = ChainConversation(configuration: configuration) }

  mutating func busAppeared(_ bus: BusID, named name: String) {}
  mutating func receive(_ record: borrowing CANRecord) { number &+= 1 }
  mutating func receive(_ record: SideRecord) {
    number &+= 1
    conversation.take(record, number: number)
  }
  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }
}

extension ChainConversation.Transaction {
  /// Its line with time and chain in front.
  var text: String {
    let time = precision == .none ? "" : ByteTime.text(self.time.nanoseconds) + "  "
    return "\(time)chain\(chain)  \(line)"
  }
}

extension ChainConversation.Finding {
  /// One line.
  func line(_ style: TextStyle) -> String {
    let place = node == 0 ? "" : " node \(node)"
    return style.alarming(kind.rawValue) + ": chain\(chain)\(place), record \(record): \(text)"
  }
}

/// Seconds with nine decimals.
enum ByteTime {
  static func text(_ nanoseconds: Int64) -> String {
    let fraction = String(nanoseconds.magnitude % 1_000_000_000)
    return (nanoseconds < 0 ? "-" : "") + "\(nanoseconds.magnitude / 1_000_000_000)."
      + String(repeating: "0", count: max(0, 9 - fraction.count)) + fraction
  }
}
