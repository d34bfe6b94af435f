public import Bus
public import Formats
public import Protocols

/// A `DissectionPlan` laid out for the loops that touch every frame: what a signal costs is one load, one shift, one mask.
///
/// Immutable after `init`; one table serves any number of threads.
public final class DecodeTable: Sendable {
  /// A signal's share of the hot loop, 24 bytes.
  @frozen public struct Signal: Sendable {
    @usableFromInline let mask: UInt64
    @usableFromInline let sign: UInt64
    @usableFromInline let shift: UInt8
    @usableFromInline let isBigEndian: Bool
    @usableFromInline let bytesNeeded: UInt8

    init(_ plan: SignalPlan) {
      mask = plan.mask
      sign = plan.sign
      shift = plan.shift
      isBigEndian = plan.isBigEndian
      bytesNeeded = plan.bytesNeeded
    }

    /// The raw value from a payload's first word and the same word byte-swapped.
    @inlinable @inline(__always) public func raw(_ word: UInt64, _ swapped: UInt64) -> Int64 {
      let bits = ((isBigEndian ? swapped : word) &>> UInt64(shift)) & mask
      return Int64(bitPattern: (bits ^ sign) &- sign)
    }
  }

  /// A slot's share of the hot loop, 16 bytes.
  @frozen public struct Slot: Sendable {
    /// First signal of its message and the one after the last.
    public let first: Int32
    /// Signals up to here belong to the slot.
    public let end: Int32
    /// First of the cells that statistics keep for this slot: slots of one message have their own.
    public let firstCell: Int32
    /// A plain frame at least this long needs no check a signal; 255 where the message is multiplexed, wide or floating and every
    /// frame goes the careful way.
    public let simpleLength: UInt8
  }

  /// The plan this was made from.
  public let dissection: DissectionPlan
  /// Hot form of the plan's signals.
  public let signals: [Signal]
  /// Hot form of the plan's slots.
  public let slots: [Slot]
  /// Number of signal cells over all slots.
  public let cellCount: Int
  private let plan: ProtocolPlan
  /// The plan's hash table at fixed addresses: the look-up of every frame must not count references or check bounds.
  @usableFromInline let lookup: Lookup

  /// From raw arbitration ID to slot.
  @frozen public struct Lookup: @unchecked Sendable {  // immutable memory that the table owns and frees
    @usableFromInline let keys: UnsafePointer<UInt32>
    @usableFromInline let values: UnsafePointer<Int32>
    @usableFromInline let shift: UInt32
    @usableFromInline let mask: Int

    init(_ plan: ProtocolPlan) {
      let keyMemory = UnsafeMutablePointer<UInt32>.allocate(capacity: plan.keys.count)
      keyMemory.initialize(from: plan.keys, count: plan.keys.count)
      keys = UnsafePointer(keyMemory)
      let valueMemory = UnsafeMutablePointer<Int32>.allocate(capacity: plan.values.count)
      valueMemory.initialize(from: plan.values, count: plan.values.count)
      values = UnsafePointer(valueMemory)
      shift = plan.hashShift
      mask = plan.keys.count - 1
    }

    /// The slot of an ID; −1 for one that is unknown.
    @inlinable @inline(__always) public func slot(of id: UInt32) -> Int {
      var place = Int((id &* ProtocolPlan.hashMultiplier) &>> shift)
      // At most a quarter of the places are taken, so this ends.
      while values[place] >= 0 {
        if keys[place] == id { return Int(values[place]) }
        place = (place &+ 1) & mask
      }
      return -1
    }
  }

  /// A table for a dissection.
  public init(_ dissection: DissectionPlan) {
    self.dissection = dissection
    let plan = dissection.plan
    self.plan = plan
    signals = plan.signals.map(Signal.init)
    var cells = 0
    slots = plan.slots.map { slot in
      let message = plan.messages[Int(slot.message)]
      let range = Int(message.firstSignal)..<Int(message.firstSignal + message.signalCount)
      let isSimple =
        !message.isMultiplexed && message.fitsOneWord
        && plan.signals[range].allSatisfy { $0.encoding.rawValue < 2 && $0.width <= 32 }
      defer { cells += range.count }
      return Slot(
        first: Int32(range.lowerBound), end: Int32(range.upperBound), firstCell: Int32(cells),
        simpleLength: isSimple ? message.bytesNeeded : 255)
    }
    cellCount = cells
    lookup = Lookup(plan)
  }

  deinit {
    lookup.keys.deallocate()
    lookup.values.deallocate()
  }

  /// The slot of a frame that can be decoded; `nil` for an unknown ID and for remote and error frames, which carry no data.
  @inlinable @inline(__always) public func slot(of frame: borrowing CANFrame) -> Int? {
    guard frame.flags.rawValue & 3 == 0 else { return nil }
    let slot = lookup.slot(of: frame.id.rawValue)
    return slot < 0 ? nil : slot
  }

  /// What the slot's ID means.
  public func messageIndex(ofSlot slot: Int) -> Int { Int(plan.slots[slot].message) }

  /// Whether signal `index` (of the whole plan) of the message in `slot` is present in `frame`, and its raw bits, sign-extended for
  /// signed integers, as they are for floats.
  public func raw(_ index: Int, slot: Int, in frame: borrowing CANFrame) -> Int64? {
    let signal = plan.signals[index]
    guard Int(signal.bytesNeeded) <= frame.payloadLength, isSelected(signal, slot: slot, in: frame) else { return nil }
    let word = DecodeTable.window(of: frame, from: Int(signal.byteOffset))
    return signal.raw(word, swapped: word.byteSwapped)
  }

  /// Eight payload bytes from `offset` on, little-endian.
  static func window(of frame: borrowing CANFrame, from offset: Int) -> UInt64 {
    if offset == 0 { return frame.head }
    var word: UInt64 = 0
    for index in 0..<8 { word |= UInt64(frame.byte(offset + index)) &<< UInt64(index * 8) }
    return word
  }

  private func isSelected(_ signal: SignalPlan, slot: Int, in frame: borrowing CANFrame) -> Bool {
    guard signal.multiplexor >= 0 else { return true }
    let selector = Int(slots[slot].first) + Int(signal.multiplexor)
    // A multiplexor stands before what it selects, so this ends.
    guard let value = raw(selector, slot: slot, in: frame) else { return false }
    let ranges = plan.multiplexRanges[Int(signal.firstRange)..<Int(signal.firstRange) + Int(signal.rangeCount)]
    return ranges.contains { $0.contains(UInt64(bitPattern: value) & plan.signals[selector].mask) }
  }
}

extension SignalPlan {
  /// The physical value of raw bits, in the definition's unit, as a binary number.
  public func physical(_ raw: Int64) -> Double {
    switch encoding {
    case .unsigned: width == 64 ? Double(UInt64(bitPattern: raw)) * factor + offset : exactOrNearest(raw)
    case .signed: exactOrNearest(raw)
    case .float32: Double(Float(bitPattern: UInt32(truncatingIfNeeded: raw))) * factor + offset
    case .float64: Double(bitPattern: UInt64(bitPattern: raw)) * factor + offset
    }
  }

  private func exactOrNearest(_ raw: Int64) -> Double {
    guard isExact else { return Double(raw) * factor + offset }
    return Double(raw &* numerator &+ addend) / SignalPlan.powersOfTen[Int(min(decimals, 15))]
  }

  private static let powersOfTen: [Double] = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]
}
