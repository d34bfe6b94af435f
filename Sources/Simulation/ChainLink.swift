public import Controller
public import Protocols
import Runtime

/// One chain at the level of its frames: the master that the controller uses on a real wire, and virtual nodes at the other end.
public struct ChainLink: Sendable {
  /// A frame or wake pulse that passed, for recordings.
  public struct Passed: Sendable {
    /// Virtual time, µs.
    public var time_us: Int64
    /// 0 request, 1 echo, 2 answer, 3 wake pulse (linkslave-chain.md §13.3).
    public var kind: UInt8
    /// `nil` for a wake pulse.
    public var frame: ChainFrame?
  }

  /// Which chain.
  public let number: ChainNumber
  /// The controller's end.
  public private(set) var master: ChainMaster
  /// The slaves' end.
  public var chain: VirtualChain
  /// What passed since it was taken last; kept only where somebody wants it.
  public private(set) var passed: [Passed] = []
  /// Whether `passed` is kept.
  public var isKept = false
  /// Share of answers in which noise flips a bit, 0…1.
  public var noise = 0.0
  private var now_us: Int64 = 0

  /// A chain as configured, with so many nodes in fact.
  public init(_ number: ChainNumber, _ configuration: Configuration, nodes: Int) {
    self.number = number
    var settings = ChainMaster.Settings()
    settings.modules = configuration.slaves(number)
    settings.cellsPerModule = configuration.cellsPerModule(number)
    master = ChainMaster(settings)
    chain = VirtualChain((0..<nodes).map { _ in VirtualSlave() })
  }

  /// Lets master and nodes talk up to a time. Returns the outcome of the last scan that ended.
  public mutating func run(until end_us: Int64, random: inout SplitMix64) -> ChainMaster.Outcome? {
    var outcome: ChainMaster.Outcome?
    while now_us < end_us {
      switch master.step(now_us: now_us) {
      case .wake:
        chain.wake(now_us: now_us)
        keep(3, nil)
      case .wait(let until): now_us = max(now_us + 1, min(end_us, until))
      case .send(let request):
        keep(0, request)
        master.receive(request)
        keep(1, request)
        var heard: [ChainFrame] = []
        chain.carry(request, now_us: now_us) { heard.append($0) }
        for answer in heard {
          now_us += 22
          // A flipped bit; two in three would go the same way: the CRC sees them.
          let isHit = noise > 0 && random.unit() < noise
          let received = isHit ? answer.damaged(1 << UInt64(random.below(Int(answer.generation.bitCount)))) : answer
          keep(2, received)
          master.receive(received)
        }
        now_us += 25
      }
      if let ended = master.takeOutcome() { outcome = ended }
    }
    return outcome
  }

  /// Orders what the controller wants balanced.
  public mutating func balance(_ mask: UInt16, module: Int) { master.balance(mask, module: module) }

  /// No self-test while contactors close.
  public mutating func allowDiagnosis(_ isAllowed: Bool) { master.allowsDiagnosis = isAllowed }

  /// Hands out what passed.
  public mutating func takePassed() -> [Passed] {
    defer { passed.removeAll(keepingCapacity: true) }
    return passed
  }

  private mutating func keep(_ kind: UInt8, _ frame: ChainFrame?) {
    if isKept { passed.append(Passed(time_us: now_us, kind: kind, frame: frame)) }
  }

  /// Puts a complete scan into the readings.
  public func write(to readings: inout Readings, _ configuration: Configuration) {
    readings.take(master, of: number, configuration)
  }
}
