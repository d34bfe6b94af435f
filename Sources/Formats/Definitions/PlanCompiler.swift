import Bus
public import Protocols

/// Turns definitions into flat tables. What a plan cannot express is reported, never silently dropped.
public struct PlanCompiler {
  /// What a definition beyond the DBC adds. A plain DBC has none of it.
  public struct Context {
    /// Name in the output; `nil` for a DBC alone.
    public var protocolName: String?
    /// Variant in the output.
    public var variant: String?
    /// DBC node → side.
    public var roles: [String: Side] = [:]
    /// What a bit means, by `Message.Signal` or `Signal`.
    public var flags: [String: SignalFlag] = [:]
    /// Signals that are read as ASCII.
    public var textSignals: Set<String> = []
    /// The IDs under which a message travels; default: its own, without an address.
    public var ids: (DBCMessage) -> [MessageSlot] = { [MessageSlot(id: $0.id, message: 0)] }
    /// Nothing said beside the DBC.
    public init() {}
  }

  private var slots: [MessageSlot] = []
  private var messagePlans: [MessagePlan] = []
  private var signalPlans: [SignalPlan] = []
  private var ranges: [ClosedRange<UInt64>] = []
  private var messages: [MessageInfo] = []
  private var signals: [SignalInfo] = []
  /// Signals left out, with the reason: wider than 64 bits, outside the payload, multiplexor unknown.
  public private(set) var omissions: [String] = []

  /// A compiler without state.
  public init() {}

  /// Compiles one DBC without a sidecar.
  public static func compile(_ dbc: DBCFile) -> DissectionPlan {
    var compiler = PlanCompiler()
    compiler.add(dbc, Context())
    return compiler.finish()
  }

  /// Adds all messages of `dbc`. Where two definitions know one ID, the one added first wins.
  public mutating func add(_ dbc: DBCFile, _ context: Context) {
    for message in dbc.messages where !message.isOrphanBin { add(message, context) }
  }

  /// The joined plan.
  public func finish() -> DissectionPlan {
    DissectionPlan(
      plan: ProtocolPlan(slots: slots, messages: messagePlans, signals: signalPlans, multiplexRanges: ranges),
      messages: messages, signals: signals)
  }

  private mutating func add(_ message: DBCMessage, _ context: Context) {
    let index = Int32(messagePlans.count)
    let first = signalPlans.count
    var plan = MessagePlan(
      firstSignal: Int32(first), signalCount: 0, bytesNeeded: 0, length: UInt8(clamping: message.length))
    for signal in PlanCompiler.ordered(message.signals) {
      guard var signalPlan = PlanCompiler.plan(of: signal, in: message) else {
        omissions.append("\(message.name).\(signal.name): \(signal.bitLength) bits from \(signal.startBit) cannot be decoded")
        continue
      }
      if case .selected(let selector, let values, _) = signal.multiplexing {
        guard let parent = signals[first...].firstIndex(where: { $0.name == selector }), ranges.count + values.count < 65_536 else {
          omissions.append("\(message.name).\(signal.name): multiplexor \(selector) is missing")
          continue
        }
        signalPlan.multiplexor = Int16(clamping: parent - first)
        signalPlan.firstRange = UInt16(clamping: ranges.count)
        signalPlan.rangeCount = UInt16(clamping: values.count)
        ranges += values
        plan.isMultiplexed = true
      }
      plan.bytesNeeded = max(plan.bytesNeeded, signalPlan.bytesNeeded)
      if signalPlan.bytesNeeded > 8 { plan.fitsOneWord = false }
      signalPlans.append(signalPlan)
      signals.append(
        SignalInfo(
          name: signal.name, unit: signal.unit, comment: signal.comment,
          labels: Dictionary(signal.values.map { ($0.raw, $0.label) }, uniquingKeysWith: { first, _ in first }),
          flag: context.flags[signal.name], isText: context.textSignals.contains(signal.name)))
    }
    plan.signalCount = Int32(signalPlans.count - first)
    messagePlans.append(plan)
    messages.append(
      MessageInfo(
        name: message.name, protocolName: context.protocolName, variant: context.variant,
        sender: message.sender.flatMap { context.roles[$0] }, node: message.sender, comment: message.comment,
        cycleTime_ms: message.cycleTime_ms))
    for var slot in context.ids(message) {
      slot.message = index
      slots.append(slot)
    }
  }

  /// Multiplexors before what they select, else the definition's order.
  private static func ordered(_ signals: [DBCSignal]) -> [DBCSignal] {
    var placed: Set<String> = []
    var waiting = signals
    var result: [DBCSignal] = []
    while !waiting.isEmpty {
      let before = waiting.count
      waiting.removeAll { signal in
        if case .selected(let selector, _, _) = signal.multiplexing, !placed.contains(selector) { return false }
        placed.insert(signal.name)
        result.append(signal)
        return true
      }
      // A circle, or a selector that does not exist: `add` reports it.
      if waiting.count == before { return result + waiting }
    }
    return result
  }

  /// The flat form of one signal; `nil` if it cannot be cut out of one 64-bit window.
  public static func plan(of signal: DBCSignal, in message: DBCMessage) -> SignalPlan? {
    guard signal.bitLength >= 1, signal.bitLength <= 64, signal.startBit >= 0, signal.startBit < 512, signal.lastByte < 64 else {
      return nil
    }
    let isBigEndian = signal.byteOrder == .bigEndian
    let encoding: SignalPlan.Encoding =
      switch signal.encoding {
      case .integer: signal.isSigned ? .signed : .unsigned
      case .float32: .float32
      case .float64: .float64
      }
    if encoding == .float32, signal.bitLength != 32 { return nil }
    if encoding == .float64, signal.bitLength != 64 { return nil }
    let firstByte = signal.linearStart / 8
    let window = signal.lastByte < 8 ? 0 : min(firstByte, 56)
    let bitInWindow = signal.linearStart - window * 8
    guard bitInWindow + signal.bitLength <= 64 else { return nil }
    let shift = isBigEndian ? 64 - bitInWindow - signal.bitLength : bitInWindow
    var plan = SignalPlan(
      shift: UInt8(clamping: shift), width: UInt8(clamping: signal.bitLength), isBigEndian: isBigEndian, encoding: encoding,
      bytesNeeded: UInt8(clamping: signal.lastByte + 1))
    plan.byteOffset = UInt8(clamping: window)
    plan.factor = signal.factor.value
    plan.offset = signal.offset.value
    scale(&plan, signal)
    return plan
  }

  /// Decimal scaling, so that values print as the definition means them (`400.2`, not `400.20000000000005`).
  private static func scale(_ plan: inout SignalPlan, _ signal: DBCSignal) {
    plan.isExact = false
    guard signal.encoding == .integer, let factor = signal.factor.exact, let offset = signal.offset.exact else { return }
    let decimals = max(factor.decimals, offset.decimals)
    guard let numerator = PlanCompiler.scaled(factor.mantissa, by: decimals - factor.decimals),
      let addend = PlanCompiler.scaled(offset.mantissa, by: decimals - offset.decimals)
    else { return }
    // |raw × numerator + addend| must stay below 2^62 for every raw value.
    let magnitudeBits = 64 - Int64(numerator.magnitude).leadingZeroBitCount
    let isUnsigned64 = signal.bitLength == 64 && !signal.isSigned
    guard !isUnsigned64, signal.bitLength + magnitudeBits <= 62, addend.magnitude < 1 << 61 else { return }
    plan.isExact = true
    plan.decimals = UInt8(clamping: decimals)
    plan.numerator = numerator
    plan.addend = addend
  }

  private static func scaled(_ value: Int64, by power: Int) -> Int64? {
    var result = value
    for _ in 0..<power {
      let (product, overflow) = result.multipliedReportingOverflow(by: 10)
      if overflow { return nil }
      result = product
    }
    return result
  }
}
