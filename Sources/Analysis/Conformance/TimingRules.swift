import Bus
import Formats
import Protocols

/// Regular messages that pause or come late: R05 for the inverter's, R06 for the battery's (diagnostics.md §5).
extension BusJudge {
  mutating func timingRules() {
    guard let link = watch.link else { return }
    for side in [Side.inverter, .battery] {
      let own = watch.ids.filter { watch.sender($0) == side && $0.gapLimit < .max && $0.count >= 3 }
      gaps(own, side)
      if side == .battery {
        slow(own, link)
        uneven(own, link)
      }
    }
    if !findings.contains(where: { $0.rule == .R02 || $0.rule == .R07 || $0.rule == .R03 }) { late(link) }
  }

  private mutating func gaps(_ facts: [IDFacts], _ side: Side) {
    let rule: RuleID = side == .inverter ? .R05 : .R06
    // What stopped before the end of the capture has a gap that nothing ended.
    func trailing(_ facts: IDFacts) -> Int64 { watch.last.time &- facts.last.time }
    let broken = facts.filter { $0.gaps > 0 || trailing($0) > $0.gapLimit }
    guard let worst = broken.max(by: { max($0.longestGap, trailing($0)) < max($1.longestGap, trailing($1)) }) else { return }
    let isTrailing = trailing(worst) > worst.gapLimit && trailing(worst) >= worst.longestGap
    let longest = isTrailing ? trailing(worst) : worst.longestGap
    let name = watch.message(worst) ?? hex(worst.id)
    let end = isTrailing ? watch.last : worst.gapEnd
    let isLost = Double(longest) > threshold(.R05, "lost") * 1e9
    let what =
      isTrailing ? "stops \(seconds(longest)) before the end of the capture" : "pauses for \(seconds(longest)) until \(moment(end))"
    let more = broken.count > 1 ? ", and \(broken.count - 1) more" : ""
    add(
      rule, "\(side == .inverter ? "the inverter's" : "the battery's") \(hex(worst.id)) \(name)\(more) \(what)",
      severity: isLost ? .error : nil, first: isTrailing ? worst.last : end, last: end,
      count: broken.reduce(0) { $0 + max(1, $1.gaps) }, facts: worst,
      expected: "at least one each \(seconds(worst.gapLimit))")
  }

  /// Regular, but far slower than it should be.
  private mutating func slow(_ facts: [IDFacts], _ link: CompiledLink) {
    guard !findings.contains(where: { $0.rule == .R06 }) else { return }
    let periods = link.periods
    for facts in facts where facts.count >= 5 {
      guard facts.slot >= 0, let nominal = periods[Int(link.dissection.plan.slots[facts.slot].message)] else { continue }
      guard Double(facts.meanPeriod) > Double(nominal) * (1 + threshold(.R06, "mean")) else { continue }
      add(
        .R06, "\(hex(facts.id)) \(watch.message(facts) ?? "") comes every \(seconds(facts.meanPeriod))", count: facts.count,
        facts: facts,
        expected: "every \(seconds(nominal))")
      return
    }
  }

  /// In time on the whole, but now early, now late.
  private mutating func uneven(_ facts: [IDFacts], _ link: CompiledLink) {
    guard !findings.contains(where: { $0.rule == .R06 }) else { return }
    let odd = facts.filter {
      Double($0.odd) >= threshold(.R06, "jitterCount") && Double($0.odd) >= threshold(.R06, "jitterShare") * Double($0.count)
        && $0.nearSame &+ $0.nearOther < $0.count / 3
    }
    guard let worst = odd.max(by: { $0.odd < $1.odd }), worst.slot >= 0,
      let nominal = link.periods[Int(link.dissection.plan.slots[worst.slot].message)]
    else { return }
    add(
      .R06,
      "\(hex(worst.id)) \(watch.message(worst) ?? "") comes unevenly: \(worst.odd) of \(worst.count) off by more than half a period",
      count: worst.odd, facts: worst, expected: "every \(seconds(nominal))")
  }

  /// Answers that came late, or lacked something now and then.
  private mutating func late(_ link: CompiledLink) {
    guard let monitor = watch.monitor, let battery = link.handshake.battery else { return }
    for (index, tally) in monitor.tallies.enumerated()
    where battery.answers[index].optionalCount < battery.answers[index].emissions.count {
      let bad = tally.late + tally.incomplete + tally.unanswered
      guard bad >= UInt64(threshold(.R06, "lateCount")), Double(bad) >= threshold(.R06, "lateShare") * Double(tally.asked) else {
        continue
      }
      let name = link.dissection.messages[Int(battery.answers[index].request)].name
      var parts: [String] = []
      if tally.unanswered > 0 { parts.append("\(tally.unanswered) did not come") }
      if tally.incomplete > 0 { parts.append("\(tally.incomplete) lacked something") }
      if tally.late > 0 { parts.append("\(tally.late) came late, after up to \(seconds(tally.longest_us &* 1000))") }
      let first = [tally.firstIncomplete, tally.firstUnanswered, tally.firstLate].compactMap { $0 }.min { $0.time_us < $1.time_us }
      add(
        .R06, "of \(tally.asked) answers to \(name), \(parts.joined(separator: ", "))", first: first.map(convert), count: bad,
        facts: watch.facts(name).first, expected: "all of them complete within \(seconds(battery.answers[index].within_us &* 1000))"
      )
      return
    }
  }
}
