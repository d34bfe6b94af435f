/// What the self-tests of a chain's chips have found, by module (0…14). Cells: bit 0 = the lowest cell of the module.
/// Source: linkslave-chain.md §11.
public struct ChainDiagnosis: Equatable, Sendable {
  /// Cells whose sense wire is open.
  public internal(set) var openWires: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Cells whose over- or undervoltage comparator did not trip when it was made to.
  public internal(set) var comparators: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Cells whose channel differs from the others on one common voltage.
  public internal(set) var channels: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Cells whose input leaks.
  public internal(set) var leakage: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Cells whose balancing resistor or its wire is open: such a cell cannot be balanced.
  public internal(set) var balancingOpen: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Inputs AN0…AN6 with nothing behind them.
  public internal(set) var analogueOpen: InlineArray<15, UInt16> = InlineArray(repeating: 0)
  /// Modules (bit = module) whose converter does not see its own reference as 1.180 V ± 5.25 mV.
  public internal(set) var converters: UInt16 = 0

  /// Nothing found.
  public init() {}

  /// Whether a module's measured values are not to be trusted: converter, channel, comparator or leakage (§12).
  public func isUntrusted(_ module: Int) -> Bool {
    guard (0..<15).contains(module) else { return false }
    return converters & 1 << UInt16(module) != 0 || comparators[module] | channels[module] | leakage[module] != 0
  }

  /// Alike in all tests.
  public static func == (a: ChainDiagnosis, b: ChainDiagnosis) -> Bool {
    guard a.converters == b.converters else { return false }
    for module in 0..<15 {
      guard a.openWires[module] == b.openWires[module], a.comparators[module] == b.comparators[module],
        a.channels[module] == b.channels[module], a.leakage[module] == b.leakage[module],
        a.balancingOpen[module] == b.balancingOpen[module], a.analogueOpen[module] == b.analogueOpen[module]
      else { return false }
    }
    return true
  }
}

/// One step of the self-tests: switches set, settled, converted, read from every node, judged.
struct DiagnosticStep: Sendable {
  enum Test: Sendable { case openWire, comparators, converter, channels, leakage, balancing, analogue }

  var test: Test
  /// SYS_DIAG.
  var switches: UInt16
  /// Registers to read: first and count.
  var register: UInt8
  var count: Int
  /// How often to convert; the mean is judged. 0 = only read.
  var conversions: Int
  /// Whether odd terminals are those that are pulled.
  var isOdd: Bool

  /// µs from closing switches to a settled input (§11).
  static let settling: Int64 = 5_000
  /// Threshold register while the comparators are tried: 4.0 V and 1.2 V (§11, the third pair).
  static let comparatorThresholds: UInt16 = 0xCD3D

  /// All tests, in order; the first two alone are repeated each minute (§11, D).
  static let all: [DiagnosticStep] = [
    .init(test: .openWire, switches: 0x8, register: ChainRegister.cell(14), count: 14, conversions: 1, isOdd: true),
    .init(test: .openWire, switches: 0x4, register: ChainRegister.cell(14), count: 14, conversions: 1, isOdd: false),
    .init(test: .comparators, switches: 0x18, register: ChainRegister.overvoltageFaults, count: 2, conversions: 1, isOdd: true),
    .init(test: .comparators, switches: 0x14, register: ChainRegister.overvoltageFaults, count: 2, conversions: 1, isOdd: false),
    .init(test: .converter, switches: 0, register: 0x49, count: 2, conversions: 6, isOdd: false),
    .init(test: .channels, switches: 0x80, register: ChainRegister.cell(14), count: 14, conversions: 6, isOdd: false),
    .init(test: .leakage, switches: 0x20, register: ChainRegister.cell(14), count: 14, conversions: 4, isOdd: false),
    .init(test: .leakage, switches: 0x60, register: ChainRegister.cell(14), count: 14, conversions: 4, isOdd: true),
    .init(test: .balancing, switches: 0x1, register: ChainRegister.balancingOpen, count: 1, conversions: 0, isOdd: false),
    .init(test: .balancing, switches: 0x2, register: ChainRegister.balancingOpen, count: 1, conversions: 0, isOdd: true),
    .init(test: .analogue, switches: 0x200, register: ChainRegister.analogueOpen, count: 1, conversions: 1, isOdd: false),
  ]
  /// How many of them are repeated.
  static let repeated = 2

  /// An open input falls below this, whatever the cell has: 100 mV as a code.
  static let openWireCode: Int32 = 655
  /// 27 mV as a code.
  static let leakageCode: Int32 = 177
  /// −22 … +6 mV as codes.
  static let channelCodes: ClosedRange<Int32> = -144...39
  /// 1.180 V ± 5.25 mV as codes.
  static let referenceCodes: ClosedRange<Int32> = 7_699...7_767
}

extension ChainDiagnosis {
  /// Forgets what a step is about to find anew.
  mutating func begin(_ step: DiagnosticStep, modules: Int) {
    // Two steps make up one test; the first of the two clears.
    let isFirst = step.test == .openWire || step.test == .comparators ? step.isOdd : !step.isOdd
    guard isFirst else { return }
    for module in 0..<min(15, modules) {
      switch step.test {
      case .openWire: openWires[module] = 0
      case .comparators: comparators[module] = 0
      case .converter: converters = 0
      case .channels: channels[module] = 0
      case .leakage: leakage[module] = 0
      case .balancing: balancingOpen[module] = 0
      case .analogue: analogueOpen[module] = 0
      }
    }
  }

  /// Judges what one node gave: for conversions the mean codes, else the registers. `values` in the order of the registers.
  mutating func judge(_ step: DiagnosticStep, module: Int, cells: Int, values: InlineArray<14, Int32>) {
    guard (0..<15).contains(module) else { return }
    let count = min(14, max(7, cells))
    var mean: Int32 = 0
    if step.test == .channels {
      for cell in 0..<count { mean += values[14 - CellMap.terminal(cell: cell, of: cells)] }
      mean /= Int32(truncatingIfNeeded: count)
    }
    switch step.test {
    case .converter:
      let isGood = DiagnosticStep.referenceCodes.contains(values[0]) && DiagnosticStep.referenceCodes.contains(values[1])
      if !isGood { converters |= 1 << UInt16(module) }
      return
    case .analogue:
      analogueOpen[module] = UInt16(truncatingIfNeeded: values[0]) & 0x7F
      return
    default: break
    }
    for cell in 0..<count {
      let terminal = CellMap.terminal(cell: cell, of: cells)
      let bit: UInt16 = 1 << UInt16(cell)
      let isPulled = (terminal % 2 == 1) == step.isOdd
      let terminalBit: Int32 = 1 << Int32(terminal - 1)
      switch step.test {
      case .openWire: if isPulled, values[14 - terminal] < DiagnosticStep.openWireCode { openWires[module] |= bit }
      case .comparators:
        // Overvoltage is forced on the one half, undervoltage on the other.
        if values[isPulled ? 0 : 1] & terminalBit == 0 { comparators[module] |= bit }
      case .channels:
        if !DiagnosticStep.channelCodes.contains(values[14 - terminal] - mean) { channels[module] |= bit }
      case .leakage: if values[14 - terminal] > DiagnosticStep.leakageCode { leakage[module] |= bit }
      case .balancing: if isPulled, values[0] & terminalBit != 0 { balancingOpen[module] |= bit }
      case .converter, .analogue: break
      }
    }
  }
}
