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
  private var layouts: [RowLayout] = []
  private var names: [String] = []
  /// Bytes: a bus may have any name.
  private var longestName = 0
  private var time = TimeText()

  init(output: UnsafeMutablePointer<ByteBuffer>) { self.output = output }

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(JSONText.quoted(name))
    longestName = names.map(\.utf8.count).max() ?? 0
    layouts.append(layouts.first { $0.table === table } ?? RowLayout(table, JSONText.rows))
  }

  mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int) {
    guard Int(record.bus.index) < layouts.count else { return }
    let layout = layouts[Int(record.bus.index)]
    output.pointee.reserve(layout.longestMessage + layout.longestSignal * layout.mostSignals + longestName + 1024)
    begin(number: number, time: record.time, record.precision, bus: record.bus, record.direction)
    append(",\"id\":\"")
    let frame = record.frame
    let start = output.pointee.end
    let pen = tables.putID(frame, at: start)
    output.pointee.advance(pen - start)
    if frame.isPlain {
      append(frame.id.isExtended ? JSONRenderer.plainExtended : JSONRenderer.plainStandard)
    } else {
      appendPeculiarities(frame)
    }
    appendData(frame)
    if slot >= 0 {
      output.pointee.append(0x22)
      appendSignals(frame, layout, slot)
    } else {
      append("\",\"protocol\":null,\"variant\":null,\"message\":null,\"sender\":null,\"signals\":{},\"flags\":[]")
      if frame.flags.contains(.error) {
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

  /// From the ID to the data of nearly every frame.
  private static let plainExtended: StaticString =
    "\",\"extended\":true,\"fd\":false,\"remote\":false,\"error\":false,\"data\":\""
  private static let plainStandard: StaticString =
    "\",\"extended\":false,\"fd\":false,\"remote\":false,\"error\":false,\"data\":\""

  /// The same of a frame that is no classic data frame.
  private func appendPeculiarities(_ frame: CANFrame) {
    append(frame.id.isExtended ? "\",\"extended\":true" : "\",\"extended\":false")
    append(frame.flags.contains(.fd) ? ",\"fd\":true" : ",\"fd\":false")
    append(frame.flags.contains(.remote) ? ",\"remote\":true" : ",\"remote\":false")
    append(frame.flags.contains(.error) ? ",\"error\":true" : ",\"error\":false")
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
    append(",\"data\":\"")
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

  /// From the message's names to the flags.
  private func appendSignals(_ frame: CANFrame, _ layout: RowLayout, _ slot: Int) {
    let start = output.pointee.end
    let word = frame.head
    let swapped = word.byteSwapped
    let first = Int(layout.slots[slot].first)
    let end = Int(layout.slots[slot].end)
    var pen = put(layout.messages[slot], of: layout.text, at: start)
    var isFirst = true
    var mayBeFlagged = false
    var index = first
    while index < end {
      defer { index &+= 1 }
      guard let raw = layout.raw(index, slot, in: frame, word, swapped) else { continue }
      if !isFirst {
        pen.storeBytes(of: 0x2C, as: UInt8.self)
        pen += 1
      }
      isFirst = false
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
      } else if signal.pointee.hasLabels, let label = layout.label(index, raw) {
        pen = put(label, of: layout.text, at: pen)
      }
      pen.storeBytes(of: 0x7D, as: UInt8.self)
      pen += 1
      mayBeFlagged = mayBeFlagged || signal.pointee.hasFlag && (raw != 0 || signal.pointee.isSetAtZero)
    }
    output.pointee.advance(pen - start)
    append("},\"flags\":[")
    if mayBeFlagged { appendFlags(frame, layout, slot) }
    output.pointee.append(0x5D)
  }

  @inline(never) private func putInexact(_ raw: Int64, _ index: Int, _ layout: RowLayout, at pen: Pen) -> Pen {
    let number = ValueText.number(of: raw, layout.table.dissection.plan.signals[index])
    // JSON has no infinities.
    return putString(number.utf8.contains { $0 >= 0x69 } ? "null" : number, at: pen)
  }

  @inline(never) private func putText(_ raw: Int64, _ index: Int, _ layout: RowLayout, at pen: Pen) -> Pen {
    putString(JSONText.label(ValueText.ascii(raw, layout.table.dissection.plan.signals[index])), at: pen)
  }

  @inline(never) private func appendFlags(_ frame: CANFrame, _ layout: RowLayout, _ slot: Int) {
    let start = output.pointee.end
    var pen = start
    for index in Int(layout.slots[slot].first)..<Int(layout.slots[slot].end) where layout.signals[index].hasFlag {
      guard let raw = layout.table.raw(index, slot: slot, in: frame), let text = layout.flag(index, raw) else { continue }
      if pen != start {
        pen.storeBytes(of: 0x2C, as: UInt8.self)
        pen += 1
      }
      pen = put(text, of: layout.text, at: pen)
    }
    output.pointee.advance(pen - start)
  }
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

  /// A value's label as a member of its object.
  static func label(_ text: String) -> String { ",\"label\":\(quoted(text))" }

  /// What a definition names, in the words of the rows.
  static let rows = RowWords(
    message: { slot, info in
      ",\"protocol\":\(quotedOrNull(info.protocolName)),\"variant\":\(quotedOrNull(info.variant))"
        + ",\"message\":\(quoted(info.name)),\"sender\":\(quotedOrNull(info.sender?.rawValue))"
        + (slot.hasAddress ? ",\"address\":\(slot.address)" : "") + ",\"signals\":{"
    },
    name: { "\(quoted($0.name)):{\"value\":" }, unit: { $0.unit.isEmpty ? "" : ",\"unit\":\(quoted($0.unit))" }, label: label,
    flag: { quoted("\($0.severity.rawValue): \($0.text)") })
}
