import Bus
import Testing

@testable import linkbms

/// What `monitor` makes of CAN FD frames, whose payloads are longer than a line.
@Suite struct MonitorTests {
  /// A frame of 64 bytes, all 0 but one.
  private func record(_ byte: Int, _ value: UInt8, length: UInt8 = 64) -> CANRecord {
    var frame = CANFrame()
    frame.id = .standard(0x123)
    frame.flags = .fd
    frame.length = length
    frame.setByte(byte, value)
    return CANRecord(time: Timestamp(nanoseconds: 1), frame: frame)
  }

  private func lines(_ table: MonitorTable, _ now: Int64 = 0, columns: Int? = nil) -> [String] {
    table.lines(now, TextStyle(), columns: columns) { $0 + "*" }
  }

  @Test func everyByteOfALongFrameIsShown() {
    var table = MonitorTable(buses: ["can0"], chooser: nil)
    table.add(record(63, 0xAB), 0)
    let single = lines(table)
    #expect(single.count == 2 && single[1].contains(String(repeating: "00 ", count: 63) + "AB "), "\(single)")
    // As wide as the terminal, below the first eight bytes.
    for (columns, perLine) in [(40, 8), (80, 8), (100, 16), (120, 24)] {
      let wrapped = lines(table, columns: columns)
      #expect(wrapped.count == 2 + (56 + perLine - 1) / perLine, "\(columns): \(wrapped)")
      #expect(wrapped[2].contains(" +8  00 00 ") && wrapped.last?.contains("AB ") == true, "\(wrapped)")
      if columns >= 80 { #expect(wrapped[2...].allSatisfy { $0.count < columns }, "\(columns): \(wrapped)") }
    }
    // A classic frame has one line.
    table.clear()
    table.add(record(7, 1, length: 8), 0)
    #expect(lines(table, columns: 80).count == 2)
  }

  @Test func changesPastTheEighthByteAreMarkedAndNotched() {
    var table = MonitorTable(buses: ["can0"], chooser: nil)
    table.add(record(40, 0), 0)
    table.add(record(40, 1), 100_000_000)
    #expect(lines(table, 100_000_000)[1].contains("00 01*00"))
    #expect(lines(table, 100_000_000, columns: 80)[6].contains("+40  01*00"))
    // Bits that have moved are marked no more, a new one is.
    table.notch()
    table.add(record(40, 0), 200_000_000)
    #expect(!lines(table, 200_000_000)[1].contains("*"))
    table.add(record(40, 2), 300_000_000)
    #expect(lines(table, 300_000_000)[1].contains("00 02*00"))
  }

  @Test func aFrameThatGetsShorterIsReadUpToItsLength() {
    var table = MonitorTable(buses: ["can0"], chooser: nil)
    table.add(record(20, 9), 0)
    table.add(record(20, 9, length: 12), 100_000_000)
    let line = lines(table, 100_000_000)[1]
    #expect(line.contains(String(repeating: "00 ", count: 12)) && !line.contains("09"), "\(line)")
  }
}
