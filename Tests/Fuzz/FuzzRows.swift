// Captures through the renderers of `decode`, which write with raw pointers into room that they reserved. What stands between them in the
// program (files, windows, choices) is played here, under the same names.

struct WorldError: Error {}

struct CaptureInput {
  mutating func readWindow(into sink: inout some RecordSink) throws(WorldError) -> Bool { false }
}

struct DecodePipeline<Renderer: FrameRenderer>: RecordSink {
  var renderer: Renderer
  let table: DecodeTable
  let addition: String
  var number: UInt64 = 0
  var buses = 0

  mutating func busAppeared(_ bus: BusID, named name: String) {
    buses += 1
    renderer.addBus(bus, named: name + addition, table: table)
  }
  mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    renderer.render(record, number: number, slot: table.slot(of: record.frame) ?? -1)
  }
  mutating func receive(_ record: SideRecord) {
    number &+= 1
    renderer.render(record, number: number)
  }
  mutating func report(_ problem: CaptureProblem) {}
}

enum FuzzRows {
  private static let tables = FuzzLink.library.definitions.map { DecodeTable($0.plan(variant: $0.variant(nil))) }

  /// The first byte chooses the definition, the second how much longer the buses' names are; the rest is a capture.
  static func run(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2, !tables.isEmpty else { return }
    let table = tables[Int(input[0]) % tables.count]
    let addition = String(repeating: "n", count: Int(input[1]) * 16)
    let body = UnsafeRawBufferPointer(rebasing: input[2...])
    guard let format = FormatDetector.guesses(body).first?.format else { return }
    // Small at first: it grows line by line, so that some line ends where the memory does.
    let lines = read(body, format, table, addition) { JSONRenderer(output: $0) }
    if lines.lines != lines.records { fatalError("\(lines.records) records, \(lines.lines) lines of JSON") }
    _ = read(body, format, table, addition) { CSVRenderer(output: $0) }
    _ = read(body, format, table, addition) { TextRenderer(output: $0, style: TextStyle(usesColour: true)) }
  }

  private static func read<Renderer: FrameRenderer>(
    _ body: UnsafeRawBufferPointer, _ format: CaptureFormat, _ table: DecodeTable, _ addition: String,
    _ make: (UnsafeMutablePointer<ByteBuffer>) -> Renderer
  ) -> (records: UInt64, lines: UInt64) {
    let output = makeOutput(capacity: 256)
    defer { freeOutput(output) }
    var pipeline = DecodePipeline(renderer: make(output), table: table, addition: addition)
    var reader = CaptureReader(format)
    _ = reader.read(body, isEnd: true, into: &pipeline)
    let lines = output.pointee.withBytes { bytes in bytes.reduce(into: UInt64(0)) { if $1 == 0x0A { $0 += 1 } } }
    return (pipeline.number, lines)
  }
}
