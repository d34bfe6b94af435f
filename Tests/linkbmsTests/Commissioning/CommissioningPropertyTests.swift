import Controller
import Formats
import Simulation
import Testing

@testable import linkbms

/// What must hold whatever is typed.
@Suite struct CommissioningPropertyTests {
  /// Anything a hand, a script or an animal on the keyboard may type.
  private static func line(_ question: Question, _ random: inout SplitMix64, withWords: Bool) -> String {
    let valid = CommissioningRig.answers[question.id] ?? "yes"
    if question.id == "contactors" {
      let others = [
        "yes", "close", "Close contactors", "close  contactors", "closecontactors", "", "skip x", "y", "close contactors.",
      ]
      return withWords && random.below(3) == 0 ? ContactorPermission.words : others[random.below(others.count)]
    }
    if question.id == "again" { return ["repeat", "back", "skip because", "repeat", "note x", "nonsense"][random.below(6)] }
    switch random.below(12) {
    case 0:
      return ["", " ", "-", "1e400", "99999999999999999999999999", "nan", "−5", "3,3", "\u{1F50B}", "yes no"][random.below(10)]
    case 1:
      return ["help", "note", "note hot", "photo", "photo a|b.jpg", "repeat", "back", "skip", "skip no", "skip x y z"][
        random.below(10)]
    case 2: return String((0..<random.below(20)).map { _ in Character(Unicode.Scalar(UInt8(32 + random.below(95)))) })
    default: return valid
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func noContactorClosesWithoutTheWords(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let names = ["good-one-chain", "v-out-calibration", "current-reversed", "precharge-short"]
    var rig = try CommissioningRig(CommissioningRig.scenario(names[Int(seed) % names.count]))
    let withWords = seed % 2 == 0
    rig.obey(rig.run.start())
    var asked = 0
    var steps = 0
    while rig.run.end == nil, asked < 250, steps < 12_000 {
      if rig.run.isWatching {
        rig.step()
        steps += 1
      } else if let question = rig.run.question {
        let text = Self.line(question, &random, withWords: withWords)
        let before = rig.closings
        rig.obey(rig.run.answer(text))
        asked += 1
        #expect(rig.closings == before || (question.id == "contactors" && text == ContactorPermission.words), "seed \(seed)")
      } else {
        break
      }
      // A state can be kept and read back at every moment.
      if asked % 50 == 0, !rig.run.isWatching {
        let again = try CommissioningStateFile.parse(CommissioningStateFile.text(rig.run.state), path: "state")
        #expect(again.step == rig.run.state.step && again.records == rig.run.state.records, "seed \(seed)")
      }
    }
    #expect(rig.plant.brokenRules.isEmpty, "seed \(seed): \(rig.plant.brokenRules)")
    #expect(rig.violations == 0, "seed \(seed)")
    #expect(withWords || (rig.closings == 0 && rig.closedAt.isEmpty), "seed \(seed)")
    #expect(asked > 50 || rig.run.end == .finished, "seed \(seed)")
  }

  @Test func aStateSurvivesEveryText() throws {
    var random = SplitMix64(seed: 7)
    let pieces = ["\"", "\\", "\n", "\r\n", "\t", "é", "日本", "{", "}", ": ", "# ", "- ", "\u{1}", "'", "|", "&", "yes", "1e5", "~"]
    func text() -> String { (0..<random.below(8)).map { _ in pieces[random.below(pieces.count)] }.joined() }
    for _ in 0..<200 {
      var state = CommissioningState()
      state.plant = text()
      state.step = 1 + random.below(17)
      state.configuration = ConfigurationFile.text(Configuration())
      for number in 1...16 where random.below(2) == 0 {
        var record = StepRecord(number: number, title: text())
        record.verdict = [.begun, .passed, .failed, .skipped, .deferred][random.below(5)]
        record.notes = [text(), text()]
        record.photos = [text()]
        record.actions = [text()]
        record.reason = text()
        record.attempts = random.below(1000)
        record.answers = [.init(id: "a", question: text(), answer: text())]
        record.checks = [CheckRecord(title: text(), verdict: .open, measured: text(), expected: text(), hint: text())]
        if random.below(2) == 0 { (record.began, record.ended) = (Int64(random.below(2_000_000_000)), 2_000_000_000) }
        for number in 0..<random.below(3) {
          record.earlier.append(
            .init(
              number: number, verdict: .failed, began: number == 0 ? nil : 1_790_000_000, ended: 1_790_000_060,
              checks: record.checks, answers: record.answers, reason: text()))
        }
        state[number] = record
      }
      state.curve = [.init(time: 0.25, output: 12.5, input: 300)]
      state.charge = [.init(time: 5, low: 3.2512, high: 3.3, current: -1.25, soc: 50.5)]
      let read = try CommissioningStateFile.parse(CommissioningStateFile.text(state), path: "state")
      #expect(read == state)
    }
  }

  /// What programs wrote that knew neither times nor earlier attempts.
  @Test func anOldStateIsRead() throws {
    let text = """
      {"version":1,"plant":"p","step":10,"configuration":"","records":[
      {"number":9,"title":"t","verdict":"passed","attempts":2,"reason":"","checks":[{"title":"c","verdict":"passed","measured":"m",\
      "expected":"e","hint":""}],"answers":[{"id":"i","question":"q","answer":"a"}],"notes":["n"],"photos":[],\
      "actions":["contactors: opened"]}],
      "curve":[],"charge":[]}
      """
    let state = try CommissioningStateFile.parse(text, path: "state")
    let record = try #require(state[9])
    #expect(record.verdict == .passed && record.attempts == 2)
    #expect(record.began == nil && record.ended == nil && record.earlier.isEmpty)
    #expect(record.checks.count == 1 && record.answers.first?.answer == "a")
    #expect(record.actions == ["contactors: opened"])
  }

  @Test(arguments: ["", "{", "[]", "{\"version\":2}", "{\"version\":1,\"step\":99}", "not json", "{\"version\":1,\"curve\":[[1]]}"])
  func aDamagedStateIsRefused(text: String) {
    #expect(throws: WorldError.self) { try CommissioningStateFile.parse(text, path: "state") }
  }

  @Test func aStateCutAnywhereIsRefusedOrWhole() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "switch-voltage")
    let text = CommissioningStateFile.text(rig.run.state)
    let bytes = Array(text.utf8)
    for end in stride(from: 0, to: bytes.count - 2, by: 97) {
      #expect(throws: WorldError.self) {
        try CommissioningStateFile.parse(String(decoding: bytes[..<end], as: UTF8.self), path: "state")
      }
    }
  }
}
