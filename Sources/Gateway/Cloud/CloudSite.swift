private import Synchronization

/// LinkCloud's pages: the fleet, and a month of each device. Nothing can be changed here.
public final class CloudSite: Pages, Sendable {
  private let archive: HistoryArchive
  private let receiver: CloudReceiver
  private let stopping = Atomic(false)

  /// Pages of what `receiver` puts into `store`.
  public init(store: any HistoryStore, receiver: CloudReceiver) {
    archive = HistoryArchive(store)
    self.receiver = receiver
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }
  func stop() { stopping.store(true, ordering: .relaxed) }
  func takesForms(_ path: String) -> Bool { false }

  func respond(_ request: PageRequest) async -> PageResponse { await respond(request, at: CloudReceiver.now()) }

  func respond(_ request: PageRequest, at now: Int64) async -> PageResponse {
    guard request.method == .get else { return .text("Nothing can be changed here.\n", status: 405) }
    switch request.path {
    case "/":
      let view = FleetView(devices(now), now: now)
      let notice = receiver.isConnected ? receiver.problem : "The broker is not connected. \(receiver.problem ?? "")"
      return page("Fleet", "/", view.html(notice), scripts: ["fleet.js"])
    case "/healthz": return .text(receiver.isConnected ? "ok\n" : "disconnected\n", status: receiver.isConnected ? 200 : 503)
    case "/api/v1/devices":
      let view = FleetView(devices(now), now: now)
      return .json(
        .object([
          "devices": .array(
            view.entries.map {
              .object(["name": .string($0.name), "status": .string($0.status), "reason": .string($0.why), "heard": .int($0.heard)])
            })
        ]))
    default:
      if request.path.hasPrefix("/assets/") { return PageFrame.asset(String(request.path.dropFirst(8))) }
      if request.path.hasPrefix("/device/") { return await device(String(request.path.dropFirst(8)), request, now) }
      return page("Not found", request.path, "<h1>Not found</h1><p><a href=\"/\">Fleet</a></p>", status: 404)
    }
  }

  /// Every master that has been heard since the history begins: of one that was renamed or given up before, nothing is kept either.
  private func devices(_ now: Int64) -> [DeviceFacts] {
    receiver.devices().filter { $0.heard >= now - HistoryStoreLimits.keep }
  }

  private func device(_ name: String, _ request: PageRequest, _ now: Int64) async -> PageResponse {
    guard CloudTopics.isName(name), let facts = devices(now).first(where: { $0.name == name }) else {
      return page(
        "Not found", request.path, "<h1>Not found</h1><p>There is no such master. <a href=\"/\">Fleet</a></p>", status: 404)
    }
    do throws(GatewayError) {
      let (newest, span, range, (points, events, cells)) = try await archive.read { (store) throws(GatewayError) in
        let newest = try CloudSite.newest(store, name, now)
        let (span, range) = HistoryPage.asked(request.query, newest: newest)
        return (newest, span, range, try HistoryPage.load(store, device: name, range))
      }
      let entry = FleetView([facts], now: now).entries.first
      let view = HistoryPage(
        title: name, path: "/device/\(name)", span: span, range: range, newest: newest, points: points, events: events, cells: cells
      )
      let head: HTML =
        entry.map { "<p class=\"banner \($0.tone)\" role=\"status\"><strong>\($0.status)</strong> \($0.why)</p>" } ?? .empty
      return page(name, request.path, head + view.html())
    } catch {
      return page(
        name, request.path, "<h1>\(name)</h1><p class=\"notice bad\" role=\"alert\">\(error.description)</p>",
        status: error.status)
    }
  }

  /// The end of a device's charts, s since 1970: now, or what it recorded last where its clock is ahead of ours by up to a day.
  private static func newest(_ store: any HistoryStore, _ name: String, _ now: Int64) throws(GatewayError) -> Int64 {
    let level = HistorySummary.levels[0]
    guard let last = try store.summaries(device: name, level: level, in: now..<now + 86_400).last else { return now }
    return last.time + level
  }

  private func page(_ title: String, _ path: String, _ main: HTML, scripts: [String] = [], status: Int = 200) -> PageResponse {
    .page(PageFrame(title: title, path: path, scripts: scripts, menu: [("/", "Fleet")]).html(main), status: status)
  }
}
