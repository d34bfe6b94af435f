import Controller
import Foundation
import Testing

@testable import linkbms

/// Questions, scripts, curves and reports.
@Suite struct CommissionTextTests {
  @Test(
    arguments: [
      ("3.3", "3.3"), ("3,3", "3.3"), (" 3.30 V ", "3.3"), ("-1", nil), ("5.1", nil), ("abc", nil), ("", nil), ("1e0", nil),
      ("nan", nil),
      ("0x3", nil), ("3.3 A", nil),
    ] as [(String, String?)])
  func numbers(line: String, answer: String?) {
    let question = Question(id: "q", text: "?", kind: .number(0...5, unit: "V", decimals: 3))
    #expect(question.answer(line) == answer)
  }

  @Test func otherKinds() {
    let yes = Question(id: "q", text: "?", kind: .yesNo)
    #expect(yes.answer("Y") == "yes" && yes.answer("no") == "no" && yes.answer("") == nil && yes.answer("yep") == nil)
    let choice = Question(id: "q", text: "?", kind: .choice(["ethernet", "wifi", "none"]), standard: "wifi")
    #expect(choice.answer("eth") == "ethernet" && choice.answer("") == "wifi" && choice.answer("x") == nil)
    let word = Question(id: "q", text: "?", kind: .word("close contactors"), standard: "close contactors")
    #expect(word.answer("") == nil && word.answer("Close contactors") == nil && word.answer(" close contactors ") != nil)
  }

  @Test func aScriptAnswersByNameAndInOrder() {
    var script = AnswerScript("# c\nb: 2\nplain\n7.a: seven\na: any\nother: 5\nb: 3\n", names: ["a", "b"])
    #expect(script.answer("a", step: 7) == "seven" && script.answer("a", step: 7) == "any")
    #expect(script.answer("b", step: 1) == "2" && script.answer("b", step: 1) == "3")
    #expect(
      script.answer("a", step: 1) == "plain" && script.answer("x", step: 1) == "other: 5" && script.answer("x", step: 1) == nil)
  }

  @Test func curvesAreDrawnWhateverThePoints() {
    let curve = CurveText(width: 20, height: 4, usesBraille: false).lines(
      [.init(name: "v", points: [(0, 0), (1, 10)])], unit: "V", xUnit: "s", fromZero: true)
    #expect(curve.count == 6 && curve[0].hasPrefix("       10 V |") && curve[0].hasSuffix("*"), "\(curve)")
    for points in [[], [(0, 0)], [(0, .nan), (1, 1)], [(0, 1e300), (1, -1e300)], [(0, 5), (1e-300, 5), (2, 5)]]
      as [[(x: Double, y: Double)]]
    {
      for braille in [true, false] {
        _ = CurveText(width: 8, height: 3, usesBraille: braille).lines(
          [.init(name: "v", points: points)], unit: "V", xUnit: "s", fromZero: false)
      }
    }
  }

  @Test func theTimeConstantIsThatOfTheCurve() throws {
    // 0.15 s, behind a relay that takes 50 ms.
    let curve = (0..<80).map { index -> Observation.Point in
      let time = Double(index) / 100
      return .init(time: time, output: 300 * (1 - exp(-max(0, time - 0.05) / 0.15)), input: 300)
    }
    let figures = try #require(PrechargeFigures(curve))
    #expect(abs((figures.timeConstant ?? 0) - 0.15) < 0.005 && abs((figures.timeTo95 ?? 0) - 0.5) < 0.01)
    #expect(PrechargeFigures([]) == nil)
    #expect(PrechargeFigures([.init(time: 0, output: 0, input: 0)])?.timeConstant == nil)
  }

  @Test func reportsAreWholeInEveryFormat() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "ambient")
    rig.obey(rig.run.answer("note <b>cold</b> | day"))
    rig.obey(rig.run.answer("photo IMG_7.jpg"))
    rig.go()
    let report = CommissionReport(rig.run.state, rig.run.configuration, plant: "a|<plant>", date: "2026-01-01")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(report.text(.json).utf8)) as? [String: Any])
    #expect((json["steps"] as? [Any])?.count == 16 && json["finished"] as? Bool == true)
    #expect((json["precharge"] as? [String: Any])?["finalRatio"] as? Double ?? 0 > 0.95)
    #expect((json["configuration"] as? [String: String])?["capacity"] == "100 Ah")
    let page = report.text(.html)
    #expect(page.contains("&lt;b&gt;cold&lt;/b&gt;") && !page.contains("<b>cold") && page.contains("IMG_7.jpg"))
    #expect(page.contains("prefers-color-scheme:dark") && page.contains("@media print") && page.contains("<polyline"))
    for outside in ["http:", "https:", "<script", "src=", "@import", "url("] { #expect(!page.contains(outside), "\(outside)") }
    let markdown = report.text(.markdown)
    for number in 1...16 { #expect(markdown.contains("## Step \(number):")) }
    #expect(
      markdown.contains("note: <b>cold</b> | day") && markdown.contains("## Precharge") && markdown.contains("## First charge"))
  }

  @Test func everyAttemptAndItsTimesAreReported() throws {
    let failed = CheckRecord(
      title: "Channel <BMS1>", verdict: .failed, measured: "COM ERR", expected: "OK", hint: "Look at the cable.")
    var record = StepRecord(number: 1, title: "Channels")
    record.verdict = .passed
    record.attempts = 2
    (record.began, record.ended) = (1_790_000_100, 1_790_000_160)
    record.checks = [CheckRecord(title: "Channel <BMS1>", verdict: .passed, measured: "OK", expected: "OK")]
    record.actions = ["contactors: opened, the step is repeated"]
    record.earlier = [.init(number: 1, verdict: .failed, began: 1_790_000_000, ended: 1_790_000_060, checks: [failed])]
    var state = CommissioningState()
    state[1] = record
    let report = CommissionReport(state, .init(), plant: "p", date: "2026-09-21")
    let standing = "attempt 1: failed, 2026-09-21 14:13:20 to 14:14:20 UTC"

    let markdown = report.text(.markdown)
    #expect(markdown.contains("| 1 | Channels | passed | 2026-09-21 14:15:00 to 14:16:00 UTC |"), "\(markdown)")
    #expect(markdown.contains("passed, attempt 2, 2026-09-21 14:15:00 to 14:16:00 UTC"))
    #expect(markdown.contains("### Before: \(standing)") && markdown.contains("| ✗ | Channel <BMS1> | COM ERR | OK |"))
    #expect(markdown.contains("> Look at the cable."))
    let page = report.text(.html)
    #expect(page.contains("<h3 class=failed>Before: \(standing)</h3>") && page.contains("Channel &lt;BMS1&gt;</td><td>COM ERR"))
    let json = try #require(try JSONSerialization.jsonObject(with: Data(report.text(.json).utf8)) as? [String: Any])
    let step = try #require((json["steps"] as? [[String: Any]])?.first)
    #expect(step["began"] as? String == "2026-09-21T14:15:00Z" && step["ended"] as? String == "2026-09-21T14:16:00Z")
    let attempt = try #require((step["earlier"] as? [[String: Any]])?.first)
    #expect(attempt["verdict"] as? String == "failed" && attempt["began"] as? String == "2026-09-21T14:13:20Z")
    #expect((attempt["checks"] as? [[String: Any]])?.first?["measured"] as? String == "COM ERR")
    let lines = CommissionText(Terminal()).lines(.verdict(record)).joined(separator: " ")
    let text = lines.split(separator: " ").joined(separator: " ")
    #expect(text.contains("Step 1 passed, attempt 2.") && text.contains("✗ Channel <BMS1>: COM ERR"), "\(text)")
  }

  @Test(
    arguments: [
      (nil, nil, ""), (0, nil, "from 1970-01-01 00:00:00 UTC"), (nil, 60, "to 1970-01-01 00:01:00 UTC"),
      (86_399, 86_400, "1970-01-01 23:59:59 to 1970-01-02 00:00:00 UTC"),
    ] as [(Int64?, Int64?, String)])
  func times(began: Int64?, ended: Int64?, text: String) { #expect(StepTime.span(began, ended) == text) }

  @Test func aDryRunNamesEveryQuestionAndClosesNothing() throws {
    let guide = try CommissioningRig.guide()
    let lines = DryRun.lines(guide, only: nil, hasHints: true, CommissionText(Terminal())).joined(separator: "\n")
    for name in guide.questionNames where name != "again" { #expect(lines.contains("\(name)"), "\(name)") }
    for id in CheckID.allCases { #expect(lines.contains("would check \(id.rawValue)"), "\(id)") }
  }
}
