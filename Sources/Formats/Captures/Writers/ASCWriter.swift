public import Bus

/// Writes Vector ASC: hexadecimal, absolute times from the first record's date, classic and FD.
public struct ASCWriter: CaptureWriter {
  /// What could not be written so far.
  public private(set) var losses = Losses()
  private var channels = ChannelTable(first: 1)
  private var origin: Int64?

  /// Nothing read or written yet.
  public init() {}

  /// What stands before the first record.
  public mutating func begin(into output: inout ByteBuffer) {}
  /// A bus that records may name.
  public mutating func addBus(_ bus: BusID, named name: String, into output: inout ByteBuffer) { channels.add(name) }

  /// What stands after the last record.
  public mutating func finish(into output: inout ByteBuffer) {
    if origin == nil { header(0, &output) }
    output.append("End TriggerBlock\n")
  }

  /// One frame.
  public mutating func write(_ record: borrowing CANRecord, into output: inout ByteBuffer) {
    // The date in the header has milliseconds: the rest stands in the times.
    let own = record.time.nanoseconds
    let time = record.precision == .none ? (origin ?? 0) : own
    let start = origin ?? time / 1_000_000_000 * 1_000_000_000
    if origin == nil { header(start, &output) }
    origin = start
    let frame = record.frame
    losses.note(record, without: [.errorDetail])
    if frame.rawDLC > 0, frame.flags.contains(.remote) { losses.note(.rawDLC) }
    if record.direction == .unknown { losses.note(.direction) }
    let channel = channels.number(record.bus)
    if channels.foreignName(record.bus) != nil { losses.note(.busName) }
    output.append(seconds: time &- start, wholeDigits: 1, fractionDigits: record.precision.writtenDigits)
    output.append(0x20)
    if frame.flags.contains(.fd) {
      fd(frame, channel, record.direction, &output)
    } else {
      classic(frame, channel, record.direction, &output)
    }
    output.append(0x0A)
  }

  /// One chain or PDU record, or the note that it is lost.
  public mutating func write(_ record: SideRecord, into output: inout ByteBuffer) { losses.note(.sideRecord) }

  private func header(_ start: Int64, _ output: inout ByteBuffer) {
    let date = ASCDate.text(start)
    output.append(string: "date \(date)\nbase hex  timestamps absolute\ninternal events logged\nBegin TriggerBlock \(date)\n")
  }

  private func id(_ frame: CANFrame) -> String {
    String(frame.id.number, radix: 16, uppercase: true) + (frame.id.isExtended ? "x" : "")
  }

  private func classic(_ frame: CANFrame, _ channel: Int, _ direction: Direction, _ output: inout ByteBuffer) {
    output.append(string: "\(channel)  ")
    if frame.flags.contains(.error) { return output.append("ErrorFrame") }
    output.append(string: id(frame).padded(15) + " " + (direction == .transmitted ? "Tx" : "Rx") + "   ")
    if frame.flags.contains(.remote) { return output.append(string: "r \(frame.length)") }
    output.append("d ")
    output.append(hex: UInt64(frame.rawDLC > 8 ? frame.rawDLC : frame.length), digits: 1)
    for index in 0..<frame.payloadLength {
      output.append(0x20)
      output.append(hex: UInt64(frame.byte(index)), digits: 2)
    }
  }

  private func fd(_ frame: CANFrame, _ channel: Int, _ direction: Direction, _ output: inout ByteBuffer) {
    let brs = frame.flags.contains(.bitRateSwitch)
    let esi = frame.flags.contains(.errorStateIndicator)
    let dlc = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64].firstIndex(of: Int(frame.length)) ?? 15
    output.append(string: "CANFD  \(channel) \(direction == .transmitted ? "Tx" : "Rx")   \(id(frame).padded(15))  ")
    output.append(string: "\(brs ? 1 : 0) \(esi ? 1 : 0) \(String(dlc, radix: 16)) \(frame.length)")
    for index in 0..<frame.payloadLength {
      output.append(0x20)
      output.append(hex: UInt64(frame.byte(index)), digits: 2)
    }
    let flags = 0x1000 | (brs ? 0x2000 : 0) | (esi ? 0x4000 : 0)
    output.append(string: " 0 0 \(String(flags, radix: 16)) 0 0 0 0 0")
  }
}

extension String {
  fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - utf8.count)) }
}

extension ASCDate {
  /// `Tue Nov 14 22:13:20.000 2023`, UTC.
  static func text(_ nanoseconds: Int64) -> String {
    let date = CivilDate.date(nanoseconds)
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Int(((date.days % 7) + 7) % 7)]
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Int(date.month) - 1]
    func digits(_ value: Int64, _ count: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
    let clock =
      "\(digits(date.second / 3600, 2)):\(digits(date.second / 60 % 60, 2)):\(digits(date.second % 60, 2)).\(digits(date.milliseconds, 3))"
    return "\(weekday) \(month) \(digits(date.day, 2)) \(clock) \(date.year)"
  }
}

extension CivilDate {
  /// The date of a moment, with seconds and milliseconds of its day.
  static func date(_ nanoseconds: Int64) -> (year: Int64, month: Int64, day: Int64, days: Int64, second: Int64, milliseconds: Int64)
  {
    var seconds = nanoseconds / 1_000_000_000
    var rest = nanoseconds % 1_000_000_000
    if rest < 0 {
      rest += 1_000_000_000
      seconds -= 1
    }
    var days = seconds / 86_400
    var second = seconds % 86_400
    if second < 0 {
      second += 86_400
      days -= 1
    }
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let part = (5 * dayOfYear + 2) / 153
    let month = part < 10 ? part + 3 : part - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1, days, second, rest / 1_000_000
    )
  }
}
