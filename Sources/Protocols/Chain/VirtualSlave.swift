/// The other end of a chain: one node with its registers, its bus switch and its faults. Plain value; time is passed in.
/// Source: linkslave-chain.md §3–6, §14.
public struct VirtualSlave: Sendable {
  /// What is wrong with a node.
  public enum Defect: Equatable, Sendable {
    case none
    /// Says and hears nothing; nothing behind it does either.
    case dead
    /// Never ends a conversion.
    case stuckConversion
  }

  /// Which frames it speaks.
  public let generation: ChainGeneration
  /// Cell voltages by terminal CT1…CT14, 0.1 mV.
  public var cells: InlineArray<14, UInt16> = InlineArray(repeating: 0)
  /// Codes of the analogue inputs AN0…AN6.
  public var analogue: InlineArray<7, UInt16> = InlineArray(repeating: 0x7FFF)
  /// The module's own voltage, mV.
  public var stack_mV: UInt32 = 0
  /// What is wrong with it.
  public var defect = Defect.none
  /// Terminals whose sense wire is broken: bit 0 = CT1.
  public var openWires: UInt16 = 0
  /// Terminals whose comparators never trip.
  public var deadComparators: UInt16 = 0
  /// Terminals whose input leaks, and whose channel is 40 mV off in the self-test.
  public var leaking: UInt16 = 0
  /// See `leaking`.
  public var offChannels: UInt16 = 0
  /// Terminals without a balancing resistor.
  public var openBalancing: UInt16 = 0
  /// What the converter makes of its own reference of 1.180 V, in 0.1 mV.
  public var reference: UInt32 = 11_800

  private var registers: InlineArray<128, UInt16> = InlineArray(repeating: 0)
  private var counter: UInt8 = 0
  private var tag: UInt8 = 0
  private var conversionEnds: Int64 = .max
  private var lastLocal: Int64 = 0
  private var balancingEnds: InlineArray<14, Int64> = InlineArray(repeating: 0)

  /// µs from the start of a conversion to its data.
  public static let conversionTime: Int64 = 520
  /// µs without an ID and without a message after which it sleeps (§4.1).
  public static let sleepTimeout: Int64 = 60_000_000
  /// µs without a local message to a reset.
  public static let communicationTimeout: Int64 = 1_024_000

  /// A node after power-up.
  public init(_ generation: ChainGeneration = .b) {
    self.generation = generation
    reset(at: 0, isPowerUp: true)
  }

  /// The node's cluster ID; 0 = unassigned.
  public var clusterID: UInt8 { UInt8(truncatingIfNeeded: registers[1]) & (generation == .b ? 0xF : 0x3F) }
  /// Whether the next node hears the master.
  public var forwards: Bool { defect != .dead && clusterID != 0 && (generation == .c || registers[1] & 0x10 != 0) }
  /// Terminals that are balanced at a time, bit 0 = CT1.
  public func balancing(at now_us: Int64) -> UInt16 {
    guard registers[3] & 0x80 != 0, registers[3] & 0x20 == 0 else { return 0 }
    var mask: UInt16 = 0
    for cell in 0..<14 where balancingEnds[cell] > now_us { mask |= 1 << UInt16(cell) }
    return mask
  }
  /// A register's content, for tests and pages.
  public func content(_ register: UInt8) -> UInt16 { registers[Int(register & 0x7F)] }

  /// Back to the state after a reset: unassigned, nothing balanced.
  public mutating func reset(at now_us: Int64, isPowerUp: Bool = false) {
    for address in 0..<128 { registers[address] = ChainRegister.resetValue(UInt8(truncatingIfNeeded: address), generation) }
    if !isPowerUp { registers[0x24] = 0x4000 }
    balancingEnds = InlineArray(repeating: 0)
    conversionEnds = .max
    lastLocal = now_us
    tag = 0
  }

  /// Hears the wake pattern.
  public mutating func wake(now_us: Int64) {
    if clusterID == 0 { lastLocal = now_us }
  }

  /// Hears a request. Calls `answer` for each frame it says.
  public mutating func hear(_ request: ChainFrame, now_us: Int64, _ answer: (ChainFrame) -> Void) {
    guard defect != .dead, request.generation == generation else { return }
    if clusterID != 0, now_us - lastLocal > VirtualSlave.communicationTimeout {
      reset(at: lastLocal + VirtualSlave.communicationTimeout)
    }
    // Asleep.
    if clusterID == 0, now_us - lastLocal > VirtualSlave.sleepTimeout { return }
    guard request.isIntact, !request.isAnswer else {
      registers[0x23] = min(0xFF00, registers[0x23] &+ 0x100)
      registers[0x24] |= 1 << 9
      return
    }
    if request.command == .globalWrite {
      write(request.register, request.data, now_us, isGlobal: true)
      return
    }
    let before = clusterID
    guard request.clusterID == before else { return }
    lastLocal = now_us
    finishConversion(now_us)
    switch request.command {
    case .nop: if generation == .b { answer(reply(request.register, request)) }
    case .read:
      let count = min(127, Int(request.data & 0x7F))
      var step = 0
      while step < count, Int(request.register) + step < 128 {
        answer(reply(request.register + UInt8(truncatingIfNeeded: step), request))
        if generation == .c { counter = (counter + 1) & 0xF }
        step += 1
      }
    case .write:
      write(request.register, request.data, now_us, isGlobal: false)
      if generation == .b { answer(reply(request.register, request)) }
    case .globalWrite: break
    }
  }

  private func reply(_ register: UInt8, _ request: ChainFrame) -> ChainFrame {
    let nibble = generation == .b && ChainFrame.hasTag(register) ? tag : request.nibble
    return ChainFrame(
      generation, data: registers[Int(register & 0x7F)], isAnswer: true, register: register, clusterID: clusterID, nibble: nibble,
      counter: counter)
  }

  // MARK: Registers

  /// Switches that are closed now; none outside the diagnostic mode.
  private var diagnostics: UInt16 { registers[0x03] & 0x40 != 0 ? registers[0x05] : 0 }

  private mutating func write(_ register: UInt8, _ value: UInt16, _ now_us: Int64, isGlobal: Bool) {
    switch register {
    case 0x05:
      registers[5] = value
      // Odd and even terminals without a resistor show while their half is tried (§11).
      if value & 3 != 0, registers[0x03] & 0x40 != 0 {
        registers[0x1A] |= openBalancing & (value & 1 != 0 ? 0x2AAA : 0x1555)
      }
    case 0x01:
      guard !isGlobal else { return }
      // 0 in the field of the cluster ID leaves it as it is.
      let field: UInt16 = generation == .b ? 0xF : 0x3F
      registers[1] = value & field == 0 ? value & ~field | registers[1] & field : value
    case 0x02: break
    case 0x03:
      if value & 0x10 != 0 { return reset(at: now_us) }
      if registers[3] & 0x80 != 0, value & 0x80 == 0 { balancingEnds = InlineArray(repeating: 0) }
      registers[3] = value & ~0x50 | (value & 0x40)
    case 0x06:
      tag = UInt8(truncatingIfNeeded: value >> 12)
      registers[6] = value
      if value & 0x800 != 0 {
        conversionEnds = defect == .stuckConversion ? .max : now_us + VirtualSlave.conversionTime
        for address in 0x30...0x4A { registers[address] &= 0x7FFF }
      }
    case 0x0C...0x19:
      let cell = Int(register) - 0x0C
      let minutes = Int64(value & 0x1FF)
      balancingEnds[cell] = value & 0x200 != 0 ? now_us + (minutes == 0 ? 30 : minutes * 60) * 1_000_000 : 0
      registers[Int(register)] = value
    case 0x09, 0x0A, 0x1A, 0x1B, 0x24...0x26: registers[Int(register)] &= value
    case 0x1C, 0x1F...0x23, 0x2D...0x4A, 0x6B: break
    default: registers[Int(register & 0x7F)] = value
    }
  }

  private mutating func finishConversion(_ now_us: Int64) {
    let active = balancing(at: now_us)
    registers[0x1C] = active
    for cell in 0..<14 where registers[0x0C + cell] & 0x200 != 0 && active & 1 << UInt16(cell) == 0 && balancingEnds[cell] <= now_us
    {
      if balancingEnds[cell] > 0 { registers[0x26] |= 1 << UInt16(cell) }
    }
    guard now_us >= conversionEnds else { return }
    conversionEnds = .max
    registers[6] &= ~0x800
    registers[0x32] = 0x8000 | ChainConversion.stackCode(stack_mV)
    var over: UInt16 = 0
    var under: UInt16 = 0
    let diagnostics = self.diagnostics
    for cell in 0..<14 {
      var tenths = UInt32(cells[cell])
      if diagnostics & 0x80 != 0 { tenths = offChannels & 1 << UInt16(cell) != 0 ? 12_200 : 11_800 }
      if diagnostics & 0x20 != 0 { tenths = leaking & 1 << UInt16(cell) != 0 ? 400 : 2 }
      // With its pull-down closed an open input collapses (§11).
      let isPulled = diagnostics & (cell % 2 == 0 ? 0x8 : 0x4) != 0
      if openWires & 1 << UInt16(cell) != 0, isPulled { tenths = 300 }
      registers[0x40 - cell] = 0x8000 | ChainConversion.cellCode(tenths)
      guard registers[0x08] & 1 << UInt16(cell) != 0 else { continue }
      if diagnostics & 0x10 != 0, diagnostics & 0xC != 0 {
        // The pulled half is driven over its threshold, the other below (D: the page does not say which).
        let isHigh = (cell % 2 == 0) == (diagnostics & 0x8 != 0)
        tenths = deadComparators & 1 << UInt16(cell) != 0 ? 30_000 : isHigh ? 48_000 : 3_000
      }
      let threshold = registers[0x08] & 0xC000 == 0xC000 ? registers[0x4B] : registers[0x59 - cell]
      if tenths * 32 > UInt32(threshold >> 8) * 6250 { over |= 1 << UInt16(cell) }
      if tenths * 32 < UInt32(threshold & 0xFF) * 6250 { under |= 1 << UInt16(cell) }
    }
    registers[0x09] = over
    registers[0x0A] = under
    if over != 0 { registers[0x24] |= 2 }
    if under != 0 { registers[0x24] |= 1 }
    for input in 0..<7 { registers[0x47 - input] = 0x8000 | analogue[input] & 0x7FFF }
    registers[0x48] = 0x8000 | 9317
    registers[0x49] = 0x8000 | ChainConversion.cellCode(reference)
    registers[0x4A] = 0x8000 | ChainConversion.cellCode(reference)
    registers[0x21] = 0
    if diagnostics & 0x200 != 0 {
      for input in 0..<7 where ChainConversion.isOpen(analogue[input]) { registers[0x21] |= 1 << UInt16(input) }
    }
  }
}

/// Nodes one behind the other: a request reaches a node only through those before it.
public struct VirtualChain: Sendable {
  /// From the master outward.
  public var nodes: [VirtualSlave]
  /// The wire is broken before this node (0 = the first); `nil` = whole.
  public var cutBefore: Int?

  /// A chain of nodes.
  public init(_ nodes: [VirtualSlave]) { self.nodes = nodes }

  /// Carries the wake pattern along.
  public mutating func wake(now_us: Int64) {
    var place = 0
    while place < nodes.count, place != cutBefore {
      nodes[place].wake(now_us: now_us)
      guard nodes[place].forwards else { return }
      place += 1
    }
  }

  /// Carries a request along and gives every answer to `answer`.
  public mutating func carry(_ request: ChainFrame, now_us: Int64, _ answer: (ChainFrame) -> Void) {
    var place = 0
    while place < nodes.count, place != cutBefore {
      // A node that gets its ID by this very request forwards from the next one on.
      let forwards = nodes[place].forwards
      nodes[place].hear(request, now_us: now_us, answer)
      guard forwards else { return }
      place += 1
    }
  }
}
