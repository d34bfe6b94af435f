import Bus
import Formats
import Protocols
import Simulation
import Testing

@testable import Analysis

@Suite struct WiresharkPluginTests {
  private static let plugin = WiresharkPlugin(Shipped.library.definitions, version: "1")

  @Test func theSameDefinitionsGiveTheSameBytes() {
    // Another library: its dictionaries have grown in another order.
    let again = DefinitionLibrary(files: Shipped.files.reversed())
    #expect(WiresharkPlugin(again.definitions, version: "1").text == WiresharkPluginTests.plugin.text)
    #expect(WiresharkPluginTests.plugin.omissions.isEmpty)
  }

  @Test func everyFieldHasANameThatWiresharkTakesAndOneType() {
    for definition in Shipped.library.definitions {
      let each = WiresharkProtocol(definition)
      for message in each.messages {
        var types: [String: WiresharkSignal.FieldType] = [:]
        for signal in message.signals {
          #expect(
            !signal.field.isEmpty
              && signal.field.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F })
          #expect(types[signal.field] == nil || types[signal.field] == signal.type, "\(message.name).\(signal.field)")
          types[signal.field] = signal.type
        }
      }
    }
  }

  @Test(arguments: [
    ("PackVoltage", "pack_voltage"), ("Name1", "name1"), ("BMSState", "bms_state"), ("SOC", "soc"), ("Cell12Volts", "cell12_volts"),
    ("pylontech-hv", "pylontech_hv"), ("ANx_TEMP_DIAG", "a_nx_temp_diag"), ("°", "unnamed"), ("", "unnamed"), ("a  b-", "a_b"),
    ("Modules48V", "modules48_v"),
  ])
  func namesBecomeFields(name: String, field: String) { #expect(LuaText.fieldName(name) == field) }

  @Test(arguments: [
    ("plain °C", "\"plain °C\""), ("a\"b\\c", "\"a\\\"b\\\\c\""), ("line\nend", "\"line\\nend\""), ("\u{0}7\r", "\"\\0007\\013\""),
    ("]]--", "\"]]--\""), ("\u{202E}", "\"\\226\\128\\174\""), ("\u{85}", "\"\\194\\133\""),
  ])
  func textStaysData(text: String, literal: String) { #expect(LuaText.quoted(text) == literal) }

  /// What a definition says must not become code, wherever it stands.
  @Test func aHostileDefinitionStaysInItsStrings() {
    let evil = "\"}} os.execute('x') --\n]] error() \\"
    var message = DBCMessage(id: .standard(0x10), name: evil, length: 8, sender: nil)
    var signal = DBCSignal(name: evil, startBit: 0, bitLength: 8, unit: evil)
    signal.comment = evil
    signal.values = [DBCValue(1, evil)]
    message.signals = [signal, signal]
    var dbc = DBCFile()
    dbc.messages = [message, message]
    var sidecar = Sidecar()
    (sidecar.protocolName, sidecar.title) = (evil, evil)
    sidecar.flags = [evil: SignalFlag(severity: .alarm, text: evil)]
    var defaults = WiresharkPlugin.Defaults()
    (defaults.profile, defaults.buses) = (evil, evil)
    let text = WiresharkPlugin([Definition(sidecar: sidecar, dbc: dbc)], defaults: defaults, version: evil).text
    for line in text.split(separator: "\n") where line.contains("os.execute") {
      let isComment = line.hasPrefix("--")
      #expect(isComment || line.contains(LuaText.quoted(evil)), "\(line)")
      // With the literals taken out nothing of it is left.
      #expect(isComment || !line.replacing(LuaText.quoted(evil), with: "").contains("os.execute"), "\(line)")
    }
    #expect(text.contains("field = \"os_execute_x_error\"") && text.contains("field = \"os_execute_x_error_2\""))
  }

  /// The tables, looked up as the plugin does, give the plan that `decode` uses: for every variant, and for readings by chance.
  @Test func layoutsOfEveryChoiceAreThoseOfThePlan() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix64(seed: seed)
    for definition in Shipped.library.definitions {
      let each = WiresharkProtocol(definition)
      for variant in [nil] + definition.sidecar.variants.map(Optional.some) {
        for round in 0..<4 {
          var readings: [String: String] = [:]
          for reading in definition.sidecar.readings where round > 0 && random.next() % 2 == 0 {
            readings[reading.name] = reading.options[Int(random.next() % UInt64(reading.options.count))].name
          }
          let place = "\(definition.protocolName) \(variant?.name ?? "-") \(readings) seed \(seed)"
          check(each, definition.plan(variant: variant, readings: readings), variant, readings, place)
        }
      }
    }
  }

  private func check(
    _ each: WiresharkProtocol, _ plan: DissectionPlan, _ variant: Sidecar.Variant?, _ readings: [String: String], _ place: String
  ) {
    let own = each.variants.first { $0.name == variant?.name }
    var choice = own?.choice ?? each.readings.map { _ in 0 }
    for (index, reading) in each.readings.enumerated() {
      if let name = readings[reading.name] { choice[index] = reading.options.firstIndex(of: name) ?? -1 }
    }
    var slots: [UInt32: (message: Int, address: Int?)] = [:]
    for row in each.idSets[own?.idSet ?? 0] where layout(each, row.message, choice) != nil {
      let addresses = row.addresses.map { Array($0.first...$0.last) } ?? [0]
      for address in addresses {
        let id = row.id.rawValue + UInt32(address - addresses[0]) * (row.addresses?.step ?? 0)
        if slots[id] == nil { slots[id] = (row.message, row.addresses == nil ? nil : address) }
      }
    }
    #expect(Set(slots.keys) == Set(plan.plan.slots.map(\.id.rawValue)), "\(place)")
    for slot in plan.plan.slots {
      guard let found = slots[slot.id.rawValue], plan.plan.slot(of: slot.id).map({ plan.plan.slots[$0] }) == slot else { continue }
      #expect(found.address == (slot.hasAddress ? Int(slot.address) : nil), "\(place)")
      let message = each.messages[found.message]
      #expect(message.name == plan.messages[Int(slot.message)].name, "\(place)")
      let signals = (layout(each, found.message, choice) ?? []).map { message.signals[$0] }
      let first = Int(plan.plan.messages[Int(slot.message)].firstSignal)
      #expect(signals.count == Int(plan.plan.messages[Int(slot.message)].signalCount), "\(place) \(message.name)")
      for (index, signal) in signals.enumerated() {
        var expected = plan.plan.signals[first + index]
        expected.firstRange = signal.plan.firstRange
        #expect(signal.plan == expected && signal.info.name == plan.signals[first + index].name, "\(place) \(message.name)")
        #expect(signal.info.labels == plan.signals[first + index].labels && signal.info.flag == plan.signals[first + index].flag)
      }
    }
  }

  private func layout(_ each: WiresharkProtocol, _ message: Int, _ choice: [Int]) -> [Int]? {
    var place = 0
    for dimension in each.messages[message].dimensions {
      place = place * each.readings[dimension].options.count + choice[dimension]
    }
    return each.messages[message].layouts[place]
  }

  /// A signal's span of bytes holds the bits that its plan takes out of a 64-bit window.
  @Test func spansHoldWhatPlansCut() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix64(seed: seed)
    var tried = 0
    while tried < 2000 {
      let isBig = random.next() % 2 == 0
      let signal = DBCSignal(
        name: "S", startBit: Int(random.next() % 64), bitLength: Int(random.next() % 64) + 1,
        byteOrder: isBig ? .bigEndian : .littleEndian)
      guard let plan = PlanCompiler.plan(of: signal, in: DBCMessage(id: .standard(1), name: "M", length: 8)), plan.bytesNeeded <= 8
      else { continue }
      tried += 1
      let bytes = (0..<8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let entry = WiresharkSignal(field: "s", type: .double, info: SignalInfo(name: "S"), plan: plan)
      let span = entry.span
      try #require(span.first >= 0 && span.count >= 1 && span.first + span.count == Int(plan.bytesNeeded), "seed \(seed)")
      let slice = bytes[span.first..<span.first + span.count]
      let value = (isBig ? Array(slice) : slice.reversed()).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      #expect(
        value >> UInt64(span.shift) & plan.mask == UInt64(bitPattern: plan.raw(word, swapped: word.byteSwapped)), "seed \(seed)")
    }
  }

  @Test func whatWasIdentifiedBecomesThePreference() {
    var first = BusIdentification(bus: "can0")
    (first.protocolName, first.variant, first.readings) = ("pylontech-hv", "pylon-std", ["byteOrder": "big", "a": "b"])
    var other = BusIdentification(bus: "can0")
    other.protocolName = "sofar"
    first.others = [other]
    #expect(
      WiresharkPlugin.buses([first, BusIdentification(bus: "can1")])
        == "can0=pylontech-hv/pylon-std,a:b,byteOrder:big & sofar; can1=none")
  }

  @Test func chainFieldsHaveOneTypeEach() {
    var types: [String: WiresharkSignal.FieldType] = [:]
    for rule in WiresharkChain.groups.flatMap(\.rules) {
      let field = LuaText.fieldName(rule.name)
      #expect(types[field] == nil || types[field] == WiresharkChain.type(of: rule), "\(field)")
      #expect(
        ![
          "number", "kind", "bits", "duration", "generation", "node", "command", "register", "data", "tag", "counter", "crc",
          "intact",
        ].contains(field))
      types[field] = WiresharkChain.type(of: rule)
    }
    #expect(types["voltage"] == .double && types["cells"] == .string)
  }
}
