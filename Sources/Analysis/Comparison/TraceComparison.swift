public import Bus
public import Formats
import Protocols

/// One capture of a bus, prepared for comparison: who says what, how often, with which content, in which order.
public struct TraceProfile: RecordSink, Sendable {
  /// What one ID does.
  public struct Voice: Sendable {
    /// Frames.
    public var count: UInt64 = 0
    /// ns of the first and last.
    public var first: Int64 = 0
    /// The last one.
    public var last: Int64 = 0
    /// Payload of the first frame, and bits that ever changed.
    public var head: UInt64 = 0
    /// Bits that ever changed.
    public var moving: UInt64 = 0
    /// Shortest and longest payload.
    public var lengths: ClosedRange<UInt8> = 0...0
    /// What its values do, in the order of the message's signals; empty for IDs of no message.
    var courses: [Course] = []
    var latest: UInt64 = 0
    /// Mean time between frames, ns.
    public var period: Int64 { count > 1 ? (last &- first) / Int64(count - 1) : 0 }
  }

  /// What a value does over a capture, in thousandths.
  struct Course: Sendable {
    var lowest: Int64 = .max
    var highest: Int64 = .min
    var changes: UInt64 = 0
  }

  /// A step of the conversation: an ID, and for requests what is asked.
  public struct Step: Sendable, Hashable {
    /// Who.
    public var id: ArbitrationID
    /// The payload of an inverter's frame that never counts or measures; 0 otherwise.
    public var request: UInt64
  }

  /// By ID.
  public private(set) var voices: [ArbitrationID: Voice] = [:]
  /// The conversation from its beginning, at most `mostSteps`.
  public private(set) var steps: [(step: Step, time: Int64, record: UInt64)] = []
  /// What the bus speaks.
  public let identification: BusIdentification
  let link: CompiledLink?
  private var number: UInt64 = 0
  private var start: Int64?
  private let requests: Set<UInt32>
  /// Steps that are kept: minutes of any of these protocols.
  public static let mostSteps = 50_000
  /// The bus that is looked at.
  private let bus: String
  private var names: [String] = []

  /// - Parameter identification: what the capture's bus speaks, by its first part.
  public init(_ library: DefinitionLibrary, _ identification: BusIdentification) {
    self.identification = identification
    bus = identification.bus
    link = identification.protocolName.flatMap { library.definition($0) }?.link(
      variant: identification.variant, readings: identification.readings)
    // Messages with several contents in the handshake ask for different things.
    var several: Set<UInt32> = []
    if let link, let battery = link.handshake.battery {
      for answer in battery.answers {
        for slot in link.dissection.plan.slots where slot.message == answer.request { several.insert(slot.id.rawValue) }
      }
    }
    requests = several
  }

  /// A new bus.
  public mutating func busAppeared(_ bus: BusID, named name: String) { names.append(name) }

  /// A frame.
  public mutating func receive(_ record: borrowing CANRecord) {
    number &+= 1
    guard record.frame.isPlain, Int(record.bus.index) < names.count, names[Int(record.bus.index)] == bus else { return }
    let time = record.time.nanoseconds
    if start == nil { start = time }
    let frame = record.frame
    if var voice = voices[frame.id] {
      voice.count &+= 1
      voice.last = time
      voice.moving |= voice.head ^ frame.head
      voice.lengths = min(voice.lengths.lowerBound, frame.length)...max(voice.lengths.upperBound, frame.length)
      if voice.latest != frame.head {
        follow(&voice, frame, since: voice.latest)
        voice.latest = frame.head
      }
      voices[frame.id] = voice
    } else if voices.count < 2048 {
      var voice = Voice(count: 1, first: time, last: time, head: frame.head, lengths: frame.length...frame.length)
      voice.latest = frame.head
      follow(&voice, frame, since: nil)
      voices[frame.id] = voice
    }
    guard steps.count < TraceProfile.mostSteps else { return }
    let isRequest = requests.contains(frame.id.rawValue)
    steps.append((Step(id: frame.id, request: isRequest ? frame.head & 0xFFFF : 0), time &- (start ?? time), number))
  }

  /// Brings the courses of a voice's values up to date.
  private func follow(_ voice: inout Voice, _ frame: CANFrame, since before: UInt64?) {
    guard let link, let slot = link.dissection.plan.slot(of: frame.id) else { return }
    let plan = link.dissection.plan
    let message = plan.messages[Int(plan.slots[slot].message)]
    if voice.courses.isEmpty { voice.courses = [Course](repeating: Course(), count: Int(message.signalCount)) }
    for (place, signal) in message.signals.enumerated() {
      let layout = plan.signals[signal]
      guard layout.byteOffset == 0, layout.multiplexor < 0, Int(layout.bytesNeeded) <= frame.payloadLength else { continue }
      let value = max(-1_000_000_000_000, min(1_000_000_000_000, layout.thousandths(frame.head, scale: 1000)))
      voice.courses[place].lowest = min(voice.courses[place].lowest, value)
      voice.courses[place].highest = max(voice.courses[place].highest, value)
      if let before, (before ^ frame.head) & layout.storing(-1, in: 0) != 0 { voice.courses[place].changes &+= 1 }
    }
  }

  /// Chain and PDU records are not compared here.
  public mutating func receive(_ record: SideRecord) { number &+= 1 }
  /// Damage is told elsewhere.
  public mutating func report(_ problem: CaptureProblem) {}

  /// Name of an ID's message.
  func name(_ id: ArbitrationID) -> String? {
    guard let link, let slot = link.dissection.plan.slot(of: id) else { return nil }
    return link.dissection.messages[Int(link.dissection.plan.slots[slot].message)].name
  }
}

/// A capture beside a known-good one: what is missing, what is more, what comes at another pace or with other content, and where the two
/// first part.
public struct TraceComparison: Sendable {
  /// A difference.
  public struct Difference: Sendable, Equatable {
    /// What kind.
    public enum Kind: String, Sendable { case protocolName = "protocol", missing, more, period, length, content, course, order }
    /// What kind.
    public var kind: Kind
    /// The ID, where it is about one.
    public var id: String?
    /// In one sentence; "the reference" is the known-good capture.
    public var text: String
  }

  /// All differences, the first parting last.
  public private(set) var differences: [Difference] = []
  /// How far the conversations go alike: seconds of the reference and steps; `nil` = they never part.
  public private(set) var parting: (seconds: Double, steps: Int, reference: UInt64, other: UInt64)?
  /// Steps of the reference's conversation.
  public private(set) var stepCount = 0

  /// - Parameters:
  ///   - reference: the known-good capture.
  ///   - other: the one in doubt.
  ///   - tolerance: how far periods may be apart, as a fraction.
  public init(_ reference: TraceProfile, _ other: TraceProfile, tolerance: Double = 0.5) {
    stepCount = reference.steps.count
    let protocols = (reference.identification.protocolName, other.identification.protocolName)
    if protocols.0 != protocols.1 || reference.identification.variant != other.identification.variant {
      differences.append(
        .init(
          kind: .protocolName, id: nil,
          text:
            "the reference speaks \(TraceComparison.spoken(reference.identification)), the other \(TraceComparison.spoken(other.identification))"
        ))
    }
    if reference.identification.readings != other.identification.readings {
      let words = { (identification: BusIdentification) in
        let list = identification.readings.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return list.isEmpty ? "the variant's own" : list.joined(separator: ", ")
      }
      differences.append(
        .init(
          kind: .protocolName, id: nil,
          text: "read as \(words(other.identification)), the reference as \(words(reference.identification))"))
    }
    compareVoices(reference, other, tolerance)
    part(reference, other)
  }

  private static func spoken(_ identification: BusIdentification) -> String {
    (identification.protocolName ?? "no known protocol") + (identification.variant.map { " (\($0))" } ?? "")
  }

  private static func hex(_ id: ArbitrationID) -> String {
    let digits = String(id.number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
  }

  private mutating func compareVoices(_ reference: TraceProfile, _ other: TraceProfile, _ tolerance: Double) {
    let ids = Set(reference.voices.keys).union(other.voices.keys).sorted { $0.rawValue < $1.rawValue }
    for id in ids {
      let name = reference.name(id) ?? other.name(id) ?? ""
      let label = TraceComparison.hex(id) + (name.isEmpty ? "" : " \(name)")
      switch (reference.voices[id], other.voices[id]) {
      case (let mine?, nil):
        differences.append(
          .init(kind: .missing, id: TraceComparison.hex(id), text: "\(label) is missing: the reference has it \(mine.count) ×"))
      case (nil, let theirs?):
        differences.append(
          .init(kind: .more, id: TraceComparison.hex(id), text: "\(label) comes \(theirs.count) ×: the reference never has it"))
      case (let mine?, let theirs?): compare(mine, theirs, id, label, reference, tolerance)
      case (nil, nil): break
      }
    }
  }

  private mutating func compare(
    _ mine: TraceProfile.Voice, _ theirs: TraceProfile.Voice, _ id: ArbitrationID, _ label: String, _ reference: TraceProfile,
    _ tolerance: Double
  ) {
    let hex = TraceComparison.hex(id)
    if mine.lengths != theirs.lengths {
      differences.append(
        .init(
          kind: .length, id: hex,
          text:
            "\(label) has \(TraceComparison.range(theirs.lengths)) bytes, in the reference \(TraceComparison.range(mine.lengths))"))
    }
    if mine.count >= 5, theirs.count >= 5, mine.period > 0, theirs.period > 0 {
      let ratio = Double(theirs.period) / Double(mine.period)
      if ratio > 1 + tolerance || ratio < 1 / (1 + tolerance) {
        differences.append(
          .init(
            kind: .period, id: hex,
            text: "\(label) comes every \(theirs.period / 1_000_000) ms, in the reference every \(mine.period / 1_000_000) ms"))
      }
    }
    content(mine, theirs, id, label, reference)
    courses(mine, theirs, id, label, reference)
  }

  /// Values with a unit that move: where they run, and whether they move at all. Two batteries are never alike, so only what no two sound
  /// ones would do is told: a value that stands still where it moves in the reference, and one that runs wholly elsewhere.
  private mutating func courses(
    _ mine: TraceProfile.Voice, _ theirs: TraceProfile.Voice, _ id: ArbitrationID, _ label: String, _ reference: TraceProfile
  ) {
    guard let link = reference.link, let slot = link.dissection.plan.slot(of: id), mine.courses.count == theirs.courses.count else {
      return
    }
    let plan = link.dissection.plan
    for (place, signal) in plan.messages[Int(plan.slots[slot].message)].signals.enumerated() {
      let info = link.dissection.signals[signal]
      let (here, there) = (mine.courses[place], theirs.courses[place])
      guard !info.unit.isEmpty, info.flag == nil, !info.isText, here.lowest <= here.highest, there.lowest <= there.highest,
        here.changes > 0 || there.changes > 0
      else { continue }
      func text(_ course: TraceProfile.Course) -> String {
        func number(_ value: Int64) -> String { ValueText.decimal(value, decimals: 3).trimmedZeros }
        return course.lowest == course.highest
          ? "\(number(course.lowest)) \(info.unit)" : "\(number(course.lowest)) to \(number(course.highest)) \(info.unit)"
      }
      // As long as it takes to move as often as the reference does, five times over.
      let expected = Double(here.changes) / Double(max(1, mine.count)) * Double(theirs.count)
      if there.changes == 0, here.changes >= 5, expected >= 10 {
        add(.course, id, "\(label): \(info.name) stands still at \(text(there)), in the reference it moves (\(text(here)))")
      } else if TraceComparison.isElsewhere(here, there) {
        add(.course, id, "\(label): \(info.name) runs from \(text(there)), in the reference from \(text(here))")
      }
    }
  }

  /// Whether two courses have nothing in common, nor are within half of one another's size.
  private static func isElsewhere(_ here: TraceProfile.Course, _ there: TraceProfile.Course) -> Bool {
    let gap = max(here.lowest - there.highest, there.lowest - here.highest)
    let size = max(abs(here.lowest), abs(here.highest), abs(there.lowest), abs(there.highest))
    return gap > size / 2 && gap > max(here.highest - here.lowest, there.highest - there.lowest)
  }

  private mutating func add(_ kind: Difference.Kind, _ id: ArbitrationID, _ text: String) {
    differences.append(Difference(kind: kind, id: TraceComparison.hex(id), text: text))
  }

  private static func range(_ lengths: ClosedRange<UInt8>) -> String {
    lengths.lowerBound == lengths.upperBound ? "\(lengths.lowerBound)" : "\(lengths.lowerBound) to \(lengths.upperBound)"
  }

  /// Fields that never move in either capture and differ: settings, names, versions, limits.
  private mutating func content(
    _ mine: TraceProfile.Voice, _ theirs: TraceProfile.Voice, _ id: ArbitrationID, _ label: String, _ reference: TraceProfile
  ) {
    let still = ~(mine.moving | theirs.moving)
    guard (mine.head ^ theirs.head) & still != 0 else { return }
    let hex = TraceComparison.hex(id)
    guard let link = reference.link, let slot = link.dissection.plan.slot(of: id) else {
      differences.append(.init(kind: .content, id: hex, text: "\(label): bytes differ that never change"))
      return
    }
    let plan = link.dissection.plan
    let message = plan.messages[Int(plan.slots[slot].message)]
    for signal in Int(message.firstSignal)..<Int(message.firstSignal + message.signalCount) {
      let layout = plan.signals[signal]
      let mask = layout.storing(-1, in: 0)
      guard layout.byteOffset == 0, layout.multiplexor < 0, mask & ~still == 0, (mine.head ^ theirs.head) & mask != 0 else {
        continue
      }
      let info = link.dissection.signals[signal]
      func text(_ head: UInt64) -> String {
        let raw = layout.raw(head, swapped: head.byteSwapped)
        if let label = info.labels[raw] { return label }
        return ValueText.decimal(layout.thousandths(raw: raw, scale: 1000), decimals: 3).trimmedZeros
          + (info.unit.isEmpty ? "" : " \(info.unit)")
      }
      differences.append(
        .init(
          kind: .content, id: hex,
          text: info.isText
            ? "\(label): \(info.name) is another text"
            : "\(label): \(info.name) is \(text(theirs.head)), in the reference \(text(mine.head))"))
    }
  }

  // MARK: Order

  /// Walks both conversations; small swaps and repeats are forgiven, a step that does not come within a burst is where they part.
  private mutating func part(_ reference: TraceProfile, _ other: TraceProfile) {
    let window = 24
    var (a, b) = (0, 0)
    // Steps of the reference that the other left out: how often in a row, and where that began.
    var skipped: [TraceProfile.Step: (count: Int, a: Int, b: Int)] = [:]
    while a < reference.steps.count, b < other.steps.count {
      if reference.steps[a].step == other.steps[b].step {
        skipped[reference.steps[a].step] = nil
        a += 1
        b += 1
        continue
      }
      let ahead = { (steps: ArraySlice<(step: TraceProfile.Step, time: Int64, record: UInt64)>, wanted: TraceProfile.Step) in
        steps.firstIndex { $0.step == wanted }
      }
      let inOther = ahead(other.steps[b..<min(other.steps.count, b + window)], reference.steps[a].step)
      let inReference = ahead(reference.steps[a..<min(reference.steps.count, a + window)], other.steps[b].step)
      if let found = inOther, inReference == nil || found - b <= (inReference ?? a) - a {
        // The other says more in between: forgiven where the reference says it elsewhere too.
        guard reference.voices[other.steps[b].step.id] != nil else { return diverge(reference, other, a, b) }
        b = found
      } else if let found = inReference {
        guard other.voices[reference.steps[a].step.id] != nil else { return diverge(reference, other, a, b) }
        for place in a..<found {
          let step = reference.steps[place].step
          skipped[step] = (((skipped[step]?.count ?? 0) + 1), skipped[step]?.a ?? place, skipped[step]?.b ?? b)
          // Left out now and then is forgiven; three times in a row is where they part.
          if let first = skipped[step], first.count >= 3 { return diverge(reference, other, first.a, first.b) }
        }
        a = found
      } else {
        return diverge(reference, other, a, b)
      }
    }
    // One ends while the other goes on: that is the end of a recording, unless the partner fell silent.
    if b >= other.steps.count, a < reference.steps.count, other.steps.isEmpty { diverge(reference, other, a, max(0, b - 1)) }
  }

  private mutating func diverge(_ reference: TraceProfile, _ other: TraceProfile, _ a: Int, _ b: Int) {
    let seconds = Double(reference.steps[min(a, reference.steps.count - 1)].time) / 1e9
    let mine = a < reference.steps.count ? reference.steps[a] : nil
    let theirs = b < other.steps.count ? other.steps[b] : nil
    parting = (seconds, a, mine?.record ?? 0, theirs?.record ?? 0)
    func label(_ step: TraceProfile.Step?, _ profile: TraceProfile) -> String {
      guard let step else { return "nothing" }
      let name = reference.name(step.id) ?? profile.name(step.id)
      return TraceComparison.hex(step.id) + (name.map { " \($0)" } ?? "") + (step.request == 0 ? "" : " (\(step.request & 0xFF))")
    }
    let text = ValueText.decimal(Int64(seconds * 1000), decimals: 3).trimmedZeros
    differences.append(
      .init(
        kind: .order, id: nil,
        text:
          "up to \(text) s alike (\(a) steps); then the reference says \(label(mine?.step, reference)), the other \(label(theirs?.step, other))"
      ))
  }
}
