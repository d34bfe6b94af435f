import Analysis
import Bus
import Formats
import Protocols

/// What a monitor shows: the latest frame of each ID with its period, and which bits changed. Sans-IO: frames and time go in, lines come out.
struct MonitorTable {
  /// One arbitration ID on one bus.
  struct Row {
    var record: CANRecord
    var count: UInt64 = 1
    var last_ns: Int64
    /// Smoothed; 0 = not known yet.
    var period_ns: Double = 0
    /// By byte: when it last changed; `.min` = never.
    var changed_ns: InlineArray<64, Int64> = InlineArray(repeating: .min)
    /// Bits of the first eight bytes that changed since the table was cleared.
    var moving: UInt64 = 0
    /// Bits whose changes are not marked.
    var notched: UInt64 = 0
  }

  private struct Key: Hashable {
    var bus: UInt16
    var id: UInt32
    var isError: Bool
  }

  private var rows: [Key: Row] = [:]
  private let buses: [String]
  private var tables: [DecodeTable]
  /// Frames with more different IDs than the table takes.
  private(set) var beyond: UInt64 = 0
  /// Whether the picture stands still.
  var isHeld = false

  /// A changed byte is marked for so long.
  static let markTime_ns: Int64 = 1_500_000_000
  /// Noise must not fill the memory.
  static let mostRows = 1024

  init(buses: [String], chooser: TableChooser?) {
    self.buses = buses
    let empty = DecodeTable(PlanCompiler().finish())
    tables = buses.map { chooser?.table(forBus: $0) ?? empty }
  }

  /// It is known what the buses speak.
  mutating func name(by chooser: TableChooser) { tables = buses.map { chooser.table(forBus: $0) } }

  /// One frame.
  mutating func add(_ record: CANRecord, _ now_ns: Int64) {
    let key = Key(bus: record.bus.index, id: record.frame.id.rawValue, isError: record.frame.flags.contains(.error))
    guard var row = rows[key] else {
      guard rows.count < MonitorTable.mostRows else { return beyond &+= 1 }
      rows[key] = Row(record: record, last_ns: now_ns)
      return
    }
    let interval = Double(now_ns &- row.last_ns)
    row.period_ns = row.period_ns == 0 ? interval : row.period_ns * 0.8 + interval * 0.2
    let bits = row.record.frame.head ^ record.frame.head
    row.moving |= bits
    let shown = bits & ~row.notched
    for byte in 0..<max(row.record.frame.payloadLength, record.frame.payloadLength) {
      let isChanged =
        byte < 8 ? shown >> UInt64(byte * 8) & 0xFF != 0 : row.record.frame.byte(byte) != record.frame.byte(byte)
      if isChanged { row.changed_ns[byte] = now_ns }
    }
    row.record = record
    row.count &+= 1
    row.last_ns = now_ns
    rows[key] = row
  }

  /// Bits that have moved so far are marked no more: what moves anew stands out.
  mutating func notch() {
    for key in rows.keys {
      let moving = rows[key]?.moving ?? 0
      rows[key]?.notched |= moving
      rows[key]?.changed_ns = InlineArray(repeating: .min)
    }
  }

  /// Begins anew.
  mutating func clear() {
    rows.removeAll()
    beyond = 0
  }

  // MARK: Lines

  /// The picture.
  /// - Parameter mark: how a changed byte is shown.
  func lines(_ now_ns: Int64, _ style: TextStyle, mark: (String) -> String) -> [String] {
    var lines = [style.strong("bus       ID        period ms     count  data                       message and signals")]
    let sorted = rows.sorted { a, b in
      (a.key.bus, a.key.isError ? 1 : 0, a.key.id & 0x1FFF_FFFF) < (b.key.bus, b.key.isError ? 1 : 0, b.key.id & 0x1FFF_FFFF)
    }
    for (key, row) in sorted {
      let bus = Int(key.bus) < buses.count ? buses[Int(key.bus)] : "can\(key.bus)"
      let period = row.count < 2 ? "-" : ValueText.decimal(Int64(min(9e15, row.period_ns / 100_000)), decimals: 1)
      // Three periods of silence: it may have gone.
      let isSilent = row.count > 2 && Double(now_ns &- row.last_ns) > max(3 * row.period_ns, 1e9)
      var text = pad(bus, 10) + pad(FrameText.text(row.record.frame.id), 8)
      text += padLeft(isSilent ? "silent" : period, 11) + padLeft(String(row.count), 10) + "  "
      var width = 0
      for byte in 0..<min(8, row.record.frame.payloadLength) {
        let word = ValueText.hexByte(row.record.frame.byte(byte))
        let changed = row.changed_ns[byte]
        text += (changed != .min && now_ns &- changed < MonitorTable.markTime_ns ? mark(word) : word + " ")
        width += 3
      }
      if row.record.frame.payloadLength > 8 {
        text += "… "
        width += 2
      }
      text +=
        String(repeating: " ", count: max(0, 27 - width))
        + meaning(row.record, tables.indices.contains(Int(key.bus)) ? tables[Int(key.bus)] : nil)
      lines.append(text)
    }
    if beyond > 0 { lines.append("\(beyond) frames with more different IDs than are shown") }
    return lines
  }

  private func meaning(_ record: CANRecord, _ table: DecodeTable?) -> String {
    if record.frame.flags.contains(.error) { return "error: " + ErrorFrameText.describe(record.frame) }
    if record.frame.flags.contains(.remote) { return "remote request" }
    guard let table, let slot = table.slot(of: record.frame) else { return "" }
    let place = table.slots[slot]
    var text = table.dissection.messages[table.messageIndex(ofSlot: slot)].name
    for index in Int(place.first)..<Int(place.end) {
      guard let raw = table.raw(index, slot: slot, in: record.frame) else { continue }
      let info = table.dissection.signals[index]
      if let flag = info.flag {
        if flag.isSet(raw) { text += "  ! \(flag.text)" }
        continue
      }
      text += "  \(info.name) \(ValueText.text(of: raw, table.dissection, index))" + (info.unit.isEmpty ? "" : " \(info.unit)")
    }
    return text
  }

  private func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
  private func padLeft(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
