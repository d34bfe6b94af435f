import Bus
import Formats
import Protocols

/// Tries every combination of a definition's readings on the frames seen and finds the one whose values are plausible.
///
/// Source: design.md "Two readings"; pylontech-hv.md §7.1.
struct ReadingScore {
  /// The choice that fits best: every dimension → option.
  let choice: [String: String]
  /// 0…1: how many of the values are plausible under it.
  let plausibility: Double
  /// Dimension → how much worse its next option is, for the dimensions that the frames can tell apart.
  let margins: [Margin]
  /// Choices that score alike and give other values.
  let ties: [[String: String]]
  /// Whether any frame seen could tell readings apart at all.
  let isTested: Bool
  private let trials: [Trial]

  /// A dimension, the option that fits best and the next best one.
  struct Margin {
    var reading: Sidecar.Reading
    var chosen: Sidecar.Option
    var rival: Sidecar.Option
    /// By how much the chosen option wins.
    var lead: Double
    /// Fraction of plausible values under either.
    var plausible: Double
    var rivalPlausible: Double
  }

  private struct Trial {
    var choice: [String: String]
    /// Fraction of plausible values.
    var plausible: Double
    /// With what agreements add: what decides.
    var score: Double
    var values: [Double]
  }

  init(_ evidence: EvidenceScore) {
    let definition = evidence.definition
    let readings = definition.sidecar.readings
    var trials: [Trial] = []
    for choice in ReadingScore.combinations(readings) {
      trials.append(ReadingScore.judge(choice, evidence))
    }
    self.trials = trials
    var best = trials[0]
    for trial in trials.dropFirst() where trial.score > best.score + 1e-9 { best = trial }
    choice = best.choice
    plausibility = best.plausible
    isTested = trials.contains { $0.values != best.values }
    let winner = best
    ties = trials.filter { abs($0.score - winner.score) < 1e-9 && $0.values != winner.values }.map(\.choice)
    var margins: [Margin] = []
    for reading in readings {
      guard let name = best.choice[reading.name], let chosen = reading.options.first(where: { $0.name == name }) else { continue }
      let rivals = reading.options.filter { $0.name != name }.compactMap { option -> (Sidecar.Option, Trial)? in
        var other = winner.choice
        other[reading.name] = option.name
        guard let trial = trials.first(where: { $0.choice == other }), trial.values != winner.values else { return nil }
        return (option, trial)
      }
      if let rival = rivals.max(by: { $0.1.score < $1.1.score }) {
        margins.append(
          Margin(
            reading: reading, chosen: chosen, rival: rival.0, lead: winner.score - rival.1.score, plausible: winner.plausible,
            rivalPlausible: rival.1.plausible))
      }
    }
    self.margins = margins
  }

  /// How a variant's readings do against the best choice.
  enum Fit {
    /// The same values.
    case same
    /// Other values, as plausible.
    case tied
    case worse
  }

  func fit(of variant: Sidecar.Variant, _ definition: Definition) -> Fit {
    guard let own = trial(of: variant, definition), let best = trials.first(where: { $0.choice == choice }) else {
      return .worse
    }
    if own.values == best.values { return .same }
    return own.score >= best.score - 1e-9 ? .tied : .worse
  }

  /// How far a variant is from the best choice: dimensions that differ and matter. The sign of what has no offset, say, is no difference.
  func differences(from variant: Sidecar.Variant, of definition: Definition) -> [String: String] {
    var result: [String: String] = [:]
    let winner = trials.first { $0.choice == choice }
    for reading in definition.sidecar.readings {
      let own = definition.option(of: reading, in: variant.readings)?.name
      guard let best = choice[reading.name], best != own else { continue }
      var other = choice
      other[reading.name] = own
      if let winner, let same = trials.first(where: { $0.choice == other }), same.values == winner.values { continue }
      result[reading.name] = best
    }
    return result
  }

  private func trial(of variant: Sidecar.Variant, _ definition: Definition) -> Trial? {
    var wanted: [String: String] = [:]
    for reading in definition.sidecar.readings { wanted[reading.name] = definition.option(of: reading, in: variant.readings)?.name }
    return trials.first { $0.choice == wanted }
  }

  /// Every combination, first options first, so that a tie goes to the definition as it stands.
  private static func combinations(_ readings: [Sidecar.Reading]) -> [[String: String]] {
    var result: [[String: String]] = [[:]]
    for reading in readings where !reading.options.isEmpty {
      // Beyond a thousand combinations a definition asks for more than can be told from traffic.
      if result.count * reading.options.count > 1024 { break }
      result = result.flatMap { choice in
        reading.options.map { option in choice.merging([reading.name: option.name]) { $1 } }
      }
    }
    return result
  }

  /// The fraction of plausible values plus what agreements add, and the values themselves for telling choices apart.
  private static func judge(_ choice: [String: String], _ evidence: EvidenceScore) -> Trial {
    let sidecar = evidence.definition.sidecar
    let table = DecodeTable(evidence.reducedPlan(readings: choice))
    var values: [Double] = []
    var fractions: [Double] = []
    var medians: [String: Double] = [:]
    for (_, traffic) in evidence.seen.sorted(by: { $0.key < $1.key }) {
      let frames = traffic.flatMap(\.traffic.samples)
      guard let first = frames.first, let slot = table.slot(of: first) else { continue }
      for index in Int(table.slots[slot].first)..<Int(table.slots[slot].end) {
        let info = table.dissection.signals[index]
        if info.isText { continue }
        let plan = table.dissection.plan.signals[index]
        let own = frames.compactMap { frame -> Double? in
          guard let slot = table.slot(of: frame) else { return nil }
          return table.raw(index, slot: slot, in: frame).map(plan.physical)
        }
        guard !own.isEmpty else { continue }
        values += own
        medians[info.name] = own.sorted()[own.count / 2]
        if let range = sidecar.plausible[info.name] {
          fractions.append(Double(own.filter { range.contains($0) }.count) / Double(own.count))
        }
      }
    }
    // A reading that has no plausible signal at all says nothing; one that brings more of them says more.
    let mean = fractions.isEmpty ? 0 : fractions.reduce(0, +) / Double(fractions.count)
    return Trial(choice: choice, plausible: mean, score: mean + 0.1 * agreement(sidecar.agreements, medians), values: values)
  }

  /// The part of the agreements that hold, of those that can be tested.
  private static func agreement(_ agreements: [Sidecar.Agreement], _ medians: [String: Double]) -> Double {
    var tested = 0
    var kept = 0
    for agreement in agreements {
      guard let left = product(agreement.left, medians), let right = product(agreement.right, medians) else { continue }
      tested += 1
      let size = max(abs(left), abs(right))
      if size == 0 || abs(left - right) <= agreement.tolerance * size { kept += 1 }
    }
    return tested == 0 ? 0 : Double(kept) / Double(tested)
  }

  private static func product(_ product: Sidecar.Product, _ medians: [String: Double]) -> Double? {
    var result = product.factor
    for signal in product.signals {
      guard let value = medians[signal] else { return nil }
      result *= value
    }
    return result
  }
}
