import ArgumentParser
import Controller
import Gateway
import HostIO
import Simulation

/// `--http`: the master's pages beside a running controller.
struct PagesOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Serve the master's pages on ADDRESS: PORT or HOST:PORT. A port alone is reachable from this machine only.",
      valueName: "address"))
  var http: String?

  @Option(
    help: ArgumentHelp(
      "Keep a month of history in FILE (SQLite, or postgresql://…), shown at /history; needs --http.",
      valueName: "file"),
    completion: .file())
  var history: String?

  @OptionGroup var mqtt: BrokerArguments
  @Option(
    help: ArgumentHelp(
      "Name of this master at the broker: letters, digits, point, hyphen, underscore.", valueName: "name"))
  var mqttName = "master"
  @Option(
    help: ArgumentHelp(
      "Keep what the broker has not got in FILE (SQLite), so that a day offline loses nothing; in memory without.",
      valueName: "file"),
    completion: .file())
  var mqttQueue: String?

  /// What was given, by option, for a unit file.
  var given: [(option: String, value: String?)] {
    [
      ("--http", http), ("--history", history), ("--mqtt", mqtt.broker), ("--mqtt-user", mqtt.mqttUser),
      ("--mqtt-password-file", mqtt.mqttPasswordFile), ("--mqtt-ca", mqtt.mqttCa),
      ("--mqtt-name", mqttName == "master" ? nil : mqttName), ("--mqtt-queue", mqttQueue),
    ]
  }

  func validate() throws {
    if mqtt.broker != nil, http == nil { throw ValidationError("--mqtt: needs --http") }
    if !CloudTopics.isName(mqttName) {
      throw ValidationError("--mqtt-name: found \"\(mqttName)\", expected letters, digits, point, hyphen, underscore")
    }
    if history != nil, http == nil { throw ValidationError("--history: needs --http") }
    if let http, GatewayAddress(http) == nil {
      throw ValidationError("--http: found \"\(http)\", expected PORT or HOST:PORT, such as 127.0.0.1:8080")
    }
  }

  /// Starts the server where one is asked for, and says where it is.
  /// - Parameter passwords: the file of the password's hash; `nil` keeps it for as long as the program runs.
  func feed(passwords path: String? = nil, in world: inout some World) throws(WorldError) -> PagesFeed? {
    guard let http, let address = GatewayAddress(http) else { return nil }
    let hub = SnapshotHub()
    let library = try world.library(.builtIn)
    let book = try RuleBookFile.read(nil)
    let options = try mqtt.options()
    do throws(GatewayError) {
      let store = try history.map { place throws(GatewayError) in try HistoryPlace.store(place) }
      let watcher = BusWatcher(hub: hub, library: library, book: book)
      let site = Site(hub: hub, passwords: try PasswordFile(path: path), history: store, bus: watcher, version: Version.text)
      let server = try GatewayServer(site, on: address)
      let cloud = try options.map { options throws(GatewayError) in
        try CloudLink(
          hub: hub, broker: options, name: mqttName, queue: mqttQueue, version: Version.text, page: "http://\(server.address)/")
      }
      world.note("linkbms: pages on http://\(server.address)/")
      if !address.isLoopback { world.note("linkbms: everybody who reaches this address can look; changes need a login") }
      if let code = site.setupCode { world.note("linkbms: code to set the password of the pages: \(code)") }
      return PagesFeed(
        hub: hub, server: server, network: NetworkWatcher(hub: hub), watcher: watcher,
        keeper: store.map { HistoryKeeper(hub: hub, store: $0) }, cloud: cloud)
    } catch { throw WorldError(message: error.description) }
  }
}

/// A server and the mailbox it looks into.
struct PagesFeed {
  let hub: SnapshotHub
  let server: GatewayServer
  let network: NetworkWatcher
  let watcher: BusWatcher
  let keeper: HistoryKeeper?
  let cloud: CloudLink?

  func stop() {
    server.stop()
    watcher.stop()
    network.stop()
    keeper?.stop()
    cloud?.stop()
  }

  /// Hands a simulated step to the pages and what people asked for to the next one.
  static func exchange(_ publisher: inout SnapshotHub.Publisher?, _ simulator: inout Simulator) {
    guard publisher != nil else { return }
    publisher?.add(simulator.engine.events, simulator.engine.configuration)
    for frame in simulator.takeFrames() { publisher?.add(frame) }
    publisher?.publish(Snapshot(simulator.engine, simulator.readings, time_ns: simulator.time_ns), at: .now)
    for command in publisher?.takeCommands() ?? [] {
      switch command {
      case .reset: simulator.order(.reset)
      case .hold: simulator.order(.hold)
      case .release: simulator.order(.release)
      case .configure(let configuration): simulator.order(.configure(configuration))
      }
    }
  }
}
