public import Controller
public import Formats

/// What a PDU does with orders: the second line of defence, which needs no controller. A real PDU does the same in its firmware, the
/// virtual one runs this. Described in Dissectors/TAP.md.
public struct PDUGuard: Sendable {
  /// What it holds closed by order.
  public private(set) var contactors: Contactors = []
  /// The order that it follows.
  public private(set) var sequence: UInt16 = 0
  /// It has opened by itself, or has just started, and waits for an order to open all.
  public private(set) var isLatched = true
  /// It refused the last order to close.
  public private(set) var hasRefused = false
  private var ends_us: Int64 = .min

  /// No order is good for longer, µs.
  public static let longestLife_us: Int64 = 1_000_000

  /// A PDU that has just started: all open.
  public init() {}

  /// Takes an order that came intact.
  public mutating func take(_ wanted: Contactors, sequence number: UInt16, life_ms: UInt16, now_us: Int64) {
    expire(now_us)
    hasRefused = false
    if wanted.isEmpty {
      // Opening is always obeyed, whatever its number, and is where a new controller begins.
      contactors = []
      isLatched = false
    } else {
      let ahead = number &- sequence
      // An old order that was held up on the way is no order; the positive contactor never closes without precharge.
      let isNewer = ahead > 0 && ahead < 0x8000
      let isPrecharged = !wanted.contains(.positive) || contactors.contains(.positive) || contactors.contains(.precharge)
      guard !isLatched, isNewer, isPrecharged else {
        hasRefused = true
        return
      }
      contactors = wanted
    }
    sequence = number
    ends_us = now_us + min(PDUGuard.longestLife_us, Int64(life_ms) * 1000)
  }

  /// Opens if no order has come for too long.
  public mutating func expire(_ now_us: Int64) {
    guard now_us > ends_us else { return }
    openAll()
  }

  /// The line to the controller is gone, or something is wrong inside: all open, until it is ordered to open all.
  public mutating func openAll() {
    contactors = []
    isLatched = true
  }

  /// What it says of itself after each pair of measurements.
  public var flags: PDULine.AnswerFlags {
    var flags: PDULine.AnswerFlags = []
    if isLatched { flags.insert(.isLatched) }
    if hasRefused { flags.insert(.hasRefused) }
    return flags
  }
}
