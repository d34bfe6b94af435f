import Controller
import Formats

/// `/config`: look, save, preset, calibrate, reset, and the second confirmation.
extension Site {
  func configuration(_ request: PageRequest) -> PageResponse {
    let moment = moment
    let done = [
      "saved": "Handed to the controller. Load this page again to see what became of it.",
      "reset": "Reset handed to the controller.",
    ]
    let notices = [request.query["done"].flatMap { done[$0] }, moment.answer.map { "The controller's last answer: \($0)" }]
    return configuration(
      request, ConfigurationForm(moment.snapshot?.configuration ?? Configuration()),
      notice: notices.contains { $0 != nil } ? notices.compactMap { $0 }.joined(separator: " ") : nil)
  }

  private func configuration(_ request: PageRequest, _ form: ConfigurationForm, notice: String? = nil, status: Int = 200)
    -> PageResponse
  {
    var shown = request
    shown.path = "/config"
    let page = ConfigurationPage(form: form, snapshot: moment.snapshot, csrf: session(request)?.csrf, notice: notice)
    return self.page(shown, "Configuration", page.html(), status: status)
  }

  func save(_ request: PageRequest, _ session: Doors.Session) -> PageResponse {
    guard let snapshot = moment.current else {
      return configuration(
        request, ConfigurationForm(Configuration()), notice: "Nothing was saved: no connection with the BMS.", status: 503)
    }
    let form = ConfigurationForm(request.form, base: snapshot.configuration)
    guard form.isGood, let wanted = form.configuration else {
      return configuration(request, form, notice: "Nothing was saved.", status: 422)
    }
    let changes = ConfigurationForm.changes(from: snapshot.configuration, to: wanted)
    if changes.isEmpty, snapshot.violations == 0 { return configuration(request, form, notice: "Nothing was changed.") }
    guard ConfigurationForm.mayMoveContactors(from: snapshot.configuration, to: wanted, isRefused: snapshot.violations > 0) else {
      return hand(.configure(wanted), done: "saved")
    }
    return confirmation(request, .configure(wanted), title: "Save the configuration", lines: changes)
  }

  func preset(_ request: PageRequest, _ preset: Configuration.Preset, _ session: Doors.Session) -> PageResponse {
    var form = ConfigurationForm(request.form, base: moment.snapshot?.configuration ?? Configuration())
    form.apply(preset)
    return configuration(
      request, form, notice: "Filled with the preset \(preset == .lfp ? "LFP" : "Li-ion"). Nothing is saved before you press Save.")
  }

  /// Raw reading and result, before anything is stored. Source: spec/controller.md §8.
  func calibrate(_ request: PageRequest) -> PageResponse {
    guard let snapshot = moment.current else { return .text("No connection with the BMS.\n", status: 503) }
    let old = ConfigurationForm(snapshot.configuration)
    let typed = (request.form["value"] ?? "").trimmed.replacing(",", with: ".")
    let unit = (request.form["point"] ?? "").hasPrefix("current") ? "A" : "V"
    guard let value = FixedDecimal.value(typed, decimals: 3), value.magnitude <= 1_000_000 else {
      return configuration(
        request, old,
        notice: "Calibration: found \"\(typed.prefix(40))\", expected a number with at most three decimals, in \(unit).",
        status: 422)
    }
    let readings = snapshot.readings
    let point: Calibration.Point
    let raw: Int32
    switch request.form["point"] {
    case "current-low": (point, raw) = (.currentLow(raw: readings.currentRaw, milliamperes: value), readings.currentRaw)
    case "current-high": (point, raw) = (.currentHigh(raw: readings.currentRaw, milliamperes: value), readings.currentRaw)
    case "v-in": (point, raw) = (.input(raw: readings.inputRaw, millivolts: value), readings.inputRaw)
    case "v-out": (point, raw) = (.output(raw: readings.outputRaw, millivolts: value), readings.outputRaw)
    default: return configuration(request, old, notice: "Calibration: this point is not known.", status: 422)
    }
    guard let changed = Calibration.applying(point, to: snapshot.configuration), changed.violationCount == 0 else {
      return configuration(
        request, old,
        notice:
          "Calibration refused: \(FixedDecimal.text(value, decimals: 3)) \(unit) is closer than 5 % of full scale to the other point, "
          + "or the raw reading (\(raw)) does not differ from it.", status: 422)
    }
    func results(_ configuration: Configuration) -> String {
      switch point {
      case .currentLow, .currentHigh: FixedDecimal.text(Calibration.current(raw, configuration), decimals: 3)
      case .input: FixedDecimal.text(Calibration.input(raw, configuration), decimals: 3)
      case .output: FixedDecimal.text(Calibration.output(raw, configuration), decimals: 3)
      }
    }
    return confirmation(
      request, .configure(changed), base: snapshot.configuration, title: "Calibrate",
      lines: [
        "Raw reading \(raw)", "Shown until now: \(results(snapshot.configuration)) \(unit)",
        "Shown after: \(results(changed)) \(unit)",
      ] + ConfigurationForm.changes(from: snapshot.configuration, to: changed))
  }

  // MARK: The second confirmation

  /// - Parameter base: what the controller worked by when `lines` were made; what it works by now unless given.
  func confirmation(
    _ request: PageRequest, _ command: GatewayCommand, base: Configuration? = nil, title: String, lines: [String]
  ) -> PageResponse {
    var generator = SecretNumbers()
    var shown = base
    if shown == nil, case .configure = command { shown = moment.current?.configuration }
    guard let cookie = request.cookies[Site.cookie], let session = session(request),
      let token = withDoors({ $0.ask(command, base: shown, session: cookie, now: request.now, using: &generator) })
    else { return login(request, status: 401) }
    let list = lines.map { "<li>\($0)</li>" as HTML }
    let main: HTML = """
      <h1>\(title): are you sure?</h1>
      <ul>\(list)</ul>
      <p class="notice bad"><strong>Contactors may open or close by this</strong>, on up to 800 V. Nobody may be working on the battery or its
      wires now.</p>
      <form method="post" action="/confirm"><input type="hidden" name="csrf" value="\(session.csrf)">
      <input type="hidden" name="token" value="\(token)">
      <p><label><input type="checkbox" name="sure" required> I have checked this.</label></p>
      <div class="buttons"><button class="danger" type="submit">Yes, do it</button> <a href="/config">No, go back</a></div></form>
      """
    return page(request, title, main)
  }

  func confirm(_ request: PageRequest, _ cookie: String) -> PageResponse {
    guard request.form["sure"] != nil,
      let pending = withDoors({ $0.confirm(request.form["token"] ?? "", session: cookie, now: request.now) })
    else {
      return page(
        request, "Not done",
        "<h1>Not done</h1><p>The confirmation was not ticked, is older than five minutes, or was used already. <a href=\"/config\">Configuration</a></p>",
        status: 409)
    }
    // Whatever else has changed would be taken back by it, and nobody has seen that.
    if let base = pending.base, moment.current?.configuration != base {
      return page(
        request, "Not done",
        "<h1>Not done</h1><p>The configuration has been changed since this was shown, or the controller is silent: nothing was saved. <a href=\"/config\">Configuration</a></p>",
        status: 409)
    }
    if case .reset = pending.command { return hand(pending.command, done: "reset") }
    return hand(pending.command, done: "saved")
  }

  private func hand(_ command: GatewayCommand, done: String) -> PageResponse {
    guard hub.send(command) else {
      return .text("The controller does not take orders just now; nothing was done.\n", status: 503)
    }
    return .redirect("/config?done=\(done)")
  }
}
