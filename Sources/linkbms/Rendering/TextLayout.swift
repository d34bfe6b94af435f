import Analysis
import Formats
import Protocols

/// Everything of a definition that text lines need, rendered beforehand: labels, units, names of enumerations and flags.
final class TextLayout: @unchecked Sendable {  // filled in init, read-only afterwards
  /// How a signal is shown.
  enum Kind: UInt8 {
    /// Exact decimal number.
    case number
    /// Needs a look: labels, ASCII, floats, 64-bit and inexact scales.
    case special
    /// A fault, alarm or the like: named at the end of the line when it is set, else left out.
    case flag
  }

  /// A signal's share of the loop over a line.
  struct Signal {
    var numerator: Int64
    var addend: Int64
    var label: PreparedText
    var unit: PreparedText
    var decimals: UInt8
    var kind: Kind
    var bytesNeeded: UInt8
  }

  let table: DecodeTable
  let style: TextStyle
  private let pool = TextPool()
  /// The pool's memory: a constant, so that a line's loop needs no check for exclusive access.
  let text: UnsafeMutableRawPointer
  /// Same indices as the plan's signals, with the table's hot form beside them.
  let signals: UnsafeMutablePointer<Signal>
  let cuts: UnsafeMutablePointer<DecodeTable.Signal>
  let slots: UnsafeMutablePointer<DecodeTable.Slot>
  /// By slot: the message's name, padded.
  let names: UnsafeMutablePointer<PreparedText>
  /// The most bytes that one line's values can take.
  let longestLine: Int
  /// By slot: whether no signal of the message is a flag or multiplexed.
  private let signalCount: Int

  init(_ table: DecodeTable, style: TextStyle) {
    self.table = table
    self.style = style
    let dissection = table.dissection
    let plans = dissection.plan.signals
    signalCount = plans.count
    signals = .allocate(capacity: max(1, plans.count))
    cuts = .allocate(capacity: max(1, plans.count))
    cuts.initialize(from: table.signals, count: plans.count)
    slots = .allocate(capacity: max(1, table.slots.count))
    slots.initialize(from: table.slots, count: table.slots.count)
    names = .allocate(capacity: max(1, table.slots.count))
    for (index, plan) in plans.enumerated() {
      let info = dissection.signals[index]
      let kind: Kind =
        info.flag != nil ? .flag : plan.isExact && info.labels.isEmpty && !info.isText ? .number : .special
      (signals + index).initialize(
        to: Signal(
          numerator: plan.numerator, addend: plan.addend, label: pool.add("  " + style.dim(info.name) + " "),
          unit: pool.add(info.unit.isEmpty ? "" : " " + info.unit), decimals: plan.decimals, kind: kind,
          bytesNeeded: plan.bytesNeeded))
    }
    let width = min(24, table.dissection.messages.map(\.name.utf8.count).max() ?? 0)
    var longest = 0
    for (index, slot) in dissection.plan.slots.enumerated() {
      let info = dissection.messages[Int(slot.message)]
      let name = slot.hasAddress && slot.address > 0 ? "\(info.name)@\(slot.address)" : info.name
      let padding = String(repeating: " ", count: max(0, width - name.utf8.count))
      (names + index).initialize(to: pool.add(style.strong(name) + padding))
      var room = 0
      for signal in Int(table.slots[index].first)..<Int(table.slots[index].end) {
        let text = dissection.signals[signal]
        let label = text.labels.values.map(\.utf8.count).max() ?? 0
        room +=
          Int(signals[signal].label.count) + Int(signals[signal].unit.count) + 64 + label + (text.flag?.text.utf8.count ?? 0) + 16
      }
      longest = max(longest, room)
    }
    longestLine = longest
    pool.seal()
    text = pool.base
  }

  deinit {
    signals.deallocate()
    cuts.deallocate()
    slots.deallocate()
    names.deallocate()
  }
}

/// Colours, or none.
struct TextStyle: Sendable {
  var usesColour = false

  func strong(_ text: String) -> String { usesColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
  func dim(_ text: String) -> String { usesColour ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
  func alarming(_ text: String) -> String { usesColour ? "\u{1B}[31m\(text)\u{1B}[0m" : text }
  func warning(_ text: String) -> String { usesColour ? "\u{1B}[33m\(text)\u{1B}[0m" : text }
  func good(_ text: String) -> String { usesColour ? "\u{1B}[32m\(text)\u{1B}[0m" : text }
}
