public import Bus

/// What `info` says of a capture: which frames, how many, how fast, how full the bus.
public struct CaptureSurvey: Sendable {
  /// One arbitration ID on one bus.
  public struct IDCount: Sendable {
    /// Frames.
    public var frames: UInt64 = 0
    /// ns of the first.
    public var first: Int64 = 0
    /// ns of the last.
    public var last: Int64 = 0
    /// Bytes of the shortest.
    public var shortestLength: UInt8 = .max
    /// Bytes of the longest.
    public var longestLength: UInt8 = 0
    /// Mean period in ns; `nil` with fewer than two frames or without times.
    public var meanPeriod: Double? { frames < 2 || last <= first ? nil : Double(last &- first) / Double(frames - 1) }
  }

  /// One bus.
  public struct BusSurvey: Sendable {
    /// The bus.
    public var name: String
    /// Frames of any kind.
    public var frames: UInt64 = 0
    /// With 29-bit IDs.
    public var extended: UInt64 = 0
    /// Remote frames.
    public var remote: UInt64 = 0
    /// Error frames.
    public var errors: UInt64 = 0
    /// FD frames.
    public var fd: UInt64 = 0
    /// Marked as received.
    public var received: UInt64 = 0
    /// Marked as sent by the recorder.
    public var transmitted: UInt64 = 0
    /// Bits on the wire of all frames.
    public var bits: UInt64 = 0
    /// Most frames and most bits within one second of the clock.
    public var peakFramesPerSecond: UInt64 = 0
    /// Most bits in one second.
    public var peakBitsPerSecond: UInt64 = 0
    /// ns of the first; `nil` before it.
    public var first: Int64?
    /// ns of the last.
    public var last: Int64 = 0
    /// By raw arbitration ID; at most `mostIDs`.
    public var ids: [UInt32: IDCount] = [:]
    /// Frames whose ID was beyond `mostIDs`.
    public var beyond: UInt64 = 0

    private var second = Int64.min
    private var framesInSecond: UInt64 = 0
    private var bitsInSecond: UInt64 = 0

    /// Different IDs kept a bus: noise must not fill the memory.
    public static let mostIDs = 4096

    init(name: String) { self.name = name }

    /// Time from first to last frame in ns.
    public var span: Int64 { first.map { last &- $0 } ?? 0 }

    mutating func add(_ record: borrowing CANRecord) {
      let frame = record.frame
      let length = FrameBits.count(frame)
      frames &+= 1
      bits &+= UInt64(length)
      switch record.direction {
      case .received: received &+= 1
      case .transmitted: transmitted &+= 1
      case .unknown: break
      }
      if record.precision != .none { addTime(record.time.nanoseconds, bits: length) }
      if frame.flags.contains(.error) {
        errors &+= 1
        return
      }
      if frame.id.isExtended { extended &+= 1 }
      if frame.flags.contains(.remote) { remote &+= 1 }
      if frame.flags.contains(.fd) { fd &+= 1 }
      addID(frame, record.time.nanoseconds)
    }

    private mutating func addTime(_ now: Int64, bits length: Int) {
      first = min(first ?? now, now)
      last = frames == 1 ? now : max(last, now)
      let nowSecond = now / 1_000_000_000
      if nowSecond != second {
        second = nowSecond
        framesInSecond = 0
        bitsInSecond = 0
      }
      framesInSecond &+= 1
      bitsInSecond &+= UInt64(length)
      peakFramesPerSecond = max(peakFramesPerSecond, framesInSecond)
      peakBitsPerSecond = max(peakBitsPerSecond, bitsInSecond)
    }

    private mutating func addID(_ frame: CANFrame, _ now: Int64) {
      var count = ids[frame.id.rawValue] ?? IDCount()
      if count.frames == 0 {
        guard ids.count < BusSurvey.mostIDs else {
          beyond &+= 1
          return
        }
        count.first = now
      }
      count.frames &+= 1
      count.last = now
      count.shortestLength = min(count.shortestLength, frame.length)
      count.longestLength = max(count.longestLength, frame.length)
      ids[frame.id.rawValue] = count
    }
  }

  /// In the order of appearance.
  public private(set) var buses: [BusSurvey] = []

  /// Nothing seen yet.
  public init() {}

  /// A bus that frames may come from.
  public mutating func addBus(named name: String) { buses.append(BusSurvey(name: name)) }

  /// Counts one record.
  public mutating func add(_ record: borrowing CANRecord) {
    let index = Int(record.bus.index)
    guard index < buses.count else { return }
    buses[index].add(record)
  }
}
