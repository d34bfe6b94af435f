public import Bus

/// How both sides of a protocol behave, as flat tables: compiled from a sidecar's `handshake`. Times are µs.
public struct HandshakePlan: Sendable {
  /// What the battery's side does; `nil` if the definition does not say.
  public var battery: RolePlan?
  /// What the inverter's side does.
  public var inverter: RolePlan?
  /// Signals that carry a quantity, by message.
  public var bindings: [QuantityBinding]

  /// A handshake from its parts.
  public init(battery: RolePlan? = nil, inverter: RolePlan? = nil, bindings: [QuantityBinding] = []) {
    self.battery = battery
    self.inverter = inverter
    self.bindings = bindings
  }
}

/// A signal that carries a quantity.
public struct QuantityBinding: Sendable {
  /// Index in `ProtocolPlan.messages`.
  public var message: Int32
  /// Index in `ProtocolPlan.signals`.
  public var signal: Int32
  /// What it carries.
  public var quantity: Quantity
  /// The signal's unit in thousandths of the quantity's: 1000, or 1 for mV.
  public var scale: Int64
  /// Whether it counts by its size: limits are magnitudes, whatever sign a sender gives them.
  public var isMagnitude: Bool

  /// A signal and what it carries.
  public init(message: Int32, signal: Int32, quantity: Quantity, scale: Int64 = 1000, isMagnitude: Bool = false) {
    self.message = message
    self.signal = signal
    self.quantity = quantity
    self.scale = scale
    self.isMagnitude = isMagnitude
  }
}

/// Where a conversation stands, in words that every protocol shares.
public enum LinkPhase: UInt8, CaseIterable, Sendable {
  /// Nobody was heard, or the side has nothing to say yet.
  case waiting
  /// The other side was heard; not all that it wants has been said.
  case opening
  /// Everything is exchanged.
  case online
  /// The other side has been silent for longer than usual.
  case quiet
  /// It counts as gone.
  case lost
}

/// One side's state machine.
public struct RolePlan: Sendable {
  /// The first is where it starts.
  public var states: [StatePlan] = []
  /// What leads from one state to another.
  public var transitions: [TransitionPlan] = []
  /// What is sent unasked.
  public var sends: [SendPlan] = []
  /// What is sent when asked; holds in every state.
  public var answers: [AnswerPlan] = []
  /// Frames that sends and answers refer to.
  public var emissions: [EmissionPlan] = []
  /// Values that come from quantities.
  public var fillers: [Filler] = []
  /// Values that are copied out of the request.
  public var copies: [CopyPlan] = []
  /// Messages that transitions refer to.
  public var messages: [Int32] = []
  /// Nothing is said, asked or unasked, unless this is true; `nil` = always.
  public var needs: Quantity?
  /// What a frame must hold to count.
  public var conditions: [ConditionPlan] = []

  /// A side that does nothing.
  public init() {}
}

/// A state.
public struct StatePlan: Sendable {
  /// What it means for people.
  public var phase: LinkPhase
  /// Of `RolePlan.sends`.
  public var sends: Range<Int>
  /// Of `RolePlan.transitions`; the first that holds is taken.
  public var transitions: Range<Int>

  /// A state with what it sends and where it leads.
  public init(phase: LinkPhase, sends: Range<Int>, transitions: Range<Int>) {
    self.phase = phase
    self.sends = sends
    self.transitions = transitions
  }
}

/// What a frame must hold: a raw value of a signal.
public struct ConditionPlan: Sendable {
  /// Index in `ProtocolPlan.signals`.
  public var signal: Int32
  /// The raw value; the battery's own address if `isAddress`.
  public var raw: Int64
  /// See `raw`.
  public var isAddress: Bool
  /// Whether this begins an alternative: of the conditions for one signal any may hold.
  public var isAlternative: Bool

  /// A value that is asked for.
  public init(signal: Int32, raw: Int64, isAddress: Bool = false, isAlternative: Bool = false) {
    self.signal = signal
    self.raw = raw
    self.isAddress = isAddress
    self.isAlternative = isAlternative
  }
}

/// A way from one state to another.
public struct TransitionPlan: Sendable {
  /// What leads there.
  public enum Trigger: Sendable {
    /// One of these messages (a range of `RolePlan.messages`) with these conditions was heard.
    case heard(messages: Range<Int>, conditions: Range<Int>)
    /// Each of these was heard within the last so many µs, and since this state began where `isFresh`.
    case complete(messages: Range<Int>, within_us: Int64)
    /// None of these was heard for so long.
    case silence(messages: Range<Int>, for_us: Int64)
    /// A quantity of our own side is (or is not) true.
    case quantity(Quantity, is: Bool)
  }
  /// What leads there.
  public var trigger: Trigger
  /// Index in `RolePlan.states`.
  public var target: Int

  /// A way.
  public init(trigger: Trigger, target: Int) {
    self.trigger = trigger
    self.target = target
  }
}

/// Frames that are sent unasked.
public struct SendPlan: Sendable {
  /// Of `RolePlan.emissions`, in order.
  public var emissions: Range<Int>
  /// From one burst to the next; 0 = once, when the state begins.
  public var every_us: Int64
  /// From frame to frame of a burst.
  public var spacing_us: Int64
  /// From the beginning of the state to the first burst.
  public var offset_us: Int64
  /// Sent also when the content changes, at most this often; 0 = only by time.
  public var onChange_us: Int64

  /// A burst.
  public init(emissions: Range<Int>, every_us: Int64, spacing_us: Int64 = 0, offset_us: Int64 = 0, onChange_us: Int64 = 0) {
    self.emissions = emissions
    self.every_us = every_us
    self.spacing_us = spacing_us
    self.offset_us = offset_us
    self.onChange_us = onChange_us
  }
}

/// What is sent when asked.
public struct AnswerPlan: Sendable {
  /// The request: index in `ProtocolPlan.messages`.
  public var request: Int32
  /// What it must hold.
  public var conditions: Range<Int>
  /// Of `RolePlan.emissions`, in order.
  public var emissions: Range<Int>
  /// How many of them, from the end, may be missing.
  public var optionalCount: Int
  /// From the request to the first frame.
  public var after_us: Int64
  /// From frame to frame.
  public var spacing_us: Int64
  /// When the answer has to be complete: what a checker holds it to.
  public var within_us: Int64

  /// A request and its answer.
  public init(
    request: Int32, conditions: Range<Int>, emissions: Range<Int>, optionalCount: Int = 0, after_us: Int64, spacing_us: Int64,
    within_us: Int64
  ) {
    self.request = request
    self.conditions = conditions
    self.emissions = emissions
    self.optionalCount = optionalCount
    self.after_us = after_us
    self.spacing_us = spacing_us
    self.within_us = within_us
  }
}

/// One frame to send: its constant bytes, and what is filled in.
public struct EmissionPlan: Sendable {
  /// Index in `ProtocolPlan.messages`.
  public var message: Int32
  /// Payload bytes that are always the same, byte 0 lowest.
  public var template: UInt64
  /// Of `RolePlan.fillers`.
  public var fillers: Range<Int>
  /// Of `RolePlan.copies`.
  public var copies: Range<Int>

  /// A frame.
  public init(message: Int32, template: UInt64, fillers: Range<Int>, copies: Range<Int> = 0..<0) {
    self.message = message
    self.template = template
    self.fillers = fillers
    self.copies = copies
  }
}

/// A signal that is filled from a quantity.
public struct Filler: Sendable {
  /// How.
  public enum Source: Sendable {
    /// The quantity's value in the signal's scale.
    case value(Quantity)
    /// This raw value while the quantity is true.
    case raw(Int64, while: Quantity)
    /// A number that goes up with each frame.
    case counter
    /// The battery's address.
    case address
  }
  /// Index in `ProtocolPlan.signals`.
  public var signal: Int32
  /// What is put there.
  public var source: Source
  /// The signal's unit in thousandths of the quantity's.
  public var scale: Int64

  /// A signal and its source.
  public init(signal: Int32, source: Source, scale: Int64 = 1000) {
    self.signal = signal
    self.source = source
    self.scale = scale
  }
}

/// A signal of the answer that repeats one of the request.
public struct CopyPlan: Sendable {
  /// In the request, index in `ProtocolPlan.signals`.
  public var from: Int32
  /// In the answer.
  public var to: Int32

  /// What is repeated where.
  public init(from: Int32, to: Int32) {
    self.from = from
    self.to = to
  }
}
