import Controller
import Formats
import Testing

@testable import Gateway

@Suite struct ConfigurationFormTests {
  private func fields(_ form: ConfigurationForm) -> [String: String] {
    var fields = ["sensors": "1"]
    for (item, text) in form.texts { fields[item.row.key] = text }
    for module in 0..<30 {
      for sensor in 1...5 where form.sensors[module] & 1 << UInt8(sensor - 1) != 0 {
        fields[ConfigurationForm.sensorName(module, sensor)] = "on"
      }
    }
    return fields
  }

  @Test func everyConfigurationSurvivesTheForm() {
    for seed in UInt64(1)...200 {
      var random = Seeded(seed)
      var configuration = Configuration()
      for item in ConfigurationItem.allCases {
        configuration[item] = Int32.random(in: item.row.least...item.row.most, using: &random)
      }
      for module in 0..<30 where module % 15 < configuration.slaves(module < 15 ? .bms1 : .bms2) {
        configuration.setSensors(UInt8.random(in: 0...31, using: &random), ofModule: module)
      }
      let form = ConfigurationForm(fields(ConfigurationForm(configuration)), base: Configuration())
      #expect(form.configuration == configuration, "seed \(seed)")
      // What the rules refuse, the form refuses: none is lost on the way to a field.
      #expect(form.isGood == (configuration.violationCount == 0), "seed \(seed)")
    }
  }

  @Test func aRefusedFieldSaysWhatWasFoundAndExpected() {
    var typed = fields(ConfigurationForm(Configuration()))
    typed["capacity"] = "lots"
    typed["ntc-beta"] = "99999"
    let unreadable = ConfigurationForm(typed, base: Configuration())
    #expect(!unreadable.isGood && unreadable.configuration == nil)
    #expect(unreadable.refusals[.capacity] == ["found \"lots\", expected 1…2000 Ah"])
    #expect(unreadable.texts[.capacity] == "lots")
    typed["capacity"] = "100"
    let outside = ConfigurationForm(typed, base: Configuration())
    #expect(outside.refusals[.ntcBeta] == ["ntc-beta: found 99999 K, expected 2000…6000 K"])
    typed["ntc-beta"] = "3950"
    typed["cell-overvoltage-alarm"] = "3,70"
    let order = ConfigurationForm(typed, base: Configuration())
    #expect(order.refusals[.overvoltageAlarm] != nil && order.refusals[.overvoltageProtect] != nil)
  }

  @Test func aPresetFillsCellVoltagesOnly() {
    var typed = fields(ConfigurationForm(Configuration()))
    typed["capacity"] = "280"
    var form = ConfigurationForm(typed, base: Configuration())
    form.apply(.liIon)
    #expect(form.configuration?[.cellChargeDisable] == 41_000)
    #expect(form.configuration?[.capacity] == 280_000)
  }

  @Test func aModuleThatGoesTakesItsSensorsAlong() {
    var configuration = Configuration()
    configuration[.bms1Slaves] = 2
    configuration[.cellCount] = 16
    configuration.setSensors(3, ofModule: 1)
    var typed = fields(ConfigurationForm(configuration))
    typed["bms1-slaves"] = "1"
    typed["cell-count"] = "8"
    let form = ConfigurationForm(typed, base: configuration)
    #expect(form.isGood)
    #expect(form.configuration?.sensors[1] == 0)
  }

  @Test func whatMayMoveAContactorIsConfirmed() {
    let old = Configuration()
    var new = old
    new[.balanceDifference] = 200
    #expect(!ConfigurationForm.mayMoveContactors(from: old, to: new, isRefused: false))
    #expect(ConfigurationForm.mayMoveContactors(from: old, to: new, isRefused: true))
    for item in [ConfigurationItem.overvoltageProtect, .bms1Slaves, .cellCount, .inputHigh, .ntcBeta, .overcurrentProtect] {
      var other = old
      other[item] += 1
      #expect(ConfigurationForm.mayMoveContactors(from: old, to: other, isRefused: false), "\(item.row.key)")
    }
  }

  @Test func whatTheControllerRefusesStandsBesideItsField() {
    var form = ConfigurationForm(Configuration())
    #expect(form.isGood)
    form.refuse(CommandRefusal(item: .inverterProtocol, reason: "nobody <speaks> it"))
    form.refuse(CommandRefusal(reason: "not now"))
    #expect(!form.isGood && form.refusals[.inverterProtocol] == ["nobody <speaks> it"] && form.general == ["not now"])
    let page = ConfigurationPage(form: form, snapshot: nil, csrf: "x").html().source
    #expect(page.contains("aria-describedby=\"h-protocol e-protocol\" aria-invalid=\"true\"><option"))
    #expect(page.contains("id=\"e-protocol\"><span class=\"line\">nobody &lt;speaks&gt; it</span>"))
    #expect(page.contains("<p class=\"notice bad\" role=\"alert\">not now</p>"))
  }

  @Test func protocolsThatCannotBeChosenSayWhy() {
    var page = ConfigurationPage(form: ConfigurationForm(Configuration()), snapshot: nil, csrf: "x")
    page.barred = [.none: "no <bus>", .sofar1: "other cable", .sofar2: "other cable", .deye: "it is what is spoken"]
    page.notes = [.inverterProtocol: "At the next start.", .currentLow: "Needs open contactors."]
    let text = page.html().source
    #expect(text.contains("<option value=\"sofar2\" disabled>") && text.contains("<option value=\"goodwe\">"))
    // What stands in the form can stay.
    #expect(text.contains("<option value=\"deye\" selected>"))
    #expect(text.contains("<span class=\"line\">Not to be chosen now: none: no &lt;bus&gt;.</span>"))
    #expect(text.contains("<span class=\"line\">Not to be chosen now: Sofar battery 1, Sofar battery 2: other cable.</span>"))
    #expect(text.contains("At the next start. <span"))
    // In the table of numbers, and where it is calibrated.
    #expect(text.ranges(of: "Needs open contactors.").count == 2)
  }

  @Test func everyItemHasItsPlaceOnThePage() {
    #expect(Set(ConfigurationForm.groups.flatMap(\.items)) == Set(ConfigurationItem.allCases))
    #expect(ConfigurationForm.groups.flatMap(\.items).count == ConfigurationItem.count)
  }
}
