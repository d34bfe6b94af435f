public import Controller

/// A part of the outside world that a run talks to.
public enum Part: Hashable, Sendable {
  /// A CAN port, by its place.
  case port(Int)
  /// A tap's line, by its place.
  case line(Int)
  /// The chip of the digital lines.
  case gpio
}

/// Why a run does not trust what it knows or does. Every doubt opens the contactors; none closes them.
public enum Doubt: Hashable, Sendable {
  /// Nothing has been heard yet.
  case starting
  /// The control step came so much after its time, ms.
  case lateStep(milliseconds: Int64)
  /// A part is gone; the text is what the system said.
  case lost(Part, String)
  /// A part took nothing of what was to be said.
  case writeFailed(Part, String)
  /// The bus takes no frame: the inverter cannot be told its limits.
  case queueFull(port: Int)
  /// The PDU has not answered an order that is less than a second old.
  case pduUnconfirmed
  /// The PDU has opened by itself, or holds something else than it was told.
  case pduDisagrees
  /// The state cannot be stored.
  case storeFailed(String)
  /// A digital input, by its place, keeps the contactors open, or nothing is known of it yet.
  case input(Int)
  /// Anything that should not have happened.
  case fault(String)
  /// Somebody wants an end; the text says who or why.
  case stopping(String)
  /// A person holds them open; only `ControllerRuntime.release` ends it.
  case ordered(String)
  /// The controller has opened them by itself though a person had let them close: that was good for one closing.
  case opened(SystemStatus)

  /// Whether the contactors are ordered open at once. Else the limits go to 0 first, and they open at 1 A or after a second
  /// (spec/controller.md §4).
  public var isAtOnce: Bool {
    switch self {
    case .pduUnconfirmed, .pduDisagrees, .fault: true
    // The PDU has opened by then.
    case .lateStep(let milliseconds): milliseconds >= PDUGuard.longestLife_us / 1000
    case .starting, .lost, .writeFailed, .queueFull, .storeFailed, .input, .stopping, .ordered, .opened: false
    }
  }

  /// Whether it lasts until it is said to be over; the others are over at once and only want everything measured anew.
  public var isStanding: Bool {
    switch self {
    case .lost, .queueFull, .pduUnconfirmed, .pduDisagrees, .storeFailed, .input, .stopping, .ordered: true
    case .starting, .lateStep, .writeFailed, .fault, .opened: false
    }
  }
}
