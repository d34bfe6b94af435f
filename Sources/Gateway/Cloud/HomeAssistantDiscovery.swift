/// Home Assistant's MQTT discovery: one retained message that brings the device with all its entities by itself.
public enum HomeAssistantDiscovery {
  /// Where Home Assistant says that it has started: then the message is sent once more.
  public static let statusTopic = "homeassistant/status"
  /// After so long without a state an entity is unavailable, s: six states.
  static let expiry = 60

  /// The message's topic.
  public static func topic(_ id: String) -> String { "homeassistant/device/linkbms_\(id)/config" }

  private struct Entity {
    var key: String
    var name: String
    var value: String
    var unit: String?
    var kind: String?
    var stateClass: String? = "measurement"
    var isDiagnostic = false
    var isBinary = false
    var digits: Int?
  }

  private static let entities: [Entity] = [
    Entity(key: "soc", name: "State of charge", value: "SOC", unit: "%", kind: "battery", digits: 1),
    Entity(key: "current", name: "Current", value: "CAc", unit: "A", kind: "current", digits: 1),
    Entity(key: "voltage", name: "Voltage", value: "PTV", unit: "V", kind: "voltage", digits: 1),
    Entity(key: "power", name: "Power", value: "PAc", unit: "W", kind: "power", digits: 0),
    Entity(key: "cell_min", name: "Lowest cell", value: "CMn", unit: "V", kind: "voltage", digits: 3),
    Entity(key: "cell_max", name: "Highest cell", value: "CMx", unit: "V", kind: "voltage", digits: 3),
    Entity(key: "cell_diff", name: "Cell difference", value: "DV", unit: "V", kind: "voltage", digits: 3),
    Entity(key: "temp_min", name: "Lowest temperature", value: "CTm", unit: "°C", kind: "temperature", digits: 1),
    Entity(key: "temp_max", name: "Highest temperature", value: "CTx", unit: "°C", kind: "temperature", digits: 1),
    Entity(key: "cycles", name: "Cycles", value: "CCn", stateClass: "total_increasing", isDiagnostic: true),
    Entity(key: "status", name: "Status", value: "status", stateClass: nil),
    Entity(key: "reason", name: "Reason", value: "reason", stateClass: nil, isDiagnostic: true),
    Entity(key: "bms1", name: "BMS1", value: "bms1", stateClass: nil, isDiagnostic: true),
    Entity(key: "bms2", name: "BMS2", value: "bms2", stateClass: nil, isDiagnostic: true),
    Entity(key: "charge", name: "Charge left", value: "charge_Ah", unit: "Ah", digits: 2),
    Entity(key: "v_in", name: "V-in", value: "v_in_V", unit: "V", kind: "voltage", isDiagnostic: true, digits: 1),
    Entity(key: "v_out", name: "V-out", value: "v_out_V", unit: "V", kind: "voltage", isDiagnostic: true, digits: 1),
    Entity(
      key: "supply", name: "Supply voltage", value: "bms_voltage_V", unit: "V", kind: "voltage", isDiagnostic: true, digits: 1),
    Entity(
      key: "charge_limit", name: "Charge current limit", value: "charge_limit_A", unit: "A", kind: "current", isDiagnostic: true,
      digits: 1),
    Entity(
      key: "discharge_limit", name: "Discharge current limit", value: "discharge_limit_A", unit: "A", kind: "current",
      isDiagnostic: true,
      digits: 1),
    Entity(key: "contactors", name: "Contactors closed", value: "contactors_closed", stateClass: nil, isBinary: true),
    Entity(key: "balancing", name: "Balancing", value: "balancing", stateClass: nil, isDiagnostic: true, isBinary: true),
    Entity(
      key: "charging_allowed", name: "Charging allowed", value: "charging_allowed", stateClass: nil, isDiagnostic: true,
      isBinary: true),
    Entity(
      key: "discharging_allowed", name: "Discharging allowed", value: "discharging_allowed", stateClass: nil, isDiagnostic: true,
      isBinary: true),
  ]

  /// The message.
  /// - Parameters:
  ///   - id: the device's name in topics.
  ///   - version: the program's.
  ///   - page: the address of the master's pages, where it is known.
  public static func message(_ id: String, topics: CloudTopics, version: String, page: String?) -> JSONValue {
    var device: [String: JSONValue] = [
      "identifiers": .array([.string("linkbms_\(id)")]), "name": .string("LinkBMS \(id)"), "manufacturer": .string("LinkBMS"),
      "model": .string("LinkMaster"), "sw_version": .string(version),
    ]
    if let page { device["configuration_url"] = .string(page) }
    var components: [String: JSONValue] = [:]
    for entity in entities { components[entity.key] = component(entity, id, topics) }
    return .object([
      "device": .object(device), "origin": .object(["name": .string("linkbms"), "sw_version": .string(version)]),
      "components": .object(components), "state_topic": .string(topics.state), "availability_topic": .string(topics.availability),
      "qos": .int(1),
    ])
  }

  private static func component(_ entity: Entity, _ id: String, _ topics: CloudTopics) -> JSONValue {
    var members: [String: JSONValue] = [
      "platform": .string(entity.isBinary ? "binary_sensor" : "sensor"), "unique_id": .string("linkbms_\(id)_\(entity.key)"),
      "name": .string(entity.name), "state_topic": .string(topics.state), "availability_topic": .string(topics.availability),
      "expire_after": .int(expiry),
    ]
    if entity.isBinary {
      // A value that is missing is unknown, not off.
      members["value_template"] = .string(
        "{{ 'ON' if value_json.\(entity.value) else ('OFF' if value_json.\(entity.value) is defined else 'None') }}")
    } else {
      members["value_template"] = .string("{{ value_json.\(entity.value) if value_json.\(entity.value) is defined else none }}")
    }
    if let unit = entity.unit { members["unit_of_measurement"] = .string(unit) }
    if let kind = entity.kind { members["device_class"] = .string(kind) }
    if let stateClass = entity.stateClass { members["state_class"] = .string(stateClass) }
    if entity.isDiagnostic { members["entity_category"] = .string("diagnostic") }
    if let digits = entity.digits { members["suggested_display_precision"] = .int(digits) }
    return .object(members)
  }
}

/// What a master is called and says on the broker.
public struct CloudTopics: Sendable {
  /// `linkbms/NAME`.
  public let base: String
  /// Topics of the device `id`.
  public init(_ id: String) { base = "linkbms/\(id)" }
  /// `data.json`, each ten seconds, retained.
  public var state: String { base + "/state" }
  /// `online` or `offline`, retained; the last will.
  public var availability: String { base + "/availability" }
  /// A `MinuteRecord`, QoS 1, from the queue.
  public var minute: String { base + "/minute" }
  /// An event as JSON, QoS 1, from the queue.
  public var event: String { base + "/event" }

  /// The device and the kind of a topic; `nil` for what is none of ours.
  static func parse(_ topic: String) -> (device: String, kind: String)? {
    let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "linkbms", isName(String(parts[1])) else { return nil }
    return (String(parts[1]), String(parts[2]))
  }

  /// A name may stand in topics, addresses and files: letters, digits, point, hyphen, underscore.
  public static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && text != "." && text != ".."
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || [0x2D, 0x2E, 0x5F].contains($0)
      }
  }
}
