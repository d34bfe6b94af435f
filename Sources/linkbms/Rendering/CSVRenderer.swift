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
  private var tablesByBus: [DecodeTable] = []
  private var names: [String] = []
  private var time = TimeText()

  init(output: UnsafeMutablePointer<ByteBuffer>) { self.output = output }

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(CSVText.field(name))
    tablesByBus.append(table)
  }

  mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int) {
    guard Int(record.bus.index) < tablesByBus.count else { return }
    let table = tablesByBus[Int(record.bus.index)]
    let front = prefix(record, number: number)
    guard slot >= 0 else {
      output.pointee.append(string: front + ",,,,,,,")
      appendData(record.frame)
      return
    }
    let dissection = table.dissection
    let info = dissection.messages[table.messageIndex(ofSlot: slot)]
    let middle =
      front + CSVText.field(info.protocolName ?? "") + "," + CSVText.field(info.name) + "," + (info.sender?.rawValue ?? "") + ","
    let place = table.slots[slot]
    var isEmpty = true
    for index in Int(place.first)..<Int(place.end) {
      guard let raw = table.raw(index, slot: slot, in: record.frame) else { continue }
      isEmpty = false
      let signal = dissection.signals[index]
      let plan = dissection.plan.signals[index]
      let label =
        signal.isText ? ValueText.ascii(raw, plan) : signal.flag.map { $0.isSet(raw) ? $0.text : "" } ?? signal.labels[raw] ?? ""
      output.pointee.append(string: middle)
      output.pointee.append(string: CSVText.field(signal.name) + "," + ValueText.number(of: raw, plan) + ",")
      output.pointee.append(string: CSVText.field(signal.unit) + "," + CSVText.field(label) + ",\n")
    }
    if isEmpty {
      output.pointee.append(string: middle + ",,,,")
      appendData(record.frame)
    }
  }

  mutating func render(_ record: SideRecord, number: UInt64) {
    output.pointee.append(string: "\(number),")
    appendTime(record.time, record.precision)
    output.pointee.append(
      string: ",\(Int(record.bus.index) < names.count ? names[Int(record.bus.index)] : ""),,,,\(record.kind.rawValue),,,,,,")
    for byte in record.bytes { output.pointee.append(hex: UInt64(byte), digits: 2) }
    output.pointee.append(0x0A)
  }

  private mutating func prefix(_ record: borrowing CANRecord, number: UInt64) -> String {
    let mark = output.pointee.count
    output.pointee.reserve(256)
    appendTime(record.time, record.precision)
    output.pointee.append(0x2C)
    output.pointee.append(string: names[Int(record.bus.index)] + ",")
    output.pointee.append(string: record.direction == .received ? "rx," : record.direction == .transmitted ? "tx," : ",")
    output.pointee.reserve(16)
    let place = output.pointee.end
    output.pointee.advance(tables.putID(record.frame, at: place) - place)
    let text = output.pointee.withBytes { String(decoding: $0[mark...], as: UTF8.self) }
    output.pointee.truncate(to: mark)
    return "\(number),\(text),"
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
}
