import Testing

@testable import HostIO
@testable import linkbms

@Suite struct BusReportTests {
  private var report: BusReport {
    var details = CANInterface.Details()
    details.state = .busOff
    details.timing = CANInterface.BitTiming(
      bitRate: 500_000, samplePoint: 875, quantum_ns: 125, propagation: 6, phase1: 7, phase2: 2, jumpWidth: 1, prescaler: 1)
    details.modes = [.listenOnly, .busErrorReporting]
    details.restart_ms = 0
    details.sendErrorCounter = 248
    details.receiveErrorCounter = 0
    let load = BusReport.Load(frames: 12, bits: 1_500, errors: 1, time_ns: 1_000_000_000)
    return BusReport(name: "can0", isUp: true, driver: "kvaser_pci", details: details, load: load)
  }

  @Test func saysEverythingThatTheKernelSays() {
    let text = report.text(TextStyle())
    for part in [
      "can0  up, BUS-OFF", "500000 bit/s, sample point 87.5 %", "listen-only, berr-reporting", "linkbms bus can0 --restart",
      "sent 248, received 0", "12 frames in 1 s, 0.3 % of the bit rate, 1 error frames",
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
    #expect(report.line().hasPrefix("can0        up, BUS-OFF"))
    #expect(!text.contains("data rate"))
    var fd = report
    fd.isFD = true
    #expect(fd.text(TextStyle()).contains("ip link set can0 type can bitrate 500000 dbitrate 2000000 fd on"))
  }

  @Test func isJSON() {
    let text = report.json
    for part in [
      "\"bus\":\"can0\"", "\"state\":\"BUS-OFF\"", "\"bitrate\":500000", "\"sample_point\":0.875", "\"load_percent\":0.3",
      "\"modes\":[\"listen-only\",\"berr-reporting\"]",
    ] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
    let virtual = BusReport(name: "vcan0", isUp: false, details: CANInterface.Details())
    #expect(virtual.json.contains("\"state\":null,\"bitrate\":null"))
    #expect(virtual.text(TextStyle()).contains("none: a virtual interface"))
  }

  @Test func wordsAreChecked() {
    var world = MemoryWorld(MemoryBuses())
    #expect(world.run(["bus", "no-such-if"]) == 2 && world.notes.last?.contains("no such interface") == true, "\(world.notes)")
    #expect(world.run(["bus", "lo"]) == 2 && world.notes.last?.contains("not a CAN interface") == true, "\(world.notes)")
    #expect(world.run(["bus", "--up"]) == 2)
    #expect(world.run(["bus", "--format", "csv"]) == 2 && BusCommand.ReportFormat.allCases.map(\.rawValue) == ["text", "json"])
    world.defaultFormat = .csv
    #expect(world.run(["bus"]) == 0)
    #expect(world.run(["bus", "can0", "--up", "--down"]) == 2)
    #expect(world.run(["bus", "can0", "--bitrate", "5"]) == 2)
  }
}
