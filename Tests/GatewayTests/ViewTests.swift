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
