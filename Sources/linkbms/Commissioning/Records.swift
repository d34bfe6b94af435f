import Controller

/// A check or an answer as it stands in the state and in the report: with its words, so that a report does not change with the guide.
struct CheckRecord: Sendable, Equatable {
  var title: String
  var verdict: CheckResult.Verdict
  var measured: String
  var expected: String
  /// What to do, where it failed.
  var hint: String = ""
}

/// What is known of one step.
struct StepRecord: Sendable, Equatable {
  /// How a step stands.
  enum Verdict: String, Sendable {
    /// It has begun.
    case begun
    case passed, failed
    /// Left out by the person, with a reason.
    case skipped
    /// It comes again: after the next step, or because what it was judged by is another now.
    case deferred
  }

  /// A question and what was answered.
  struct Answer: Sendable, Equatable {
    var id: String
    var question: String
    var answer: String
  }

  /// A time that the step was tried before.
  struct Attempt: Sendable, Equatable {
    /// From 1.
    var number: Int
    var verdict: Verdict
    /// s since 1970, UTC; `nil` = not known.
    var began: Int64?
    var ended: Int64?
    var checks: [CheckRecord] = []
    var answers: [Answer] = []
    var reason = ""
  }

  var number: Int
  var title: String
  var verdict = Verdict.begun
  /// Times it was begun.
  var attempts = 1
  /// When this attempt began and ended, s since 1970, UTC; `nil` = not known, or not yet.
  var began: Int64?
  var ended: Int64?
  var checks: [CheckRecord] = []
  var answers: [Answer] = []
  var notes: [String] = []
  var photos: [String] = []
  /// What was done: contactors, calibrations, changes of the configuration.
  var actions: [String] = []
  /// Why it was left out, or comes again.
  var reason = ""
  /// What came out before this attempt, oldest first.
  var earlier: [Attempt] = []
}

extension StepRecord {
  /// More than anybody tries; a state is read back with no more.
  static let mostAttempts = 1_000_000

  /// The step begins again: what belongs to it stays with it, and what the attempt before came to is kept.
  /// - Parameters:
  ///   - isResumed: the program had ended in it: its answers may be used once more.
  ///   - now: s since 1970; `nil` = not known.
  mutating func follow(_ before: StepRecord, isResumed: Bool, now: Int64?) {
    notes = before.notes
    photos = before.photos
    actions = before.actions
    earlier = before.earlier
    if isResumed { answers = before.answers }
    // Who comes back to questions goes on with them; who comes back to results makes them anew.
    if isResumed, before.verdict == .begun, before.checks.isEmpty {
      attempts = before.attempts
      began = before.began
      return
    }
    attempts = min(StepRecord.mostAttempts, before.attempts + 1)
    began = now
    guard before.verdict != .begun || !before.checks.isEmpty || !before.answers.isEmpty else { return }
    earlier.append(
      Attempt(
        number: before.attempts, verdict: before.verdict, began: before.began, ended: before.ended ?? now, checks: before.checks,
        answers: before.answers, reason: before.reason))
  }
}

/// A moment of the first charge.
struct ChargeSample: Sendable, Equatable {
  /// s from the start of the watch.
  var time: Double
  /// V of the lowest cell.
  var low: Double
  /// V of the highest cell.
  var high: Double
  /// A.
  var current: Double
  /// %.
  var soc: Double
}

/// Everything that outlives a crash.
struct CommissioningState: Sendable, Equatable {
  /// Of the plant or the port, so that the state of one system is not taken for another's.
  var plant = ""
  /// Where it stands, from 1; 17 = all done.
  var step = 1
  /// The configuration in force, as its file has it; empty = as the plant came.
  var configuration = ""
  /// Sensors that were enabled before the bench left one module: a mask for each of the 30; empty = the bench has taken none away.
  var sensors: [UInt8] = []
  var records: [StepRecord] = []
  /// V-out over V-in of the last precharge.
  var curve: [Observation.Point] = []
  var charge: [ChargeSample] = []

  /// The record of a step.
  subscript(number: Int) -> StepRecord? {
    get { records.first { $0.number == number } }
    set {
      records.removeAll { $0.number == number }
      guard let newValue else { return }
      let place = records.firstIndex { $0.number > number } ?? records.count
      records.insert(newValue, at: place)
    }
  }

  /// Keeps the sensors of a configuration beside those that are kept already.
  mutating func keepSensors(of configuration: Configuration) {
    sensors = (0..<30).map { configuration.sensors[$0] | keptSensors($0) }
  }

  /// The sensors that were enabled on a module, from 0, before the bench.
  func keptSensors(_ module: Int) -> UInt8 { sensors.indices.contains(module) ? sensors[module] : 0 }

  /// An answer of any step.
  func answer(_ id: String) -> String? {
    for record in records { if let found = record.answers.last(where: { $0.id == id }) { return found.answer } }
    return nil
  }

  /// A number that was answered.
  func number(_ id: String) -> Double? { answer(id).flatMap { Number.value($0) } }

  /// A count that was answered. A state is a file that anybody may have edited: nothing in it is too large to be counted.
  func count(_ id: String) -> Int? { number(id).map { Int(Number.int32($0)) } }
}

/// The time constant and the end of a precharge.
struct PrechargeFigures: Sendable, Equatable {
  /// s from the first rise to 63 % of the way to V-in; `nil` = not reached.
  var timeConstant: Double?
  /// s to 95 %.
  var timeTo95: Double?
  /// V-out over V-in at the end, 0…1 and above.
  var finalRatio: Double

  init?(_ curve: [Observation.Point]) {
    guard let first = curve.first, let last = curve.last else { return nil }
    func reaches(_ share: Double) -> Double? {
      var before: Observation.Point?
      for point in curve {
        if point.input > 1, point.output >= point.input * share {
          guard let before, before.input > 1 else { return point.time }
          // Between two points in a straight line: steps are tens of milliseconds.
          let (low, high) = (before.output / before.input, point.output / point.input)
          guard high > low else { return point.time }
          return before.time + (share - low) / (high - low) * (point.time - before.time)
        }
        before = point
      }
      return nil
    }
    // The relay travels first, and the capacitors may still hold something of the time before.
    let begin = first.input > 1 ? max(0, min(0.99, first.output / first.input)) : 0
    if let rise = reaches(begin + (1 - begin) * 0.005), let most = reaches(begin + (1 - begin) * 0.632), most > rise {
      timeConstant = most - rise
    }
    timeTo95 = reaches(0.95)
    finalRatio = last.input > 1 ? last.output / last.input : 0
  }

  var text: String {
    let constant = timeConstant.map { "time constant \(Number.text($0, 2, "s"))" } ?? "63 % not reached"
    let end = timeTo95.map { "95 % after \(Number.text($0, 2, "s"))" } ?? "95 % not reached"
    return "\(constant), \(end), V-out \(Number.text(finalRatio * 100, 1, "%")) of V-in at the end"
  }
}
