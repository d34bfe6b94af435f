import Analysis
import Controller
import Formats
import Protocols
import Runtime

/// The state of a run in one line.
enum StatusLine {
  static func text(_ runtime: ControllerRuntime) -> String {
    let engine = runtime.engine
    let values = engine.values
    func number(_ value: Int64, _ decimals: Int) -> String {
      FixedDecimal.text(Int32(clamping: value), decimals: UInt8(clamping: decimals))
    }
    var words = [engine.outputs.status.word, EventText.contactors(runtime.ordered)]
    if values.hasCells {
      words += [
        "SOC \(number(Int64(values.stateOfCharge), 2)) %", "\(number(values.voltage_mV, 3)) V",
        "\(number(Int64(values.current_mA), 3)) A",
        "cells \(number(Int64(values.lowestCell.value), 4))…\(number(Int64(values.highestCell.value), 4)) V",
        "may charge \(number(Int64(engine.outputs.chargeLimit_mA), 3)) A",
        "discharge \(number(Int64(engine.outputs.dischargeLimit_mA), 3)) A",
      ]
    }
    for session in runtime.sessions {
      // What is sent unasked is sent to nobody, too (sofar.md §8.1).
      let isUnconfirmed = session.phase == .online && !session.hasHeardPeer
      words.append("inverter \(isUnconfirmed ? "unconfirmed" : "\(session.phase)")")
    }
    if runtime.isHeld { words.append("held open") }
    return words.joined(separator: ", ")
  }
}

/// Times that people give and read.
enum RunTime {
  /// `90s`, `10m`, `24h`, `1d`, `500ms` or plain seconds, in µs; `nil` for anything else.
  static func microseconds(_ text: String) -> Int64? {
    let units: [(String, Double)] = [("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3600e6), ("d", 86_400e6), ("", 1e6)]
    for (unit, factor) in units where text.hasSuffix(unit) {
      guard let number = Double(text.dropLast(unit.count)), number >= 0, number * factor < 9e17 else { continue }
      return Int64(number * factor)
    }
    return nil
  }

  /// Time since the start.
  static func stamp(_ us: Int64) -> String { ScenarioTime.text(Double(us) / 1e6) }
}
