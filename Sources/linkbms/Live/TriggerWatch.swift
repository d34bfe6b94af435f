import Analysis
import Bus
import Formats

/// Keeps the latest frames of live buses, and saves those before and after something that a person waits for.
final class TriggerWatch {
  /// What to do with the frames around a trigger, and where some are missing: they, and why. Gives back words for the person.
  typealias Save = (_ kept: [FrameRing.Kept], _ reason: String) throws(WorldError) -> String

  /// How it watches.
  struct Settings {
    var conditions: [TriggerCondition]
    /// Kept before a trigger and after it.
    var before_ns: Int64
    var after_ns: Int64
    /// What a person knows beyond the frames.
    var site = SiteFacts()
    /// Whether nothing else is done with the frames: a watch for what cannot come is then no use.
    var isAlone = true
  }

  private let settings: Settings
  private let buses: [String]
  private let library: DefinitionLibrary
  private let context: JobContext
  private let save: Save
  private var ring: FrameRing
  /// Finds out what is spoken, where a person did not say it and names have to be known.
  private var identifier: LiveIdentifier?
  /// What each bus was found to speak.
  private var spoken: [String]
  private var detectors: [TriggerDetector]
  private var rules: RuleWatch?
  /// Mistakes in names that were told.
  private var mistakes: Set<String> = []
  /// A trigger that came: what, when, and when the frames after it are complete, monotonic ns. What else comes before that is a reason
  /// more.
  private var fired: (reasons: [String], at_ns: Int64, until_ns: Int64)?
  /// Times that something was saved.
  private(set) var saved = 0

  /// Frames that the ring holds at most: minutes of a busy bus.
  static let ringCapacity = 200_000

  /// - Parameters:
  ///   - buses: names of the CAN buses, by number.
  ///   - chooser: what the buses speak where somebody said it; else it is found out.
  init(
    _ settings: Settings, buses: [String], context: JobContext, chooser: TableChooser?, library: DefinitionLibrary, book: RuleBook,
    save: @escaping Save
  ) {
    self.settings = settings
    self.buses = buses
    self.context = context
    self.library = library
    self.save = save
    let wanted = Set(settings.conditions.compactMap { if case .rule(let rule) = $0 { rule } else { nil } })
    rules = wanted.isEmpty ? nil : RuleWatch(wanted, library, book, settings.site, buses: buses)
    ring = FrameRing(capacity: TriggerWatch.ringCapacity)
    let isByRulesAlone = settings.conditions.allSatisfy { if case .rule = $0 { true } else { false } }
    identifier = chooser == nil && !isByRulesAlone ? LiveIdentifier(library, buses: buses) : nil
    spoken = buses.map { TriggerWatch.words(BusIdentification(bus: $0)) }
    let empty = DecodeTable(PlanCompiler().finish())
    detectors = buses.map { TriggerDetector(settings.conditions, table: chooser?.table(forBus: $0) ?? empty, bus: $0) }
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 {
    var next = min(identifier?.nextWake_ns ?? .max, rules?.nextWake_ns ?? .max, fired?.until_ns ?? .max)
    for detector in detectors { next = min(next, detector.nextWake_ns) }
    return next
  }

  /// One frame.
  func take(_ record: CANRecord, _ now: LiveTime) {
    ring.add(record, now.monotonic_ns)
    identifier?.take(record, now.monotonic_ns)
    rules?.take(record, now.monotonic_ns)
    let bus = Int(record.bus.index)
    if bus < detectors.count, let reason = detectors[bus].take(record, now.monotonic_ns) { fire("\(buses[bus]): \(reason)", now) }
  }

  /// Frames of a bus were lost before the one that comes next.
  func lost(_ frames: UInt64, bus: Int, _ now: LiveTime) {
    ring.lost(frames, bus: BusID(UInt16(truncatingIfNeeded: bus)), now.monotonic_ns)
    rules?.lost(frames)
  }

  /// Time.
  func wake(_ now: LiveTime) {
    if let verdicts = identifier?.look(now.monotonic_ns) { learn(verdicts, now) }
    for bus in detectors.indices {
      if let reason = detectors[bus].wake(now.monotonic_ns) { fire("\(buses[bus]): \(reason)", now) }
    }
    for reason in rules?.wake(now.monotonic_ns) ?? [] { fire(reason, now) }
    if let fired, now.monotonic_ns >= fired.until_ns { keep(fired.reasons, fired.at_ns) }
  }

  /// The end: what was heard before anything was known is judged by what there is, what was being gathered is saved as it is.
  func finish(_ now: LiveTime) {
    if let identifier, identifier.isDecided || !identifier.early.isEmpty { learn(identifier.identify(), now, isEnd: true) }
    for reason in rules?.finish() ?? [] { fire(reason, now) }
    if let fired { keep(fired.reasons, fired.at_ns) }
  }

  // MARK: What is spoken

  private func learn(_ verdicts: [BusIdentification], _ now: LiveTime, isEnd: Bool = false) {
    identifier?.dropEarly()
    let chooser = TableChooser(verdicts, library)
    for bus in buses.indices where bus < verdicts.count {
      let words = TriggerWatch.words(verdicts[bus])
      guard words != spoken[bus] else { continue }
      spoken[bus] = words
      recall(bus, chooser.table(forBus: buses[bus]), now)
    }
    check(verdicts, buses.map { chooser.table(forBus: $0) }, isEnd: isEnd)
  }

  private static func words(_ verdict: BusIdentification) -> String { "\(verdict.protocolName ?? "-") \(verdict.variant ?? "-")" }

  /// Until now nothing was known of this bus: the frames that the ring holds of it are looked at once more.
  private func recall(_ bus: Int, _ table: DecodeTable, _ now: LiveTime) {
    var frames: [(record: CANRecord, now_ns: Int64)] = []
    for case .frame(let record, let arrival_ns) in ring.history(since: .min) where Int(record.bus.index) == bus {
      frames.append((record, arrival_ns))
    }
    for (reason, then_ns) in detectors[bus].learn(table, frames) {
      fire("\(buses[bus]): \(reason)", now.adding(then_ns &- now.monotonic_ns))
    }
  }

  /// Tells of names that no bus knows. While something is spoken that is not known, or a side has not spoken yet, it may yet be a name of
  /// that.
  private func check(_ verdicts: [BusIdentification], _ tables: [DecodeTable], isEnd: Bool) {
    let strange = verdicts.filter { isEnd ? $0.protocolName == nil : LiveIdentifier.isOpen($0) }.map(\.bus)
    let wrong = settings.conditions.map { $0.unknownNames(tables) }.filter { !$0.isEmpty }
    if strange.isEmpty, settings.isAlone, !wrong.isEmpty, wrong.count == settings.conditions.count {
      return context.fail("--trigger: \(wrong.joined().joined(separator: "; "))")
    }
    for mistake in wrong.joined() where mistakes.insert("\(strange.isEmpty) \(mistake)").inserted {
      if strange.isEmpty {
        context.status = max(context.status, .failed)
        context.output.note("linkbms: --trigger: \(mistake): this trigger never comes")
      } else {
        context.output.note(
          "linkbms: --trigger: \(mistake): this trigger waits until it is known what \(strange.joined(separator: ", ")) speaks")
      }
    }
  }

  // MARK: What came

  private func fire(_ reason: String, _ now: LiveTime) {
    if let fired {
      // The same again, as of something that comes and goes, is nothing new.
      guard !fired.reasons.contains(reason) else { return }
      self.fired?.reasons.append(reason)
    } else {
      fired = ([reason], now.monotonic_ns, now.monotonic_ns &+ settings.after_ns)
    }
    context.status = max(context.status, .findings)
    context.output.note("linkbms: trigger: \(reason)")
  }

  private func keep(_ reasons: [String], _ at_ns: Int64) {
    fired = nil
    do throws(WorldError) {
      let text = try save(ring.history(since: at_ns &- settings.before_ns), reasons.joined(separator: "; "))
      saved += 1
      context.output.note("linkbms: \(text)")
    } catch {
      // "A trigger came" promises its bundle.
      context.status = max(context.status, .failed)
      context.output.note("linkbms: \(error.message)")
    }
  }
}
