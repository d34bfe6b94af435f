import Testing

@testable import Controller

/// An engine with four LFP modules of eight cells, a scan and a PDU reading each second, and a PDU that follows its orders.
struct EngineRig {
  var engine: Engine
  var readings = Readings()
  var now_ns: Int64 = 1_000_000_000_000
  /// mA through closed contactors.
  var current: Int32 = 0
  var events: [Event.Kind] = []
  /// V-out follows closed or precharging contactors.
  var outputFollows = true
  /// V-out stays up whatever is ordered.
  var isWelded = false
  var scans = true
  var fails = false
  var pdu = true
  var milliseconds: Int64 = 0

  static func configuration(_ change: (inout Configuration) -> Void = { _ in }) -> Configuration {
    var configuration = Configuration(preset: .lfp)
    configuration[.bms1Slaves] = 4
    configuration[.cellCount] = 32
    configuration.setSensors(0b11, ofModule: 0)
    change(&configuration)
    return configuration
  }

  init(_ configuration: Configuration? = EngineRig.configuration(), isHeld: Bool = false) {
    engine = Engine(configuration: configuration, isHeld: isHeld)
    fill(33_000)
    for slot in 0..<150 { readings.temperatures[slot] = 250 }
    let used = configuration ?? Configuration()
    readings.moduleCounts = [UInt8(used.slaves(.bms1)), UInt8(used.slaves(.bms2))]
    readings.cellCounts = [
      UInt16(used.slaves(.bms1) * used.cellsPerModule(.bms1)), UInt16(used.slaves(.bms2) * used.cellsPerModule(.bms2)),
    ]
  }

  mutating func fill(_ cell: UInt16) {
    for slot in 0..<420 { readings.cells[slot] = cell }
    for slot in 0..<30 { readings.stacks[slot] = Int32(cell) * 8 / 10 }
  }

  /// One step of 100 ms; scans come at whole seconds.
  mutating func tick(_ command: Command = .none, milliseconds step: Int64 = 100) {
    milliseconds += step
    now_ns += step * 1_000_000
    readings.arrived = []
    let isScan = milliseconds / 1000 != (milliseconds - step) / 1000
    if isScan {
      for chain in ChainNumber.allCases where engine.configuration.slaves(chain) > 0 {
        if fails { readings.arrived.insert(.failure(chain)) } else if scans { readings.arrived.insert(.scan(chain)) }
      }
    }
    if pdu {
      readings.arrived.insert(.pdu)
      readings.currentRaw = current
      let pack = engine.configuration[.cellCount] * Int32(readings.cells[0]) / 100
      readings.inputRaw = pack
      let contactors = engine.outputs.contactors
      let isUp = contactors.contains([.negative, .precharge]) || contactors.contains([.negative, .positive])
      readings.outputRaw = isWelded || outputFollows && isUp ? pack : 0
    }
    engine.step(now_ns: now_ns, readings, command)
    for index in 0..<engine.events.count { events.append(engine.events[index].kind) }
  }

  mutating func run(_ seconds: Double) { for _ in 0..<Int((seconds * 10).rounded()) { tick() } }

  /// Steps until `isDone`, at most so many seconds. Returns how many ms it took; `nil` = never.
  mutating func until(_ most: Double, _ isDone: (Engine) -> Bool) -> Int64? {
    let start = milliseconds
    for _ in 0..<Int(most * 10) {
      if isDone(engine) { return milliseconds - start }
      tick()
    }
    return isDone(engine) ? milliseconds - start : nil
  }

  /// A rig that runs.
  static func running(_ configuration: Configuration = EngineRig.configuration()) -> EngineRig {
    var rig = EngineRig(configuration)
    rig.run(12)
    rig.events = []
    return rig
  }

  var status: SystemStatus { engine.outputs.status }
  var isClosed: Bool { engine.outputs.contactors == [.negative, .positive] }

  /// The last change of status with its reason.
  var lastStatus: (from: SystemStatus, to: SystemStatus, reason: Reason)? {
    for event in events.reversed() { if case .status(let from, let to, let reason) = event { return (from, to, reason) } }
    return nil
  }
}
