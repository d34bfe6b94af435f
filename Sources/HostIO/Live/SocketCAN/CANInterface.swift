private import CSocketCAN
private import Glibc

/// A CAN interface of this kernel: what it is set to, how it fares, and changing that. Frames go through `SocketCANPort`.
public struct CANInterface: Hashable, Sendable {
  /// `can0`.
  public let name: String

  /// An interface by name.
  /// - Throws: `.absent` or `.notCAN`.
  public init(_ name: String) throws(PortError) {
    guard (1...15).contains(name.utf8.count), !name.contains("/"), let type = InterfaceFile.number(name, "type") else {
      throw .absent(name)
    }
    guard type == 280 else { throw .notCAN(name) }
    self.name = name
  }

  /// The CAN interfaces of this kernel by name; empty where there are none, or the kernel has no CAN.
  public static func all() -> [CANInterface] {
    InterfaceFile.names().compactMap { try? CANInterface($0) }
  }

  /// Whether it is up.
  public var isUp: Bool { (InterfaceFile.number(name, "flags") ?? 0) & 1 != 0 }

  /// Whether it takes FD frames now.
  public var isFD: Bool { (InterfaceFile.number(name, "mtu") ?? 0) >= 72 }

  /// The kernel's driver: `kvaser_pci`, `gs_usb`; `nil` for interfaces without a device (vcan, vxcan, slcan).
  public var driver: String? { InterfaceFile.linkTarget(name, "device/driver") }

  /// Whether an interface is there without a device, and so without a bit rate.
  static func isVirtual(_ name: String) -> Bool { (try? CANInterface(name)).map { $0.driver == nil } ?? false }
}

extension CANInterface {
  /// What a CAN controller does beside plain sending and receiving.
  public struct Modes: OptionSet, Hashable, Sendable {
    /// `CAN_CTRLMODE_…` of linux/can/netlink.h.
    public var rawValue: UInt32
    /// From the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Hears its own frames without a bus.
    public static let loopback = Modes(rawValue: 1)
    /// Hears and never says anything, not even an acknowledgement.
    public static let listenOnly = Modes(rawValue: 2)
    /// Samples each bit three times.
    public static let tripleSampling = Modes(rawValue: 4)
    /// Sends each frame once, whatever happens to it.
    public static let oneShot = Modes(rawValue: 8)
    /// Reports each bus error as an error frame.
    public static let busErrorReporting = Modes(rawValue: 16)
    /// CAN FD.
    public static let fd = Modes(rawValue: 32)

    /// As `ip link` writes them, lower bits first.
    public static let names: [(Modes, String)] = [
      (.loopback, "loopback"), (.listenOnly, "listen-only"), (.tripleSampling, "triple-sampling"), (.oneShot, "one-shot"),
      (.busErrorReporting, "berr-reporting"), (.fd, "fd"),
    ]
  }

  /// How far the controller is from being off the bus.
  public enum State: UInt8, Hashable, Sendable {
    case errorActive, errorWarning, errorPassive, busOff, stopped, sleeping

    /// As the kernel writes it.
    public var text: String {
      switch self {
      case .errorActive: "ERROR-ACTIVE"
      case .errorWarning: "ERROR-WARNING"
      case .errorPassive: "ERROR-PASSIVE"
      case .busOff: "BUS-OFF"
      case .stopped: "STOPPED"
      case .sleeping: "SLEEPING"
      }
    }
  }

  /// A bit, cut into time quanta.
  public struct BitTiming: Hashable, Sendable {
    /// Bits per second.
    public var bitRate: UInt32
    /// Where in the bit it is sampled, thousandths of it.
    public var samplePoint: UInt32
    /// Length of a time quantum.
    public var quantum_ns: UInt32
    /// Quanta of the propagation segment, of phase 1 and 2, and of the jump width.
    public var propagation: UInt32, phase1: UInt32, phase2: UInt32, jumpWidth: UInt32
    /// Clock ticks of a quantum.
    public var prescaler: UInt32
  }

  /// What a controller can be set to.
  public struct TimingLimits: Hashable, Sendable {
    /// The controller, in its driver's words.
    public var controller: String
    /// Quanta before the sample point, after it, and of the jump width.
    public var segment1: ClosedRange<UInt32>, segment2: ClosedRange<UInt32>, jumpWidthMax: UInt32
    /// Clock ticks of a quantum, and in what steps.
    public var prescaler: ClosedRange<UInt32>, prescalerStep: UInt32
  }

  /// What befell the controller since it was made.
  public struct Events: Hashable, Sendable {
    /// Times of each.
    public var busErrors: UInt32, warnings: UInt32, passives: UInt32, busOffs: UInt32, arbitrationLosses: UInt32, restarts: UInt32
  }

  /// What went through since the interface was made.
  public struct Traffic: Hashable, Sendable {
    /// Frames.
    public var received: UInt64, sent: UInt64
    /// Bytes of payload.
    public var receivedBytes: UInt64, sentBytes: UInt64
    /// Frames that failed, and frames that the kernel dropped.
    public var receiveErrors: UInt64, sendErrors: UInt64, receiveDropped: UInt64, sendDropped: UInt64
  }

  /// All that the kernel says; `nil` = it says nothing about that (a virtual interface has no controller).
  public struct Details: Hashable, Sendable {
    /// The controller's state.
    public var state: State?
    /// What it is set to.
    public var timing: BitTiming?
    /// What it could be set to.
    public var limits: TimingLimits?
    /// The controller's clock.
    public var clock_Hz: UInt32?
    /// How long after bus-off it starts again by itself; 0 = never.
    public var restart_ms: UInt32?
    /// Modes that are on.
    public var modes: Modes?
    /// The controller's error counters; 96 = warning, 128 = passive, 256 sent = bus-off.
    public var sendErrorCounter: UInt16?, receiveErrorCounter: UInt16?
    /// What befell it.
    public var events: Events?
    /// What went through.
    public var traffic: Traffic?
  }

  /// The controller's modes that are on; `nil` where there is no controller.
  public func modes() -> Modes? {
    var modes: UInt32 = 0
    return socketcan_get_modes(name, &modes) == 0 ? Modes(rawValue: modes) : nil
  }

  /// Asks the kernel for everything. Needs no rights.
  public func details() -> Details {
    var details = Details()
    var state: Int32 = 0
    if socketcan_get_state(name, &state) == 0 { details.state = State(rawValue: UInt8(clamping: state)) }
    var timing = socketcan_timing()
    if socketcan_get_timing(name, &timing) == 0 {
      details.timing = BitTiming(
        bitRate: timing.bit_rate, samplePoint: timing.sample_point, quantum_ns: timing.tq_ns, propagation: timing.propagation,
        phase1: timing.phase1, phase2: timing.phase2, jumpWidth: timing.jump_width, prescaler: timing.prescaler)
    }
    var limits = socketcan_limits()
    if socketcan_get_limits(name, &limits) == 0 { details.limits = TimingLimits(limits) }
    var clock: UInt32 = 0
    if socketcan_get_clock(name, &clock) == 0 { details.clock_Hz = clock }
    var restart: UInt32 = 0
    if socketcan_get_restart(name, &restart) == 0 { details.restart_ms = restart }
    details.modes = modes()
    var transmit: UInt16 = 0, receive: UInt16 = 0
    if socketcan_get_error_counters(name, &transmit, &receive) == 0 {
      details.sendErrorCounter = transmit
      details.receiveErrorCounter = receive
    }
    var events = socketcan_events()
    if socketcan_get_events(name, &events) == 0 {
      details.events = Events(
        busErrors: events.bus_errors, warnings: events.warnings, passives: events.passives, busOffs: events.bus_offs,
        arbitrationLosses: events.arbitration_losses, restarts: events.restarts)
    }
    var traffic = socketcan_traffic()
    if socketcan_get_traffic(name, &traffic) == 0 {
      details.traffic = Traffic(
        received: traffic.received_frames, sent: traffic.sent_frames, receivedBytes: traffic.received_bytes,
        sentBytes: traffic.sent_bytes, receiveErrors: traffic.receive_errors, sendErrors: traffic.send_errors,
        receiveDropped: traffic.receive_dropped, sendDropped: traffic.send_dropped)
    }
    return details
  }
}

extension CANInterface.TimingLimits {
  fileprivate init(_ raw: socketcan_limits) {
    controller = withUnsafeBytes(of: raw.driver) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    segment1 = raw.segment1_min...max(raw.segment1_min, raw.segment1_max)
    segment2 = raw.segment2_min...max(raw.segment2_min, raw.segment2_max)
    jumpWidthMax = raw.jump_width_max
    prescaler = raw.prescaler_min...max(raw.prescaler_min, raw.prescaler_max)
    prescalerStep = raw.prescaler_step
  }
}
