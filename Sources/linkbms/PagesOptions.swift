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

  @OptionGroup var tls: TLSArguments

  @Option(
    help: ArgumentHelp(
      "Keep a month of history in FILE (SQLite, or postgresql://…), shown at /history; needs --http.",
      valueName: "file"),
    completion: .file())
  var history: String?

  @Option(
    help: ArgumentHelp(
      "Let the pages be found as NAME.local through avahi-daemon; /wifi changes it. Where another has the name, it is NAME-2.",
      valueName: "name"))
  var mdns: String?

  @Option(
    help: ArgumentHelp(
      "File with the password of the WiFi LinkBMS-xxxx that the reset button opens; pppppppp without, as in the manual.",
      valueName: "file"),
    completion: .file())
  var setupPasswordFile: String?

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
      ("--http", http), ("--tls-certificate", tls.tlsCertificate.map(FileNames.absolute)), ("--mdns", mdns), ("--history", history),
      ("--mqtt", mqtt.broker),
      ("--mqtt-user", mqtt.mqttUser),
      ("--mqtt-ca", mqtt.mqttCa.map(FileNames.absolute)),
      ("--mqtt-name", mqttName == "master" ? nil : mqttName), ("--mqtt-queue", mqttQueue),
    ]
  }

  /// Files that only their owner may read: systemd hands them to the service.
  var secrets: [(option: String, path: String)] {
    [
      ("--tls-key", tls.tlsKey), ("--mqtt-password-file", mqtt.mqttPasswordFile), ("--setup-password-file", setupPasswordFile),
    ].compactMap { option, path in path.map { (option, FileNames.absolute($0)) } }
  }

  /// Files that are written to. A history in a database of the network is none.
  var written: [(option: String, path: String?)] {
    [("--history", history.flatMap { $0.contains("://") ? nil : $0 }), ("--mqtt-queue", mqttQueue)]
  }

  func validate() throws {
    if tls.tlsCertificate != nil, http == nil { throw ValidationError("--tls-certificate: needs --http") }
    if setupPasswordFile != nil, http == nil { throw ValidationError("--setup-password-file: needs --http") }
    if mqtt.broker != nil, http == nil { throw ValidationError("--mqtt: needs --http") }
    if !CloudTopics.isName(mqttName) {
      throw ValidationError("--mqtt-name: found \"\(mqttName)\", expected letters, digits, point, hyphen, underscore")
    }
    if let mdns { try PagesOptions.check(mdns: mdns, http: http) }
    if history != nil, http == nil { throw ValidationError("--history: needs --http") }
    if let http, GatewayAddress(http) == nil {
      throw ValidationError("--http: found \"\(http)\", expected PORT or HOST:PORT, such as 127.0.0.1:8080")
    }
  }

  /// What the reset button does about the WiFi.
  func wifiReset(_ server: GatewayServer?) throws(WorldError) -> WiFiReset {
    var password = SetupNetwork.manualPassword
    if let setupPasswordFile {
      let line = String(decoding: try InputFile.bytes(of: setupPasswordFile), as: UTF8.self).split(separator: "\n").first
      password = line.map(String.init) ?? ""
      guard SetupNetwork.isPassword(password) else {
        throw WorldError(
          message:
            "--setup-password-file \(setupPasswordFile): expected a line of 8 to 63 letters, digits and signs, without blanks")
      }
    }
    var pages: String?
    if let server, !server.address.isLoopback {
      pages = "\(tls.tlsCertificate == nil ? "http" : "https")://\(SetupNetwork.address):\(server.address.port)/wifi"
    }
    return WiFiReset(password: password, pages: pages)
  }

  /// Whether a name may be announced for pages there.
  static func check(mdns: String, http: String?) throws(ValidationError) {
    guard let http, let address = GatewayAddress(http), !address.isLoopback, address.port != 0 else {
      throw ValidationError("--mdns: needs pages that others reach, such as --http :8080")
    }
    guard NetworkName.isLabel(mdns) else {
      throw ValidationError(
        "--mdns: found \"\(mdns)\", expected letters, digits and hyphens, without .local, no hyphen at an end")
    }
  }

  /// Starts the server where one is asked for, and says where it is.
  /// - Parameters:
  ///   - path: the file of the password's hash; `nil` keeps it for as long as the program runs.
  ///   - names: the file of the name that is chosen on the pages; `nil` keeps it as long.
  ///   - ports: names of the inverter's ports.
  func feed(passwords path: String? = nil, names: String? = nil, ports: [String] = [], in world: inout some World)
    throws(WorldError) -> PagesFeed?
  {
    guard let http, let address = GatewayAddress(http) else { return nil }
    let hub = SnapshotHub()
    let library = try world.library(.builtIn)
    let book = try RuleBookFile.read(nil)
    let options = try mqtt.options()
    do throws(GatewayError) {
      let secure = try tls.read(in: &world)
      let store = try history.map { place throws(GatewayError) in try HistoryPlace.lateStore(place) }
      let watcher = BusWatcher(hub: hub, library: library, book: book, ports: ports)
      // Before the server takes the port: port 0, which the system chooses, cannot be announced, and nobody wants it with a name.
      let name = try mdns.map { wanted throws(GatewayError) in
        try NetworkName(wanted, path: names, port: address.port, isSecure: secure != nil)
      }
      let keeper = store.map { HistoryKeeper(hub: hub, store: $0) }
      let site = Site(
        hub: hub, passwords: try PasswordFile(path: path), history: store, keeper: keeper, bus: watcher, name: name,
        version: Version.text)
      let server = try GatewayServer(site, on: address, tls: secure)
      let cloud = try options.map { options throws(GatewayError) in
        try CloudLink(
          hub: hub, broker: options, name: mqttName, queue: mqttQueue, history: store, version: Version.text, page: server.url)
      }
      var sources: [ProblemWatch.Source] = []
      if let store, let keeper { sources.append(ProblemWatch.Source("history") { store.problem ?? keeper.problem }) }
      if let cloud {
        sources.append(ProblemWatch.Source("MQTT") { cloud.problem })
        sources.append(ProblemWatch.Source("MQTT queue") { cloud.queueProblem })
      }
      if !sources.isEmpty { server.tell(ProblemWatch(sources)) }
      world.note("linkbms: pages on \(server.url)")
      if let mdns { world.note("linkbms: wanted name in the network: \(mdns.lowercased()).local; /wifi shows what became of it") }
      if !address.isLoopback { world.note("linkbms: everybody who reaches this address can look; changes need a login") }
      if let code = site.setupCode { world.note("linkbms: code to set the password of the pages: \(code)") }
      return PagesFeed(
        hub: hub, server: server, network: NetworkWatcher(hub: hub), watcher: watcher,
        keeper: keeper, cloud: cloud, name: name)
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
  let name: NetworkName?

  func stop() {
    server.stop()
    watcher.stop()
    network.stop()
    keeper?.stop()
    cloud?.stop()
    name?.stop()
  }

  /// Hands a simulated step to the pages and what people asked for to the next one.
  static func exchange(_ publisher: inout SnapshotHub.Publisher?, _ simulator: inout Simulator) {
    guard publisher != nil else { return }
    publisher?.add(simulator.engine.events, simulator.engine.configuration)
    for frame in simulator.takeFrames() { publisher?.add(frame) }
    publisher?.publish(Snapshot(simulator.engine, simulator.readings, time_ns: simulator.time_ns), at: .now)
    for order in publisher?.takeCommands() ?? [] {
      let refusal = obey(order.command, &simulator)
      let text = refusal.map { "refused: \($0.reason)" } ?? "done; the simulation goes on with it"
      publisher?.add(answer: CommandAnswer(number: order.number, text: text, refusal: refusal))
    }
  }

  private static func obey(_ command: GatewayCommand, _ simulator: inout Simulator) -> CommandRefusal? {
    switch command {
    case .reset: simulator.order(.reset)
    case .hold: simulator.order(.hold)
    case .release: simulator.order(.release)
    case .configure(let configuration): simulator.order(.configure(configuration))
    case .calibrate(let point):
      guard let configuration = Calibration.applying(point, to: simulator.engine.configuration) else {
        return CommandRefusal(reason: "the point is closer than 5 % of full scale to the other one")
      }
      simulator.order(.configure(configuration))
    }
    return nil
  }
}
