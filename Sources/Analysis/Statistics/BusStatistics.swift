public import Bus
import Formats
import Protocols

/// What a summary says of one bus: per message count and period, per signal minimum, maximum, mean and last.
///
/// Signals are aggregated as raw integers and scaled once at the end: exact, and free of float noise.
/// A class with memory of its own, because the per-frame loop must neither count references nor check for exclusive access.
public final class BusStatistics {
  /// What is kept of one signal of one slot.
  @frozen public struct Cell {
    /// Least raw value.
    public var minimum: Int64
    /// Greatest raw value.
    public var maximum: Int64
    /// Sum of all raw values.
    public var sum: Int64
    /// Frames of the message that lacked the signal (short, or another multiplex).
    public var missing: Int64
    @usableFromInline init() {
      minimum = .max
      maximum = .min
      sum = 0
      missing = 0
    }
  }

  /// What is kept of one slot.
  @frozen public struct MessageCell {
    /// Frames.
    public var count: UInt64 = 0
    /// ns of the first.
    public var first: Int64 = 0
    /// ns of the last.
    public var last: Int64 = 0
    /// Shortest and longest time between two frames, ns; meaningful from the second frame on.
    public var shortest: Int64 = .max
    /// Longest time between two, ns.
    public var longest: Int64 = .min
    /// First word of the last frame and its length, from which "last" is decoded at the end.
    public var lastHead: UInt64 = 0
    /// Length of the last frame.
    public var lastLength: UInt8 = 0
    /// The count at which the next sample for the sparkline is due; never, if nobody looks.
    public var nextSample: UInt64 = .max
    @usableFromInline init() {}
  }

  /// What the slots are called.
  public let table: DecodeTable
  /// The table's hash, here as well: one dependent load less a frame.
  @usableFromInline let lookup: DecodeTable.Lookup
  @usableFromInline let slots: UnsafeMutablePointer<DecodeTable.Slot>
  @usableFromInline let signals: UnsafeMutablePointer<DecodeTable.Signal>
  @usableFromInline let cells: UnsafeMutablePointer<Cell>
  @usableFromInline let messages: UnsafeMutablePointer<MessageCell>
  private let slotCount: Int
  /// Values of signals that the fast way cannot sum: floats and those wider than 32 bits.
  private var carefulSums: [Int: CarefulSum] = [:]
  private var samples: [Int: SampleSeries] = [:]
  /// Last raw values of multiplexed signals, which the last frame need not hold.
  private var lastMultiplexed: [Int: Int64] = [:]
  @usableFromInline let isSampling: Bool
  /// Frames whose ID the table does not know, by raw ID.
  public private(set) var unknown: [UInt32: MessageCell] = [:]
  /// Remote and error frames.
  public private(set) var remoteFrames: UInt64 = 0
  /// Error frames, which belong to no message.
  public private(set) var errorFrames: UInt64 = 0

  /// Statistics of nothing yet. `samplesForSparklines`: keep some 100 values a signal to draw its course.
  public init(_ table: DecodeTable, samplesForSparklines: Bool = false) {
    self.table = table
    lookup = table.lookup
    isSampling = samplesForSparklines
    slotCount = table.slots.count
    slots = .allocate(capacity: max(1, slotCount))
    slots.initialize(from: table.slots, count: slotCount)
    signals = .allocate(capacity: max(1, table.signals.count))
    signals.initialize(from: table.signals, count: table.signals.count)
    cells = .allocate(capacity: max(1, table.cellCount))
    cells.initialize(repeating: Cell(), count: table.cellCount)
    messages = .allocate(capacity: max(1, slotCount))
    var first = MessageCell()
    if samplesForSparklines { first.nextSample = 1 }
    messages.initialize(repeating: first, count: slotCount)
  }

  deinit {
    slots.deallocate()
    signals.deallocate()
    cells.deallocate()
    messages.deallocate()
  }

  /// Counts one record.
  @inlinable @inline(__always) public func add(_ record: borrowing CANRecord) {
    let slot = lookup.slot(of: record.frame.id.rawValue)
    guard record.frame.isPlain, slot >= 0 else { return addPeculiar(record) }
    let place = slots[slot]
    note(record, in: messages + slot)
    if record.frame.length >= place.simpleLength {
      let word = record.frame.head
      let swapped = word.byteSwapped
      var signal = signals + Int(place.first)
      let end = signals + Int(place.end)
      var cell = cells + Int(place.firstCell)
      while signal < end {
        let raw = signal.pointee.raw(word, swapped)
        cell.pointee.minimum = min(cell.pointee.minimum, raw)
        cell.pointee.maximum = max(cell.pointee.maximum, raw)
        cell.pointee.sum &+= raw
        signal += 1
        cell += 1
      }
    } else {
      addCarefully(record, slot)
    }
    if isSampling, messages[slot].count >= messages[slot].nextSample { sample(record, slot) }
  }

  @inlinable @inline(__always) func note(_ record: borrowing CANRecord, in message: UnsafeMutablePointer<MessageCell>) {
    let now = record.time.nanoseconds
    if message.pointee.count == 0 {
      message.pointee.first = now
    } else {
      let period = now &- message.pointee.last
      message.pointee.shortest = min(message.pointee.shortest, period)
      message.pointee.longest = max(message.pointee.longest, period)
    }
    message.pointee.count &+= 1
    message.pointee.last = now
    message.pointee.lastHead = record.frame.head
    message.pointee.lastLength = record.frame.length
  }

  /// Frames that are no plain data frames of a known message.
  @usableFromInline func addPeculiar(_ record: borrowing CANRecord) {
    if record.frame.flags.contains(.error) {
      errorFrames &+= 1
    } else if record.frame.flags.contains(.remote) {
      remoteFrames &+= 1
    } else if let slot = table.slot(of: record.frame) {
      note(record, in: messages + slot)
      addCarefully(record, slot)
    } else {
      var cell = unknown[record.frame.id.rawValue] ?? MessageCell()
      note(record, in: &cell)
      unknown[record.frame.id.rawValue] = cell
    }
  }

  /// Short, multiplexed, wide or floating: a look at every signal.
  @usableFromInline func addCarefully(_ record: borrowing CANRecord, _ slot: Int) {
    let place = slots[slot]
    for index in Int(place.first)..<Int(place.end) {
      let cell = cells + (Int(place.firstCell) + index - Int(place.first))
      guard let raw = table.raw(index, slot: slot, in: record.frame) else {
        cell.pointee.missing &+= 1
        continue
      }
      let plan = table.dissection.plan.signals[index]
      if plan.encoding.rawValue < 2, plan.width <= 32 {
        cell.pointee.minimum = min(cell.pointee.minimum, raw)
        cell.pointee.maximum = max(cell.pointee.maximum, raw)
        cell.pointee.sum &+= raw
        if plan.multiplexor >= 0 { lastMultiplexed[cell - cells] = raw }
      } else {
        carefulSums[cell - cells, default: CarefulSum()].add(plan.physical(raw))
      }
    }
  }

  @usableFromInline func sample(_ record: borrowing CANRecord, _ slot: Int) {
    let place = slots[slot]
    var stride: UInt64 = 1
    for index in Int(place.first)..<Int(place.end) {
      guard let raw = table.raw(index, slot: slot, in: record.frame) else { continue }
      let cell = Int(place.firstCell) + index - Int(place.first)
      samples[cell, default: SampleSeries()].add(table.dissection.plan.signals[index].physical(raw))
      stride = max(stride, samples[cell]?.stride ?? 1)
    }
    messages[slot].nextSample = messages[slot].count &+ stride
  }

  /// Adds what another part of the same capture gave; `later` lies behind `self` in time.
  public func merge(_ later: BusStatistics) {
    for slot in 0..<slotCount where later.messages[slot].count > 0 {
      BusStatistics.merge(&messages[slot], later.messages[slot])
      messages[slot].nextSample = isSampling ? messages[slot].count &+ 1 : .max
    }
    for index in 0..<table.cellCount {
      cells[index].minimum = min(cells[index].minimum, later.cells[index].minimum)
      cells[index].maximum = max(cells[index].maximum, later.cells[index].maximum)
      cells[index].sum &+= later.cells[index].sum
      cells[index].missing &+= later.cells[index].missing
    }
    for (cell, sum) in later.carefulSums { carefulSums[cell, default: CarefulSum()].merge(sum) }
    lastMultiplexed.merge(later.lastMultiplexed) { $1 }
    for (cell, series) in later.samples { samples[cell, default: SampleSeries()].append(series) }
    for (id, cell) in later.unknown { BusStatistics.merge(&unknown[id, default: MessageCell()], cell) }
    remoteFrames &+= later.remoteFrames
    errorFrames &+= later.errorFrames
  }

  private static func merge(_ message: inout MessageCell, _ later: MessageCell) {
    if message.count == 0 {
      message = later
      return
    }
    let seam = later.first &- message.last
    message.shortest = min(message.shortest, seam, later.shortest)
    message.longest = max(message.longest, seam, later.longest)
    message.count &+= later.count
    message.last = later.last
    message.lastHead = later.lastHead
    message.lastLength = later.lastLength
  }
}

/// Minimum, maximum and sum of physical values.
struct CarefulSum {
  var minimum = Double.infinity
  var maximum = -Double.infinity
  var sum = 0.0
  var last = 0.0
  var count: UInt64 = 0

  mutating func add(_ value: Double) {
    minimum = min(minimum, value)
    maximum = max(maximum, value)
    sum += value
    last = value
    count &+= 1
  }

  mutating func merge(_ later: CarefulSum) {
    minimum = min(minimum, later.minimum)
    maximum = max(maximum, later.maximum)
    sum += later.sum
    last = later.last
    count &+= later.count
  }
}

/// The course of a signal in at most 128 values: when full, every second one goes and the stride doubles.
struct SampleSeries {
  private(set) var values: [Double] = []
  private(set) var stride: UInt64 = 1

  mutating func add(_ value: Double) {
    values.append(value)
    guard values.count >= 128 else { return }
    values = values.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    stride &*= 2
  }

  mutating func append(_ later: SampleSeries) {
    for value in later.values { values.append(value) }
    while values.count >= 128 {
      values = values.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      stride &*= 2
    }
  }
}

extension BusStatistics {
  /// One message of the summary.
  public struct MessageSummary {
    /// Index of the message's slot.
    public var slot: Int
    /// Its counts.
    public var cell: MessageCell
    /// Mean period in ns; `nil` with fewer than two frames.
    public var meanPeriod: Double? {
      cell.count < 2 ? nil : Double(cell.last &- cell.first) / Double(cell.count - 1)
    }
  }

  /// One signal of the summary; values in the signal's unit.
  public struct SignalSummary {
    /// Index in the plan.
    public var signal: Int
    /// Values seen.
    public var count: UInt64
    /// Least physical value.
    public var minimum: Double
    /// Greatest physical value.
    public var maximum: Double
    /// Mean of all values.
    public var mean: Double
    /// The last value; `nil` where none came.
    public var last: Double?
    /// The last raw value, for labels and flags.
    public var lastRaw: Int64?
    /// The course, if it was kept.
    public var course: [Double]
  }

  /// The messages that were seen, in the plan's order.
  public var summaries: [MessageSummary] {
    (0..<slotCount).filter { messages[$0].count > 0 }.map { MessageSummary(slot: $0, cell: messages[$0]) }
  }

  /// The signals of a message that were seen.
  public func signals(of message: MessageSummary) -> [SignalSummary] {
    let place = slots[message.slot]
    var frame = CANFrame()
    frame.length = message.cell.lastLength
    frame.head = message.cell.lastHead
    return (Int(place.first)..<Int(place.end)).compactMap { index in
      let number = Int(place.firstCell) + index - Int(place.first)
      let cell = cells[number]
      let plan = table.dissection.plan.signals[index]
      let lastRaw = lastMultiplexed[number] ?? (plan.bytesNeeded <= 8 ? table.raw(index, slot: message.slot, in: frame) : nil)
      let course = samples[number]?.values ?? []
      if let careful = carefulSums[number] {
        return SignalSummary(
          signal: index, count: careful.count, minimum: careful.minimum, maximum: careful.maximum,
          mean: careful.sum / Double(careful.count), last: careful.last, lastRaw: lastRaw, course: course)
      }
      guard cell.minimum <= cell.maximum else { return nil }
      let count = message.cell.count &- UInt64(bitPattern: cell.missing)
      let bounds = [plan.physical(cell.minimum), plan.physical(cell.maximum)].sorted()
      return SignalSummary(
        signal: index, count: count, minimum: bounds[0], maximum: bounds[1],
        mean: Double(cell.sum) / Double(max(1, count)) * plan.factor + plan.offset, last: lastRaw.map(plan.physical),
        lastRaw: lastRaw,
        course: course)
    }
  }
}
