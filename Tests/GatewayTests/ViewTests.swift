import Controller
import Foundation
import Testing

@testable import Gateway

@Suite struct JSONValueTests {
  @Test func keysAreSortedAndTextIsEscaped() {
    let value = JSONValue.object(["b": .array([.null, .bool(true)]), "a": .string("x\"\\\n\u{1}é"), "c": .int(-3)])
    #expect(value.text == #"{"a":"x\"\\\n\u0001é","b":[null,true],"c":-3}"#)
  }

  @Test(arguments: [
    (Int64(34_255), 4, 3, "3.426"), (-34_255, 4, 3, "-3.426"), (5, 4, 3, "0.001"), (4, 4, 3, "0.000"), (-4, 4, 3, "0.000"),
    (120, 1, 1, "12.0"), (12, 0, 2, "12.00"), (1_499, 3, 0, "1"), (1_500, 3, 0, "2"), (.max, 0, 2, "92233720368547758.07"),
  ])
  func numbersAreRounded(value: Int64, decimals: Int, digits: Int, text: String) {
    #expect(ScaledNumber.text(value, decimals, digits: digits) == text)
  }
}

@Suite struct DataJSONTests {
  private func object(_ moment: Moment) throws -> [String: Any] {
    let parsed = try JSONSerialization.jsonObject(with: Data(DataJSON.bytes(moment)))
    return try #require(parsed as? [String: Any])
  }

  @Test func theManualsKeysAreNumbers() throws {
    let object = try object(Rig.running().moment)
    let expected: [String: Double] = [
      "CAc": 10, "PTV": 52.8, "PAc": 528, "CMn": 3.3, "CMx": 3.302, "DV": 0.002, "CTm": 25, "CTx": 25.1, "CCn": 0,
    ]
    for (key, value) in expected { #expect(abs(try #require(object[key] as? Double, "\(key)") - value) < 1e-9, "\(key)") }
    #expect(object["SOC"] is Double)
    #expect(Set(DataJSON.manualKeys) == Set(expected.keys).union(["SOC"]))
    #expect(object["version"] as? Int == 1)
    #expect(object["time"] as? String == "2026-01-01T00:00:12Z")
    #expect(object["status"] as? String == "RUNNING")
  }

  @Test func whatIsNotKnownIsNull() throws {
    let none = try object(SnapshotHub().moment(at: .now))
    for key in DataJSON.manualKeys { #expect(none[key] is NSNull, "\(key)") }
    let silent = try object(Rig.running().silent)
    for key in DataJSON.manualKeys { #expect(silent[key] is NSNull, "\(key)") }
    #expect(silent["status"] as? String == "Disconnected")
    var withoutSensors = Rig(sensors: 0)
    withoutSensors.run()
    let object = try object(withoutSensors.moment)
    #expect(object["CTm"] is NSNull && object["CTx"] is NSNull)
    #expect(object["CMn"] is Double)
  }

  @Test func beforeTheFirstReadingNothingIsZero() throws {
    var rig = Rig()
    rig.engine.step(now_ns: rig.now_ns, Readings())
    rig.publisher.publish(Snapshot(rig.engine, Readings(), time_ns: rig.now_ns), at: Rig.published)
    let object = try object(rig.moment)
    for key in DataJSON.manualKeys where key != "CCn" { #expect(object[key] is NSNull, "\(key)") }
    #expect(ParameterView(rig.moment).first.first { $0.id == "soc" }?.text == "–")
    #expect(!MetricsText.text(rig.moment).contains("linkbms_state_of_charge_ratio"))
    #expect(HistoryQuantity.stateOfCharge.value(try #require(rig.moment.snapshot)) == nil)
  }

  @Test func cellCountIsWhatWasDetected() throws {
    var rig = Rig.running()
    rig.readings.cellCounts[0] = 15
    rig.run(seconds: 2)
    let found = try object(rig.moment)
    #expect(found["cell_count"] as? Int == 15 && found["cell_count_configured"] as? Int == 16)
    var fresh = Rig()
    fresh.engine.step(now_ns: fresh.now_ns, Readings())
    fresh.publisher.publish(Snapshot(fresh.engine, Readings(), time_ns: fresh.now_ns), at: Rig.published)
    #expect(try object(fresh.moment)["cell_count"] is NSNull)
  }

  @Test func theSameContentIsTheSameBytes() {
    let moment = Rig.running().moment
    #expect(DataJSON.bytes(moment) == DataJSON.bytes(moment))
  }
}

@Suite struct ParameterViewTests {
  @Test func extremesBalancingAndFaultsAreMarkedBySignAndClass() throws {
    var rig = Rig()
    rig.readings.cells[3] = 34_500
    rig.run(seconds: 14)
    let view = ParameterView(rig.moment)
    let first = try #require(view.matrices.first?.lines.first)
    #expect(first.cells[0].text == "3.300 ↓" && first.cells[0].kind == "low")
    #expect(first.cells[3].text == "3.450 ↑ ≈" && first.cells[3].kind == "high balancing")
    #expect(first.sensors[0].kind == "unused" && first.sensors[0].text == "−106.1")
    #expect(first.sensors[3].kind == "low")
    #expect(view.matrices[0].terminals == [1, 2, 3, 4, 11, 12, 13, 14])
    rig.readings.cells[3] = 36_600
    rig.run(seconds: 2)
    let fault = ParameterView(rig.moment)
    #expect(fault.status == "PROTECT" && fault.tone == "bad")
    #expect(fault.matrices[0].lines[0].cells[3].kind.contains("fault"))
    #expect(fault.why.contains("BMS1 module 1 cell 4 3.66 V, protect 3.65 V"))
  }

  private func count(_ moment: Moment) throws -> ParameterView.Field {
    try #require(ParameterView(moment).second.first { $0.id == "count" })
  }

  /// The manual: "Number of detected cells", red when it is not the configured one.
  @Test func cellCountIsWhatWasDetectedAndSaysWhatIsWrong() throws {
    var rig = Rig.running()
    let right = try count(rig.moment)
    #expect(right.text == "16" && right.kind == "")
    rig.readings.cellCounts[0] = 15
    rig.run(seconds: 2)
    let wrong = try count(rig.moment)
    #expect(wrong.text == "15 ! BMS1: 15 of 16 cells" && wrong.kind == "fault")
    let page = ParameterPage.html(ParameterView(rig.moment)).source
    #expect(page.contains("<span id=\"count\" class=\"fault\" data-unknown=\"–\">15 ! BMS1"))
    rig.readings.cellCounts[0] = 16
    rig.readings.moduleCounts[0] = 3
    rig.run(seconds: 2)
    #expect(try count(rig.moment).text == "16 ! BMS1: 3 of 2 modules")
    #expect(try count(rig.silent).text == "–")
  }

  @Test func everyValueBeyondALimitIsMarkedWithItsKindAndInWords() {
    var rig = Rig.running()
    #expect(ParameterView(rig.moment).beyond == "No cell, sensor or module is beyond its limits.")
    rig.readings.cells[3] = 36_600
    rig.readings.cells[9] = 36_100
    rig.readings.temperatures[3] = 620
    rig.readings.temperatures[9] = 510
    rig.readings.stacks[1] = 20_000
    rig.run(seconds: 2)
    let view = ParameterView(rig.moment)
    let (first, second) = (view.matrices[0].lines[0], view.matrices[0].lines[1])
    func isMarked(_ cell: ParameterView.Cell, _ kind: String, _ sign: String, _ words: String) -> Bool {
      cell.kind.split(separator: " ").contains { $0 == kind } && cell.text.contains(sign) && cell.note == words
    }
    let apart = "cell difference: 0.36 V, alarm limit 0.3 V"
    #expect(isMarked(first.cells[3], "fault", " !", "cell overvoltage: 3.66 V, protect limit 3.65 V; " + apart))
    #expect(isMarked(first.cells[0], "warning", " △", apart))
    #expect(isMarked(second.cells[1], "warning", " △", "cell overvoltage: 3.61 V, alarm limit 3.6 V"))
    #expect(isMarked(first.sensors[3], "fault", " !", "overtemperature: 62 °C, protect limit 60 °C"))
    #expect(isMarked(second.sensors[4], "warning", " △", "overtemperature: 51 °C, alarm limit 50 °C"))
    let sum = "own voltage 20.00 V and sum of its cells 26.72 V are more than 2 % apart"
    #expect(isMarked(second.voltage, "warning", " △", sum))
    for cell in [first.voltage, first.cells[1], second.cells[0], second.sensors[3], first.sensors[0]] {
      #expect(cell.note.isEmpty && !cell.text.contains("!") && !cell.text.contains("△"), "\(cell.id)")
    }
    // The worst first.
    #expect(view.beyond.hasPrefix("Marked: BMS1 module 1 cell 4: cell overvoltage: 3.66 V, protect limit 3.65 V; " + apart))
    for words in ["BMS1 module 1 T4: overtemperature", "BMS1 module 2: " + sum, "BMS1 module 2 cell 2: cell over"] {
      #expect(view.beyond.contains(words), "\(words)")
    }
    #expect(ParameterPage.html(view).source.contains("title=\"overtemperature: 62 °C, protect limit 60 °C\""))
  }

  /// PROTECT holds on for ten seconds: what it names is still to be found.
  @Test func whatTheStatusNamesIsMarkedAsLongAsItHolds() {
    var rig = Rig.running()
    rig.readings.cells[3] = 36_600
    rig.run(seconds: 2)
    rig.readings.cells[3] = 33_003
    rig.run(seconds: 2)
    let held = ParameterView(rig.moment)
    #expect(held.status == "PROTECT" && held.matrices[0].lines[0].cells[3].kind == "fault")
    #expect(held.beyond == "Marked: BMS1 module 1 cell 4: the status names it; inside its limit again.")
    rig.run(seconds: 30)
    let over = ParameterView(rig.moment)
    #expect(over.status != "PROTECT" && over.matrices[0].lines[0].cells[3].note.isEmpty)
  }

  @Test func aModuleThatDoesNotAnswerIsMarkedAndNamedOnce() {
    var rig = Rig.running()
    rig.readings.lostModules[0] = 1
    for _ in 0..<4 {
      rig.now_ns += 100_000_000
      rig.readings.arrived = [.failure1, .pdu]
      rig.engine.step(now_ns: rig.now_ns, rig.readings)
    }
    rig.publisher.publish(Snapshot(rig.engine, rig.readings, time_ns: rig.now_ns), at: Rig.published)
    let view = ParameterView(rig.moment)
    let (first, second) = (view.matrices[0].lines[0], view.matrices[0].lines[1])
    #expect(view.status == "COM ERR" && first.voltage.kind == "" && first.cells.allSatisfy { !$0.kind.contains("fault") })
    #expect(second.voltage.kind == "fault" && second.voltage.note == "does not answer")
    #expect(second.cells.allSatisfy { $0.kind.contains("fault") } && second.sensors[3].kind.contains("fault"))
    #expect(view.beyond == "Marked: BMS1 module 2: does not answer.")
  }

  @Test func usedCellsLeavesColumnsOutButNeverAFault() throws {
    func shown(_ view: ParameterView) -> [String] {
      view.matrices[0].heads.filter { !$0.kind.contains("surplus") }.map(\.text)
    }
    let all = [1, 2, 3, 4, 11, 12, 13, 14].map { "Cell \($0)" }
    let usual = ParameterView(Rig.running().moment)
    #expect(shown(usual) == all && usual.matrices[0].left.text == "")

    var rig = Rig { $0[.usedCells] = 7 }
    rig.run()
    let view = ParameterView(rig.moment)
    #expect(shown(view) == all.filter { $0 != "Cell 11" })
    for line in view.matrices[0].lines {
      #expect(line.cells.filter { $0.kind.contains("surplus") }.map(\.id) == ["c1-\(line.module)-11"])
    }
    #expect(view.matrices[0].left.text == "used-cells is 7: cell 11 is shown only while a value there is beyond its limits.")
    #expect(shown(ParameterView(rig.silent)) == shown(view))
    // All of it stays in what programs read.
    #expect(ModuleView.all(try #require(rig.moment.snapshot)).allSatisfy { $0.cells.count == 8 })

    rig.readings.cells[4] = 36_100
    rig.run(seconds: 2)
    let warned = ParameterView(rig.moment)
    #expect(shown(warned) == all && warned.layout == view.layout)
    for cell in warned.matrices[0].lines.flatMap(\.cells) { #expect(!cell.kind.contains("surplus"), "\(cell.id)") }
    #expect(warned.beyond.contains("BMS1 module 1 cell 5 (column Cell 11): cell overvoltage: 3.61 V, alarm limit 3.6 V"))
    rig.readings.cells[4] = 33_004
    rig.run(seconds: 2)
    #expect(shown(ParameterView(rig.moment)) == shown(view))
  }

  /// Both show that nothing is known: the script takes its words from the page.
  @Test func aPageWithoutItsServerShowsWhatAServerWithoutItsControllerShows() {
    let rig = Rig.running()
    let page = ParameterPage.html(ParameterView(rig.moment)).source
    let silent = ParameterView(rig.silent)
    func isThere(_ id: String, _ text: String) -> Bool { page.contains("<span id=\"\(id)\" data-unknown=\"\(text)\">") }
    #expect(silent.status == "Disconnected" && isThere("headline", silent.status))
    #expect(silent.contactors == "unknown" && isThere("contactors", silent.contactors))
    #expect(silent.beyond == "" && isThere("beyond", silent.beyond))
    for (index, chain) in silent.chains.enumerated() {
      #expect(isThere("chain\(index + 1)", chain.status) && isThere("chaintext\(index + 1)", chain.text))
    }
    // Of the network the server knows what the page cannot.
    for field in silent.first + silent.second {
      #expect(isThere(field.id, ["rssi", "eth", "mqtt"].contains(field.id) ? "–" : field.text), "\(field.id)")
    }
    for line in silent.matrices[0].lines {
      for cell in [line.voltage] + line.cells + line.sensors {
        #expect(cell.text == "–" && cell.kind == "" && cell.note == "", "\(cell.id)")
      }
    }
    #expect(silent.why.hasPrefix("Int conn error: "))
  }

  @Test func timesSayTheirZone() throws {
    let time = HTML.time("2026-01-01T00:00:12Z").source
    #expect(time == "<time datetime=\"2026-01-01T00:00:12Z\">2026-01-01 00:00:12 UTC</time>")
    let view = ParameterView(Rig.running().moment)
    let newest = try #require(view.events.first)
    #expect(newest.time.hasPrefix("2026-01-01T00:00:") && newest.time.hasSuffix("Z"))
    #expect(ParameterPage.html(view).source.contains("\(HTML.time(newest.time).source) "))
    var state = ParameterPage.LiveState()
    let update = try #require(ParameterPage.update(view, since: &state)).text
    #expect(update.contains("\"time\":\"\(newest.time)\""))
    let history = HistoryPage(
      title: "", path: "/history", span: .day, range: 0..<86_400, newest: 86_400, points: [],
      events: [HistoryEvent(time_ns: 0, text: "x")])
    #expect(history.html().source.contains("<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00:00 UTC</time> x"))
  }

  @Test func whatAMarkMeansIsToldAndTakenBack() throws {
    var rig = Rig.running()
    var state = ParameterPage.LiveState()
    func notes() throws -> [String: JSONValue] {
      let update = try #require(ParameterPage.update(ParameterView(rig.moment), since: &state))
      guard case .object(let members) = update, case .object(let notes) = members["note"] else { return [:] }
      return notes
    }
    #expect(try notes().isEmpty)
    rig.readings.temperatures[3] = 510
    rig.run(seconds: 1)
    let told = try notes()
    #expect(told.count == 1 && told["t1-1-4"] == .string("overtemperature: 51 °C, alarm limit 50 °C"))
    rig.readings.temperatures[3] = 250
    rig.run(seconds: 1)
    let back = try notes()
    #expect(back.count == 1 && back["t1-1-4"] == .string(""))
  }

  @Test func aSilentControllerIsDisconnected() {
    let view = ParameterView(Rig.running().silent)
    #expect(view.status == "Disconnected" && view.tone == "off")
    #expect(view.first.first { $0.id == "soc" }?.text == "–")
    #expect(view.matrices[0].lines[0].cells[0].text == "–")
    #expect(view.why.contains("2026-01-01 00:00:12"))
  }

  @Test func aPageIsToldOnlyWhatChanged() throws {
    var rig = Rig.running()
    var state = ParameterPage.LiveState()
    #expect(ParameterPage.update(ParameterView(rig.moment), since: &state) != nil)
    #expect(ParameterPage.update(ParameterView(rig.moment), since: &state) == nil)
    rig.readings.supply_mV = 12_300
    rig.run(seconds: 1)
    let update = try #require(ParameterPage.update(ParameterView(rig.moment), since: &state))
    guard case .object(let members) = update, case .object(let texts) = members["text"] else {
      Issue.record("no texts in \(update)")
      return
    }
    #expect(texts["supply"] == .string("12.3"))
    #expect(texts["vmin"] == nil)
  }

  @Test func nothingFromOutsideBecomesMarkup() {
    let text = "<script>'\"&"
    let html: HTML = "<p title=\"\(text)\">\(text)</p>"
    #expect(html.source == "<p title=\"&lt;script&gt;&#39;&quot;&amp;\">&lt;script&gt;&#39;&quot;&amp;</p>")
  }
}

@Suite struct MetricsTests {
  @Test func everySampleHasHelpAndTypeAndNoNameComesTwice() {
    let lines = MetricsText.text(Rig.running().moment).split(separator: "\n").map(String.init)
    var typed: Set<String> = []
    for line in lines where line.hasPrefix("# TYPE ") {
      #expect(typed.insert(String(line.split(separator: " ")[2])).inserted, "\(line)")
    }
    for line in lines where !line.hasPrefix("#") {
      let name = String(line.prefix { $0 != "{" && $0 != " " })
      #expect(typed.contains(name), "\(line)")
      #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
    }
    #expect(lines.contains("linkbms_pack_voltage_volts 52.800"))
    #expect(lines.contains("linkbms_cell_voltage_volts{chain=\"BMS1\",module=\"2\",cell=\"14\"} 3.3015"))
    #expect(lines.contains("linkbms_charge_limit_amperes 25.000"))
  }

  @Test func aSilentControllerGivesNoValues() {
    let text = MetricsText.text(Rig.running().silent)
    #expect(text.contains("linkbms_up 0"))
    #expect(!text.contains("linkbms_pack_voltage_volts"))
  }
}
