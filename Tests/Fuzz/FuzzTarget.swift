// The entry that libFuzzer calls. `tools/fuzz` compiles this file together with the sources of Bus, Protocols, Formats and Analysis and the
// parsers of HostIO's live ports and the renderers of `decode` as one module, so it imports none of them.
import Glibc

/// Swallows records; what matters is that getting them does not crash.
struct FuzzSink: RecordSink {
  var bytes: UInt64 = 0
  mutating func busAppeared(_ bus: BusID, named name: String) {}
  mutating func receive(_ record: borrowing CANRecord) { bytes &+= UInt64(record.frame.length) }
  mutating func receive(_ record: SideRecord) { bytes &+= UInt64(record.bytes.count) }
  mutating func report(_ problem: CaptureProblem) { bytes &+= UInt64(problem.description.utf8.count) }
}

/// Which parser a run is about: `FUZZ_TARGET` says.
enum FuzzSubject: String {
  case captures, dbc, sidecar, filter, gzip, config, link, ports, rows

  static let chosen: FuzzSubject = getenv("FUZZ_TARGET").flatMap { FuzzSubject(rawValue: String(cString: $0)) } ?? .captures

  func run(_ input: UnsafeRawBufferPointer) {
    switch self {
    case .captures: captures(input)
    case .dbc: dbc(input)
    case .sidecar: sidecar(input)
    case .filter: filter(input)
    case .gzip: gzip(input)
    case .config: config(input)
    case .link: FuzzLink.run(input)
    case .ports: FuzzPorts.run(input)
    case .rows: FuzzRows.run(input)
    }
  }

  /// The first byte chooses the format and the second where the rest is cut in two, as a pipe may cut it.
  private func captures(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let formats = CaptureFormat.allCases
    let body = UnsafeRawBufferPointer(rebasing: input[2...])
    let guesses = FormatDetector.guesses(body)
    let chosen = Int(input[0]) % (formats.count + 1)
    guard let format = chosen < formats.count ? formats[chosen] : guesses.first?.format else { return }
    var sink = FuzzSink()
    var reader = CaptureReader(format)
    let cut = body.count * Int(input[1]) / 255
    let taken = reader.read(UnsafeRawBufferPointer(rebasing: body[..<cut]), isEnd: false, into: &sink)
    _ = reader.read(UnsafeRawBufferPointer(rebasing: body[taken...]), isEnd: true, into: &sink)
  }

  private func dbc(_ input: UnsafeRawBufferPointer) {
    let result = DBCParser.parse(input)
    _ = DBCRules.check(result.file)
    _ = DecodeTable(PlanCompiler.compile(result.file))
    _ = DBCParser.parse(DBCWriter.bytes(result.file))
  }

  private func sidecar(_ input: UnsafeRawBufferPointer) {
    let dbc = "BU_: BMS INV\nBO_ 849 Limits: 8 BMS\n SG_ PackVoltage : 0|16@1+ (0.1,0) [0|0] \"V\" INV\n"
    let library = DefinitionLibrary(files: [("a/a.yaml", String(decoding: input, as: UTF8.self)), ("a/a.dbc", dbc)])
    _ = DefinitionChecker.check(library)
  }

  /// Files of the controller: configuration, state, and packets of a recording. What is read must come back the same.
  private func config(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    let reading = ConfigurationFile.parse(text)
    let again = ConfigurationFile.parse(ConfigurationFile.text(reading.configuration))
    // Sensors of modules that a chain does not have are not written.
    if reading.complaints.isEmpty, again.configuration != reading.configuration { fatalError("a configuration came back changed") }
    // Who saves a file loses none of its digital lines, or does not save.
    if let kept = try? ConfigurationFile.text(reading.configuration, replacing: text) {
      let saved = ConfigurationFile.parse(kept)
      if saved.gpio != reading.gpio || reading.gpioProblem != nil { fatalError("digital lines were lost") }
      let again = try? ConfigurationFile.text(reading.configuration, replacing: kept)
      if again != kept { fatalError("a file changes as it is saved again") }
    } else if reading.gpioProblem == nil {
      fatalError("a sound section cannot be saved")
    }
    if let state = try? StateFile.parse(text), (try? StateFile.parse(StateFile.text(state))) != state {
      fatalError("a state came back changed")
    }
    if let record = EngineRecord(Array(input)), EngineRecord(record.bytes) != record { fatalError("a record came back changed") }
  }

  private func filter(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    if let expression = try? FilterExpression.parse(text) {
      var filter = CompiledFilter(expression, table: DecodeTable(PlanCompiler().finish()), busName: "can0")
      _ = filter.matches(CANRecord(), slot: -1)
    }
    if let words = try? IDFilter([text]) { _ = words.takes(CANFrame()) }
  }

  private func gzip(_ input: UnsafeRawBufferPointer) {
    let inflater = GzipInflater()
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { output.deallocate() }
    var place = 0
    for _ in 0..<10_000 {
      let (taken, written) = inflater.inflate(UnsafeRawBufferPointer(rebasing: input[place...]), into: output)
      place += taken
      if inflater.problem != nil || (taken == 0 && written == 0) || place >= input.count { break }
    }
    inflater.finish()
  }
}

/// What libFuzzer calls with each input; always 0.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTestOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzSubject.chosen.run(UnsafeRawBufferPointer(start: start, count: count))
  return 0
}
