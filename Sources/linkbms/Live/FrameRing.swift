import Bus

/// The latest frames: those of a span of time, and never more than a number. Allocates nothing once it is full.
struct FrameRing {
  private var places: [CANRecord] = []
  private var next = 0
  private let capacity: Int
  /// Frames added so far: the number of the next.
  private(set) var total = 0

  /// - Parameter capacity: the most frames, above 0.
  init(capacity: Int) { self.capacity = max(1, capacity) }

  /// Adds a frame, in place of the oldest where there is no room.
  mutating func add(_ record: CANRecord) {
    total &+= 1
    if places.count < capacity {
      places.append(record)
    } else {
      places[next] = record
      next = next + 1 == capacity ? 0 : next + 1
    }
  }

  /// Frames from a number on that are still there, oldest first, with their numbers.
  func records(from number: Int) -> [(number: Int, record: CANRecord)] {
    let first = max(0, number, total - places.count)
    return (first..<max(first, total)).map { wanted in
      // The oldest stands at `next` once the ring is full.
      let place = (next + wanted - (total - places.count)) % max(1, places.count)
      return (wanted, places[place])
    }
  }

  /// Frames from a time on, oldest first.
  func records(since time_ns: Int64) -> [CANRecord] {
    (Array(places[next...]) + Array(places[..<next])).filter { $0.time.nanoseconds >= time_ns }
  }
}
