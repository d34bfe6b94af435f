import Controller
import Testing

@testable import Gateway

/// What a person confirms is what was shown.
@Suite struct ConfirmationTests {
  /// The controller says that it works by something else now.
  private func change(_ rig: inout Rig, _ item: ConfigurationItem, _ value: Int32) {
    var snapshot = Snapshot(rig.engine, rig.readings, time_ns: rig.now_ns)
    snapshot.configuration[item] = value
    let isOut = rig.publisher.publish(snapshot, at: Rig.published)
    #expect(isOut)
  }

  @Test func whatWasShownIsSavedOrNothing() async throws {
    var rig = Rig.running()
    var visitor = Visitor(Site(hub: rig.hub, passwords: try PasswordFile(path: nil), answerPatience: .zero))
    let code = try #require(visitor.site.setupCode)
    _ = await visitor.post("/login", ["code": code, "password": "correct horse", "again": "correct horse"])
    let csrf = try Visitor.hidden("csrf", await visitor.get("/config"))
    let save = ["csrf": csrf, "cell-overvoltage-protect": "3.7"]
    let calibrate = ["csrf": csrf, "point": "current-high", "value": "10.5"]

    // Somebody else saves between what is shown and its confirmation.
    for (turn, (path, form)) in [("/config", save), ("/config/calibrate", calibrate)].enumerated() {
      let token = try Visitor.hidden("token", await visitor.post(path, form))
      change(&rig, .balanceDifference, 200 + Int32(turn))
      let refused = await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"])
      #expect(refused.status == 409 && refused.text.contains("has been changed since this was shown"), "\(path)")
      #expect(rig.publisher.takeCommands().isEmpty, "\(path)")
      // Once more does not help: it has to be shown anew.
      #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 409, "\(path)")
    }
    let token = try Visitor.hidden("token", await visitor.post("/config", save))
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": token, "sure": "on"]).status == 303)
    guard case .configure(let saved)? = rig.publisher.takeCommands().first?.command else {
      Issue.record("no configuration")
      return
    }
    #expect(saved[.balanceDifference] == 201 && saved[.overvoltageProtect] == 37_000)

    // A reset is the same whatever was saved meanwhile.
    let reset = try Visitor.hidden("token", await visitor.post("/reset", ["csrf": csrf]))
    change(&rig, .balanceDifference, 300)
    #expect(await visitor.post("/confirm", ["csrf": csrf, "token": reset, "sure": "on"]).status == 303)
  }
}
