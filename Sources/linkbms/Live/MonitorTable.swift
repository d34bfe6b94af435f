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
    /// By byte: bits that changed since the table was cleared.
    var moving: InlineArray<64, UInt8> = InlineArray(repeating: 0)
    /// By byte: bits whose changes are not marked.
    var notched: InlineArray<64, UInt8> = InlineArray(repeating: 0)

    /// Takes the next frame of the ID.
    mutating func follow(_ next: CANRecord, _ now_ns: Int64) {
      for byte in 0..<min(64, max(record.frame.payloadLength, next.frame.payloadLength)) {
        let bits = Row.byte(byte, of: record.frame) ^ Row.byte(byte, of: next.frame)
        moving[byte] |= bits
        if bits & ~notched[byte] != 0 { changed_ns[byte] = now_ns }
      }
      record = next
    }

    /// Bits that have moved so far are marked no more.
    mutating func notch() {
      for byte in 0..<64 { notched[byte] |= moving[byte] }
      changed_ns = InlineArray(repeating: .min)
    }

    /// A payload byte; 0 past the frame's length.
    private static func byte(_ index: Int, of frame: CANFrame) -> UInt8 { index < frame.payloadLength ? frame.byte(index) : 0 }
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
    row.follow(record, now_ns)
    row.count &+= 1
    row.last_ns = now_ns
    rows[key] = row
  }

  /// Bits that have moved so far are marked no more: what moves anew stands out.
  mutating func notch() {
    for key in rows.keys { rows[key]?.notch() }
  }

  /// Begins anew.
  mutating func clear() {
    rows.removeAll()
    beyond = 0
  }

  // MARK: Lines

  /// The picture.
  /// - Parameters:
  ///   - columns: of the terminal, for bytes past the eighth to stand on lines of their own; `nil` = one line an ID.
  ///   - mark: how a changed byte is shown.
  func lines(_ now_ns: Int64, _ style: TextStyle, columns: Int? = nil, mark: (String) -> String) -> [String] {
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
      let words = bytes(of: row, now_ns, mark)
      let place = text.count
      let first = columns == nil ? words.count : min(8, words.count)
      text += words[..<first].joined() + String(repeating: " ", count: max(2, 27 - 3 * first))
      lines.append(text + meaning(row.record, tables.indices.contains(Int(key.bus)) ? tables[Int(key.bus)] : nil))
      if let columns { lines += further(words[first...], below: place, columns) }
    }
    if beyond > 0 { lines.append("\(beyond) frames with more different IDs than are shown") }
    return lines
  }

  /// The payload's bytes, three columns each.
  private func bytes(of row: Row, _ now_ns: Int64, _ mark: (String) -> String) -> [String] {
    (0..<min(64, row.record.frame.payloadLength)).map { byte in
      let word = ValueText.hexByte(row.record.frame.byte(byte))
      let changed = row.changed_ns[byte]
      return changed != .min && now_ns &- changed < MonitorTable.markTime_ns ? mark(word) : word + " "
    }
  }

  /// Bytes past the eighth, under the first ones with the number of the byte they begin with: as many a line as there is room for.
  private func further(_ words: ArraySlice<String>, below place: Int, _ columns: Int) -> [String] {
    let perLine = max(8, (columns - 1 - place) / 3 / 8 * 8)
    return stride(from: words.startIndex, to: words.endIndex, by: perLine).map { start in
      padLeft("+\(start)", place - 2) + "  " + words[start..<min(words.endIndex, start + perLine)].joined()
    }
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
