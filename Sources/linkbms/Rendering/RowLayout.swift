import Analysis
import Bus
import Formats
import Protocols

/// How a format of rows (JSON, CSV) says what a definition names. Each text is rendered once, for all frames.
struct RowWords: Sendable {
  /// What stands before a message's signals.
  var message: @Sendable (_ slot: MessageSlot, _ info: MessageInfo) -> String
  /// What stands before a signal's value.
  var name: @Sendable (SignalInfo) -> String
  /// What stands behind it.
  var unit: @Sendable (SignalInfo) -> String
  /// What stands behind that where the value has a label.
  var label: @Sendable (_ label: String) -> String
  /// A flag that is set.
  var flag: @Sendable (SignalFlag) -> String
}

/// Everything of a definition that rows of JSON and CSV need, rendered beforehand.
final class RowLayout {
  /// A signal's share of the loop over a row.
  struct Signal {
    var numerator: Int64
    var addend: Int64
    var name: PreparedText
    var unit: PreparedText
    var decimals: UInt8
    var bytesNeeded: UInt8
    /// Whether the value is an exact decimal number of 64 bits.
    var isExact: Bool
    var hasLabels: Bool
    var hasFlag: Bool
    /// Whether it is the raw value 0 that sets the flag, among others.
    var isSetAtZero: Bool
    /// Whether the payload's bytes are text.
    var isText: Bool
  }

  let table: DecodeTable
  /// The memory of the prepared texts.
  let text: UnsafeMutableRawPointer
  /// Same indices as the plan's signals, with the table's hot form beside them.
  let signals: UnsafeMutablePointer<Signal>
  private let cuts: UnsafeMutablePointer<DecodeTable.Signal>
  let slots: UnsafeMutablePointer<DecodeTable.Slot>
  /// By slot: what stands before its signals.
  let messages: UnsafeMutablePointer<PreparedText>
  /// The most bytes that one signal takes, beside what the format puts between them.
  let longestSignal: Int
  /// The most bytes that what stands before a message's signals takes.
  let longestMessage: Int
  /// The most signals of one message.
  let mostSignals: Int
  private let labels: [[Int64: PreparedText]]
  private let flags: [(flag: SignalFlag, text: PreparedText)?]
  private let pool = TextPool()

  /// What is added to each signal's room: a value, text from the payload with its escapes, and what a move of fixed size writes behind.
  private static let slack = 192

  init(_ table: DecodeTable, _ words: RowWords) {
    self.table = table
    let pool = pool
    let dissection = table.dissection
    let plans = dissection.plan.signals
    let slotCount = table.slots.count
    signals = .allocate(capacity: max(1, plans.count))
    cuts = .allocate(capacity: max(1, plans.count))
    cuts.initialize(from: table.signals, count: plans.count)
    slots = .allocate(capacity: max(1, slotCount))
    slots.initialize(from: table.slots, count: slotCount)
    messages = .allocate(capacity: max(1, slotCount))
    var labels: [[Int64: PreparedText]] = []
    var flags: [(flag: SignalFlag, text: PreparedText)?] = []
    var longest = 0
    for (index, plan) in plans.enumerated() {
      let info = dissection.signals[index]
      let name = pool.add(words.name(info))
      let unit = pool.add(words.unit(info))
      let own = info.labels.mapValues { pool.add(words.label($0)) }
      let flag = info.flag.map { ($0, pool.add(words.flag($0))) }
      labels.append(own)
      flags.append(flag)
      (signals + index).initialize(
        to: Signal(
          numerator: plan.numerator, addend: plan.addend, name: name, unit: unit, decimals: plan.decimals,
          bytesNeeded: plan.bytesNeeded,
          isExact: plan.isExact, hasLabels: !own.isEmpty, hasFlag: flag != nil,
          isSetAtZero: info.flag?.isSet(0) ?? false, isText: info.isText))
      let label = own.values.map { Int($0.count) }.max() ?? 0
      longest = max(longest, Int(name.count) + Int(unit.count) + label + Int(flag?.1.count ?? 0) + RowLayout.slack)
    }
    for (index, slot) in dissection.plan.slots.enumerated() {
      (messages + index).initialize(to: pool.add(words.message(slot, dissection.messages[Int(slot.message)])))
    }
    longestSignal = longest
    var longestName = 0
    for index in 0..<slotCount { longestName = max(longestName, Int(messages[index].count)) }
    longestMessage = longestName
    mostSignals = table.slots.map { Int($0.end - $0.first) }.max() ?? 0
    self.labels = labels
    self.flags = flags
    pool.seal()
    text = pool.base
  }

  deinit {
    signals.deallocate()
    cuts.deallocate()
    slots.deallocate()
    messages.deallocate()
  }

  /// A signal's raw bits where the frame holds it.
  /// - Parameters:
  ///   - word: the frame's first eight bytes; `swapped`: the same in the other order.
  @inline(__always) func raw(
    _ index: Int, _ slot: Int, in frame: borrowing CANFrame, _ word: UInt64, _ swapped: UInt64
  ) -> Int64? {
    if slots[slot].simpleLength == 255 { return table.raw(index, slot: slot, in: frame) }
    return signals[index].bytesNeeded <= frame.length ? cuts[index].raw(word, swapped) : nil
  }

  /// The label of a raw value.
  func label(_ index: Int, _ raw: Int64) -> PreparedText? { labels[index][raw] }

  /// The words of a signal's flag where the raw value sets it.
  func flag(_ index: Int, _ raw: Int64) -> PreparedText? {
    guard let (flag, text) = flags[index], flag.isSet(raw) else { return nil }
    return text
  }
}
