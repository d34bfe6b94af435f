import Controller
import Formats

/// Commissioning as one value: answers and steps of the plant go in; texts, orders and the next question come out. It owns no device,
/// file or clock.
struct CommissioningRun {
  /// What the owner is to do, in this order.
  enum Output {
    case show(Block)
    case order(CommissioningOrder)
    /// The state has changed: keep it.
    case save
    /// Write the configuration where the person wants it.
    case write(Configuration)
  }

  /// Something to show.
  enum Block {
    case heading(Guide.Step, count: Int)
    case warning(String)
    case text(String)
    case check(CheckRecord)
    case curve([Observation.Point])
    case charge([ChargeSample])
    /// How a step ended.
    case verdict(StepRecord)
  }

  /// What an answer is for.
  private enum Pending {
    case ask(Question)
    case offer(Proposal)
    case close(String)
    /// A step failed: what now?
    case again
  }

  /// How a run ended.
  enum End: Equatable { case finished, left }

  let guide: Guide
  private(set) var state: CommissioningState
  /// What the controller works by, without the reduced limits of the first charge.
  private(set) var configuration: Configuration
  private(set) var end: End?
  private var stage = 0
  private var pending: Pending?
  private var observation: Observation?
  private var seconds = 0.0
  private var limits = Guide.Limits.full
  private var charge: ChargeWatch?
  private var doubt: ChargeWatch.Doubt?
  private var lastProgress = 0.0
  private var listener: InverterListener
  private var heard: BusHeard?
  private var isWatchingNow = false
  /// Answers from before a crash may be used once more.
  private var isResumed: Bool
  private var out: [Output] = []

  init(_ guide: Guide, library: DefinitionLibrary, configuration: Configuration, state: CommissioningState, isResumed: Bool) {
    self.guide = guide
    self.configuration = configuration
    self.state = state
    self.isResumed = isResumed
    listener = InverterListener(library)
  }

  /// Whether the plant is to be stepped until it is not any more.
  var isWatching: Bool { isWatchingNow }
  /// Whether steps should be as short as they can be.
  var wantsFineSteps: Bool {
    guard isWatchingNow, let observation, observation.watch == .close, observation.positiveAt == nil else { return false }
    return observation.last?.engine.outputs.contactors.isEmpty == false
  }

  /// What is asked now.
  var question: Question? {
    guard end == nil, !isWatchingNow else { return nil }
    switch pending {
    case nil: return nil
    case .ask(let question): return question
    case .offer(let proposal):
      return Question(id: "offer-\(proposal.offer.rawValue)", text: "Change that?", kind: .yesNo)
    case .close(let why):
      return Question(
        id: "contactors", text: "The contactors will close \(why). To let them, type the words: \(ContactorPermission.words)",
        kind: .word(ContactorPermission.words))
    case .again:
      return Question(
        id: "again", text: "This step is not passed. What now?",
        kind: .choice(step.isSafety ? ["repeat", "back", "quit"] : ["repeat", "back", "skip REASON", "quit"]))
    }
  }

  /// The step it stands at.
  var step: Guide.Step { guide.steps[min(max(1, state.step), guide.steps.count) - 1] }

  // MARK: In

  /// Begins, or goes on where the state stands. Contactors are held first, whatever was before.
  mutating func start() -> [Output] {
    // Nothing is said to the inverter before it was listened to and answered once.
    out = [.order(.hold), .order(.mute(!mayTalk))]
    enter(isResumed: isResumed)
    proceed()
    return take()
  }

  /// A line that a person or a script answers.
  mutating func answer(_ line: String) -> [Output] {
    guard end == nil, !isWatchingNow, let question else { return [] }
    let typed = line.trimmed
    if !obeyWord(typed) { settle(question, typed) }
    proceed()
    out.append(.save)
    return take()
  }

  /// A step of the plant while it is watched.
  mutating func take(_ step: PlantStep) -> [Output] {
    guard isWatchingNow else { return [] }
    observation?.take(step)
    watchMore(step)
    if let observation, observation.isOver || observation.elapsed >= seconds || doubt != nil { endWatch(observation) }
    proceed()
    return take()
  }

  /// Nothing more comes: contactors open, the state stays.
  mutating func leave() -> [Output] {
    guard end == nil else { return [] }
    end = .left
    isWatchingNow = false
    pending = nil
    out += [.order(.hold), .save]
    return take()
  }

  private mutating func take() -> [Output] {
    defer { out.removeAll() }
    return out
  }

  private mutating func show(_ block: Block) { out.append(.show(block)) }
  private mutating func say(_ text: String) { show(.text(text)) }

  // MARK: Words that work at every question

  private mutating func obeyWord(_ typed: String) -> Bool {
    let parts = typed.split(separator: " ", maxSplits: 1).map(String.init)
    guard let word = parts.first else { return false }
    let rest = parts.count > 1 ? parts[1].trimmed : ""
    switch word {
    case "help" where rest.isEmpty: help()
    case "note": remember(\.notes, rest, "note TEXT: what is to stand in the report")
    case "photo": remember(\.photos, rest, "photo NAME: the name of a picture that belongs to this step")
    case "quit" where rest.isEmpty:
      say("Contactors stay open. The state is kept: the same command with --resume goes on at step \(state.step).")
      end = .left
      pending = nil
      out.append(.order(.hold))
    case "repeat" where rest.isEmpty:
      out.append(.order(.hold))
      enter(isResumed: false)
    case "back" where rest.isEmpty:
      out.append(.order(.hold))
      state[state.step] = nil
      state.step = max(1, state.step - 1)
      enter(isResumed: false)
    case "skip": skip(rest)
    default: return false
    }
    return true
  }

  private mutating func remember(_ list: WritableKeyPath<StepRecord, [String]>, _ text: String, _ usage: String) {
    guard !text.isEmpty else { return say(usage) }
    state[state.step]?[keyPath: list].append(text)
    say("Kept with step \(state.step).")
  }

  private mutating func help() {
    for line in step.instructions { say(line) }
    for warning in step.warnings { show(.warning(warning)) }
    if let question, !question.hint.isEmpty { say(question.hint) }
    say("At any question: note TEXT, photo NAME, repeat, back, skip REASON, quit (keeps the state), help.")
  }

  private mutating func skip(_ reason: String) {
    guard !step.isSafety else { return say("Step \(step.number) cannot be skipped: what follows would be dangerous.") }
    guard step.isOptional || !reason.isEmpty else { return say("skip REASON: say why, it stands in the report.") }
    out.append(.order(.hold))
    state[state.step]?.verdict = .skipped
    state[state.step]?.reason = reason.isEmpty ? "optional" : reason
    finishShown()
  }

  // MARK: Answers

  private mutating func settle(_ question: Question, _ typed: String) {
    switch pending {
    case nil: return
    case .again: say("repeat, back\(step.isSafety ? "" : ", skip REASON") or quit.")
    case .close:
      guard let permission = ContactorPermission(typed: typed) else {
        return say("The contactors stay open. Type \"\(ContactorPermission.words)\" in full, or quit.")
      }
      guard let missing = missingForClosing else {
        note("contactors: closing confirmed")
        // After three failures the controller waits for a reset; whoever types the words has seen them.
        if observation?.last?.engine.isPrechargeLatched == true { out.append(.order(.reset)) }
        out.append(.order(.close(permission)))
        pending = nil
        stage += 1
        return
      }
      say("The contactors stay open: \(missing).")
      fail()
    case .offer(let proposal):
      guard let given = question.answer(typed) else { return say("Expected \(question.expected).") }
      pending = nil
      stage += 1
      record(question, given)
      guard given == "yes" else { return }
      configuration = proposal.configuration
      state.configuration = ConfigurationFile.text(configuration)
      for line in proposal.lines { note(line) }
      out += [.order(.configure(limited)), .write(configuration)]
      // What was measured before the change says nothing of what is now.
      watch(3, .settle)
    case .ask(let asked):
      guard let given = asked.answer(typed) else {
        return say("Found \"\(typed)\", expected \(asked.expected)." + (asked.isConfirmation ? "" : " 'help' says more."))
      }
      pending = nil
      record(asked, given)
      accept(asked, given)
    }
  }

  private mutating func record(_ question: Question, _ given: String) {
    state[state.step]?.answers.removeAll { $0.id == question.id }
    state[state.step]?.answers.append(.init(id: question.id, question: question.text, answer: given))
  }

  private mutating func accept(_ question: Question, _ given: String) {
    guard question.wanted.isEmpty || question.wanted.contains(given) else {
      let record = CheckRecord(
        title: question.text, verdict: .failed, measured: given, expected: question.wanted.joined(separator: " or "),
        hint: question.hint)
      state[state.step]?.checks.append(record)
      show(.check(record))
      return fail()
    }
    stage += 1
  }

  private mutating func note(_ action: String) { state[state.step]?.actions.append(action) }

  private var mayTalk: Bool {
    guide.steps.contains { step in
      state[step.number]?.verdict == .passed && step.stages.contains { if case .watch(_, .talk) = $0 { true } else { false } }
    }
  }

  /// Why contactors must not close whatever is typed; `nil` = nothing.
  private var missingForClosing: String? {
    for step in guide.steps where step.isSafety && step.number < state.step && state[step.number]?.verdict != .passed {
      return "step \(step.number) is not passed"
    }
    return configuration.violationCount == 0 ? nil : "the configuration breaks rules"
  }

  // MARK: Stages

  private mutating func enter(isResumed: Bool) {
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
    if let before = state[step.number] {
      record.attempts = before.attempts + (isResumed ? 0 : 1)
      record.notes = before.notes
      record.photos = before.photos
      record.actions = before.actions
      if isResumed { record.answers = before.answers }
    }
    state[step.number] = record
    self.isResumed = isResumed
    show(.heading(step, count: guide.steps.count))
    for line in step.instructions { say(line) }
    for warning in step.warnings { show(.warning(warning)) }
    out.append(.save)
  }

  /// Goes on until somebody has to answer, or the plant has to be watched.
  private mutating func proceed() {
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
      case .close(let why): pending = .close(why)
      case .open:
        stage += 1
        note("contactors: opened")
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

  private mutating func ask(_ question: Question) {
    // Words are typed anew after a crash: nobody knows who comes back to the system, and when.
    if isResumed, !question.isConfirmation, let known = state[state.step]?.answers.last(where: { $0.id == question.id }) {
      say("\(question.text) \(known.answer) (answered before)")
      return accept(question, known.answer)
    }
    pending = .ask(question)
  }

  /// The configuration with the limits that hold now.
  private var limited: Configuration {
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

  private mutating func watch(_ time: Double, _ reason: Guide.Watch) {
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

  private mutating func watchMore(_ step: PlantStep) {
    switch observation?.watch {
    case .listen: listener.hear(step.frames)
    case .charge:
      if let found = charge?.take(step) {
        // First open, then explain.
        out.append(.order(.hold))
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

  private mutating func endWatch(_ seen: Observation) {
    isWatchingNow = false
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

  private var checks: Checks {
    Checks(state: state, configuration: configuration, observation: observation, heard: heard, charge: charge, doubt: doubt)
  }

  private mutating func judge(_ ids: [CheckID]) {
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
    if hasFailed { fail() }
  }

  private mutating func propose(_ offer: Guide.Offer) {
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
  private mutating func fail() {
    out.append(.order(.hold))
    state[state.step]?.verdict = .failed
    if let record = state[state.step] { show(.verdict(record)) }
    pending = .again
    out.append(.save)
  }

  private mutating func finish() {
    let isOpen = state[state.step]?.checks.contains { $0.verdict == .open } ?? false
    // What is open comes again once the next step is passed; if that was passed already, it will not get better by waiting.
    if isOpen, state[state.step + 1]?.verdict == .passed { return fail() }
    state[state.step]?.verdict = isOpen ? .deferred : .passed
    finishShown()
  }

  private mutating func finishShown() {
    if let record = state[state.step] { show(.verdict(record)) }
    let isDeferred = state[state.step]?.verdict == .deferred
    let next =
      isDeferred
      ? state.step + 1
      : guide.steps.first { state[$0.number].map { $0.verdict != .passed && $0.verdict != .skipped } ?? true }?.number
        ?? guide.steps.count + 1
    state.step = next
    isResumed = false
    if next > guide.steps.count {
      end = .finished
      out.append(.order(.configure(configuration)))
      out.append(.save)
    } else {
      enter(isResumed: false)
    }
  }
}
