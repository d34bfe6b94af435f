/// Cuts a stream of bytes into lines, in bounded memory. Lines end with a line feed, a carriage return or both; empty ones are passed
/// over.
struct LineSplitter {
  /// The longest line that is kept.
  let capacity: Int
  /// Lines that were longer, and are gone: counted at once, for an end may never come.
  private(set) var overlong: UInt64 = 0
  private var line: [UInt8] = []
  private var isOverlong = false

  init(capacity: Int) { self.capacity = capacity }

  mutating func take(_ bytes: UnsafeRawBufferPointer, _ each: ([UInt8]) -> Void) {
    for byte in bytes {
      guard byte != 10, byte != 13 else {
        if !isOverlong, !line.isEmpty { each(line) }
        line.removeAll(keepingCapacity: true)
        isOverlong = false
        continue
      }
      guard !isOverlong else { continue }
      if line.count < capacity {
        line.append(byte)
      } else {
        isOverlong = true
        overlong &+= 1
      }
    }
  }

  /// Forgets a line that was begun: the rest of it will not come.
  mutating func startAnew() {
    line.removeAll(keepingCapacity: true)
    isOverlong = false
  }
}
