public import Bus

/// Writes SavvyCAN's CSV. It has no FD flags, remote or error frames: those are left out and counted.
public struct SavvyCANWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var channels = ChannelTable(first: 0)

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {
    output.append("Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n")
  }
  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) { channels.add(name) }
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) {}

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    let frame = record.frame
    if frame.flags.contains(.error) { return losses.note(.errorFrame) }
    if frame.flags.contains(.remote) { return losses.note(.remoteFrame) }
    losses.note(record, without: [.fdFlags, .rawDLC, .timeDigits])
    if frame.flags.contains(.fd), frame.length <= 8 { losses.note(.fdFrame) }
    let time = record.precision == .none ? 0 : max(0, record.time.nanoseconds) / 1000
    let channel = channels.number(record.bus)
    if channels.foreignName(record.bus) != nil { losses.note(.busName) }
    if record.precision != .none, record.time.nanoseconds < 0 { losses.note(.time) }
    let direction = record.direction == .transmitted ? "Tx" : record.direction == .received ? "Rx" : ""
    output.append(string: "\(time),")
    output.append(hex: UInt64(frame.id.number), digits: 8)
    output.append(string: ",\(frame.id.isExtended),\(direction),\(channel),\(frame.length),")
    for index in 0..<frame.payloadLength {
      output.append(hex: UInt64(frame.byte(index)), digits: 2)
      output.append(0x2C)
    }
    output.append(0x0A)
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { losses.note(.sideRecord) }
}

/// Writes python-can's CSV. It has no bus, direction or FD flags.
public struct PythonCANWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {
    output.append("timestamp,arbitration_id,extended,remote,error,dlc,data\n")
  }
  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) {}
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) {}

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    losses.note(record, without: [.direction, .bus, .fdFlags, .rawDLC])
    let frame = record.frame
    if frame.flags.contains(.fd), frame.length <= 8 { losses.note(.fdFrame) }
    output.append(
      seconds: record.precision == .none ? 0 : record.time.nanoseconds, wholeDigits: 1,
      fractionDigits: record.precision.writtenDigits)
    let isError = frame.flags.contains(.error)
    output.append(string: ",0x\(String(frame.id.number, radix: 16)),\(frame.id.isExtended ? 1 : 0),")
    output.append(string: "\(frame.flags.contains(.remote) ? 1 : 0),\(isError ? 1 : 0),\(frame.length),")
    for byte in Base64.encode((0..<frame.payloadLength).map { frame.byte($0) }) { output.append(byte) }
    output.append(0x0A)
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { losses.note(.sideRecord) }
}
