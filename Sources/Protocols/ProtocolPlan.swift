public import Bus

/// How one message is decoded: which of the plan's signals belong to it.
public struct MessagePlan: Sendable, Equatable {
  /// First signal in `ProtocolPlan.signals`. A message's signals are contiguous, multiplexors before what they select.
  public var firstSignal: Int32
  /// Signals of the message, from its first in the plan.
  public var signalCount: Int32
  /// Payload bytes that all signals together need: a frame at least that long needs no check a signal.
  public var bytesNeeded: UInt8
  /// Payload length of the definition.
  public var length: UInt8
  /// Whether any signal depends on a multiplexor.
  public var isMultiplexed: Bool
  /// Whether every signal lies in the first eight bytes.
  public var fitsOneWord: Bool

  /// A message of a plan.
  public init(
    firstSignal: Int32, signalCount: Int32, bytesNeeded: UInt8, length: UInt8, isMultiplexed: Bool = false, fitsOneWord: Bool = true
  ) {
    self.firstSignal = firstSignal
    self.signalCount = signalCount
    self.bytesNeeded = bytesNeeded
    self.length = length
    self.isMultiplexed = isMultiplexed
    self.fitsOneWord = fitsOneWord
  }
}

/// What an arbitration ID means under a plan: which message, and from which address.
public struct MessageSlot: Sendable, Equatable {
  /// The ID as it stands on the bus, bit 31 = extended.
  public var id: ArbitrationID
  /// Index into `ProtocolPlan.messages`.
  public var message: Int32
  /// The address that the ID carries, 0…15; 0 where the protocol has none.
  public var address: UInt8
  /// Whether the ID carries an address at all.
  public var hasAddress: Bool

  /// A place in the plan for one arbitration ID.
  public init(id: ArbitrationID, message: Int32, address: UInt8 = 0, hasAddress: Bool = false) {
    self.id = id
    self.message = message
    self.address = address
    self.hasAddress = hasAddress
  }
}

/// A protocol (or several joined) as flat tables: arbitration ID → slot → message → signals.
///
/// IDs that differ by an address only are expanded into one slot each, so that a look-up is one hash and one compare.
public struct ProtocolPlan: Sendable {
  /// Slots in the order in which frames are looked up.
  public private(set) var slots: [MessageSlot]
  /// Messages by index.
  public private(set) var messages: [MessagePlan]
  /// Signals by index, message by message.
  public private(set) var signals: [SignalPlan]
  /// Ranges of multiplexer values that signals refer to.
  public private(set) var multiplexRanges: [ClosedRange<UInt64>]

  /// Open-addressed hash of the slots, a power of two long and at most a quarter full: raw ID and slot index, −1 = free.
  public let keys: [UInt32]
  /// Slot by standard ID; −1 where no message has it.
  public let values: [Int32]
  /// Bits to shift the hashed ID right.
  public let hashShift: UInt32

  /// Builds the look-up table. Of several slots with one ID the first wins.
  public init(slots: [MessageSlot], messages: [MessagePlan], signals: [SignalPlan], multiplexRanges: [ClosedRange<UInt64>] = []) {
    var bits: UInt32 = 6
    while bits < 24, 1 << Int(bits) < slots.count * 4 { bits += 1 }
    var keys = [UInt32](repeating: 0, count: 1 << Int(bits))
    var values = [Int32](repeating: -1, count: 1 << Int(bits))
    let shift = 32 - bits
    for (index, slot) in slots.enumerated() {
      var place = Int((slot.id.rawValue &* ProtocolPlan.hashMultiplier) &>> shift)
      while values[place] >= 0, keys[place] != slot.id.rawValue { place = (place + 1) & (keys.count - 1) }
      if values[place] < 0 {
        keys[place] = slot.id.rawValue
        values[place] = Int32(truncatingIfNeeded: index)
      }
    }
    self.slots = slots
    self.messages = messages
    self.signals = signals
    self.multiplexRanges = multiplexRanges
    self.keys = keys
    self.values = values
    hashShift = shift
  }

  /// Spreads IDs that differ in few bits (2^32 ÷ golden ratio).
  @inlinable public static var hashMultiplier: UInt32 { 0x9E37_79B1 }

  /// The slot of an arbitration ID; `nil` for one the plan does not know.
  @inlinable public func slot(of id: ArbitrationID) -> Int? {
    var place = Int((id.rawValue &* ProtocolPlan.hashMultiplier) &>> hashShift)
    while values[place] >= 0 {
      if keys[place] == id.rawValue { return Int(values[place]) }
      place = (place &+ 1) & (keys.count &- 1)
    }
    return nil
  }
}
