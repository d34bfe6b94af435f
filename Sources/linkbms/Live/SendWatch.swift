import Analysis
import Bus
import HostIO

/// Whether what was handed to a bus got onto it. A controller repeats a frame until another node acknowledges it: where nobody else is
/// there, the bit rate is wrong or a wire is cut, it never comes back, and nothing else says so.
struct SendWatch {
  /// A bus on which nothing went forward for so long is in trouble. The slowest one needs some 15 ms a frame.
  static let patience_ns: Int64 = 2_000_000_000

  /// Whether this bus tells what got there.
  private(set) var isTold = false
  private var forgiven: UInt64 = 0
  private var progress: UInt64 = 0
  private var since_ns: Int64?
  private var error: CANFrame?

  /// Asks a port to tell.
  mutating func begin(_ port: any BusPort) throws(PortError) { isTold = try port.confirmSending() }

  /// When it wants to look again.
  var wake_ns: Int64 { since_ns.map { $0 &+ SendWatch.patience_ns } ?? .max }

  /// Frames that the bus has and did not yet send, as far as it tells. Among frames that were lost on the way to us may be the word of some.
  func outstanding(_ port: any BusPort) -> UInt64 {
    guard isTold, port.counters.dropped == 0 else { return 0 }
    let settled = port.counters.confirmed &+ forgiven
    return port.counters.sent > settled ? port.counters.sent &- settled : 0
  }

  /// Takes note of error frames: they often say why.
  mutating func hear(_ frame: CANFrame) { if frame.flags.contains(.error) { error = frame } }

  /// The bus went away, and what waited there with it.
  mutating func forgive(_ port: any BusPort) {
    forgiven &+= outstanding(port)
    since_ns = nil
  }

  /// Looks at a port.
  /// - Parameter isWaiting: frames wait for room there.
  /// - Returns: what is wrong, once that is certain.
  mutating func look(at port: any BusPort, isWaiting: Bool, _ now_ns: Int64) -> String? {
    let left = outstanding(port)
    if let error, error.id.number & 0x40 != 0, isWaiting || left > 0 {
      return "\(port.name): the controller went off the bus (\(ErrorFrameText.describe(error))); \(SendWatch.advice)"
    }
    // Where the bus tells, a frame in the controller's hands is no progress yet.
    let reached = isTold && port.counters.dropped == 0 ? port.counters.confirmed : port.counters.sent
    if reached != progress || !(isWaiting || left > 0) {
      progress = reached
      since_ns = nil
    }
    guard isWaiting || left > 0 else { return nil }
    let since_ns = since_ns ?? now_ns
    self.since_ns = since_ns
    guard now_ns &- since_ns >= SendWatch.patience_ns else { return nil }
    let frames = port.counters.sent == 1 ? "the frame was" : "\(max(1, left)) of \(port.counters.sent) frames were"
    let full = port.counters.sent == 0 ? "takes no frame" : "takes no frame any more after \(port.counters.sent)"
    let what = left > 0 ? "\(frames) not acknowledged within 2 s" : full
    let why = error.map { ", the controller reports: \(ErrorFrameText.describe($0))" } ?? ""
    return "\(port.name): \(what)\(why); \(SendWatch.advice)"
  }

  private static let advice =
    "is another node there and switched on, the bit rate the same on both, the bus terminated at both ends?"
}
