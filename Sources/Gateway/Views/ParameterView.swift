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
    /// `fault` where it is not as it has to be; the text says so too.
    var kind = ""
  }
  /// A place of the matrix.
  struct Cell {
    var id: String
    var text: String
    var kind: String
    /// What is wrong, in words; empty where nothing is.
    var note = ""
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
    /// The columns of cells; `surplus` are those that `used-cells` leaves out.
    var heads: [Cell]
    /// Which of them are left out.
    var left: Cell
    var lines: [Line]
  }

  /// What stands in the place of a word or a value of which nothing is known now.
  static let (unknown, dash, unknownChain) = ("unknown", "–", "Not known while disconnected.")
  static let disconnected = "Disconnected"

  var status: String
  var why: String
  /// `good`, `warn`, `bad` or `off`, for the colour beside the words.
  var tone: String
  var contactors: String
  var chains: [(name: String, status: String, text: String)]
  var first: [Field]
  var second: [Field]
  var matrices: [Matrix]
  /// Every mark of the matrix in words; empty while nothing is known.
  var beyond: String
  /// The newest first; times as in `data.json`.
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
      status = ParameterView.disconnected
      why = ParameterView.silence(snapshot)
      tone = "off"
      contactors = ParameterView.unknown
    }
    chains = [("BMS 1", outputs.bms1), ("BMS 2", outputs.bms2)].map {
      ($0.0, isKnown ? $0.1.word : ParameterView.dash, isKnown ? ParameterView.text($0.1) : ParameterView.unknownChain)
    }
    first = ParameterView.firstRow(isKnown ? snapshot : nil, status, chains.map(\.status), moment.network)
    second = ParameterView.secondRow(isKnown ? snapshot : nil)
    let modules = snapshot.map { ModuleView.all($0) } ?? []
    matrices = snapshot.map { ParameterView.matrices($0, modules, isKnown) } ?? []
    beyond = isKnown && !modules.isEmpty ? ParameterView.beyond(modules, snapshot?.values.hasCells ?? false) : ""
    events = moment.events.suffix(50).reversed().map {
      ($0.number, DataJSON.time($0.event.time_ns), EventText($0.configuration).event($0.event.kind))
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
      Field(
        id: "current", title: "Current", text: shown(pdu?.current_mA, 3, 1), unit: "A",
        help: "measured in the LinkPDU; positive while charging, negative while discharging"),
      Field(
        id: "power", title: "Power", text: shown(cells?.power_mW, 3, 0), unit: "W",
        help: "positive while charging, negative while discharging"),
      Field(id: "charge", title: "Total Ah", text: shown(charge?.charge_mAh, 3, 2), unit: "Ah", help: "estimated charge left"),
      Field(id: "tmin", title: "Tmin", text: shown(values?.coldest?.value, 1, 1), unit: "°C", help: "coldest enabled sensor"),
      Field(id: "tmax", title: "Tmax", text: shown(values?.hottest?.value, 1, 1), unit: "°C", help: "hottest enabled sensor"),
      Field(
        id: "rssi", title: "RSSI", text: String(network.rssi_dBm), unit: "dBm",
        help: "WiFi signal; 0 = off, disconnected or access point"),
      Field(id: "eth", title: "ETH", text: network.isEthernetUp ? "true" : "false", unit: "", help: "Ethernet cable connected"),
      Field(id: "mqtt", title: "MQTT", text: network.isCloudConnected ? "true" : "false", unit: "", help: "connected to LinkCloud"),
    ]
  }

  private static func secondRow(_ snapshot: Snapshot?) -> [Field] {
    let values = snapshot?.values
    let cells = values.flatMap { $0.hasCells ? $0 : nil }
    let pdu = snapshot?.knowsPDU ?? false ? values : nil
    let count = snapshot.map { CellCount($0) }
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
        id: "count", title: "Cell Count", text: count?.text ?? dash, unit: "",
        help: "cells that were detected; red where it is not what the configuration says: then check all voltages and connections",
        kind: count?.differences.isEmpty ?? true ? "" : "fault"),
      Field(id: "cycles", title: "Cycle Count", text: shown(values?.cycles, 0, 0), unit: "", help: "whole equivalent cycles"),
      Field(id: "supply", title: "BMS voltage", text: shown(values?.supply_mV, 3, 1), unit: "V", help: "supply, about 12 V"),
      Field(id: "sum", title: "Sum of cells", text: shown(cells?.cellSum_mV, 3, 1), unit: "V", help: "all cells added"),
    ]
  }

  /// A value in units of 10^−`decimals`, or a dash.
  static func shown(_ value: (some BinaryInteger)?, _ decimals: Int, _ digits: Int) -> String {
    value.map { ScaledNumber.text(Int64(clamping: $0), decimals, digits: digits).replacing("-", with: "−") } ?? dash
  }

  // MARK: Matrix

  private static func matrices(_ snapshot: Snapshot, _ modules: [ModuleView], _ isKnown: Bool) -> [Matrix] {
    let hasCells = isKnown && snapshot.values.hasCells
    return ChainNumber.allCases.compactMap { chain in
      let own = modules.filter { $0.chain == chain }
      guard let first = own.first else { return nil }
      let number = chain.index + 1
      let used = Int(snapshot.configuration[.usedCells])
      let surplus = first.cells.map(\.number).filter { !ModuleView.terminals(used).contains($0) }
      let hidden = isKnown ? surplus.filter { !isFlawed($0, own) } : surplus
      let heads = first.cells.map { cell -> Cell in
        leftOut(Cell(id: "h\(number)-\(cell.number)", text: "Cell \(cell.number)", kind: ""), hidden.contains(cell.number))
      }
      return Matrix(
        chain: chain.word, terminals: first.cells.map(\.number), heads: heads,
        left: Cell(id: "left\(number)", text: leftText(surplus, used: used), kind: ""),
        lines: own.map { line($0, hidden, hasCells, isKnown) })
    }
  }

  /// Whether something is wrong with a cell at this terminal of any module.
  private static func isFlawed(_ terminal: Int, _ modules: [ModuleView]) -> Bool {
    modules.contains { module in module.cells.contains { $0.number == terminal && !$0.flaws.isEmpty } }
  }

  private static func line(_ module: ModuleView, _ hidden: [Int], _ hasCells: Bool, _ isKnown: Bool) -> Line {
    let place = "\(module.chain.index + 1)-\(module.number)"
    let stack = ModuleView.Item(value: module.stack, number: 0, marks: [], flaws: module.flaws)
    let cells = module.cells.map { cell -> Cell in
      let text = hasCells ? shown(cell.value, 4, 3) : dash
      return leftOut(item(cell, "c\(place)-\(cell.number)", text, isKnown), hidden.contains(cell.number))
    }
    return Line(
      chain: String(module.chain.index + 1), module: module.number,
      voltage: item(stack, "v\(place)", hasCells ? shown(module.stack, 3, 2) : dash, isKnown), cells: cells,
      sensors: module.sensors.map { item($0, "t\(place)-\($0.number)", hasCells ? shown($0.value, 1, 1) : dash, isKnown) })
  }

  /// A place of a column that is not shown: it is there all the same, so that a fault can bring it out.
  private static func leftOut(_ cell: Cell, _ isLeftOut: Bool) -> Cell {
    guard isLeftOut else { return cell }
    var cell = cell
    cell.kind += cell.kind.isEmpty ? "surplus" : " surplus"
    return cell
  }

  private static func leftText(_ surplus: [Int], used: Int) -> String {
    guard let first = surplus.first, let last = surplus.last else { return "" }
    let cells = first == last ? "cell \(first) is" : "cells \(first)–\(last) are"
    return "used-cells is \(used): \(cells) shown only while a value there is beyond its limits."
  }

  /// A mark is a sign beside the number as well as a colour.
  private static func item(_ item: ModuleView.Item, _ id: String, _ text: String, _ isKnown: Bool) -> Cell {
    guard isKnown else { return Cell(id: id, text: text, kind: "") }
    var (text, kinds) = (text, [String]())
    if item.marks.contains(.fault) {
      (text, kinds) = (text + " !", kinds + ["fault"])
    } else if item.marks.contains(.warning) {
      (text, kinds) = (text + " △", kinds + ["warning"])
    }
    if item.marks.contains(.lowest) { (text, kinds) = (text + " ↓", kinds + ["low"]) }
    if item.marks.contains(.highest) { (text, kinds) = (text + " ↑", kinds + ["high"]) }
    if item.marks.contains(.balancing) { (text, kinds) = (text + " ≈", kinds + ["balancing"]) }
    if item.marks.contains(.unused) { kinds.append("unused") }
    return Cell(id: id, text: text, kind: kinds.joined(separator: " "), note: note(item.flaws))
  }

  private static func note(_ flaws: [ModuleFlaw]) -> String { flaws.map(\.words).joined(separator: "; ") }

  /// Places that are named one by one: a chain without an answer has too many.
  private static let mostPlaces = 12

  /// Every mark in words, the worst first: not everybody can point at a value.
  private static func beyond(_ modules: [ModuleView], _ hasCells: Bool) -> String {
    let places = modules.flatMap { flawed($0) }
    guard !places.isEmpty else { return hasCells ? "No cell, sensor or module is beyond its limits." : "" }
    let sorted = places.filter { isFault($0.flaws) } + places.filter { !isFault($0.flaws) }
    let words = sorted.prefix(mostPlaces).map { "\($0.place): \(note($0.flaws))" }
    let more = sorted.count > mostPlaces ? "; and \(sorted.count - mostPlaces) more" : ""
    return "Marked: " + words.joined(separator: "; ") + more + "."
  }

  private static func isFault(_ flaws: [ModuleFlaw]) -> Bool { ModuleView.Marks.worst(flaws) == .fault }

  /// What is marked of a module. What is wrong with all of it is said once.
  private static func flawed(_ module: ModuleView) -> [(place: String, flaws: [ModuleFlaw])] {
    let name = "\(module.chain.word) module \(module.number)"
    var places: [(place: String, flaws: [ModuleFlaw])] = [(place: name, flaws: module.flaws)]
    if !module.flaws.contains(.silent) {
      for (index, cell) in module.cells.enumerated() {
        // Events and reasons count a module's cells; the columns are terminals.
        let column = cell.number == index + 1 ? "" : " (column Cell \(cell.number))"
        places.append((place: "\(name) cell \(index + 1)\(column)", flaws: cell.flaws))
      }
      for sensor in module.sensors { places.append((place: "\(name) T\(sensor.number)", flaws: sensor.flaws)) }
    }
    return places.filter { !$0.flaws.isEmpty }
  }

  // MARK: Words

  /// The manual's "Int conn error": these pages are there, and what they show is not.
  private static func silence(_ snapshot: Snapshot?) -> String {
    var last = "it has not said anything yet"
    if let snapshot { last = "its last word is of \(CalendarTime(Timestamp(nanoseconds: snapshot.time_ns))) UTC" }
    return "Int conn error: this page has no connection with the BMS behind it; \(last). "
      + "If it does not come back by itself, restart the LinkMaster; if it comes again, contact your supplier."
  }

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
    case .noData: "Nothing has been read yet. If it stays so, check the chain's connector and contact support."
    }
  }
}
