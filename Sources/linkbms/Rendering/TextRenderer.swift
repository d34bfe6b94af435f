import Analysis
import Bus
import Formats
import Protocols

/// One aligned line a frame: time, bus, direction, ID, bytes, message, values with units, and whatever is wrong.
///
/// `1700000000.123456  can0  rx  00004210  [8]  A5 09 30 75 9D 04 2E 64  Totals   PackVoltage 246.9 V  …`
struct TextRenderer: FrameRenderer {
  static func pump(_ capture: inout CaptureInput, _ pipeline: inout DecodePipeline<TextRenderer>) throws(WorldError) -> Bool {
    try capture.readWindow(into: &pipeline)
  }

  let output: UnsafeMutablePointer<ByteBuffer>
  private let style: TextStyle
  private let tables = DigitTables.shared
  private var layouts: [TextLayout] = []
  private var busTexts: [PreparedText] = []
  private var busPool = TextPool()
  private var busBase: UnsafeMutableRawPointer
  private var names: [String] = []
  private var time = TimeText()
  private var currentBus: UInt16 = .max
  private var layout: TextLayout?
  private var busText = PreparedText(offset: 0, count: 0)

  init(output: UnsafeMutablePointer<ByteBuffer>, style: TextStyle) {
    self.output = output
    self.style = style
    busBase = busPool.base
  }

  /// The most bytes of a line beside the values: a bus may have any name.
  private var frontRoom = 768

  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable) {
    names.append(name)
    if let known = layouts.first(where: { $0.table === table }) {
      layouts.append(known)
    } else {
      layouts.append(TextLayout(table, style: style))
    }
    // All names again, as wide as the widest: later lines align.
    let width = min(names.map(\.utf8.count).max() ?? 0, 16)
    busPool = TextPool()
    busTexts = names.map { busPool.add("  " + $0 + String(repeating: " ", count: max(0, width - $0.utf8.count)) + "  ") }
    busPool.seal()
    busBase = busPool.base
    currentBus = .max
    frontRoom = 768 + (busTexts.map { Int($0.count) }.max() ?? 0)
  }

  @inline(__always) mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int) {
    if record.bus.index != currentBus { turn(to: record.bus) }
    guard let layout else { return }
    output.pointee.reserve(layout.longestLine &+ frontRoom)
    let start = output.pointee.end
    var pen = time.put(record.time, record.precision, width: 10, tables: tables, at: start)
    pen = put(busText, of: busBase, at: pen)
    pen.storeBytes(of: TextRenderer.directionWord(record.direction), as: UInt32.self)
    pen = tables.putID(record.frame, at: paddedForID(record.frame, pen + 4))
    if slot >= 0, record.frame.isPlain {
      pen = putData(record.frame, at: pen)
      pen = putMessage(record, layout, slot, at: pen)
    } else {
      pen = putPeculiar(record, layout, slot, at: pen)
    }
    pen.storeBytes(of: 0x0A, as: UInt8.self)
    output.pointee.advance(pen + 1 - start)
  }

  mutating func render(_ record: SideRecord, number: UInt64) {
    if record.bus.index != currentBus { turn(to: record.bus) }
    output.pointee.reserve(frontRoom + record.bytes.count * 3)
    let start = output.pointee.end
    var pen = time.put(record.time, record.precision, width: 10, tables: tables, at: start)
    pen = put(busText, of: busBase, at: pen)
    output.pointee.advance(pen - start)
    output.pointee.append(string: record.kind.rawValue)
    if let packet = ChainPacket(record) {
      // A chain frame says what it is; its bytes stand in front as those of a CAN frame do.
      for byte in packet.bytes {
        output.pointee.append(0x20)
        output.pointee.append(hex: UInt64(byte), digits: 2)
      }
      output.pointee.append(string: "  \(ChainText.line(packet))\n")
      return
    }
    for byte in record.bytes {
      output.pointee.append(0x20)
      output.pointee.append(hex: UInt64(byte), digits: 2)
    }
    if let text = PDUText.line(record) { output.pointee.append(string: "  \(text)") }
    output.pointee.append(0x0A)
  }

  @inline(never) private mutating func turn(to bus: BusID) {
    currentBus = bus.index
    layout = Int(bus.index) < layouts.count ? layouts[Int(bus.index)] : nil
    busText = Int(bus.index) < busTexts.count ? busTexts[Int(bus.index)] : PreparedText(offset: 0, count: 0)
  }

  /// "rx  ", "tx  " or blanks.
  @inline(__always) private static func directionWord(_ direction: Direction) -> UInt32 {
    switch direction {
    case .received: 0x2020_7872
    case .transmitted: 0x2020_7874
    case .unknown: 0x2020_2020
    }
  }

  /// Standard IDs are indented like candump's, so that the bytes align.
  @inline(__always) private func paddedForID(_ frame: borrowing CANFrame, _ pen: Pen) -> Pen {
    guard !frame.id.isExtended, !frame.flags.contains(.error) else { return pen }
    pen.storeBytes(of: 0x2020_2020_2020_2020, as: UInt64.self)
    return pen + 5
  }

  /// `  [8]  A5 09 …  `, always as wide as eight bytes.
  @inline(__always) private func putData(_ frame: borrowing CANFrame, at start: Pen) -> Pen {
    let length = UInt64(frame.length)
    start.storeBytes(of: 0x2020_5D30_5B20_2020 &+ length &<< 32, as: UInt64.self)
    let pen = start + 8
    tables.putHex(frame.head, at: pen)
    if length < 8 { blank(pen + Int(length) * 3, count: 24 - Int(length) * 3) }
    pen.storeBytes(of: 0x20, toByteOffset: 24, as: UInt8.self)
    return pen + 25
  }

  private func blank(_ pen: Pen, count: Int) { pen.initializeMemory(as: UInt8.self, repeating: 0x20, count: count) }

  @inline(__always) private func putMessage(
    _ record: borrowing CANRecord, _ layout: TextLayout, _ slot: Int, at start: Pen
  ) -> Pen {
    let pool = layout.text
    var pen = put(layout.names[slot], of: pool, at: start)
    let place = layout.slots[slot]
    guard place.simpleLength != 255 else { return putCarefully(record, layout, slot, at: pen) }
    let word = record.frame.head
    let swapped = word.byteSwapped
    let length = record.frame.length
    var index = Int(place.first)
    let end = Int(place.end)
    var hasFlags = false
    while index < end {
      let signal = layout.signals + index
      if signal.pointee.bytesNeeded <= length {
        let raw = layout.cuts[index].raw(word, swapped)
        switch signal.pointee.kind {
        case .number:
          pen = put(signal.pointee.label, of: pool, at: pen)
          pen = tables.put(raw &* signal.pointee.numerator &+ signal.pointee.addend, decimals: signal.pointee.decimals, at: pen)
          pen = put(signal.pointee.unit, of: pool, at: pen)
        case .flag: hasFlags = hasFlags || raw != 0
        case .special: pen = putSpecial(raw, index, layout, at: pen)
        }
      }
      index &+= 1
    }
    return hasFlags ? putFlags(record, layout, slot, at: pen) : pen
  }

  /// Messages with multiplexors, floats or bytes past the eighth.
  @inline(never) private func putCarefully(
    _ record: borrowing CANRecord, _ layout: TextLayout, _ slot: Int, at start: Pen
  ) -> Pen {
    var pen = start
    let place = layout.slots[slot]
    for index in Int(place.first)..<Int(place.end) where layout.signals[index].kind != .flag {
      if let raw = layout.table.raw(index, slot: slot, in: record.frame) { pen = putSpecial(raw, index, layout, at: pen) }
    }
    return putFlags(record, layout, slot, at: pen)
  }

  @inline(never) private func putSpecial(_ raw: Int64, _ index: Int, _ layout: TextLayout, at start: Pen) -> Pen {
    let signal = layout.signals[index]
    var pen = put(signal.label, of: layout.text, at: start)
    pen = putString(ValueText.text(of: raw, layout.table.dissection, index), at: pen)
    return put(signal.unit, of: layout.text, at: pen)
  }

  @inline(never) private func putFlags(
    _ record: borrowing CANRecord, _ layout: TextLayout, _ slot: Int, at start: Pen
  ) -> Pen {
    var pen = start
    let place = layout.slots[slot]
    for index in Int(place.first)..<Int(place.end) {
      guard let flag = layout.table.dissection.signals[index].flag,
        let raw = layout.table.raw(index, slot: slot, in: record.frame), flag.isSet(raw)
      else { continue }
      let text = "! \(flag.severity.rawValue): \(flag.text)"
      pen = putString("  ", at: pen)
      pen = putString(flag.severity == .notice ? style.warning(text) : style.alarming(text), at: pen)
    }
    return pen
  }

  /// Everything but a plain data frame of a known message.
  @inline(never) private func putPeculiar(
    _ record: borrowing CANRecord, _ layout: TextLayout, _ slot: Int, at start: Pen
  ) -> Pen {
    let frame = record.frame
    if frame.flags.contains(.remote) {
      return putString("   [\(frame.length)]  remote request" + (frame.rawDLC > 0 ? " (raw DLC \(frame.rawDLC))" : ""), at: start)
    }
    var pen = start
    if frame.flags.contains(.fd) || frame.rawDLC > 0 || frame.length > 8 {
      var text = frame.flags.contains(.fd) ? "   FD[\(frame.length)]  " : "   [\(frame.length)] "
      for index in 0..<frame.payloadLength { text += ValueText.hexByte(frame.byte(index)) + " " }
      if frame.flags.contains(.bitRateSwitch) { text += "BRS " }
      if frame.flags.contains(.errorStateIndicator) { text += "ESI " }
      if frame.rawDLC > 0 { text += "(raw DLC \(frame.rawDLC)) " }
      pen = putString(text + " ", at: pen)
    } else {
      pen = putData(frame, at: pen)
    }
    if frame.flags.contains(.error) { return putString(style.alarming("error frame: " + ErrorFrameText.describe(frame)), at: pen) }
    guard slot >= 0 else { return putString(style.dim("?"), at: pen) }
    pen = put(layout.names[slot], of: layout.text, at: pen)
    return putCarefully(record, layout, slot, at: pen)
  }
}
