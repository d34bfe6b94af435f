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
  private var layouts: [CSVLayout] = []
  private var names: [String] = []
  private var time = TimeText()

  init(output: UnsafeMutablePointer<ByteBuffer>) { self.output = output }

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(CSVText.field(name))
    layouts.append(layouts.first { $0.table === table } ?? CSVLayout(table))
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
    output.pointee.append(bytes: layout.message(slot))
    let front = output.pointee.count - start
    let table = layout.table
    let place = table.slots[slot]
    var isFirst = true
    for index in Int(place.first)..<Int(place.end) {
      guard let raw = table.raw(index, slot: slot, in: record.frame) else { continue }
      if !isFirst { output.pointee.appendCopy(from: start, count: front) }
      isFirst = false
      append(raw, index, layout)
    }
    if isFirst {
      output.pointee.append(",,,,")
      appendData(record.frame)
    }
  }

  /// One signal's fields: name, value, unit, label.
  private func append(_ raw: Int64, _ index: Int, _ layout: CSVLayout) {
    let plan = layout.table.dissection.plan.signals[index]
    output.pointee.append(bytes: layout.name(index))
    if plan.isExact {
      output.pointee.reserve(32)
      let start = output.pointee.end
      output.pointee.advance(tables.put(raw &* plan.numerator &+ plan.addend, decimals: plan.decimals, at: start) - start)
    } else {
      output.pointee.append(string: ValueText.number(of: raw, plan))
    }
    output.pointee.append(bytes: layout.unit(index))
    if layout.hasLabel(index) {
      let info = layout.table.dissection.signals[index]
      let label =
        info.isText ? ValueText.ascii(raw, plan) : info.flag.map { $0.isSet(raw) ? $0.text : "" } ?? info.labels[raw] ?? ""
      output.pointee.append(string: CSVText.field(label))
    }
    output.pointee.append(",\n")
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

/// The parts of CSV rows that a definition decides, rendered beforehand.
private final class CSVLayout {
  let table: DecodeTable
  private let pool: UnsafeMutableRawBufferPointer
  private var messages: [Range<Int>] = []
  private var names: [Range<Int>] = []
  private var units: [Range<Int>] = []
  private var labelled: [Bool] = []

  init(_ table: DecodeTable) {
    self.table = table
    var pool: [UInt8] = []
    func add(_ text: String, _ pool: inout [UInt8]) -> Range<Int> {
      let start = pool.count
      pool.append(contentsOf: text.utf8)
      return start..<pool.count
    }
    let dissection = table.dissection
    for slot in dissection.plan.slots {
      let info = dissection.messages[Int(slot.message)]
      let fields = [CSVText.field(info.protocolName ?? ""), CSVText.field(info.name), info.sender?.rawValue ?? ""]
      messages.append(add(fields.joined(separator: ",") + ",", &pool))
    }
    for info in dissection.signals {
      names.append(add(CSVText.field(info.name) + ",", &pool))
      units.append(add("," + CSVText.field(info.unit) + ",", &pool))
      labelled.append(info.isText || info.flag != nil || !info.labels.isEmpty)
    }
    self.pool = .allocate(byteCount: max(1, pool.count), alignment: 8)
    self.pool.copyBytes(from: pool)
  }

  deinit { pool.deallocate() }

  func message(_ slot: Int) -> UnsafeRawBufferPointer { slice(messages[slot]) }
  func name(_ signal: Int) -> UnsafeRawBufferPointer { slice(names[signal]) }
  func unit(_ signal: Int) -> UnsafeRawBufferPointer { slice(units[signal]) }
  func hasLabel(_ signal: Int) -> Bool { labelled[signal] }

  private func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: pool[range]) }
}

/// RFC 4180 fields.
enum CSVText {
  /// In quotes where it must be.
  static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}
