import Controller
import Formats

/// The page `/config`.
struct ConfigurationPage {
  var form: ConfigurationForm
  var snapshot: Snapshot?
  /// The token of who is logged in; `nil` shows the values and changes nothing.
  var csrf: String?
  /// What has just been done or refused.
  var notice: String?
  /// What a person is to know of an item beside its help.
  var notes: [ConfigurationItem: String] = [:]
  /// Protocols that cannot be chosen now, and why.
  var barred: [InverterProtocol: String] = [:]
  /// What was typed for a calibration, and refused.
  var entry: Entry?

  /// A calibration that was refused.
  struct Entry {
    /// Which of the points.
    var place: String
    var typed: String
    var refusal: String
  }

  // Enter in a field presses the first button of its form: that is a Save of its own, not the one of a preset.
  func html() -> HTML {
    let groups = ConfigurationForm.groups.map { group -> HTML in
      let fields = group.items.map(field)
      let isFolded = group.name == "Calibration points"
      if isFolded {
        return
          "<details><summary>\(group.name): raw readings and true values as numbers</summary><fieldset><legend>\(group.name)</legend><div class=\"fields\">\(fields)</div></fieldset></details>\n"
      }
      return
        "<fieldset><legend>\(group.name)</legend><div class=\"fields\">\(fields)</div>\(group.name == "Battery" ? presets : HTML.empty)</fieldset>\n"
    }
    let count = form.refusals.count
    let refused =
      count == 1 ? "1 field is refused; the reason stands below it." : "\(count) fields are refused; the reason stands below each."
    let problems = form.general + (count == 0 ? [] : [refused])
    let isLocked = csrf == nil
    let locked: HTML =
      isLocked
      ? "<p class=\"notice\">Everybody may look. <a href=\"/login?next=/config\">Log in</a> to change anything.</p>" : .empty
    return """
      <h1>Configuration</h1>
      \(notice.map { "<p class=\"notice\" role=\"status\">\($0)</p>" as HTML } ?? .empty)\(locked)
      \(problems.map { "<p class=\"notice bad\" role=\"alert\">\($0)</p>" as HTML })
      <form method="post" action="/config"><fieldset class="plain" \(isLocked ? "disabled" as HTML : .empty)><legend class="hidden">All items</legend>
      \(token)<input type="hidden" name="sensors" value="1"><button class="hidden" type="submit" tabindex="-1" aria-hidden="true">Save</button>
      \(groups)\(sensors)
      <div class="buttons"><button class="primary" type="submit">Save</button></div>
      <p class="help">Before anything that may move a contactor the changes are shown once more.</p></fieldset></form>
      \(calibration)
      <h2>Reset</h2>
      <form method="post" action="/reset">\(token)<p>“Reset BMS” opens the contactors until communication is established again.</p>
      <button class="danger" type="submit" \(isLocked ? "disabled" as HTML : .empty)>Reset BMS …</button></form>

      """
  }

  private var token: HTML { csrf.map { "<input type=\"hidden\" name=\"csrf\" value=\"\($0)\">" } ?? .empty }

  private var presets: HTML {
    """
    <p class="buttons"><button type="submit" formaction="/config/preset-lfp">Fill in LFP</button>
    <button type="submit" formaction="/config/preset-li-ion">Fill in Li-ion</button>
    <span class="help">A preset fills every cell voltage; nothing is saved yet.</span></p>
    """
  }

  private func field(_ item: ConfigurationItem) -> HTML {
    let (row, text) = (item.row, form.texts[item] ?? "")
    let refusals = form.refusals[item] ?? []
    let described = "h-\(row.key)" + (refusals.isEmpty ? "" : " e-\(row.key)")
    let invalid: HTML = refusals.isEmpty ? .empty : " aria-invalid=\"true\""
    let unit = row.unit.isEmpty ? "" : " (\(row.unit))"
    let input: HTML
    if item == .inverterProtocol {
      let options = InverterProtocol.allCases.map { choice -> HTML in
        let state: HTML = choice.word == text ? " selected" : barred[choice] == nil ? .empty : " disabled"
        return "<option value=\"\(choice.word)\"\(state)>\(ConfigurationPage.name(choice))</option>"
      }
      input = "<select id=\"\(row.key)\" name=\"\(row.key)\" aria-describedby=\"\(described)\"\(invalid)>\(options)</select>"
    } else {
      input =
        "<input id=\"\(row.key)\" name=\"\(row.key)\" value=\"\(text)\" inputmode=\"decimal\" autocomplete=\"off\" maxlength=\"20\" aria-describedby=\"\(described)\"\(invalid)>"
    }
    let reasons = refusals.map { "<span class=\"line\">\($0)</span> " as HTML }
    let error: HTML = refusals.isEmpty ? .empty : "<p class=\"error\" id=\"e-\(row.key)\">\(reasons)</p>"
    return """
      <div class="field"><label for="\(row.key)">\(ConfigurationPage.name(item))\(unit)</label>\(input)
      <p class="help" id="h-\(row.key)">\(row.help) \(item.rangeText).\(note(item))</p>\(error)</div>

      """
  }

  private func note(_ item: ConfigurationItem) -> HTML {
    let note: HTML = notes[item].map { " \($0)" } ?? .empty
    return item == .inverterProtocol ? note + barrings : note
  }

  /// Which protocols cannot be chosen, those with one reason together.
  private var barrings: HTML {
    var lines: [(names: [String], reason: String)] = []
    for choice in InverterProtocol.allCases {
      guard let reason = barred[choice] else { continue }
      let name = ConfigurationPage.name(choice)
      if let place = lines.firstIndex(where: { $0.reason == reason }) {
        lines[place].names.append(name)
      } else {
        lines.append(([name], reason))
      }
    }
    let spans = lines.map { line -> HTML in
      let names = line.names.joined(separator: ", ")
      return " <span class=\"line\">Not to be chosen now: \(names): \(line.reason).</span>"
    }
    return "\(spans)"
  }

  /// A protocol as people know it.
  private static func name(_ choice: InverterProtocol) -> String { protocolNames[choice.word] ?? choice.word }

  private static let protocolNames = [
    "none": "none", "deye": "Deye", "goodwe": "GoodWe", "pylontech": "Pylontech H2", "sofar1": "Sofar battery 1",
    "sofar2": "Sofar battery 2",
  ]

  /// `cell-charge-disable` as people read it.
  static func name(_ item: ConfigurationItem) -> String {
    switch item {
    case .cellChargeDisable: "Cell charge disable (SOC 100 %)"
    case .cellDischargeDisable: "Cell discharge disable (SOC 0 %)"
    default:
      item.row.key.split(separator: "-").map { ["bms1", "bms2", "ntc"].contains($0) ? $0.uppercased() : String($0) }
        .joined(separator: " ").capitalizedFirst
    }
  }

  private var sensors: HTML {
    let known = form.configuration ?? snapshot?.configuration ?? Configuration()
    let lists = ChainNumber.allCases.flatMap { chain in
      (0..<known.slaves(chain)).map { module -> HTML in
        let slot = chain.index * 15 + module
        let boxes = (1...5).map { sensor -> HTML in
          let isOn = form.sensors[slot] & 1 << UInt8(sensor - 1) != 0
          return
            "<label><input type=\"checkbox\" name=\"\(ConfigurationForm.sensorName(slot, sensor))\" \(isOn ? "checked" as HTML : .empty)> T\(sensor)</label>"
        }
        return "<fieldset class=\"checks\"><legend>\(chain.word) module \(module + 1)</legend>\(boxes)</fieldset>"
      }
    }
    return """
      <details><summary>Enable/disable temperature sensors</summary>
      <p class="help">Tick the sensors that are connected. With none ticked the system runs without temperatures.</p>
      <div class="fields">\(lists)</div></details>

      """
  }

  // MARK: Calibration

  private var calibration: HTML {
    let readings = snapshot?.readings
    let values = snapshot?.values
    let current = ParameterView.shown(values?.current_mA, 3, 3)
    let rows: [(String, String, ConfigurationItem, Int32?, String, String)] = [
      ("current-low", "Current, low point", .currentLow, readings?.currentRaw, current, "A"),
      ("current-high", "Current, high point", .currentHigh, readings?.currentRaw, current, "A"),
      ("v-in", "V-in", .inputHigh, readings?.inputRaw, ParameterView.shown(values?.input_mV, 3, 3), "V"),
      ("v-out", "V-out", .outputHigh, readings?.outputRaw, ParameterView.shown(values?.output_mV, 3, 3), "V"),
    ]
    let forms = rows.map { key, name, item, raw, value, unit -> HTML in
      let refused = entry?.place == key ? entry : nil
      let described = "calh-\(key)" + (refused == nil ? "" : " cale-\(key)")
      let invalid: HTML = refused == nil ? .empty : " aria-invalid=\"true\""
      let error: HTML = refused.map { "<p class=\"error\" id=\"cale-\(key)\">\($0.refusal)</p>" } ?? .empty
      return """
        <form method="post" action="/config/calibrate" class="field">\(token)<input type="hidden" name="point" value="\(key)">
        <label for="cal-\(key)">\(name): true value (\(unit))</label>
        <input id="cal-\(key)" name="value" value="\(refused?.typed ?? "")" inputmode="decimal" autocomplete="off" maxlength="20" aria-describedby="\(described)"\(invalid) \(csrf == nil ? "disabled" as HTML : .empty)>
        <p class="help" id="calh-\(key)">Raw reading \(raw.map(String.init) ?? "–"), shown as \(value) \(unit).\(note(item))</p>\(error)
        <button type="submit" \(csrf == nil ? "disabled" as HTML : .empty)>Calculate …</button></form>

        """
    }
    return """
      <h2 id="calibration">Calibration</h2>
      <p class="help">Give what a good instrument shows. The raw reading and the result are shown before anything is stored. Calibrate the
      current low at 0 A with no current flowing, high at a high known current. Low alone shifts the offset.</p>
      <div class="fields">\(forms)</div>

      """
  }
}

extension String {
  fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
