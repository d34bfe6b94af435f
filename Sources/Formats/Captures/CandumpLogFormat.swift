public import Bus

/// Stand-in.
public struct CandumpLogFormat: LineFormat {
  public var ignoredLines: UInt64 = 0
  public init() {}
  static func isSideBus(_ name: UnsafeRawBufferPointer) -> Bool { false }
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    var cursor = line.cursor
    guard cursor.take(0x28), let time = cursor.seconds(), cursor.take(0x29) else { sink.report(line.problem(expected: "(time)")); return }
    cursor.skipBlanks()
    let name = cursor.word()
    cursor.skipBlanks()
    guard let id = cursor.hexadecimal(), cursor.take(0x23) else { sink.report(line.problem(expected: "id#data")); return }
    var frame = CANFrame()
    frame.id = id.digits == 3 ? .standard(UInt32(id.value)) : .extended(UInt32(id.value))
    while let digits = cursor.next(), let second = cursor.next(), frame.length < 8 {
      frame.setByte(Int(frame.length), hexDigitValue(digits) << 4 | hexDigitValue(second))
      frame.length += 1
    }
    sink.receive(
      CANRecord(
        time: Timestamp(nanoseconds: time.nanoseconds), precision: .init(fractionDigits: time.digits),
        bus: buses.id(of: name, announcingTo: &sink), frame: frame))
  }
}
