import Analysis
import Bus
import Controller
import Formats

/// `data.json`: the manual's ten keys as people's Home Assistant files read them, and the rest of the page under clear names.
public enum DataJSON {
  /// Raised when a key changes its meaning or goes.
  public static let version = 1
  /// The keys of the manual, "Integration with smart home systems".
  public static let manualKeys = ["CAc", "PTV", "PAc", "CMn", "CMx", "DV", "CTm", "CTx", "CCn", "SOC"]

  /// The document. A value that is not known now is null, never 0: nothing is shown of a controller that is silent.
  public static func bytes(_ moment: Moment) -> [UInt8] { Array((value(moment).text + "\n").utf8) }

  /// The document as a value.
  static func value(_ moment: Moment) -> JSONValue {
    var members: [String: JSONValue] = ["version": .int(version), "connected": .bool(moment.isConnected)]
    for key in manualKeys { members[key] = .null }
    members["time"] = .null
    members["rssi_dBm"] = .int(moment.network.rssi_dBm)
    members["eth"] = .bool(moment.network.isEthernetUp)
    members["mqtt"] = .bool(moment.network.isCloudConnected)
    members["status"] = .string("Disconnected")
    guard let snapshot = moment.snapshot else { return .object(members) }
    members["time"] = .string(time(snapshot.time_ns))
    guard moment.isConnected else { return .object(members) }
    let (values, outputs) = (snapshot.values, snapshot.outputs)
    let hasCells = values.hasCells
    members["CAc"] = .scaled(snapshot.knowsPDU ? values.current_mA : nil, 3, digits: 2)
    members["PTV"] = .scaled(hasCells ? values.voltage_mV : nil, 3, digits: 2)
    members["PAc"] = .scaled(hasCells ? values.power_mW : nil, 3, digits: 0)
    members["CMn"] = .scaled(hasCells ? values.lowestCell.value : nil, 4, digits: 3)
    members["CMx"] = .scaled(hasCells ? values.highestCell.value : nil, 4, digits: 3)
    members["DV"] = .scaled(hasCells ? values.difference : nil, 4, digits: 3)
    members["CTm"] = .scaled(values.coldest?.value, 1, digits: 1)
    members["CTx"] = .scaled(values.hottest?.value, 1, digits: 1)
    members["CCn"] = .int(values.cycles)
    members["SOC"] = .scaled(snapshot.knowsCharge ? values.stateOfCharge : nil, 2, digits: 1)
    members["status"] = .string(outputs.status.word)
    members["reason"] = .string(EventText(snapshot.configuration).reason(snapshot.reason))
    members["bms1"] = .string(outputs.bms1.word)
    members["bms2"] = .string(outputs.bms2.word)
    members["soc_estimated"] = .bool(values.isEstimate)
    members["charge_Ah"] = .scaled(snapshot.knowsCharge ? values.charge_mAh : nil, 3, digits: 2)
    members["capacity_Ah"] = .scaled(snapshot.configuration[.capacity], 3, digits: 1)
    members["cell_count"] = .scaled(CellCount(snapshot).found, 0, digits: 0)
    members["cell_count_configured"] = .int(snapshot.configuration[.cellCount])
    members["cell_sum_V"] = .scaled(hasCells ? values.cellSum_mV : nil, 3, digits: 2)
    members["v_in_V"] = .scaled(snapshot.knowsPDU ? values.input_mV : nil, 3, digits: 1)
    members["v_out_V"] = .scaled(snapshot.knowsPDU ? values.output_mV : nil, 3, digits: 1)
    members["bms_voltage_V"] = .scaled(values.supply_mV, 3, digits: 1)
    members["charge_voltage_V"] = .scaled(snapshot.chargeVoltage, 4, digits: 1)
    members["discharge_voltage_V"] = .scaled(snapshot.dischargeVoltage, 4, digits: 1)
    members["charge_limit_A"] = .scaled(outputs.chargeLimit_mA, 3, digits: 1)
    members["discharge_limit_A"] = .scaled(outputs.dischargeLimit_mA, 3, digits: 1)
    members["charging_allowed"] = .bool(!outputs.isChargingForbidden)
    members["discharging_allowed"] = .bool(!outputs.isDischargingForbidden)
    members["contactors"] = .string(EventText.contactors(outputs.contactors))
    members["contactors_closed"] = .bool(outputs.digital.contains(.closed))
    members["balancing"] = .bool(outputs.digital.contains(.balancing))
    members["modules"] = .array(ModuleView.all(snapshot).map { module($0, hasCells) })
    return .object(members)
  }

  private static func module(_ module: ModuleView, _ hasCells: Bool) -> JSONValue {
    .object([
      "chain": .string(module.chain.word), "module": .int(module.number),
      "voltage_V": .scaled(hasCells ? module.stack : nil, 3, digits: 2),
      "terminals": .array(module.cells.map { .int($0.number) }),
      "cells_V": .array(module.cells.map { .scaled(hasCells ? $0.value : nil, 4, digits: 3) }),
      "balancing": .array(module.cells.filter { $0.marks.contains(.balancing) }.map { .int($0.number) }),
      "temperatures_C": .array(module.sensors.map { .scaled(hasCells ? $0.value : nil, 1, digits: 1) }),
      "sensors": .array(module.sensors.filter { !$0.marks.contains(.unused) }.map { .int($0.number) }),
    ])
  }

  /// `2026-01-01T00:00:00Z`.
  static func time(_ time_ns: Int64) -> String {
    CalendarTime(Timestamp(nanoseconds: time_ns)).description.split(separator: " ").joined(separator: "T") + "Z"
  }
}
