import Controller
import Formats
import Foundation
import Simulation
import Testing

@testable import linkbms

/// The whole way through the steps, without a terminal.
@Suite struct CommissioningRunTests {
  @Test func theGuideIsWholeAndNamesAreUnique() throws {
    let guide = try CommissioningRig.guide()
    #expect(guide.steps.count == 16)
    var names: [String] = []
    for step in guide.steps { for case .ask(let question) in step.stages { names.append(question.id) } }
    #expect(Set(names).count == names.count)
    // Nothing closes a contactor outside the last step, and every safety step comes before it.
    for step in guide.steps {
      let closes = step.stages.contains { if case .close = $0 { true } else { false } }
      #expect(closes == (step.number == 16))
    }
    #expect(guide.steps.filter(\.isSafety).map(\.number) == [10, 11, 13, 14, 15, 16])
  }

  @Test(arguments: [
    ("steps: [{title: a, do: [b], stages: [{jump: 1}]}]", "unknown stage"),
    ("steps: [{title: a, stages: [{ask: {id: x, kind: riddle}}]}]", "expected yes-no, number"),
    ("steps: [{title: a, stages: [{watch: {seconds: 0}}]}]", "1…3600"),
    ("steps: [{title: a, stages: [{check: [nonsense]}]}]", "nonsense"),
    ("steps: [{title: a}]", "expected 16"), ("checks: {supply: {title: a}}", "the hint none is missing"),
  ])
  func aGuideThatIsWrongIsToldSo(text: String, part: String) {
    let problems = Guide.parse(text, path: "x.yaml").problems.map(\.description)
    #expect(problems.contains { $0.contains(part) }, "\(problems)")
  }

  /// After a crash the file must say that they may have been closed.
  @Test func closingIsKeptBeforeItIsOrdered() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    #expect(rig.go(until: "contactors")?.id == "contactors")
    let outputs = rig.run.answer(ContactorPermission.words)
    let saved = outputs.firstIndex { if case .save = $0 { true } else { false } }
    let closed = outputs.firstIndex { if case .order(.close) = $0 { true } else { false } }
    #expect(try #require(saved) < #require(closed))
  }

  @Test func aSoundSystemPassesAllSteps() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    let open = rig.go()
    #expect(open == nil && rig.run.end == .finished, "\(String(describing: open)) \(String(describing: rig.failed))")
    #expect(rig.run.state.records.allSatisfy { $0.verdict == .passed })
    #expect(rig.closings == 2 && rig.closedAt == [16] && rig.violations == 0)
    #expect(rig.written.isEmpty && rig.plant.brokenRules.isEmpty, "\(rig.plant.brokenRules)")
    #expect(rig.run.state.charge.count > 100)
    let figures = try #require(PrechargeFigures(rig.run.state.curve))
    // 100 Ω and 1.5 mF.
    #expect(abs((figures.timeConstant ?? 0) - 0.15) < 0.02 && figures.finalRatio > 0.95)
    // At reduced limits all the time: 20 % of 25 A.
    #expect(rig.run.state.charge.allSatisfy { $0.current < 5.5 })
    // Full limits at the end: the order is obeyed in the next step.
    _ = rig.plant.step(isFine: false)
    #expect(rig.plant.configuration[.chargeCurrentMax] == 25_000)
  }

  @Test func itListensBeforeAnythingIsSaid() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "name")
    var frames = 0
    for _ in 0..<30 { frames += rig.plant.step(isFine: false).frames.count }
    // Behind step 12 both talk. Before, nothing but the inverter was heard: the check counted its frames alone.
    let can = try #require(rig.checks.last { $0.record.title.contains("heard on CAN") })
    #expect(can.record.measured == "30 frames", "\(can.record)")
    #expect(frames > 10)
  }

  @Test func whatCannotBeJudgedYetComesAgain() throws {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    scenario.faults = [Fault(at: 0, until: 24, .slaveDead(.bms1, module: 5))]
    var rig = try CommissioningRig(scenario)
    #expect(rig.go()?.id == "again")
    #expect(rig.run.state.step == 9 && rig.run.state[8]?.verdict == .deferred)
    #expect(rig.failed?.record.measured == "COM ERR: module 5 does not answer")
    rig.obey(rig.run.answer("repeat"))
    rig.go(until: "switch-voltage")
    // Step 9 passed, then 8 came again, then 10.
    #expect(rig.run.state.step == 10 && rig.run.state[8]?.verdict == .passed && rig.run.state[8]?.attempts == 2)
  }

  @Test func aDoubtInTheFirstChargeOpensAtOnce() throws {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    // Some minutes into the watch.
    scenario.faults = [Fault(at: 300, .inverterIgnoresLimits(amperes: 20))]
    var rig = try CommissioningRig(scenario)
    #expect(rig.go()?.id == "again")
    #expect(rig.failed?.step == 16)
    #expect(rig.failed?.record.measured.contains("allowed 5 A") == true, "\(String(describing: rig.failed))")
    for _ in 0..<40 { rig.step() }
    for _ in 0..<40 { _ = rig.plant.step(isFine: false) }
    #expect(rig.plant.step(isFine: false).engine.outputs.contactors.isEmpty)
  }

  @Test func aCellThatDriftsAwayStopsTheFirstCharge() throws {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    scenario.faults = [Fault(at: 250, .cellVoltage(.bms1, module: 3, cell: 2, volts: 2.9))]
    var rig = try CommissioningRig(scenario)
    #expect(rig.go()?.id == "again")
    #expect(rig.failed?.record.hint.contains("drift apart") == true, "\(String(describing: rig.failed))")
  }

  @Test func aWeldIsSeen() throws {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    var before = try CommissioningRig(scenario)
    before.go(until: "contactors")
    let time = before.plant.step(isFine: false).time
    // Both weld while they are closed for the test.
    scenario.faults = [
      Fault(at: time + 2, .contactorWelded(isPositive: true)), Fault(at: time + 2, .contactorWelded(isPositive: false)),
    ]
    var rig = try CommissioningRig(scenario)
    #expect(rig.go()?.id == "again")
    #expect(rig.failed?.record.title == "Contactors open", "\(String(describing: rig.failed))")
    #expect(rig.closings == 1)
  }

  @Test func contactorsStayOpenWhereASafetyStepIsMissing() throws {
    var state = CommissioningState()
    state.step = 16
    for number in 1...15 where number != 13 { state[number] = StepRecord(number: number, title: "", verdict: .passed) }
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"), state: state)
    #expect(rig.go()?.id == "again")
    #expect(rig.texts.contains { $0.contains("step 13 is not passed") })
    #expect(rig.closings == 0)
  }

  @Test(arguments: ["quit", "repeat", "back", nil] as [String?]) func whoeverLeavesLeavesContactorsOpen(word: String?) throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "clamp")
    #expect(rig.plant.step(isFine: false).engine.outputs.contactors == [.negative, .positive])
    rig.obey(word.map { rig.run.answer($0) } ?? rig.run.leave("the test"))
    for _ in 0..<40 { _ = rig.plant.step(isFine: false) }
    #expect(rig.plant.step(isFine: false).engine.outputs.contactors.isEmpty)
  }

  @Test(arguments: ["yes", "Close contactors", "close contactor", "close contactors now", "CLOSE CONTACTORS", ""])
  func onlyTheWordsArePermission(typed: String) { #expect(ContactorPermission(typed: typed) == nil) }

  @Test func calibrationIsShownConfirmedAndRight() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("current-calibration"))
    let answers = ["offer-zero-current": "yes", "offer-current": "yes"]
    let open = rig.go(answers)
    #expect(open == nil && rig.run.end == .finished, "\(String(describing: rig.failed))")
    #expect(rig.written.count == 2)
    let set = rig.run.configuration
    // Two points through which the sensor's own line goes: 0.8 A at rest, four fifths of what flows.
    #expect(abs(Calibration.current(800, set)) < 60)
    #expect(abs(Calibration.current(Int32(5 * 800 + 800), set) - 5000) < 120)
    #expect(rig.texts.contains { $0.contains("raw reading") && $0.contains("→ 5 A (the instrument's)") }, "\(rig.texts.suffix(30))")
  }

  @Test func vOutIsCalibratedBehindClosedContactors() throws {
    var scenario = try CommissioningRig.scenario("good-one-chain")
    // Within the 95 % of precharge, and off by more than 2 %.
    scenario.installation.outputGain = 0.97
    var rig = try CommissioningRig(scenario)
    #expect(rig.go(["offer-v-out": "no"])?.id == "again")
    #expect(rig.failed?.record.title == "V-out against V-in")
    rig = try CommissioningRig(scenario)
    rig.go(["offer-v-out": "yes"])
    #expect(rig.run.end == .finished, "\(String(describing: rig.failed))")
    #expect(rig.written.count == 1 && abs(rig.run.configuration[.outputHighRaw] - 30_730) < 150)
  }

  @Test func theContactorTestIsWithoutALoad() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "contactors")
    rig.obey(rig.run.answer("close contactors"))
    var most = 0.0
    while rig.run.isWatching {
      rig.step()
      most = max(most, abs(rig.plant.current))
    }
    #expect(rig.closings == 1 && rig.run.state.curve.count > 20 && most == 0, "\(most) A")
  }

  @Test func afterThreeFailedPrechargesItGoesOnWithAReset() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("precharge-short"))
    #expect(rig.go()?.id == "again")
    for attempt in 2...5 {
      rig.obey(rig.run.answer("repeat"))
      #expect(rig.go()?.id == "again")
      // Each time it was really tried, and failed by itself.
      #expect(
        rig.closings == attempt && rig.failed?.record.hint.contains("V-out did not rise") == true,
        "\(String(describing: rig.failed))")
    }
  }

  @Test func pointsThatAreTooCloseAreRefused() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("current-calibration"))
    // 3 A: less than 5 % of 80 A above 0.
    let open = rig.go(["offer-zero-current": "yes", "clamp": "3", "offer-current": "yes"])
    #expect(open?.id == "again")
    #expect(rig.texts.contains { $0.contains("closer than 5 % of full scale") })
    #expect(rig.written.count == 1)
  }

  @Test func theProtocolHeardIsTakenOnConfirmation() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("other-protocol"))
    rig.go(["offer-protocol": "yes"])
    #expect(rig.run.end == .finished, "\(String(describing: rig.failed))")
    #expect(rig.run.configuration[.inverterProtocol] == InverterProtocol.sofar1.rawValue)
  }

  @Test func skippingIsRecordedAndOnlyWhereItMay() throws {
    var rig = try CommissioningRig(CommissioningRig.scenario("good-one-chain"))
    rig.go(until: "network")
    rig.obey(rig.run.answer("skip"))
    #expect(rig.run.state.step == 2)
    rig.obey(rig.run.answer("skip no network here"))
    #expect(rig.run.state[2]?.verdict == .skipped && rig.run.state[2]?.reason == "no network here")
    rig.go(until: "switch-voltage")
    rig.obey(rig.run.answer("skip later"))
    #expect(rig.run.state.step == 10)
  }
}
