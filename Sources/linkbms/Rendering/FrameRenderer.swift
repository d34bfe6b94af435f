import Analysis
import Bus
import Formats

/// Turns frames into bytes of output. One value renders one run of records in order.
protocol FrameRenderer {
  /// A bus appeared; its frames are decoded with `table`.
  mutating func addBus(_ bus: BusID, named name: String, table: DecodeTable)
  /// One frame.
  /// - Parameters:
  ///   - number: the record's number in its capture, from 1.
  ///   - slot: what its ID means in the bus's table; −1 if nothing, and for remote and error frames.
  ///   - changed: signals to show, by index in the message; `nil` = all (see `--changed`).
  mutating func render(_ record: borrowing CANRecord, number: UInt64, slot: Int)
  /// A record that is no CAN frame.
  mutating func render(_ record: SideRecord, number: UInt64)
  /// The bytes so far.
  var output: UnsafeMutablePointer<ByteBuffer> { get }
  /// Reads one window of a capture through a pipeline to this renderer; `false` at the end.
  ///
  /// Each renderer says `try capture.readWindow(into: &pipeline)`: only where its type stands in the text are reader, pipeline and
  /// renderer compiled into one loop, which saves a fifth of the time.
  static func pump(_ capture: inout CaptureInput, _ pipeline: inout DecodePipeline<Self>) throws(WorldError) -> Bool
}

/// Memory for output that outlives the values that write to it. Freed by its owner.
func makeOutput(capacity: Int = 5 << 18) -> UnsafeMutablePointer<ByteBuffer> {
  let output = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
  output.initialize(to: ByteBuffer(capacity: capacity))
  return output
}

/// Ends what `makeOutput` made.
func freeOutput(_ output: UnsafeMutablePointer<ByteBuffer>) {
  output.deinitialize(count: 1)
  output.deallocate()
}

/// A record's time in the digits of its source, right-aligned.
struct TimeText {
  private var cachedSecond = Int64.min
  private var cached: (UInt64, UInt64) = (0, 0)
  private var cachedCount = 0

  /// The most bytes that `put` writes.
  static let room = 40

  /// Writes the time; the whole seconds take at least `width` columns.
  @inline(__always) mutating func put(
    _ time: Timestamp, _ precision: TimePrecision, width: Int, tables: DigitTables, at start: Pen
  ) -> Pen {
    let nanoseconds = time.nanoseconds
    guard nanoseconds >= 0, precision == .microseconds else {
      return putSlowly(nanoseconds, precision, width: width, tables: tables, at: start)
    }
    let total = UInt64(bitPattern: nanoseconds) / 1000
    let second = total / 1_000_000
    let fraction = total &- second &* 1_000_000
    if Int64(bitPattern: second) != cachedSecond { cache(second, width: width, tables: tables) }
    start.storeBytes(of: cached.0, as: UInt64.self)
    start.storeBytes(of: cached.1, toByteOffset: 8, as: UInt64.self)
    let pen = start + cachedCount
    pen.storeBytes(of: tables.pairs[Int(fraction / 10_000)], as: UInt16.self)
    pen.storeBytes(of: tables.pairs[Int(fraction / 100 % 100)], toByteOffset: 2, as: UInt16.self)
    pen.storeBytes(of: tables.pairs[Int(fraction % 100)], toByteOffset: 4, as: UInt16.self)
    return pen + 6
  }

  @inline(never) private mutating func cache(_ second: UInt64, width: Int, tables: DigitTables) {
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { memory in
      guard let base = memory.baseAddress else { return }
      let digits = tables.put(second, at: base) - base
      let padding = max(0, width - digits)
      cachedCount = padding + digits + 1
      // Ten digits and the point are eleven; 16 hold everything below the year 33 000 000.
      guard cachedCount <= 16 else { return }
      withUnsafeMutableBytes(of: &cached) { text in
        for index in 0..<padding { text[index] = 0x20 }
        for index in 0..<digits { text[padding + index] = base.load(fromByteOffset: index, as: UInt8.self) }
        text[padding + digits] = 0x2E
      }
    }
    cachedSecond = Int64(bitPattern: second)
  }

  @inline(never) private func putSlowly(
    _ nanoseconds: Int64, _ precision: TimePrecision, width: Int, tables: DigitTables, at start: Pen
  ) -> Pen {
    var pen = start
    guard let digits = precision.fractionDigits else {
      for _ in 0..<max(1, width) {
        pen.storeBytes(of: width > 1 ? 0x20 : 0x2D, as: UInt8.self)
        pen += 1
      }
      return pen
    }
    let magnitude = nanoseconds.magnitude
    var whole = String(magnitude / 1_000_000_000)
    if nanoseconds < 0 { whole = "-" + whole }
    for _ in 0..<max(0, width - whole.utf8.count) {
      pen.storeBytes(of: 0x20, as: UInt8.self)
      pen += 1
    }
    for byte in whole.utf8 {
      pen.storeBytes(of: byte, as: UInt8.self)
      pen += 1
    }
    guard digits > 0 else { return pen }
    pen.storeBytes(of: 0x2E, as: UInt8.self)
    pen += 1
    var rest = magnitude % 1_000_000_000
    for place in stride(from: 8, through: 0, by: -1) {
      if place < digits { pen.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: place, as: UInt8.self) }
      rest /= 10
    }
    return pen + digits
  }
}
