import Analysis
import Bus
import Formats

/// Names the frames of live buses as they come. Until it is known what the buses speak, frames are held back for a moment.
final class LiveDecoder {
  private let buses: [String]
  /// Names of buses behind those, of chains and PDU: nothing has to be found out about them.
  private let tapBuses: [String]
  private let library: DefinitionLibrary
  private let selection: Selection
  private let shape: OutputFormat
  private let style: TextStyle
  private let output: UnsafeMutablePointer<ByteBuffer>
  private var identifier: LiveIdentifier?
  private var printer: (any FramePrinter)?
  /// Shows what taps say while it is not known yet what the CAN buses speak.
  private var tapPrinter: (any FramePrinter)?
  private var number: UInt64 = 0

  /// - Parameters:
  ///   - tapBuses: names of the buses behind these that carry chains and PDU.
  ///   - chooser: what the buses speak where somebody said it; else it is found out.
  ///   - output: where lines go; it must outlive this.
  init(
    buses: [String], tapBuses: [String] = [], chooser: TableChooser?, library: DefinitionLibrary, selection: Selection,
    shape: OutputFormat, style: TextStyle,
    output: UnsafeMutablePointer<ByteBuffer>
  ) {
    self.buses = buses
    self.tapBuses = tapBuses
    self.library = library
    self.selection = selection
    self.shape = shape
    self.style = style
    self.output = output
    if shape == .csv { output.pointee.append(string: CSVRenderer.header) }
    if let chooser { printer = makePrinter(chooser) } else { identifier = LiveIdentifier(library, buses: buses) }
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 { identifier?.nextWake_ns ?? .max }
  /// Whether `--count` frames were shown.
  var isSatisfied: Bool { (printer ?? tapPrinter)?.isSatisfied ?? false }

  /// One frame, in the order of the buses.
  func take(_ record: CANRecord, _ now: LiveTime) {
    identifier?.take(record, now.monotonic_ns)
    guard let printer else { return }
    number &+= 1
    if !printer.isSatisfied { printer.receive(record) }
  }

  /// One record of a tap.
  func take(_ record: SideRecord) {
    if printer == nil, tapPrinter == nil {
      tapPrinter = makePrinter(TableChooser(fallback: DecodeTable(PlanCompiler().finish())))
    }
    guard let printer = printer ?? tapPrinter else { return }
    number &+= 1
    if !printer.isSatisfied { printer.receive(record) }
  }

  /// Looks whether it is known by now what the buses speak.
  func wake(_ now: LiveTime) {
    guard let verdicts = identifier?.look(now.monotonic_ns) else { return }
    show(TableChooser(verdicts, library))
  }

  /// Shows what is still held back.
  func finish() {
    guard printer == nil, let early = identifier?.early, !early.isEmpty else { return }
    var census = TrafficCensus()
    for (index, name) in buses.enumerated() { census.busAppeared(BusID(UInt16(index)), named: name) }
    for record in early { census.receive(record) }
    show(TableChooser(ProtocolIdentifier(library).identify(census), library))
  }

  private func show(_ chooser: TableChooser) {
    let shown = (printer ?? tapPrinter)?.shown ?? 0
    let fresh = makePrinter(chooser, alreadyShown: shown)
    printer = fresh
    tapPrinter = nil
    for record in identifier?.early ?? [] where !fresh.isSatisfied {
      number &+= 1
      fresh.receive(record)
    }
    identifier?.dropEarly()
  }

  private func makePrinter(_ chooser: TableChooser, alreadyShown: UInt64 = 0) -> any FramePrinter {
    var selection = selection
    if let limit = selection.limit { selection.limit = limit - min(limit, alreadyShown) }
    let buses = buses + tapBuses
    switch shape {
    case .text:
      return PipelinePrinter(TextRenderer(output: output, style: style), chooser, selection, buses, number, alreadyShown)
    case .json: return PipelinePrinter(JSONRenderer(output: output), chooser, selection, buses, number, alreadyShown)
    case .csv: return PipelinePrinter(CSVRenderer(output: output), chooser, selection, buses, number, alreadyShown)
    }
  }
}

/// A pipeline to a renderer, whichever that is.
private protocol FramePrinter: AnyObject {
  var isSatisfied: Bool { get }
  var shown: UInt64 { get }
  func receive(_ record: CANRecord)
  func receive(_ record: SideRecord)
}

private final class PipelinePrinter<Renderer: FrameRenderer>: FramePrinter {
  private var pipeline: DecodePipeline<Renderer>
  private let before: UInt64

  init(_ renderer: Renderer, _ chooser: TableChooser, _ selection: Selection, _ buses: [String], _ number: UInt64, _ before: UInt64)
  {
    pipeline = DecodePipeline(
      renderer: renderer, chooser: chooser, selection: selection.isEmpty ? nil : selection, firstNumber: number &+ 1)
    self.before = before
    for (index, name) in buses.enumerated() { pipeline.busAppeared(BusID(UInt16(index)), named: name) }
  }

  var isSatisfied: Bool { pipeline.isSatisfied }
  var shown: UInt64 { before &+ pipeline.shown }
  func receive(_ record: CANRecord) { pipeline.receive(record) }
  func receive(_ record: SideRecord) { pipeline.receive(record) }
}
