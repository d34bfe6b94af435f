public import Bus

/// Reads candump's compact log, the everyday form: `(1700000000.123456) can0 00004210#A50930759D042E64`.
///
/// Two tiers: the common shape of a line (ten and six digits of time, a bus name of at most seven letters, up to eight data bytes, an
/// optional direction) eight bytes at a time with all its checks collected in one mask; every other shape byte by byte in
/// `CandumpLogFormat`, which also says what is wrong with a bad line.
public struct CandumpReader: Sendable {
  /// The names met so far.
  public internal(set) var buses = BusTable()
  @usableFromInline var slow = CandumpLogFormat()
  @usableFromInline var lineNumber: UInt64 = 0
  @usableFromInline var byteOffset: UInt64 = 0
  @usableFromInline var isInOverlongLine = false
  /// The last bus name with the blank behind it, as the eight bytes it was read from, and which bytes of them count.
  @usableFromInline var lastName: UInt64 = 0
  @usableFromInline var lastNameMask: UInt64 = 0
  @usableFromInline var lastBus = BusID(0)

  /// Nothing read yet.
  public init() {}

  /// Lines that hold no record and are no damage.
  public var ignoredLines: UInt64 { slow.ignoredLines }

  /// Bytes that the fast tier may touch beyond the front of a line: the longest common line with every load it makes.
  @usableFromInline static var reach: Int { 96 }

  /// Reads whole lines of `bytes` and says how many bytes it took; the caller hands the rest in again with more behind it.
  @_optimize(speed)  // in modules built for size too, into which it is specialised (Package.swift)
  @inlinable public mutating func read<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink
  ) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    let end = start + bytes.count
    let fastEnd = bytes.count >= CandumpReader.reach ? end - CandumpReader.reach : start
    var record = CANRecord()
    record.precision = .microseconds
    var place = start
    while place < end {
      if place < fastEnd, !isInOverlongLine, let next = scan(place, &record, &sink) {
        lineNumber &+= 1
        place = next
        sink.receive(record)
      } else {
        let taken = readSlowly(
          UnsafeRawBufferPointer(start: place, count: end - place), at: place - start, isEnd: isEnd, into: &sink)
        if taken == 0 { break }
        place += taken
      }
    }
    byteOffset &+= UInt64(place - start)
    return place - start
  }

  /// The common shape; `nil` for any other. Reads at most `reach` bytes from `line`.
  @inlinable @inline(__always)
  mutating func scan<Sink: RecordSink>(_ line: UnsafeRawPointer, _ record: inout CANRecord, _ sink: inout Sink) -> UnsafeRawPointer?
  {
    var bad: UInt64 = 0
    let seconds = decimalDigits(word(line, 1), &bad)
    let rest = decimalDigits((word(line, 9) & 0xFFFF) | word(line, 12) &<< 16, &bad)
    // "(" at 0, "." at 11, ")" at 18, " " at 19.
    let isFramed = byte(line, 0) == 0x28 && byte(line, 11) == 0x2E && byte(line, 18) == 0x29 && byte(line, 19) == 0x20
    guard isFramed else { return nil }

    let name = word(line, 20)
    var place = line + 20
    if (name ^ lastName) & lastNameMask == 0, lastNameMask != 0 {
      place += (64 &- lastNameMask.leadingZeroBitCount) &>> 3
    } else {
      let blank = zeroByte(name ^ 0x2020_2020_2020_2020)
      guard blank != 0 else { return nil }
      let length = blank.trailingZeroBitCount &>> 3
      guard length > 0, isOrdinaryName(UnsafeRawBufferPointer(start: place, count: length)) else { return nil }
      remember(name, length: length, into: &sink)
      place += length &+ 1
    }
    record.bus = lastBus

    let isExtended = byte(place, 8) == 0x23
    let idWord = isExtended ? word(place, 0) : word(place, 0) &<< 40 | 0x30_3030_3030
    if !isExtended, byte(place, 3) != 0x23 { return nil }
    let id = UInt32(truncatingIfNeeded: hexDigits(idWord, &bad)).byteSwapped
    // An error frame, or no valid ID: the slow tier knows.
    if isExtended ? id > 0x1FFF_FFFF : id > 0x7FF { return nil }
    place += isExtended ? 9 : 4

    var low = word(place, 0)
    var high = word(place, 8)
    var digits: UInt64 = 16
    let closing = byte(place, 16)
    if closing != 0x0A, closing != 0x20 {
      // Fewer than eight bytes: find the end, fill up with "0".
      let lowEnd = zeroByte(low ^ 0x0A0A_0A0A_0A0A_0A0A) | zeroByte(low ^ 0x2020_2020_2020_2020)
      let highEnd = zeroByte(high ^ 0x0A0A_0A0A_0A0A_0A0A) | zeroByte(high ^ 0x2020_2020_2020_2020)
      if lowEnd != 0 {
        digits = UInt64(lowEnd.trailingZeroBitCount &>> 3)
        let keep: UInt64 = (1 &<< (8 &* digits)) &- 1
        low = low & keep | 0x3030_3030_3030_3030 & ~keep
        high = 0x3030_3030_3030_3030
      } else if highEnd != 0 {
        digits = UInt64(highEnd.trailingZeroBitCount &>> 3)
        let keep: UInt64 = (1 &<< (8 &* digits)) &- 1
        high = high & keep | 0x3030_3030_3030_3030 & ~keep
        digits &+= 8
      } else {
        return nil
      }
    }
    record.frame.head = hexDigits(low, &bad) | hexDigits(high, &bad) &<< 32
    if bad | (digits & 1) != 0 { return nil }
    place += Int(digits)
    if byte(place, 0) == 0x20 {
      // " R" or " T" and the end of the line.
      guard byte(place, 2) == 0x0A else { return nil }
      switch byte(place, 1) {
      case 0x52: record.direction = .received
      case 0x54: record.direction = .transmitted
      default: return nil
      }
      place += 2
    } else {
      record.direction = .unknown
    }
    record.time.nanoseconds = Int64(bitPattern: (seconds &* 100_000_000 &+ rest) &* 1000)
    record.frame.id.rawValue = id | (isExtended ? 0x8000_0000 : 0)
    record.frame.length = UInt8(truncatingIfNeeded: digits &>> 1)
    return place + 1
  }

  /// Chain and PDU lines stand in candump logs under bus names of their own; the slow tier knows them.
  @usableFromInline func isOrdinaryName(_ name: UnsafeRawBufferPointer) -> Bool {
    name.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !CandumpLogFormat.isSideBus(name)
  }

  /// A bus name that differs from the last line's.
  @usableFromInline mutating func remember<Sink: RecordSink>(_ word: UInt64, length: Int, into sink: inout Sink) {
    lastBus = withUnsafeBytes(of: word.littleEndian) { bytes in
      buses.id(of: UnsafeRawBufferPointer(rebasing: bytes[..<length]), announcingTo: &sink)
    }
    lastNameMask = length >= 7 ? .max : (1 &<< (8 &* UInt64(length &+ 1))) &- 1
    lastName = word
  }

  /// One line of any other shape; 0 if it is not whole yet.
  @usableFromInline mutating func readSlowly<Sink: RecordSink>(
    _ rest: UnsafeRawBufferPointer, at offset: Int, isEnd: Bool, into sink: inout Sink
  ) -> Int {
    let lineEnd = rest.firstIndex(of: 0x0A)
    let longest = LineReader<CandumpLogFormat>.longestLine
    if lineEnd == nil, !isEnd, rest.count <= longest { return 0 }
    let length = lineEnd ?? rest.count
    let wasInOverlongLine = isInOverlongLine
    isInOverlongLine = lineEnd == nil && !isEnd
    let taken = length + (lineEnd == nil ? 0 : 1)
    if wasInOverlongLine { return taken }
    lineNumber &+= 1
    var bytes = UnsafeRawBufferPointer(rebasing: rest[..<length])
    if bytes.last == 0x0D { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast()) }
    let line = Line(
      bytes: bytes, number: lineNumber, byteOffset: byteOffset &+ UInt64(offset), isTerminated: lineEnd != nil)
    if bytes.count > longest {
      sink.report(
        CaptureProblem(.damaged, at: line.position, found: quoted(bytes), expected: "a line of at most \(longest) bytes"))
    } else {
      slow.read(line, buses: &buses, into: &sink)
    }
    return taken
  }
}

// Eight characters at a time. `bad` collects the high bit of every character that is no digit, to be tested once a line.

@inlinable @inline(__always) func word(_ place: UnsafeRawPointer, _ offset: Int) -> UInt64 {
  UInt64(littleEndian: place.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
}

@inlinable @inline(__always) func byte(_ place: UnsafeRawPointer, _ offset: Int) -> UInt8 {
  place.load(fromByteOffset: offset, as: UInt8.self)
}

/// The lowest set bit marks the first zero byte of `word`; 0 if there is none.
@inlinable @inline(__always) func zeroByte(_ word: UInt64) -> UInt64 {
  (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
}

/// The value of eight decimal digits, the first character in the low byte.
@inlinable @inline(__always) func decimalDigits(_ text: UInt64, _ bad: inout UInt64) -> UInt64 {
  bad |= ((text &+ 0x4646_4646_4646_4646) | (text &- 0x3030_3030_3030_3030)) & 0x8080_8080_8080_8080
  var value = text &- 0x3030_3030_3030_3030
  value = value &* 10 &+ (value &>> 8)
  let even = (value & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
  let odd = ((value &>> 16) & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
  return (even &+ odd) &>> 32
}

/// The four bytes that eight hexadecimal digits stand for, in the order of the text: the first byte in the low bits.
@inlinable @inline(__always) func hexDigits(_ text: UInt64, _ bad: inout UInt64) -> UInt64 {
  let lower = text | 0x2020_2020_2020_2020
  let isDigit = (text &+ 0x5050_5050_5050_5050) & ~(text &+ 0x4646_4646_4646_4646)
  let isLetter = (lower &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(lower &+ 0x1919_1919_1919_1919)
  bad |= (~(isDigit | isLetter) | text) & 0x8080_8080_8080_8080
  var value = (text & 0x0F0F_0F0F_0F0F_0F0F) &+ ((text &>> 6) & 0x0101_0101_0101_0101) &* 9
  value = (value &<< 4 | value &>> 8) & 0x00FF_00FF_00FF_00FF
  value = (value | value &>> 8) & 0x0000_FFFF_0000_FFFF
  return (value | value &>> 16) & 0xFFFF_FFFF
}
