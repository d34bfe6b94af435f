import Analysis
import Bus
import Formats
import Protocols

/// A row per signal: record number, time, bus, direction, ID, message, signal, value, unit, label. A frame that is not decoded has
/// one row with its bytes in `data`.
struct CSVRenderer: FrameRenderer {
  static func pump(_ capture: inout CaptureInput, _ pipeline: inout DecodePipeline<CSVRenderer>) throws(WorldError) -> Bool {
    try capture.readWindow(into: &pipeline)
  }

  let output: UnsafeMutablePointer<ByteBuffer>
  static let header = "n,time,bus,dir,id,protocol,message,sender,signal,value,unit,label,data\n"
  private let tables = DigitTables.shared
  private var layouts: [RowLayout] = []
  private var names: [String] = []
  private var time = TimeText()

  init(output: UnsafeMutablePointer<ByteBuffer>) { self.output = output }

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(CSVText.field(name))
    layouts.append(layouts.first { $0.table === table } ?? RowLayout(table, CSVText.rows))
  }

  mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int) {
    guard Int(record.bus.index) < layouts.count else { return }
    let layout = layouts[Int(record.bus.index)]
    let start = output.pointee.count
    appendFront(record, number: number)
    guard slot >= 0 else {
      output.pointee.append(",,,,,,,")
      appendData(record.frame)
      return
    }
    output.pointee.reserve(layout.longestMessage + 64)
    let end = output.pointee.end
    output.pointee.advance(put(layout.messages[slot], of: layout.text, at: end) - end)
    if !appendSignals(record.frame, layout, slot, front: output.pointee.count - start) {
      output.pointee.append(",,,,")
      appendData(record.frame)
    }
  }

  /// One row a signal; the first `front` bytes of each stand there already, of the first one.
  /// - Returns: whether the frame holds a signal.
  private func appendSignals(_ frame: CANFrame, _ layout: RowLayout, _ slot: Int, front: Int) -> Bool {
    output.pointee.reserve((front + layout.longestSignal) * layout.mostSignals)
    let start = output.pointee.end
    let word = frame.head
    let swapped = word.byteSwapped
    let end = Int(layout.slots[slot].end)
    var pen = start
    var index = Int(layout.slots[slot].first)
    while index < end {
      defer { index &+= 1 }
      guard let raw = layout.raw(index, slot, in: frame, word, swapped) else { continue }
      if pen != start {
        pen.copyMemory(from: start - front, byteCount: front)
        pen += front
      }
      let signal = layout.signals + index
      pen = put(signal.pointee.name, of: layout.text, at: pen)
      if signal.pointee.isExact {
        pen = tables.put(raw &* signal.pointee.numerator &+ signal.pointee.addend, decimals: signal.pointee.decimals, at: pen)
      } else {
        pen = putInexact(raw, index, layout, at: pen)
      }
      pen = put(signal.pointee.unit, of: layout.text, at: pen)
      if signal.pointee.isText {
        pen = putText(raw, index, layout, at: pen)
      } else if signal.pointee.hasFlag {
        if let flag = layout.flag(index, raw) { pen = put(flag, of: layout.text, at: pen) }
      } else if signal.pointee.hasLabels, let label = layout.label(index, raw) {
        pen = put(label, of: layout.text, at: pen)
      }
      // A comma and the end of the line.
      pen.storeBytes(of: 0x0A2C, as: UInt16.self)
      pen += 2
    }
    output.pointee.advance(pen - start)
    return pen != start
  }

  @inline(never) private func putInexact(_ raw: Int64, _ index: Int, _ layout: RowLayout, at pen: Pen) -> Pen {
    putString(ValueText.number(of: raw, layout.table.dissection.plan.signals[index]), at: pen)
  }

  @inline(never) private func putText(_ raw: Int64, _ index: Int, _ layout: RowLayout, at pen: Pen) -> Pen {
    putString(CSVText.field(ValueText.ascii(raw, layout.table.dissection.plan.signals[index])), at: pen)
  }

  mutating func render(_ record: SideRecord, number: UInt64) {
    output.pointee.append(string: "\(number),")
    appendTime(record.time, record.precision)
    output.pointee.append(
      string: ",\(Int(record.bus.index) < names.count ? names[Int(record.bus.index)] : ""),,,,\(record.kind.rawValue),,,,,,")
    for byte in record.bytes { output.pointee.append(hex: UInt64(byte), digits: 2) }
    output.pointee.append(0x0A)
  }

  /// Number, time, bus, direction, ID, each with its comma.
  private mutating func appendFront(_ record: borrowing CANRecord, number: UInt64) {
    output.pointee.reserve(32)
    let start = output.pointee.end
    output.pointee.advance(tables.put(number, at: start) - start)
    output.pointee.append(0x2C)
    appendTime(record.time, record.precision)
    output.pointee.append(0x2C)
    output.pointee.append(string: names[Int(record.bus.index)])
    switch record.direction {
    case .received: output.pointee.append(",rx,")
    case .transmitted: output.pointee.append(",tx,")
    case .unknown: output.pointee.append(",,")
    }
    output.pointee.reserve(16)
    let place = output.pointee.end
    output.pointee.advance(tables.putID(record.frame, at: place) - place)
    output.pointee.append(0x2C)
  }

  private mutating func appendTime(_ stamp: Timestamp, _ precision: TimePrecision) {
    guard precision != .none else { return }
    output.pointee.reserve(TimeText.room)
    let start = output.pointee.end
    output.pointee.advance(time.put(stamp, precision, width: 0, tables: tables, at: start) - start)
  }

  private func appendData(_ frame: CANFrame) {
    for index in 0..<frame.payloadLength { output.pointee.append(hex: UInt64(frame.byte(index)), digits: 2) }
    output.pointee.append(0x0A)
  }
}

/// RFC 4180 fields.
enum CSVText {
  /// In quotes where it must be.
  static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  /// What a definition names, in the words of the rows.
  static let rows = RowWords(
    message: { _, info in
      [field(info.protocolName ?? ""), field(info.name), info.sender?.rawValue ?? ""].joined(separator: ",") + ","
    },
    name: { field($0.name) + "," }, unit: { "," + field($0.unit) + "," }, label: field, flag: { field($0.text) })
}
