import Controller
import Formats

/// The controller's end of the line to the PDU: numbers the orders, and believes measurements only if the PDU has just answered an order
/// that was given less than a second ago. What comes late out of some buffer is not taken for fresh.
struct PDULink: Sendable {
  /// A complete and believable set of measurements.
  struct Measurement: Sendable {
    var currentRaw: Int32
    var supply_mV: Int32
    var inputRaw: Int32
    var outputRaw: Int32
  }

  /// An answer to an older order says nothing about now, µs.
  static let fresh_us: Int64 = 1_000_000

  /// The number of the last order.
  private(set) var sequence: UInt16
  private var orders: InlineArray<64, Order>
  private struct Order: Sendable {
    var at_us: Int64
    var contactors: Contactors
  }
  private var current: (raw: Int32, supply_mV: Int32)?
  private var voltages: (input: Int32, output: Int32)?
  /// When the newest order was given that the PDU has answered.
  private(set) var confirmed_us: Int64?
  /// What the PDU says it holds closed.
  private(set) var held: Contactors = []
  /// It has opened by itself.
  private(set) var isLatched = true
  /// It follows another order than it was given, or has opened by itself behind one.
  private(set) var hasOpenedItself = false
  /// Sets of measurements that were old or damaged.
  private(set) var discarded: UInt64 = 0

  /// - Parameter sequence: where the numbers begin: somewhere else after each start.
  init(sequence: UInt16) {
    self.sequence = sequence
    orders = InlineArray(repeating: Order(at_us: .min / 2, contactors: []))
  }

  /// The next order.
  mutating func order(_ contactors: Contactors, now_us: Int64) -> PDULine {
    sequence &+= 1
    orders[Int(sequence & 63)] = Order(at_us: now_us, contactors: contactors)
    return .command(
      contactors: contactors.rawValue, sequence: sequence, life_ms: UInt16(clamping: PDUGuard.longestLife_us / 1000))
  }

  /// Takes a line of the PDU; gives measurements when they are complete, intact and fresh.
  mutating func take(_ line: PDULine, now_us: Int64) -> Measurement? {
    switch line {
    case .current(let raw, let supply): current = (raw, supply)
    case .voltages(let input, let output): voltages = (input, output)
    case .answer(let contactors, let flags, let number, let check):
      defer {
        current = nil
        voltages = nil
      }
      let behind = sequence &- number
      guard behind < 64 else {
        discarded &+= 1
        return nil
      }
      let order = orders[Int(number & 63)]
      guard now_us - order.at_us <= PDULink.fresh_us else {
        discarded &+= 1
        return nil
      }
      held = Contactors(rawValue: contactors)
      isLatched = flags.contains(.isLatched)
      hasOpenedItself = held != order.contactors || isLatched && !order.contactors.isEmpty
      guard let current, let voltages,
        PDULine.measuredCheck(
          currentRaw: current.raw, supply_mV: current.supply_mV, inputRaw: voltages.input, outputRaw: voltages.output) == check
      else {
        discarded &+= 1
        return nil
      }
      // An answer whose measurements are damaged or missing says nothing that the battery could be protected with.
      confirmed_us = max(confirmed_us ?? order.at_us, order.at_us)
      return Measurement(
        currentRaw: current.raw, supply_mV: current.supply_mV, inputRaw: voltages.input, outputRaw: voltages.output)
    case .outputs, .command: break
    }
    return nil
  }

  /// The line was lost: nothing that was said counts any more.
  mutating func forget() {
    confirmed_us = nil
    current = nil
    voltages = nil
    isLatched = true
    hasOpenedItself = false
  }
}
