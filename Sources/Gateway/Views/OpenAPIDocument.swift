/// `/openapi.json`: the description of the API, tested against the routes.
enum OpenAPIDocument {
  struct Read {
    var path: String
    var summary: String
    var type = "application/json"
    /// The parts of an answer that are always there.
    var required: [(String, JSONValue)] = []
    var parameters: [(name: String, text: String)] = []
    /// Answers beside 200.
    var others: [Int: String] = [:]
  }

  private static let text: JSONValue = .object(["type": .string("string")])
  private static let flag: JSONValue = .object(["type": .string("boolean")])
  private static let whole: JSONValue = .object(["type": .string("integer")])
  private static let number: JSONValue = .object(["type": .array([.string("number"), .string("null")])])
  private static let list: JSONValue = .object(["type": .string("array"), "items": .object(["type": .string("object")])])

  private static let names: JSONValue = .object(["type": .string("array"), "items": text])

  static let reads: [Read] = [
    Read(
      path: "/api/v1/state", summary: "The controller now: the manual's ten keys and the rest of the page. The same as /data.json.",
      required: DataJSON.manualKeys.map { ($0, number) } + [
        ("version", whole), ("time", .object(["type": .array([.string("string"), .string("null")])])), ("connected", flag),
        ("status", text),
      ]),
    Read(
      path: "/data.json", summary: "The same, at the place that the manual names.",
      required: DataJSON.manualKeys.map { ($0, number) } + [("version", whole), ("connected", flag), ("status", text)]),
    Read(
      path: "/api/v1/configuration", summary: "Every item of the configuration with value, unit, range and help.",
      required: [("items", list), ("broken_rules", whole)], others: [503: "The controller has said nothing yet."]),
    Read(
      path: "/api/v1/events", summary: "The newest events, oldest first.", required: [("events", list)],
      parameters: [("after", "Only those after this number.")], others: [400: "The number is none."]),
    Read(
      path: "/api/v1/history", summary: "Least, greatest and mean of each main value, in at most 400 points.",
      required: [("from", whole), ("to", whole), ("points", list)],
      parameters: [
        ("from", "Seconds since 1970; a day before `to` if it is missing."),
        ("to", "Seconds since 1970; the newest if it is missing."),
      ],
      others: [
        400: "The span is none.", 404: "No history is kept.", 500: "The history cannot be read.",
        503: "Too many read it already: try again in a moment.",
      ]),
    Read(
      path: "/api/v1/bus", summary: "What is said at one of the inverter's ports, and what is wrong with it.",
      required: [("port", text), ("ports", names), ("speaks", text), ("verdict", text), ("findings", list), ("frames", list)],
      parameters: [("port", "The place of the port in `ports`, from 0; the first if it is missing.")],
      others: [400: "The port is no number.", 404: "No bus is followed, or there is no such port."]),
    Read(path: "/metrics", summary: "Prometheus' text form, base units.", type: "text/plain"),
    Read(
      path: "/healthz", summary: "Whether the link to the controller works.", type: "text/plain", others: [503: "It does not."]),
  ]

  static func document(version: String) -> JSONValue {
    var paths: [String: JSONValue] = [:]
    for read in reads { paths[read.path] = .object(["get": operation(read)]) }
    return .object([
      "openapi": .string("3.1.0"),
      "info": .object([
        "title": .string("LinkBMS"), "version": .string(version),
        "description": .string(
          "Reads of a LinkMaster. Currents and powers are positive while charging; what is not known is null."),
      ]), "paths": .object(paths),
    ])
  }

  private static func operation(_ read: Read) -> JSONValue {
    var schema: [String: JSONValue] = ["type": .string(read.type == "application/json" ? "object" : "string")]
    if !read.required.isEmpty {
      schema["required"] = .array(read.required.map { .string($0.0) })
      schema["properties"] = .object(Dictionary(read.required, uniquingKeysWith: { first, _ in first }))
    }
    var responses: [String: JSONValue] = [
      "200": .object(["description": .string(read.summary), "content": .object([read.type: .object(["schema": .object(schema)])])])
    ]
    let refused: JSONValue = .object([
      "type": .string("object"), "required": .array([.string("error")]), "properties": .object(["error": text]),
    ])
    for (status, meaning) in read.others {
      let type = read.type
      let schema = type == "application/json" ? refused : text
      responses[String(status)] = .object([
        "description": .string(meaning), "content": .object([type: .object(["schema": schema])]),
      ])
    }
    var members: [String: JSONValue] = [
      "summary": .string(read.summary), "operationId": .string(read.path.split(separator: "/").joined(separator: "-")),
      "responses": .object(responses),
    ]
    if !read.parameters.isEmpty {
      members["parameters"] = .array(
        read.parameters.map { parameter in
          .object([
            "name": .string(parameter.name), "in": .string("query"), "required": .bool(false),
            "description": .string(parameter.text),
            "schema": .object(["type": .string("integer"), "minimum": .int(0), "maximum": .int(Site.latest)]),
          ])
        })
    }
    return .object(members)
  }
}
