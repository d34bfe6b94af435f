public import Bus
public import Formats

/// What identification needs to know of a capture, in bounded memory: per bus and arbitration ID how often, when, in which direction,
/// and some payloads spread over the whole time.
public struct TrafficCensus: RecordSink, Sendable {
  /// One arbitration ID on one bus.
  public struct IDTraffic: Sendable {
    /// Frames.
    public var count: UInt64 = 0
    /// ns of the first.
    public var first: Int64 = 0
    /// ns of the last.
    public var last: Int64 = 0
    /// Marked as received.
    public var received: UInt64 = 0
    /// Marked as sent by the recorder.
    public var transmitted: UInt64 = 0
    /// Frames spread over the capture: at most 64, in order.
    public private(set) var samples: [CANFrame] = []
    private var stride: UInt64 = 1

    static let mostSamples = 64

    mutating func add(_ record: borrowing CANRecord) {
      if count == 0 { first = record.time.nanoseconds }
      last = record.time.nanoseconds
      switch record.direction {
      case .received: received &+= 1
      case .transmitted: transmitted &+= 1
      case .unknown: break
      }
      if count % stride == 0 { keep(record.frame) }
      count &+= 1
    }

    private mutating func keep(_ frame: CANFrame) {
      samples.append(frame)
      guard samples.count >= IDTraffic.mostSamples else { return }
      samples = samples.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      stride &*= 2
    }
  }

  /// One bus.
  public struct BusTraffic: Sendable {
    /// The bus.
    public var name: String
    /// By raw arbitration ID; data frames only.
    public var ids: [UInt32: IDTraffic] = [:]
    /// Frames of any kind.
    public var frames: UInt64 = 0
    /// Error frames.
    public var errors: UInt64 = 0
    /// All error classes seen, or-ed.
    public var errorClasses: UInt32 = 0
    /// Remote frames.
    public var remote: UInt64 = 0

    /// More different IDs than any protocol has: noise must not fill the memory.
    static let mostIDs = 2048
  }

  /// Traffic by bus.
  public private(set) var buses: [BusTraffic] = []

  /// Nothing seen yet.
  public init() {}

  /// A new bus.
  public mutating func busAppeared(_ bus: BusID, named name: String) { buses.append(BusTraffic(name: name)) }

  /// Counts a frame.
  public mutating func receive(_ record: borrowing CANRecord) {
    let index = Int(record.bus.index)
    guard index < buses.count else { return }
    buses[index].frames &+= 1
    if record.frame.flags.contains(.error) {
      buses[index].errors &+= 1
      buses[index].errorClasses |= record.frame.id.number
      return
    }
    if record.frame.flags.contains(.remote) {
      buses[index].remote &+= 1
      return
    }
    let raw = record.frame.id.rawValue
    if buses[index].ids[raw] == nil {
      guard buses[index].ids.count < BusTraffic.mostIDs else { return }
      buses[index].ids[raw] = IDTraffic()
    }
    buses[index].ids[raw]?.add(record)
  }

  /// Chain and PDU records say nothing of a CAN protocol.
  public mutating func receive(_ record: SideRecord) {}
  /// Damage says nothing of a protocol.
  public mutating func report(_ problem: CaptureProblem) {}
}
