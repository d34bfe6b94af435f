import Controller
import Formats

/// `/metrics` in Prometheus' text form: base units, one name for one meaning, no time stamps. What is not known now is left out.
public enum MetricsText {
  /// The media type.
  public static let type = "text/plain; version=0.0.4; charset=utf-8"

  /// The page.
  public static func text(_ moment: Moment) -> String {
    var page = Page()
    page.gauge("linkbms_up", "Whether the link to the controller works.", moment.isConnected ? "1" : "0")
    page.gauge("linkbms_cloud_connected", "Whether the MQTT broker is connected.", moment.network.isCloudConnected ? "1" : "0")
    guard let snapshot = moment.current else { return page.text }
    let (values, outputs) = (snapshot.values, snapshot.outputs)
    page.head("linkbms_status", "gauge", "1 for the status that holds.")
    for status in SystemStatus.allCases {
      page.line("linkbms_status", [("status", status.word)], status == outputs.status ? "1" : "0")
    }
    page.head("linkbms_chain_status", "gauge", "1 for the status of each chain that holds.")
    for (chain, now) in [("BMS1", outputs.bms1), ("BMS2", outputs.bms2)] {
      for status in ChainStatus.allCases {
        page.line("linkbms_chain_status", [("chain", chain), ("status", status.word)], status == now ? "1" : "0")
      }
    }
    page.gauge("linkbms_supply_voltage_volts", "The controller's own supply.", milli(Int64(values.supply_mV)))
    if snapshot.knowsPDU { pdu(values, &page) }
    if snapshot.knowsCharge { charge(values, &page) }
    page.counter("linkbms_cycles_total", "Whole equivalent cycles.", String(values.cycles))
    page.gauge("linkbms_charge_limit_amperes", "Charge current allowed to the inverter.", milli(Int64(outputs.chargeLimit_mA)))
    page.gauge(
      "linkbms_discharge_limit_amperes", "Discharge current allowed to the inverter.", milli(Int64(outputs.dischargeLimit_mA)))
    page.gauge(
      "linkbms_contactors_closed", "Whether the battery is on the inverter.", outputs.digital.contains(.closed) ? "1" : "0")
    page.counter("linkbms_events_total", "Events since the start.", String(moment.events.last?.number ?? 0))
    guard values.hasCells else { return page.text }
    page.gauge("linkbms_pack_voltage_volts", "Sum of the module voltages.", milli(values.voltage_mV))
    page.gauge("linkbms_power_watts", "Power, positive while charging.", milli(values.power_mW))
    page.gauge("linkbms_cell_voltage_min_volts", "Lowest cell.", ScaledNumber.text(Int64(values.lowestCell.value), 4, digits: 4))
    page.gauge("linkbms_cell_voltage_max_volts", "Highest cell.", ScaledNumber.text(Int64(values.highestCell.value), 4, digits: 4))
    if let coldest = values.coldest, let hottest = values.hottest {
      page.gauge(
        "linkbms_temperature_min_celsius", "Coldest enabled sensor.", ScaledNumber.text(Int64(coldest.value), 1, digits: 1))
      page.gauge(
        "linkbms_temperature_max_celsius", "Hottest enabled sensor.", ScaledNumber.text(Int64(hottest.value), 1, digits: 1))
    }
    modules(snapshot, &page)
    return page.text
  }

  private static func pdu(_ values: DerivedValues, _ page: inout Page) {
    page.gauge("linkbms_current_amperes", "Current, positive while charging.", milli(Int64(values.current_mA)))
    page.gauge("linkbms_input_voltage_volts", "V-in of the LinkPDU.", milli(Int64(values.input_mV)))
    page.gauge("linkbms_output_voltage_volts", "V-out of the LinkPDU.", milli(Int64(values.output_mV)))
  }

  private static func charge(_ values: DerivedValues, _ page: inout Page) {
    let ratio = ScaledNumber.text(Int64(values.stateOfCharge), 4, digits: 4)
    page.gauge("linkbms_state_of_charge_ratio", "State of charge, 0 to 1.", ratio)
    let coulombs = ScaledNumber.text(Int64(values.charge_mAh) * 36, 1, digits: 1)
    page.gauge("linkbms_charge_coulombs", "Charge in the battery.", coulombs)
  }

  private static func modules(_ snapshot: Snapshot, _ page: inout Page) {
    let modules = ModuleView.all(snapshot)
    page.head("linkbms_module_voltage_volts", "gauge", "Voltage of a module as its LinkSlave measures it.")
    for module in modules { page.line("linkbms_module_voltage_volts", labels(module), milli(module.stack)) }
    page.head("linkbms_cell_voltage_volts", "gauge", "Voltage of a cell, by its terminal.")
    for module in modules {
      for cell in module.cells {
        let place = labels(module) + [("cell", String(cell.number))]
        page.line("linkbms_cell_voltage_volts", place, ScaledNumber.text(cell.value, 4, digits: 4))
      }
    }
    page.head("linkbms_temperature_celsius", "gauge", "Temperature of an enabled sensor.")
    for module in modules {
      for sensor in module.sensors where !sensor.marks.contains(.unused) {
        let place = labels(module) + [("sensor", "T\(sensor.number)")]
        page.line("linkbms_temperature_celsius", place, ScaledNumber.text(sensor.value, 1, digits: 1))
      }
    }
  }

  private static func labels(_ module: ModuleView) -> [(String, String)] {
    [("chain", module.chain.word), ("module", String(module.number))]
  }

  private static func milli(_ value: Int64) -> String { ScaledNumber.text(value, 3, digits: 3) }

  private struct Page {
    var text = ""

    mutating func head(_ name: String, _ kind: String, _ help: String) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }
    mutating func gauge(_ name: String, _ help: String, _ value: String) {
      head(name, "gauge", help)
      text += "\(name) \(value)\n"
    }
    mutating func counter(_ name: String, _ help: String, _ value: String) {
      head(name, "counter", help)
      text += "\(name) \(value)\n"
    }
    /// Label values are words of ours: nothing in them has to be escaped.
    mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
      text += "\(name){\(labels.map { "\($0.0)=\"\($0.1)\"" }.joined(separator: ","))} \(value)\n"
    }
  }
}
