import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO
import Protocols

/// `replay`: a recording once more: in its own time, against a simulated partner, or through this build's engine.
struct ReplayCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Play a recording again: in time, against a simulated partner, or through the controller.",
    discussion: HelpText.discussion(
      "Without more, the frames come out as candump lines when they are due: pipe them where they are wanted. --as plays one recorded "
        + "side against the simulated other side, waits for its answers and stops where it says something else than was recorded. "
        + "--through-engine gives a recording's inputs to the controller and compares what comes out, bit for bit. With --to IFACE the "
        + "frames go onto that live bus (at the prompt after 'arm IFACE'), with --as they do so against whoever is there; without it "
        + "nothing is sent. Exit status: 0 played, or everything as recorded; 1 a difference, or the file is damaged; 2 could not do "
        + "it.\n\nOptions that apply. \(ReplayMode.overview).",
      examples: [
        ("linkbms replay site.log --speed 10 --skip-gaps 2", "ten times as fast, no silence above 2 s"),
        ("linkbms replay site.log --set PackVoltage=380 --map-id 4210=4211", "with a value and an ID changed"),
        ("linkbms replay site.log --as inverter", "the recorded inverter against our battery"),
        ("linkbms replay site.log --as inverter --until 60", "its first minute"),
        ("linkbms replay site.log --to can0 --from 12.5 --until 60", "onto a live bus, part of it"),
        ("linkbms replay site.log --to can0 --as inverter", "against a real battery, up to the first difference"),
        ("linkbms replay run.pcapng --through-engine", "was the file or the engine changed?"),
      ]))

  @Argument(
    help: ArgumentHelp("A capture; for --through-engine a recording of run or simulate --record.", valueName: "file"),
    completion: .file())
  var file: String
  @Flag(help: "Through the controller engine of this build.")
  var throughEngine = false
  @Option(name: .customLong("as"), help: ArgumentHelp("The recorded side to play: battery or inverter.", valueName: "side"))
  var side: String?
  @Option(help: ArgumentHelp("Virtual seconds in a second, or max; 1 where it is not given.", valueName: "n|max"))
  var speed: String?
  @Option(help: ArgumentHelp("Play so many times; 0 = until Ctrl-C. Once where it is not given.", valueName: "n"))
  var loop: Int?
  @Option(help: ArgumentHelp("From this second of the capture on.", valueName: "s"))
  var from: Double?
  @Option(help: ArgumentHelp("Up to this second.", valueName: "s"))
  var until: Double?
  @Option(
    help: ArgumentHelp(
      "Send on this live bus; where the capture has several, BUS=IFACE for each. A number is no bus but a time, as --until gives it.",
      valueName: "iface|s"))
  var to: [String] = []
  @Option(help: ArgumentHelp("Shorten longer silences to so many seconds.", valueName: "s"))
  var skipGaps: Double?
  @Flag(help: "Wait for Enter before each frame.")
  var step = false
  @Option(help: ArgumentHelp("Change a signal on the way; repeatable.", valueName: "signal=value"))
  var set: [String] = []
  @Option(help: ArgumentHelp("Send an ID as another; repeatable. Hexadecimal.", valueName: "id=id"))
  var mapId: [String] = []
  @Option(help: ArgumentHelp("Name a bus otherwise; repeatable.", valueName: "bus=bus"))
  var mapBus: [String] = []

  func validate() throws {
    if let speed, speed != "max" {
      guard let factor = Double(speed), factor > 0, factor.isFinite else {
        throw ValidationError("--speed: found \"\(speed)\", expected a number above 0, or max")
      }
    }
    if let side {
      guard Side(rawValue: side) != nil else { throw ValidationError("--as: found \"\(side)\", expected battery or inverter") }
    }
    if let loop, loop < 0 { throw ValidationError("--loop: found \(loop), expected 0 or more") }
    if let skipGaps {
      guard skipGaps >= 0, skipGaps < 1e9 else { throw ValidationError("--skip-gaps: found \(skipGaps), expected seconds") }
    }
    if to.filter({ Double($0) != nil }).count > (until == nil ? 1 : 0) {
      throw ValidationError("--until: given twice; a number behind --to is the same")
    }
    try checkTimes()
    do throws(WorldError) {
      _ = try mappedIDs()
      _ = try pairs(mapBus, "--map-bus")
    } catch { throw ValidationError(error.message) }
    if throughEngine, !interfaces.isEmpty { throw ValidationError("--through-engine and --to: give one of them") }
    if throughEngine, side != nil { throw ValidationError("--through-engine and --as: give one of them") }
    try checkOptions()
  }

  private func checkTimes() throws {
    let times: [(ReplayOption, Double?)] = [(.from, from), (.until, last)]
    for (option, time) in times {
      guard let time else { continue }
      guard time.isFinite, time >= 0 else {
        throw ValidationError("\(option.rawValue): found \(time), expected seconds, 0 or more")
      }
    }
    if let from, let last, from > last {
      throw ValidationError("--from \(from) --until \(last): expected an end behind the beginning")
    }
  }

  /// What was given and is not read in this mode is refused, not ignored.
  private func checkOptions() throws {
    let given = given
    for option in given { if let refusal = option.refusal(in: mode) { throw ValidationError(refusal) } }
    if step, let other = given.first(where: { $0 == .speed || $0 == .skipGaps }) {
      throw ValidationError("\(other.rawValue) does not apply to --step: each frame comes when Enter is pressed")
    }
    if mode == .againstBus, interfaces.count != 1 || interfaces.contains(where: { $0.contains("=") }) {
      throw ValidationError("--to: found \(interfaces.joined(separator: ", ")), expected one bus beside --as, without BUS=")
    }
  }

  /// The options that were given and that not every mode knows.
  private var given: [ReplayOption] {
    let all: [(ReplayOption, Bool)] = [
      (.from, from != nil), (.until, last != nil), (.speed, speed != nil), (.loop, loop != nil), (.skipGaps, skipGaps != nil),
      (.step, step), (.set, !set.isEmpty), (.mapID, !mapId.isEmpty), (.mapBus, !mapBus.isEmpty),
    ]
    return all.filter { $0.1 }.map { $0.0 }
  }

  /// What is done with the recording.
  private var mode: ReplayMode {
    if throughEngine { return .engine }
    if side == nil { return interfaces.isEmpty ? .inTime : .onBus }
    return interfaces.isEmpty ? .simulated : .againstBus
  }

  /// Where to send: what `--to` names beside a time.
  private var interfaces: [String] { to.filter { Double($0) == nil } }
  private var last: Double? { until ?? to.compactMap(Double.init).first }
  /// Virtual seconds in a second.
  private var pace: Double { speed == "max" ? .infinity : speed.flatMap { Double($0) } ?? 1 }
  private var rounds: Int { loop ?? 1 }
  private var clock: ReplayClock { ReplayClock(speed: pace, longestGap: skipGaps.map { Int64($0 * 1e9) }) }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    guard !interfaces.isEmpty else { return nil }
    let capture = try CapturedFrames.read(file, in: &world)
    guard let side = side.flatMap({ Side(rawValue: $0) }) else { return try playing(capture, in: &world) }
    guard let link = capture.links.first(where: { $0.handshake.battery != nil && $0.handshake.inverter != nil }) else {
      throw WorldError(message: "\(file): found no protocol of which both sides are known, expected one with a handshake")
    }
    guard let address = interfaces.first else { return nil }
    let part = try selected(capture)
    let replay = TurnReplay(link, as: side, records: part.records)
    let context = JobContext("replay \(file) --as \(side.rawValue) --to \(address)", [try world.live.openToSend(address)])
    context.sendsOn = [address]
    context.status = capture.status
    return TurnReplayJob(context, replay, file: file, as: side, start_ns: part.start_ns)
  }

  /// Records between `--from` and `--until`, and where the first of them stands in the capture.
  private func selected(
    _ capture: CapturedFrames
  ) throws(WorldError) -> (records: [(record: CANRecord, number: UInt64)], start_ns: Int64) {
    let origin = capture.records.first?.record.time.nanoseconds ?? 0
    let records = capture.records.filter { item in
      let seconds = Double(item.record.time.nanoseconds &- origin) / 1e9
      return seconds >= from ?? -.infinity && seconds <= last ?? .infinity
    }
    guard let first = records.first else {
      guard let end = capture.records.map({ $0.record.time.nanoseconds }).max() else { return ([], 0) }
      let range = (from.map { " from \($0) s on" } ?? "") + (last.map { " up to \($0) s" } ?? "")
      throw WorldError(message: "\(file): found no frame\(range), expected a part of its \(DurationText.seconds(end &- origin))")
    }
    return (records, first.record.time.nanoseconds &- origin)
  }

  private func playing(_ capture: CapturedFrames, in world: inout some World) throws -> any LiveJob {
    let changes = try changes(capture)
    var targets: [Int: Int] = [:]
    var addresses: [String] = []
    for word in interfaces {
      let parts = word.contains("://") && !word.contains("=") ? [word] : word.split(separator: "=", maxSplits: 1).map(String.init)
      guard let address = parts.last else { continue }
      if parts.count == 2 {
        guard let bus = capture.names.firstIndex(of: parts[0]) else {
          throw WorldError(
            message: "--to: found \"\(parts[0])\", expected a bus of the capture: \(capture.names.joined(separator: ", "))")
        }
        targets[bus] = addresses.count
      } else {
        guard interfaces.count == 1, capture.names.count <= 1 else {
          let names = capture.names.joined(separator: ", ")
          throw WorldError(message: "--to: the capture has several buses: say which goes where, BUS=IFACE: \(names)")
        }
        targets[0] = 0
      }
      addresses.append(address)
    }
    var clock = clock
    var items: [ReplayJob.Item] = []
    for (record, _) in try selected(capture).records {
      let due = clock.due(record.time)
      // An error frame is what a controller saw, nothing that could be sent.
      guard let port = targets[Int(record.bus.index)], !record.frame.flags.contains(.error) else { continue }
      var frame = record.frame
      changes.apply(to: &frame)
      items.append(ReplayJob.Item(port: port, frame: frame, due_ns: due))
    }
    var ports: [any BusPort] = []
    do {
      for address in addresses { ports.append(try world.live.openToSend(address)) }
    } catch {
      for port in ports { port.close() }
      throw error
    }
    let context = JobContext("replay \(file) --to \(interfaces.joined(separator: " "))", ports)
    context.sendsOn = addresses
    context.status = capture.status
    return ReplayJob(context, items, rounds: rounds, isStepping: step)
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    if let job = try job(in: &world) { return try LiveLoop.run(job, in: &world) }
    if throughEngine { return try runThroughEngine(in: &world) }
    let capture = try CapturedFrames.read(file, in: &world)
    if let side = side.flatMap({ Side(rawValue: $0) }) { return try react(capture, as: side, in: &world) }
    return try play(capture, in: &world)
  }

  // MARK: In time

  private func play(_ capture: CapturedFrames, in world: inout some World) throws -> ExitStatus {
    let buses = try pairs(mapBus, "--map-bus")
    for name in buses.keys.sorted() where !capture.names.contains(name) {
      let names = capture.names.joined(separator: ", ")
      throw WorldError(message: "--map-bus: found \"\(name)\", expected a bus of the capture: \(names)")
    }
    let changes = try changes(capture)
    let records = try selected(capture).records
    var writer = CandumpWriter()
    let output = makeOutput()
    defer { freeOutput(output) }
    for (index, name) in capture.names.enumerated() {
      writer.addBus(BusID(UInt16(index)), named: buses[name] ?? name, into: &output.pointee)
    }
    var round = 0
    while rounds == 0 || round < rounds {
      round += 1
      var clock = clock
      let started = monotonicMilliseconds()
      for (record, _) in records {
        var record = record
        changes.apply(to: &record.frame)
        let due = clock.due(record.time) / 1_000_000
        if step {
          guard TerminalDevice(descriptor: 0).awaitLine() else { return .done }
        } else {
          while due > monotonicMilliseconds() - started, !world.isInterrupted {
            pause(milliseconds: Int32(clamping: min(100, due - (monotonicMilliseconds() - started))))
          }
        }
        if world.isInterrupted { return .done }
        writer.write(record, into: &output.pointee)
        try world.drain(output)
        if speed != "max" { try world.flush() }
      }
      if records.isEmpty { break }
    }
    return capture.status
  }

  /// What stands on both sides of the `=`, by the left one.
  private func pairs(_ words: [String], _ option: String) throws(WorldError) -> [String: String] {
    var list: [String: String] = [:]
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw WorldError(message: "\(option): found \"\(word)\", expected OLD=NEW") }
      guard list.updateValue(parts[1], forKey: parts[0]) == nil else {
        throw WorldError(message: "\(option): \(parts[0]) is given twice, expected one new name for each")
      }
    }
    return list
  }

  private func mappedIDs() throws(WorldError) -> [ArbitrationID: ArbitrationID] {
    var ids: [ArbitrationID: ArbitrationID] = [:]
    for (old, new) in try pairs(mapId, "--map-id") {
      let from = try id(old)
      guard ids[from] == nil else { throw WorldError(message: "--map-id: \(old) is given twice, expected one new ID for each") }
      ids[from] = try id(new)
    }
    return ids
  }

  /// Three digits are 11 bits, more are 29.
  private func id(_ text: String) throws(WorldError) -> ArbitrationID {
    guard let number = UInt32(text, radix: 16), number <= (text.count <= 3 ? 0x7FF : 0x1FFF_FFFF) else {
      throw WorldError(
        message: "--map-id: found \"\(text)\", expected an ID in hexadecimal, 11-bit with three digits, 29-bit with more")
    }
    return text.count <= 3 ? .standard(number) : .extended(number)
  }

  /// What is to be changed on the way, under the definitions that the capture speaks.
  private func changes(_ capture: CapturedFrames) throws(WorldError) -> ReplayChanges {
    ReplayChanges(signals: try SignalChange.parse(set, "--set", capture.links.map(\.dissection)), ids: try mappedIDs())
  }

  // MARK: Against a simulated partner

  private func react(_ capture: CapturedFrames, as side: Side, in world: inout some World) throws -> ExitStatus {
    guard let link = capture.links.first(where: { $0.handshake.battery != nil && $0.handshake.inverter != nil }) else {
      throw WorldError(message: "\(file): found no protocol of which both sides are known, expected one with a handshake")
    }
    let part = try selected(capture)
    guard let result = ReactiveReplay(link, as: side, records: part.records).run() else {
      throw WorldError(message: "\(file): the other side of \(link.definition.protocolName) cannot be played")
    }
    let other = side == .battery ? "inverter" : "battery"
    guard let divergence = result.divergence else {
      try world.print(
        "\(file): \(result.played) frames of the \(side.rawValue) played, \(result.turns) turns, the simulated \(other) as recorded"
      )
      return capture.status
    }
    let at = DiagnosisText.seconds(Int64((result.seconds ?? 0) * 1e9) &+ part.start_ns)
    try world.print(
      "\(file): \(result.turns) turns as recorded; at \(at)\(result.record.map { ", record \($0)" } ?? ""): \(divergence)")
    return .findings
  }

  // MARK: Through the engine

  private func runThroughEngine(in world: inout some World) throws -> ExitStatus {
    var capture = try CaptureInput(path: file, format: nil)
    var replay = EngineReplay()
    while try capture.readWindow(into: &replay) { if world.isInterrupted { break } }
    for problem in replay.problems { world.note("linkbms: \(capture.name): \(problem)") }
    guard replay.starts > 0 else {
      let found =
        replay.unstarted > 0
        ? RecordingText.laterFile(steps: replay.unstarted)
        : "found no engine records, expected a recording of run or simulate --record"
      throw WorldError(message: "\(capture.name): \(found)")
    }
    guard let first = replay.first else {
      try world.print("\(capture.name): \(replay.steps) steps, every output as recorded")
      return replay.problems.isEmpty ? .done : .findings
    }
    try world.print("\(capture.name): \(replay.differing) of \(replay.steps) steps differ; the first is step \(first.step)")
    let start = Double(first.time.nanoseconds) / 1e9
    try world.print("  time \(start) s")
    for text in first.texts { try world.print("  " + text) }
    return .findings
  }
}

/// What `--set` and `--map-id` make of a frame.
private struct ReplayChanges {
  var signals: [SignalChange]
  var ids: [ArbitrationID: ArbitrationID]

  /// Signals are found by the ID that the frame was recorded with.
  func apply(to frame: inout CANFrame) {
    for change in signals { change.apply(to: &frame) }
    // What stands for the ID of an error frame is the kind of error.
    if !frame.flags.contains(.error), let id = ids[frame.id] { frame.id = id }
  }
}

/// The CAN frames of a capture in memory, with what its buses speak.
struct CapturedFrames {
  var records: [(record: CANRecord, number: UInt64)] = []
  var names: [String] = []
  var links: [CompiledLink] = []
  var status = ExitStatus.done

  static func read(_ path: String, in world: inout some World) throws -> CapturedFrames {
    var options = DefinitionOptions()
    options.dissectors = nil
    let library = try world.library(options)
    var capture = try CaptureInput(path: path, format: nil)
    var census = TrafficCensus()
    try capture.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    var frames = CapturedFrames()
    for verdict in ProtocolIdentifier(library).identify(census) {
      guard let definition = verdict.protocolName.flatMap({ library.definition($0) }) else { continue }
      frames.links.append(definition.link(variant: verdict.variant, readings: verdict.readings))
    }
    var sink = FrameSink()
    while try capture.readWindow(into: &sink) { if world.isInterrupted { break } }
    frames.records = sink.records
    frames.names = sink.names
    frames.status = world.report(sink.problems, of: capture.name)
    return frames
  }

  private struct FrameSink: RecordSink {
    var records: [(record: CANRecord, number: UInt64)] = []
    var names: [String] = []
    var problems = ProblemLog()
    private var number: UInt64 = 0

    mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }
    mutating func receive(_ record: borrowing CANRecord) {
      number &+= 1
      records.append((copy record, number))
    }
    mutating func receive(_ record: SideRecord) { number &+= 1 }
    mutating func report(_ problem: CaptureProblem) { problems.note(problem) }
  }
}
