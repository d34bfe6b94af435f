import Bus
import Protocols

/// What the rules need to know of one arbitration ID, in fixed memory: how often, how regularly, how it changes.
struct IDFacts: Sendable {
  // What every frame needs stands together, at the front.
  let id: ArbitrationID
  /// Which ID came after it last; −1 = none did.
  var follower: Int32 = -1
  /// What it means to the protocol.
  private(set) var meaning = Meaning()
  /// Head of the last frame.
  var head: UInt64 = 0
  var count: UInt64 = 0
  var last = Mark()
  /// The gaps that are no news begin here, and are so wide.
  private var usualGap: Int64 = .max
  private var usualWidth: UInt64 = 0
  /// When the content changed last.
  var changed: Int64 = 0
  var changes: UInt64 = 0
  private var lastLength: UInt8 = 0

  var shortest: UInt8 = 255
  var longest: UInt8 = 0
  /// Slot in the link's plan; −1 = not of this protocol.
  let slot: Int
  var first = Mark()
  /// Head of the first frame.
  var firstHead: UInt64 = 0
  /// The longest time from one frame to the next, ns, and the frame that ended it.
  var longestGap: Int64 = 0
  var gapEnd = Mark()
  /// Gaps beyond the limit that the link sets for it.
  var gaps: UInt64 = 0
  var gapLimit: Int64 = .max
  /// Frames that came long before their time: with the content of the one before, or with another.
  var nearSame: UInt64 = 0
  var nearOther: UInt64 = 0
  var firstNear = Mark()
  /// Frames closer to the one before than this count as near, ns.
  var nearLimit: Int64 = 0
  /// Gaps that are off the nominal period by more than half.
  var odd: UInt64 = 0
  var oddBelow: Int64 = 0
  var oddAbove: Int64 = .max

  /// What an ID means to the protocol: all that a watch looks up for a frame, small enough to be copied.
  struct Meaning: Sendable {
    /// The message in the link's plan; −1 = not of this protocol.
    var message: Int32 = -1
    var isFromInverter = false
    /// Whether it is one battery's of several.
    var hasAddress = false
    /// Whether no answer needs it: its address says nothing of the battery's.
    var isOptional = false
    var address: UInt8 = 0
    /// Whether everything of a cycle is known once it came.
    var endsCycle = false
  }
  var message: Int32 { meaning.message }
  var isFromInverter: Bool { meaning.isFromInverter }
  var hasAddress: Bool { meaning.hasAddress }
  var address: UInt8 { meaning.address }

  /// A place in the capture, in ns.
  struct Mark: Sendable {
    var record: UInt64 = 0
    var time: Int64 = 0
  }

  init(_ id: ArbitrationID, slot: Int) {
    self.id = id
    self.slot = slot
  }

  /// No answer needs it.
  mutating func isNotNeeded() { meaning.isOptional = true }

  /// What the plan says of it.
  mutating func know(_ slot: MessageSlot, _ watched: WatchedMessage) {
    meaning.message = slot.message
    meaning.isFromInverter = watched.isFromInverter
    meaning.hasAddress = slot.hasAddress && !watched.isFromInverter
    meaning.address = slot.address
    meaning.endsCycle = watched.endsCycle
  }

  /// A frame's first eight bytes and its length: the whole frame would be copied for it.
  /// - Returns: the bits that differ from the frame before; all of them for the first.
  @inline(__always) mutating func add(_ head: UInt64, length: UInt8, _ mark: Mark) -> UInt64 {
    if count == 0 { return begin(head, length, mark) }
    let gap = mark.time &- last.time
    // One comparison tells that a frame came when it was expected.
    if UInt64(bitPattern: gap &- usualGap) > usualWidth { judge(gap, head, mark) }
    if length != lastLength { measure(length) }
    let difference = self.head ^ head
    if difference != 0 {
      changes &+= 1
      changed = mark.time
      self.head = head
    }
    count &+= 1
    last = mark
    return difference
  }

  @inline(never) private mutating func begin(_ head: UInt64, _ length: UInt8, _ mark: Mark) -> UInt64 {
    count = 1
    first = mark
    last = mark
    firstHead = head
    self.head = head
    changed = mark.time
    measure(length)
    return .max
  }

  private mutating func measure(_ length: UInt8) {
    lastLength = length
    shortest = min(shortest, length)
    longest = max(longest, length)
  }

  @inline(never) private mutating func judge(_ gap: Int64, _ head: UInt64, _ mark: Mark) {
    if gap > longestGap {
      longestGap = gap
      gapEnd = mark
    }
    if gap > gapLimit { gaps &+= 1 }
    if gap > oddAbove || gap < oddBelow { odd &+= 1 }
    if gap < nearLimit { near(head, mark) }
    usualGap = max(oddBelow, nearLimit, 0)
    let most = min(oddAbove, gapLimit, longestGap)
    usualWidth = most >= usualGap ? UInt64(most - usualGap) : 0
  }

  @inline(never) private mutating func near(_ head: UInt64, _ mark: Mark) {
    if nearSame &+ nearOther == 0 { firstNear = mark }
    if head == self.head { nearSame &+= 1 } else { nearOther &+= 1 }
  }

  /// From first to last, ns.
  var span: Int64 { last.time &- first.time }
  /// Mean time from frame to frame, ns; 0 with fewer than two.
  var meanPeriod: Int64 { count > 1 ? span / Int64(count - 1) : 0 }
}

/// Error frames of a bus.
struct ErrorFacts: Sendable {
  var count: UInt64 = 0
  var first = IDFacts.Mark()
  var last = IDFacts.Mark()
  var noAcknowledge: UInt64 = 0
  var firstNoAcknowledge = IDFacts.Mark()
  /// Most no-acknowledge frames within one second.
  var mostNoAcknowledge: UInt64 = 0
  var protocolViolations: UInt64 = 0
  var busOff: UInt64 = 0
  var firstBusOff = IDFacts.Mark()
  var restarts: UInt64 = 0
  var passive: UInt64 = 0
  var highestCounter: UInt8 = 0
  var firstFrame: CANFrame?
  private var windowStart: Int64 = 0
  private var inWindow: UInt64 = 0

  mutating func add(_ frame: borrowing CANFrame, _ mark: IDFacts.Mark) {
    if count == 0 {
      first = mark
      firstFrame = copy frame
    }
    count &+= 1
    last = mark
    let bits = frame.id.number
    if bits & 0x20 != 0 {
      if noAcknowledge == 0 { firstNoAcknowledge = mark }
      noAcknowledge &+= 1
      if mark.time &- windowStart > 1_000_000_000 { (windowStart, inWindow) = (mark.time, 0) }
      inWindow &+= 1
      mostNoAcknowledge = max(mostNoAcknowledge, inWindow)
    }
    if bits & 0x8 != 0 { protocolViolations &+= 1 }
    if bits & 0x40 != 0 {
      if busOff == 0 { firstBusOff = mark }
      busOff &+= 1
    }
    if bits & 0x100 != 0 { restarts &+= 1 }
    if bits & 0x4 != 0, frame.byte(1) & 0x30 != 0 { passive &+= 1 }
    if bits & 0x200 != 0 || bits & 0x4 != 0 { highestCounter = max(highestCounter, max(frame.byte(6), frame.byte(7))) }
  }
}
