/// The steps as they would go: nothing is asked, measured or closed.
enum DryRun {
  static func lines(_ guide: Guide, only number: Int?, hasHints: Bool, _ text: CommissionText) -> [String] {
    var lines: [String] = []
    for step in guide.steps where number == nil || step.number == number {
      lines += text.lines(.heading(step, count: guide.steps.count))
      for line in step.instructions { lines += text.lines(.text(line)) }
      for warning in step.warnings { lines += text.lines(.warning(warning)) }
      for stage in step.stages { lines += self.lines(stage, guide, hasHints, text) }
    }
    return lines
  }

  private static func lines(_ stage: Guide.Stage, _ guide: Guide, _ hasHints: Bool, _ text: CommissionText) -> [String] {
    switch stage {
    case .ask(let question):
      var lines = text.wrapped("would ask \(question.id): \(question.text) [\(question.expected)]", indent: 2)
      if !question.wanted.isEmpty { lines += text.wrapped("passes: \(question.wanted.joined(separator: ", "))", indent: 6) }
      if hasHints, !question.hint.isEmpty { lines += text.wrapped("→ " + question.hint, indent: 6) }
      return lines
    case .watch(let seconds, let reason): return ["  would watch for \(Number.text(seconds, 0, "s")) at most: \(purpose(reason))"]
    case .check(let ids):
      return ids.flatMap { id -> [String] in
        var lines = ["  would check \(id.rawValue): \(guide.checks[id]?.title ?? "")"]
        if hasHints {
          for failure in id.failures { lines += text.wrapped("\(failure) → \(guide.checks[id]?.hints[failure] ?? "")", indent: 6) }
        }
        return lines
      }
    case .offer(let offer): return ["  would offer offer-\(offer.rawValue) if it is not right, and ask before it changes anything"]
    case .close(let why):
      return text.wrapped(
        "would ask contactors: type \"\(ContactorPermission.words)\"; only then would the contactors close \(why)", indent: 2)
    case .open: return ["  would open the contactors"]
    case .when(let condition, let count):
      return text.wrapped("only \(condition.words), the next \(count == 1 ? "one" : "\(count)"):", indent: 2)
    case .limits(.none): return ["  would allow the inverter no current"]
    case .limits(.reduced): return ["  would reduce the limits to 20 %, at most 10 A"]
    case .limits(.full): return ["  would restore the limits"]
    }
  }

  private static func purpose(_ watch: Guide.Watch) -> String {
    switch watch {
    case .settle: "readings"
    case .listen: "the inverter's bus, without sending"
    case .talk: "whether the inverter accepts the battery"
    case .close: "V-out while the contactors close"
    case .open: "V-out after opening"
    case .direction: "current and voltage"
    case .charge: "the first charge; any doubt opens the contactors"
    }
  }
}
