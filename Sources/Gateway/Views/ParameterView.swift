import Analysis
import Bus
import Controller
import Formats

/// The manual's parameter view as texts with the names of their places: the page is drawn from it once, and what changes is sent on.
struct ParameterView {
  /// A titled value of the two rows.
  struct Field {
    var id: String
    var title: String
    var text: String
    var unit: String
    /// What it means, for the page's help.
    var help: String
  }
  /// A place of the matrix.
  struct Cell {
    var id: String
    var text: String
    var kind: String
  }
  /// A line of the matrix.
  struct Line {
    var chain: String
    var module: Int
    var voltage: Cell
    var cells: [Cell]
    var sensors: [Cell]
  }
  /// The modules of one chain.
  struct Matrix {
    var chain: String
    var terminals: [Int]
    var lines: [Line]
  }

  var status: String
  var why: String
  /// `good`, `warn`, `bad` or `off`, for the colour beside the words.
  var tone: String
  var contactors: String
  var chains: [(name: String, status: String, text: String)]
  var first: [Field]
  var second: [Field]
  var matrices: [Matrix]
  /// The newest first.
  var events: [(number: UInt64, time: String, text: String)]

  init(_ moment: Moment) {
    let snapshot = moment.snapshot
    let isKnown = moment.isConnected
    let texts = EventText(snapshot?.configuration ?? Configuration())
    let outputs = snapshot?.outputs ?? Outputs()
    if isKnown, let snapshot {
      status = outputs.status.word
      why =
        ParameterView.sentence(EventText.explanation(outputs.status)) + " " + ParameterView.sentence(texts.reason(snapshot.reason))
      tone = ParameterView.tone(outputs.status)
      contactors = EventText.contactors(outputs.contactors)
    } else {
      status = "Disconnected"
      why =
        snapshot.map {
          "No connection with the BMS; its last word is of \(CalendarTime(Timestamp(nanoseconds: $0.time_ns))) UTC. Check its power and its connection."
        }
        ?? "No connection with the BMS. Check its power and its connection."
      tone = "off"
      contactors = "unknown"
    }
    chains = [("BMS 1", outputs.bms1), ("BMS 2", outputs.bms2)].map {
      ($0.0, isKnown ? $0.1.word : "–", isKnown ? ParameterView.text($0.1) : "Not known while disconnected.")
    }
    first = ParameterView.firstRow(isKnown ? snapshot : nil, status, chains.map(\.status), moment.network)
    second = ParameterView.secondRow(isKnown ? snapshot : nil)
    matrices = snapshot.map { ParameterView.matrices($0, isKnown) } ?? []
    events = moment.events.suffix(50).reversed().map {
      (
        $0.number, CalendarTime(Timestamp(nanoseconds: $0.event.time_ns)).description,
        EventText($0.configuration).event($0.event.kind)
      )
    }
  }

  /// Changes when the page has to be drawn anew: other modules or columns.
  var layout: String { matrices.map { "\($0.chain):\($0.lines.count)x\($0.terminals.count)" }.joined(separator: ",") }

  // MARK: Rows

  private static func firstRow(
    _ snapshot: Snapshot?, _ status: String, _ chains: [String], _ network: NetworkFacts
  ) -> [Field] {
    let values = snapshot?.values
    let cells = values.flatMap { $0.hasCells ? $0 : nil }
    let charge = snapshot?.knowsCharge ?? false ? values : nil
    let pdu = snapshot?.knowsPDU ?? false ? values : nil
    return [
      Field(id: "status", title: "Status", text: status, unit: "", help: "main state of the device"),
      Field(id: "bms1", title: "BMS 1", text: chains[0], unit: "", help: "communication with the slave modules of chain 1"),
      Field(id: "bms2", title: "BMS 2", text: chains[1], unit: "", help: "communication with the slave modules of chain 2"),
      Field(
        id: "soc", title: "SOC", text: shown(charge?.stateOfCharge, 2, 1) + (charge?.isEstimate ?? false ? " ~" : ""), unit: "%",
        help: "charge left, of the capacity; ~ marks an estimate"),
      Field(id: "vmin", title: "Vmin", text: shown(cells?.lowestCell.value, 4, 3), unit: "V", help: "lowest cell"),
      Field(id: "vmax", title: "Vmax", text: shown(cells?.highestCell.value, 4, 3), unit: "V", help: "highest cell"),
      Field(id: "dv", title: "dV", text: shown(cells?.difference, 4, 3), unit: "V", help: "highest minus lowest cell"),
      Field(id: "current", title: "Current", text: shown(pdu?.current_mA, 3, 1), unit: "A", help: "positive while charging"),
      Field(id: "power", title: "Power", text: shown(cells?.power_mW, 3, 0), unit: "W", help: "positive while charging"),
      Field(id: "charge", title: "Total Ah", text: shown(charge?.charge_mAh, 3, 2), unit: "Ah", help: "charge left"),
      Field(id: "tmin", title: "Tmin", text: shown(values?.coldest?.value, 1, 1), unit: "°C", help: "coldest enabled sensor"),
      Field(id: "tmax", title: "Tmax", text: shown(values?.hottest?.value, 1, 1), unit: "°C", help: "hottest enabled sensor"),
      Field(id: "rssi", title: "RSSI", text: String(network.rssi_dBm), unit: "dBm", help: "WiFi signal; 0 = off or access point"),
      Field(id: "eth", title: "ETH", text: network.isEthernetUp ? "true" : "false", unit: "", help: "Ethernet cable connected"),
      Field(id: "mqtt", title: "MQTT", text: network.isCloudConnected ? "true" : "false", unit: "", help: "connected to LinkCloud"),
    ]
  }

  private static func secondRow(_ snapshot: Snapshot?) -> [Field] {
    let values = snapshot?.values
    let cells = values.flatMap { $0.hasCells ? $0 : nil }
    let pdu = snapshot?.knowsPDU ?? false ? values : nil
    return [
      Field(
        id: "voltage", title: "Voltage", text: shown(cells?.voltage_mV, 3, 1), unit: "V", help: "measured by all slave modules"),
      Field(id: "vin", title: "Vmeas in", text: shown(pdu?.input_mV, 3, 1), unit: "V", help: "LinkPDU, battery side"),
      Field(id: "vout", title: "Vmeas out", text: shown(pdu?.output_mV, 3, 1), unit: "V", help: "LinkPDU, inverter side"),
      Field(id: "cv", title: "Charge Voltage", text: shown(snapshot?.chargeVoltage, 4, 1), unit: "V", help: "most that is allowed"),
      Field(
        id: "dcv", title: "Discharge Voltage", text: shown(snapshot?.dischargeVoltage, 4, 1), unit: "V",
        help: "least that is allowed"),
      Field(
        id: "cc", title: "Charge Current", text: shown(snapshot?.outputs.chargeLimit_mA, 3, 1), unit: "A", help: "allowed now"),
      Field(
        id: "dcc", title: "Discharge Current", text: shown(snapshot?.outputs.dischargeLimit_mA, 3, 1), unit: "A",
        help: "allowed now"),
      Field(
        id: "capacity", title: "Capacity", text: shown(snapshot?.configuration[.capacity], 3, 1), unit: "Ah", help: "set in config"),
      Field(
        id: "count", title: "Cell Count", text: shown(snapshot?.configuration[.cellCount], 0, 0), unit: "", help: "cells in series"),
      Field(id: "cycles", title: "Cycle Count", text: shown(values?.cycles, 0, 0), unit: "", help: "whole equivalent cycles"),
      Field(id: "supply", title: "BMS voltage", text: shown(values?.supply_mV, 3, 1), unit: "V", help: "supply, about 12 V"),
      Field(id: "sum", title: "Sum of cells", text: shown(cells?.cellSum_mV, 3, 1), unit: "V", help: "all cells added"),
    ]
  }

  /// A value in units of 10^−`decimals`, or a dash.
  static func shown(_ value: (some BinaryInteger)?, _ decimals: Int, _ digits: Int) -> String {
    value.map { ScaledNumber.text(Int64(clamping: $0), decimals, digits: digits).replacing("-", with: "−") } ?? "–"
  }

  // MARK: Matrix

  private static func matrices(_ snapshot: Snapshot, _ isKnown: Bool) -> [Matrix] {
    let modules = ModuleView.all(snapshot)
    let hasCells = isKnown && snapshot.values.hasCells
    return ChainNumber.allCases.compactMap { chain in
      let own = modules.filter { $0.chain == chain }
      guard let first = own.first else { return nil }
      let lines = own.map { module -> Line in
        let place = "\(chain.index + 1)-\(module.number)"
        return Line(
          chain: String(chain.index + 1), module: module.number,
          voltage: Cell(id: "v\(place)", text: hasCells ? shown(module.stack, 3, 2) : "–", kind: ""),
          cells: module.cells.map { item($0, "c\(place)-\($0.number)", hasCells ? shown($0.value, 4, 3) : "–", isKnown) },
          sensors: module.sensors.map { item($0, "t\(place)-\($0.number)", hasCells ? shown($0.value, 1, 1) : "–", isKnown) })
      }
      return Matrix(chain: chain.word, terminals: first.cells.map(\.number), lines: lines)
    }
  }

  /// A mark is a sign beside the number as well as a colour.
  private static func item(_ item: ModuleView.Item, _ id: String, _ text: String, _ isKnown: Bool) -> Cell {
    guard isKnown else { return Cell(id: id, text: text, kind: "") }
    var (text, kinds) = (text, [String]())
    if item.marks.contains(.fault) { (text, kinds) = (text + " !", kinds + ["fault"]) }
    if item.marks.contains(.lowest) { (text, kinds) = (text + " ↓", kinds + ["low"]) }
    if item.marks.contains(.highest) { (text, kinds) = (text + " ↑", kinds + ["high"]) }
    if item.marks.contains(.balancing) { (text, kinds) = (text + " ≈", kinds + ["balancing"]) }
    if item.marks.contains(.unused) { kinds.append("unused") }
    return Cell(id: id, text: text, kind: kinds.joined(separator: " "))
  }

  // MARK: Words

  private static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() + "." }

  private static func tone(_ status: SystemStatus) -> String {
    switch status {
    case .running: "good"
    case .warning, .checking: "warn"
    default: "bad"
    }
  }

  /// A channel's state as the manual explains it.
  private static func text(_ status: ChainStatus) -> String {
    switch status {
    case .ok: "Communication is established."
    case .warning: "A value is close to critical; the battery current is cut down."
    case .protect: "A value is beyond critical; the contactors are open."
    case .off: "The channel is off: its number of slaves is 0."
    case .communicationError: "A slave module does not answer: check the communication wiring and the number of slaves."
    case .noData: "Nothing has been read yet."
    }
  }
}
