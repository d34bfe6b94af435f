public import Bus

/// A live CAN bus: frames come from it and, where somebody asked for that, go to it.
///
/// A class, because it is one open device. Nothing here blocks: a loop waits with `PortPoller` until `descriptor` is readable.
public protocol BusPort: AnyObject {
  /// The bus as it is named in captures: `can0`.
  var name: String { get }
  /// Readable when `receive` has something to deliver. May change after `.lost` and `.returned`.
  var descriptor: Int32 { get }
  /// When `receive` wants to be called even if nothing became readable, monotonic ns; `nil` = never.
  var wakeTime_ns: Int64? { get }
  /// Delivers everything that is there, in order, and returns.
  /// - Throws: only what cannot pass by itself; a bus that went away and may come back is a `.lost` event.
  func receive(_ take: (PortEvent) -> Void) throws(PortError)
  /// Hands a frame to the bus.
  /// - Returns: `.full` where there is no room just now (ENOBUFS, EAGAIN), or the bus is lost: try again a little later.
  /// - Throws: `.unsendable` where it is this frame that cannot go there, and others can.
  func send(_ frame: CANFrame) throws(PortError) -> SendResult
  /// From now on counts in `counters.confirmed` which of the frames handed over were on the bus, acknowledged by another node.
  /// - Returns: whether this kind of bus tells.
  func confirmSending() throws(PortError) -> Bool
  /// What passed since it was opened.
  var counters: PortCounters { get }
  /// What to tell a person where frames are lost, or what comes is none.
  var advice: PortAdvice { get }
  /// Whether its times are those of this machine's clock.
  var usesSystemClock: Bool { get }
  /// Gives the device back. Safe to call twice.
  func close()
}

extension BusPort {
  /// Ports that only wait for their descriptor.
  public var wakeTime_ns: Int64? { nil }
  /// A bus that takes a frame and never tells what became of it.
  public func confirmSending() throws(PortError) -> Bool { false }
  /// A bus of which nothing in particular is known.
  public var advice: PortAdvice { PortAdvice() }
  /// Times of arrival here.
  public var usesSystemClock: Bool { true }
}

/// Something that came from a live bus.
public enum PortEvent: Sendable {
  /// A frame, with `bus` 0: whoever has several ports numbers them. Its time is wall-clock ns since 1970.
  case frame(CANRecord)
  /// The bus went away (interface down, adapter unplugged, server gone), or is away for another reason than was told before. The port goes
  /// on looking for it.
  case lost(PortError)
  /// It is there again.
  case returned
}

/// What became of a frame handed to a bus.
public enum SendResult: Sendable, Equatable {
  /// The bus, or the queue in front of it, has it.
  case sent
  /// No room now.
  case full
}

/// What passed through a port since it was opened.
public struct PortCounters: Sendable, Equatable {
  /// Frames delivered, error frames among them.
  public var received: UInt64 = 0
  /// Frames handed to the bus.
  public var sent: UInt64 = 0
  /// Of these, frames that were on the bus for certain, since `confirmSending`.
  public var confirmed: UInt64 = 0
  /// Frames that were on the bus and did not reach us, as the kernel counts them.
  public var dropped: UInt64 = 0
  /// Times that a frame could not be sent because there was no room.
  public var refused: UInt64 = 0
  /// Messages from the other end that were no frame (network, serial).
  public var malformed: UInt64 = 0
  /// Nothing yet.
  public init() {}
}

/// Why a live bus cannot be opened or used. `text` says what was found, what was expected and what to do.
public enum PortError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The address is none that the tool knows.
  case badAddress(String, expected: String)
  /// There is no such device.
  case absent(String)
  /// It is there and is not a CAN interface.
  case notCAN(String)
  /// It is there and down. One without a device behind it has no bit rate to set.
  case down(String, isVirtual: Bool = false)
  /// It was there and has gone.
  case vanished(String)
  /// Rights are missing: `needs` names them ("CAP_NET_ADMIN: run as root, or …").
  case notPermitted(String, needs: String)
  /// The kernel or the device cannot do that.
  case unsupported(String, what: String)
  /// It cannot send such a frame; others it can.
  case unsendable(String, what: String)
  /// Whoever is at the other end said something unexpected.
  case refused(String, reason: String)
  /// Anything else that the system said.
  case system(HostError)

  /// For a person.
  public var description: String {
    switch self {
    case .badAddress(let found, let expected): "found \"\(found)\", expected \(expected)"
    case .absent(let name): "\(name): there is no such interface or device; 'linkbms bus' lists what is there"
    case .notCAN(let name): "\(name): is not a CAN interface; 'linkbms bus' lists those that are"
    case .down(let name, let isVirtual):
      "\(name): the interface is down; bring it up: linkbms bus \(name) \(isVirtual ? "" : "--bitrate 500000 ")--up"
    case .vanished(let name): "\(name): the interface has gone (unplugged?)"
    case .notPermitted(let name, let needs): "\(name): not permitted: needs \(needs)"
    case .unsupported(let name, let what), .unsendable(let name, let what): "\(name): cannot \(what)"
    case .refused(let name, let reason): "\(name): \(reason)"
    case .system(let error): error.description
    }
  }
}
