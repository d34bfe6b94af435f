import ArgumentParser
import Bus
import Formats
import HostIO

/// `bridge`: two live buses become one, with a hand in between.
struct BridgeCommand: LiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "bridge",
    abstract: "Send on what comes on one live bus to another, filtered or changed on the way.",
    discussion: HelpText.discussion(
      "Frames go both ways unless --one-way says from A to B only, whoever sent them: another node, or a program on this machine. "
        + "Filters and changes hold in both directions. Error frames stay where they are. A frame that comes back from where it was sent "
        + "is dropped, one that would be the same more than \(EchoGuard.mostPerSecond) times a second is taken for such a one, and what "
        + "waited for more than 0.1 s is too old. What the other bus cannot carry, such as CAN FD on a classic one, is dropped, said once "
        + "and counted. At the prompt 'arm' both buses first. Exit status: 0 ended as told; 1 frames were lost or could not be sent; "
        + "2 could not do it.",
      examples: [
        ("linkbms bridge can0 can1", "battery on one, inverter on the other"),
        ("linkbms bridge can0 can1 --protocol deye-hv --set ChargeCurrentLimit=10", "with a limit of our own"),
        ("linkbms bridge can0 udp:// --one-way", "let others on the network listen"),
      ]))

  @Argument(help: ArgumentHelp("The first bus.", valueName: "a")) var first: String
  @Argument(help: ArgumentHelp("The second bus.", valueName: "b")) var second: String
  @Flag(help: "Only from A to B.") var oneWay = false
  @Option(name: [.customShort("f"), .long], help: ArgumentHelp("Only IDs that pass candump's filter words.", valueName: "word"))
  var filter: [String] = []
  @Option(help: ArgumentHelp("Send an ID as another; repeatable. Hexadecimal.", valueName: "id=id")) var mapId: [String] = []
  @Option(help: ArgumentHelp("Change a signal on the way; repeatable. Needs --protocol or --dbc.", valueName: "signal=value"))
  var set: [String] = []
  @Option(name: .customLong("for"), help: ArgumentHelp("Stop after so long: 10s, 5m, 1h.", valueName: "time")) var duration: String?
  @OptionGroup(title: "Definitions") var definitions: DefinitionOptions

  func validate() throws {
    if LiveHub.areSame(first, second) { throw ValidationError("\(first), \(second): a bus cannot be bridged to itself") }
  }

  func job(in world: inout some World) throws -> (any LiveJob)? {
    let time = try duration.map { text throws(WorldError) in try DurationText.required(text, "--for") }
    var rules = BridgeRules()
    rules.ids = try LiveOptions.ids(filter)
    rules.renamed = try mapId.map { word throws(WorldError) in
      let parts = word.split(separator: "=").map(String.init)
      guard parts.count == 2, case .id(let from) = TriggerCondition.frameName("0x" + parts[0]),
        case .id(let to) = TriggerCondition.frameName("0x" + parts[1])
      else { throw WorldError(message: "--map-id: found \"\(word)\", expected OLD=NEW in hexadecimal") }
      return (from, to)
    }
    if !set.isEmpty { rules.changes = try SignalChange.parse(set, "--set", [try LiveOptions.dissection(definitions, in: &world)]) }
    // Where nothing is sent there needs no permission.
    var ports = [oneWay ? try world.live.listen([first])[0] : try world.live.openToSend(first)]
    do { ports.append(try world.live.openToSend(second)) } catch {
      ports[0].close()
      throw error
    }
    let context = JobContext("bridge \(first) \(second)", NamedPort.distinct(ports, [first, second]))
    context.sendsOn = oneWay ? [second] : [first, second]
    context.duration_ns = time
    return BridgeJob(context, rules, isOneWay: oneWay)
  }
}
