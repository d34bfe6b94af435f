import Analysis
import Bus
import Formats
import Protocols

/// What `--summary` prints.
struct SummaryRenderer {
  let style: TextStyle
  let drawsCourses: Bool

  /// For people.
  func text(_ sink: SummarySink) -> String {
    var lines = [headline(sink)]
    for (name, bus) in zip(sink.names, sink.buses) {
      lines.append("")
      lines.append(style.strong(name) + protocols(bus))
      for message in bus.summaries { lines += text(of: message, bus) }
      for (id, cell) in bus.unknown.sorted(by: { $0.key < $1.key }) {
        lines.append("  " + style.dim(padded("?", 24)) + " \(idText(id))  \(count(cell.count))\(periods(cell))")
      }
      if bus.remoteFrames > 0 { lines.append("  \(padded("remote requests", 24))           \(count(bus.remoteFrames))") }
      if bus.errorFrames > 0 {
        lines.append("  " + style.alarming("\(padded("error frames", 24))           \(count(bus.errorFrames))"))
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func headline(_ sink: SummarySink) -> String {
    var text = "\(sink.records) records"
    if let first = sink.timeline.first, let last = sink.timeline.end {
      text += " in \(ValueText.decimal((last.nanoseconds &- first.nanoseconds) / 1_000_000, decimals: 3)) s"
    }
    return text + " on \(sink.names.count) \(sink.names.count == 1 ? "bus" : "buses")"
  }

  private func protocols(_ bus: BusStatistics) -> String {
    var seen: [String] = []
    for message in bus.summaries {
      let info = bus.table.dissection.messages[bus.table.messageIndex(ofSlot: message.slot)]
      guard let name = info.protocolName else { continue }
      let text = info.variant.map { "\(name) (\($0))" } ?? name
      if !seen.contains(text) { seen.append(text) }
    }
    return seen.isEmpty ? "" : "  " + seen.joined(separator: ", ")
  }

  private func text(of message: BusStatistics.MessageSummary, _ bus: BusStatistics) -> [String] {
    let dissection = bus.table.dissection
    let slot = dissection.plan.slots[message.slot]
    let info = dissection.messages[Int(slot.message)]
    let name = slot.hasAddress && slot.address > 0 ? "\(info.name)@\(slot.address)" : info.name
    var lines = [
      "  \(style.strong(padded(name, 24))) \(idText(slot.id.rawValue))  \(count(message.cell.count))\(periods(message.cell))"
    ]
    for signal in bus.signals(of: message) {
      let about = dissection.signals[signal.signal]
      let plan = dissection.plan.signals[signal.signal]
      let decimals = plan.isExact ? Int(plan.decimals) : 3
      if let flag = about.flag {
        if let line = self.flag(flag, signal, about.name) { lines.append(line) }
        continue
      }
      var line = "      \(padded(about.name, 28))"
      if about.isText, let raw = signal.lastRaw {
        line += "\"\(ValueText.ascii(raw, plan))\""
      } else {
        line +=
          "min \(fixed(signal.minimum, decimals))  mean \(fixed(signal.mean, decimals + 1))  max \(fixed(signal.maximum, decimals))"
        if let last = signal.last { line += "  last \(fixed(last, decimals))" }
        if !about.unit.isEmpty { line += " \(about.unit)" }
        if let raw = signal.lastRaw, let label = about.labels[raw] { line += "  (\(label))" }
        if drawsCourses { line += "  " + style.good(Sparkline.draw(signal.course)) }
      }
      lines.append(line)
    }
    return lines
  }

  /// A flag is worth a line when it was ever set.
  private func flag(_ flag: SignalFlag, _ signal: BusStatistics.SignalSummary, _ name: String) -> String? {
    guard signal.maximum != 0 || signal.minimum != 0 else { return nil }
    let isSet = signal.lastRaw.map(flag.isSet) ?? false
    let text = "! \(flag.severity.rawValue): \(flag.text)" + (isSet ? ", set at the end" : ", not set at the end")
    return "      \(padded(name, 28))" + (flag.severity == .notice ? style.warning(text) : style.alarming(text))
  }

  private func periods(_ cell: BusStatistics.MessageCell) -> String {
    guard cell.count > 1, cell.last != cell.first else { return "" }
    let mean = (cell.last &- cell.first) / Int64(clamping: cell.count - 1)
    return "  period min \(milliseconds(cell.shortest))  mean \(milliseconds(mean))  max \(milliseconds(cell.longest)) ms"
  }

  private func milliseconds(_ nanoseconds: Int64) -> String { ValueText.decimal(nanoseconds / 1000, decimals: 3) }
  private func count(_ number: UInt64) -> String {
    let text = String(number)
    return String(repeating: " ", count: max(0, 9 - text.utf8.count)) + text
  }
  private func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
  private func idText(_ raw: UInt32) -> String {
    let id = ArbitrationID(rawValue: raw)
    let digits = String(id.number, radix: 16, uppercase: true)
    let text = String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
    return String(repeating: " ", count: 8 - text.utf8.count) + text
  }

  /// A number with that many decimals.
  private func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return ValueText.binary(value) }
    var power = 1.0
    for _ in 0..<min(decimals, 6) { power *= 10 }
    return ValueText.decimal(Int64((value * power).rounded()), decimals: min(decimals, 6))
  }

  /// One object a message, with its signals.
  func json(_ sink: SummarySink) -> String {
    var text = ""
    for (name, bus) in zip(sink.names, sink.buses) {
      for message in bus.summaries {
        let slot = bus.table.dissection.plan.slots[message.slot]
        let info = bus.table.dissection.messages[Int(slot.message)]
        text +=
          "{\"bus\":\(JSONText.quoted(name)),\"id\":\(idJSON(slot.id.rawValue)),\"protocol\":\(JSONText.quotedOrNull(info.protocolName))"
        text += ",\"variant\":\(JSONText.quotedOrNull(info.variant)),\"message\":\(JSONText.quoted(info.name))"
        text += ",\"sender\":\(JSONText.quotedOrNull(info.sender?.rawValue))\(periodJSON(message.cell)),\"signals\":{"
        text += bus.signals(of: message).map { signalJSON($0, bus) }.joined(separator: ",") + "}}\n"
      }
      for (id, cell) in bus.unknown.sorted(by: { $0.key < $1.key }) {
        text += "{\"bus\":\(JSONText.quoted(name)),\"id\":\(idJSON(id)),\"protocol\":null,\"variant\":null,\"message\":null"
        text += ",\"sender\":null\(periodJSON(cell)),\"signals\":{}}\n"
      }
    }
    return text
  }

  private func idJSON(_ raw: UInt32) -> String { JSONText.quoted(String(idText(raw).drop { $0 == " " })) }

  private func periodJSON(_ cell: BusStatistics.MessageCell) -> String {
    guard cell.count > 1 else { return ",\"count\":\(cell.count),\"period_ms\":null" }
    let mean = (cell.last &- cell.first) / Int64(clamping: cell.count - 1)
    return
      ",\"count\":\(cell.count),\"period_ms\":{\"min\":\(milliseconds(cell.shortest)),\"mean\":\(milliseconds(mean)),\"max\":\(milliseconds(cell.longest))}"
  }

  private func signalJSON(_ signal: BusStatistics.SignalSummary, _ bus: BusStatistics) -> String {
    let about = bus.table.dissection.signals[signal.signal]
    func number(_ value: Double) -> String { value.isFinite ? ValueText.binary(value) : "null" }
    var text =
      "\(JSONText.quoted(about.name)):{\"count\":\(signal.count),\"min\":\(number(signal.minimum)),\"mean\":\(number(signal.mean))"
    text += ",\"max\":\(number(signal.maximum)),\"last\":\(signal.last.map(number) ?? "null")"
    if !about.unit.isEmpty { text += ",\"unit\":\(JSONText.quoted(about.unit))" }
    if let raw = signal.lastRaw, let label = about.labels[raw] { text += ",\"label\":\(JSONText.quoted(label))" }
    return text + "}"
  }

  /// A row per signal; messages without signals have one row.
  func csv(_ sink: SummarySink) -> String {
    var text = "bus,id,message,count,period_min_ms,period_mean_ms,period_max_ms,signal,min,mean,max,last,unit\n"
    for (name, bus) in zip(sink.names, sink.buses) {
      for message in bus.summaries {
        let slot = bus.table.dissection.plan.slots[message.slot]
        let front =
          "\(CSVText.field(name)),\(String(idText(slot.id.rawValue).drop { $0 == " " })),"
          + "\(CSVText.field(bus.table.dissection.messages[Int(slot.message)].name)),\(periodCSV(message.cell))"
        let signals = bus.signals(of: message)
        if signals.isEmpty { text += front + ",,,,,\n" }
        for signal in signals {
          let about = bus.table.dissection.signals[signal.signal]
          text += front + "\(CSVText.field(about.name)),\(ValueText.binary(signal.minimum)),\(ValueText.binary(signal.mean)),"
          text += "\(ValueText.binary(signal.maximum)),\(signal.last.map(ValueText.binary) ?? ""),\(CSVText.field(about.unit))\n"
        }
      }
      for (id, cell) in bus.unknown.sorted(by: { $0.key < $1.key }) {
        text += "\(CSVText.field(name)),\(String(idText(id).drop { $0 == " " })),,\(periodCSV(cell)),,,,,\n"
      }
    }
    return text
  }

  private func periodCSV(_ cell: BusStatistics.MessageCell) -> String {
    guard cell.count > 1 else { return "\(cell.count),,,," }
    let mean = (cell.last &- cell.first) / Int64(clamping: cell.count - 1)
    return "\(cell.count),\(milliseconds(cell.shortest)),\(milliseconds(mean)),\(milliseconds(cell.longest)),"
  }
}

/// A course in 24 block characters.
enum Sparkline {
  static let width = 24
  private static let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

  static func draw(_ values: [Double]) -> String {
    let finite = values.filter(\.isFinite)
    guard finite.count > 1, let low = finite.min(), let high = finite.max() else { return "" }
    let columns = min(width, finite.count)
    return String(
      (0..<columns).map { column in
        let slice = finite[
          (column * finite.count / columns)..<max((column + 1) * finite.count / columns, column * finite.count / columns + 1)]
        let mean = slice.reduce(0, +) / Double(slice.count)
        guard high > low else { return blocks[0] }
        return blocks[min(7, max(0, Int((mean - low) / (high - low) * 7.999)))]
      })
  }
}
