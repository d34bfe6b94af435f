import Analysis
import Bus
import Formats
import Foundation
import Protocols
import Simulation
import Testing

@testable import linkbms

/// Rows of JSON and CSV hold what the table says of a frame: of every definition, every message and payloads by chance.
@Suite struct RowRendererTests {
  private static let tables = DefinitionLibrary(files: embeddedDissectors).definitions.map {
    DecodeTable($0.plan(variant: $0.variant(nil)))
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>) func rowsHoldWhatTheTableSays(seed: UInt64) throws {
    var random = Chance(state: seed)
    for table in Self.tables {
      var json = Rows<JSONRenderer>(table)
      var csv = Rows<CSVRenderer>(table)
      defer {
        json.free()
        csv.free()
      }
      for slot in table.slots.indices {
        for _ in 0..<4 {
          let frame = random.frame()
          let told = "seed \(seed), \(table.dissection.messages[table.messageIndex(ofSlot: slot)].name), \(frame)"
          try checkJSON(json.text(frame, slot), table, frame, slot, told)
          checkCSV(csv.text(frame, slot), table, frame, slot, told)
        }
      }
    }
  }

  /// A bus may have any name: room is made for it wherever a line begins.
  @Test(arguments: [0, 100, 700, 900, 1000, 1100, 1300, 2000, 5000, 60_000]) func longNamesOfBusesHaveRoom(length: Int) throws {
    let table = try #require(Self.tables.max { $0.signals.count < $1.signals.count })
    let name = String(repeating: "n", count: length)
    var frame = CANFrame(id: .standard(1), length: 8, head: 0x0102_0304_0506_0708)
    frame.flags = []
    for slot in table.slots.indices.prefix(20) {
      var json = Rows<JSONRenderer>(table, name)
      var text = Rows<TextRenderer>(table, name)
      defer {
        json.free()
        text.free()
      }
      #expect(json.text(frame, slot).contains("\"bus\":\"\(name)\",") && text.text(frame, slot).contains("  \(name)"))
    }
  }

  private func checkJSON(_ text: String, _ table: DecodeTable, _ frame: CANFrame, _ slot: Int, _ told: String) throws {
    let row = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(told): \(text)")
    let signals = try #require(row["signals"] as? [String: [String: Any]], "\(told): \(text)")
    var expected: [String: String] = [:]
    var flags: [String] = []
    for index in Int(table.slots[slot].first)..<Int(table.slots[slot].end) {
      guard let raw = table.raw(index, slot: slot, in: frame) else { continue }
      let info = table.dissection.signals[index]
      let number = ValueText.number(of: raw, table.dissection.plan.signals[index])
      let value = Double(number).flatMap { $0.isFinite ? $0 : nil }
      let label = info.isText ? ValueText.ascii(raw, table.dissection.plan.signals[index]) : info.labels[raw]
      expected[info.name] = "\(value.map { String($0) } ?? "null") \(info.unit) \(label ?? "-")"
      if let flag = info.flag, flag.isSet(raw) { flags.append("\(flag.severity.rawValue): \(flag.text)") }
    }
    var found: [String: String] = [:]
    for (name, signal) in signals {
      let value = (signal["value"] as? NSNumber)?.doubleValue
      let unit = signal["unit"] as? String ?? ""
      let label = signal["label"] as? String ?? "-"
      found[name] = "\(value.map { String($0) } ?? "null") \(unit) \(label)"
    }
    #expect(found == expected && row["flags"] as? [String] == flags, "\(told): \(text)")
    let message = table.dissection.messages[table.messageIndex(ofSlot: slot)]
    var data = ""
    for index in 0..<frame.payloadLength { data += ValueText.hexByte(frame.byte(index)) }
    let front = [row["bus"], row["id"], row["data"], row["message"], row["protocol"], row["sender"]].map { $0 as? String }
    #expect(
      front == ["can\"0", "001", data, message.name, message.protocolName, message.sender?.rawValue], "\(told): \(text)")
    #expect(row["fd"] as? Bool == frame.flags.contains(.fd) && row["n"] as? Int == 7, "\(told): \(text)")
  }

  private func checkCSV(_ text: String, _ table: DecodeTable, _ frame: CANFrame, _ slot: Int, _ told: String) {
    let rows = text.split(separator: "\n")
    var tails: [String] = []
    for index in Int(table.slots[slot].first)..<Int(table.slots[slot].end) {
      guard let raw = table.raw(index, slot: slot, in: frame) else { continue }
      let info = table.dissection.signals[index]
      let plan = table.dissection.plan.signals[index]
      let label =
        info.isText ? ValueText.ascii(raw, plan) : info.flag.map { $0.isSet(raw) ? $0.text : "" } ?? info.labels[raw] ?? ""
      tails.append(
        "\(CSVText.field(info.name)),\(ValueText.number(of: raw, plan)),\(CSVText.field(info.unit)),\(CSVText.field(label)),")
    }
    guard !tails.isEmpty else {
      #expect(rows.count == 1, "\(told): \(text)")
      return
    }
    let fronts = zip(rows, tails).map { row, tail in row.hasSuffix(tail) ? String(row.dropLast(tail.count)) : "another tail: \(row)"
    }
    let message = table.dissection.messages[table.messageIndex(ofSlot: slot)]
    let front = "7,,\"can\"\"0\",,001,\(message.protocolName ?? ""),\(message.name),\(message.sender?.rawValue ?? ""),"
    #expect(rows.count == tails.count && Set(fronts) == [front], "\(told): \(text)")
  }
}

/// A renderer with the buffer that it writes to, small at first.
private struct Rows<Renderer: RowRenderer> {
  private let output = makeOutput(capacity: 256)
  private var renderer: Renderer

  init(_ table: DecodeTable, _ name: String = "can\"0") {
    renderer = Renderer(output: output)
    renderer.addBus(BusID(0), named: name, table: table)
  }

  mutating func text(_ frame: CANFrame, _ slot: Int) -> String {
    var record = CANRecord()
    record.frame = frame
    output.pointee.removeAll()
    renderer.render(record, number: 7, slot: slot)
    return output.pointee.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  func free() { freeOutput(output) }
}

/// What the renderers have in common for these tests.
private protocol RowRenderer: FrameRenderer {
  init(output: UnsafeMutablePointer<ByteBuffer>)
}
extension JSONRenderer: RowRenderer {}
extension CSVRenderer: RowRenderer {}
extension TextRenderer: RowRenderer {
  init(output: UnsafeMutablePointer<ByteBuffer>) { self.init(output: output, style: TextStyle(usesColour: false)) }
}

private struct Chance {
  private var random: SplitMix64

  init(state: UInt64) { random = SplitMix64(seed: state) }

  private mutating func next() -> UInt64 { random.next() }

  /// Few bits as often as many: labels and flags stand at small values. Of 64 bytes, one in four.
  mutating func frame() -> CANFrame {
    let sparse = next() & 1 == 0
    func word(_ value: UInt64, _ mask: UInt64, _ other: UInt64) -> UInt64 { sparse ? value & mask & other : value }
    var frame = CANFrame(id: .standard(1), length: UInt8(next() % 9), head: word(next(), next(), next()))
    if next() % 4 == 0 {
      frame.flags = .fd
      frame.length = 64
      frame.head = word(next(), next(), next())
      for index in 8..<64 { frame.setByte(index, UInt8(truncatingIfNeeded: word(next(), next(), next()))) }
    }
    return frame
  }
}
