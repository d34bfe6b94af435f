// Nanoseconds a step of the engine with 390 cells and 150 sensors, and the allocations of all those steps. Compiled together with
// Sources/Controller by tools/bench.
import Glibc

@_silgen_name("linkbms_allocations") func allocations() -> UInt

@main struct EngineBench {
  static func main() {
    let steps = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1_000_000 : 1_000_000
    var configuration = Configuration(preset: .liIon)
    for item in [ConfigurationItem.bms1Slaves, .bms2Slaves] { configuration[item] = 15 }
    for item in [ConfigurationItem.bms1Cells, .bms2Cells] { configuration[item] = 13 }
    configuration[.cellCount] = 390
    // 390 cells have to stay below 800 V at charge disable; the limits are of no matter to the time.
    configuration[.cellDischargeDisable] = 17_000
    configuration[.cellDischargeEnable] = 18_000
    configuration[.cellChargeEnable] = 20_000
    configuration[.cellChargeDisable] = 20_500
    configuration[.undervoltageAlarm] = 16_000
    configuration[.undervoltageProtect] = 15_000
    configuration[.balanceStart] = 45_000
    for module in 0..<30 { configuration.setSensors(0x1F, ofModule: module) }
    configuration.eachViolation { print("violation", $0) }
    var readings = Readings()
    for slot in 0..<420 { readings.cells[slot] = UInt16(36_000 + slot % 37) }
    for slot in 0..<30 { readings.stacks[slot] = 46_850 }
    for slot in 0..<150 { readings.temperatures[slot] = Int16(220 + slot % 30) }
    readings.moduleCounts = [15, 15]
    readings.cellCounts = [195, 195]
    readings.inputRaw = 140_000
    readings.outputRaw = 140_000
    var engine = Engine(configuration: configuration)
    var now: Int64 = 0
    func run(_ count: Int) {
      for step in 0..<count {
        now += 1_000_000_000
        readings.cells[step % 195] = UInt16(36_000 + step % 41)
        readings.arrived = [.scan1, .scan2, .pdu]
        engine.step(now_ns: now, readings)
      }
    }
    run(1000)
    let before = allocations()
    var start = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start)
    run(steps)
    var end = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end)
    let allocated = allocations() - before
    let nanoseconds = Double(end.tv_sec - start.tv_sec) * 1e9 + Double(end.tv_nsec - start.tv_nsec)
    print("\((nanoseconds / Double(steps) * 10).rounded() / 10) \(allocated) \(engine.outputs.status.word)")
  }
}
