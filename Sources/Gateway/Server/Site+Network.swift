import Analysis
import Bus
import HostIO

/// `/wifi`.
extension Site {
  func networkPage(_ request: PageRequest, notice: String? = nil, status: Int = 200) async -> PageResponse {
    let answer = await network.networks()
    let notice = notice ?? lastJoining
    let csrf = session(request)?.csrf
    let interfaces = NetworkInterface.all().map { one -> HTML in
      "<tr><th scope=\"row\">\(one.name)</th><td>\(one.isWireless ? "WiFi" : "cable")</td><td>\(one.hasCarrier ? "connected" : "not connected")</td></tr>"
    }
    let networks = answer.networks.map { one -> HTML in
      "<tr><th scope=\"row\">\(one.name)</th><td>\(one.signal) %</td><td>\(one.isSecured ? "password" : "open")</td><td>\(one.isActive ? "connected" : "")</td></tr>"
    }
    let list: HTML =
      answer.words.map { "<p>\($0)</p>" }
      ?? "<div class=\"scroll\" role=\"region\" aria-label=\"WiFi networks\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Network</th><th scope=\"col\">Signal</th><th scope=\"col\">Security</th><th scope=\"col\">State</th></tr></thead><tbody>\(networks)</tbody></table></div>"
    let form: HTML =
      !answer.canConnect
      ? .empty
      : csrf.map { csrf -> HTML in
        """
        <form method="post" action="/wifi" class="narrow"><input type="hidden" name="csrf" value="\(csrf)">
        <label for="ssid">Network</label><input id="ssid" name="ssid" maxlength="32" required autocomplete="off">
        <label for="psk">Password; empty for an open network</label><input id="psk" name="psk" type="password" maxlength="64" autocomplete="off">
        <p><label><input type="checkbox" name="hidden"> A hidden network: it is not in the list</label></p>
        <div class="buttons"><button class="primary" type="submit">Connect</button></div>
        <p class="help">The network before stays set up until the new one works. Whoever reads this through LinkBMS-… loses the
        connection: these pages are then in the network that was chosen, or again in LinkBMS-… with the reason why not.</p></form>
        """
      } ?? "<p class=\"notice\"><a href=\"/login?next=/wifi\">Log in</a> to change the network.</p>"
    let naming = await naming(csrf)
    let main: HTML = """
      <h1>Network</h1>\(notice.map { "<p class=\"notice\" role=\"status\">\($0)</p>" as HTML } ?? .empty)
      <h2>Interfaces</h2><table><thead><tr><th scope="col">Interface</th><th scope="col">Kind</th><th scope="col">State</th></tr></thead><tbody>\(interfaces)</tbody></table>
      <h2>WiFi</h2>\(list)\(form)
      <h2>Name in the network</h2>\(naming)

      """
    var shown = request
    shown.path = "/wifi"
    return page(shown, "Network", main, status: status)
  }

  private func naming(_ csrf: String?) async -> HTML {
    let known: String?
    let words: HTML
    if let (claimed, state) = name?.now {
      known = claimed
      words =
        switch state {
        case .published: "<p>These pages are found as <strong>\(claimed)</strong>.</p>"
        case .claiming: "<p>The name \(claimed) is being claimed.</p>"
        case .waiting(let why): "<p class=\"notice bad\" role=\"alert\">The name \(claimed) is not found yet: \(why).</p>"
        }
    } else {
      known = await network.name()
      words = """
        <p>\(known.map { "This machine is called \($0)" } ?? "This machine is called by its host name"): where avahi-daemon runs, it is found as
        \(known ?? "NAME").local.</p>
        """
    }
    let form: HTML =
      known.map { _ in
        csrf.map { csrf -> HTML in
          """
          <form method="post" action="/wifi/name" class="narrow"><input type="hidden" name="csrf" value="\(csrf)">
          <label for="name">Another name: letters, digits, hyphens, such as BMS1</label><input id="name" name="name" maxlength="63" required autocomplete="off">
          <div class="buttons"><button type="submit">Rename</button></div></form>
          """
        } ?? "<p class=\"notice\"><a href=\"/login?next=/wifi\">Log in</a> to change the name.</p>"
      } ?? "<p>Set it with <code>hostnamectl set-hostname NAME</code>.</p>"
    return words + form + "<p class=\"help\">Where two machines want one name, the second is found with -2 behind it.</p>"
  }

  func rename(_ request: PageRequest) async -> PageResponse {
    let label = (request.form["name"] ?? "").trimmed
    let problem = if let name { await name.rename(label) } else { await network.rename(label) }
    return await networkPage(request, notice: problem ?? "Renamed.", status: problem == nil ? 200 : 422)
  }

  func connect(_ request: PageRequest) async -> PageResponse {
    let name = request.form["ssid"] ?? ""
    let problem = await network.connect(name, password: request.form["psk"] ?? "", isHidden: request.form["hidden"] != nil)
    let time = CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns))
    keep(joining: "The last network that was asked for, \(name.prefix(32)) at \(time) UTC: \(problem ?? "Connected.")")
    return await networkPage(request, notice: problem ?? "Connected.", status: problem == nil ? 200 : 422)
  }
}
