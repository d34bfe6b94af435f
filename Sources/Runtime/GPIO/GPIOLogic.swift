internal import Controller
public import Formats

/// The master's digital lines without a chip: levels and time go in, what they mean comes out.
public struct GPIOLogic: Sendable {
  /// What an input or the button says.
  public enum Event: Sendable, Equatable {
    /// An input, by its place from 0, counts as this from now on.
    case input(Int, isActive: Bool)
    /// The reset button.
    case press(ResetButton.Press)
  }

  /// What is connected.
  public let wiring: GPIOWiring
  private var inputs: [Debounced]
  private var contact = Debounced()
  private var button = ResetButton()

  /// Lines of which nothing is known.
  public init(_ wiring: GPIOWiring) {
    self.wiring = wiring
    inputs = wiring.inputs.map { _ in Debounced() }
  }

  /// Nothing that was seen counts any more: the chip was gone.
  public mutating func forget() { self = GPIOLogic(wiring) }

  /// Takes whether each input and then the button is active.
  public mutating func take(_ levels: [Bool], now_us: Int64) -> [Event] {
    var events: [Event] = []
    for place in inputs.indices where place < levels.count {
      if let isActive = inputs[place].take(levels[place], now_us: now_us) { events.append(.input(place, isActive: isActive)) }
    }
    if wiring.button != nil, levels.count > inputs.count {
      _ = contact.take(levels[inputs.count], now_us: now_us)
      if let isPressed = contact.isActive, let press = button.take(isPressed, now_us: now_us) { events.append(.press(press)) }
    }
    return events
  }

  /// Whether an input keeps the contactors open: while it is active, and while nothing is known of it.
  public func keepsOpen(_ place: Int) -> Bool {
    guard inputs.indices.contains(place), wiring.inputs[place].use == .open else { return false }
    return inputs[place].isActive ?? true
  }

  /// Whether each output is active.
  public func outputs(_ state: State) -> [Bool] {
    wiring.outputs.map { output in
      switch output.use {
      case .running: state.isClosed
      case .charge: state.isClosed && state.chargeLimit_mA > 0
      case .discharge: state.isClosed && state.dischargeLimit_mA > 0
      case .fault: state.isFaulty
      }
    }
  }

  /// What outputs show.
  public struct State: Sendable, Equatable {
    /// Both main contactors are ordered closed.
    public var isClosed = false
    /// What the inverter may charge with, mA.
    public var chargeLimit_mA: Int32 = 0
    /// What it may discharge with, mA.
    public var dischargeLimit_mA: Int32 = 0
    /// Something is wrong.
    public var isFaulty = false

    /// Everything off: before the first step and after the last.
    public init() {}

    /// What a run says now.
    public init(_ runtime: ControllerRuntime) {
      let outputs = runtime.engine.outputs
      isClosed = runtime.ordered.isSuperset(of: [.negative, .positive])
      // A run that is held tells the inverter 0, whatever the engine would allow.
      chargeLimit_mA = runtime.isHeld ? 0 : outputs.chargeLimit_mA
      dischargeLimit_mA = runtime.isHeld ? 0 : outputs.dischargeLimit_mA
      switch outputs.status {
      case .configError, .communicationError, .overcurrent, .protect, .prechargeError: isFaulty = true
      case .noData, .checking, .warning, .running:
        isFaulty = runtime.standingDoubts.contains { if case .stopping = $0 { false } else { true } }
      }
    }
  }
}
