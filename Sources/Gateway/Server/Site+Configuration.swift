import Controller
import Formats

/// `/config`: look, save, preset, calibrate, reset, and the second confirmation.
extension Site {
  func configuration(_ request: PageRequest) -> PageResponse {
    let moment = moment
    guard let snapshot = moment.snapshot else { return nothingKnown(request, status: 200) }
    var notices: [String] = []
    if let number = request.query["done"].flatMap({ UInt64($0) }) {
      notices.append(
        hub.answer(to: number).map { "The controller's answer: \($0.text)" }
          ?? "Handed to the controller. Load this page again to see what became of it.")
    } else if let answer = moment.answer {
      notices.append("The controller's last answer: \(answer)")
    }
    if !moment.isConnected {
      notices.append("No connection with the BMS: below stands what it worked by last, and nothing can be saved.")
    }
    return configuration(
      request, ConfigurationForm(snapshot.configuration), notice: notices.isEmpty ? nil : notices.joined(separator: " "))
  }

  private func configuration(
    _ request: PageRequest, _ form: ConfigurationForm, entry: ConfigurationPage.Entry? = nil, notice: String? = nil,
    status: Int = 200
  ) -> PageResponse {
    var shown = request
    shown.path = "/config"
    let (snapshot, rules) = (moment.snapshot, hub.rules)
    var page = ConfigurationPage(form: form, snapshot: snapshot, csrf: session(request)?.csrf, notice: notice)
    page.entry = entry
    page.notes = rules?.notes ?? [:]
    if let snapshot, let rules { page.barred = Site.barred(snapshot, rules) }
    return self.page(shown, "Configuration", page.html(), status: status)
  }

  /// Protocols that would be refused now whatever else is saved, and why.
  private static func barred(_ snapshot: Snapshot, _ rules: CommandRules) -> [InverterProtocol: String] {
    var barred: [InverterProtocol: String] = [:]
    for choice in InverterProtocol.allCases where choice.rawValue != snapshot.configuration[.inverterProtocol] {
      var wanted = snapshot.configuration
      wanted[.inverterProtocol] = choice.rawValue
      guard let refusal = rules.refusal(.configure(wanted), snapshot), refusal.item == .inverterProtocol else { continue }
      barred[choice] = refusal.reason
    }
    return barred
  }

  /// Before the controller has said anything: defaults would look like what it works by.
  private func nothingKnown(_ request: PageRequest, status: Int = 503) -> PageResponse {
    var shown = request
    shown.path = "/config"
    return page(
      shown, "Configuration",
      """
      <h1>Configuration</h1>
      <p class="notice bad" role="alert">The controller has said nothing yet: what it works by is not known, and nothing can be changed.
      <a href="/config">Load this page again</a> in a moment.</p>

      """, status: status)
  }

  func save(_ request: PageRequest) async -> PageResponse {
    let moment = moment
    guard let last = moment.snapshot else { return nothingKnown(request) }
    var form = ConfigurationForm(request.form, base: last.configuration)
    guard let snapshot = moment.current else {
      return configuration(
        request, form,
        notice: "Nothing was saved: no connection with the BMS. What was typed stands below: save it when the BMS is there again.",
        status: 503)
    }
    guard form.isGood, let wanted = form.configuration else {
      return configuration(request, form, notice: "Nothing was saved.", status: 422)
    }
    let changes = ConfigurationForm.changes(from: snapshot.configuration, to: wanted)
    if changes.isEmpty, snapshot.violations == 0 { return configuration(request, form, notice: "Nothing was changed.") }
    if let refusal = hub.rules?.refusal(.configure(wanted), snapshot) {
      form.refuse(refusal)
      return configuration(request, form, notice: "Nothing was saved.", status: 409)
    }
    guard ConfigurationForm.mayMoveContactors(from: snapshot.configuration, to: wanted, isRefused: snapshot.violations > 0) else {
      return await hand(request, .configure(wanted))
    }
    return confirmation(request, .configure(wanted), title: "Save the configuration", lines: changes)
  }

  func preset(_ request: PageRequest, _ preset: Configuration.Preset) -> PageResponse {
    guard let snapshot = moment.snapshot else { return nothingKnown(request) }
    var form = ConfigurationForm(request.form, base: snapshot.configuration)
    form.apply(preset)
    return configuration(
      request, form, notice: "Filled with the preset \(preset == .lfp ? "LFP" : "Li-ion"). Nothing is saved before you press Save.")
  }

  /// Raw reading and result, before anything is stored. Source: spec/controller.md §8.
  func calibrate(_ request: PageRequest) -> PageResponse {
    let moment = moment
    guard let last = moment.snapshot else { return nothingKnown(request) }
    let (place, typed) = (request.form["point"] ?? "", String((request.form["value"] ?? "").trimmed.prefix(40)))
    func refused(_ reason: String, status: Int = 422) -> PageResponse {
      self.refused(request, last, ConfigurationPage.Entry(place: place, typed: typed, refusal: reason), status: status)
    }
    guard let snapshot = moment.current else { return refused("no connection with the BMS", status: 503) }
    let unit = place.hasPrefix("current") ? "A" : "V"
    guard let value = FixedDecimal.value(typed.replacing(",", with: "."), decimals: 3), value.magnitude <= 1_000_000 else {
      return refused("found \"\(typed)\", expected a number with at most three decimals, in \(unit)")
    }
    guard let point = Calibration.Point(place, snapshot.readings, value) else {
      return configuration(
        request, ConfigurationForm(snapshot.configuration), notice: "Calibration: this point is not known.", status: 422)
    }
    guard let changed = Calibration.applying(point, to: snapshot.configuration), changed.violationCount == 0 else {
      return refused(
        "\(FixedDecimal.text(value, decimals: 3)) \(unit) is closer than 5 % of full scale to the other point, "
          + "or the raw reading (\(point.raw)) does not differ from it")
    }
    if let refusal = hub.rules?.refusal(.calibrate(point), snapshot) { return refused(refusal.reason, status: 409) }
    return confirmation(
      request, .calibrate(point), base: snapshot.configuration, title: "Calibrate",
      lines: [
        "Raw reading \(point.raw)", "Shown until now: \(point.result(snapshot.configuration)) \(unit)",
        "Shown after: \(point.result(changed)) \(unit)",
      ] + ConfigurationForm.changes(from: snapshot.configuration, to: changed))
  }

  private func refused(
    _ request: PageRequest, _ snapshot: Snapshot, _ entry: ConfigurationPage.Entry, status: Int
  ) -> PageResponse {
    configuration(
      request, ConfigurationForm(snapshot.configuration), entry: entry,
      notice: "Nothing was calibrated; the reason stands under Calibration, below the point.", status: status)
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

  func confirm(_ request: PageRequest, _ cookie: String) async -> PageResponse {
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
    return await hand(request, pending.command)
  }

  // MARK: What becomes of it

  /// Hands it over, and waits a moment for the answer: nobody is sent away with a promise where what became of it is known at once.
  private func hand(_ request: PageRequest, _ command: GatewayCommand) async -> PageResponse {
    guard let number = hub.send(command) else {
      return .text("The controller does not take orders just now; nothing was done.\n", status: 503)
    }
    guard let refusal = await answer(to: number)?.refusal, let snapshot = moment.snapshot else {
      return .redirect("/config?done=\(number)")
    }
    switch command {
    case .calibrate(let point):
      let entry = ConfigurationPage.Entry(place: point.place, typed: point.typed, refusal: refusal.reason)
      return refused(request, snapshot, entry, status: 409)
    case .configure(let wanted):
      var form = ConfigurationForm(wanted)
      form.refuse(refusal)
      return configuration(request, form, notice: "Nothing was saved.", status: 409)
    case .reset, .hold, .release:
      return configuration(
        request, ConfigurationForm(snapshot.configuration), notice: "Refused: \(refusal.reason)", status: 409)
    }
  }

  /// What the controller says to a command; `nil` where it takes longer than a page can wait.
  private func answer(to number: UInt64) async -> CommandAnswer? {
    let end = ContinuousClock.now + answerPatience
    while true {
      if let answer = hub.answer(to: number) { return answer }
      guard ContinuousClock.now < end, !isStopping else { return nil }
      do { try await Task.sleep(for: .milliseconds(50)) } catch { return nil }
    }
  }
}

/// A point as the page names it, and what it shows.
extension Calibration.Point {
  /// The point of a form's field; `nil` where there is none of that name.
  /// - Parameter value: the true one, thousandths.
  init?(_ place: String, _ readings: Readings, _ value: Int32) {
    switch place {
    case "current-low": self = .currentLow(raw: readings.currentRaw, milliamperes: value)
    case "current-high": self = .currentHigh(raw: readings.currentRaw, milliamperes: value)
    case "v-in": self = .input(raw: readings.inputRaw, millivolts: value)
    case "v-out": self = .output(raw: readings.outputRaw, millivolts: value)
    default: return nil
    }
  }

  /// The form's name for it.
  var place: String {
    switch self {
    case .currentLow: "current-low"
    case .currentHigh: "current-high"
    case .input: "v-in"
    case .output: "v-out"
    }
  }

  /// The reading that it was given for.
  var raw: Int32 {
    switch self {
    case .currentLow(let raw, _), .currentHigh(let raw, _), .input(let raw, _), .output(let raw, _): raw
    }
  }

  /// The true value as it was typed.
  var typed: String {
    switch self {
    case .currentLow(_, let value), .currentHigh(_, let value), .input(_, let value), .output(_, let value):
      FixedDecimal.text(value, decimals: 3)
    }
  }

  /// What a configuration makes of the reading.
  func result(_ configuration: Configuration) -> String {
    switch self {
    case .currentLow, .currentHigh: FixedDecimal.text(Calibration.current(raw, configuration), decimals: 3)
    case .input: FixedDecimal.text(Calibration.input(raw, configuration), decimals: 3)
    case .output: FixedDecimal.text(Calibration.output(raw, configuration), decimals: 3)
    }
  }
}
