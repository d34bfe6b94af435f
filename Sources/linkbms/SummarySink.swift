import Analysis
import Bus
import Formats

/// Aggregates a capture: one `BusStatistics` a bus.
struct SummarySink: RecordSink {
  private let chooser: TableChooser
  private let drawsCourses: Bool
  private var selection: Selection?
  private(set) var names: [String] = []
  private(set) var buses: [BusStatistics] = []
  private(set) var records: UInt64 = 0
  private(set) var sideRecords: UInt64 = 0
  private(set) var problems = ProblemLog()
  private(set) var timeline = Timeline()
  private var currentBus: UInt16 = .max
  private var current: BusStatistics

  init(chooser: TableChooser, selection: Selection? = nil, drawsCourses: Bool = false) {
    self.chooser = chooser
    self.selection = selection
    self.drawsCourses = drawsCourses
    current = BusStatistics(chooser.fallback)
  }

  mutating func busAppeared(_ bus: BusID, named name: String) {
    let table = chooser.table(forBus: name)
    names.append(name)
    buses.append(BusStatistics(table, samplesForSparklines: drawsCourses))
    selection?.addBus(name, table: table)
  }

  @inline(__always) mutating func receive(_ record: borrowing CANRecord) {
    records &+= 1
    if let oddity = timeline.observe(record) { note(oddity, record.time) }
    if record.bus.index != currentBus { turn(to: record.bus) }
    if selection != nil, !isSelected(record) { return }
    current.add(record)
  }

  mutating func receive(_ record: SideRecord) {
    records &+= 1
    sideRecords &+= 1
  }

  mutating func report(_ problem: CaptureProblem) { problems.note(problem) }

  @inline(never) private mutating func isSelected(_ record: borrowing CANRecord) -> Bool {
    let slot = current.table.slot(of: record.frame) ?? -1
    return selection?.takes(record, slot: slot, table: current.table, shown: 0) ?? true
  }

  @inline(never) private mutating func turn(to bus: BusID) {
    currentBus = bus.index
    if Int(bus.index) < buses.count { current = buses[Int(bus.index)] }
  }

  @inline(never) private mutating func note(_ oddity: CaptureProblem.Kind, _ time: Timestamp) {
    problems.note(oddity.problem(atRecord: records, time: time))
  }

  /// Adds the summary of the part of the capture that lies behind this one.
  mutating func merge(_ later: SummarySink) {
    for (name, statistics) in zip(later.names, later.buses) {
      if let known = names.firstIndex(of: name) {
        buses[known].merge(statistics)
      } else {
        names.append(name)
        buses.append(statistics)
      }
    }
    records &+= later.records
    sideRecords &+= later.sideRecords
    problems.merge(later.problems)
    timeline.merge(later.timeline)
  }
}
