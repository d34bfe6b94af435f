import Controller
import Synchronization
import Testing

@testable import Gateway

/// A controller with two modules of eight LFP cells, brought to RUNNING, and what looks at it.
struct Rig {
  var engine: Engine
  var readings = Readings()
  var now_ns: Int64 = 1_767_225_600_000_000_000
  let hub = SnapshotHub()
  var publisher: SnapshotHub.Publisher

  init(sensors: UInt8 = 0b11000, _ change: (inout Configuration) -> Void = { _ in }) {
    var configuration = Configuration()
    configuration[.bms1Slaves] = 2
    configuration[.cellCount] = 16
    for module in 0..<2 { configuration.setSensors(sensors, ofModule: module) }
    change(&configuration)
    engine = Engine(configuration: configuration)
    publisher = hub.publisher()
    for slot in 0..<16 { readings.cells[slot] = 33_000 + UInt16(slot) }
    for module in 0..<2 {
      readings.stacks[module] = 26_400
      readings.openSensors[module] = ~sensors & 0x1F
      for sensor in 0..<5 {
        readings.temperatures[module * 5 + sensor] = sensors & 1 << UInt8(sensor) == 0 ? -1061 : 250 + Int16(module)
      }
    }
    readings.moduleCounts[0] = 2
    readings.cellCounts[0] = 16
    readings.currentRaw = 10_000
    readings.inputRaw = 5280
    readings.outputRaw = 5280
    readings.supply_mV = 12_100
  }

  /// Seconds of steps, published each.
  mutating func run(seconds: Int = 12) {
    for _ in 0..<seconds * 10 {
      now_ns += 100_000_000
      readings.arrived = [.scan1, .pdu]
      engine.step(now_ns: now_ns, readings)
      publisher.add(engine.events, engine.configuration)
    }
    publisher.publish(Snapshot(engine, readings, time_ns: now_ns), at: Rig.published)
  }

  /// Tests run beside each other on a slow machine: what they publish stays fresh.
  static let published = ContinuousClock.now + .seconds(3600)

  static func running() -> Rig {
    var rig = Rig()
    rig.run()
    return rig
  }

  var moment: Moment { hub.moment(at: .now) }

  /// The same, but the loop has said nothing for long.
  var silent: Moment { hub.moment(at: Rig.published + .seconds(6)) }
}

/// A generator whose seed a failing test prints.
struct Seeded: RandomNumberGenerator {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
