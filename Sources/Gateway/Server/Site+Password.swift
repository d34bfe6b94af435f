/// `/password`: another password, for who is logged in and knows the old one.
extension Site {
  func passwordPage(_ request: PageRequest, refusal: String? = nil, notice: String? = nil, status: Int = 200) -> PageResponse {
    let words: HTML =
      refusal.map { "<p class=\"notice bad\" role=\"alert\">\($0)</p>" }
      ?? notice.map { "<p class=\"notice\" role=\"status\">\($0)</p>" } ?? .empty
    let form: HTML =
      session(request).map { session -> HTML in
        """
        <form method="post" action="/password" class="narrow"><input type="hidden" name="csrf" value="\(session.csrf)">
        <label for="old">Old password</label>
        <input id="old" name="old" type="password" autocomplete="current-password" maxlength="200" required>
        <label for="password">New password, at least \(PasswordFile.least) characters</label>
        <input id="password" name="password" type="password" autocomplete="new-password" maxlength="200" required>
        <label for="again">The same again</label>
        <input id="again" name="again" type="password" autocomplete="new-password" maxlength="200" required>
        <div class="buttons"><button class="primary" type="submit">Change the password</button></div>
        <p class="help">Every other login ends.</p></form>
        """
      } ?? "<p class=\"notice\"><a href=\"/login?next=/password\">Log in</a> to change the password.</p>"
    return page(request, "Password", "<h1>Change the password</h1>\(words)\(form)", status: status)
  }

  /// Why a new password is none; `nil` = it may be taken.
  static func refusal(of password: String, again: String?) -> String? {
    guard password.count >= PasswordFile.least, password.utf8.count <= PasswordFile.most else {
      return "The password needs \(PasswordFile.least) to \(PasswordFile.most) characters."
    }
    return password == again ? nil : "The two passwords differ."
  }

  /// Changes it. An open login on a screen that was left alone is no leave to: the old password is asked for, and tries are counted with
  /// those of the login.
  func changePassword(_ request: PageRequest) async -> PageResponse {
    let address = request.address
    let password = request.form["password"] ?? ""
    if let refusal = Site.refusal(of: password, again: request.form["again"]) {
      return passwordPage(request, refusal: refusal, status: 422)
    }
    if let seconds = secondsToWait(request) {
      var refused = passwordPage(request, refusal: "Too many wrong passwords from this address: wait \(seconds) s.", status: 429)
      refused.headers.append(("retry-after", String(seconds)))
      return refused
    }
    // Counted before it is checked, so that many at once are no way around it.
    withDoors { $0.failed(address, now: request.now) }
    guard await passwords.matches(request.form["old"] ?? "") else {
      return passwordPage(request, refusal: "The old password is wrong.", status: 403)
    }
    do throws(GatewayError) { try await passwords.set(password) } catch {
      return passwordPage(request, refusal: "The password is not changed: \(error.description)", status: 500)
    }
    withDoors { $0.closeAll() }
    let cookie = beginSession(request)
    var asked = request
    asked.cookies[Site.cookie] = cookie.token
    var response = passwordPage(asked, notice: "The password is changed. Every other login has ended.")
    response.headers.append(cookie.header)
    return response
  }
}
