import Bus

/// The fields that text captures share.
extension ByteBuffer {
  /// `seconds.fraction` with so many digits after the point and at least so many before; negative times keep their sign.
  mutating func append(seconds nanoseconds: Int64, wholeDigits: Int, fractionDigits: Int) {
    if nanoseconds < 0 { append(0x2D) }
    let magnitude = nanoseconds.magnitude
    append(decimal: magnitude / 1_000_000_000, digits: wholeDigits)
    guard fractionDigits > 0 else { return }
    append(0x2E)
    var fraction = magnitude % 1_000_000_000
    for _ in fractionDigits..<9 { fraction /= 10 }
    append(decimal: fraction, digits: fractionDigits)
  }

  /// A number with at least so many digits.
  mutating func append(decimal value: UInt64, digits: Int) {
    let text = String(value)
    append(repeating: 0x30, count: digits - text.utf8.count)
    append(string: text)
  }

  /// Payload bytes in hexadecimal with `separator` between them; nothing between for `nil`.
  mutating func append(payload frame: CANFrame, separator: UInt8?) {
    for index in 0..<frame.payloadLength {
      if index > 0, let separator { append(separator) }
      append(hex: UInt64(frame.byte(index)), digits: 2)
    }
  }

  /// An ID as candump writes it: three digits, eight, or eight with the error flag.
  mutating func append(id frame: CANFrame) {
    if frame.flags.contains(.error) {
      append(hex: UInt64(frame.id.number | 0x2000_0000), digits: 8)
    } else {
      append(hex: UInt64(frame.id.number), digits: frame.id.isExtended ? 8 : 3)
    }
  }
}

/// What many formats lack, noted in one place.
extension Losses {
  /// Notes which properties of a record the format cannot hold.
  mutating func note(_ record: borrowing CANRecord, without missing: Set<Property>) {
    let frame = record.frame
    if record.precision == .none { note(.time) }
    if missing.contains(.direction), record.direction != .unknown { note(.direction) }
    if missing.contains(.rawDLC), frame.rawDLC > 0 { note(.rawDLC) }
    if missing.contains(.fdFlags), frame.flags.contains(.fd), !frame.flags.isDisjoint(with: [.bitRateSwitch, .errorStateIndicator])
    {
      note(.fdFlags)
    }
    if missing.contains(.errorDetail), frame.flags.contains(.error) { note(.errorDetail) }
    if missing.contains(.bus), record.bus.index > 0 { note(.bus) }
    if missing.contains(.timeDigits), record.precision != .none, record.precision.rawValue > 6, record.time.nanoseconds % 1000 != 0
    {
      note(.timeDigits)
    }
  }

  /// Adds what another writer lost.
  public func lines(for format: CaptureFormat) -> [String] {
    counts.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      "\($0.value) × \($0.key.rawValue) lost: \(format.title) cannot hold it"
    }
  }
}

/// The channel numbers that a format without bus names gives to buses: the number in the name where it is free (`can2` → 2), else the
/// lowest that is. No two buses share one.
struct ChannelTable: Sendable {
  private var names: [String] = []
  private var numbers: [Int] = []
  /// The lowest channel of the format.
  let first: Int

  init(first: Int) { self.first = first }

  mutating func add(_ name: String) {
    let digits = String(String(name.reversed().prefix { $0.isASCII && $0.isNumber }).reversed())
    names.append(name)
    if let preferred = Int(digits), (first...255).contains(preferred), !numbers.contains(preferred) {
      numbers.append(preferred)
    } else {
      numbers.append((first...).first { !numbers.contains($0) } ?? first)
    }
  }

  /// A bus's channel.
  func number(_ bus: BusID) -> Int {
    let index = Int(bus.index)
    return index < numbers.count ? numbers[index] : first + index
  }

  /// The bus's name where reading `canN` back would give another.
  func foreignName(_ bus: BusID) -> String? {
    let index = Int(bus.index)
    guard index < names.count, names[index] != "can\(numbers[index])" else { return nil }
    return names[index]
  }
}

extension TimePrecision {
  /// Digits of a fraction to write: nine where the source had more than six.
  var writtenDigits: Int {
    switch self {
    case .digits7, .digits8, .nanoseconds: 9
    default: 6
    }
  }
}
