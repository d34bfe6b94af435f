import Analysis
import Bus
import Formats
import Protocols

/// What makes a recorder keep what was before and after it.
enum TriggerCondition: Equatable {
  /// A rule of `diagnose` speaks: `R05`.
  case rule(RuleID)
  /// A question was asked so often without any word of the other side, which had its time after the last one, too: `4200 unanswered 3`.
  case unanswered(FrameName, times: Int)
  /// A message is silent for longer: `305 gap > 3 s`.
  case gap(FrameName, longerThan_ns: Int64)
  /// A filter expression begins to hold: `any fault`.
  case expression(FilterExpression)

  /// A message by its name, or a frame by its ID.
  enum FrameName: Equatable {
    case id(ArbitrationID)
    case message(String)
  }

  /// What may be typed, for messages.
  static let expected =
    "a rule (R05), 'ID unanswered TIMES', 'ID gap > SECONDS' (a message's name for ID, too) or an expression such as 'any fault'"

  /// Reads `--trigger`.
  static func parse(_ text: String) throws(WorldError) -> TriggerCondition {
    let words = text.split { $0 == " " || $0 == "\t" }.map(String.init)
    if words.count == 1, let meant = try ruleNamed(words[0]) { return .rule(meant) }
    if words.count >= 2, words[1] == "unanswered" {
      guard let name = frameName(words[0]), let times = words.count == 2 ? 1 : times(words[2]), (2...4).contains(words.count) else {
        throw wrong(text)
      }
      return .unanswered(name, times: times)
    }
    if words.count >= 2, words[1] == "gap" {
      let rest = words.dropFirst(2).filter { $0 != ">" }.joined()
      let value = rest.hasPrefix(">") ? String(rest.dropFirst()) : rest
      guard let name = frameName(words[0]), let time = DurationText.nanoseconds(value), time > 0 else { throw wrong(text) }
      return .gap(name, longerThan_ns: time)
    }
    do throws(FilterExpression.Mistake) { return .expression(try FilterExpression.parse(text)) } catch {
      throw WorldError(message: "--trigger: \(error); expected \(expected)")
    }
  }

  /// A rule by its number; `nil` for a word that is meant otherwise.
  private static func ruleNamed(_ word: String) throws(WorldError) -> RuleID? {
    guard let rule = RuleID.allCases.first(where: { $0.rawValue.lowercased() == word.lowercased() }) else {
      let digits = word.dropFirst().prefix { $0.isASCII && $0.isNumber }
      guard word.first?.lowercased() == "r", !digits.isEmpty, word.count <= digits.count + 2 else { return nil }
      throw WorldError(
        message: "--trigger: found \"\(word)\", expected a rule such as R05"
          + NearestName.hint(word, in: RuleID.allCases.map(\.rawValue)) + "; 'linkbms diagnose --explain R05' explains one")
    }
    guard let why = neverTells(rule) else { return rule }
    throw WorldError(message: "--trigger: found \(rule.rawValue), expected a rule of a fault: \(why)")
  }

  /// Why a rule tells no fault of a live bus; `nil` = it does.
  private static func neverTells(_ rule: RuleID) -> String? {
    switch rule {
    case .R27: "R27 says that the link is well"
    case .R28: "R28 comes only at the end, against a known-good capture: linkbms diagnose --live IFACE --reference GOOD"
    default: nil
    }
  }

  private static func wrong(_ text: String) -> WorldError {
    WorldError(message: "--trigger: found \"\(text)\", expected \(expected)")
  }

  private static func times(_ word: String) -> Int? {
    let words = ["once": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10]
    guard let number = words[word] ?? Int(word), (1...1_000_000).contains(number) else { return nil }
    return number
  }

  /// Three digits are 11 bits, more are 29, as everywhere; `0x4200` is read as such an ID.
  static func frameName(_ word: String) -> FrameName? {
    var digits = word[...]
    let isMarked = digits.hasPrefix("0x")
    if isMarked { digits = digits.dropFirst(2) }
    if let number = UInt32(digits, radix: 16), number <= 0x1FFF_FFFF, isMarked || word.first?.isNumber == true {
      return .id(digits.count <= 3 ? .standard(number) : .extended(number))
    }
    guard !isMarked, let first = word.first, first.isLetter else { return nil }
    return .message(word)
  }
}

extension TriggerCondition {
  /// What is wrong with the names in it, where these definitions are all that is spoken: one sentence a name.
  func unknownNames(_ tables: [DecodeTable]) -> [String] {
    switch self {
    case .rule: return []
    case .expression(let expression): return CompiledFilter.unknownNames(expression, tables).map(\.description)
    case .gap(let name, _), .unanswered(let name, _):
      guard case .message(let word) = name else { return [] }
      let known = Set(tables.flatMap { $0.dissection.messages.map(\.name) })
      if known.contains(word) { return [] }
      return ["found \"\(word)\", expected a message or an ID" + NearestName.hint(word, in: known.sorted())]
    }
  }

  /// Refuses names that the definitions which a person named do not have.
  static func check(_ conditions: [TriggerCondition], _ tables: [DecodeTable]) throws(WorldError) {
    for condition in conditions {
      if let mistake = condition.unknownNames(tables).first { throw WorldError(message: "--trigger: \(mistake)") }
    }
  }

  /// Whether it is only a matter of IDs and times, so that definitions change nothing.
  fileprivate var needsNoDefinitions: Bool {
    switch self {
    case .rule, .gap(.id, _): true
    case .gap(.message, _), .unanswered, .expression: false
    }
  }
}

/// Watches the frames of one bus for conditions that frames alone can fulfil. Sans-IO: frames and time go in, what is fulfilled comes out.
struct TriggerDetector {
  private struct Watch {
    var condition: TriggerCondition
    var filter: CompiledFilter?
    var count = 0
    /// When the message came last, or the question that was asked often enough.
    var last_ns: Int64?
    /// Whether it was told and has not ended since.
    var isHolding = false
    /// Whether it was ever told.
    var wasTold = false
    /// Whether what it finds is known already: while frames are looked at once more.
    var isSilent = false
  }

  private let conditions: [TriggerCondition]
  private let table: DecodeTable
  private let bus: String
  private var watches: [Watch]

  init(_ conditions: [TriggerCondition], table: DecodeTable, bus: String) {
    self.conditions = conditions
    self.table = table
    self.bus = bus
    watches = conditions.map { condition in
      var watch = Watch(condition: condition)
      if case .expression(let expression) = condition {
        // Who names a field means frames, and flags in them.
        watch.filter = CompiledFilter(
          expression, table: table, busName: bus, expression.partOfOneFrame == nil ? .standing : .condition)
      }
      return watch
    }
  }

  /// A frame.
  /// - Returns: what is fulfilled by it, in words.
  mutating func take(_ record: CANRecord, _ now_ns: Int64) -> String? {
    let slot = table.slot(of: record.frame) ?? -1
    var told: String?
    for index in watches.indices {
      switch watches[index].condition {
      case .rule: continue
      case .expression:
        // A frame without its signals says nothing either way, and neither does one that leaves it open.
        guard let holds = watches[index].filter?.judge(record, slot: slot) else { continue }
        if holds, !watches[index].isHolding, tells(index) { told = told ?? "the expression holds" }
        watches[index].isHolding = holds
      case .gap(let name, _):
        if isMeant(name, record.frame, slot) {
          watches[index].last_ns = now_ns
          watches[index].isHolding = false
        }
      case .unanswered(let name, let times):
        if isMeant(name, record.frame, slot) {
          watches[index].count += 1
          if watches[index].count == times { watches[index].last_ns = now_ns }
        } else if isOfOtherSide(name, slot) {
          watches[index].count = 0
          watches[index].isHolding = false
        }
      }
    }
    return told
  }

  /// Time without a frame.
  mutating func wake(_ now_ns: Int64) -> String? {
    for index in watches.indices {
      guard let due_ns = due_ns(watches[index]), now_ns >= due_ns else { continue }
      watches[index].isHolding = true
      guard tells(index) else { continue }
      switch watches[index].condition {
      case .gap(let name, let longest): return "\(label(name)) silent for more than \(DurationText.seconds(longest))"
      case .unanswered(let name, let times): return "\(label(name)) unanswered \(times) ×"
      case .rule, .expression: continue
      }
    }
    return nil
  }

  /// Whoever is asked has so long for an answer.
  static let answerTime_ns: Int64 = 1_000_000_000

  /// When a silence is one; `nil` = it is none, or it was told.
  private func due_ns(_ watch: Watch) -> Int64? {
    guard !watch.isHolding, let last = watch.last_ns else { return nil }
    switch watch.condition {
    case .gap(_, let longest): return last &+ longest &+ 1_000_000
    case .unanswered(_, let times): return watch.count >= times ? last &+ TriggerDetector.answerTime_ns : nil
    case .rule, .expression: return nil
    }
  }

  /// Notes that a condition is fulfilled; whether that is news.
  private mutating func tells(_ index: Int) -> Bool {
    watches[index].wasTold = true
    return !watches[index].isSilent
  }

  // MARK: Definitions that come later

  /// Takes other definitions, and looks with them once more at frames that were heard before they were known.
  /// - Parameter frames: with the times at which they came, oldest first.
  /// - Returns: what they fulfil and was not told yet, with the time.
  mutating func learn(
    _ table: DecodeTable, _ frames: [(record: CANRecord, now_ns: Int64)]
  ) -> [(reason: String, now_ns: Int64)] {
    var fresh = TriggerDetector(conditions, table: table, bus: bus)
    for index in watches.indices {
      if conditions[index].needsNoDefinitions { fresh.watches[index] = watches[index] }
      fresh.watches[index].wasTold = watches[index].wasTold
      fresh.watches[index].isSilent = watches[index].wasTold || conditions[index].needsNoDefinitions
    }
    var told: [(reason: String, now_ns: Int64)] = []
    for (record, now_ns) in frames {
      while let reason = fresh.wake(now_ns) { told.append((reason, now_ns)) }
      if let reason = fresh.take(record, now_ns) { told.append((reason, now_ns)) }
    }
    for index in fresh.watches.indices {
      // What stands by itself has gone on meanwhile.
      if conditions[index].needsNoDefinitions { fresh.watches[index] = watches[index] }
      fresh.watches[index].isSilent = false
    }
    self = fresh
    return told
  }

  /// When `wake` may find something.
  var nextWake_ns: Int64 {
    watches.compactMap(due_ns).min() ?? .max
  }

  private func label(_ name: TriggerCondition.FrameName) -> String {
    switch name {
    case .id(let id): FrameText.text(id)
    case .message(let message): message
    }
  }

  private func isMeant(_ name: TriggerCondition.FrameName, _ frame: CANFrame, _ slot: Int) -> Bool {
    switch name {
    case .id(let id): frame.id == id && !frame.flags.contains(.error)
    case .message(let message): slot >= 0 && table.dissection.messages[table.messageIndex(ofSlot: slot)].name == message
    }
  }

  /// Whether a frame that is not the question counts as a word of the other side: by its definition, else always.
  private func isOfOtherSide(_ name: TriggerCondition.FrameName, _ slot: Int) -> Bool {
    guard slot >= 0, let sender = table.dissection.messages[table.messageIndex(ofSlot: slot)].sender else { return true }
    let asking = table.dissection.plan.slots.indices.first { index in
      switch name {
      case .id(let id): table.dissection.plan.slots[index].id == id
      case .message(let message): table.dissection.messages[table.messageIndex(ofSlot: index)].name == message
      }
    }
    guard let asking, let side = table.dissection.messages[table.messageIndex(ofSlot: asking)].sender else { return true }
    return sender != side
  }
}
