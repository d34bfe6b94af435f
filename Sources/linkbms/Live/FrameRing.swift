import Bus

/// The latest frames: those of a span of time, and never more than a number. Allocates nothing once it is full.
struct FrameRing {
  /// What it holds: a frame with when it came here, or that so many are missing on a bus.
  enum Kept {
    case frame(CANRecord, arrival_ns: Int64)
    case lost(UInt64, bus: BusID)
  }

  /// A frame's own time may be of another clock: of the controller, of another machine.
  private struct Place {
    var record: CANRecord
    /// When it came here, monotonic ns.
    var arrival_ns: Int64
    /// Frames of its bus that were lost before it.
    var lost: UInt64
  }

  private var places: [Place] = []
  /// Frames lost behind the last one of their bus, and when that was told.
  private var losses: [UInt16: (frames: UInt64, arrival_ns: Int64)] = [:]
  private var next = 0
  private let capacity: Int
  /// Frames added so far: the number of the next.
  private(set) var total = 0

  /// - Parameter capacity: the most frames, above 0.
  init(capacity: Int) { self.capacity = max(1, capacity) }

  /// Adds a frame, in place of the oldest where there is no room.
  /// - Parameter now_ns: when it came here, monotonic ns.
  mutating func add(_ record: CANRecord, _ now_ns: Int64) {
    total &+= 1
    var place = Place(record: record, arrival_ns: now_ns, lost: 0)
    if !losses.isEmpty, let loss = losses.removeValue(forKey: record.bus.index) { place.lost = loss.frames }
    if places.count < capacity {
      places.append(place)
    } else {
      places[next] = place
      next = next + 1 == capacity ? 0 : next + 1
    }
  }

  /// Frames of a bus were lost before the one that comes next.
  mutating func lost(_ frames: UInt64, bus: BusID, _ now_ns: Int64) {
    losses[bus.index] = ((losses[bus.index]?.frames ?? 0) &+ frames, now_ns)
  }

  /// Frames from a number on that are still there, oldest first, with their numbers.
  func records(from number: Int) -> [(number: Int, record: CANRecord)] {
    let first = max(0, number, total - places.count)
    return (first..<max(first, total)).map { wanted in
      // The oldest stands at `next` once the ring is full.
      let place = (next + wanted - (total - places.count)) % max(1, places.count)
      return (wanted, places[place].record)
    }
  }

  /// What came from a time on, monotonic ns, oldest first.
  func history(since time_ns: Int64) -> [Kept] {
    var kept: [Kept] = []
    for place in [places[next...], places[..<next]].joined() where place.arrival_ns >= time_ns {
      if place.lost > 0 { kept.append(.lost(place.lost, bus: place.record.bus)) }
      kept.append(.frame(place.record, arrival_ns: place.arrival_ns))
    }
    for (bus, loss) in losses.sorted(by: { $0.key < $1.key }) where loss.arrival_ns >= time_ns {
      kept.append(.lost(loss.frames, bus: BusID(bus)))
    }
    return kept
  }
}
