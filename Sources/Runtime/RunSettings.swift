public import Controller
public import Protocols

/// What a run is made of.
public struct RunSettings: Sendable {
  /// What to work by; `nil` = it could not be read: CONFIG ERR.
  public var configuration: Configuration?
  /// What was stored; `nil` = a first start.
  public var state: PersistentState?
  /// The battery's end of the link on each CAN port.
  public var sessions: [Session] = []
  /// Line of each chain and of the PDU, by place; lines are numbered from 0.
  public var chainLines: (bms1: Int, bms2: Int) = (0, 0)
  /// Line of the PDU.
  public var pduLine = 0
  /// What the engine takes as its time at 0 µs of the run, ns since 1970.
  public var start_ns: Int64 = 0
  /// From one control step to the next, µs.
  public var step_us: Int64 = 100_000
  /// A control step that is later than this is a doubt, µs.
  public var late_us: Int64 = 500_000
  /// From one request to store the state to the next, µs.
  public var store_us: Int64 = 60_000_000
  /// From one scan of a chain to the next, µs.
  public var scan_us: Int64 = 200_000
  /// µs that the way to a tap and back may take.
  public var allowance_us: Int64 = 0
  /// Where the numbers of the orders to the PDU begin: somewhere else after each start.
  public var firstOrder: UInt16 = 0
  /// Whether a person lets the contactors close: they are held open from the start, and again after every doubt and every opening.
  /// Only `ControllerRuntime.release` ends that hold.
  public var isPersonHeld = false
  /// Whether nothing is said on the CAN ports until `ControllerRuntime.mute(false)`.
  public var isMute = false
  /// Whether everything that goes in and comes out is kept for `takeRecords`.
  public var isRecorded = false

  /// A run by a configuration.
  public init(configuration: Configuration?) { self.configuration = configuration }
}

/// Times of a run that are no setting.
enum RunTiming {
  /// From the end of the last doubt to the end of the hold, at least, µs.
  static let settle_us: Int64 = 1_000_000
  /// Frames that the bus takes no more for so long: the inverter cannot be told anything, µs.
  static let queueFull_us: Int64 = 1_000_000
  /// A frame that has waited for the bus for longer says what was, µs.
  static let oldFrame_us: Int64 = 100_000
  /// A full queue is tried again after this, µs.
  static let tryAgain_us: Int64 = 2_000
  /// From one failed store to the next try, µs.
  static let storeAgain_us: Int64 = 10_000_000
  /// From one line with the outputs to the next where nothing changes, µs.
  static let outputs_us: Int64 = 1_000_000
  /// At a stop: for so long the inverter is told that the limits are 0, µs.
  static let lastFrames_us: Int64 = 1_200_000
  /// At a stop: from open contactors to the end, even if the PDU does not confirm, µs.
  static let lastWords_us: Int64 = 1_000_000
}

/// Something that a person wants to read in the log.
public struct Note: Sendable, Equatable {
  /// What.
  public enum Kind: Sendable, Equatable {
    /// The engine says so.
    case event(Event.Kind)
    /// A doubt: the contactors are to open.
    case doubt(Doubt)
    /// What lasted is over.
    case doubtOver(Doubt)
    /// Everything was measured anew after the last doubt: the engine may close again.
    case released
    /// What the PDU is told from now on.
    case ordered(Contactors)
  }
  /// µs of the run.
  public var time_us: Int64
  /// What.
  public var kind: Kind
}
