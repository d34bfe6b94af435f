import Controller
import Formats

/// The stages of a step, one after the other, and how steps end.
extension CommissioningRun {
  // MARK: Stages

  mutating func enter(isResumed: Bool) {
    stage = 0
    pending = nil
    isWatchingNow = false
    if limits != .full || isResumed { out.append(.order(.configure(configuration))) }
    limits = .full
    charge = nil
    doubt = nil
    guard state.step <= guide.steps.count else {
      end = .finished
      return
    }
    var record = StepRecord(number: step.number, title: step.title)
    record.began = now
    if let before = state[step.number] { record.follow(before, isResumed: isResumed, now: now) }
    state[step.number] = record
    self.isResumed = isResumed
    show(.heading(step, count: guide.steps.count))
    for line in step.instructions { say(line) }
    for warning in step.warnings { show(.warning(warning)) }
    out.append(.save)
  }

  /// Goes on until somebody has to answer, or the plant has to be watched.
  mutating func proceed() {
    while end == nil, pending == nil, !isWatchingNow {
      let step = step
      guard stage < step.stages.count else {
        finish()
        continue
      }
      switch step.stages[stage] {
      case .ask(let question): ask(question)
      case .watch(let time, let reason):
        stage += 1
        watch(time, reason)
      case .check(let ids): judge(ids)
      case .offer(let offer): propose(offer)
      case .when(let condition, let count): stage += checks.holds(condition) ? 1 : count + 1
      case .close(let why): pending = .close(why)
      case .open:
        stage += 1
        note("contactors: opened")
        isPermitted = false
        out.append(.order(.hold))
      case .limits(let limits):
        stage += 1
        self.limits = limits
        out.append(.order(.configure(limited)))
        guard limits == .reduced else { continue }
        let item = ConfigurationItem.chargeCurrentMax
        say(
          "Limits for the first charge: \(item.textWithUnit(limited[item])) charging, "
            + "\(item.textWithUnit(limited[.dischargeCurrentMax])) discharging.")
      }
    }
  }

  mutating func ask(_ question: Question) {
    // Words are typed anew after a crash: nobody knows who comes back to the system, and when.
    if isResumed, !question.isConfirmation, let known = state[state.step]?.answers.last(where: { $0.id == question.id }) {
      say("\(question.text) \(known.answer) (answered before)")
      return accept(question, known.answer)
    }
    pending = .ask(question)
  }

  /// The configuration with the limits that hold now.
  var limited: Configuration {
    var changed = configuration
    for item in [ConfigurationItem.chargeCurrentMax, .dischargeCurrentMax] {
      switch limits {
      case .none: changed[item] = 0
      case .reduced: changed[item] = min(10_000, max(1000, configuration[item] / 5), configuration[item])
      case .full: break
      }
    }
    return changed
  }

  mutating func watch(_ time: Double, _ reason: Guide.Watch) {
    // At rest is before the contactors close.
    let rest = reason == .close ? nil : observation?.restVoltage
    observation = Observation(reason, rest: rest)
    seconds = time
    isWatchingNow = true
    lastProgress = 0
    switch reason {
    case .listen:
      listener.restart()
      out.append(.order(.mute(true)))
      say("Listening for \(Number.text(time, 0, "s")); nothing is sent.")
    case .talk: out.append(.order(.mute(false)))
    case .charge:
      doubt = nil
      charge = ChargeWatch(limited, rest: rest)
      say("Watching for \(Number.text(time / 60, 0, "min")). On any doubt the contactors open.")
    default: break
    }
  }

  mutating func watchMore(_ step: PlantStep) {
    switch observation?.watch {
    case .listen: listener.hear(step.frames)
    case .charge:
      if let found = charge?.take(step) {
        // First open, then explain.
        hold("\(found.failure): \(found.text)")
        doubt = found
      }
      let elapsed = observation?.elapsed ?? 0
      guard elapsed - lastProgress >= 60, let sample = charge?.samples.last else { return }
      lastProgress = elapsed
      say(
        "\(Number.text(elapsed / 60, 0, "min")): \(Number.text(sample.current, 1, "A")), cells \(Number.text(sample.low, 3))…"
          + "\(Number.text(sample.high, 3, "V")), SOC \(Number.text(sample.soc, 1, "%"))")
    default: break
    }
  }

  mutating func endWatch(_ seen: Observation) {
    isWatchingNow = false
    if let edit {
      self.edit = nil
      return takeOver(edit)
    }
    switch seen.watch {
    case .listen: heard = listener.verdict()
    case .close:
      // The test's curve is the one to keep: at the second closing the capacitors are half full.
      if limits == .none { state.curve = seen.curve }
      if seen.curve.count > 1 { show(.curve(seen.curve)) }
    case .charge:
      state.charge = charge?.samples ?? []
      if state.charge.count > 1 { show(.charge(state.charge)) }
    default: break
    }
  }

  var checks: Checks {
    Checks(state: state, configuration: configuration, observation: observation, heard: heard, charge: charge, doubt: doubt)
  }

  mutating func judge(_ ids: [CheckID]) {
    let checks = checks
    var hasFailed = false
    for id in ids {
      let result = checks.result(id)
      let words = guide.checks[id]
      let record = CheckRecord(
        title: words?.title ?? id.rawValue, verdict: result.verdict, measured: result.measured, expected: result.expected,
        hint: result.failure.flatMap { words?.hints[$0] } ?? "")
      state[state.step]?.checks.append(record)
      show(.check(record))
      if result.verdict == .failed { hasFailed = true }
    }
    stage += 1
    if hasFailed { fail("the step failed") }
  }

  mutating func propose(_ offer: Guide.Offer) {
    let found = checks.proposal(offer)
    if let refusal = found.refusal { say(refusal) }
    guard let proposal = found.proposal else {
      stage += 1
      return
    }
    say("Proposal:")
    for line in proposal.lines { say("  " + line) }
    pending = .offer(proposal)
  }

  // MARK: Ends

  /// Open first, then ask.
  mutating func fail(_ why: String) {
    hold(why)
    state[state.step]?.verdict = .failed
    state[state.step]?.ended = now
    if let record = state[state.step] { show(.verdict(record)) }
    pending = .again
    out.append(.save)
  }

  /// A step fails by something that none of the guide's checks looks at.
  mutating func fail(_ title: String, measured: String, expected: String, hint: String, why: String) {
    let record = CheckRecord(title: title, verdict: .failed, measured: measured, expected: expected, hint: hint)
    state[state.step]?.checks.append(record)
    show(.check(record))
    fail(why)
  }

  mutating func finish() {
    let elsewhere = CheckID.allCases.filter(\.isToldElsewhere).compactMap { guide.checks[$0]?.title }
    let isOpen = state[state.step]?.checks.contains { $0.verdict == .open && !elsewhere.contains($0.title) } ?? false
    // What is open comes again once the next step is passed; if that was passed already, it will not get better by waiting.
    if isOpen, state[state.step + 1]?.verdict == .passed { return fail("the step failed") }
    state[state.step]?.verdict = isOpen ? .deferred : .passed
    state[state.step]?.ended = now
    finishShown()
  }

  mutating func finishShown() {
    if let record = state[state.step] { show(.verdict(record)) }
    let isDeferred = state[state.step]?.verdict == .deferred
    let next =
      isDeferred
      ? state.step + 1
      : guide.steps.first { state[$0.number].map { $0.verdict != .passed && $0.verdict != .skipped } ?? true }?.number
        ?? guide.steps.count + 1
    isResumed = false
    guard next > guide.steps.count else {
      state.step = next
      return enter(isResumed: false)
    }
    out.append(.order(.configure(configuration)))
    // As long as it stands at the step that let them close: its record says that they opened.
    hold("all steps are done")
    state.step = next
    end = .finished
    out.append(.save)
  }
}
