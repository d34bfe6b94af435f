import Controller
import Formats

/// What a person changes in the configuration's file meanwhile. It is what was said last, so it counts, and nothing is written over it.
extension CommissioningRun {
  /// A file that says something else than what is in force.
  struct Edit {
    var configuration: Configuration
    /// The file's name.
    var file: String
    /// Whether the person wants to go a step back.
    var goesBack = false
  }

  /// An edit was found while the run goes on: contactors open, then it is taken over.
  mutating func edited(_ edit: Edit) -> [Output] {
    guard end == nil, !isWatchingNow else { return [] }
    hold("\(edit.file) was edited")
    say("\(edit.file) was edited since it was read: nothing is written over that; it is taken over first.")
    pending = nil
    self.edit = edit
    // A controller takes over another battery with open contactors only, and opening takes a moment.
    watch(3, .settle)
    out.append(.save)
    return take()
  }

  /// The file cannot be taken over, and nothing may be written over it: the step failed.
  mutating func refused(_ why: String) -> [Output] {
    guard end == nil, !isWatchingNow else { return [] }
    let short = "the configuration's file cannot be used"
    hold(short)
    fail(
      "The configuration's file", measured: why, expected: "a configuration that keeps all rules",
      hint: "Nothing was written to it. Correct it ('linkbms config check' names everything), then repeat the step.",
      why: short)
    return take()
  }

  /// Contactors are open by now.
  mutating func takeOver(_ edit: Edit) {
    let stood = state.step
    adopt(edit)
    if edit.goesBack { state.step = min(state.step, max(1, stood - 1)) }
    if state.step != stood { state[stood]?.ended = now }
    limits = .full
    out += [.order(.configure(configuration)), .order(.mute(!mayTalk))]
    enter(isResumed: false)
  }

  /// After a jump back later steps are passed: what they were judged by is about to be another here.
  mutating func deferLaterSteps(than number: Int, judgedBy change: ConfigurationChange) {
    let concerned = guide.steps.filter { $0.number > number && state[$0.number]?.verdict == .passed && change.concerns($0) }
    postpone(concerned, "step \(number) changed the configuration (\(change.names))")
  }

  /// Nobody knows by what passed steps were judged: everything that was checked is checked again.
  mutating func deferWhatWasChecked() {
    let checked = guide.steps.filter { step in
      state[step.number]?.verdict == .passed && step.stages.contains { if case .check = $0 { true } else { false } }
    }
    state.configuration = ConfigurationFile.text(configuration)
    guard let first = checked.first else { return }
    say("The state does not tell by which configuration its steps were judged.")
    postpone(checked, "it is not known by which configuration it was judged")
    state.step = min(state.step, first.number)
  }

  private mutating func postpone(_ steps: [Guide.Step], _ reason: String) {
    guard !steps.isEmpty else { return }
    for step in steps {
      state[step.number]?.verdict = .deferred
      state[step.number]?.reason = reason
    }
    say("Judged by that, and done again: \(steps.map { "step \($0.number)" }.joined(separator: ", ")).")
  }

  /// From here on the file's values are in force; steps that are passed and were judged by what differs are to be done again.
  mutating func adopt(_ edit: Edit) {
    let change = ConfigurationChange(from: configuration, to: edit.configuration)
    configuration = edit.configuration
    state.configuration = ConfigurationFile.text(configuration)
    guard !change.isEmpty else { return }
    say("\(edit.file) says something else than before. It was edited last, so it counts:")
    for line in change.lines { say("  " + line) }
    let concerned = guide.steps.filter { state[$0.number]?.verdict == .passed && change.concerns($0) }
    postpone(concerned, "\(edit.file) was edited (\(change.names))")
    if let first = concerned.first {
      state.step = min(state.step, first.number)
    } else {
      say("No step that is passed was judged by that.")
    }
    for line in change.lines { note("\(edit.file) was edited: \(line)") }
  }
}
