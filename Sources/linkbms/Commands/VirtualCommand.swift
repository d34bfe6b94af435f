import ArgumentParser
import Formats
import HostIO
import Protocols
import Simulation

/// `virtual`: devices that are not there.
struct VirtualCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "virtual",
    abstract: "Play a device on a live bus.",
    discussion: HelpText.discussion(
      "At the prompt 'arm IFACE' comes first for battery and inverter. Slaves answer on a tap's line: they need no 'arm'.",
      examples: [
        ("linkbms virtual battery --profile deye-hv --can can0", "try an inverter without a battery"),
        ("linkbms virtual inverter --profile pylontech-hv --can can0", "try a battery without an inverter"),
        ("linkbms virtual slaves --config bms.yaml --chain tap+tcp://127.0.0.1:2000", "try 'linkbms run' without a battery"),
      ]),
    subcommands: [VirtualBattery.self, VirtualInverter.self, VirtualSlavesCommand.self])
}

/// `virtual battery`.
struct VirtualBattery: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "battery", abstract: "Be the battery of a protocol on a live bus.",
    discussion: HelpText.discussion(
      VirtualOptions.discussion,
      examples: [
        ("linkbms virtual battery --profile deye-hv --can can0 --set PackVoltage=380 --set Soc=50", "with values of your own"),
        ("linkbms virtual battery --profile deye-hv --can can0 --fault missing-offset", "one that is set wrong"),
      ]))
  @OptionGroup var options: VirtualOptions

  func job(in world: inout some World) throws -> (any LiveJob)? { try options.job(.battery, in: &world) }
}

/// `virtual inverter`.
struct VirtualInverter: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "inverter", abstract: "Be the inverter of a protocol on a live bus.",
    discussion: HelpText.discussion(
      VirtualOptions.discussion,
      examples: [("linkbms virtual inverter --profile pylontech-hv:pylon-std --can can0", "ask a battery and show how it goes")]))
  @OptionGroup var options: VirtualOptions

  func job(in world: inout some World) throws -> (any LiveJob)? { try options.job(.inverter, in: &world) }
}

/// What both ends have in common.
struct VirtualOptions: ParsableArguments {
  static let discussion =
    "States of the handshake are shown as they come. Values are those of a small battery by chance, or of --set. While it runs, lines "
    + "on standard input change it (at the prompt: tell JOB LINE): 'fault dropped 0.1', 'fault off', 'set Soc=20', 'state'. Faults are "
    + "the kinds of the fault matrix. --speed N lets all times of the protocol pass N times as fast; the other end has to have the same "
    + "speed, such as 'linkbms run --simulate PLANT --speed N'. \(LinkClock.expectation) Exit status: 0 ended as told; 2 could not do it."

  @Option(help: ArgumentHelp("The protocol, with :variant where it matters.", valueName: "protocol")) var profile: String
  @Option(name: .customLong("can"), help: ArgumentHelp("The live bus.", valueName: "iface")) var interface: String
  @Option(help: ArgumentHelp("A value instead of the simulated one; repeatable.", valueName: "quantity=value")) var set: [String] =
    []
  @Option(help: ArgumentHelp("A fault from the start; repeatable.", valueName: "kind[=amount]")) var fault: [String] = []
  @Option(help: ArgumentHelp("The battery's address.", valueName: "n")) var address: UInt8?
  @Option(help: ArgumentHelp("What it speaks under the fault wrong-protocol.", valueName: "protocol")) var other: String?
  @Option(help: ArgumentHelp("The chance of values and faults.", valueName: "n")) var seed: UInt64 = 1
  @Option(help: ArgumentHelp("Seconds of the link in a second.", valueName: "n")) var speed = 1.0
  @Option(name: .customLong("for"), help: ArgumentHelp("Stop after so long: 10s, 5m, 1h.", valueName: "time")) var duration: String?
  @Option(help: ArgumentHelp("Read definitions from this folder instead of the built-in ones.", valueName: "folder"))
  var dissectors: String?

  func validate() throws {
    guard speed > 0, speed <= LinkClock.mostSpeed else {
      throw ValidationError(
        "--speed: found \(speed), expected more than 0 and at most \(Int(LinkClock.mostSpeed)). \(LinkClock.expectation)")
    }
  }

  fileprivate func job(_ side: Session.Side, in world: inout some World) throws -> (any LiveJob)? {
    var options = DefinitionOptions()
    options.dissectors = dissectors
    let library = try world.library(options)
    let link = try VirtualOptions.link(profile, "--profile", library)
    let other = try other.map { name throws(WorldError) in try VirtualOptions.link(name, "--other", library) }
    let values = try VirtualValues.each(set)
    let faults = try fault.map { word throws(WorldError) in
      try VirtualValues.fault(word.split(separator: "=", maxSplits: 1).map(String.init))
    }
    let duration_ns = try duration.map { text throws(WorldError) in try DurationText.required(text, "--for") }
    let name = side == .battery ? "battery" : "inverter"
    guard let end = LinkEnd(link, side, address: address, other: other, seed: seed), let scene = LinkScene(link, seed: seed) else {
      throw WorldError(
        message: "--profile: \(profile): the definition does not say how its \(name) behaves; expected one with a handshake")
    }
    try BatteryAddress.check(address, link)
    let context = JobContext("virtual \(name) \(profile) on \(interface)", [try world.live.openToSend(interface)])
    context.sendsOn = [interface]
    context.duration_ns = duration_ns
    let job = VirtualJob(context, link, end, scene, wanted: values, speed: speed)
    for fault in faults { try job.begin(fault.kind, fault.amount, .now) }
    return job
  }

  /// `protocol` or `protocol:variant`.
  static func link(_ text: String, _ option: String, _ library: DefinitionLibrary) throws(WorldError) -> CompiledLink {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    guard let name = parts.first, let definition = library.definition(name) else {
      let names = library.protocolNames
      throw WorldError(
        message: "\(option): found \"\(text)\", expected one of \(names.joined(separator: ", "))"
          + NearestName.hint(text, in: names))
    }
    guard parts.count == 2 else { return definition.link() }
    guard definition.variant(parts[1]) != nil else {
      let names = definition.sidecar.variants.map(\.name)
      throw WorldError(
        message: "\(option): found \"\(parts[1])\", expected a variant: \(names.joined(separator: ", "))"
          + NearestName.hint(parts[1], in: names))
    }
    return definition.link(variant: parts[1])
  }
}
