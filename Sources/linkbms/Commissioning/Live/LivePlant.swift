import Controller
import Dispatch
import Formats
import HostIO
import Protocols
import Runtime

/// A real system as the plant: the controller of `run` on its ports, on a thread of its own, so that nothing that a person, a terminal
/// or a disk does makes a control step late. Its contactors are held open until `close`; every doubt ends that
/// (`RunSettings.isPersonHeld`). Nothing is said to the inverter before `mute(false)`.
struct LivePlant: CommissioningPlant {
  let name: String
  private(set) var configuration: Configuration
  private let feed: PlantFeed
  /// What is known at its end.
  var identity: [PlantFact] { feed.identity }

  /// Lets it run.
  /// - Parameters:
  ///   - loop: not yet run; its settings are person-held and mute.
  ///   - links: the battery's end of the link on each port, by a configuration.
  init(
    _ name: String, _ loop: RunLoop, _ feed: PlantFeed, _ configuration: Configuration,
    links: @escaping @Sendable (Configuration) throws(WorldError) -> [Session]
  ) {
    self.name = name
    self.configuration = configuration
    self.feed = feed
    let thread = PlantThread(loop, feed, links)
    DispatchQueue(label: "plant", qos: .userInteractive).async { thread.work() }
  }

  mutating func perform(_ order: CommissioningOrder) throws(WorldError) {
    if case .configure(let wanted) = order {
      guard wanted != configuration else { return }
      configuration = wanted
    }
    switch feed.give(.order(order)) {
    case .obeyed(let problem?): throw WorldError(message: problem)
    case .ended(let why):
      // It is open then.
      if case .hold = order { return }
      throw Self.hasEnded(why)
    case .obeyed, .step: return
    }
  }

  mutating func step(isFine: Bool) throws(WorldError) -> PlantStep {
    switch feed.next() {
    case .step(let step): return step
    case .ended(let why): throw Self.hasEnded(why)
    case .obeyed: throw WorldError(message: "the controller answered what was not asked; the contactors are open")
    }
  }

  mutating func rest() { feed.rest() }
  mutating func takeNotes() -> [String] { feed.takeNotes() }

  /// Ends it in order: contactors open, state stored, ports closed.
  mutating func finish(_ why: String) throws(WorldError) {
    _ = feed.give(.finish(why))
    if let failed = feed.end() { throw WorldError(message: failed) }
  }

  private static func hasEnded(_ why: String?) -> WorldError {
    WorldError(message: "the controller has ended with open contactors: \(why ?? "it was told to")")
  }
}

/// The thread's part of a live plant.
private final class PlantThread: @unchecked Sendable {  // after its start only its own thread touches it
  private var loop: RunLoop
  private let feed: PlantFeed
  private let links: @Sendable (Configuration) throws(WorldError) -> [Session]

  init(_ loop: RunLoop, _ feed: PlantFeed, _ links: @escaping @Sendable (Configuration) throws(WorldError) -> [Session]) {
    self.loop = loop
    self.feed = feed
    self.links = links
  }

  func work() {
    repeat {
      if let wanted = feed.takeWanted() { feed.obeyed(obey(wanted)) }
      // Whoever leads may sit in a question or in a terminal that takes nothing: a signal opens without them.
      if let signal = Signals.stopRequest, loop.runtime.isPermitted {
        loop.runtime.hold("signal \(signal)", now_us: loop.now_us)
      }
      feed.waitForRoom()
    } while loop.turn(until_us: .max)
    let failed = loop.finish()
    feed.ended(failed ?? loop.failure, identity)
  }

  private var identity: [PlantFact] {
    var facts = [PlantFact.controller]
    for (place, name) in loop.partNames.ports.enumerated() { facts.append(PlantFact(part: "CAN \(place + 1)", text: name)) }
    let settings = loop.runtime.settings
    let lines = loop.partNames.lines
    for chain in loop.runtime.chainFacts {
      let line = chain.number == .bms1 ? settings.chainLines.bms1 : settings.chainLines.bms2
      let chip = chain.generation == .b ? "MC33771B" : "MC33771C"
      facts.append(
        PlantFact(
          part: chain.number.word,
          text:
            "\(lines.indices.contains(line) ? lines[line] : "simulated"): \(chain.found) LinkSlaves\(chain.hasExtra ? " and more" : "")"
            + ", spoken to as \(chip); \(chain.scans.complete) scans complete, \(chain.scans.failed) failed, "
            + "\(chain.damaged) frames damaged"
        ))
    }
    let pdu = lines.indices.contains(settings.pduLine) ? lines[settings.pduLine] : "simulated"
    facts.append(PlantFact(part: "LinkPDU", text: "\(pdu); it says no version"))
    return facts
  }

  /// Returns why it is not done.
  private func obey(_ wanted: PlantFeed.Wanted) -> String? {
    let now = loop.now_us
    switch wanted {
    case .finish(let why): loop.stop(why)
    case .order(.hold): loop.runtime.hold("commissioning", now_us: now)
    // Who asks for this has a permission: there is no other way to make the order.
    case .order(.close): loop.runtime.release(now_us: now)
    case .order(.mute(let isMute)): loop.runtime.mute(isMute)
    case .order(.reset): loop.runtime.reset()
    case .order(.configure(let configuration)): return configure(configuration)
    }
    return nil
  }

  private func configure(_ configuration: Configuration) -> String? {
    let before = loop.runtime.engine.configuration
    let fixed: [ConfigurationItem] = [.bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount, .inverterProtocol]
    guard loop.runtime.engine.violations > 0 || fixed.contains(where: { before[$0] != configuration[$0] }) else {
      return loop.runtime.configure(configuration).map { "configuration not taken over: \($0)" }
    }
    do throws(WorldError) {
      return loop.runtime.rebuild(configuration, sessions: try links(configuration)).map { "configuration not taken over: \($0)" }
    } catch { return error.message }
  }
}
