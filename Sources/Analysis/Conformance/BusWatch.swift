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
  private(set) var monitor: HandshakeMonitor?
  private(set) var values: QuantityWatch
  private(set) var first: IDFacts.Mark?
  private(set) var last = IDFacts.Mark()
  /// Frames with IDs beyond those that are kept.
  private(set) var beyond: UInt64 = 0
  /// Addresses that battery frames carry: how many each, and how often two came within 200 ms.
  private(set) var addresses: InlineArray<16, UInt64> = InlineArray(repeating: 0)
  private(set) var mixedAddresses: UInt64 = 0
  private(set) var firstMixed = IDFacts.Mark()
  private var primary: UInt8?
  /// Chain and PDU records: a bus that carries those is no CAN bus.
  var sideRecords: UInt64 = 0
  private var lastAddress: (value: UInt8, time: Int64)?
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
  private let senders: [Side?]
  private let slots: [MessageSlot]
  private let signals: [SignalPlan]
  /// Signals with a quantity, message by message, and where each message's begin.
  private let bound: [QuantityBinding]
  private let boundRanges: [Range<Int>]
  private let yesOrNo: [(signal: Int, raw: Int64?, quantity: Quantity)]
  private let yesOrNoRanges: [Range<Int>]
  private let cycleMessage: Int
  /// Payload bits of flags, by message.
  private let flagMasks: [UInt64]
  private let addressSignals: [Int?]
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
    let dissection = link?.dissection
    senders = dissection?.messages.map(\.sender) ?? []
    let count = dissection?.messages.count ?? 0
    slots = dissection?.plan.slots ?? []
    signals = dissection?.plan.signals ?? []
    var byMessage = [[QuantityBinding]](repeating: [], count: count)
    for binding in link?.handshake.bindings ?? [] { byMessage[Int(binding.message)].append(binding) }
    (bound, boundRanges) = BusWatch.flat(byMessage)
    (yesOrNo, yesOrNoRanges) = BusWatch.flat(BusWatch.yesOrNo(link, count))
    flagMasks = BusWatch.flagMasks(link, count)
    cycleMessage = (link?.handshake.bindings.first { $0.quantity == .packVoltage }).map { Int($0.message) } ?? -1
    addressSignals = BusWatch.addressSignals(link, count)
    if let link, link.handshake.battery != nil || link.handshake.inverter != nil {
      monitor = HandshakeMonitor(link.dissection.plan, link.handshake)
    }
    prepareLimits(book)
  }

  /// Lists behind one another, and the range of each.
  private static func flat<Element>(_ lists: [[Element]]) -> ([Element], [Range<Int>]) {
    var all: [Element] = []
    let ranges = lists.map { list -> Range<Int> in
      all += list
      return all.count - list.count..<all.count
    }
    return (all, ranges)
  }

  /// Signals that say yes or no to a quantity: what `say` fills them from, read backwards.
  private static func yesOrNo(_ link: CompiledLink?, _ count: Int) -> [[(signal: Int, raw: Int64?, quantity: Quantity)]] {
    var list = [[(signal: Int, raw: Int64?, quantity: Quantity)]](repeating: [], count: count)
    guard let link, let battery = link.definition.sidecar.handshake.battery else { return list }
    let plan = link.dissection.plan
    for (message, layout) in plan.messages.enumerated() {
      for signal in Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount) {
        let name = link.dissection.signals[signal].name
        guard let source = battery.say.last(where: { $0.signal == name })?.source else { continue }
        switch source {
        case .quantity(let word):
          if let quantity = Quantity(name: word), quantity.isYesOrNo { list[message].append((signal, nil, quantity)) }
        case .choice(let choices, _):
          for choice in choices where choice.raw != 0 {
            if let quantity = Quantity(name: choice.quantity), quantity.isYesOrNo {
              list[message].append((signal, choice.raw, quantity))
            }
          }
        default: break
        }
      }
    }
    return list
  }

  private static func flagMasks(_ link: CompiledLink?, _ count: Int) -> [UInt64] {
    var masks = [UInt64](repeating: 0, count: count)
    guard let link else { return masks }
    for (message, layout) in link.dissection.plan.messages.enumerated() {
      for signal in Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount) {
        guard let flag = link.dissection.signals[signal].flag, flag.severity != .notice else { continue }
        masks[message] |= link.dissection.plan.signals[signal].storing(-1, in: 0)
      }
    }
    return masks
  }

  /// The signal of each request that must be the battery's address.
  private static func addressSignals(_ link: CompiledLink?, _ count: Int) -> [Int?] {
    var list = [Int?](repeating: nil, count: count)
    guard let battery = link?.handshake.battery else { return list }
    for answer in battery.answers {
      for index in answer.conditions where battery.conditions[index].isAddress {
        list[Int(answer.request)] = Int(battery.conditions[index].signal)
      }
    }
    return list
  }

  private var gapLimits: [Int: Int64] = [:]
  private var nearLimits: [Int: Int64] = [:]
  private var nominal: [Int: Int64] = [:]

  /// Nominal periods by message, from what is sent unasked and what is asked for.
  private mutating func prepareLimits(_ book: RuleBook) {
    guard let link else { return }
    let near = book.threshold(.R09b, "near", for: link.definition.protocolName)
    nominal = link.periods
    for (message, period) in nominal {
      let sender = senders[message]
      let rule: RuleID = sender == .inverter ? .R05 : .R06
      let gap = max(
        book.threshold(rule, "gap", for: link.definition.protocolName) * 1e9,
        book.threshold(rule, "gapPeriods", for: link.definition.protocolName) * Double(period))
      gapLimits[message] = Int64(gap)
      nearLimits[message] = Int64(near * Double(period))
    }
  }

  // MARK: Records

  mutating func take(_ record: borrowing CANRecord, number: UInt64) {
    let mark = IDFacts.Mark(record: number, time: record.precision == .none ? last.time : record.time.nanoseconds)
    if first == nil { first = mark }
    last = mark
    if !record.frame.isPlain {
      if record.frame.flags.contains(.error) {
        errors.add(record.frame, mark)
        return
      }
      if record.frame.flags.contains(.remote) { return }
    }
    frames &+= 1
    guard let index = place(of: record.frame.id) else {
      beyond &+= 1
      return
    }
    let head = record.frame.head
    let isSame = ids[index].count > 0 && ids[index].head == head
    ids[index].add(head, length: record.frame.length, mark)
    let slotIndex = ids[index].slot
    guard slotIndex >= 0 else { return }
    let slot = slots[slotIndex]
    let message = Int(slot.message)
    let isInverter = senders[message] == .inverter
    // Two batteries on one bus have two sets of values: the first is followed.
    if !isInverter, slot.hasAddress, primary == nil { primary = slot.address }
    let isPrimary = isInverter || !slot.hasAddress || slot.address == primary
    monitor?.take(
      head, slot: slot, isFromInverter: isInverter, mark: .init(record: number, time_us: mark.time / 1000))
    if !isSame, isPrimary { learn(head, length: Int(record.frame.length), message, isInverter, mark) }
    if !isInverter, slot.hasAddress { address(slot.address, mark) }
    if isInverter, let signal = addressSignals[message] { asked(head, signal, mark) }
    if message == cycleMessage, isPrimary {
      values.judge(mark)
      series?.add(values.now, mark.time)
    }
  }

  /// Index of an ID's facts; made when it is new.
  @inline(__always) private mutating func place(of id: ArbitrationID) -> Int? {
    var place = Int((id.rawValue &* 0x9E37_79B1) &>> 20)
    while true {
      let index = Int(table[place])
      if index < 0 { return add(id, at: place) }
      if ids[index].id == id { return index }
      place = (place &+ 1) & 4095
    }
  }

  @inline(never) private mutating func add(_ id: ArbitrationID, at place: Int) -> Int? {
    guard ids.count < BusWatch.mostIDs else { return nil }
    let slot = link?.dissection.plan.slot(of: id) ?? -1
    var facts = IDFacts(id, slot: slot)
    if slot >= 0, let link {
      let message = Int(link.dissection.plan.slots[slot].message)
      facts.gapLimit = gapLimits[message] ?? .max
      facts.nearLimit = nearLimits[message] ?? 0
      if let period = nominal[message] {
        facts.oddBelow = period / 2
        facts.oddAbove = period / 2 * 3
      }
    }
    ids.append(facts)
    table[place] = Int32(ids.count - 1)
    return ids.count - 1
  }

  private mutating func learn(
    _ head: UInt64, length: Int, _ message: Int, _ isInverter: Bool, _ mark: IDFacts.Mark
  ) {
    for index in boundRanges[message] {
      let binding = bound[index]
      let signal = signals[Int(binding.signal)]
      guard Int(signal.bytesNeeded) <= length, signal.byteOffset == 0 else { continue }
      // Beyond any battery, and safe to reckon with.
      let value = max(-1_000_000_000_000, min(1_000_000_000_000, signal.thousandths(head, scale: binding.scale)))
      values.set(binding.quantity, binding.isMagnitude ? abs(value) : value, mark)
    }
    for index in yesOrNoRanges[message] {
      let (signal, wanted, quantity) = yesOrNo[index]
      let raw = signals[signal].raw(head, swapped: head.byteSwapped)
      values.set(quantity, wanted.map { $0 == raw } ?? (raw != 0))
    }
    if !isInverter { noteFlags(head, message, mark) }
  }

  private mutating func noteFlags(_ head: UInt64, _ message: Int, _ mark: IDFacts.Mark) {
    // Most frames carry no flag that is set: one mask tells.
    guard head & flagMasks[message] != 0, let link else { return }
    let layout = link.dissection.plan.messages[message]
    for signal in Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount) {
      guard let flag = link.dissection.signals[signal].flag, flag.severity != .notice else { continue }
      let raw = link.dissection.plan.signals[signal].raw(head, swapped: head.byteSwapped)
      guard flag.isSet(raw) else { continue }
      if flags[signal] == nil { flags[signal] = (0, mark) }
      flags[signal]?.count &+= 1
    }
  }

  private mutating func address(_ address: UInt8, _ mark: IDFacts.Mark) {
    addresses[Int(address & 15)] &+= 1
    if let before = lastAddress, before.value != address, mark.time &- before.time < 200_000_000 {
      if mixedAddresses == 0 { firstMixed = mark }
      mixedAddresses &+= 1
    }
    lastAddress = (address, mark.time)
  }

  private mutating func asked(_ head: UInt64, _ signal: Int, _ mark: IDFacts.Mark) {
    let raw = signals[signal].raw(head, swapped: head.byteSwapped)
    guard (0..<16).contains(raw) else { return }
    if firstAsked.record == 0 { firstAsked = mark }
    askedAddresses[Int(raw)] &+= 1
  }

  /// The capture has ended.
  mutating func finish() { monitor?.finish() }

  /// Facts of a message under any of its IDs, most frequent first.
  func facts(_ message: String) -> [IDFacts] {
    guard let link else { return [] }
    return ids.filter { $0.slot >= 0 && link.dissection.messages[Int(link.dissection.plan.slots[$0.slot].message)].name == message }
      .sorted { $0.count > $1.count }
  }

  /// Which side sends an ID; `nil` for one of another protocol.
  func sender(_ facts: IDFacts) -> Side? {
    guard facts.slot >= 0, let link else { return nil }
    return senders[Int(link.dissection.plan.slots[facts.slot].message)]
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
