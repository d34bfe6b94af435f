/// Which bus of a source a record was seen on: an index into the source's list of names, 0 first.
public struct BusID: Hashable, Sendable {
  /// Position in the source's list of bus names.
  public var index: UInt16
  /// A bus by its place in the source.
  @inlinable public init(_ index: UInt16) { self.index = index }
}

/// Which way a record went, seen from the recorder.
public enum Direction: UInt8, Hashable, Sendable {
  /// The source does not say.
  case unknown
  /// Received from another node.
  case received
  /// Sent by the recording machine.
  case transmitted
}

/// How a record's time was written, so that it can be shown with the digits the source had.
public enum TimePrecision: UInt8, Hashable, Sendable {
  /// The source gives no time for this record; its `time` means nothing.
  case none = 255
  case seconds = 0
  case tenths = 1
  case hundredths = 2
  case milliseconds = 3
  case digits4 = 4
  case digits5 = 5
  case microseconds = 6
  case digits7 = 7
  case digits8 = 8
  case nanoseconds = 9

  /// Digits after the decimal point, 0…9; `nil` without a time.
  @inlinable public var fractionDigits: Int? { self == .none ? nil : Int(rawValue) }

  /// The precision with that many digits after the point; more than nine are nine.
  @inlinable public init(fractionDigits: Int) {
    self = TimePrecision(rawValue: UInt8(truncatingIfNeeded: max(0, min(9, fractionDigits)))) ?? .nanoseconds
  }
}

/// One CAN frame that was seen: when, where, in which direction.
public struct CANRecord: Sendable {
  /// When; means nothing if `precision` is `.none`.
  public var time: Timestamp
  /// The frame itself.
  public var frame: CANFrame
  /// Where.
  public var bus: BusID
  /// Which way.
  public var direction: Direction
  /// How many digits of `time` the source gave.
  public var precision: TimePrecision

  /// A record of an empty frame without a time on bus 0.
  @inlinable public init() {
    time = Timestamp(nanoseconds: 0)
    frame = CANFrame()
    bus = BusID(0)
    direction = .unknown
    precision = .none
  }

  /// A record of `frame`.
  @inlinable public init(
    time: Timestamp?, precision: TimePrecision = .microseconds, bus: BusID = BusID(0), direction: Direction = .unknown,
    frame: CANFrame
  ) {
    self.time = time ?? Timestamp(nanoseconds: 0)
    self.precision = time == nil ? .none : precision
    self.bus = bus
    self.direction = direction
    self.frame = frame
  }
}
