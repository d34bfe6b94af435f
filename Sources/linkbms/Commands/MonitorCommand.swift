import ArgumentParser
import Formats
import HostIO

/// `monitor`: what passes now.
struct MonitorCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "monitor",
    abstract: "Show the latest frame of each ID on live buses, with names, periods and what changes.",
    discussion: HelpText.discussion(
      "Changed bytes are marked for a moment. Keys: q quits, h holds the picture until it is pressed again, n notches: bits that have "
        + "moved are marked no more, so that what moves anew stands out; c clears. The bytes of CAN FD past the eighth stand below the "
        + "first ones, in the order of the frame. Without a terminal a picture comes each second, a line for each ID. Nothing is ever "
        + "sent. Exit status: 0 ended by q or --for; 1 frames were lost; 2 could not do it; 130 after Ctrl-C (SIGTERM: 143).",
      examples: [
        ("linkbms monitor can0", "what the bus says, by name"), ("linkbms monitor can0 --for 5s > now.txt", "five pictures"),
      ]))

  @Argument(help: ArgumentHelp("Live buses.", valueName: "iface")) var interfaces: [String]
  @Option(name: .customLong("for"), help: ArgumentHelp("Stop after so long: 10s, 5m, 1h.", valueName: "time")) var duration: String?
  @OptionGroup(title: "Definitions") var definitions: DefinitionOptions

  func job(in world: inout some World) throws -> (any LiveJob)? {
    let time = try duration.map { text throws(WorldError) in try DurationText.required(text, "--for") }
    let chooser = try TableChooser.said(definitions, in: &world)
    let library = try world.library(definitions)
    let context = JobContext("monitor \(interfaces.joined(separator: " "))", try world.live.listen(interfaces))
    context.duration_ns = time
    return MonitorJob(context, chooser: chooser, library: library, world.terminal)
  }
}
