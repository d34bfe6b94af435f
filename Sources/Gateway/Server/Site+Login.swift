/// Login, the first password, logout.
extension Site {
  func login(_ request: PageRequest, refusal: String? = nil, status: Int = 200) -> PageResponse {
    let next = Site.place(request.query["next"] ?? request.form["next"])
    let error: HTML = refusal.map { "<p class=\"notice bad\" role=\"alert\">\($0)</p>" } ?? .empty
    let main: HTML
    if passwords.isSet {
      main = """
        <h1>Log in</h1>\(error)
        <form method="post" action="/login" class="narrow"><input type="hidden" name="next" value="\(next)">
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" maxlength="200" required>
        <div class="buttons"><button class="primary" type="submit">Log in</button></div></form>
        """
    } else {
      main = """
        <h1>Set the password</h1>\(error)
        <p>No password is set yet. The program has printed a code of eight digits where it was started; it shows that you may set one.</p>
        <form method="post" action="/login" class="narrow"><input type="hidden" name="next" value="\(next)">
        <label for="code">Code</label><input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="20" required>
        <label for="password">New password, at least \(PasswordFile.least) characters</label>
        <input id="password" name="password" type="password" autocomplete="new-password" maxlength="200" required>
        <label for="again">The same again</label>
        <input id="again" name="again" type="password" autocomplete="new-password" maxlength="200" required>
        <div class="buttons"><button class="primary" type="submit">Set the password</button></div></form>
        """
    }
    return page(request, "Log in", main, status: status)
  }

  /// Only pages of ours are gone on to.
  private static func place(_ next: String?) -> String {
    (PageFrame.menu.map(\.path) + ["/password"]).first { $0 == next } ?? "/config"
  }

  func logIn(_ request: PageRequest) async -> PageResponse {
    let address = request.address
    if let seconds = secondsToWait(request) {
      return tooMany(request, "Too many wrong passwords from this address: wait \(seconds) s.", seconds)
    }
    let password = request.form["password"] ?? ""
    if passwords.isSet {
      // Counted before it is checked, so that many at once are no way around it.
      withDoors { $0.failed(address, now: request.now) }
      guard await passwords.matches(password) else { return login(request, refusal: "Wrong password.", status: 401) }
    } else {
      if let wait = withDoors({ $0.tryCode(address, now: request.now) }) {
        let seconds = wait.components.seconds + 1
        return tooMany(
          request,
          "Too many wrong codes have been given: everybody has to wait \(seconds) s. On the machine itself (127.0.0.1) nobody waits "
            + "for others, and the program has another code whenever it is started again.", seconds)
      }
      withDoors { $0.failed(address, now: request.now) }
      guard let code = setupCode, Doors.areEqual((request.form["code"] ?? "").trimmed, code) else {
        return login(request, refusal: "Wrong code.", status: 401)
      }
      if let refusal = Site.refusal(of: password, again: request.form["again"]) {
        return login(request, refusal: refusal, status: 422)
      }
      do throws(GatewayError) { try await passwords.set(password) } catch {
        return login(request, refusal: error.description, status: 500)
      }
    }
    var response = PageResponse.redirect(Site.place(request.form["next"]))
    response.headers.append(beginSession(request).header)
    return response
  }

  private func tooMany(_ request: PageRequest, _ refusal: String, _ seconds: Int64) -> PageResponse {
    var refused = login(request, refusal: refusal, status: 429)
    refused.headers.append(("retry-after", String(seconds)))
    return refused
  }

  /// Seconds that an address has to wait after wrong passwords; `nil` = it may try.
  func secondsToWait(_ request: PageRequest) -> Int64? {
    withDoors { $0.wait(request.address, now: request.now) }.map { $0.components.seconds + 1 }
  }

  /// A new login, and the cookie that stands for it.
  func beginSession(_ request: PageRequest) -> (token: String, header: (String, String)) {
    var generator = SecretNumbers()
    let token = withDoors { $0.begin(request.address, now: request.now, using: &generator) }
    let attributes = "Path=/; HttpOnly; SameSite=Strict; Max-Age=43200\(request.isSecure ? "; Secure" : "")"
    return (token, ("set-cookie", "\(Site.cookie)=\(token); \(attributes)"))
  }
}
