import Analysis
import Bus
import Formats

/// Which frames are shown: the filters of `decode`.
struct Selection {
  /// Buses by name; empty = all.
  var buses: Set<String> = []
  /// Messages by name; empty = all.
  var messages: Set<String> = []
  /// From and to, ns in the capture's own times.
  var start: TimeBound?
  var end: TimeBound?
  /// Only frames whose payload differs from the one before with the same ID.
  var changedOnly = false
  /// Stop after so many.
  var limit: UInt64?
  /// candump's filter words.
  var ids: IDFilter?
  /// `--where`.
  var expression: FilterExpression?

  /// A time as people give it.
  enum TimeBound {
    /// As in the capture.
    case absolute(Int64)
    /// From the first record.
    case relative(Int64)
  }

  private var origin: Int64?
  private var busNames: [String] = []
  private var lastPayloads: [UInt64: CANFrame] = [:]
  /// The expression bound to each bus.
  private var filters: [CompiledFilter] = []

  init() {}

  /// Whether nothing is selected at all: the fast way.
  var isEmpty: Bool {
    buses.isEmpty && messages.isEmpty && start == nil && end == nil && !changedOnly && limit == nil && ids == nil
      && expression == nil
  }

  /// Whether records can be judged one by one, in any order: what allows several cores.
  var isStateless: Bool { !changedOnly && limit == nil && start == nil && end == nil && expression == nil }

  /// Chain and PDU records pass only where no filter speaks of frames.
  var takesSideRecords: Bool { messages.isEmpty && !changedOnly && ids == nil && expression == nil }

  mutating func addBus(_ name: String, table: DecodeTable) {
    busNames.append(name)
    if let expression { filters.append(CompiledFilter(expression, table: table, busName: name)) }
  }

  mutating func takes(_ record: borrowing CANRecord, slot: Int, table: DecodeTable, shown: UInt64) -> Bool {
    if let limit, shown >= limit { return false }
    if origin == nil, record.precision != .none { origin = record.time.nanoseconds }
    guard isInTime(record.time.nanoseconds) else { return false }
    if !buses.isEmpty {
      let bus = Int(record.bus.index)
      guard bus < busNames.count, buses.contains(busNames[bus]) else { return false }
    }
    if !messages.isEmpty {
      guard slot >= 0 else { return false }
      guard messages.contains(table.dissection.messages[table.messageIndex(ofSlot: slot)].name) else { return false }
    }
    if let ids, !ids.takes(record.frame) { return false }
    if expression != nil {
      let bus = Int(record.bus.index)
      guard bus < filters.count, filters[bus].matches(copy record, slot: slot) else { return false }
    }
    return changedOnly ? hasChanged(record) : true
  }

  private func isInTime(_ time: Int64) -> Bool {
    if let start, time < absolute(start) { return false }
    if let end, time > absolute(end) { return false }
    return true
  }

  private func absolute(_ bound: TimeBound) -> Int64 {
    switch bound {
    case .absolute(let time): time
    case .relative(let time): (origin ?? 0) &+ time
    }
  }

  private mutating func hasChanged(_ record: borrowing CANRecord) -> Bool {
    let key = UInt64(record.bus.index) << 32 | UInt64(record.frame.id.rawValue)
    let frame = record.frame
    defer { lastPayloads[key] = frame }
    return lastPayloads[key] != frame
  }
}
