public import Bus
public import Controller
public import Formats

/// Gives a recording's inputs to an engine of this build and compares what comes out with what was recorded.
public struct EngineReplay: RecordSink, Sendable {
  /// Where this engine and the recorded one part.
  public struct Difference: Sendable {
    /// Step from 1.
    public var step: UInt64
    /// When.
    public var time: Timestamp
    /// `charge limit: recorded 25000 mA, now 24000 mA`, one for each value that differs.
    public var texts: [String]
  }

  /// Steps compared.
  public private(set) var steps: UInt64 = 0
  /// Steps with a difference.
  public private(set) var differing: UInt64 = 0
  /// The first of them.
  public private(set) var first: Difference?
  /// Starts of the controller in the recording.
  public private(set) var starts: UInt64 = 0
  /// Steps before any start: this is a later file of a recording, and nothing can be said of them.
  public private(set) var unstarted: UInt64 = 0
  /// Packets that are no engine record.
  public private(set) var foreign: UInt64 = 0
  /// What was wrong with the file.
  public private(set) var problems: [CaptureProblem] = []
  /// The engine of this build, as it stands.
  public private(set) var engine: Engine?
  private var readings = Readings()
  private var time = Timestamp(nanoseconds: 0)

  /// Nothing replayed yet.
  public init() {}

  /// Buses do not matter here.
  public mutating func busAppeared(_ bus: BusID, named name: String) {}
  /// CAN frames are not the engine's.
  public mutating func receive(_ record: borrowing CANRecord) {}
  /// Damage ends in differences; it is kept to explain them.
  public mutating func report(_ problem: CaptureProblem) { if problems.count < 20 { problems.append(problem) } }

  /// One packet of the recording.
  public mutating func receive(_ record: SideRecord) {
    guard record.kind == .pdu, let content = EngineRecord(record.bytes) else {
      foreign &+= 1
      return
    }
    time = record.time
    switch content {
    case .start(let configuration, let state):
      let reading = ConfigurationFile.parse(configuration)
      var engine = Engine(configuration: reading.problems.isEmpty ? reading.configuration : nil)
      if !state.isEmpty, let stored = try? StateFile.parse(state) { engine.restore(stored) }
      self.engine = engine
      readings = Readings()
      starts &+= 1
    case .scan(let scan): scan.write(to: &readings)
    case .input(let input):
      let command = input.write(to: &readings)
      engine?.step(now_ns: record.time.nanoseconds, readings, command)
    case .output(let recorded): compare(recorded)
    case .event: break
    }
  }

  private mutating func compare(_ recorded: EngineRecord.Output) {
    guard let engine else {
      unstarted &+= 1
      return
    }
    steps &+= 1
    let now = EngineRecord.Output(engine)
    guard now != recorded else { return }
    differing &+= 1
    guard first == nil else { return }
    let texts = zip(recorded.fields, now.fields).filter { $0.value != $1.value }.map {
      "\($0.name): recorded \($0.value), now \($1.value)"
    }
    first = Difference(step: steps, time: time, texts: texts)
  }
}
