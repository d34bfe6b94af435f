public import Bus

/// Writes candump's compact log, byte for byte as `candump -L` does; with nine digits of time where the source has them.
public struct CandumpWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var names: [String] = []
  private var renamed: [Bool] = []
  private let writesDirection: Bool

  /// - Parameter direction: writes ` R`/` T` where it is known. tshark rejects logs that have it.
  public init(direction: Bool = true) { writesDirection = direction }

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {}
  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) {}

  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) {
    // Blanks would make two words of a name, line ends two records of one.
    let word = String(name.map { $0.isWhitespace || ($0.asciiValue ?? 0x21) < 0x21 ? "_" : $0 })
    renamed.append(word != name)
    names.append(word.isEmpty ? "can\(bus.index)" : word)
  }

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    losses.note(record, without: writesDirection ? [] : [.direction])
    if Int(record.bus.index) < renamed.count, renamed[Int(record.bus.index)] { losses.note(.busName) }
    begin(record.time, record.precision, record.bus, &output)
    let frame = record.frame
    output.append(id: frame)
    output.append(0x23)
    if frame.flags.contains(.fd) {
      // The flags' 4 says FDF, as newer writers set it.
      output.append(0x23)
      let flags: UInt64 = 4 | (frame.flags.contains(.bitRateSwitch) ? 1 : 0) | (frame.flags.contains(.errorStateIndicator) ? 2 : 0)
      output.append(hex: flags, digits: 1)
      output.append(payload: frame, separator: nil)
    } else {
      if frame.flags.contains(.remote) {
        output.append(0x52)
        if frame.length > 0 { output.append(decimal: frame.length) }
      } else {
        output.append(payload: frame, separator: nil)
      }
      if frame.rawDLC > 8 {
        output.append(0x5F)
        output.append(hex: UInt64(frame.rawDLC), digits: 1)
      }
    }
    end(record.direction, &output)
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) {
    // A chain packet's kind becomes the pseudo-ID; odd bit counts do not survive (linkslave-chain.md §13.4).
    var id: UInt64 = 1
    var data = record.bytes
    if record.kind == .chain {
      guard record.bytes.count >= 8 else { return losses.note(.sideRecord) }
      let kind = record.bytes[2] & 3
      id = [1, 2, 3, 0][Int(kind)]
      let bits = record.bytes[3]
      if bits != 0, bits != 40, bits != 48 { id = 0xF }
      data = Array(record.bytes[8...])
      if bits % 8 != 0 { losses.note(.sideRecord) }
    } else if let first = data.first, first & 0xF0 == PDULine.mark {
      id = UInt64(first & 0xF)
      data.removeFirst()
    } else {
      id = 0
    }
    // More than eight bytes no candump reader takes: records of the controller stay in pcapng.
    guard data.count <= 8 else { return losses.note(.sideRecord) }
    begin(record.time, record.precision, record.bus, &output)
    output.append(hex: id, digits: 3)
    output.append(0x23)
    for byte in data { output.append(hex: UInt64(byte), digits: 2) }
    end(record.direction, &output)
  }

  private func begin(_ time: Timestamp, _ precision: TimePrecision, _ bus: BusID, _ output: inout ByteBuffer) {
    output.append(0x28)
    output.append(seconds: precision == .none ? 0 : time.nanoseconds, wholeDigits: 10, fractionDigits: precision.writtenDigits)
    output.append(") ")
    output.append(string: Int(bus.index) < names.count ? names[Int(bus.index)] : "can\(bus.index)")
    output.append(0x20)
  }

  private func end(_ direction: Direction, _ output: inout ByteBuffer) {
    if writesDirection {
      switch direction {
      case .received: output.append(" R")
      case .transmitted: output.append(" T")
      case .unknown: break
      }
    }
    output.append(0x0A)
  }
}
