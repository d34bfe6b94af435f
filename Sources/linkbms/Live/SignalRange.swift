import Analysis
import Formats
import Protocols

/// The values that a signal can carry, for messages.
enum SignalRange {
  /// `0 to 255 %`.
  static func text(_ signal: Int, _ dissection: DissectionPlan) -> String {
    let plan = dissection.plan.signals[signal]
    let ends: [Int64]
    switch plan.encoding {
    case .unsigned: ends = [0, Int64(bitPattern: plan.mask)]
    // 64 bits wide its lowest value has no counterpart.
    case .signed: ends = [0 &- Int64(bitPattern: plan.sign), Int64(bitPattern: plan.mask >> 1)]
    case .float32, .float64: return "a finite number"
    }
    var texts = ends.map { ValueText.number(of: $0, plan) }
    if plan.factor < 0 { texts.reverse() }
    let unit = dissection.signals[signal].unit
    return texts.joined(separator: " to ") + (unit.isEmpty ? "" : " \(unit)")
  }

  /// The same by the names of message and signal.
  static func text(_ signal: String, of message: String, _ dissection: DissectionPlan) -> String {
    guard let index = dissection.messages.firstIndex(where: { $0.name == message }) else { return "another value" }
    let layout = dissection.plan.messages[index]
    let range = Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount)
    guard let place = range.first(where: { dissection.signals[$0].name == signal }) else { return "another value" }
    return text(place, dissection)
  }
}
