import Bus
import Formats
import Protocols

/// One bus while its records go by: what each ID does, what the protocol's monitor sees, what the values are.
struct BusWatch: Sendable {
  let name: String
  let identification: BusIdentification
  let link: CompiledLink?
  /// Records of data frames.
  private(set) var frames: UInt64 = 0
  private(set) var ids: [IDFacts] = []
  private(set) var errors = ErrorFacts()
  /// Follows the conversation, where the definition says how it goes. Not optional inside: a look into one would copy it.
  private var watcher: HandshakeMonitor
  private let hasMonitor: Bool
  var monitor: HandshakeMonitor? { hasMonitor ? watcher : nil }
  private(set) var values: QuantityWatch
  private var isBegun = false
  private var begin = IDFacts.Mark()
  /// The first record.
  var first: IDFacts.Mark? { isBegun ? begin : nil }
  private(set) var last = IDFacts.Mark()
  /// Frames with IDs beyond those that are kept.
  private(set) var beyond: UInt64 = 0
  /// How often frames of two batteries came within 200 ms.
  private(set) var mixedAddresses: UInt64 = 0
  private(set) var firstMixed = IDFacts.Mark()
  /// The battery whose values are followed; −1 until one spoke.
  private var primary: Int16 = -1
  /// Chain and PDU records: a bus that carries those is no CAN bus.
  var sideRecords: UInt64 = 0
  private var lastAddress: UInt8 = 0
  private var lastAddressTime: Int64 = .min
  /// Addresses that the inverter asks for, by the conditions of the protocol's requests.
  private(set) var askedAddresses: InlineArray<16, UInt64> = InlineArray(repeating: 0)
  private(set) var firstAsked = IDFacts.Mark()
  /// Times of records with flags that are set: alarms and the like, by signal index.
  private(set) var flags: [Int: (count: UInt64, first: IDFacts.Mark)] = [:]
  /// When the inverter last began anew, and whether the identity came again.
  private(set) var inverterStarts: UInt64 = 0

  /// The main values over time, where a page is to be drawn.
  private(set) var series: ValueSeries?

  private var table: [Int32]
  /// Index of the facts of the frame before.
  private var latest = 0
  private let slots: [MessageSlot]
  private let signals: [SignalPlan]
  /// What is to be done with each message.
  private let messages: [WatchedMessage]
  /// Signals with a quantity, message by message.
  private let watched: [WatchedSignal]
  /// Signals that say yes or no to a quantity, message by message.
  private let yesOrNo: [WatchedChoice]
  /// Alarms and protections, message by message.
  private let flagged: [WatchedFlag]
  static let mostIDs = 1024

  init(
    _ name: String, _ identification: BusIdentification, _ link: CompiledLink?, _ book: RuleBook, cells: Int?,
    keepsSeries: Bool = false
  ) {
    series = keepsSeries ? ValueSeries() : nil
    self.name = name
    self.identification = identification
    self.link = link
    values = QuantityWatch(link?.definition, book)
    values.cells = cells.map(Int64.init)
    table = [Int32](repeating: -1, count: 4096)
    slots = link?.dissection.plan.slots ?? []
    signals = link?.dissection.plan.signals ?? []
    (messages, watched, yesOrNo, flagged) = WatchedMessage.all(of: link)
    hasMonitor = link.map { $0.handshake.battery != nil || $0.handshake.inverter != nil } ?? false
    watcher = HandshakeMonitor(
      link?.dissection.plan ?? ProtocolPlan(slots: [], messages: [], signals: [], multiplexRanges: []),
      link?.handshake ?? HandshakePlan())
    prepareLimits(book)
  }

  private var optional: Set<Int> = []
  private var gapLimits: [Int: Int64] = [:]
  private var nearLimits: [Int: Int64] = [:]
  private var nominal: [Int: Int64] = [:]

  /// Nominal periods by message, from what is sent unasked and what is asked for.
  private mutating func prepareLimits(_ book: RuleBook) {
    guard let link else { return }
    optional = link.optionalMessages
    let near = book.threshold(.R09b, "near", for: link.definition.protocolName)
    nominal = link.periods
    for (message, period) in nominal {
      let rule: RuleID = messages[message].isFromInverter ? .R05 : .R06
      let gap = max(
        book.threshold(rule, "gap", for: link.definition.protocolName) * 1e9,
        book.threshold(rule, "gapPeriods", for: link.definition.protocolName) * Double(period))
      gapLimits[message] = Int64(gap)
      nearLimits[message] = Int64(near * Double(period))
    }
  }

  // MARK: Records

  @inline(__always) mutating func take(_ record: borrowing CANRecord, number: UInt64) {
    let mark = IDFacts.Mark(record: number, time: record.precision == .none ? last.time : record.time.nanoseconds)
    if !isBegun {
      isBegun = true
      begin = mark
    }
    last = mark
    // Field by field: a frame taken as a whole would be copied for every record.
    if record.frame.flags.rawValue != 0, isOdd(record, mark) { return }
    frames &+= 1
    guard let index = place(of: record.frame.id) else {
      beyond &+= 1
      return
    }
    let head = record.frame.head
    let length = record.frame.length
    let changed = ids[index].add(head, length: length, mark)
    let meaning = ids[index].meaning
    guard meaning.message >= 0 else { return }
    let message = Int(meaning.message)
    var isPrimary = true
    if meaning.hasAddress {
      // Two batteries on one bus have two sets of values: the first is followed.
      if primary < 0, !meaning.isOptional { primary = Int16(meaning.address) }
      isPrimary = primary < 0 || Int16(meaning.address) == primary
      if !meaning.isOptional { address(meaning.address, mark) }
    }
    watcher.take(
      head, message: message, isFromInverter: meaning.isFromInverter, mark: .init(record: number, time_us: mark.time / 1000))
    if changed != 0, isPrimary { learn(head, changed, length, message, mark) }
    if meaning.isFromInverter { asked(head, message, mark) }
    if meaning.endsCycle, isPrimary { endCycle(mark) }
  }

  /// Everything of a cycle is known.
  @inline(never) private mutating func endCycle(_ mark: IDFacts.Mark) {
    let carriers = shown()
    values.judge(mark, carriers)
    if series != nil { series?.add(values.now, mark.time) }
  }

  /// Facts of the IDs that carry charge limit, discharge limit, charge voltage and pack voltage; −1 = not seen.
  private var carriers: InlineArray<4, Int> = [-1, -1, -1, -1]
  private static let carried: InlineArray<4, Quantity> = [
    .chargeCurrentLimit, .dischargeCurrentLimit, .chargeVoltageLimit, .packVoltage,
  ]

  /// Written out and mutating in name: a helper that captures the watch, and a getter of it, would copy the whole of it.
  @inline(__always) private mutating func shown() -> QuantityWatch.Carriers {
    QuantityWatch.Carriers(
      charge: carriers[0] < 0 ? nil : ids[carriers[0]].head, discharge: carriers[1] < 0 ? nil : ids[carriers[1]].head,
      chargeVoltage: carriers[2] < 0 ? nil : ids[carriers[2]].head, voltage: carriers[3] < 0 ? nil : ids[carriers[3]].head)
  }

  /// Notes a new ID that carries one of them; the message that the definition names first counts.
  private mutating func noteCarrier(_ message: Int32, _ index: Int) {
    guard let link else { return }
    for place in 0..<4 where carriers[place] < 0 {
      let binding = link.handshake.bindings.first { $0.quantity == BusWatch.carried[place] }
      if binding?.message == message { carriers[place] = index }
    }
  }

  /// Whether it is no data frame; error frames are noted.
  @inline(never) private mutating func isOdd(_ record: borrowing CANRecord, _ mark: IDFacts.Mark) -> Bool {
    if record.frame.flags.contains(.error) {
      errors.add(record.frame, mark)
      return true
    }
    return record.frame.flags.contains(.remote)
  }

  /// Index of an ID's facts; made when it is new.
  ///
  /// Frames come in bursts of one order: the ID that followed last time is tried first, so that the next frame's facts need not wait for
  /// three loads that hang on one another.
  @inline(__always) private mutating func place(of id: ArbitrationID) -> Int? {
    let guess = Int(ids.isEmpty ? -1 : ids[latest].follower)
    if guess >= 0, ids[guess].id == id {
      latest = guess
      return guess
    }
    return search(id)
  }

  @inline(never) private mutating func search(_ id: ArbitrationID) -> Int? {
    var place = Int((id.rawValue &* 0x9E37_79B1) &>> 20)
    while true {
      var index: Int? = Int(table[place])
      if table[place] < 0 { index = add(id, at: place) }
      guard let index else { return nil }
      if ids[index].id == id {
        ids[latest].follower = Int32(index)
        latest = index
        return index
      }
      place = (place &+ 1) & 4095
    }
  }

  @inline(never) private mutating func add(_ id: ArbitrationID, at place: Int) -> Int? {
    guard ids.count < BusWatch.mostIDs else { return nil }
    let slot = link?.dissection.plan.slot(of: id) ?? -1
    var facts = IDFacts(id, slot: slot)
    if slot >= 0 { facts.know(slots[slot], messages[Int(slots[slot].message)]) }
    if slot >= 0, let link {
      let message = Int(link.dissection.plan.slots[slot].message)
      if optional.contains(message) { facts.isNotNeeded() }
      facts.gapLimit = gapLimits[message] ?? .max
      facts.nearLimit = nearLimits[message] ?? 0
      if let period = nominal[message] {
        facts.oddBelow = period / 2
        facts.oddAbove = period / 2 * 3
      }
    }
    ids.append(facts)
    if facts.message >= 0, !facts.hasAddress || primary < 0 || Int16(facts.address) == primary {
      noteCarrier(facts.message, ids.count - 1)
    }
    table[place] = Int32(ids.count - 1)
    return ids.count - 1
  }

  @inline(__always) private mutating func learn(
    _ head: UInt64, _ changed: UInt64, _ length: UInt8, _ message: Int, _ mark: IDFacts.Mark
  ) {
    let swapped = head.byteSwapped
    let plan = messages[message]
    var place = Int(plan.firstSignal)
    let end = Int(plan.endSignal)
    while place < end {
      let signal = watched[place]
      // What stands still is known: most signals of most frames.
      if signal.bits & changed != 0, signal.bytesNeeded <= length {
        values.set(Int(signal.quantity), signal.isSimple ? signal.value(head, swapped) : odd(place, head), mark)
      }
      place += 1
    }
    if plan.choiceBits & changed != 0 { choose(head, message) }
    // Most frames carry no flag that is set: one mask tells.
    if plan.flagBits & head != 0, !plan.isFromInverter { noteFlags(head, message, mark) }
  }

  /// What a status word says.
  @inline(never) private mutating func choose(_ head: UInt64, _ message: Int) {
    let swapped = head.byteSwapped
    for place in Int(messages[message].firstChoice)..<Int(messages[message].endChoice) {
      values.set(yesOrNo[place].quantity, yesOrNo[place].isYes(head, swapped))
    }
  }

  /// A value whose scale is no whole number, or that may be beyond any battery.
  @inline(never) private func odd(_ place: Int, _ head: UInt64) -> Int64 {
    let value = signals[Int(watched[place].signal)].thousandths(head, scale: watched[place].scale)
    let safe = max(-1_000_000_000_000, min(1_000_000_000_000, value))
    return watched[place].isMagnitude ? abs(safe) : safe
  }

  @inline(never) private mutating func noteFlags(_ head: UInt64, _ message: Int, _ mark: IDFacts.Mark) {
    let swapped = head.byteSwapped
    for place in Int(messages[message].firstFlag)..<Int(messages[message].endFlag) {
      let signal = flagged[place].signal
      guard flagged[place].flag.isSet(signals[signal].raw(head, swapped: swapped)) else { continue }
      flags[signal, default: (0, mark)].count &+= 1
    }
  }

  @inline(__always) private mutating func address(_ address: UInt8, _ mark: IDFacts.Mark) {
    if address != lastAddress, lastAddressTime != .min, mark.time &- lastAddressTime < 200_000_000 {
      if mixedAddresses == 0 { firstMixed = mark }
      mixedAddresses &+= 1
    }
    lastAddress = address
    lastAddressTime = mark.time
  }

  private mutating func asked(_ head: UInt64, _ message: Int, _ mark: IDFacts.Mark) {
    let signal = Int(messages[message].addressSignal)
    guard signal >= 0 else { return }
    let raw = signals[signal].raw(head, swapped: head.byteSwapped)
    guard (0..<16).contains(raw) else { return }
    if firstAsked.record == 0 { firstAsked = mark }
    askedAddresses[Int(raw)] &+= 1
  }

  /// The capture has ended.
  mutating func finish() { watcher.finish() }

  /// Frames of each battery's address.
  func addressCounts() -> [UInt64] {
    var counts = [UInt64](repeating: 0, count: 16)
    for facts in ids where facts.message >= 0 && facts.hasAddress { counts[Int(facts.address & 15)] &+= facts.count }
    return counts
  }

  /// Facts of a message under any of its IDs, most frequent first.
  func facts(_ message: String) -> [IDFacts] {
    guard let link else { return [] }
    return ids.filter { $0.slot >= 0 && link.dissection.messages[Int(link.dissection.plan.slots[$0.slot].message)].name == message }
      .sorted { $0.count > $1.count }
  }

  /// Which side sends an ID; `nil` for one of another protocol.
  func sender(_ facts: IDFacts) -> Side? {
    guard facts.slot >= 0, let link else { return nil }
    return link.dissection.messages[Int(link.dissection.plan.slots[facts.slot].message)].sender
  }

  /// Name of an ID's message.
  func message(_ facts: IDFacts) -> String? {
    guard facts.slot >= 0, let link else { return nil }
    return link.dissection.messages[Int(link.dissection.plan.slots[facts.slot].message)].name
  }
}

extension Quantity {
  /// Whether it is yes or no and not a number.
  var isYesOrNo: Bool { rawValue >= Quantity.live.rawValue && rawValue <= Quantity.prechargeFault.rawValue }
}

extension CompiledLink {
  /// Messages that no answer needs, such as names. There are senders whose names keep address 0 while everything else has another, and
  /// their links work (pylontech-hv.md §4.12).
  var optionalMessages: Set<Int> {
    guard let battery = handshake.battery else { return [] }
    var optional: Set<Int> = []
    var needed: Set<Int> = []
    for answer in battery.answers {
      let messages = battery.emissions[answer.emissions].map { Int($0.message) }
      needed.formUnion(messages.dropLast(answer.optionalCount))
      optional.formUnion(messages.suffix(answer.optionalCount))
    }
    return optional.subtracting(needed)
  }

  /// The nominal time from one frame to the next, ns, by message: of what is sent unasked, and of answers to what is asked regularly.
  var periods: [Int: Int64] {
    var periods: [Int: Int64] = [:]
    var asked: [Int32: Int64] = [:]
    if let inverter = handshake.inverter {
      for state in inverter.states where state.phase == .online || state.phase == .opening {
        for send in inverter.sends[state.sends] where send.every_us > 0 {
          for emission in inverter.emissions[send.emissions] {
            let period = send.every_us &* 1000
            asked[emission.message] = min(asked[emission.message] ?? .max, period)
            // A search repeats faster than the talk that follows: what is slow there is no gap.
            if state.phase == .online { periods[Int(emission.message)] = min(periods[Int(emission.message)] ?? .max, period) }
          }
        }
      }
    }
    guard let battery = handshake.battery else { return periods }
    for state in battery.states where state.phase == .online {
      for send in battery.sends[state.sends] where send.every_us > 0 {
        for emission in battery.emissions[send.emissions] { periods[Int(emission.message)] = send.every_us &* 1000 }
      }
    }
    return periods
  }
}
