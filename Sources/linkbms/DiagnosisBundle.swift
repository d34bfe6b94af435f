import Analysis
import Bus
import Formats
import HostIO
import Protocols

/// Everything a manufacturer or a colleague needs in one file: the verdict, the findings, the page, and the capture around the findings.
/// Serial numbers are masked: who gets the file need not know whose battery it is.
enum DiagnosisBundle {
  /// Seconds before and after a finding that are kept of the capture; a short one is kept whole.
  static let margin: Int64 = 15

  /// Of a capture in a file: what is around the findings.
  static func write(
    _ path: String, _ format: CaptureFormat?, _ diagnosis: Diagnosis, _ site: SiteFacts, _ library: DefinitionLibrary,
    to output: String, isInterrupted: () -> Bool = { false }
  ) throws {
    guard path != "-" else { throw WorldError(message: "--bundle: standard input cannot be read twice: save it to a file first") }
    if path == output { throw WorldError(message: "--bundle: \(output) is the capture itself: name another file") }
    var capture = try CaptureInput(path: path, format: format)
    let buffer = makeOutput()
    defer { freeOutput(buffer) }
    var sink = CuttingSink(spans: spans(diagnosis), masks: masks(diagnosis, library), output: buffer)
    while try capture.readWindow(into: &sink) { if isInterrupted() { break } }
    try pack(sink, buffer, diagnosis, of: path.split(separator: "/").last.map(String.init) ?? path, site, to: output)
  }

  /// Of frames that are at hand: all of them, and where some are missing.
  static func write(
    _ kept: [FrameRing.Kept], buses: [String], _ diagnosis: Diagnosis, _ site: SiteFacts, _ library: DefinitionLibrary,
    to output: String
  ) throws(WorldError) {
    let buffer = makeOutput()
    defer { freeOutput(buffer) }
    var sink = CuttingSink(spans: nil, masks: masks(diagnosis, library), output: buffer)
    for (index, name) in buses.enumerated() { sink.busAppeared(BusID(UInt16(truncatingIfNeeded: index)), named: name) }
    var losses = [UInt64](repeating: 0, count: buses.count)
    for piece in kept {
      switch piece {
      case .frame(let record, _): sink.receive(record)
      case .lost(let frames, let bus):
        let index = Int(bus.index)
        guard index < buses.count else { continue }
        losses[index] &+= frames
        buffer.pointee.append(string: CaptureFile.dropCount(frames, on: buses[index], total: losses[index]))
      }
    }
    try pack(sink, buffer, diagnosis, of: buses.joined(separator: ", "), site, to: output)
  }

  private static func pack(
    _ sink: CuttingSink, _ log: UnsafeMutablePointer<ByteBuffer>, _ diagnosis: Diagnosis, of name: String, _ site: SiteFacts,
    to output: String
  ) throws(WorldError) {
    let text = DiagnosisText.text(diagnosis, TextStyle(), columns: 100)
    let facts = [
      "linkbms \(Version.text)", "capture \(name)", "records \(diagnosis.records), \(sink.kept) of them in capture.log",
      "inverter \(site.inverter ?? "not said")", "cells \(site.cells.map(String.init) ?? "not said")",
      "capacity \(site.capacity_Ah.map { "\($0) Ah" } ?? "not said")",
      "serial numbers in capture.log are masked (\(sink.masked) frames)",
    ]
    let entries: [(name: String, bytes: [UInt8])] = [
      ("verdict.txt", Array(text.utf8)), ("findings.json", Array(DiagnosisText.json(diagnosis, of: name).utf8)),
      ("report.html", Array(DiagnosisPage.html(diagnosis, of: name, site: site).utf8)),
      ("capture.log", log.pointee.withBytes { Array($0) }), ("about.txt", Array((facts.joined(separator: "\n") + "\n").utf8)),
    ]
    do throws(HostError) { try ZipFile.write(entries, to: output) } catch { throw WorldError(message: error.description) }
  }

  /// Spans of time around what was found; `nil` = everything.
  private static func spans(_ diagnosis: Diagnosis) -> [ClosedRange<Int64>]? {
    guard let first = diagnosis.buses.compactMap({ $0.first?.time.nanoseconds }).min(),
      let last = diagnosis.buses.compactMap({ $0.last?.time.nanoseconds }).max(), last &- first > 4 * margin * 1_000_000_000
    else { return nil }
    let edge = margin * 1_000_000_000
    // The beginning is where a handshake shows.
    var spans = [first...first &+ edge]
    for finding in diagnosis.findings {
      for mark in [finding.first, finding.last].compactMap({ $0?.time.nanoseconds }) where mark > .min + edge && mark < .max - edge
      {
        spans.append(mark - edge...mark + edge)
      }
    }
    return spans
  }

  /// Payload bits that hold serial numbers, by ID.
  private static func masks(_ diagnosis: Diagnosis, _ library: DefinitionLibrary) -> [ArbitrationID: UInt64] {
    var masks: [ArbitrationID: UInt64] = [:]
    for bus in diagnosis.buses {
      guard let definition = bus.identification.protocolName.flatMap({ library.definition($0) }) else { continue }
      let dissection = definition.plan(
        variant: definition.variant(bus.identification.variant), readings: bus.identification.readings)
      for slot in dissection.plan.slots {
        let message = dissection.plan.messages[Int(slot.message)]
        for signal in Int(message.firstSignal)..<Int(message.firstSignal + message.signalCount)
        where dissection.signals[signal].name.contains("Serial") && dissection.plan.signals[signal].width > 8 {
          masks[slot.id, default: 0] |= dissection.plan.signals[signal].storing(-1, in: 0)
        }
      }
    }
    return masks
  }
}

/// Writes the records of some spans as candump lines.
private struct CuttingSink: RecordSink {
  private let spans: [ClosedRange<Int64>]?
  private let masks: [ArbitrationID: UInt64]
  private let output: UnsafeMutablePointer<ByteBuffer>
  private var writer = CandumpWriter()
  private(set) var kept: UInt64 = 0
  private(set) var masked: UInt64 = 0
  /// A bundle is to be sent: what is beyond this stays out.
  private static let mostRecords: UInt64 = 500_000

  init(spans: [ClosedRange<Int64>]?, masks: [ArbitrationID: UInt64], output: UnsafeMutablePointer<ByteBuffer>) {
    self.spans = spans
    self.masks = masks
    self.output = output
  }

  mutating func busAppeared(_ bus: BusID, named name: String) { writer.addBus(bus, named: name, into: &output.pointee) }
  mutating func receive(_ record: borrowing CANRecord) {
    let time = record.time.nanoseconds
    guard kept < CuttingSink.mostRecords, spans?.contains(where: { $0.contains(time) }) ?? true else { return }
    kept &+= 1
    guard let mask = masks[record.frame.id] else { return writer.write(record, into: &output.pointee) }
    var hidden = copy record
    hidden.frame.head &= ~mask
    masked &+= 1
    writer.write(hidden, into: &output.pointee)
  }
  mutating func receive(_ record: SideRecord) { writer.write(record, into: &output.pointee) }
  mutating func report(_ problem: CaptureProblem) {}
}
