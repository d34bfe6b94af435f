import Bus
import Formats
import Protocols

/// What a bus's watch does with one message, in the order of the plan's messages.
struct WatchedMessage: Sendable {
  /// Of the watched signals.
  var firstSignal: Int32 = 0
  var endSignal: Int32 = 0
  /// Of the choices.
  var firstChoice: Int32 = 0
  var endChoice: Int32 = 0
  /// Of the alarms and protections.
  var firstFlag: Int32 = 0
  var endFlag: Int32 = 0
  /// Payload bits of its choices, and of alarms and protections.
  var choiceBits: UInt64 = 0
  var flagBits: UInt64 = 0
  /// The signal that must be the battery's address; −1 = none.
  var addressSignal: Int32 = -1
  var isFromInverter = false
  /// Everything of a cycle is known once it came.
  var endsCycle = false
}

/// A signal that carries a quantity, with what the loop over frames needs and nothing else.
struct WatchedSignal: Sendable {
  /// Payload bits it is made of.
  let bits: UInt64
  private let mask: UInt64
  private let sign: UInt64
  private let factor: Int64
  private let addend: Int64
  /// The signal's unit in thousandths of the quantity's.
  let scale: Int64
  /// Index in the plan.
  let signal: Int32
  private let shift: UInt8
  let bytesNeeded: UInt8
  /// Raw value of the quantity.
  let quantity: UInt8
  private let isBigEndian: Bool
  let isMagnitude: Bool
  /// Whether thousandths are raw × factor + addend in whole numbers, far from overflow.
  let isSimple: Bool

  init?(_ binding: QuantityBinding, _ plan: SignalPlan) {
    guard plan.byteOffset == 0, plan.bytesNeeded <= 8 else { return nil }
    // When the state of charge was seen last counts as well: a step is one within seconds.
    bits = binding.quantity == .soc ? .max : plan.storing(-1, in: 0)
    mask = plan.mask
    sign = plan.sign
    shift = plan.shift
    bytesNeeded = plan.bytesNeeded
    isBigEndian = plan.isBigEndian
    quantity = binding.quantity.rawValue
    isMagnitude = binding.isMagnitude
    scale = binding.scale
    signal = binding.signal
    var power: Int64 = 1
    for _ in 0..<min(18, plan.decimals) { power &*= 10 }
    let (scaled, isTooMuch) = plan.numerator.multipliedReportingOverflow(by: binding.scale)
    let (moved, isTooFar) = plan.addend.multipliedReportingOverflow(by: binding.scale)
    let isWhole = plan.isExact && !isTooMuch && !isTooFar && scaled % power == 0 && moved % power == 0
    factor = isWhole ? scaled / power : 0
    addend = isWhole ? moved / power : 0
    isSimple = isWhole && plan.width <= 32 && factor.magnitude < 1 << 30 && addend.magnitude < 1 << 60
  }

  /// Thousandths of the quantity's unit, where it `isSimple`.
  @inline(__always) func value(_ head: UInt64, _ swapped: UInt64) -> Int64 {
    let cut = ((isBigEndian ? swapped : head) &>> UInt64(shift)) & mask
    let value = Int64(bitPattern: (cut ^ sign) &- sign) &* factor &+ addend
    return isMagnitude && value < 0 ? 0 &- value : value
  }
}

/// A signal that says yes or no to a quantity: what `say` fills it from, read backwards.
struct WatchedChoice: Sendable {
  let quantity: Quantity
  private let plan: SignalPlan
  /// The raw value that means yes; `nil` = any but 0.
  private let wanted: Int64?

  init(_ quantity: Quantity, _ plan: SignalPlan, wanted: Int64?) {
    self.quantity = quantity
    self.plan = plan
    self.wanted = wanted
  }

  func isYes(_ head: UInt64, _ swapped: UInt64) -> Bool {
    let raw = plan.raw(head, swapped: swapped)
    return wanted.map { $0 == raw } ?? (raw != 0)
  }
}

/// An alarm or a protection.
struct WatchedFlag: Sendable {
  /// Index in the plan.
  let signal: Int
  let flag: SignalFlag
}

extension WatchedMessage {
  /// The messages of a link with their signals, choices and flags behind one another.
  static func all(
    of link: CompiledLink?
  ) -> (messages: [WatchedMessage], signals: [WatchedSignal], choices: [WatchedChoice], flags: [WatchedFlag]) {
    guard let link else { return ([], [], [], []) }
    let dissection = link.dissection
    let count = dissection.messages.count
    var messages = [WatchedMessage](repeating: WatchedMessage(), count: count)
    var signals: [WatchedSignal] = []
    var choices: [WatchedChoice] = []
    var flags: [WatchedFlag] = []
    for index in 0..<count {
      messages[index].isFromInverter = dissection.messages[index].sender == .inverter
      messages[index].firstSignal = Int32(signals.count)
      for binding in link.handshake.bindings where Int(binding.message) == index {
        if let signal = WatchedSignal(binding, dissection.plan.signals[Int(binding.signal)]) { signals.append(signal) }
      }
      messages[index].endSignal = Int32(signals.count)
      messages[index].firstChoice = Int32(choices.count)
      addChoices(of: index, link, to: &choices, &messages[index].choiceBits)
      messages[index].endChoice = Int32(choices.count)
      messages[index].firstFlag = Int32(flags.count)
      for signal in dissection.plan.messages[index].signals {
        guard let flag = dissection.signals[signal].flag, flag.severity != .notice else { continue }
        messages[index].flagBits |= dissection.plan.signals[signal].storing(-1, in: 0)
        flags.append(WatchedFlag(signal: signal, flag: flag))
      }
      messages[index].endFlag = Int32(flags.count)
    }
    if let battery = link.handshake.battery {
      for answer in battery.answers {
        for index in answer.conditions where battery.conditions[index].isAddress {
          messages[Int(answer.request)].addressSignal = battery.conditions[index].signal
        }
      }
    }
    if let first = link.handshake.bindings.first(where: { $0.quantity == .packVoltage }) {
      messages[Int(first.message)].endsCycle = true
    }
    return (messages, signals, choices, flags)
  }

  private static func addChoices(
    of message: Int, _ link: CompiledLink, to choices: inout [WatchedChoice], _ bits: inout UInt64
  ) {
    guard let battery = link.definition.sidecar.handshake.battery else { return }
    let plan = link.dissection.plan
    for signal in plan.messages[message].signals {
      let name = link.dissection.signals[signal].name
      guard let source = battery.say.last(where: { $0.signal == name })?.source else { continue }
      let before = choices.count
      switch source {
      case .quantity(let word):
        if let quantity = Quantity(name: word), quantity.isYesOrNo {
          choices.append(WatchedChoice(quantity, plan.signals[signal], wanted: nil))
        }
      case .choice(let list, _):
        for choice in list where choice.raw != 0 {
          if let quantity = Quantity(name: choice.quantity), quantity.isYesOrNo {
            choices.append(WatchedChoice(quantity, plan.signals[signal], wanted: choice.raw))
          }
        }
      default: break
      }
      if choices.count > before { bits |= plan.signals[signal].storing(-1, in: 0) }
    }
  }
}

extension MessagePlan {
  /// Indexes of the message's signals.
  var signals: Range<Int> { Int(firstSignal)..<Int(firstSignal + signalCount) }
}
