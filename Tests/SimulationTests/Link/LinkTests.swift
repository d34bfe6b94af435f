import Bus
import Foundation
import Protocols
import Testing

@testable import Formats
@testable import Simulation

/// The definitions as they are shipped.
enum Shipped {
  static let library: DefinitionLibrary = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Dissectors")
    var files: [(path: String, text: String)] = []
    let names = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
    for name in names.sorted() where name.hasSuffix(".yaml") || name.hasSuffix(".dbc") {
      files.append((name, (try? String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)) ?? ""))
    }
    return DefinitionLibrary(files: files)
  }()

  /// Every variant in which both sides can be played.
  static let links: [(name: String, link: CompiledLink)] = library.definitions.flatMap { definition -> [(String, CompiledLink)] in
    let handshake = definition.sidecar.handshake
    guard handshake.battery?.states.isEmpty == false, handshake.inverter?.states.isEmpty == false else { return [] }
    return definition.sidecar.variants.map { ($0.name, definition.link(variant: $0.name)) }
  }
}

@Suite struct LinkTests {
  /// Values of the protocol pages: 192 LFP cells, 639.4 V, −12.3 A, 24.7 °C, 87.12 %.
  static var page: QuantityValues {
    var values = QuantityValues()
    values[.packVoltage] = 639_400
    values[.packCurrent] = -12_300
    values[.packTemperature] = 24_700
    values[.soc] = 87_120
    values[.soh] = 100_000
    values[.chargeVoltageLimit] = 681_600
    values[.dischargeVoltageLimit] = 556_800
    values[.chargeCurrentLimit] = 25_000
    values[.dischargeCurrentLimit] = 50_000
    values[.cellCount] = 192_000
    values[.moduleCount] = 24_000
    values[.cellsPerModule] = 8_000
    values[.nominalVoltage] = 614_000
    values[.capacity] = 100_000
    values[.remainingCapacity] = 87_000
    values[.energyCapacity] = 61_400
    values[.cellTemperatureMax] = 26_200
    values[.cellTemperatureMin] = 23_100
    values[.cellTemperatureMaxNumber] = 3_000
    values[.cellTemperatureMinNumber] = 9_000
    values[.cycleCount] = 12_000
    values[.modulesOf48V] = 13_000
    values.set(.live, true)
    values.set(.ready, true)
    values.set(.discharging, true)
    return values
  }

  /// Plays a link for some seconds; by arbitration ID and width what was said last, in order of time all.
  static func play(
    _ link: CompiledLink, seconds: Double = 20, values: QuantityValues = page, faults: [LinkFault] = []
  ) -> (world: LinkWorld, records: [CANRecord]) {
    guard var world = LinkWorld(link, faults: faults, seed: 1) else { fatalError("no handshake") }
    var records: [CANRecord] = []
    for step in 1...Int(seconds * 10) {
      world.run(until: Int64(step) * 100_000, battery: values, inverter: QuantityValues())
      records += world.takeRecords()
    }
    return (world, records)
  }

  static func hex(_ frame: CANFrame) -> String {
    let id = String(frame.id.number, radix: 16, uppercase: true)
    let padded = String(repeating: "0", count: (frame.id.isExtended ? 8 : 3) - id.count) + id
    return padded + "#" + (0..<Int(frame.length)).map { String(format: "%02X", frame.byte($0)) }.joined()
  }

  @Test(arguments: Shipped.links.indices) func bothRolesReachOnline(index: Int) {
    let (name, link) = Shipped.links[index]
    #expect(link.problems.isEmpty, "\(link.problems)")
    let (world, records) = Self.play(link)
    #expect(world.inverter.phase == .online, "\(name): inverter in \(world.inverter.phase)")
    #expect(world.battery.phase == .online, "\(name): battery in \(world.battery.phase)")
    #expect(records.count > 20 && world.battery.droppedFrames == 0 && world.battery.saturated == 0)
    // What the inverter understood is what the battery meant, to the resolution of the protocol.
    for (quantity, tolerance) in [
      (Quantity.packVoltage, Int64(100)), (.packCurrent, 100), (.soc, 1000), (.chargeCurrentLimit, 100),
      (.dischargeCurrentLimit, 100),
    ] {
      guard let said = Self.page[quantity], let understood = world.inverter.heard[quantity] else { continue }
      #expect(abs(said - understood) <= tolerance, "\(name) \(quantity): \(said) said, \(understood) understood")
    }
    #expect(world.inverter.heard[.packVoltage] != nil && world.inverter.heard[.chargeCurrentLimit] != nil)
  }

  /// Frames of the protocol pages' worked examples (goodwe.md §4, sofar.md §10, pylontech-hv.md §7): a wrong table shared by session
  /// and monitor would show here.
  @Test(arguments: [
    ("goodwe-pylon", "00004210#FA18B574DF045764"), ("goodwe-pylon", "00004220#A01AC0152A763C73"),
    ("goodwe-pylon", "00004240#EE04CF0403000900"), ("goodwe-pylon", "00007320#C000180866026400"),
    ("goodwe", "453#0D00000000000000"), ("goodwe", "456#A01AFA00F401C015"), ("goodwe", "457#0822102700000000"),
    ("goodwe", "458#FA1885FFF7000000"), ("goodwe", "420#4757424154544856"), ("goodwe-byd", "1D0#18FAFF8500F70308"),
    ("goodwe-byd", "150#22082710036603E8"), ("goodwe-byd", "250#0329006602660209"), ("goodwe-byd", "151#00474F4F44574500"),
    ("goodwe-byd", "290#063710D900000000"), ("goodwe-byd", "2D0#0042594400000000"), ("goodwe-byd", "3D0#0042617474657279"),
    ("goodwe-byd", "3D0#0356530000000000"), ("byd-hvm", "3D0#03564D0000000000"), ("sofar2", "00001351#A01AFA00F401C015"),
    ("sofar2", "00001355#57006400FFFF6603"), ("sofar2", "00001356#FA1885FFF7000C00"), ("sofar2", "00001359#0000000018102708"),
    ("sofar2", "0000130F#0003000000000000"), ("pylon-std", "00007311#0100020101020000"), ("pylon-std", "00007331#50594C4F4E544543"),
    ("pylon-std", "00007341#4800000000000000"), ("pylon-std", "00004200#0200000000000000"),
    ("deye-hv", "000042E0#4465796500000000"),
    ("growatt-hv", "00003110#1AA000FA01F43003"), ("growatt-hv", "00003130#18FAFF8501065764"),
  ]) func framesAreThoseOfThePages(variant: String, frame: String) {
    guard let link = Shipped.links.first(where: { $0.name == variant })?.link else {
      Issue.record("no variant \(variant)")
      return
    }
    let said = Set(Self.play(link).records.map { Self.hex($0.frame) })
    #expect(said.contains(frame), "\(variant) said \(said.filter { $0.hasPrefix(frame.prefix(while: { $0 != "#" })) }.sorted())")
  }

  @Test func whatDoesNotFitSaturatesAndIsReported() {
    var values = Self.page
    values[.packVoltage] = 9_000_000
    values[.soc] = 300_000
    let link = Shipped.links.first { $0.name == "pylon-std" }!.link
    let (world, _) = Self.play(link, values: values)
    #expect(world.inverter.heard[.packVoltage] == 6_553_500 && world.inverter.heard[.soc] == 255_000)
    #expect(world.battery.saturated == 1 << UInt64(Quantity.packVoltage.rawValue) | 1 << UInt64(Quantity.soc.rawValue))
  }

  @Test func aPairOfPollsIsAnsweredInOrderAndAtItsPace() {
    let link = Shipped.links.first { $0.name == "pylon-std" }!.link
    var session = link.session(.battery)!
    func poll(_ kind: UInt64) -> CANFrame { CANFrame(id: .extended(0x4200), length: 8, head: kind) }
    // Nothing is answered before anything is measured.
    session.receive(poll(0), now_us: 900_000)
    if case .send(let frame) = session.next(now_us: 950_000, values: QuantityValues()) { Issue.record("said \(Self.hex(frame))") }
    _ = session.next(now_us: 960_000, values: Self.page)
    session.receive(poll(2), now_us: 1_000_000)
    session.receive(poll(0), now_us: 1_000_100)
    session.receive(poll(0), now_us: 1_000_200)
    var said: [(UInt32, Int64)] = []
    var now: Int64 = 1_000_200
    while now < 1_300_000 {
      switch session.next(now_us: now, values: Self.page) {
      case .send(let frame): said.append((frame.id.number, now))
      case .wait(let until): now = min(1_300_000, max(now + 1, until))
      }
    }
    // The repeated question is answered once (pylontech-hv.md §6.2).
    #expect(
      said.map(\.0) == [0x7311, 0x7321, 0x7331, 0x7341, 0x4211, 0x4221, 0x4231, 0x4241, 0x4251, 0x4261, 0x4271, 0x4281, 0x4291])
    #expect(said[0].1 == 1_010_000 && zip(said, said.dropFirst()).allSatisfy { $1.1 - $0.1 >= 8_000 })
    // Another address's commands and unknown questions are not answered.
    session.receive(CANFrame(id: .extended(0x8242), length: 8, head: 0xAA), now_us: now)
    session.receive(poll(7), now_us: now)
    #expect(session.next(now_us: now + 100_000, values: Self.page) != .send(poll(0)))
    if case .send(let frame) = session.next(now_us: now + 100_000, values: Self.page) { Issue.record("said \(Self.hex(frame))") }
    session.receive(CANFrame(id: .extended(0x8241), length: 8, head: 0xAA), now_us: now)
    guard case .send(let mask) = session.next(now_us: now + 100_000, values: Self.page) else {
      Issue.record("no answer to its own address")
      return
    }
    #expect(Self.hex(mask) == "00008251#AA00000000000000")
  }

  @Test func silenceLeadsThroughQuietToLostAndBack() {
    let link = Shipped.links.first { $0.name == "pylon-std" }!.link
    var session = link.session(.battery)!
    var phases: [LinkPhase] = []
    _ = session.next(now_us: 0, values: Self.page)
    for second in 0..<100 {
      if second < 5 || second > 90 {
        session.receive(CANFrame(id: .extended(0x4200), length: 8, head: 0), now_us: Int64(second) * 1_000_000)
      }
      while case .send = session.next(now_us: Int64(second) * 1_000_000 + 900_000, values: Self.page) {}
      if phases.last != session.phase { phases.append(session.phase) }
    }
    #expect(
      phases == [.online, .quiet, .lost, .opening, .online] || phases == [.opening, .online, .quiet, .lost, .opening, .online],
      "\(phases)")
  }

  /// goodwe.md B.3: after a change the limits go out at once, not at the next two seconds.
  @Test func aChangeOfTheLimitsGoesOutAtOnce() {
    let link = Shipped.links.first { $0.name == "goodwe-byd" }!.link
    var session = link.session(.battery)!
    session.receive(CANFrame(id: .standard(0x151), length: 8, head: 1), now_us: 0)
    var values = Self.page
    var limits: [Int64] = []
    var now: Int64 = 0
    while now < 6_000_000 {
      if now >= 4_700_000 { values[.chargeCurrentLimit] = 0 }
      switch session.next(now_us: now, values: values) {
      case .send(let frame): if frame.id.number == 0x110 { limits.append(now) }
      case .wait(let until): now = min(now + 10_000, max(now + 1, until))
      }
    }
    #expect(limits.contains { (4_700_000...4_720_000).contains($0) }, "\(limits)")
    #expect(limits.count == 4, "\(limits)")
  }

  @Test func everyFaultLeavesTheWorldRunning() {
    for (name, link) in Shipped.links {
      for kind in LinkFault.Kind.allCases {
        let (_, records) = Self.play(link, seconds: 12, faults: [LinkFault(kind, at: kind == .frozen ? 2 : 0)])
        #expect(kind == .silentBattery || kind == .silentInverter || !records.isEmpty, "\(name) \(kind)")
        if kind != .clockJump {
          #expect(
            zip(records, records.dropFirst()).allSatisfy { $0.time <= $1.time } || kind == .delayed || kind == .busOff
              || kind == .foreignTraffic || kind == .wrongBitRate)
        }
      }
    }
  }

  @Test func theSameSeedGivesTheSameBytes() {
    let link = Shipped.links.first { $0.name == "sofar1" }!.link
    func run(_ seed: UInt64) -> [String] {
      var scene = LinkScene(link, faults: [LinkFault(.dropped)], seed: seed)!
      return (0..<300).flatMap { _ in scene.step().map { "\($0.time.nanoseconds) \(Self.hex($0.frame))" } }
    }
    #expect(run(7) == run(7) && run(7) != run(8))
  }
}
