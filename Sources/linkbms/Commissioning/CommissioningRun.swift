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
  enum Pending {
    case ask(Question)
    case offer(Proposal)
    case close(String)
    /// A step failed: what now?
    case again
  }

  /// How a run ended.
  enum End: Equatable { case finished, left }

  let guide: Guide
  var state: CommissioningState
  /// What the controller works by, without the reduced limits of the first charge.
  var configuration: Configuration
  var end: End?
  var stage = 0
  var pending: Pending?
  var observation: Observation?
  var seconds = 0.0
  var limits = Guide.Limits.full
  var charge: ChargeWatch?
  var doubt: ChargeWatch.Doubt?
  var lastProgress = 0.0
  var listener: InverterListener
  var heard: BusHeard?
  var isWatchingNow = false
  /// Answers from before a crash may be used once more.
  var isResumed: Bool
  /// Whether nobody knows what steps that are passed were judged by: an old state, or one whose configuration cannot be read.
  var isBasisUnknown = false
  /// Whether a person has let the contactors close, and nobody has opened them since.
  var isPermitted = false
  /// Taken over when the contactors had time to open.
  var edit: Edit?
  /// s since 1970, UTC, of what comes in next: whoever leads says it. `nil` = not known.
  var now: Int64?
  var out: [Output] = []

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
  /// - Parameter edit: what the configuration's file says by now, where the state was kept with something else; the plant has it already.
  mutating func start(_ edit: Edit? = nil) -> [Output] {
    out = [.order(.hold)]
    // What the state says last is what was known last: the program ended with contactors that it had let close.
    if let last = state[state.step]?.actions.last(where: { $0.hasPrefix("contactors: ") }), last == Self.closingConfirmed {
      note("contactors: opened, the program had ended: a LinkPDU without orders opens after 1 s")
    }
    let stood = state.step
    if let edit { adopt(edit) }
    if isBasisUnknown { deferWhatWasChecked() }
    // Nothing is said to the inverter before it was listened to and answered once.
    out.append(.order(.mute(!mayTalk)))
    enter(isResumed: isResumed && state.step == stood)
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
    if isPermitted, let why = step.revoked {
      revoked(why)
      return take()
    }
    observation?.take(step)
    watchMore(step)
    if let observation, observation.isOver || observation.elapsed >= seconds || doubt != nil { endWatch(observation) }
    proceed()
    return take()
  }

  /// Nothing more comes: contactors open, the state stays.
  mutating func leave(_ why: String) -> [Output] {
    guard end == nil else { return [] }
    end = .left
    isWatchingNow = false
    pending = nil
    hold(why)
    out.append(.save)
    return take()
  }

  static let closingConfirmed = "contactors: closing confirmed"

  /// Opens, and keeps in the state that they were opened, where they may have been closed.
  mutating func hold(_ why: String) {
    out.append(.order(.hold))
    if isPermitted { note("contactors: opened, \(why)") }
    isPermitted = false
  }

  /// The plant has opened by itself and waits for a person: the step failed.
  mutating func revoked(_ why: String) {
    isWatchingNow = false
    fail(
      "Nothing is in doubt while contactors are closed", measured: why, expected: "no doubt",
      hint: "The contactors were opened at once and stay open. Put that right first, then repeat the step.", why: why)
  }

  mutating func take() -> [Output] {
    defer { out.removeAll() }
    return out
  }

  mutating func show(_ block: Block) { out.append(.show(block)) }
  mutating func say(_ text: String) { show(.text(text)) }

  // MARK: Words that work at every question

  mutating func obeyWord(_ typed: String) -> Bool {
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
      hold("quit")
    case "repeat" where rest.isEmpty:
      hold("the step is repeated")
      enter(isResumed: false)
    case "back" where rest.isEmpty:
      hold("a step back")
      // What it came to until here stays: it is done again when its turn comes.
      state[state.step]?.ended = now
      state.step = max(1, state.step - 1)
      enter(isResumed: false)
    case "skip": skip(rest)
    default: return false
    }
    return true
  }

  mutating func remember(_ list: WritableKeyPath<StepRecord, [String]>, _ text: String, _ usage: String) {
    guard !text.isEmpty else { return say(usage) }
    state[state.step]?[keyPath: list].append(text)
    say("Kept with step \(state.step).")
  }

  mutating func help() {
    for line in step.instructions { say(line) }
    for warning in step.warnings { show(.warning(warning)) }
    if let question, !question.hint.isEmpty { say(question.hint) }
    say("At any question: note TEXT, photo NAME, repeat, back, skip REASON, quit (keeps the state), help.")
    say("repeat and back read the configuration's file (--config) again: change it with 'linkbms config set --file'.")
  }

  mutating func skip(_ reason: String) {
    guard !step.isSafety else { return say("Step \(step.number) cannot be skipped: what follows would be dangerous.") }
    guard step.isOptional || !reason.isEmpty else { return say("skip REASON: say why, it stands in the report.") }
    hold("the step is skipped")
    state[state.step]?.verdict = .skipped
    state[state.step]?.ended = now
    state[state.step]?.reason = reason.isEmpty ? "optional" : reason
    finishShown()
  }

  // MARK: Answers

  mutating func settle(_ question: Question, _ typed: String) {
    switch pending {
    case nil: return
    case .again: say("repeat, back\(step.isSafety ? "" : ", skip REASON") or quit.")
    case .close:
      guard let permission = ContactorPermission(typed: typed) else {
        return say("The contactors stay open. Type \"\(ContactorPermission.words)\" in full, or quit.")
      }
      guard let missing = missingForClosing else {
        note(Self.closingConfirmed)
        // First it is kept, then it is done: after a crash the file says that they may have been closed.
        out.append(.save)
        isPermitted = true
        // After three failures the controller waits for a reset; whoever types the words has seen them.
        if observation?.last?.engine.isPrechargeLatched == true { out.append(.order(.reset)) }
        out.append(.order(.close(permission)))
        pending = nil
        stage += 1
        return
      }
      say("The contactors stay open: \(missing).")
      fail(
        "The contactors may close", measured: missing, expected: "every safety step passed, a configuration that keeps all rules",
        hint: "Put that right first: 'back' leads to the step before.", why: missing)
    case .offer(let proposal):
      guard let given = question.answer(typed) else { return say("Expected \(question.expected).") }
      pending = nil
      stage += 1
      record(question, given)
      guard given == "yes" else { return }
      let couldTalk = mayTalk
      switch proposal.offer {
      case .bench: state.keepSensors(of: configuration)
      case .configuration: state.sensors = []
      default: break
      }
      deferLaterSteps(than: state.step, judgedBy: ConfigurationChange(from: configuration, to: proposal.configuration))
      configuration = proposal.configuration
      if couldTalk, !mayTalk { out.append(.order(.mute(true))) }
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

  mutating func record(_ question: Question, _ given: String) {
    state[state.step]?.answers.removeAll { $0.id == question.id }
    state[state.step]?.answers.append(.init(id: question.id, question: question.text, answer: given))
  }

  mutating func accept(_ question: Question, _ given: String) {
    guard question.wanted.isEmpty || question.wanted.contains(given) else {
      return fail(
        question.text, measured: given, expected: question.wanted.joined(separator: " or "), hint: question.hint,
        why: "the step failed")
    }
    stage += 1
  }

  mutating func note(_ action: String) { state[state.step]?.actions.append(action) }

  var mayTalk: Bool {
    guide.steps.contains { step in
      state[step.number]?.verdict == .passed && step.stages.contains { if case .watch(_, .talk) = $0 { true } else { false } }
    }
  }

  /// Why contactors must not close whatever is typed; `nil` = nothing.
  var missingForClosing: String? {
    for step in guide.steps where step.isSafety && step.number < state.step && state[step.number]?.verdict != .passed {
      return "step \(step.number) is not passed"
    }
    return configuration.violationCount == 0 ? nil : "the configuration breaks rules"
  }
}
