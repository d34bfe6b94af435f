import Analysis
import Controller
import Formats

/// `/api`: what the pages show, for programs. Reads only: changes need a person who confirms.
extension Site {
  func api(_ request: PageRequest) async -> PageResponse {
    switch request.path {
    case "/api/v1/state": return PageResponse(type: "application/json", body: .bytes(DataJSON.bytes(moment)))
    case "/api/v1/configuration": return configurationJSON()
    case "/api/v1/events": return eventsJSON(request)
    case "/api/v1/history": return await historyJSON(request)
    case "/api/v1/bus": return busJSON(request)
    default: return .json(.object(["error": .string("no such path; see /openapi.json")]), status: 404)
    }
  }

  private func configurationJSON() -> PageResponse {
    guard let snapshot = moment.snapshot else {
      return .json(.object(["error": .string("the controller has said nothing yet")]), status: 503)
    }
    let items = ConfigurationItem.allCases.map { item -> JSONValue in
      let value = snapshot.configuration[item]
      return .object([
        "key": .string(item.row.key), "unit": .string(item.row.unit), "help": .string(item.row.help),
        "range": .string(item.rangeText),
        "value": item == .inverterProtocol ? .string(item.text(value)) : .number(item.text(value)),
      ])
    }
    let sensors = (0..<30).map { module -> JSONValue in
      .array((1...5).filter { snapshot.configuration.sensors[module] & 1 << UInt8($0 - 1) != 0 }.map { .int($0) })
    }
    return .json(
      .object([
        "items": .array(items), "bms1_sensors": .array(Array(sensors[..<15])), "bms2_sensors": .array(Array(sensors[15...])),
        "broken_rules": .int(snapshot.violations),
      ]))
  }

  private func eventsJSON(_ request: PageRequest) -> PageResponse {
    let after = request.query["after"].map { UInt64($0) } ?? 0
    guard let after, after <= UInt64(Site.latest) else {
      return .json(.object(["error": .string("after: expected the number of an event")]), status: 400)
    }
    let events = moment.events.filter { $0.number > after }.map { event -> JSONValue in
      .object([
        "number": .int(event.number), "time": .string(DataJSON.time(event.event.time_ns)),
        "text": .string(EventText(event.configuration).event(event.event.kind)),
      ])
    }
    return .json(.object(["events": .array(events)]))
  }

  private func busJSON(_ request: PageRequest) -> PageResponse {
    guard let bus else { return .json(.object(["error": .string("no bus is followed")]), status: 404) }
    guard let place = Site.port(request), place >= 0, place <= Site.latest else {
      return .json(.object(["error": .string("port: expected the place of a port, from 0")]), status: 400)
    }
    guard let view = bus.view(port: place, after: 0) else {
      return .json(.object(["error": .string("there is no such port")]), status: 404)
    }
    let (lines, report, port) = (view.lines, view.report, JSONValue.string(view.port))
    let findings = report.findings.map { parts -> JSONValue in
      .object([
        "rule": .string(parts.first ?? ""), "severity": .string(parts.dropFirst().first ?? ""),
        "port": port, "text": .string(parts.dropFirst(2).first ?? ""), "fix": .string(parts.dropFirst(3).first ?? ""),
      ])
    }
    let frames = lines.map { line -> JSONValue in
      .object([
        "number": .int(line.number), "port": port, "time": .string(line.time), "id": .string(line.id), "data": .string(line.data),
        "sender": .string(line.side), "message": .string(line.name), "values": .string(line.values), "alarm": .bool(line.isAlarm),
      ])
    }
    return .json(
      .object([
        "port": port, "ports": .array(view.ports.map { .string($0) }), "speaks": .string(report.speaks),
        "verdict": .string(report.verdict), "findings": .array(findings),
        "frames": .array(frames),
      ]))
  }

  /// The page that leads there.
  func apiPage(_ request: PageRequest) -> PageResponse {
    let rows = OpenAPIDocument.reads.map { read -> HTML in
      "<tr><th scope=\"row\"><a href=\"\(read.path)\">\(read.path)</a></th><td>\(read.summary)</td></tr>"
    }
    return page(
      request, "API",
      """
      <h1>API</h1><p>Everything that the pages show, for programs; described in <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1). Changes are made
      on the pages, where a person confirms them.</p>
      <table><thead><tr><th scope="col">Path</th><th scope="col">What</th></tr></thead><tbody>\(rows)</tbody></table>
      """)
  }
}
