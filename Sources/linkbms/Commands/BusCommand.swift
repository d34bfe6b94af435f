import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `bus`: the CAN interfaces of this machine.
struct BusCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "bus",
    abstract: "Show or set a CAN interface: bit rate, state, error counters, load.",
    discussion: HelpText.discussion(
      "Without IFACE it lists those that are there. With one it shows state, settings and counters, and listens for a second for the "
        + "load. Changing needs rights (root or CAP_NET_ADMIN) and the interface down: together with --up it is taken down, set and "
        + "brought up again. The data bit rate of CAN FD is set with ip link, as the report of an interface that has one says. "
        + "Listening sends nothing. Exit status: 0 done; 1 the controller is off the bus; 2 could not do it.\n\n"
        + PortAddress.optionsHelp,
      examples: [
        ("linkbms bus", "list them"), ("linkbms bus can0", "one, with its load"),
        ("linkbms bus can0 --bitrate 500000 --up", "set and bring up"),
        ("linkbms bus can0 --bitrate 500000 --listen-only on --up", "hear without ever saying anything"),
        ("linkbms bus can0 --restart", "after bus-off"),
        ("linkbms capture can0,351:7FF,355:7FF --write site.log", "an address that filters in the kernel"),
      ]))

  /// A report is no table: CSV has no place here.
  enum ReportFormat: String, ExpressibleByArgument, CaseIterable { case text, json }
  enum Switch: String, ExpressibleByArgument, CaseIterable { case on, off }

  @Argument(help: ArgumentHelp("The interface; without it all are listed.", valueName: "iface")) var interface: String?
  @Option(help: ArgumentHelp("Set the bit rate, bits per second.", valueName: "n")) var bitrate: UInt32?
  @Option(help: ArgumentHelp("Set where in a bit it is sampled, 0.5 to 0.95.", valueName: "n")) var samplePoint: Double?
  @Option(help: ArgumentHelp("Restart so long after bus-off; 0 = by hand.", valueName: "ms")) var restartMs: UInt32?
  @Option(help: ArgumentHelp("Hear only, without acknowledging.", valueName: "on|off")) var listenOnly: Switch?
  @Flag(help: "Bring it up.") var up = false
  @Flag(help: "Take it down.") var down = false
  @Flag(help: "Put a controller that is off the bus back on it.") var restart = false
  @Option(help: ArgumentHelp("Output: text or json.", valueName: "format")) var format: ReportFormat?

  func validate() throws {
    if up, down { throw ValidationError("--up and --down: give one of them") }
    if interface == nil, changes { throw ValidationError("expected an interface to set, for example can0") }
    if let bitrate {
      guard (1000...10_000_000).contains(bitrate) else {
        throw ValidationError("--bitrate: found \(bitrate), expected 1000 to 10000000")
      }
    }
    if let samplePoint {
      guard samplePoint >= 0.5, samplePoint <= 0.95 else {
        throw ValidationError("--sample-point: found \(samplePoint), expected 0.5 to 0.95")
      }
    }
  }

  private var changes: Bool {
    bitrate != nil || samplePoint != nil || restartMs != nil || listenOnly != nil || up || down || restart
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    let isJSON = format.map { $0 == .json } ?? (world.defaultFormat == .json)
    guard let interface else { return try list(isJSON, in: &world) }
    let device: CANInterface
    do throws(PortError) {
      device = try CANInterface(interface)
      try set(device)
    } catch { throw WorldError(message: "\(error)") }
    if changes {
      let report = BusReport(device)
      try world.write(isJSON ? report.json : report.text(TextStyle(usesColour: world.terminal.usesColour)))
      return .done
    }
    var report = BusReport(device)
    if report.isUp { report.load = try load(interface, in: &world) }
    try world.write(isJSON ? report.json : report.text(TextStyle(usesColour: world.terminal.usesColour)))
    return report.details.state == .busOff ? .findings : .done
  }

  private func list(_ isJSON: Bool, in world: inout some World) throws -> ExitStatus {
    let devices = CANInterface.all()
    if devices.isEmpty {
      world.note("linkbms: no CAN interface is here: a USB adapter plugged in? For a virtual one: ip link add vcan0 type vcan")
    }
    for device in devices {
      let report = BusReport(device)
      if isJSON { try world.write(report.json) } else { try world.print(report.line()) }
    }
    return .done
  }

  private func set(_ device: CANInterface) throws(PortError) {
    if down { try device.bringDown() }
    var change = CANInterface.Change()
    change.bitRate = bitrate
    change.samplePoint = samplePoint.map { UInt32(($0 * 1000).rounded()) }
    change.restart_ms = restartMs
    if let listenOnly { if listenOnly == .on { change.on = .listenOnly } else { change.off = .listenOnly } }
    try device.apply(change, whenUp: up)
    if up, !device.isUp { try device.bringUp() }
    if restart { try device.restart() }
  }

  /// What passes in a second.
  private func load(_ address: String, in world: inout some World) throws -> BusReport.Load {
    let context = JobContext("bus \(address)", try world.live.listen([address]))
    context.duration_ns = 1_000_000_000
    var load = BusReport.Load(frames: 0, bits: 0, errors: 0, time_ns: 1_000_000_000)
    let job = ListenJob(context, SurveySink()) { sink, _ in
      guard let bus = sink.survey.buses.first else { return }
      load.frames = bus.frames
      load.bits = bus.bits
      load.errors = bus.errors
    }
    _ = try LiveLoop.run(job, in: &world)
    return load
  }
}
