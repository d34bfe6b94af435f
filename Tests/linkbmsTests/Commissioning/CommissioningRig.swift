import Bus
import Controller
import Formats
import Foundation
import Simulation
import Testing

@testable import linkbms

/// A commissioning in memory: the run, a simulated plant, and somebody who answers by the name of the question.
struct CommissioningRig {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Captures/scenarios/commissioning")
  static let library = DefinitionLibrary(files: embeddedDissectors)

  static func guide() throws -> Guide {
    let (guide, problems) = Guide.parse(
      embeddedDissectors.first { $0.path == "commissioning.yaml" }?.text ?? "", path: "commissioning.yaml")
    #expect(problems.isEmpty, "\(problems)")
    return guide
  }

  static func scenario(_ name: String) throws -> Scenario {
    let text = try String(contentsOf: folder.appendingPathComponent(name + ".yaml"), encoding: .utf8)
    let (scenario, problems) = ScenarioFile.parse(text, path: name)
    #expect(problems.isEmpty, "\(problems)")
    return scenario
  }

  /// Answers for `good-one-chain`.
  static let answers = [
    "powered": "yes", "network": "ethernet", "mdns": "", "bench": "", "bms1-cells": "8", "bms2-cells": "", "pin-low": "3.29",
    "pin-high": "3.31", "led": "", "bms1-modules": "12", "bms2-modules": "", "chemistry": "lfp", "capacity": "100",
    "ntc-resistance": "10000", "ntc-beta": "3950", "ambient": "12", "switch-voltage": "1000", "switch-current": "63",
    "colours": "yes", "polarity": "yes", "connected": "yes", "name": "A. Muster", "qualified": "I am qualified",
    "series": "in series", "pack-meter": "316", "switch-on": "switched on", "contactors": "close contactors", "clamp": "5",
  ]

  var run: CommissioningRun
  var plant: SimulatedPlant
  /// Every check that was shown, with its step.
  private(set) var checks: [(step: Int, record: CheckRecord)] = []
  private(set) var texts: [String] = []
  /// Steps at which contactors were seen closed.
  private(set) var closedAt: Set<Int> = []
  private(set) var written: [Configuration] = []
  private(set) var saves = 0
  private(set) var closings = 0
  /// Whether the last order on contactors let them close.
  private(set) var isPermitted = false
  /// Steps in which contactors were ordered closed though they were not permitted to.
  private(set) var violations = 0

  init(_ scenario: Scenario, state: CommissioningState? = nil) throws {
    let set = state.flatMap {
      $0.configuration.isEmpty ? nil : ConfigurationFile.parse($0.configuration, path: "state").configuration
    }
    plant = try SimulatedPlant(scenario, name: "plant", library: Self.library, configuration: set)
    run = CommissioningRun(
      try Self.guide(), library: Self.library, configuration: set ?? scenario.configuration, state: state ?? CommissioningState(),
      isResumed: state != nil)
  }

  mutating func obey(_ outputs: [CommissioningRun.Output]) {
    for output in outputs {
      switch output {
      case .order(let order):
        switch order {
        case .hold: isPermitted = false
        case .close:
          isPermitted = true
          closings += 1
        default: break
        }
        plant.perform(order)
      case .show(.check(let record)): checks.append((run.state.step, record))
      case .show(.text(let text)): texts.append(text)
      case .show: break
      case .save: saves += 1
      case .write(let configuration): written.append(configuration)
      }
    }
  }

  mutating func step() {
    let step = plant.step(isFine: run.wantsFineSteps)
    if !step.engine.outputs.contactors.isEmpty {
      closedAt.insert(run.state.step)
      // One step for the order to arrive, one second for the current to fall.
      if !isPermitted, !wasPermitted.suffix(20).contains(true) { violations += 1 }
    }
    wasPermitted.append(isPermitted)
    obey(run.take(step))
  }
  private var wasPermitted: [Bool] = []

  /// Answers until the end, a question that has no answer, or a step that failed.
  @discardableResult
  mutating func go(_ answers: [String: String] = [:], until stop: String? = nil) -> Question? {
    if !hasStarted { obey(run.start()) }
    hasStarted = true
    let all = Self.answers.merging(answers) { $1 }
    for _ in 0..<200_000 where run.end == nil {
      if run.isWatching {
        step()
        continue
      }
      guard let question = run.question, question.id != stop, let answer = all[question.id] else { return run.question }
      obey(run.answer(answer))
    }
    return nil
  }
  private var hasStarted = false

  /// What failed last.
  var failed: (step: Int, record: CheckRecord)? { checks.last { $0.record.verdict == .failed } }
}
