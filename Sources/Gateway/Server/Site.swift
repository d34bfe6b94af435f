import Controller
private import Synchronization

/// Everything that can be asked for, without a socket: the server hands requests in and sends answers out.
public final class Site: Pages, Sendable {
  /// The control loop's mailbox.
  public let hub: SnapshotHub
  let passwords: PasswordFile
  /// What a person has to type to set the first password: printed where only who runs the program sees it. `nil` once it is set.
  public let setupCode: String?

  private let doors = Mutex(Doors())
  private let streams = Mutex(StreamPlaces())
  private let stopping = Atomic(false)
  /// Pages that may follow at one time.
  static let streamRoom = StreamPlaces.room

  /// The history, where one is kept.
  let archive: HistoryArchive?
  /// Who writes it.
  let keeper: HistoryKeeper?

  /// What follows the inverter's bus, where somebody does.
  let bus: BusWatcher?
  let network: NetworkManager
  /// The name in the network, where one is claimed.
  let name: NetworkName?
  let version: String
  /// How long a page waits for what becomes of a command.
  let answerPatience: Duration

  /// - Parameters:
  ///   - bus: what `/bus` shows.
  ///   - history: what `/history` shows; `nil` where none is kept.
  ///   - keeper: who writes it: what it could not keep is said there.
  ///   - network: what `/wifi` speaks to.
  ///   - name: the name in the network, which `/wifi` shows and changes; `nil` = the machine's own.
  ///   - version: the program's.
  ///   - answerPatience: how long a page waits for what becomes of a command.
  public init(
    hub: SnapshotHub, passwords: PasswordFile, history: (any HistoryStore)? = nil, keeper: HistoryKeeper? = nil,
    bus: BusWatcher? = nil, network: NetworkManager = NetworkManager(), name: NetworkName? = nil, version: String = "",
    answerPatience: Duration = .seconds(2)
  ) {
    self.hub = hub
    self.bus = bus
    self.network = network
    self.name = name
    self.version = version
    self.answerPatience = answerPatience
    archive = history.map { HistoryArchive($0) }
    self.keeper = keeper
    self.passwords = passwords
    setupCode = passwords.isSet ? nil : (0..<8).map { _ in String(UInt8.random(in: 0...9)) }.joined()
  }

  /// What is known now.
  var moment: Moment { hub.moment(at: .now) }

  func stop() { stopping.store(true, ordering: .relaxed) }
  var isStopping: Bool { stopping.load(ordering: .relaxed) }

  /// What became of the last network that was asked for. Who comes through the setup network does not get the answer, for the radio that
  /// would have to bring it is on its way: it is kept until the next.
  private let joined = Mutex<String?>(nil)
  var lastJoining: String? { joined.withLock { $0 } }
  func keep(joining text: String) { joined.withLock { $0 = text } }

  func enterStream(of client: String?) -> Bool { streams.withLock { $0.enter(client) } }
  func leaveStream(of client: String?) { streams.withLock { $0.leave(client) } }

  /// Looks at the logins.
  func withDoors<Result: Sendable>(_ body: (inout Doors) -> Result) -> Result { doors.withLock { body(&$0) } }

  // MARK: Routes

  /// Answers a request.
  func respond(_ request: PageRequest) async -> PageResponse {
    request.method == .get ? await get(request) : await post(request)
  }

  private func get(_ request: PageRequest) async -> PageResponse {
    switch request.path {
    case "/": return page(request, "Battery", ParameterPage.html(ParameterView(moment)), scripts: ["follow.js", "live.js"])
    case "/events": return PageResponse(type: "text/event-stream", body: .stream { [self] in LiveStream(self) })
    case "/data.json": return PageResponse(type: "application/json", body: .bytes(DataJSON.bytes(moment)))
    case "/metrics": return .text(MetricsText.text(moment), type: MetricsText.type)
    case "/healthz": return .text(moment.isConnected ? "ok\n" : "disconnected\n", status: moment.isConnected ? 200 : 503)
    case "/config": return configuration(request)
    case "/bus": return busPage(request)
    case "/bus/events":
      return PageResponse(type: "text/event-stream", body: .stream { [self] in BusStream(self, port: Site.port(request) ?? 0) })
    case "/history": return await historyPage(request)
    case "/wifi": return await networkPage(request)
    case "/api": return apiPage(request)
    case "/openapi.json": return .json(OpenAPIDocument.document(version: version))
    case "/login": return login(request)
    case "/password": return passwordPage(request)
    default:
      if request.path.hasPrefix("/api/") { return await api(request) }
      if request.path.hasPrefix("/assets/") { return PageFrame.asset(String(request.path.dropFirst(8))) }
      return page(
        request, "Not found",
        "<h1>Not found</h1><p>There is no page \(String(request.path.prefix(80))). <a href=\"/\">Battery</a></p>", status: 404)
    }
  }

  /// Where something can be changed.
  private static let changes: Set<String> = [
    "/login", "/logout", "/config", "/config/preset-lfp", "/config/preset-li-ion", "/config/calibrate", "/reset", "/confirm",
    "/password", "/wifi", "/wifi/name",
  ]

  func takesForms(_ path: String) -> Bool { Site.changes.contains(path) }

  private func post(_ request: PageRequest) async -> PageResponse {
    guard Site.changes.contains(request.path) else {
      var refusal = PageResponse.text("There is nothing to change here.\n", status: 405)
      refusal.headers.append(("allow", "GET, HEAD"))
      return refusal
    }
    guard isOwnOrigin(request) else { return .text("This form was sent by another site.\n", status: 403) }
    if request.path == "/login" { return await logIn(request) }
    guard let session = session(request), let token = request.cookies[Site.cookie] else {
      return page(
        request, "Log in", "<h1>Not logged in</h1><p>Changes need a login. <a href=\"/login\">Log in</a></p>", status: 401)
    }
    guard Doors.areEqual(request.form["csrf"] ?? "", session.csrf) else {
      return page(
        request, "Refused", "<h1>Refused</h1><p>This form is not from a page of this login. Load the page again.</p>", status: 403)
    }
    switch request.path {
    case "/logout":
      withDoors { $0.close(token) }
      return .redirect("/")
    case "/config": return await save(request)
    case "/config/preset-lfp": return preset(request, .lfp)
    case "/config/preset-li-ion": return preset(request, .liIon)
    case "/config/calibrate": return calibrate(request)
    case "/reset":
      return confirmation(
        request, .reset, title: "Reset BMS",
        lines: ["The contactors open, and stay open until communication with every module is established again."])
    case "/confirm": return await confirm(request, token)
    case "/password": return await changePassword(request)
    case "/wifi": return await connect(request)
    case "/wifi/name": return await rename(request)
    default: return .text("No such page.\n", status: 404)
    }
  }

  /// A browser says where a form came from; where it does, it has to be this server.
  private func isOwnOrigin(_ request: PageRequest) -> Bool {
    guard let origin = request.origin else { return true }
    guard let host = request.host, let slashes = origin.range(of: "://") else { return false }
    // Through TLS a page that came without it is another site: who stands between may have written it.
    if request.isSecure, !origin.hasPrefix("https://") { return false }
    return origin[slashes.upperBound...] == host
  }

  // MARK: Pages

  private func busPage(_ request: PageRequest) -> PageResponse {
    guard let bus else { return page(request, "Bus", "<h1>Bus of the inverter</h1><p>This program follows no bus.</p>") }
    guard let view = Site.port(request).flatMap({ bus.view(port: $0, after: 0) }) else {
      return page(
        request, "Bus", "<h1>Bus of the inverter</h1><p>There is no such port. <a href=\"/bus\">The first</a></p>", status: 404)
    }
    return page(request, "Bus", BusPage.html(view), scripts: ["follow.js", "bus.js"])
  }

  /// The port that is asked for, by its place; the first unless one is named, `nil` for what is no number.
  static func port(_ request: PageRequest) -> Int? { request.query["port"].map { Int($0) } ?? 0 }

  /// The cookie of a login.
  static let cookie = "linkbms"

  func session(_ request: PageRequest) -> Doors.Session? {
    withDoors { $0.session(request.cookies[Site.cookie], now: request.now) }
  }

  func page(_ request: PageRequest, _ title: String, _ main: HTML, scripts: [String] = [], status: Int = 200) -> PageResponse {
    var frame = PageFrame(title: title, path: request.path, scripts: scripts)
    if let session = session(request) {
      frame.logout =
        "<form method=\"post\" action=\"/logout\"><a href=\"/password\">Password</a> <input type=\"hidden\" name=\"csrf\" value=\"\(session.csrf)\"><button type=\"submit\">Log out</button></form>"
    }
    return .page(frame.html(main), status: status)
  }
}

extension StringProtocol {
  /// Where `part` stands first.
  func range(of part: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
      start = index(after: start)
    }
    return nil
  }
}
