import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `send`: a frame onto a live bus.
struct SendCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Send a frame on a live bus, once or again and again.",
    discussion: HelpText.discussion(
      "A frame is ID#DATA as candump writes it, or a message by name with its signals (--protocol says of which protocol; what is not "
        + "given is 0; a value that its signal cannot carry is an error). IDs of up to three digits are 11-bit, longer ones 29-bit. At the "
        + "prompt 'arm IFACE' comes first. On an interface of this machine a frame is sent once another node acknowledged it; without one "
        + "that is said after 2 s. What a slow bus has no room for is sent later with --count; without it, its time passes, and that is "
        + "counted. Exit status: 0 sent; 1 frames were not sent at their time; 2 could not do it.",
      examples: [
        ("linkbms send can0 4200#0000000000000000", "one frame"),
        ("linkbms send can0 305#0000000000000000 --every 1s --count 60", "a keep-alive for a minute"),
        ("linkbms send can0 --protocol deye-hv Totals PackVoltage=380 Soc=50", "a message by name"),
      ]))

  @Argument(help: ArgumentHelp("The live bus: can0, udp://…", valueName: "iface")) var interface: String
  @Argument(help: ArgumentHelp("ID#DATA, or a message.", valueName: "frame")) var frame: String
  @Argument(help: ArgumentHelp("Values of the message's signals.", valueName: "signal=value")) var values: [String] = []
  @Option(help: ArgumentHelp("Again after so long: 100ms, 1s.", valueName: "time")) var every: String?
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("So many times.", valueName: "n")) var count: UInt64?
  @Option(help: ArgumentHelp("The battery's address, where the message's ID has one.", valueName: "n")) var address: UInt8?
  @OptionGroup(title: "Definitions") var definitions: DefinitionOptions

  func validate() throws {
    if let count, count == 0 { throw ValidationError("--count: found 0, expected 1 or more") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    let every_ns = try every.map { text throws(WorldError) in try DurationText.required(text, "--every") }
    if let every_ns, every_ns < 100_000 { throw WorldError(message: "--every: found \"\(every ?? "")\", expected 0.1ms or more") }
    let frame = try wanted(in: &world)
    let context = JobContext("send \(interface) \(self.frame)", [try world.live.openToSend(interface)])
    context.sendsOn = [interface]
    return SendJob(context, frame, every_ns: every_ns ?? (count.map { $0 > 1 } == true ? 0 : nil), count: count)
  }

  private func wanted(in world: inout some World) throws(WorldError) -> CANFrame {
    if let plain = try FrameWords.frame(frame) {
      if let value = values.first { throw WorldError(message: "found \"\(value)\", expected nothing behind \(frame)") }
      if let address { throw WorldError(message: "--address: found \(address), expected none: \(frame) says its ID itself") }
      return plain
    }
    let dissection = try LiveOptions.dissection(definitions, in: &world)
    let (made, notes) = try FrameWords.frame(frame, values, dissection, address: address)
    for note in notes { world.note("linkbms: " + note) }
    return made
  }
}

extension LiveOptions {
  /// The plan that `--protocol` or `--dbc` names; on a live bus nothing is guessed for sending.
  static func dissection(_ options: DefinitionOptions, in world: inout some World) throws(WorldError) -> DissectionPlan {
    if let said = try TableChooser.said(options, in: &world) { return said.fallback.dissection }
    throw WorldError(message: "expected --protocol NAME or --dbc FILE: which message is meant?")
  }
}
