import Analysis
import HostIO

/// What `bus` says of an interface.
struct BusReport {
  var name: String
  var isUp: Bool
  var isFD: Bool
  var driver: String?
  var details: CANInterface.Details
  /// What was heard in a second; `nil` where nobody listened.
  var load: Load?

  /// Traffic of a second.
  struct Load {
    var frames: UInt64
    var bits: UInt64
    var errors: UInt64
    /// What was listened for, ns.
    var time_ns: Int64
  }

  init(_ interface: CANInterface) {
    name = interface.name
    isUp = interface.isUp
    isFD = interface.isFD
    driver = interface.driver
    details = interface.details()
  }

  init(name: String, isUp: Bool, isFD: Bool = false, driver: String? = nil, details: CANInterface.Details, load: Load? = nil) {
    self.name = name
    self.isUp = isUp
    self.isFD = isFD
    self.driver = driver
    self.details = details
    self.load = load
  }

  private var stateText: String { (isUp ? "up" : "down") + (details.state.map { ", \($0.text)" } ?? "") }

  /// Percent of what the bit rate allows.
  private var loadPercent: String? {
    guard let load, let rate = details.timing?.bitRate, rate > 0, load.time_ns > 0 else { return nil }
    let share = Double(load.bits) / (Double(load.time_ns) / 1e9) / Double(rate) * 1000
    return ValueText.decimal(Int64(min(9e15, share.rounded())), decimals: 1)
  }

  /// One line, for the list.
  func line() -> String {
    let rate = details.timing.map { "\($0.bitRate) bit/s" } ?? "no bit rate"
    return name.padded(to: 12) + stateText.padded(to: 20) + rate.padded(to: 16) + (driver ?? "virtual")
  }

  /// Everything, for one.
  func text(_ style: TextStyle) -> String {
    var lines = [
      style.strong(name) + "  "
        + (details.state == .busOff || details.state == .errorPassive ? style.alarming(stateText) : stateText)
    ]
    lines.append("  driver    \(driver ?? "none: a virtual interface")" + (details.limits.map { " (\($0.controller))" } ?? ""))
    if let timing = details.timing {
      let point = ValueText.decimal(Int64(timing.samplePoint), decimals: 1)
      lines.append("  bit rate  \(timing.bitRate) bit/s, sample point \(point) %, quantum \(timing.quantum_ns) ns")
      // libsocketcan knows nothing of a second rate.
      if isFD {
        lines.append("  data rate CAN FD's is shown by: ip -details link show \(name)")
        lines.append(
          "            set while it is down by: ip link set \(name) type can bitrate \(timing.bitRate) dbitrate 2000000 fd on")
      }
    }
    if let modes = details.modes {
      let names = CANInterface.Modes.names.filter { modes.contains($0.0) }.map(\.1)
      lines.append("  modes     \(names.isEmpty ? "none" : names.joined(separator: ", "))")
    }
    if let restart = details.restart_ms {
      lines.append("  restart   \(restart == 0 ? "by hand: linkbms bus \(name) --restart" : "by itself after \(restart) ms")")
    }
    if let send = details.sendErrorCounter, let receive = details.receiveErrorCounter {
      lines.append("  errors    counters: sent \(send), received \(receive) (96 warning, 128 passive, 256 sent off the bus)")
    }
    if let events = details.events {
      lines.append(
        "  events    bus errors \(events.busErrors), warnings \(events.warnings), passive \(events.passives), off the bus \(events.busOffs), "
          + "arbitration lost \(events.arbitrationLosses), restarts \(events.restarts)")
    }
    if let traffic = details.traffic {
      lines.append(
        "  traffic   received \(traffic.received), sent \(traffic.sent), failed \(traffic.receiveErrors) and \(traffic.sendErrors), "
          + "dropped \(traffic.receiveDropped) and \(traffic.sendDropped)")
    }
    if let load {
      let percent = loadPercent.map { ", \($0) % of the bit rate" } ?? ""
      lines.append(
        "  load      \(load.frames) frames in \(DurationText.seconds(load.time_ns))\(percent)"
          + (load.errors > 0 ? ", \(load.errors) error frames" : ""))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// One JSON object on a line.
  var json: String {
    func number(_ value: (some BinaryInteger)?) -> String { value.map { "\($0)" } ?? "null" }
    var text = "{\"bus\":\(JSONText.quoted(name)),\"up\":\(isUp),\"fd\":\(isFD),\"driver\":\(JSONText.quotedOrNull(driver))"
    text += ",\"state\":\(JSONText.quotedOrNull(details.state?.text)),\"bitrate\":\(number(details.timing?.bitRate))"
    text += ",\"sample_point\":\(details.timing.map { ValueText.decimal(Int64($0.samplePoint), decimals: 3) } ?? "null")"
    text += ",\"restart_ms\":\(number(details.restart_ms))"
    let modes = details.modes.map { modes in CANInterface.Modes.names.filter { modes.contains($0.0) }.map(\.1) } ?? []
    text += ",\"modes\":[" + modes.map(JSONText.quoted).joined(separator: ",") + "]"
    text += ",\"send_errors\":\(number(details.sendErrorCounter)),\"receive_errors\":\(number(details.receiveErrorCounter))"
    if let events = details.events {
      text += ",\"bus_errors\":\(events.busErrors),\"warnings\":\(events.warnings),\"passives\":\(events.passives)"
      text += ",\"bus_offs\":\(events.busOffs),\"arbitration_losses\":\(events.arbitrationLosses),\"restarts\":\(events.restarts)"
    }
    if let traffic = details.traffic {
      text += ",\"received\":\(traffic.received),\"sent\":\(traffic.sent),\"dropped\":\(traffic.receiveDropped)"
    }
    if let load {
      text += ",\"frames_per_s\":\(load.time_ns > 0 ? Int64(Double(load.frames) / (Double(load.time_ns) / 1e9)) : 0)"
      text += ",\"load_percent\":\(loadPercent ?? "null"),\"error_frames\":\(load.errors)"
    }
    return text + "}\n"
  }
}
