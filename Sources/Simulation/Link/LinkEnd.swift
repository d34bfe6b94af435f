public import Bus
public import Formats
public import Protocols

/// One end of a link on a bus that others share: a session, with faults that come and go while it runs. Sans-IO: frames heard, values
/// and time go in, frames to send come out.
public struct LinkEnd: Sendable {
  /// Why a fault cannot be had here.
  public enum Refusal: Error, Sendable, Equatable {
    /// It is something that the other end does.
    case otherSide
    /// It needs another protocol, and none was given.
    case needsProtocol
    /// The definition does not say how that end behaves.
    case noSession
  }

  private let link: CompiledLink
  private let other: CompiledLink?
  /// Which end.
  public let side: Session.Side
  /// The address of the battery that is played or wanted.
  private let address: UInt8
  /// The end itself.
  public private(set) var session: Session
  /// A second battery that sends under the same IDs.
  private var second: Session?
  /// What it speaks now.
  private var spoken: CompiledLink
  /// Faults that act, by kind.
  public private(set) var faults: [LinkFault.Kind: Double] = [:]
  private var random: SplitMix64
  private var frozen: QuantityValues?
  /// Frames on their way: when, what.
  private var underway: [(due: Int64, frame: CANFrame)] = []
  private var nextForeign: Int64 = 0
  private var offUntil: Int64 = .min
  /// Frames on their way at most.
  private static let mostUnderway = 4096

  /// - Parameters:
  ///   - address: the battery's; the variant's own if `nil`.
  ///   - other: what it speaks under the fault of a wrong protocol.
  /// - Returns: `nil` where the definition does not say how that end behaves.
  public init?(_ link: CompiledLink, _ side: Session.Side, address: UInt8? = nil, other: CompiledLink? = nil, seed: UInt64) {
    guard let session = link.session(side, address: address) else { return nil }
    self.link = link
    self.other = other
    self.side = side
    self.address = address ?? link.address
    self.session = session
    spoken = link
    random = SplitMix64(seed: seed)
  }

  // MARK: Faults

  /// Lets a fault act from now on.
  /// - Parameter amount: share of frames it hits, or seconds; the usual one if `nil`.
  public mutating func begin(_ kind: LinkFault.Kind, amount: Double? = nil, now_us: Int64) throws(Refusal) {
    switch kind {
    case .silentBattery, .byteOrder, .missingOffset, .missingMember, .frozen, .zerosAtStart, .twoSenders, .contradictingLimits:
      guard side == .battery else { throw .otherSide }
    case .silentInverter, .ignoresLimits, .clockJump: guard side == .inverter else { throw .otherSide }
    case .wrongProtocol: guard other != nil else { throw .needsProtocol }
    default: break
    }
    faults[kind] = max(0, amount ?? kind.usualAmount)
    switch kind {
    case .wrongAddress, .byteOrder, .missingOffset, .wrongProtocol, .twoSenders: try renew()
    case .restart:
      try renew()
      session.forgetsIdentity = side == .battery && faults[kind] ?? 0 > 0
    case .busOff: offUntil = now_us &+ Int64(min(1e9, faults[kind] ?? 0) * 1e6)
    default: break
    }
  }

  /// Ends a fault; all of them for `nil`.
  public mutating func end(_ kind: LinkFault.Kind? = nil) throws(Refusal) {
    let ended = kind.map { Set([$0]) } ?? Set(faults.keys)
    for kind in ended { faults[kind] = nil }
    if ended.contains(.frozen) { frozen = nil }
    if ended.contains(.busOff) { offUntil = .min }
    if ended.contains(.delayed) { underway.removeAll() }
    if !ended.isDisjoint(with: [.wrongAddress, .byteOrder, .missingOffset, .wrongProtocol, .twoSenders, .restart]) { try renew() }
  }

  /// The session under the faults that change what it speaks.
  private mutating func renew() throws(Refusal) {
    var readings: [String: String] = [:]
    if faults[.byteOrder] != nil { readings["byteOrder"] = "big" }
    if faults[.missingOffset] != nil { readings["currentOffset"] = "none" }
    spoken = readings.isEmpty ? link : link.definition.link(variant: link.variant, readings: readings)
    if faults[.wrongProtocol] != nil, let other { spoken = other }
    let used =
      faults[.wrongAddress] != nil ? address ^ 1 : spoken.definition.protocolName == link.definition.protocolName ? address : nil
    guard let fresh = spoken.session(side, address: used) else { throw .noSession }
    session = fresh
    second = faults[.twoSenders] != nil ? spoken.session(side, address: used) : nil
  }

  /// Whether it says and hears nothing at all.
  private func isMute(_ now_us: Int64) -> Bool {
    faults[.wrongBitRate] != nil || now_us < offUntil || faults[side == .battery ? .silentBattery : .silentInverter] != nil
  }

  // MARK: Running

  /// Takes a frame of the bus that somebody else sent.
  public mutating func receive(_ frame: CANFrame, now_us: Int64) {
    guard faults[.wrongBitRate] == nil, now_us >= offUntil else { return }
    session.receive(frame, now_us: now_us)
    second?.receive(frame, now_us: now_us)
  }

  /// What to do at this time, with what this end knows.
  public mutating func next(now_us: Int64, values: QuantityValues) -> Session.Action {
    if isMute(now_us) {
      underway.removeAll()
      return .wait(until: offUntil > now_us ? offUntil : now_us &+ 1_000_000)
    }
    let said = faulty(values)
    // What the sessions want to say goes through the faults first.
    var until = now_us &+ 1000
    for _ in 0..<256 {
      switch session.next(now_us: now_us, values: said) {
      case .send(let frame):
        put(frame, now_us)
        continue
      case .wait(let next): until = next
      }
      break
    }
    if second != nil { until = min(until, talkSecond(said, now_us)) }
    if faults[.foreignTraffic] != nil { until = min(until, foreign(now_us)) }
    if let first = underway.first {
      if first.due <= now_us {
        underway.removeFirst()
        return .send(first.frame)
      }
      until = min(until, first.due)
    }
    return .wait(until: until)
  }

  private mutating func talkSecond(_ values: QuantityValues, _ now_us: Int64) -> Int64 {
    var other = values
    if let voltage = values[.packVoltage] { other[.packVoltage] = voltage / 10 * 8 }
    if let soc = values[.soc] { other[.soc] = max(0, soc - 30_000) }
    other[.packCurrent] = -7_300
    for _ in 0..<256 {
      guard let action = second?.next(now_us: now_us, values: other) else { return .max }
      switch action {
      case .send(let frame): put(frame, now_us)
      case .wait(let until): return until
      }
    }
    return now_us &+ 1000
  }

  /// A vehicle's bus: 11-bit frames, fast.
  private mutating func foreign(_ now_us: Int64) -> Int64 {
    if nextForeign <= now_us {
      queue(CANFrame(id: .standard(0x4A0 + UInt32(random.below(5)) * 3), length: 8, head: random.next()), now_us)
      nextForeign = now_us + 40_000 + Int64(random.below(40_000))
    }
    return nextForeign
  }

  private mutating func put(_ original: CANFrame, _ now_us: Int64) {
    var frame = original
    if side == .battery, let missing, missing == frame.id { return }
    if faults[.wrongWidth] != nil {
      frame.id = frame.id.isExtended ? .standard(frame.id.number & 0x7FF) : .extended(frame.id.number)
    }
    if let share = faults[.dropped], random.unit() < share { return }
    if let share = faults[.corrupted], random.unit() < share, frame.length > 0 {
      for _ in 0..<2 { frame.head ^= 1 << UInt64(random.below(Int(min(frame.length, 8)) * 8)) }
    }
    var due = now_us
    if let most = faults[.delayed] { due += Int64(random.unit() * min(3600, most) * 1e6) }
    queue(frame, due)
    if let share = faults[.duplicated], random.unit() < share { queue(frame, due + 300) }
  }

  private mutating func queue(_ frame: CANFrame, _ due: Int64) {
    guard underway.count < LinkEnd.mostUnderway else { return }
    var place = underway.count
    while place > 0, underway[place - 1].due > due { place -= 1 }
    underway.insert((due, frame), at: place)
  }

  /// The member of the battery's set that is left out: the second that must be there.
  private var missing: ArbitrationID? {
    guard faults[.missingMember] != nil else { return nil }
    return spoken.secondMember(address: session.address)
  }

  /// What it says, under faults of its values.
  private mutating func faulty(_ ours: QuantityValues) -> QuantityValues {
    var values = ours
    if faults[.frozen] != nil {
      if frozen == nil { frozen = ours }
      values = frozen ?? ours
    }
    if faults[.zerosAtStart] != nil {
      for quantity in Quantity.neverZero { values[quantity] = 0 }
    }
    if faults[.contradictingLimits] != nil {
      values[.chargeVoltageLimit] = ours[.dischargeVoltageLimit]
      values[.dischargeVoltageLimit] = ours[.chargeVoltageLimit]
    }
    if faults[.ignoresLimits] != nil {
      let limit = max(session.heard[.chargeCurrentLimit] ?? 0, session.heard[.dischargeCurrentLimit] ?? 0)
      values[.inverterCurrent] = max(20_000, limit.multipliedReportingOverflow(by: 2).partialValue)
    }
    if let jump = faults[.clockJump], let time = ours[.inverterTime] {
      values[.inverterTime] = time &- Int64(min(1e12, jump * 1000))
    }
    return values
  }
}

extension Quantity {
  /// What a battery that lives never says is 0.
  static let neverZero: [Quantity] = [
    .packVoltage, .chargeVoltageLimit, .dischargeVoltageLimit, .chargeCurrentLimit, .dischargeCurrentLimit, .soc,
  ]
}

extension CompiledLink {
  /// The second frame of the set that the battery must say.
  func secondMember(address: UInt8) -> ArbitrationID? {
    guard let role = handshake.battery else { return nil }
    let online = role.states.first { $0.phase == .online }
    let answered = role.answers.first?.emissions ?? online.flatMap { role.sends[$0.sends].first?.emissions } ?? 0..<0
    let place =
      online.flatMap { role.sends[$0.sends].first(where: { $0.every_us > 0 && $0.emissions.count > 1 })?.emissions } ?? answered
    guard place.count > 1 else { return nil }
    let message = role.emissions[place.lowerBound + 1].message
    return dissection.plan.slots.first { $0.message == message && (!$0.hasAddress || $0.address == address) }?.id
  }
}
