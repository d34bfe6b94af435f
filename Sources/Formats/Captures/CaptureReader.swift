/// Reads one capture, whatever its format: hand in bytes as they come, get records.
///
/// A case a format, so that the reader's loop is compiled together with the sink's. Every parser takes what it can and leaves the
/// rest for the next call, so that files, pipes and decompressors of any length run in constant memory.
public enum CaptureReader: Sendable {
  case candump(CandumpReader)
  case pcap(PcapReader)
  case pcapng(PcapngReader)
  case console(LineReader<CandumpConsoleFormat>)
  case asc(LineReader<ASCFormat>)
  case trc(LineReader<TRCFormat>)
  case savvycan(LineReader<SavvyCANFormat>)
  case pythonCAN(LineReader<PythonCANFormat>)
  case batteryEmulator(LineReader<BatteryEmulatorFormat>)
  case pasted(LineReader<PastedTextFormat>)
  case analyser(LineReader<AnalyserTableFormat>)
  case vcd(LineReader<VCDFormat>)

  /// A reader for `format`.
  public init(_ format: CaptureFormat) {
    switch format {
    case .candump: self = .candump(CandumpReader())
    case .candumpConsole: self = .console(LineReader(CandumpConsoleFormat()))
    case .asc: self = .asc(LineReader(ASCFormat()))
    case .trc: self = .trc(LineReader(TRCFormat()))
    case .savvycan: self = .savvycan(LineReader(SavvyCANFormat()))
    case .pythonCAN: self = .pythonCAN(LineReader(PythonCANFormat()))
    case .batteryEmulator: self = .batteryEmulator(LineReader(BatteryEmulatorFormat()))
    case .pcap: self = .pcap(PcapReader())
    case .pcapng: self = .pcapng(PcapngReader())
    case .pasted: self = .pasted(LineReader(PastedTextFormat()))
    case .analyser: self = .analyser(LineReader(AnalyserTableFormat()))
    case .vcd: self = .vcd(LineReader(VCDFormat()))
    }
  }

  /// Reads from `bytes` and says how many it took; hand the rest in again with more behind it. With `isEnd` everything is taken.
  @inlinable public mutating func read<Sink: RecordSink>(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink) -> Int
  {
    switch self {
    case .candump(var reader):
      let taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .candump(reader)
      return taken
    case .pcap(var reader):
      let taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .pcap(reader)
      return taken
    case .pcapng(var reader):
      let taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .pcapng(reader)
      return taken
    default: return readText(bytes, isEnd: isEnd, into: &sink)
    }
  }

  /// Formats whose lines go through one slow parser each: not worth a loop of their own in every sink.
  @usableFromInline mutating func readText<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink
  ) -> Int {
    let taken: Int
    switch self {
    case .candump, .pcap, .pcapng: taken = bytes.count
    case .console(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .console(reader)
    case .asc(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .asc(reader)
    case .trc(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .trc(reader)
    case .savvycan(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .savvycan(reader)
    case .pythonCAN(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .pythonCAN(reader)
    case .batteryEmulator(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .batteryEmulator(reader)
    case .pasted(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .pasted(reader)
    case .analyser(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .analyser(reader)
    case .vcd(var reader):
      taken = reader.read(bytes, isEnd: isEnd, into: &sink)
      self = .vcd(reader)
    }
    return taken
  }

  /// Lines, blocks or packets that held no record and were no damage: comments, headers, prose.
  public var ignored: UInt64 {
    switch self {
    case .candump(let reader): reader.ignoredLines
    case .pcap(let reader): reader.foreignPackets
    case .pcapng(let reader): reader.ignoredBlocks
    case .console(let reader): reader.format.ignoredLines
    case .asc(let reader): reader.format.ignoredLines
    case .trc(let reader): reader.format.ignoredLines
    case .savvycan(let reader): reader.format.ignoredLines
    case .pythonCAN(let reader): reader.format.ignoredLines
    case .batteryEmulator(let reader): reader.format.ignoredLines
    case .pasted(let reader): reader.format.ignoredLines
    case .analyser(let reader): reader.format.ignoredLines
    case .vcd(let reader): reader.format.ignoredLines
    }
  }
}
