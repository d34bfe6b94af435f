import ArgumentParser
import Gateway
import HostIO

/// `cloud`: keeps and shows what masters say through an MQTT broker.
struct CloudCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "cloud",
    abstract: "LinkCloud: a month of history of any number of masters, and the fleet at a glance.",
    discussion: HelpText.discussion(
      "Takes what masters publish below linkbms/ (run --mqtt, simulate --mqtt) and serves pages: the fleet with the worst first, and "
        + "charts of each master. Runs until it is stopped. The broker keeps messages while it is away.",
      examples: [
        (
          "linkbms cloud --mqtt broker.example:8883 --mqtt-ca ca.pem --file fleet.sqlite --http 8090",
          "through TLS, pages on this machine"
        ),
        (
          "linkbms cloud --mqtt 127.0.0.1 --store postgresql://linkbms@db.example/linkbms --http 8090",
          "the history in PostgreSQL"
        ),
        ("linkbms cloud --mqtt 127.0.0.1 --file fleet.sqlite --http :8090", "everybody who reaches this machine may look"),
        (
          "linkbms cloud --mqtt 127.0.0.1 --file fleet.sqlite --http :8090 --mdns linkcloud --mdns-broker",
          "found as linkcloud.local, and its broker with it"
        ),
      ]))

  @OptionGroup var mqtt: BrokerArguments
  @Option(
    name: [.customLong("store"), .customLong("file")],
    help: ArgumentHelp(
      "The history: a file (SQLite) or postgresql://USER@HOST/DATABASE; made where there is none. A password belongs into PGPASSFILE or PGPASSWORD.",
      valueName: "place"), completion: .file())
  var store: String
  @Option(help: ArgumentHelp("Serve the pages on ADDRESS: PORT or HOST:PORT.", valueName: "address"))
  var http: String

  @OptionGroup var tls: TLSArguments

  @Option(
    help: ArgumentHelp(
      "Let the pages be found as NAME.local through avahi-daemon. Where another has the name, it is NAME-2.", valueName: "name"))
  var mdns: String?
  @Flag(help: "Let the broker be found under that name too (_mqtt._tcp): it runs on this machine, and others reach it.")
  var mdnsBroker = false

  func validate() throws {
    if let mdns { try PagesOptions.check(mdns: mdns, http: http) }
    if mdnsBroker, mdns == nil { throw ValidationError("--mdns-broker: needs --mdns, the name under which it is found") }
    if mqtt.broker == nil { throw ValidationError("--mqtt: needed, the broker that the masters publish to") }
    if GatewayAddress(http) == nil {
      throw ValidationError("--http: found \"\(http)\", expected PORT or HOST:PORT, such as 127.0.0.1:8090")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    guard let options = try mqtt.options(), let address = GatewayAddress(http) else { return .failed }
    do throws(GatewayError) {
      let secure = try tls.read(in: &world)
      let store = try HistoryPlace.store(store)
      let receiver = try CloudReceiver(store: store, broker: options)
      defer { receiver.stop() }
      // Before the server takes the port, as in `run`.
      let name = try mdns.map { wanted throws(GatewayError) in
        try NetworkName(
          wanted, path: nil, port: address.port, isSecure: secure != nil, title: "LinkCloud",
          broker: mdnsBroker ? (options.port, options.authorities != nil) : nil)
      }
      defer { name?.stop() }
      let server = try GatewayServer(CloudSite(store: store, receiver: receiver), on: address, tls: secure)
      defer { server.stop() }
      world.note("linkbms: pages on \(server.url)")
      if !address.isLoopback { world.note("linkbms: everybody who reaches this address can look") }
      var said: String?
      var named: String?
      while !world.isInterrupted {
        Signals.sleep(seconds: 1)
        let problem = receiver.problem
        if problem != said, let problem { world.note("linkbms: \(problem)") }
        said = problem
        if let notice = name?.notice, notice != named {
          world.note("linkbms: \(notice)")
          named = notice
        }
        for line in server.takeNews() { world.note("linkbms: \(line)") }
      }
      return .done
    } catch { throw WorldError(message: error.description) }
  }
}
