import ArgumentParser
import Controller
import Formats
import HostIO
import Logging
import Protocols
import Runtime
import Simulation

/// The real system around a controller, as `run` and `commission` are told of it: buses, taps, and how they are used.
struct SystemOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The bus of the inverter: \(PortAddress.expectedToSend).", valueName: "bus"))
  var can: String?
  @Option(help: ArgumentHelp("A second bus, on which the same is said.", valueName: "bus"))
  var can2: String?
  @Option(help: ArgumentHelp("The tap of the chains: \(LineAddress.expected); a second one is that of BMS2.", valueName: "tap"))
  var chain: [String] = []
  @Option(help: ArgumentHelp("The tap of the PDU; the first --chain unless named.", valueName: "tap"))
  var pdu: String?
  @Option(
    help: ArgumentHelp(
      "Virtual seconds in a second, with --simulate; with --can at most \(Int(LinkClock.mostSpeed)), and an inverter of the same speed.",
      valueName: "n"))
  var speed = 1.0
  @Option(
    help: ArgumentHelp(
      "Keep everything that goes in and comes out, as pcapng; lines and events as text in FILE.log. FILE gets the next free number at "
        + "each start: run.pcapng is run-0001.pcapng, run-0002.pcapng …, and none is written over.", valueName: "file"))
  var record: String?
  @Option(
    help: ArgumentHelp(
      "Go on recording in a new file after so much, its lines included: 100M. Each can be read alone; replay --through-engine needs "
        + "those from the start on, joined with cat.", valueName: "size"))
  var rotate: String?
  @Option(
    help: ArgumentHelp(
      "Keep as much as so many full files of --rotate hold, the latest; those of earlier starts count.", valueName: "n"))
  var keep: Int?
  @Option(
    help: ArgumentHelp("A control step that comes so much after its time opens the contactors; at most 900ms.", valueName: "time"))
  var deadline = "500ms"
  @Option(help: ArgumentHelp("Use this variant of the inverter's protocol.", valueName: "name"))
  var variant: String?
  @Option(help: ArgumentHelp("The battery's address, where the variant's is not wanted.", valueName: "n"))
  var address: UInt8?

  func validate() throws {
    _ = try recordingLimits()
    guard chain.count <= 2 else { throw ValidationError("--chain: found \(chain.count), expected one or two") }
    if let can, let can2, LiveHub.areSame(can, can2) {
      throw ValidationError("--can2: found \(can2), expected another bus than --can: every frame would be there twice")
    }
    if chain.count == 2, chain[0] == chain[1] {
      throw ValidationError("--chain: found \(chain[0]) twice, expected a tap for each chain: one tap with both is named once")
    }
    guard speed > 0, speed <= 100_000 else { throw ValidationError("--speed: found \(speed), expected more than 0") }
    if can != nil, speed > LinkClock.mostSpeed {
      throw ValidationError(
        "--speed: found \(speed), expected at most \(Int(LinkClock.mostSpeed)) with --can: the other end is another program. "
          + LinkClock.expectation)
    }
    guard let deadline = RunTime.microseconds(deadline), (100_000...900_000).contains(deadline) else {
      throw ValidationError("--deadline: found \"\(deadline)\", expected 100ms to 900ms: the PDU opens by itself after 1 s")
    }
  }

  /// What does not go together with a plant in this process, or without one.
  func check(isSimulated: Bool) throws {
    if chain.isEmpty != isSimulated { throw ValidationError("name a tap with --chain, or a scenario with --simulate") }
    if speed != 1, !isSimulated { throw ValidationError("--speed: real slaves know one speed only; it needs --simulate") }
  }

  var buses: [String] { [can, can2].compactMap { $0 } }

  /// At the prompt nothing is sent on a bus that was not armed.
  func checkArmed(_ hub: LiveHub) throws(WorldError) {
    guard hub.needsArm, let bus = buses.first(where: { !hub.isArmed($0) }) else { return }
    throw WorldError(message: "\(bus) is not armed: nothing is sent on it before 'arm \(bus)'")
  }

  /// Settings of a run on this system, without links and state, and what its parts are called.
  func settings(_ configuration: Configuration?, isSimulated: Bool) -> (RunSettings, [Part: String]) {
    var settings = RunSettings(configuration: configuration)
    settings.start_ns = PortPoller.wallClock_ns
    settings.firstOrder = UInt16(truncatingIfNeeded: PortPoller.wallClock_ns >> 20)
    settings.late_us = Int64(Double(RunTime.microseconds(deadline) ?? 500_000) * max(1, speed))
    settings.isRecorded = record != nil
    // At 115200 baud a module's 24 lines take 50 ms.
    settings.allowance_us = isSimulated ? 0 : chain.contains { $0.hasPrefix("tap+serial") } ? 300_000 : 100_000
    var names: [Part: String] = [.line(0): chain.first ?? "the simulated battery"]
    if chain.count == 2 {
      settings.chainLines = (0, 1)
      names[.line(1)] = chain[1]
    }
    if let pdu {
      if let place = chain.firstIndex(of: pdu) {
        settings.pduLine = place
      } else {
        settings.pduLine = max(1, chain.count)
        names[.line(settings.pduLine)] = pdu
      }
    }
    for (place, name) in buses.enumerated() { names[.port(place)] = name }
    return (settings, names)
  }

  /// Opens everything; nothing is sent by that.
  func parts(_ scenario: Scenario?) throws -> RunLoop.Parts {
    var parts = RunLoop.Parts()
    do throws(PortError) {
      for bus in buses { parts.ports.append(try PortOpener.open(try PortAddress(bus))) }
      for tap in chain { parts.lines.append((tap, try LinePort(LineAddress(tap)))) }
      if let pdu, !chain.contains(pdu) { parts.lines.append((pdu, try LinePort(LineAddress(pdu)))) }
    } catch { throw WorldError(message: error.description) }
    if let scenario { parts.plant = VirtualPlant(scenario) }
    if let record {
      parts.recording = try RecordingFiles(record, limits: recordingLimits())
    }
    return parts
  }

  /// How much is recorded; `nil` = everything, in one file.
  private func recordingLimits() throws(ValidationError) -> RecordingFiles.Limits? {
    if rotate != nil, record == nil { throw ValidationError("--rotate: needs --record FILE") }
    if let keep {
      guard keep > 0 else { throw ValidationError("--keep: found \(keep), expected 1 or more") }
      guard rotate != nil else { throw ValidationError("--keep: needs --rotate SIZE") }
    }
    guard let rotate else { return nil }
    guard let bytes = (try? Rotation.parse(rotate, keep: nil))?.bytes else {
      throw ValidationError("--rotate: found \"\(rotate)\", expected a size such as 100M (k, M, G), at least 1k")
    }
    return RecordingFiles.Limits(bytes: bytes, keep: keep)
  }

  /// The battery's end of the inverter's protocol, once a bus; none where the configuration names no protocol.
  static func sessions(
    _ configuration: Configuration, buses: Int, variant: String?, address: UInt8?, _ library: DefinitionLibrary
  ) throws(WorldError) -> [Session] {
    let spoken = InverterProtocol(rawValue: configuration[.inverterProtocol]) ?? .none
    guard let meant = spoken.definition else { return [] }
    let definition = try TableChooser.definition(meant.protocolName, library)
    let chosen = try TableChooser.variant(variant ?? meant.variant, of: definition)
    let link = definition.link(variant: chosen?.name)
    guard let session = link.session(.battery, address: address) else {
      throw WorldError(
        message: "\(meant.protocolName): has no handshake for a battery: expected a protocol in which one can be played")
    }
    try BatteryAddress.check(address, link)
    return (0..<buses).map { _ in session }
  }

  /// A state that is not whole is not used; the one before it is at most a minute older.
  static func storedState(_ path: String, _ logger: Logger) -> PersistentState? {
    for path in [path, path + ".previous"] where InputFile.exists(path) {
      do throws(ConfigurationFile.Problem) {
        return try StateFile.parse(String(decoding: (try? InputFile.bytes(of: path)) ?? [], as: UTF8.self))
      } catch { logger.error("\(path): \(error)") }
    }
    logger.notice("\(path): no state is stored: the SOC is estimated from the cells' voltage")
    return nil
  }
}
