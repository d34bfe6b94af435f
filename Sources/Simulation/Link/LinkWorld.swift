public import Bus
public import Formats
public import Protocols

/// One bus with a battery and an inverter on it, in virtual time, with faults between them. What passed comes out as records.
public struct LinkWorld: Sendable {
  /// The battery's end.
  public private(set) var battery: Session
  /// The inverter's end.
  public private(set) var inverter: Session
  /// How the inverter takes what it hears.
  public private(set) var reaction = InverterReaction()
  /// Further batteries on the same bus, each with the inverter's talk to it (two packs of a Sofar).
  public private(set) var pairs: [(battery: Session, inverter: Session)] = []
  /// A second battery that sends under the same IDs.
  private var second: Session?
  private let link: CompiledLink
  private var batteryLink: CompiledLink
  /// Whether nothing passes between the two: the cable is in a socket that has no CAN.
  public var isCut = false
  /// Whether the battery's end says nothing: it listens first.
  public var isBatteryMute = false
  /// What goes wrong.
  public let faults: [LinkFault]
  private var random: SplitMix64
  /// What passed since it was taken last.
  private var records: [CANRecord] = []
  private var now_us: Int64 = 0
  private var busFree_us: Int64 = 0
  /// Frames on their way: when, to whom, what.
  private var underway: [(due: Int64, toBattery: Bool, frame: CANFrame)] = []
  private var nextForeign: Int64 = 0
  private var nextError: Int64 = 0
  private var frozen: QuantityValues?
  private var hasRestarted = false
  private var offUntil: Int64 = 0
  private var hasGoneOff = false
  /// ns of the world's zero in the records.
  public static let epoch_ns: Int64 = 1_767_225_600_000_000_000

  /// A link, and possibly a battery that means something else.
  /// - Parameters:
  ///   - link: what the inverter speaks.
  ///   - other: what the battery speaks where the fault is a wrong protocol.
  /// - Returns: `nil` where the definition has no handshake for both sides.
  public init?(_ link: CompiledLink, faults: [LinkFault] = [], other: CompiledLink? = nil, seed: UInt64) {
    let kinds = Set(faults.map(\.kind))
    let definition = link.definition
    var readings: [String: String] = [:]
    if kinds.contains(.byteOrder) { readings["byteOrder"] = "big" }
    if kinds.contains(.missingOffset) { readings["currentOffset"] = "none" }
    let own = readings.isEmpty ? link : definition.link(variant: link.variant, readings: readings)
    batteryLink = kinds.contains(.wrongProtocol) ? other ?? own : own
    let address = kinds.contains(.wrongAddress) ? (batteryLink.address ^ 1) : batteryLink.address
    guard let battery = batteryLink.session(.battery, address: address), let inverter = link.session(.inverter) else { return nil }
    self.link = link
    self.battery = battery
    self.inverter = inverter
    second = kinds.contains(.twoSenders) ? batteryLink.session(.battery, address: address) : nil
    self.faults = faults
    random = SplitMix64(seed: seed)
  }

  /// Lets the inverter behave as real ones do, with some or all quirks of its definition.
  public mutating func adopt(quirks: [String: Double]) { reaction = InverterReaction(quirks: quirks) }

  /// Puts a further battery on the bus, which the same inverter asks under its own address.
  /// - Returns: whether the protocol has that address and can do so.
  public mutating func addBattery(address: UInt8) -> Bool {
    let isKnown = link.dissection.plan.slots.contains { $0.hasAddress && $0.address == address }
    guard isKnown, address != battery.address, !pairs.contains(where: { $0.battery.address == address }),
      let battery = link.session(.battery, address: address), let inverter = link.session(.inverter, address: address)
    else { return false }
    pairs.append((battery, inverter))
    return true
  }

  /// A through the battery that the inverter takes or gives, of what is wanted: within what it heard, as far as it minds.
  public mutating func current(wanted: Double) -> Double {
    if fault(.ignoresLimits) != nil { return wanted }
    return reaction.current(wanted: wanted, inverter)
  }

  private func fault(_ kind: LinkFault.Kind) -> LinkFault? {
    faults.first { $0.kind == kind && $0.acts(at: Double(now_us) / 1e6) }
  }

  /// What passed since the last call.
  public mutating func takeRecords() -> [CANRecord] {
    defer { records.removeAll(keepingCapacity: true) }
    return records
  }

  /// Lets both ends talk up to a time.
  public mutating func run(until end_us: Int64, battery ours: QuantityValues, inverter theirs: QuantityValues) {
    while now_us < end_us {
      restartIfDue()
      var until = end_us
      let isMute = fault(.wrongBitRate) != nil || isOff
      let values = said(ours)
      if fault(.silentBattery) == nil, !isMute, !isBatteryMute {
        until = min(until, talk(isBattery: true, values))
        if second != nil { until = min(until, talkSecond(values)) }
      }
      if fault(.silentInverter) == nil, !isMute { until = min(until, talk(isBattery: false, theirs)) }
      if !isMute { until = min(until, talkPairs(values, theirs)) }
      until = min(until, noise(end_us))
      until = min(until, deliver())
      now_us = max(now_us + 1, min(end_us, until))
    }
  }

  /// What the battery says, under faults of its values.
  private mutating func said(_ ours: QuantityValues) -> QuantityValues {
    var values = ours
    if fault(.frozen) != nil {
      if frozen == nil { frozen = ours }
      values = frozen ?? ours
    }
    if fault(.zerosAtStart) != nil {
      for quantity in Quantity.neverZero {
        values[quantity] = 0
      }
    }
    if fault(.contradictingLimits) != nil, let top = ours[.chargeVoltageLimit], let bottom = ours[.dischargeVoltageLimit] {
      values[.chargeVoltageLimit] = bottom
      values[.dischargeVoltageLimit] = top
    }
    return values
  }

  private var isOff: Bool { now_us < offUntil }

  private mutating func talk(isBattery: Bool, _ values: QuantityValues) -> Int64 {
    while true {
      let action = isBattery ? battery.next(now_us: now_us, values: values) : inverter.next(now_us: now_us, values: values)
      switch action {
      case .wait(let until): return until
      case .send(let frame): send(frame, fromBattery: isBattery)
      }
    }
  }

  /// Further batteries say what the first does: packs in parallel.
  private mutating func talkPairs(_ ours: QuantityValues, _ theirs: QuantityValues) -> Int64 {
    var until = Int64.max
    for index in pairs.indices {
      for isBattery in [true, false] {
        var next: Int64?
        while next == nil {
          let action =
            isBattery
            ? pairs[index].battery.next(now_us: now_us, values: ours) : pairs[index].inverter.next(now_us: now_us, values: theirs)
          switch action {
          case .wait(let time): next = time
          case .send(let frame): send(frame, fromBattery: isBattery)
          }
        }
        until = min(until, next ?? .max)
      }
    }
    return until
  }

  /// The other battery has values of its own.
  private mutating func talkSecond(_ values: QuantityValues) -> Int64 {
    guard fault(.twoSenders) != nil, second != nil else { return .max }
    var other = values
    if let voltage = values[.packVoltage] { other[.packVoltage] = voltage * 8 / 10 }
    if let soc = values[.soc] { other[.soc] = max(0, soc - 30_000) }
    other[.packCurrent] = -7_300
    while true {
      guard let action = second?.next(now_us: now_us, values: other) else { return .max }
      switch action {
      case .wait(let until): return until
      case .send(let frame): send(frame, fromBattery: true)
      }
    }
  }

  // MARK: On the wire

  private mutating func send(_ original: CANFrame, fromBattery: Bool) {
    var frame = original
    if fromBattery {
      if let message = missing, message == frame.id { return }
      if fault(.wrongWidth) != nil {
        frame.id = frame.id.isExtended ? .standard(frame.id.number & 0x7FF) : .extended(frame.id.number)
      }
    }
    if let fault = fault(.dropped), random.unit() < fault.amount { return }
    if let fault = fault(.corrupted), random.unit() < fault.amount, frame.length > 0 {
      for _ in 0..<2 { frame.head ^= 1 << UInt64(random.below(Int(frame.length) * 8)) }
    }
    var due = max(now_us, busFree_us) + 262
    if let fault = fault(.delayed), fromBattery { due += Int64(random.unit() * fault.amount * 1e6) }
    busFree_us = max(busFree_us, now_us) + 262
    put(frame, fromBattery, due)
    if let fault = fault(.duplicated), fromBattery, random.unit() < fault.amount { put(frame, fromBattery, due + 300) }
  }

  /// The member of the battery's set that is left out: the second that must be there.
  private var missing: ArbitrationID? {
    fault(.missingMember) == nil ? nil : batteryLink.secondMember(address: battery.address)
  }

  private mutating func put(_ frame: CANFrame, _ fromBattery: Bool, _ due: Int64) {
    var place = underway.count
    while place > 0, underway[place - 1].due > due { place -= 1 }
    underway.insert((due, !fromBattery, frame), at: place)
  }

  /// Frames that have arrived are recorded and heard.
  private mutating func deliver() -> Int64 {
    while let first = underway.first, first.due <= now_us {
      underway.removeFirst()
      if isCut { continue }
      record(first.frame, at: first.due)
      if first.toBattery {
        battery.receive(first.frame, now_us: now_us)
        second?.receive(first.frame, now_us: now_us)
        for index in pairs.indices { pairs[index].battery.receive(first.frame, now_us: now_us) }
      } else {
        inverter.receive(first.frame, now_us: now_us)
        for index in pairs.indices { pairs[index].inverter.receive(first.frame, now_us: now_us) }
      }
    }
    return underway.first?.due ?? .max
  }

  private mutating func record(_ frame: CANFrame, at time_us: Int64) {
    let jump = faults.first { $0.kind == .clockJump && Double(time_us) / 1e6 >= $0.at }.map { Int64($0.amount * 1e9) } ?? 0
    records.append(
      CANRecord(
        time: Timestamp(nanoseconds: LinkWorld.epoch_ns + time_us * 1000 - jump), precision: .microseconds, bus: BusID(0),
        frame: frame))
  }

  // MARK: What is not of this link

  private mutating func noise(_ end_us: Int64) -> Int64 {
    var until = Int64.max
    if fault(.foreignTraffic) != nil {
      while nextForeign <= now_us {
        let number = UInt32(random.below(5))
        // A vehicle's bus: 11-bit frames, fast.
        record(CANFrame(id: .standard(0x4A0 + number * 3), length: 8, head: random.next()), at: now_us)
        nextForeign = max(nextForeign, now_us) + 40_000 + Int64(random.below(40_000))
      }
      until = min(until, nextForeign)
    }
    if fault(.wrongBitRate) != nil {
      while nextError <= now_us {
        record(error(class: 0x88, [0, 0, 4, 8, 0, 0, 0, 0]), at: now_us)
        nextError = max(nextError, now_us) + 60_000 + Int64(random.below(30_000))
      }
      until = min(until, nextError)
    }
    if let fault = fault(.busOff), !hasGoneOff {
      hasGoneOff = true
      for step in 0..<16 {
        record(error(class: 0x288, [0, 0, 0x10, 0, 0, 0, UInt8(16 * step), 0]), at: now_us + Int64(step) * 300)
      }
      record(error(class: 0x40, [0, 0, 0, 0, 0, 0, 0, 0]), at: now_us + 5000)
      offUntil = now_us + Int64(fault.amount * 1e6)
    }
    if isOff { until = min(until, offUntil) }
    return until
  }

  private func error(class bits: UInt32, _ bytes: [UInt8]) -> CANFrame {
    var frame = CANFrame(id: ArbitrationID(rawValue: bits), length: 8, head: 0)
    for (place, byte) in bytes.enumerated() { frame.setByte(place, byte) }
    frame.flags = .error
    return frame
  }

  /// The inverter starts anew in the middle of things, and nobody tells it who the battery is.
  private mutating func restartIfDue() {
    guard let fault = fault(.restart), !hasRestarted, let fresh = link.session(.inverter) else { return }
    hasRestarted = true
    inverter = fresh
    reaction = InverterReaction(quirks: reaction.quirks)
    // A battery that says who it is only once, at its own start, stays silent about it.
    battery.forgetsIdentity = fault.amount > 0
  }

  /// Puts another battery on the bus, or the same one under another protocol; it starts anew.
  public mutating func replaceBattery(_ link: CompiledLink) {
    guard let fresh = link.session(.battery) else { return }
    batteryLink = link
    battery = fresh
  }

  /// Starts one end anew: for runs that are clean, with restarts as they happen.
  public mutating func restart(_ side: Session.Side) {
    if side == .inverter, let fresh = link.session(.inverter) {
      inverter = fresh
      reaction = InverterReaction(quirks: reaction.quirks)
    }
    if side == .battery, let fresh = batteryLink.session(.battery, address: battery.address) { battery = fresh }
  }
}
