import Analysis
import Bus
import Formats

/// Numbers a capture's records, watches their times, selects among them and hands them to a renderer with what their IDs mean.
struct DecodePipeline<Renderer: FrameRenderer>: RecordSink {
  var renderer: Renderer
  private let chooser: TableChooser
  private var selection: Selection?
  private(set) var number: UInt64
  private(set) var problems = ProblemLog()
  private(set) var timeline = Timeline()
  private var tables: [DecodeTable] = []
  private var names: [String] = []
  private var currentBus: UInt16 = .max
  private var table: DecodeTable
  /// Records that were rendered.
  private(set) var shown: UInt64 = 0

  init(renderer: Renderer, chooser: TableChooser, selection: Selection? = nil, firstNumber: UInt64 = 1) {
    self.renderer = renderer
    self.chooser = chooser
    self.selection = selection
    number = firstNumber &- 1
    table = chooser.fallback
  }

  mutating func busAppeared(_ bus: BusID, named name: String) {
    let table = chooser.table(forBus: name)
    tables.append(table)
    names.append(name)
    renderer.addBus(bus, named: name, table: table)
    selection?.addBus(name, table: table)
  }

  @inline(__always) mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    if let oddity = timeline.observe(record) { note(oddity, record.time) }
    if record.bus.index != currentBus { turn(to: record.bus) }
    let slot = table.slot(of: record.frame) ?? -1
    if selection != nil, !isSelected(record, slot) { return }
    shown &+= 1
    renderer.render(record, number: number, slot: slot)
  }

  mutating func receive(_ record: SideRecord) {
    number &+= 1
    if selection?.takesSideRecords ?? true { renderer.render(record, number: number) }
  }

  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }

  /// Whether `--count` records have been shown.
  var isSatisfied: Bool { selection.map { $0.limit.map { shown >= $0 } ?? false } ?? false }

  @inline(never) private mutating func isSelected(_ record: borrowing CANRecord, _ slot: Int) -> Bool {
    selection?.takes(record, slot: slot, table: table, shown: shown) ?? true
  }

  @inline(never) private mutating func turn(to bus: BusID) {
    currentBus = bus.index
    if Int(bus.index) < tables.count { table = tables[Int(bus.index)] }
  }

  @inline(never) private mutating func note(_ oddity: CaptureProblem.Kind, _ time: Timestamp) {
    problems.note(oddity.problem(atRecord: number, time: time))
  }
}

extension CaptureProblem.Kind {
  /// A problem of times, which belong to records rather than lines.
  func problem(atRecord number: UInt64, time: Timestamp) -> CaptureProblem {
    let text = ValueText.decimal(time.nanoseconds, decimals: 9)
    return CaptureProblem(
      self, at: .init(.record, number, byteOffset: 0), found: "time \(text)",
      expected: self == .gap ? "a record at least every \(Timeline.gap_ns / 1_000_000_000) s" : "times that do not decrease")
  }
}
