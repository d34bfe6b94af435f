import Analysis
import Bus
import Formats
import HostIO

/// Writes a capture anew as pcapng, with findings as comments of the packets where they show first.
enum Annotator {
  static func write(
    _ path: String, _ format: CaptureFormat?, _ diagnosis: Diagnosis, to output: String, isInterrupted: () -> Bool = { false }
  ) throws {
    guard path != "-" else { throw WorldError(message: "--annotate: standard input cannot be read twice: save it to a file first") }
    if path == output { throw WorldError(message: "--annotate: \(output) is the capture itself: name another file") }
    var capture = try CaptureInput(path: path, format: format)
    var comments: [UInt64: [String]] = [:]
    for finding in diagnosis.findings {
      let entry = diagnosis.book[finding.rule]
      let text =
        "\(finding.rule.rawValue) \(entry.name) (\(finding.severity.rawValue)): \(finding.text). Try: \(finding.fix ?? entry.fix)"
      comments[max(1, finding.first?.record ?? 1), default: []].append(text)
    }
    let file: ByteOutput
    do throws(OutputError) { file = try ByteOutput(path: output, appending: false) } catch {
      throw WorldError(error, writing: output)
    }
    let buffer = makeOutput()
    defer { freeOutput(buffer) }
    var sink = AnnotatingSink(comments: comments, buffer: buffer)
    while try capture.readWindow(into: &sink) {
      if isInterrupted() { break }
      try sink.drain(to: file, output)
    }
    try sink.drain(to: file, output)
    do throws(OutputError) { try file.flush() } catch { throw WorldError(error, writing: output) }
    file.close()
  }
}

private struct AnnotatingSink: RecordSink {
  private let comments: [UInt64: [String]]
  private var writer = PcapngWriter()
  private let buffer: UnsafeMutablePointer<ByteBuffer>
  private var number: UInt64 = 0

  init(comments: [UInt64: [String]], buffer: UnsafeMutablePointer<ByteBuffer>) {
    self.buffer = buffer
    self.comments = comments
    writer.begin(into: &buffer.pointee)
  }

  mutating func busAppeared(_ bus: BusID, named name: String) { writer.addBus(bus, named: name, into: &buffer.pointee) }
  mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    writer.write(record, comments: comments[number] ?? [], into: &buffer.pointee)
  }
  mutating func receive(_ record: SideRecord) {
    number &+= 1
    writer.write(record, into: &buffer.pointee)
  }
  mutating func report(_ problem: CaptureProblem) {}

  mutating func drain(to file: ByteOutput, _ name: String) throws(WorldError) {
    let failure = buffer.pointee.withBytes { bytes -> OutputError? in
      do throws(OutputError) { try file.write(bytes) } catch { return error }
      return nil
    }
    if let failure { throw WorldError(failure, writing: name) }
    buffer.pointee.removeAll()
  }
}
