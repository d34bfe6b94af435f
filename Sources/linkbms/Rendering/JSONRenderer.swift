import Analysis
import Bus
import Formats
import Protocols

/// One JSON object a line, keys in a fixed order (README "JSON output").
struct JSONRenderer: FrameRenderer {
  static func pump(_ capture: inout CaptureInput, _ pipeline: inout DecodePipeline<JSONRenderer>) throws(WorldError) -> Bool {
    try capture.readWindow(into: &pipeline)
  }

  let output: UnsafeMutablePointer<ByteBuffer>
  private let tables = DigitTables.shared
  private var layouts: [JSONLayout] = []
  private var names: [String] = []
  private var time = TimeText()

  init(output: UnsafeMutablePointer<ByteBuffer>) { self.output = output }

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(JSONText.quoted(name))
    layouts.append(layouts.first { $0.table === table } ?? JSONLayout(table))
  }

  mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int) {
    guard Int(record.bus.index) < layouts.count else { return }
    let layout = layouts[Int(record.bus.index)]
    output.pointee.reserve(layout.longestLine + 1024)
    begin(number: number, time: record.time, record.precision, bus: record.bus, record.direction)
    append(",\"id\":\"")
    let frame = record.frame
    let start = output.pointee.end
    let isError = frame.flags.contains(.error)
    let pen = tables.putID(frame, at: start)
    output.pointee.advance(pen - start)
    append(frame.id.isExtended ? "\",\"extended\":true" : "\",\"extended\":false")
    append(frame.flags.contains(.fd) ? ",\"fd\":true" : ",\"fd\":false")
    append(frame.flags.contains(.remote) ? ",\"remote\":true" : ",\"remote\":false")
    append(isError ? ",\"error\":true" : ",\"error\":false")
    appendPeculiarities(frame)
    append(",\"data\":\"")
    appendData(frame)
    output.pointee.append(0x22)
    if slot >= 0 {
      output.pointee.append(bytes: layout.prefix(slot))
      appendSignals(frame, layout, slot)
    } else {
      append(",\"protocol\":null,\"variant\":null,\"message\":null,\"sender\":null,\"signals\":{},\"flags\":[]")
      if isError {
        append(",\"detail\":")
        output.pointee.append(string: JSONText.quoted(ErrorFrameText.describe(frame)))
      }
    }
    append("}\n")
  }

  mutating func render(_ record: SideRecord, number: UInt64) {
    output.pointee.reserve(512 + record.bytes.count * 2)
    begin(number: number, time: record.time, record.precision, bus: record.bus, record.direction)
    append(",\"kind\":")
    output.pointee.append(string: JSONText.quoted(record.kind.rawValue))
    append(",\"data\":\"")
    for byte in record.bytes { output.pointee.append(hex: UInt64(byte), digits: 2) }
    append("\"")
    if let text = PDUText.line(record) {
      append(",\"text\":")
      output.pointee.append(string: JSONText.quoted(text))
    }
    if let packet = ChainPacket(record) {
      append(",\"text\":")
      output.pointee.append(string: JSONText.quoted(ChainText.line(packet)))
      if let frame = packet.frame {
        append(frame.isIntact ? ",\"intact\":true" : ",\"intact\":false")
        let fields = packet.kind == .answer || frame.command != .read ? ChainText.fields(frame) : []
        let list = fields.map {
          "\(JSONText.quoted($0.name)):{\"value\":\(JSONText.quoted($0.value)),\"unit\":\(JSONText.quoted($0.unit))}"
        }
        output.pointee.append(
          string: ",\"node\":\(frame.clusterID),\"register\":\(frame.register),\"fields\":{\(list.joined(separator: ","))}")
      }
    }
    append("}\n")
  }

  private mutating func begin(number: UInt64, time stamp: Timestamp, _ precision: TimePrecision, bus: BusID, _ direction: Direction)
  {
    append("{\"n\":")
    let start = output.pointee.end
    output.pointee.advance(tables.put(number, at: start) - start)
    if precision == .none {
      append(",\"time\":null")
    } else {
      append(",\"time\":\"")
      let start = output.pointee.end
      output.pointee.advance(time.put(stamp, precision, width: 0, tables: tables, at: start) - start)
      output.pointee.append(0x22)
    }
    append(",\"bus\":")
    if Int(bus.index) < names.count { output.pointee.append(string: names[Int(bus.index)]) } else { append("null") }
    switch direction {
    case .received: append(",\"dir\":\"rx\"")
    case .transmitted: append(",\"dir\":\"tx\"")
    case .unknown: append(",\"dir\":null")
    }
  }

  private func append(_ text: StaticString) { output.pointee.append(text) }

  /// What a classic data frame does not have.
  private func appendPeculiarities(_ frame: CANFrame) {
    if frame.isPlain { return }
    if frame.flags.contains(.remote) {
      append(",\"length\":")
      output.pointee.append(decimal: frame.length)
    }
    if frame.rawDLC > 0 {
      append(",\"rawDLC\":")
      output.pointee.append(decimal: frame.rawDLC)
    }
    if frame.flags.contains(.bitRateSwitch) { append(",\"brs\":true") }
    if frame.flags.contains(.errorStateIndicator) { append(",\"esi\":true") }
  }

  private func appendData(_ frame: CANFrame) {
    let count = frame.payloadLength
    let start = output.pointee.end
    if count <= 8 {
      output.pointee.advance(tables.putPlainHex(frame.head, count: count, at: start) - start)
    } else {
      for index in 0..<count { output.pointee.append(hex: UInt64(frame.byte(index)), digits: 2) }
    }
  }

  private mutating func appendSignals(_ frame: CANFrame, _ layout: JSONLayout, _ slot: Int) {
    let place = layout.table.slots[slot]
    var isFirst = true
    var flags: [String] = []
    for index in Int(place.first)..<Int(place.end) {
      guard let raw = layout.table.raw(index, slot: slot, in: frame) else { continue }
      if !isFirst { output.pointee.append(0x2C) }
      isFirst = false
      output.pointee.append(bytes: layout.label(index))
      let plan = layout.table.dissection.plan.signals[index]
      if plan.isExact {
        let start = output.pointee.end
        let pen = tables.put(raw &* plan.numerator &+ plan.addend, decimals: plan.decimals, at: start)
        output.pointee.advance(pen - start)
      } else {
        let number = ValueText.number(of: raw, plan)
        // JSON has no infinities.
        output.pointee.append(string: number.utf8.contains { $0 >= 0x69 } ? "null" : number)
      }
      output.pointee.append(bytes: layout.unit(index))
      let info = layout.table.dissection.signals[index]
      if let label = info.isText ? ValueText.ascii(raw, plan) : info.labels.isEmpty ? nil : info.labels[raw] {
        append(",\"label\":")
        output.pointee.append(string: JSONText.quoted(label))
      }
      output.pointee.append(0x7D)
      if let flag = info.flag, flag.isSet(raw) { flags.append("\(flag.severity.rawValue): \(flag.text)") }
    }
    append("},\"flags\":[")
    for (number, flag) in flags.enumerated() {
      if number > 0 { output.pointee.append(0x2C) }
      output.pointee.append(string: JSONText.quoted(flag))
    }
    output.pointee.append(0x5D)
  }
}

/// The parts of JSON lines that a definition decides, rendered beforehand.
private final class JSONLayout {
  let table: DecodeTable
  let longestLine: Int
  private let pool: UnsafeMutableRawBufferPointer
  private var prefixes: [Range<Int>] = []
  private var labels: [Range<Int>] = []
  private var units: [Range<Int>] = []

  init(_ table: DecodeTable) {
    self.table = table
    let dissection = table.dissection
    var pool: [UInt8] = []
    func add(_ text: String, _ pool: inout [UInt8]) -> Range<Int> {
      let start = pool.count
      pool.append(contentsOf: text.utf8)
      return start..<pool.count
    }
    for slot in dissection.plan.slots {
      let info = dissection.messages[Int(slot.message)]
      let text =
        ",\"protocol\":\(JSONText.quotedOrNull(info.protocolName)),\"variant\":\(JSONText.quotedOrNull(info.variant))"
        + ",\"message\":\(JSONText.quoted(info.name)),\"sender\":\(JSONText.quotedOrNull(info.sender?.rawValue))"
        + (slot.hasAddress ? ",\"address\":\(slot.address)" : "") + ",\"signals\":{"
      prefixes.append(add(text, &pool))
    }
    for info in dissection.signals {
      labels.append(add("\(JSONText.quoted(info.name)):{\"value\":", &pool))
      units.append(add(info.unit.isEmpty ? "" : ",\"unit\":\(JSONText.quoted(info.unit))", &pool))
    }
    longestLine = zip(labels, units).reduce(0) { $0 + $1.0.count + $1.1.count + 48 }
    self.pool = .allocate(byteCount: max(1, pool.count), alignment: 8)
    self.pool.copyBytes(from: pool)
  }

  deinit { pool.deallocate() }

  func prefix(_ slot: Int) -> UnsafeRawBufferPointer { slice(prefixes[slot]) }
  func label(_ signal: Int) -> UnsafeRawBufferPointer { slice(labels[signal]) }
  func unit(_ signal: Int) -> UnsafeRawBufferPointer { slice(units[signal]) }

  private func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: pool[range]) }
}

/// JSON's strings.
enum JSONText {
  /// In quotes, with escapes.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  static func quotedOrNull(_ text: String?) -> String { text.map(quoted) ?? "null" }
}
