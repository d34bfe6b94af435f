import ArgumentParser
import Bus
import Formats
import HostIO

/// `convert`: a capture in another format.
struct ConvertCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a capture in another format, and say what it cannot hold.",
    discussion: """
      Time to the nanosecond, bus, direction, FD flags, raw DLC, remote length and error detail survive wherever the target can hold
      them; what it cannot hold is counted and said on standard error.

      EXAMPLES
        linkbms convert site.asc site.pcapng
        linkbms convert site.log.gz - --to pcapng | wireshark -k -i -
        linkbms convert post.txt - --to candump --no-direction

      EXIT STATUS
        0  converted; 1  converted, but the source is damaged; 2  could not read or write it.
      """)

  @Argument(help: ArgumentHelp("The capture; - is standard input.", valueName: "input"), completion: .file())
  var input: String
  @Argument(help: ArgumentHelp("Where to; - is standard output.", valueName: "output"), completion: .file())
  var output: String = "-"
  @Option(help: ArgumentHelp("Write this format; by the output's suffix if not given.", valueName: "format"))
  var to: WritableFormat?
  @Option(help: ArgumentHelp("Read the capture as this format instead of recognising it.", valueName: "format"))
  var from: CaptureFormat?
  @Flag(help: "Say which format was recognised, and why.")
  var explain = false
  @Flag(help: "Stop at the first damaged line or block.")
  var strict = false
  @Flag(help: "Leave directions out of candump logs: tshark rejects logs that have them.")
  var noDirection = false

  mutating func run(in world: inout some World) throws -> ExitStatus {
    let format = try target()
    switch format {
    case .pcap: return try convert(PcapWriter(), format, in: &world)
    case .pcapng: return try convert(PcapngWriter(), format, in: &world)
    case .asc: return try convert(ASCWriter(), format, in: &world)
    case .trc: return try convert(TRCWriter(), format, in: &world)
    case .savvycan: return try convert(SavvyCANWriter(), format, in: &world)
    case .pythonCAN: return try convert(PythonCANWriter(), format, in: &world)
    case .candump, .candumpConsole, .batteryEmulator, .pasted, .analyser, .vcd:
      return try convert(CandumpWriter(direction: !noDirection), .candump, in: &world)
    }
  }

  private func target() throws(WorldError) -> CaptureFormat {
    if let to { return to.format }
    if output == "-" { throw WorldError(message: "--to: needed when writing to standard output, for example --to pcapng") }
    return try ConvertCommand.format(of: output)
  }

  /// The format that a file's suffix stands for.
  static func format(of path: String) throws(WorldError) -> CaptureFormat {
    let suffixes: [(String, CaptureFormat)] = [
      (".log", .candump), (".pcap", .pcap), (".pcapng", .pcapng), (".asc", .asc), (".trc", .trc), (".csv", .savvycan),
    ]
    if let found = suffixes.first(where: { path.lowercased().hasSuffix($0.0) }) { return found.1 }
    throw WorldError(
      message: "\(path): no format has this suffix; expected .log, .pcap, .pcapng, .asc, .trc or .csv, or --to FORMAT")
  }

  private func convert(_ writer: some CaptureWriter, _ format: CaptureFormat, in world: inout some World) throws -> ExitStatus {
    if input != "-", output != "-", FileFacts.areSameFile(input, output) {
      throw WorldError(message: "\(output): is the capture itself, which would be lost: give another name for the output")
    }
    var capture = try CaptureInput(path: input, format: from)
    if explain { world.explain(capture) }
    let buffer = makeOutput()
    defer { freeOutput(buffer) }
    var file: ByteOutput?
    if output != "-" {
      do throws(OutputError) { file = try ByteOutput(path: output, appending: false) } catch {
        throw WorldError(error, writing: output)
      }
    }
    var sink = WritingSink(writer: writer, output: buffer)
    var progress = Progress(of: capture.name, world.terminal)
    sink.begin()
    while try capture.readWindow(into: &sink) {
      try drain(buffer, file, in: &world)
      if world.isInterrupted || (strict && sink.problems.hasDamage) { break }
      world.show(&progress, capture.progress)
    }
    sink.end()
    try drain(buffer, file, in: &world)
    world.end(&progress)
    if let file {
      do throws(OutputError) { try file.flush() } catch { throw WorldError(error, writing: output) }
      file.close()
    }
    for line in sink.writer.losses.lines(for: format) { world.note("linkbms: \(capture.name): \(line)") }
    return world.report(sink.problems, of: capture.name)
  }

  private func drain(_ buffer: UnsafeMutablePointer<ByteBuffer>, _ file: ByteOutput?, in world: inout some World) throws(WorldError)
  {
    guard let file else { return try world.drain(buffer) }
    let result = buffer.pointee.withBytes { bytes -> OutputError? in
      do throws(OutputError) { try file.write(bytes) } catch { return error }
      return nil
    }
    if let result { throw WorldError(result, writing: output) }
    buffer.pointee.removeAll()
  }
}

/// Hands records to a writer.
private struct WritingSink<Writer: CaptureWriter>: RecordSink {
  var writer: Writer
  let output: UnsafeMutablePointer<ByteBuffer>
  private(set) var problems = ProblemLog()
  private var number: UInt64 = 0
  private var timeline = Timeline()

  init(writer: Writer, output: UnsafeMutablePointer<ByteBuffer>) {
    self.writer = writer
    self.output = output
  }

  mutating func begin() { writer.begin(into: &output.pointee) }
  mutating func end() { writer.finish(into: &output.pointee) }
  mutating func busAppeared(_ bus: BusID, named name: String) { writer.addBus(bus, named: name, into: &output.pointee) }
  mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    if let oddity = timeline.observe(record) { problems.note(oddity.problem(atRecord: number, time: record.time)) }
    writer.write(record, into: &output.pointee)
  }
  mutating func receive(_ record: SideRecord) {
    number &+= 1
    writer.write(record, into: &output.pointee)
  }
  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }
}
