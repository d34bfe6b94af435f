import Bus

/// Which format a capture has, judged by its content alone.
public struct FormatGuess: Sendable, Equatable {
  /// What the bytes seem to be.
  public var format: CaptureFormat
  /// 0…1.
  public var confidence: Double
  /// Why, for people: `14 of the first 14 lines are frames of this format`.
  public var reason: String
  /// A guess with its reason.
  public init(format: CaptureFormat, confidence: Double, reason: String) {
    self.format = format
    self.confidence = confidence
    self.reason = reason
  }
}

/// Judges the head of a capture: a magic number, a header, or by letting each format's own parser try the first lines.
public enum FormatDetector {
  /// Lines that are tried.
  private static let mostLines = 200

  /// All formats that the first bytes (64 KiB are plenty) could be, best first; empty if none fits.
  public static func guesses(_ head: UnsafeRawBufferPointer) -> [FormatGuess] {
    if let binary = magic(head) { return [binary] }
    guard !head.isEmpty, !looksBinary(head) else { return [] }
    let lines = wholeLines(head)
    var guesses = headers(lines)
    for format in [CaptureFormat.candump, .candumpConsole, .batteryEmulator, .asc, .trc, .savvycan, .pythonCAN, .pasted]
    where !guesses.contains(where: { $0.format == format }) {
      if let guess = trial(format, lines) { guesses.append(guess) }
    }
    return guesses.sorted { $0.confidence > $1.confidence }
  }

  // MARK: Magic numbers

  private static func magic(_ head: UnsafeRawBufferPointer) -> FormatGuess? {
    guard head.count >= 4 else { return nil }
    let word = head.loadUnaligned(as: UInt32.self).bigEndian
    switch word {
    case 0xA1B2_C3D4, 0xD4C3_B2A1:
      return FormatGuess(format: .pcap, confidence: 1, reason: "begins with the magic number of pcap (microseconds)")
    case 0xA1B2_3C4D, 0x4D3C_B2A1:
      return FormatGuess(format: .pcap, confidence: 1, reason: "begins with the magic number of pcap (nanoseconds)")
    case 0x0A0D_0D0A: return FormatGuess(format: .pcapng, confidence: 1, reason: "begins with a pcapng section header")
    default: return nil
    }
  }

  /// Text has few zeros; a damaged log may have some.
  private static func looksBinary(_ head: UnsafeRawBufferPointer) -> Bool {
    let part = head.prefix(4096)
    let odd = part.filter { $0 < 0x09 || ($0 > 0x0D && $0 < 0x20 && $0 != 0x1B) }.count
    return odd * 10 > part.count * 3
  }

  // MARK: Lines

  /// The first lines without their ends; a last one that the head may have cut is left out unless it is the only one.
  private static func wholeLines(_ head: UnsafeRawBufferPointer) -> [Line] {
    var lines: [Line] = []
    var start = 0
    while start < head.count, lines.count < mostLines {
      let end = head[start...].firstIndex(of: 0x0A)
      if end == nil, !lines.isEmpty { break }
      var bytes = head[start..<(end ?? head.count)]
      if bytes.last == 0x0D { bytes = bytes.dropLast() }
      lines.append(
        Line(
          bytes: UnsafeRawBufferPointer(rebasing: bytes), number: UInt64(lines.count + 1), byteOffset: UInt64(start),
          isTerminated: true))
      start = (end ?? head.count) + 1
    }
    return lines
  }

  /// Formats that begin with words of their own.
  private static func headers(_ lines: [Line]) -> [FormatGuess] {
    var guesses: [FormatGuess] = []
    for line in lines.prefix(30) {
      let cursor = line.cursor
      if cursor.hasPrefix(";$FILEVERSION=") || cursor.hasPrefix(";##########") {
        guesses.append(FormatGuess(format: .trc, confidence: 1, reason: "line \(line.number) is a PEAK TRC header"))
      } else if cursor.hasPrefix(ignoringCase: "time stamp,id,extended") {
        guesses.append(FormatGuess(format: .savvycan, confidence: 1, reason: "line \(line.number) names SavvyCAN's columns"))
      } else if cursor.hasPrefix("timestamp,arbitration_id,") {
        guesses.append(FormatGuess(format: .pythonCAN, confidence: 1, reason: "line \(line.number) names python-can's columns"))
      } else if cursor.hasPrefix("base hex") || cursor.hasPrefix("base dec") {
        guesses.append(FormatGuess(format: .asc, confidence: 1, reason: "line \(line.number) is a Vector ASC header"))
      } else if AnalyserTableFormat.columns(line.bytes) != nil {
        guesses.append(
          FormatGuess(format: .analyser, confidence: 1, reason: "line \(line.number) names the columns of an SPI table"))
      } else if AnalyserTableFormat.isLevelHeader(line.bytes) {
        guesses.append(
          FormatGuess(format: .analyser, confidence: 1, reason: "line \(line.number) names the wires of a chain: a table of levels")
        )
      } else if line.number == 1, cursor.hasPrefix("spi-") || cursor.hasPrefix("spi:") {
        guesses.append(FormatGuess(format: .analyser, confidence: 1, reason: "begins with an SPI annotation of sigrok"))
      } else if cursor.hasPrefix("$timescale") || cursor.hasPrefix("$var ") {
        guesses.append(FormatGuess(format: .vcd, confidence: 1, reason: "line \(line.number) is a VCD header"))
      } else if DecoderTable(header: line.bytes) != nil {
        guesses.append(
          FormatGuess(format: .pasted, confidence: 1, reason: "line \(line.number) names the columns of a decoder's table"))
      } else {
        continue
      }
      break
    }
    return guesses
  }

  /// Lets a format's parser try: how many of the lines are frames, how many are damage.
  private static func trial(_ format: CaptureFormat, _ lines: [Line]) -> FormatGuess? {
    var counter = Counter()
    var buses = BusTable()
    func count(_ parser: some LineFormat) {
      var parser = parser
      for line in lines { parser.read(line, buses: &buses, into: &counter) }
    }
    switch format {
    case .candump: count(CandumpLogFormat())
    case .candumpConsole: count(CandumpConsoleFormat())
    case .batteryEmulator: count(BatteryEmulatorFormat())
    case .asc: count(ASCFormat())
    case .trc: count(TRCFormat())
    case .savvycan: count(SavvyCANFormat())
    case .pythonCAN: count(PythonCANFormat())
    case .pasted: count(PastedTextFormat())
    case .pcap, .pcapng, .analyser, .vcd: return nil
    }
    guard counter.records > 0 else { return nil }
    let tried = Double(counter.records + counter.damaged)
    var confidence = Double(counter.records) / tried
    // Prose swallows what strict formats call damage, so it must not win by that. A single frame between much prose is still a find.
    if format == .pasted { confidence = 0.3 + 0.3 * Double(counter.records) / Double(max(1, lines.count)) }
    // Console output takes any word for a bus name: a form that gives the word a meaning goes first.
    if format == .candumpConsole { confidence *= 0.97 }
    // A strict parser that calls half of the lines damage is the wrong one.
    if format != .pasted, confidence < 0.5 { confidence *= 0.3 }
    let damage = counter.damaged > 0 && format != .pasted ? ", \(counter.damaged) are damaged" : ""
    return FormatGuess(
      format: format, confidence: min(0.99, confidence),
      reason: "\(counter.records) of the first \(lines.count) lines are frames in this form\(damage)")
  }

  /// Counts what a parser makes of lines.
  private struct Counter: RecordSink {
    var records = 0
    var damaged = 0
    mutating func busAppeared(_ bus: BusID, named name: String) {}
    mutating func receive(_ record: borrowing CANRecord) { records += 1 }
    mutating func receive(_ record: SideRecord) { records += 1 }
    mutating func report(_ problem: CaptureProblem) {
      if problem.kind == .damaged || problem.kind == .truncated { damaged += 1 }
    }
  }
}
